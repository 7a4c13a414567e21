"""What is long and was looked at once: kept beside the tests, and compared line by line."""

from __future__ import annotations

import os
from pathlib import Path

KEPT = Path(__file__).parent / "kept"


def assert_as_kept(name: str, text: str) -> None:
    """Compare with what is kept under this name; with MNISTKIT_KEEP=1, keep it anew.

    Read the difference, and look at the figure, before it is committed.
    """
    path = KEPT / f"{name}.txt"
    if os.environ.get("MNISTKIT_KEEP"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    kept = path.read_text(encoding="utf-8").splitlines()
    assert text.splitlines() == kept, f"{path.name}: if that is meant, MNISTKIT_KEEP=1 keeps it"


def rounded(values) -> str:
    """Numbers with four digits, so that the last bits of another processor do not count."""
    return " ".join(f"{value + 0.0:.4g}" for value in values)
