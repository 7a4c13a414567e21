"""nbval and the checker that stands by for it find the same tampering."""

from __future__ import annotations

import copy
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
from nbformat import NotebookNode

from mnistkit.notebooks import suite
from mnistkit.notebooks.execute import find_notebooks
from tests.notebooks import outputs

ROOT = Path(__file__).resolve().parents[2]
CHECKED = ("nbval-check-output",)
RAISES = ("nbval-check-output", "raises-exception")

IMPORTS = """\
import sys, time
import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import clear_output, display"""
LINES = 'print("Images: 60,000")\nprint("Classes: 10 ± 0")'
TABLE = 'pd.DataFrame({"digit": [0, 1], "share": [0.099, 0.112]})'
FIGURE = "plt.plot([0, 1])\nplt.show()"
TWO = "display(1)\ndisplay(2)"
MIXED = f"print('Shares:')\n{TABLE}"
STREAMS = """\
print("loss 0.3", flush=True)
print("slow", file=sys.stderr, flush=True)
print("loss 0.2", flush=True)"""
LINE = f"A1  {'V0 reaches 91.94 %':48}91.8 +- 0.3 %  reproduced"
VERDICT = f"print('Verdicts:')\nprint({LINE!r})"
VERDICT_AS_DATA = f'display({{"text/plain": {LINE!r}}}, raw=True)'
VERDICT_IN_HTML = """\
from mnistkit.utils.page import say, table_of_words
row = ["A1", "V0 reaches 91.94 %", "91.8 +- 0.3 %", "reproduced"]
table = pd.DataFrame([row], columns=["", "claim", "measured", "verdict"])
say("A1", html=table_of_words(table))"""
JSON = 'display({"application/json": {"n": 1}}, raw=True)'
DATA = 'display({"text/latex": "$n$", "image/svg+xml": "<g/>"}, raw=True)'
WIDGET = 'display({"application/vnd.jupyter.widget-view+json": {"model_id": "a"}}, raw=True)'
ERROR = "raise ValueError('no such digit')"
REDRAWN = 'print("1 of 2\\r2 of 2")'

Tampering = Callable[[NotebookNode], None]


def change(old: str, new: str, kind: str = "text") -> Tampering:
    """Replace within one kind of output: "text" of streams, a MIME type or part of an error."""

    def tamper(cell: NotebookNode) -> None:
        for output in cell.outputs:
            for parts in (output, output.get("data", {})):
                if isinstance(parts.get(kind), str):
                    parts[kind] = parts[kind].replace(old, new)

    return tamper


def put(place: str, value: object) -> Tampering:
    """Set a field of an output, or one below it: "text" or "metadata.image/png"."""

    def tamper(cell: NotebookNode) -> None:
        *above, last = place.split(".", maxsplit=1)
        parts = cell.outputs[0][above[0]] if above else cell.outputs[0]
        parts[last] = nbformat.from_dict(value)

    return tamper


def drop(kind: str) -> Tampering:
    return lambda cell: cell.outputs[0].data.pop(kind)


def add(output_type: str = "stream", **fields: object) -> Tampering:
    return lambda cell: cell.outputs.append(nbformat.v4.new_output(output_type, **fields))


def reorder(*order: int) -> Tampering:
    """Keep these outputs, in this order."""
    return lambda cell: cell.update(outputs=[copy.deepcopy(cell.outputs[n]) for n in order])


def cell_gets(**fields: object) -> Tampering:
    return lambda cell: cell.update(nbformat.from_dict(fields))


def tagged(*tags: str) -> Tampering:
    return lambda cell: cell.metadata.update(tags=list(tags))


def split(cell: NotebookNode) -> None:
    """Break what was printed into two outputs, within a line."""
    text = cell.outputs[0].text
    cell.outputs[0].text = text[:5]
    add(name="stdout", text=text[5:])(cell)


def show(cell: NotebookNode) -> None:
    """Make a result an output that was shown."""
    cell.outputs = [nbformat.v4.new_output("display_data", data=cell.outputs[0].data)]


def nothing(cell: NotebookNode) -> None:
    pass


class Case(NamedTuple):
    source: str
    tamper: Tampering
    tags: tuple[str, ...] = CHECKED


