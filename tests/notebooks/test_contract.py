"""What every committed notebook promises: its form, its opening, its outputs."""

from __future__ import annotations

import ast
import base64
import io
import re
from functools import cache
from itertools import pairwise
from pathlib import Path

import nbformat
import PIL.Image
import pytest

from mnistkit.notebooks.execute import code_digest, parameter_defaults
from mnistkit.notebooks.normalize import normalize
from mnistkit.notebooks.records import read_records
from mnistkit.study.report import verdict_lines
from tests.notebooks.statements.outputs import printed

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
NAMES = [
    "01_data", "02_linear_vs_relu", "03_mlp_tuning_qmnist", "04_cnn", "05_mobilenet_transfer",
    "06_scoreboard", "07_trust",
]  # fmt: skip

README = (ROOT / "README.md").read_text(encoding="utf-8")

pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@cache
def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def outputs(path: Path) -> list[nbformat.NotebookNode]:
    return [output for cell in code_cells(path) for output in cell.outputs]


def test_the_series_is_whole(path):
    assert [p.stem for p in NOTEBOOKS] == NAMES
    assert path.stem in NAMES


def test_normalising_changes_nothing(path):
    own = nbformat.read(path, as_version=4)  # it is changed in place
    assert path.read_text("utf-8") == nbformat.writes(normalize(own), version=4) + "\n"


def test_is_small_and_valid(path):
    assert path.stat().st_size < 550_000  # 04 has most figures, with twice the pixels of a page
    nbformat.validate(read(path))


def test_was_executed_from_top_to_bottom(path):
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))
    for cell in code_cells(path):
        if re.search(r"^(print|mk\.show_figure|mk\.record)\(", cell.source, flags=re.M):
            assert cell.outputs, cell.source


def test_outputs_are_of_the_code_above_them(path):
    stamp = read(path).metadata.get("mnistkit", {}).get("executed")
    assert stamp == code_digest(read(path)), (
        f"the code has changed since it was executed: `mnistkit run {path.stem[:2]}` on full "
        f"MNIST, then `mnistkit normalize --into notebooks runs/{path.name}`"
    )


def test_outputs_hold_no_error_warning_widget_or_path(path):
    for output in outputs(path):
        assert output.output_type != "error"
        assert output.get("name") != "stderr", output.get("text")
        text = str({k: v for k, v in output.get("data", {}).items() if k != "image/png"})
        text += output.get("text", "")
        assert "widget" not in text
        assert "Warning" not in text
        assert not re.search(r"(?<![\w/:.<])/[A-Za-z]\w*/\w|\b[A-Z]:\\", text), "an absolute path"


def test_was_executed_on_full_data(path):
    assert {record.source for record in read_records(path)} <= {"mnist", "qmnist"}
    assert read_records(path)


def test_opens_with_title_objectives_minutes_and_claims(path):
    first = read(path).cells[0]
    assert first.cell_type == "markdown"
    assert re.match(rf"# {path.stem[:2]} · \S", first.source)
    assert "After this notebook you can" in first.source
    assert re.search(r"About \d+ minutes? on two processor cores", first.source)
    assert "under test**" in first.source
    assert first.source.count("|") > 8


def test_minutes_are_those_of_the_readme(path):
    row = next(line for line in README.splitlines() if line.startswith(f"| [{path.stem}]"))
    about = re.search(r"^About .*?\.(?= |$)", read(path).cells[0].source, flags=re.M)[0]
    assert set(re.findall(r"\d+", row.split("|")[3])) == set(re.findall(r"\d+", about))


def test_parameters_come_first_one_plain_line_each_with_a_comment(path):
    parameters = code_cells(path)[0]
    assert parameters.metadata.tags == ["parameters"]
    for line in parameters.source.splitlines():
        assert re.match(r"^[a-z][a-z0-9_]* = [^=#]+  # \S", line), line
        ast.literal_eval(line.split(" = ")[1].split("  #")[0])
    defaults = parameter_defaults(path)
    assert len(defaults) == len(parameters.source.splitlines())
    assert defaults["source"] == "auto"
    assert defaults["save_figures"] is False


def test_every_code_cell_follows_a_reason(path):
    # Imports and loading may stand together; elsewhere prose leads to each cell or two.
    cells, run = read(path).cells[3:], 0
    for cell in cells:
        run = run + 1 if cell.cell_type == "code" else 0
        assert run <= 2, cell.source


def test_every_figure_has_words(path):
    pictures = [output for output in outputs(path) if "image/png" in output.get("data", {})]
    assert len(pictures) >= 3
    for picture in pictures:
        assert len(picture.metadata["image/png"]["alt"]) > 20


