"""What is drawn is answered, whatever the page sends; without a page there is an example."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import IPython
import matplotlib as mpl
import nbformat
import numpy as np
import papermill
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_notebook
from torch import nn

from mnistkit.errors import MissingPackageError, PictureError
from mnistkit.handwriting import draw
from mnistkit.handwriting.canvas import INVITATION, DigitCanvas
from mnistkit.handwriting.draw import draw_digit, plot_drawing
from mnistkit.handwriting.predict import ImagePrediction
from mnistkit.handwriting.strokes import EXAMPLE, PEN, SIDE, UNITS, draw_strokes, read_strokes
from mnistkit.utils.figures import alt_text
from tests.handwriting.drawn_digits import STROKES

mpl.use("Agg")

ROOT = Path(__file__).resolve().parents[2]
LINE = "To draw digits yourself: pip install 'mnistkit[draw]', then run this cell in JupyterLab.\n"


class Four(nn.Module):
    """Answers 4 with 94.3 %, unless it is told to fail."""

    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(10))
        self.logits.data[4] = 5.0
        self.failure = None

    def forward(self, images):
        if self.failure:
            raise self.failure
        return self.logits.repeat(len(images), 1)


def strokes_of(digit: int, x: int = 300, height: int = 600) -> list:
    """A digit as the page would send it, its left edge at x."""
    return [
        [[round(x + height * u), round(200 + height * v)] for u, v in stroke]
        for stroke in STROKES[digit]
    ]


def send(canvas: DigitCanvas, strokes: object, number: object = 1) -> dict:
    """Do what a message of the page does, and return the answer."""
    canvas.set_state({"drawing": {"number": number, "strokes": strokes}})
    return canvas.answer


@pytest.fixture
def canvas() -> DigitCanvas:
    return DigitCanvas(Four())


# --- strokes --------------------------------------------------------------------------


def test_strokes_of_a_page_are_read_without_the_empty_ones():
    assert read_strokes([[[0, 1000], [12.5, 3]], []]) == [[(0.0, 1000.0), (12.5, 3.0)]]
    assert read_strokes([]) == []


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "a drawing is a list of strokes, not NoneType"),
        ({"0": []}, "not dict"),
        ("[]", "not str"),
        (["ab"], "a stroke is a list of points, not str"),
        ([[1, 2]], "a point is two numbers from 0 to 1000"),
        ([[[1, 2, 3]]], "a point is"),
        ([[[1, True]]], "a point is"),
        ([[[1, "2"]]], "a point is"),
        ([[[1, None]]], "a point is"),
        ([[[1, float("nan")]]], "a point is"),
        ([[[1, float("inf")]]], "a point is"),
        ([[[1, -1]]], "a point is"),
        ([[[1001, 1]]], "a point is"),
        ([[[5, 5]] * 10_001] * 2, "the drawing has 20,002 points, more than any digit"),
    ],
)
def test_what_is_no_drawing_is_named(value, reason):
    with pytest.raises(PictureError, match=reason):
        read_strokes(value)


def test_a_long_drawing_is_still_one():
    assert len(read_strokes([[[5, 5]] * 20_000])[0]) == 20_000


def test_the_pen_is_round_and_as_wide_as_it_says():
    picture = draw_strokes([[(200, 500), (800, 500)]], side=UNITS)
    ink = picture < 128
    rows, columns = np.nonzero(ink.any(axis=1))[0], np.nonzero(ink.any(axis=0))[0]
    assert len(rows) == pytest.approx(PEN, abs=2)
    assert len(columns) == pytest.approx(600 + PEN, abs=2)
    tip = ink[:, columns[0] : columns[0] + 3]
    assert tip.sum() < PEN  # of a flat end it would be three times that


PLACES = st.tuples(st.integers(0, UNITS), st.integers(0, UNITS))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(PLACES, min_size=1, max_size=30), max_size=4))
def test_ink_lies_where_the_pen_was_and_only_there(strokes):
    picture = draw_strokes(strokes)
    assert (picture.shape, picture.dtype) == ((SIDE, SIDE), np.uint8)
    for x, y in (point for stroke in strokes for point in stroke):
        row, column = (min(SIDE - 1, int(SIDE * value / UNITS)) for value in (y, x))
        assert picture[row, column] < 64
    if not strokes:
        assert (picture == 255).all()


def test_the_example_is_a_digit_of_two_strokes_drawn_the_same_each_time():
    assert len(EXAMPLE) == 2
    assert read_strokes(EXAMPLE)
    assert np.array_equal(draw_strokes(EXAMPLE), draw_strokes(EXAMPLE))


# --- the widget's answers -------------------------------------------------------------


def test_a_new_canvas_invites_and_knows_nothing(canvas):
    assert canvas.prediction is None
    assert canvas.strokes == []
    assert canvas.error is None
    empty = {"number": 0, "kind": "empty", "words": INVITATION, "picture": [], "probabilities": []}
    assert canvas.answer == empty


def test_a_digit_is_answered_with_what_the_network_saw(canvas):
    answer = send(canvas, strokes_of(4), number=17)
    assert answer["number"] == 17
    assert (answer["kind"], answer["words"]) == ("answer", "4 (94.3%)")
    assert answer["probabilities"] == [0.0064] * 4 + [0.9428] + [0.0064] * 5
    assert isinstance(canvas.prediction, ImagePrediction)
    assert str(canvas.prediction) == "4 (94.3%)"
    shades = torch.tensor(answer["picture"]).view(28, 28)
    assert torch.equal(shades, (255 * canvas.prediction.picture).round().int())
    assert shades.max() > 200
    assert len(canvas.strokes) == 2


def test_normalised_models_get_normalised_images():
    seen = []

    class Watched(Four):
        def forward(self, images):
            seen.append(images.min().item())
            return super().forward(images)

    for normalized in (False, True):
        send(DigitCanvas(Watched(), normalized=normalized), strokes_of(4))
    assert seen == [0.0, pytest.approx(-0.4242, abs=1e-3)]


@pytest.mark.parametrize(
    ("strokes", "reason"),
    [
        (strokes_of(1, 50, 400) + strokes_of(7, 600, 400), "2 separate shapes"),
        ([[[500, 500]]], "too small for a digit"),
        ([[[0, 500], [1000, 500]]], "wider than any digit"),
        ([[[x % 2 * 1000, 20 * x] for x in range(51)]], "nothing is drawn on it"),
    ],
)
def test_what_is_no_digit_gets_words_and_no_probabilities(canvas, strokes, reason):
    send(canvas, strokes_of(4), number=1)
    answer = send(canvas, strokes, number=2)
    assert (answer["kind"], answer["number"]) == ("refusal", 2)
    assert re.search(reason, answer["words"])
    assert answer["probabilities"] == answer["picture"] == []
    assert canvas.prediction is None
    assert canvas.error is None
    assert canvas.strokes


def test_clearing_goes_back_to_nothing(canvas):
    first = canvas.answer
    send(canvas, strokes_of(4), number=1)
    assert send(canvas, [], number=2) == first | {"number": 2}
    assert canvas.prediction is None
    assert canvas.strokes == []


def test_a_model_that_fails_is_heard_of_and_may_recover(canvas):
    canvas._network.failure = RuntimeError("shapes do not match\nat layer 3" + "!" * 500)
    answer = send(canvas, strokes_of(4), number=1)
    words = "ValueError: Four cannot compute with inputs float32 1 x 1 x 28 x 28: "
    assert (answer["kind"], answer["words"]) == ("error", f"{words}shapes do not match")
    assert canvas.error.__cause__ is canvas._network.failure
    assert canvas.prediction is None
    canvas._network.failure = ValueError("!" * 500)
    assert len(send(canvas, strokes_of(4), number=2)["words"]) == 200
    canvas._network.failure = None
    assert send(canvas, strokes_of(4), number=3)["kind"] == "answer"
    assert canvas.error is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)
DRAWINGS = JSON | st.fixed_dictionaries({"number": JSON, "strokes": JSON})


@settings(max_examples=80, deadline=None)
@given(DRAWINGS)
def test_whatever_the_page_sends_there_is_an_answer_and_life_goes_on(value):
    canvas = DigitCanvas(Four())
    canvas.set_state({"drawing": value})
    json.dumps(canvas.answer, allow_nan=False)
    assert canvas.answer["kind"] in ("empty", "answer", "refusal")
    assert canvas.error is None
    assert send(canvas, strokes_of(4), number=99)["words"] == "4 (94.3%)"


@pytest.mark.parametrize("number", [None, "7", 1.5, True, [1]])
def test_a_state_without_a_number_is_about_none_that_the_page_knows(canvas, number):
    assert send(canvas, strokes_of(4), number=number)["number"] == -1


def test_a_copy_answers_so_training_goes_on_undisturbed():
    model = Four().train()
    canvas = DigitCanvas(model)
    model.logits.data.zero_()
    assert send(canvas, strokes_of(4))["words"] == "4 (94.3%)"
    assert model.training
    assert not canvas._network.training


def test_what_a_notebook_could_store_is_small(canvas):
    send(canvas, strokes_of(8))
    state = {k: v for k, v in canvas.get_state().items() if k not in ("_esm", "_css")}
    assert len(json.dumps(state)) < 6_000
    assert canvas.trait_metadata("drawing", "echo_update") is False


def test_a_page_without_widgets_gets_words(canvas):
    bundle = canvas._repr_mimebundle_()[0]
    assert bundle["text/plain"] == (
        "A canvas to draw a digit on: run this cell in JupyterLab to see it."
    )


def test_both_sides_count_alike():
    page = (ROOT / "mnistkit" / "handwriting" / "draw.js").read_text()
    assert f"const UNITS = {UNITS};" in page
    assert DigitCanvas(Four()).pen == PEN


# --- canvas or figure -----------------------------------------------------------------


@pytest.fixture
def figures(monkeypatch) -> list:
    """The figures that are shown instead of a canvas."""
    shown = []
    monkeypatch.setattr(draw, "show_figure", shown.append)
    return shown


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


# --- the figure -----------------------------------------------------------------------


def test_the_figure_shows_drawing_picture_and_bars_and_says_them():
    probabilities = torch.tensor([0, 0, 0, 0.0625, 0, 0.9, 0, 0, 0.0375, 0])
    prediction = ImagePrediction(probabilities, torch.rand(28, 28))
    figure = plot_drawing(draw_strokes(EXAMPLE), prediction)
    drawn, seen, said = figure.axes
    assert drawn.images[0].get_array().max() == 255
    assert np.array_equal(drawn.images[0].get_array(), 255 - draw_strokes(EXAMPLE))
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