FOUND = {
    "a digit in a printed line": Case(LINES, change("60,000", "60,001")),
    "a sign in a printed line": Case(LINES, change("±", "+-")),
    "a space at a line's end": Case(LINES, change("000\n", "000 \n")),
    "a no-break space": Case(LINES, change(": ", ":\u00a0")),
    "the last line's end": Case(LINES, change("± 0\n", "± 0")),
    "the case of a letter": Case(LINES, change("Images", "images")),
    "two lines swapped": Case(LINES, put("text", "Classes: 10 ± 0\nImages: 60,000\n")),
    "a line less": Case(LINES, change("Images: 60,000\n", "")),
    "a digit in html alone": Case(TABLE, change("0.112", "0.113", "text/html")),
    "a digit in a table's text alone": Case(TABLE, change("0.112", "0.113", "text/plain")),
    "space in html": Case(TABLE, change("<td>0.112", "<td> 0.112", "text/html")),
    "no html": Case(TABLE, drop("text/html")),
    "no text": Case(TABLE, drop("text/plain")),
    "another kind of data": Case(TABLE, put("data.text/markdown", "| 0 |")),
    "a number in JSON": Case(JSON, put("data.application/json", {"n": 2})),
    "latex": Case(DATA, change("n", "m", "text/latex")),
    "an svg picture": Case(DATA, change("g", "p", "image/svg+xml")),
    "a figure's text": Case(FIGURE, change("1 Axes", "2 Axes", "text/plain")),
    "no figure": Case(FIGURE, cell_gets(outputs=[])),
    "a figure more": Case(FIGURE, reorder(0, 0)),
    "two outputs swapped": Case(TWO, reorder(1, 0)),
    "one of two outputs": Case(TWO, reorder(0)),
    "an output twice": Case(TWO, reorder(0, 1, 1)),
    "a printed line more": Case(LINES, add(name="stdout", text="Writers: 500\n")),
    "a printed line beside a table": Case(TABLE, add(name="stdout", text="Shares:\n")),
    "a table without its heading": Case(MIXED, reorder(1)),
    "no output": Case(LINES, cell_gets(outputs=[])),
    "an output of a silent cell": Case("n = 1", add(name="stdout", text="1\n")),
    "a digit in the last of several streams": Case(STREAMS, change("0.2", "0.1")),
    "a word on stderr": Case(STREAMS, change("slow", "fast")),
    "no stderr": Case(STREAMS, reorder(0, 2)),
    "a line on stderr": Case(LINES, add(name="stderr", text="Warning: slow\n")),
    "stderr for stdout": Case(LINES, put("name", "stderr")),
    "what was drawn over the line": Case(REDRAWN, change("2 of 2\n", "2 of 3\n")),
    "a claim's statement": Case(VERDICT, change("91.94", "91.95")),
    "a claim's id": Case(VERDICT, change("A1", "A2")),
    "an id that no claim has": Case(VERDICT, change("A1", "A9")),
    "a statement out of its column": Case(VERDICT, change("A1  V0", "A1 V0")),
    "a line above a verdict": Case(VERDICT, change("Verdicts", "verdicts")),
    "a claim in a table": Case(VERDICT_IN_HTML, change("reaches", "misses", "text/html")),
    "a verdict more": Case(VERDICT, add(name="stdout", text=LINE.replace("A1", "A2") + "\n")),
    "a claim's statement as data": Case(VERDICT_AS_DATA, change("V0", "V1", "text/plain")),
    "a source that prints something else": Case(LINES, cell_gets(source="print('Images: 6')")),
    "a source that prints nothing": Case(LINES, cell_gets(source="n = 1")),
    "no source": Case(LINES, cell_gets(source="")),
    "a source that raises": Case(LINES, cell_gets(source=f"{LINES}\n{ERROR}")),
    "a source that raises, its output unchecked": Case(LINES, cell_gets(source=ERROR), ()),
    "an error that may not be": Case(ERROR, tagged("nbval-check-output"), RAISES),
    "an error that may not be, its output unchecked": Case(ERROR, tagged(), RAISES),
    "an error under a tag that nbclient skips": Case(
        LINES, cell_gets(source=ERROR), ("skip-execution",)
    ),
    "an error's message": Case(ERROR, change("no such", "another", "evalue"), RAISES),
    "an error's name": Case(ERROR, change("Value", "Key", "ename"), RAISES),
    "no error": Case(ERROR, cell_gets(source="n = 1"), RAISES),
    "outputs without a count": Case(LINES, cell_gets(execution_count=None)),
    "outputs without a count, unchecked": Case(LINES, cell_gets(execution_count=None), ()),
}
MISSED = {
    "nothing, in lines": Case(LINES, nothing),
    "nothing, in a table": Case(TABLE, nothing),
    "nothing, in a figure": Case(FIGURE, nothing),
    "nothing, in streams": Case(STREAMS, nothing),
    "nothing, in data": Case(DATA, nothing),
    "nothing, in a silent cell": Case("n = 1", nothing),
    "nothing, in an error": Case(ERROR, nothing, RAISES),
    "nothing, in a cell that nbclient skips": Case(LINES, nothing, (*CHECKED, "skip-execution")),
    "an unchecked cell's changing output": Case("print(time.perf_counter_ns())", nothing, ()),
    "an unchecked cell's output": Case(LINES, change("60,000", "0"), ()),
    "an unchecked cell's only output": Case(LINES, cell_gets(outputs=[]), ()),
    "a digit, and no tag any more": Case(
        LINES, lambda cell: (change("6", "7")(cell), tagged()(cell))
    ),
    "an error that need not be, unchecked": Case("n = 1", nothing, ("raises-exception",)),
    "a verdict, which depends on the data": Case(VERDICT, change("reproduced", "undecided")),
    "a verdict's number": Case(VERDICT, change("91.8", "81.8")),
    "a verdict's length": Case(VERDICT, change("91.8 +- 0.3 %  repro", "repro")),
    "a verdict in a table": Case(VERDICT_IN_HTML, change("91.8 +- 0.3 %", "81.8", "text/html")),
    "a verdict as data": Case(VERDICT_AS_DATA, change("91.8", "81.8", "text/plain")),
    "a figure's picture": Case(FIGURE, put("data.image/png", "iVBORw0KGgo=")),
    "a figure without its picture": Case(FIGURE, drop("image/png")),
    "a figure's alt text": Case(FIGURE, put("metadata.image/png", {"alt": "A line that falls"})),
    "a widget's id": Case(
        WIDGET, put("data.application/vnd.jupyter.widget-view+json", {"model_id": "b"})
    ),
    "an output's count": Case(TABLE, put("execution_count", 99)),
    "a cell's count": Case(LINES, cell_gets(execution_count=99)),
    "a result that was shown": Case(TABLE, show),
    "a table above its heading": Case(MIXED, reorder(1, 0)),
    "stderr above stdout": Case(STREAMS, reorder(1, 0, 2)),
    "one line in two outputs": Case(LINES, split),
    "what was drawn over": Case(REDRAWN, change("1 of 2", "0 of 2")),
    "an error's traceback": Case(ERROR, put("traceback", ["Traceback"]), RAISES),
    "a checked cell that never ran": Case(LINES, cell_gets(execution_count=None, outputs=[])),
    "a source that prints the same": Case(LINES, cell_gets(source=f"n = 1\n{LINES}")),
}
# Here the two cannot agree, and the series does without what makes them differ.
FOUND_BY_NBVAL_ALONE = {
    # nbval keeps what a cell takes back or redraws, and nbclient what is left, as JupyterLab
    # does. The same goes for what a widget holds; nbclient may hang there, so no case is here.
    "a cleared output": Case("print(1)\nclear_output()\nprint(2)", nothing),
    "an updated output": Case("shown = display(1, display_id=True)\nshown.update(2)", nothing),
    # nbval leaves no history, so that the kernel does not count.
    "the kernel's count": Case("len(In) > 1", nothing),
    # nbval reads comments as well.
    "a comment for a tag": Case(f"# NBVAL_CHECK_OUTPUT\n{LINES}", change("60,000", "0"), ()),
}
FOUND_BY_SECOND_ALONE = {
    # nbval has a tag of its own by which a cell is not run.
    "a skipped cell that raises": Case(LINES, cell_gets(source=ERROR), ("nbval-skip",)),
}
CASES = FOUND | MISSED | FOUND_BY_NBVAL_ALONE | FOUND_BY_SECOND_ALONE


