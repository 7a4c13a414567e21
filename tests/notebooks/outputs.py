"""A second checker of the notebooks' outputs, which stands by for nbval.

It needs nbclient alone and finds what nbval's lax mode finds; test_outputs.py holds it to that.
`pytest -n 2 tests/notebooks/outputs.py` runs it; mnistkit/notebooks/suite.py has it in store.
"""

from __future__ import annotations

import copy
import re
import tempfile
from collections import defaultdict
from pathlib import Path
from pprint import pformat

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from mnistkit.notebooks.execute import KERNEL, local_transport
from mnistkit.notebooks.suite import COPIES

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = Path(__file__).with_name("sample.cfg")
SKIPPED = {"image/png", "image/jpeg", "application/vnd.jupyter.widget-view+json"}
SKIPPED |= {"output_type", "traceback"}  # these are keys of an error


@pytest.fixture(autouse=True)
def _quiet_and_alone():
    """The caller's settings reach the notebooks; this replaces the fixture that hides them."""


@pytest.mark.parametrize(
    "path", sorted((ROOT / COPIES).glob("*.ipynb")), ids=lambda path: path.stem
)
def test_checked_outputs_are_as_committed(path):
    committed, sanitize = nbformat.read(path, as_version=4), read_patterns(SAMPLE)
    found = differences(committed, run_all_cells(committed, path.parent), sanitize)
    lines = [f"{path.name}, cell In [{number}] {what}" for number, what in found.items()]
    if lines:
        pytest.fail("\n\n".join(lines), pytrace=False)


def run_all_cells(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """Execute a copy of the notebook in `folder`, to its end even if cells raise."""
    fresh = copy.deepcopy(notebook)
    for cell in fresh.cells:
        if cell.cell_type == "code":
            cell.outputs = []  # nbclient would leave those of an empty cell
    with tempfile.TemporaryDirectory(prefix="mnistkit-") as sockets:
        NotebookClient(
            fresh, kernel_name=KERNEL, config=local_transport(sockets), allow_errors=True,
            skip_cells_with_tag="", timeout=600, startup_timeout=120,
        ).execute(cwd=str(folder))  # fmt: skip
    return fresh


def differences(
    committed: NotebookNode, executed: NotebookNode, sanitize: dict[str, str]
) -> dict[int, str]:
    """Say what is wrong with which code cell, counted from 1 as in In [1].

    sanitize: regular expressions, and what replaces their matches before comparing.
    """
    pairs = zip(committed.cells, executed.cells, strict=True)
    code = [(cell, run) for cell, run in pairs if cell.cell_type == "code"]
    found = {number: difference(*pair, sanitize) for number, pair in enumerate(code, start=1)}
    return {number: what for number, what in found.items() if what}


def difference(cell: NotebookNode, executed: NotebookNode, sanitize: dict[str, str]) -> str:
    tags = cell.metadata.get("tags", [])
    for output in executed.outputs:
        if output.output_type == "error" and "raises-exception" not in tags:
            return f"raised {output.ename}: {output.evalue}\n" + "\n".join(output.traceback)
    if cell.execution_count is None:
        return "has outputs, but no execution count" if cell.outputs else ""
    old, new = compared(cell.outputs, sanitize), compared(executed.outputs, sanitize)
    if "nbval-check-output" not in tags or old == new:
        return ""
    return f"differs\nexpected:\n{pformat(old)}\nfound:\n{pformat(new)}"


def compared(outputs: list[NotebookNode], sanitize: dict[str, str]) -> dict[str, list]:
    """Gather by kind what counts, in its order; how the kinds follow each other does not."""
    found = defaultdict(list)
    for output in outputs:
        stream = output.output_type == "stream"
        parts = {output.name: output.text} if stream else output.get("data", output)
        for kind in parts.keys() - SKIPPED:
            found[kind].append(parts[kind])
    for kind, values in found.items():
        if kind in ("stdout", "stderr"):  # what a carriage return overwrites is not seen
            values = [re.sub(r"^.*\r(?=[^\n])", "", "".join(values), flags=re.M)]
        for regex, new in sanitize.items():
            values = [re.sub(regex, new, v) if isinstance(v, str) else v for v in values]
        found[kind] = values
    return dict(found)


def read_patterns(path: Path) -> dict[str, str]:
    """Read a file that nbval takes as --nbval-sanitize-with."""
    return dict(re.findall("^regex: (.*)\n^replace: (.*)", path.read_text("utf-8"), flags=re.M))
