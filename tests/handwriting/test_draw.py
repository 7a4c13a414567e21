"""There is a canvas where a page can show it, and an example of it where none can."""

from __future__ import annotations

import subprocess
import sys

import IPython
import matplotlib as mpl
import nbformat
import numpy as np
import papermill
import pytest
import torch
from IPython.display import Image
from nbformat.v4 import new_code_cell, new_notebook
from torch import nn

from mnistkit.errors import MissingPackageError
from mnistkit.handwriting.canvas import DigitCanvas
from mnistkit.handwriting.draw import draw_digit, plot_drawing
from mnistkit.handwriting.predict import ImagePrediction
from mnistkit.handwriting.strokes import EXAMPLE, draw_strokes
from mnistkit.utils.figures import alt_text
from tests.handwriting.models import Four

mpl.use("Agg")

LINE = "To draw digits yourself: pip install 'mnistkit[draw]', then run this cell in JupyterLab.\n"


# --- canvas or figure -----------------------------------------------------------------


@pytest.fixture
def figures(monkeypatch) -> list:
    """The pictures that are shown instead of a canvas."""
    pictures = []

    def show(thing):
        if isinstance(thing, Image):
            pictures.append(thing)

    monkeypatch.setattr("IPython.display.display", show)
    return pictures


@pytest.fixture
def request_of_cell(monkeypatch):
    """Let a kernel's shell say how the running cell was asked for."""

    class Shell:
        def __init__(self, metadata):
            self.metadata = metadata

        def get_parent(self):
            return {"header": {}, "metadata": self.metadata}

    def ask(metadata):
        monkeypatch.setattr(IPython, "get_ipython", lambda: Shell(metadata))

    return ask


def test_auto_is_a_canvas_where_a_page_runs_the_cell(request_of_cell, figures, capsys):
    request_of_cell({"cellId": "3b1f", "trusted": True})
    assert isinstance(draw_digit(Four()), DigitCanvas)
    assert figures == []
    assert capsys.readouterr().out == ""


def test_auto_is_a_figure_where_no_page_asks(request_of_cell, figures, capsys, monkeypatch):
    # As under a papermill that was started from a notebook: it inherits the environment.
    monkeypatch.setenv("JPY_SESSION_NAME", "notebooks/04_cnn.ipynb")
    request_of_cell({})
    assert draw_digit(Four()) is None
    assert len(figures) == 1
    assert capsys.readouterr().out == LINE


def test_auto_is_a_figure_without_a_kernel(figures, capsys):
    assert draw_digit(Four()) is None
    assert len(figures) == 1
    assert capsys.readouterr().out == LINE


def test_auto_is_a_figure_without_the_package(request_of_cell, figures, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    request_of_cell({"cellId": "3b1f"})
    assert draw_digit(Four()) is None
    assert len(figures) == 1
    assert capsys.readouterr().out == LINE


def test_who_asks_for_a_figure_is_told_nothing(request_of_cell, figures, capsys):
    request_of_cell({"cellId": "3b1f"})
    assert draw_digit(Four(), interactive=False) is None
    assert len(figures) == 1
    assert capsys.readouterr().out == ""


def test_who_asks_for_a_canvas_gets_it_anywhere_and_normalised(figures):
    canvas = draw_digit(Four(), normalized=True, interactive=True)
    assert isinstance(canvas, DigitCanvas)
    assert canvas._normalized
    assert figures == []


def test_a_canvas_without_the_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    with pytest.raises(MissingPackageError) as caught:
        draw_digit(Four(), interactive=True)
    assert isinstance(caught.value, ImportError)
    assert str(caught.value) == (
        "drawing needs the package anywidget\n  do   pip install 'mnistkit[draw]'"
    )


@pytest.mark.parametrize("value", ["Auto", "yes", None, 2, ""])
def test_another_value_is_named(value):
    with pytest.raises(ValueError, match=f"unknown value of interactive {value!r}"):
        draw_digit(Four(), interactive=value)
    with pytest.raises(ValueError, match="choose one of: False, True, auto"):
        draw_digit(Four(), interactive=value)


@pytest.mark.parametrize("interactive", [True, False])
def test_a_model_of_other_inputs_fails_at_once(interactive, figures):
    with pytest.raises(ValueError, match=r"Linear cannot compute with .*cannot be multiplied"):
        draw_digit(nn.Linear(3, 10), interactive=interactive)


def test_the_face_does_not_load_the_widget():
    code = (
        "import mnistkit, sys; mnistkit.draw_digit; "
        "sys.exit(any(name in sys.modules for name in ('anywidget', 'ipywidgets')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_a_model_the_reader_answers():
    canvas = draw_digit(interactive=True)
    canvas.drawing = {"number": 1, "strokes": [[list(point) for point in s] for s in EXAMPLE]}
    assert canvas.prediction.label == 5
    assert canvas.prediction.least_probability > 0.1
    letter = [[[300, 800], [500, 200], [700, 800]], [[380, 600], [620, 600]]]  # an A
    canvas.drawing = {"number": 2, "strokes": letter}
    assert canvas.answer["words"].startswith("no digit that I know; nearest to a ")


# --- the figure -----------------------------------------------------------------------


def test_the_figure_shows_drawing_picture_and_bars_and_says_them():
    probabilities = torch.tensor([0, 0, 0, 0.0625, 0, 0.9, 0, 0, 0.0375, 0])
    prediction = ImagePrediction(probabilities, torch.rand(28, 28))
    figure = plot_drawing(draw_strokes(EXAMPLE), prediction)
    drawn, seen, said = figure.axes
    ink = 255 - draw_strokes(EXAMPLE)
    assert np.allclose(drawn.images[0].get_array(), ink / 255)
    assert np.allclose(seen.images[0].get_array(), prediction.picture)
    assert [bar.get_width() for bar in said.patches] == pytest.approx(100 * probabilities)
    assert [text.get_text() for text in said.texts] == ["6 %", "90 %", "4 %"]
    assert alt_text(figure) == (
        "A digit drawn with a thick pen. What the network sees of it: cut out, centred, "
        "28 x 28 pixels. It reads 5 (90.0%); most probable 5 with 90.0 %, 3 with 6.2 %, "
        "8 with 3.8 %."
    )


# --- in a notebook without a page -----------------------------------------------------


def test_papermill_stores_a_figure_and_no_widget(tmp_path, monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "notebook.ipynb")
    source = (
        "import anywidget\n"
        "from mnistkit import build_model, draw_digit\n"
        "draw_digit(build_model('FastCNN', seed=0), normalized=True)"
    )
    kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    nbformat.write(
        new_notebook(cells=[new_code_cell(source)], metadata=kernel), tmp_path / "in.ipynb"
    )
    papermill.execute_notebook(
        tmp_path / "in.ipynb", tmp_path / "out.ipynb", cwd=tmp_path, progress_bar=False
    )
    notebook = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert "widgets" not in notebook.metadata
    assert "widget" not in str(notebook.cells[0].outputs)
    image, caption, line = notebook.cells[0].outputs
    assert image.metadata["image/png"]["alt"].startswith("A digit drawn with a thick pen.")
    assert caption.data["text/markdown"].startswith("*Figure: A digit drawn")
    assert line.text == LINE