def new_cell(case: Case, cell_outputs: list[NotebookNode], count: int | None) -> NotebookNode:
    metadata = {"tags": list(case.tags)} if case.tags else {}
    return nbformat.v4.new_code_cell(
        case.source, metadata=metadata, outputs=copy.deepcopy(cell_outputs), execution_count=count
    )


def true_outputs(folder: Path) -> dict[str, list[NotebookNode]]:
    """Run each source once and return what it gives, by the source."""
    cases = {case.source: case for case in [Case(IMPORTS, nothing), *CASES.values()]}
    cells = [new_cell(case, [], None) for case in cases.values()]
    executed = outputs.run_all_cells(nbformat.v4.new_notebook(cells=cells), folder)
    return {cell.source: cell.outputs for cell in executed.cells}


def write_tampered(path: Path) -> NotebookNode:
    """Write a notebook that was run, with one cell for each case, then tampered with."""
    true = true_outputs(path.parent)
    cells = [new_cell(Case(IMPORTS, nothing), [], 1), nbformat.v4.new_markdown_cell("Between.")]
    for count, (name, case) in enumerate(CASES.items(), start=2):
        cell, as_run = (new_cell(case, true[case.source], count) for _ in range(2))
        cell["id"] = as_run["id"] = f"cell-{count}"
        case.tamper(cell)
        assert (cell == as_run) == (case.tamper is nothing), f"tampering in vain: {name}"
        cells.append(cell)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return nbformat.read(path, as_version=4)


