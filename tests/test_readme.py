"""The pages' links lead somewhere, the example runs, and speeds are those measured.

Their scoreboard: see test_scoreboard.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mnistkit.utils.storage import replace_between_marks
from tests.benchmarks import report

ROOT = Path(__file__).resolve().parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", "mnistkit/README.md", "notebooks/README.md",
         "tests/benchmarks/README.md"]  # fmt: skip


def read(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), flags=re.M)
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_exist(page):
    for target in re.findall(r"\]\((?!https://)([^)]+)\)", read(page)):
        path, _, anchor = target.partition("#")
        found = (ROOT / page).parent / path if path else ROOT / page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target


def test_the_first_page_is_one_page():
    assert len(read("README.md").encode()) < 9_000


def test_every_module_stands_in_the_table_of_rooms():
    rows = "".join(re.findall(r"^\|[ \d]*\| `.*", read("mnistkit/README.md"), flags=re.M))
    words = set(re.findall(r"`([\w/]+)`", rows))
    modules = {path.stem for path in (ROOT / "mnistkit").rglob("*.py")} - {"__init__"}
    assert {name for name in modules - words if not re.match(r"n\d\d_", name)} == set()


def test_library_example_runs(monkeypatch, capsys):
    (example,) = re.findall(r"```python\n(.*?)```", read("mnistkit/README.md"), flags=re.S)
    monkeypatch.setenv("MNISTKIT_SOURCE", "sample")
    exec(compile(example, "README.md", "exec"), {})
    assert re.search(r"tensor\(\[(\d, ){8}\d\]\)", capsys.readouterr().out)


def test_speeds_are_those_of_the_stored_results(tmp_path):
    """If this fails: `make bench PUBLISH=1` measures and writes them."""
    copy = tmp_path / "README.md"
    copy.write_text(read("tests/benchmarks/README.md"), "utf-8")
    assert not replace_between_marks(copy, "speed", report.to_markdown(*report.read()))


def test_both_stored_results_are_of_full_mnist_and_of_one_machine():
    with_bfloat16, without = report.read()
    assert with_bfloat16["source"] == without["source"] == "mnist"
    assert with_bfloat16["machine"]["bfloat16"] is True
    assert without["machine"]["bfloat16"] is False
    for name in ("processor", "cores", "device", "torch"):
        assert with_bfloat16["machine"][name] == without["machine"][name]