def test_pictures_come_from_cells_that_show_one(path):
    for cell in code_cells(path):
        drawn = sum("image/png" in output.get("data", {}) for output in cell.outputs)
        shown = len(re.findall(r"mk\.(?:show_figure|draw_digit)\(", cell.source))
        assert bool(drawn) == bool(shown) or "interactive" in cell.source, cell.source


def test_claims_at_the_top_get_their_verdicts_at_the_end(path):
    announced = re.findall(r"^\| ([A-E]\d) \|", read(path).cells[0].source, flags=re.M)
    calls = [c for c in code_cells(path) if c.source.startswith("mk.print_verdicts(")]
    assert len(calls) == bool(announced)
    for cell in calls:
        assert cell.metadata.tags == ["nbval-check-output"]
        ids = [line[:2] for line in printed(cell).splitlines()]
        assert ids == sorted(ids)
        assert set(ids) == set(announced)


def test_committed_verdicts_are_the_scoreboards(path):
    for cell in code_cells(path):
        if cell.source.startswith("mk.print_verdicts("):
            lines = printed(cell).splitlines()
            assert verdict_lines([line[:2] for line in lines], "mnist") == lines


def test_ends_with_what_we_saw_exercises_and_where_next(path):
    words = [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]
    headings = [line for source in words for line in source.splitlines() if line[:3] == "## "]
    assert headings[-2:] == ["## What we saw", "## Exercises"]
    assert re.search(r"\*\*(Next|Back to):\*\* \[\d\d_", words[-1])


def test_other_notebooks_are_linked_to(path):
    for cell in read(path).cells:
        if cell.cell_type == "markdown":
            for name in re.findall(r"(?<!\[)`(\d\d_[a-z_]+)`", cell.source):
                assert name == path.stem, f"{name} is named and not linked to"
            for place in re.findall(r"\]\((?!https://)([^)]+)\)", cell.source):
                assert (path.parent / place.partition("#")[0]).is_file(), place


def test_headings_are_in_order(path):
    levels = [
        len(mark)
        for cell in read(path).cells
        if cell.cell_type == "markdown"
        for mark in re.findall(r"^(#+) ", cell.source, flags=re.M)
    ]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_some_outputs_are_exact(path):
    tagged = [c for c in code_cells(path) if "nbval-check-output" in c.metadata.get("tags", [])]
    assert tagged
    for cell in tagged:
        assert cell.outputs, "nbval checks only what is there"


def test_one_picture_stands_for_the_notebook_in_the_book(path):
    covers = [c for c in code_cells(path) if "cover" in c.metadata.get("tags", [])]
    assert len(covers) == 1
    assert any("image/png" in output.get("data", {}) for output in covers[0].outputs)


def test_nothing_is_defined_in_two_notebooks(path):
    mine = set(definitions(path))
    for other in NOTEBOOKS:
        if other != path:
            assert not mine & set(definitions(other))


def definitions(path: Path) -> list[str]:
    found = []
    for cell in code_cells(path):
        found += [
            node.name
            for node in ast.parse(cell.source).body
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
        ]
    return found


def test_links_to_the_world_are_well_formed(path):
    # They are not fetched: a site that is down must not fail a test.
    words = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    for link in re.findall(r"\]\((\w+:[^)\s]*)\)", words):
        assert re.fullmatch(r"https://[a-z0-9-]+(\.[a-z0-9-]+)+(/[\w.,:;%~#/()-]*)?", link), link
        if "arxiv.org" in link:
            assert re.fullmatch(r"https://arxiv\.org/abs/\d{4}\.\d{4,5}", link), link
        if "doi.org" in link:
            assert re.fullmatch(r"https://doi\.org/10\.\d{4,9}/\S+", link), link


def test_each_paper_has_one_link_in_the_whole_series(path):
    by_words: dict[str, set[str]] = {}
    for each in NOTEBOOKS:
        text = "\n".join(c.source for c in read(each).cells if c.cell_type == "markdown")
        for words, link in re.findall(r"\[([^\]`]+?,? \(?\d{4}\)?)\]\((https[^)\s]*)\)", text):
            by_words.setdefault(re.sub(r"[(),]", "", words), set()).add(link)
    assert path in NOTEBOOKS
    assert [words for words, links in by_words.items() if len(links) > 1] == []


def test_every_figure_can_be_read_on_a_phone(path):
    """Of 1,200 pixels in width, 12 points on a page of 358 are 8 pixels high."""
    for output in outputs(path):
        if "image/png" in output.get("data", {}):
            png = base64.b64decode(output.data["image/png"])
            assert PIL.Image.open(io.BytesIO(png)).width <= 1200, output.metadata["image/png"][
                "alt"
            ]