def found_by_nbval(path: Path) -> set[int]:
    """Return the code cells at which nbval, called as the suite calls it, fails; from 1."""
    report = path.with_suffix(".xml")
    options = [option for option in suite.NBVAL if suite.COPIES not in option]
    # Not in two processes, for one notebook is checked by one of them.
    command = [sys.executable, "-m", "pytest", *options, "-n", "0", f"--junitxml={report}", path]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 1, result.stdout[-3000:] + result.stderr[-3000:]
    cells = ET.parse(report).findall(".//testcase")
    assert len(cells) == len(CASES) + 1
    return {int(cell.get("name")[5:]) + 1 for cell in cells if cell.findall("failure")}


def names_of(numbers: Iterable[int]) -> set[str]:
    names = ["the imports", *CASES]
    return {names[number - 1] for number in numbers}


@pytest.mark.long
def test_both_find_the_same_tampering(tmp_path):
    notebook = write_tampered(tmp_path / "tampered.ipynb")
    executed = outputs.run_all_cells(notebook, tmp_path)
    second = outputs.differences(notebook, executed, outputs.read_patterns(outputs.SAMPLE))
    assert names_of(second) == FOUND.keys() | FOUND_BY_SECOND_ALONE.keys()
    nbval = names_of(found_by_nbval(tmp_path / "tampered.ipynb"))
    assert nbval == FOUND.keys() | FOUND_BY_NBVAL_ALONE.keys()


def test_second_names_notebook_and_cell_and_shows_both_outputs(tmp_path):
    sources = [LINES, "import os\nprint(os.getcwd())", ERROR]
    cells = [nbformat.v4.new_code_cell(source, execution_count=1) for source in sources]
    cells.insert(1, nbformat.v4.new_markdown_cell("Between."))
    cells[0].metadata.tags = cells[2].metadata.tags = list(CHECKED)
    add(name="stdout", text="Images: 60,001\nClasses: 10 ± 0\n")(cells[0])
    add(name="stdout", text=f"{tmp_path}\n")(cells[2])
    path = tmp_path / "01_data.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    with pytest.raises(pytest.fail.Exception) as caught:
        outputs.test_checked_outputs_are_as_committed(path)
    first, second = str(caught.value).split("\n\n")[:2]
    assert first == (
        "01_data.ipynb, cell In [1] differs\n"
        "expected:\n{'stdout': ['Images: 60,001\\nClasses: 10 ± 0\\n']}\n"
        "found:\n{'stdout': ['Images: 60,000\\nClasses: 10 ± 0\\n']}"
    )
    assert second.startswith("01_data.ipynb, cell In [3] raised ValueError: no such digit\n")


@pytest.mark.parametrize("path", find_notebooks(), ids=lambda path: path.stem)
def test_series_marks_cells_only_as_both_understand(path):
    for cell in nbformat.read(path, as_version=4).cells:
        assert "NBVAL_" not in cell.source
        assert set(cell.metadata.get("tags", [])) <= {"parameters", "exercise", "cover", *RAISES}
