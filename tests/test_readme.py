"""The README's links lead somewhere, its example runs, and its speeds are those measured.

Its scoreboard: see test_scoreboard.
"""

from __future__ import annotations

import re
from pathlib import Path

from mnistkit.storage import replace_between_marks
from tests.benchmarks import report

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def test_links_and_pictures_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_library_example_runs(monkeypatch, capsys):
    (example,) = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    monkeypatch.setenv("MNISTKIT_SOURCE", "sample")
    exec(compile(example, "README.md", "exec"), {})
    assert re.search(r"tensor\(\[(\d, ){8}\d\]\)", capsys.readouterr().out)


def test_speeds_are_those_of_the_stored_results(tmp_path):
    """If this fails: `make bench PUBLISH=1` measures and writes them."""
    copy = tmp_path / "README.md"
    copy.write_text(README, "utf-8")
    assert not replace_between_marks(copy, "speed", report.to_markdown(*report.read()))


def test_both_stored_results_are_of_full_mnist_and_of_one_machine():
    with_bfloat16, without = report.read()
    assert with_bfloat16["source"] == without["source"] == "mnist"
    assert with_bfloat16["machine"]["bfloat16"] is True
    assert without["machine"]["bfloat16"] is False
    for name in ("processor", "cores", "device", "torch"):
        assert with_bfloat16["machine"][name] == without["machine"][name]
