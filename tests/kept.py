"""What is long and was looked at once: kept beside the tests, and compared line by line."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path

KEPT = Path(__file__).parent / "kept"


def assert_as_kept(name: str, text: str) -> None:
    """Compare with what is kept under this name; with MNISTKIT_KEEP=1, keep it anew.

    Numbers may differ in their fourth digit, as the last bits of another processor do. Read
    what differs, and look at the figure, before it is committed.
    """
    path = KEPT / f"{name}.txt"
    if os.environ.get("MNISTKIT_KEEP"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    kept, lines = path.read_text(encoding="utf-8").splitlines(), text.splitlines()
    differ = [(old, new) for old, new in zip(kept, lines, strict=False) if not _alike(old, new)]
    assert (len(lines), differ) == (len(kept), []), (
        f"{path.name}: if that is meant, MNISTKIT_KEEP=1 keeps it"
    )


def rounded(values: Iterable[float]) -> str:
    """Numbers with four digits."""
    return " ".join(f"{value + 0.0:.4g}" for value in values)


def _alike(kept: str, line: str) -> bool:
    old, new = kept.split(), line.split()
    return len(old) == len(new) and all(map(_same, old, new))


def _same(kept: str, word: str) -> bool:
    try:
        return kept == word or math.isclose(float(kept), float(word), rel_tol=2e-3, abs_tol=1e-9)
    except ValueError:
        return False
