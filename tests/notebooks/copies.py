"""Copies of the notebooks for nbval: on few digits, and behind each exercise its solution.

`python -m tests.notebooks.copies FOLDER` writes them. Stored outputs stay, so that the cells
that look the same everywhere are compared. A solution that its check does not find right raises.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import nbformat
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from mnistkit import exercises
from mnistkit.notebooks.execute import FIRST_LOOK, find_notebooks, parameter_defaults

OWN = {
    "02_linear_vs_relu": {"seeds": 8},  # an exercise asks for as many
    "05_mobilenet_transfer": {"train_size": 60, "control_size": 40},  # slow features
}


def write_copies(folder: Path) -> None:
    """Write a copy of each notebook into `folder`; what was there is deleted."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in find_notebooks():
        parameters = short_parameters(path, folder)
        copy = parameterize_notebook(load_notebook_node(str(path)), parameters)
        copy.cells = [c for cell in copy.cells for c in (cell, *solved(cell))]
        nbformat.write(copy, folder / path.name)


def short_parameters(notebook: Path, folder: Path) -> dict[str, object]:
    """Return those of a first look; what the notebook writes goes into `folder`, too."""
    values = FIRST_LOOK | OWN.get(notebook.stem, {})
    values |= {"models_dir": str(folder / "models"), "output_dir": str(folder / notebook.stem)}
    return {name: values[name] for name in parameter_defaults(notebook) if name in values}


def solved(cell: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """Return a cell that solves the exercise of this one, if it is one."""
    if "exercise" not in cell.metadata.get("tags", []):
        return []
    call = re.search(r'exercises\.check\("(\d\.\d)", (.*)\)\Z', cell.source)
    solution = exercises.find(call[1]).solution.removesuffix(call[0])
    source = (
        f'{solution}\nsaid = exercises.find("{call[1]}").verdict({call[2]})\n'
        f'assert said.startswith("{call[1]} right: "), said'
    )
    return [nbformat.v4.new_code_cell(source)]


if __name__ == "__main__":
    write_copies(Path(sys.argv[1]).resolve())
