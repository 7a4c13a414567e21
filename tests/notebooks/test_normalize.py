"""Executed notebooks are brought into one form, and stay in it."""

from __future__ import annotations

import nbformat
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook

from mnistkit.errors import NotebookError
from mnistkit.notebooks.normalize import normalize, normalize_file
from tests.notebooks.series import executed_notebook


def test_normalising_keeps_content_and_drops_the_rest():
    clean = normalize(executed_notebook())
    nbformat.validate(clean)
    assert [cell.id for cell in clean.cells] == ["cell-01", "cell-02", "cell-03"]
    assert [cell.metadata for cell in clean.cells] == [{}, {"tags": ["parameters"]}, {}]
    assert [cell.execution_count for cell in clean.cells[1:]] == [1, 2]
    stream, plot, result = clean.cells[2].outputs
    assert stream.text == "one\ntwo\n"
    assert plot.metadata == {"image/png": {"alt": "A plot.", "width": 5}}
    assert result.execution_count == 2
    assert set(clean.metadata) == {"kernelspec", "language_info"}


def test_normalising_twice_changes_nothing(tmp_path):
    path = tmp_path / "n.ipynb"
    nbformat.write(executed_notebook(), path)
    assert normalize_file(path)
    assert not normalize_file(path)


def test_normalising_keeps_what_makes_a_slide_of_a_cell():
    notebook = executed_notebook()
    marks = {"slide_type": "slide", "answer": [1, 2], "text": [-1, -1], "show": "output"}
    notebook.cells[0].metadata = nbformat.from_dict({"slideshow": marks | {"colour": "red"}})
    clean = normalize(notebook)
    assert clean.cells[0].metadata == {"slideshow": marks}
    assert normalize(clean).cells[0].metadata == {"slideshow": marks}


def test_pictures_that_are_pasted_into_text_stay():
    cell = new_markdown_cell("![a](attachment:a.png)")
    cell["attachments"] = {"a.png": {"image/png": "aGk="}}
    clean = normalize(new_notebook(cells=[cell]))
    assert clean.cells[0].attachments == {"a.png": {"image/png": "aGk="}}


@pytest.mark.parametrize("own", [{}, {"other": 1}, "executed", None, ["executed"]])
def test_what_others_wrote_into_the_metadata_is_left_out(own):
    notebook = executed_notebook()
    notebook.metadata["mnistkit"] = own
    assert "mnistkit" not in normalize(notebook).metadata
    notebook.metadata["mnistkit"] = {"executed": "0" * 12, "sources": "1" * 12}
    assert normalize(notebook).metadata["mnistkit"] == {"executed": "0" * 12}


def test_another_notebook_of_that_name_is_not_replaced(tmp_path):
    path, folder = tmp_path / "02_ada.ipynb", tmp_path / "there"
    nbformat.write(executed_notebook(), path)
    assert normalize_file(path, folder)
    assert not normalize_file(path, folder), "the same again"
    there = nbformat.read(folder / path.name, 4)
    there.cells.append(new_markdown_cell("MY ANSWERS"))
    nbformat.write(there, folder / path.name)
    with pytest.raises(NotebookError, match=r"another 02_ada\.ipynb is there already"):
        normalize_file(path, folder)
    assert "MY ANSWERS" in (folder / path.name).read_text()
    assert normalize_file(path, folder, replace=True)
