"""The README's links lead somewhere and its example runs; its numbers: see test_scoreboard."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def test_links_and_pictures_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_library_example_runs(monkeypatch, capsys):
    (example,) = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    monkeypatch.setenv("MNISTKIT_SOURCE", "sample")
    exec(compile(example, "README.md", "exec"), {})
    assert re.search(r"tensor\(\[(\d, ){8}\d\]\)", capsys.readouterr().out)
