"""What is drawn is answered, whatever the page sends."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistkit.handwriting.canvas import INVITATION, DigitCanvas
from mnistkit.handwriting.page import network_for_page
from mnistkit.handwriting.photographs import STROKES
from mnistkit.handwriting.predict import ImagePrediction
from mnistkit.handwriting.reader import load_reader
from mnistkit.handwriting.strokes import PEN, PENS, UNITS
from mnistkit.models import build_model
from tests.handwriting.models import Four

ROOT = Path(__file__).resolve().parents[2]


def strokes_of(digit: int, x: int = 300, height: int = 600) -> list:
    """A digit as the page would send it, its left edge at x."""
    return [
        [[round(x + height * u), round(200 + height * v)] for u, v in stroke]
        for stroke in STROKES[digit]
    ]


def send(canvas: DigitCanvas, strokes: object, number: object = 1, pen: object = None) -> dict:
    """Do what a message of the page does, and return the answer."""
    canvas.set_state({"drawing": {"number": number, "strokes": strokes, "pen": pen}})
    return canvas.answer


@pytest.fixture
def canvas() -> DigitCanvas:
    return DigitCanvas(Four())


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


def test_the_pen_that_is_sent_is_the_pen_that_draws(canvas):
    ink = []
    for pen in PENS:
        state = {"number": 1, "pen": pen, "strokes": strokes_of(4, height=250)}
        canvas.set_state({"drawing": state})
        ink.append(float(canvas.prediction.picture.sum()))
    assert ink[0] < ink[1] < ink[2]
    canvas.set_state({"drawing": state | {"pen": 400}})
    assert canvas.answer["kind"] == "refusal"
    assert canvas.answer["words"].startswith("the pens are 45, 75, 120 wide")


def test_a_compact_cnn_answers_in_the_page_too_and_no_other_model_does():
    compact, reader = build_model("CompactCNN", seed=0), load_reader()
    assert DigitCanvas(compact).network == network_for_page(compact)
    assert DigitCanvas(compact).network["least"] == 0
    assert DigitCanvas(reader).network["least"] == reader.least_probability
    assert DigitCanvas(compact, normalized=True).network is None
    assert DigitCanvas(build_model("FastCNN")).network is None
    assert DigitCanvas(Four()).network is None


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


def test_what_is_left_without_a_kernel_is_the_drawing_and_its_answer(canvas):
    still = canvas._as_still()["text/html"]
    assert "<path" not in still
    assert "Nothing is drawn yet" in still
    send(canvas, [*strokes_of(8), [(500, 500)]], pen=PENS[0])
    still = canvas._as_still()["text/html"]
    assert still.count("<path") == 2
    assert 'd="M 500 500 L 500 500"' in still
    assert f'stroke-width="{PENS[0]}"' in still
    assert canvas.answer["words"] in still
    assert len(still) < 6_000
    send(canvas, strokes_of(8), pen="<b>")
    assert "<b>" not in canvas._as_still()["text/html"]


def test_both_sides_count_alike():
    page = (ROOT / "mnistkit" / "handwriting" / "draw.js").read_text()
    assert f"const UNITS = {UNITS};" in page
    assert DigitCanvas(Four()).drawing["pen"] == PEN
    thin, medium, thick = PENS
    assert f"const PENS = {{ thin: {thin}, medium: {medium}, thick: {thick} }};" in page
    assert medium == PEN


def test_every_still_picture_follows_the_drawing(canvas):
    class Shown:
        def update(self, bundle, *, raw):
            self.html = bundle["text/html"]

    shown = [Shown(), Shown()]
    canvas._stills.extend(shown)
    send(canvas, strokes_of(8))
    assert shown[0].html == shown[1].html
    assert "<path" in shown[0].html
    send(canvas, [])
    assert "<path" not in shown[1].html
