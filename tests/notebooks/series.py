"""Notebooks that run in seconds, and one as papermill leaves it behind."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

PARAMETERS = """\
source = "auto"  # which digits
seeds = 3  # how often
rate = 0.1  # learning rate
save_figures = False  # also to figures/
limit = None  # digits
size = 10  # digits to train on; None for all
output_dir = "runs/01"  # own files
"""
RECORD = 'from mnistkit import record; record("sample", accuracy={"score": rate})'


def write_notebook(path, *sources, parameters=PARAMETERS):
    cells = [new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    cells += [new_code_cell(source) for source in sources]
    kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    nbformat.write(new_notebook(cells=cells, metadata=kernel), path)


def executed_notebook():
    """What papermill leaves behind, with all that is not to be committed."""
    plot = new_output(
        "display_data",
        {"image/png": "iVBORw0KGgo="},
        metadata={"image/png": {"alt": "A plot.", "width": 5, "x": 1}, "needs_background": "light"},
    )
    cells = [
        new_markdown_cell("# Title", metadata={"papermill": {"duration": 1}}),
        new_code_cell(
            "x = 1", metadata={"tags": ["parameters"], "papermill": {}}, execution_count=3
        ),
        new_code_cell("x = 2", metadata={"tags": ["injected-parameters"]}, execution_count=4),
        new_code_cell(
            "plot()",
            metadata={"execution": {"iopub.execute_input": "2026"}},
            execution_count=9,
            outputs=[
                new_output("stream", name="stdout", text="one\n"),
                new_output("stream", name="stdout", text="two\n"),
                plot,
                new_output("execute_result", {"text/plain": "5"}, execution_count=9),
            ],
        ),
    ]
    metadata = {
        "papermill": {"input_path": "x"},
        "widgets": {"application/vnd.jupyter.widget-state+json": {}},
        "language_info": {"name": "python", "version": "3.11.7"},
    }
    return new_notebook(cells=cells, metadata=metadata)


REVEAL_FILES = ("dist/reveal.js", "dist/reveal.css", "plugin/notes/notes.js")


def stub_reveal(folder: Path) -> Path:
    """Fill a folder as reveal.js does, with scripts that would end their element if they could."""
    for name in REVEAL_FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"/* {name} <!-- <script></script> */", encoding="utf-8")
    return folder
