"""The reader in a page is the reader of the library, number by number; in a real browser."""

from __future__ import annotations

import base64
import json
import random
from math import cos, sin
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mnistkit.data import load_digits
from mnistkit.errors import PictureError
from mnistkit.handwriting.page import (
    drawing_inset,
    drawing_page,
    network_for_page,
    script_of_reader,
)
from mnistkit.handwriting.photo import find_digit
from mnistkit.handwriting.reader import load_reader
from mnistkit.handwriting.strokes import EXAMPLE, PEN, PENS, draw_strokes
from mnistkit.models import build_model
from mnistkit.notebooks.book import Page, write_book
from mnistkit.notebooks.execute import find_notebooks
from mnistkit.prediction import make_predictions
from tests.browser import NEEDS_BROWSER, on_a_phone, violations

NEAR = 1e-4
# Numbers travel as JSON: one by one, as Playwright sends them, they take most of the time.
ALL = """(drawings) => JSON.stringify(JSON.parse(drawings).map(([strokes, pen]) => {
  const ink = reader.drawStrokes(strokes, pen);
  const { kind, words, probabilities } = reader.answer(strokes, pen);
  let picture = [];
  try { picture = Array.from(reader.findDigit(ink)); } catch (refusal) { /* told by kind */ }
  return { ink: Array.from(ink), kind, words, probabilities, picture };
}))"""


def random_drawing(number: int) -> list[list[list[int]]]:
    """One to three wandering strokes, or dots."""
    chance, strokes = random.Random(number), []
    for _ in range(chance.choice([1, 1, 1, 2, 2, 3])):
        x, y, angle = chance.uniform(100, 900), chance.uniform(100, 900), chance.uniform(0, 6.3)
        stroke = []
        for _ in range(chance.choice([1, 2, 5, 20, 60])):
            stroke.append([min(1000, max(0, round(place))) for place in (x, y)])
            angle, step = angle + chance.gauss(0, 0.5), chance.uniform(10, 60)
            x, y = x + step * cos(angle), y + step * sin(angle)
        strokes.append(stroke)
    return strokes


def in_python(strokes, pen=PEN) -> tuple[np.ndarray, torch.Tensor | None, str]:
    """The drawing, the picture that the network sees, and why there is none."""
    drawn = draw_strokes(strokes, pen=pen)
    try:
        return drawn, find_digit(drawn, white_paper=True), ""
    except PictureError as refusal:
        return drawn, None, str(refusal).splitlines()[0]


def test_weights_in_the_page_are_those_of_the_network():
    network = network_for_page(load_reader())
    shapes = [(layer["inputs"], layer["channels"], layer["pooled"]) for layer in network["layers"]]
    assert shapes == [(1, 16, False), (16, 32, True), (32, 56, False), (56, 64, False),
                      (64, 64, False), (64, 64, False)]  # fmt: skip
    assert len(script_of_reader()) < 1_000_000
    assert len(drawing_page().encode()) < 1_500_000
    assert "<script src" not in drawing_page()


@pytest.fixture(scope="module")
def engine(browser):
    """A page that holds nothing but the script."""
    page = browser.new_page()
    page.set_default_timeout(120_000)
    page.add_script_tag(content=f"{script_of_reader()}\nwindow.reader = reader;")
    return page


@NEEDS_BROWSER[0]
@NEEDS_BROWSER[1]
class TestTheSame:
    def test_of_a_hundred_drawings_picture_refusal_and_probabilities(self, engine):
        drawings = [[[list(point) for point in stroke] for stroke in EXAMPLE]]
        drawings += [random_drawing(number) for number in range(100)]
        drawings = [(each, PENS[number % 3]) for number, each in enumerate(drawings, start=1)]
        large = [  # as large as the paper: here a pen is thinnest beside the digit, or thickened
            [[[500, 0], [500, 1000]]],
            [[[300, 0], [700, 1000]]],  # thickened, if drawn with the thin pen
            [[[0, 40], [1000, 40], [400, 1000]]],
            [[[40, 40], [960, 40], [960, 960], [40, 960], [40, 40]]],
        ]
        drawings += [(each, pen) for each in large for pen in PENS]
        for space in (20, 60, 90, 150, 300):  # a broken 1; and two, one above the other
            drawings += [([[[500, 50], [500, 330]], [[500, 330 + space], [500, 610 + space]]], PEN)]
        model, kinds = load_reader(), []
        answers = json.loads(engine.evaluate(ALL, json.dumps(drawings)))
        for (strokes, pen), found in zip(drawings, answers, strict=True):
            drawn, picture, refusal = in_python(strokes, pen)
            ink = np.reshape(found["ink"], drawn.shape)
            np.testing.assert_allclose(ink, 1 - drawn / 255, atol=1e-12)
            kinds.append(found["kind"])
            if picture is None:
                assert (found["kind"], found["words"]) == ("refusal", refusal)
                continue
            np.testing.assert_allclose(found["picture"], picture.flatten(), atol=NEAR)
            expected = make_predictions(model, [picture])[0]
            np.testing.assert_allclose(found["probabilities"], expected, atol=NEAR)
        assert min(kinds.count("answer"), kinds.count("refusal")) > 20

    @pytest.mark.parametrize("count", [200, pytest.param(1000, marks=pytest.mark.full)])
    def test_of_digits_probabilities(self, engine, count):
        images = load_digits("sample", limit=count).test.inputs()
        assert len(images) == count
        call = """(all) => JSON.parse(all).map(
            (one) => reader.predict(Float32Array.from(one)).probabilities)"""
        found = engine.evaluate(call, json.dumps(images.flatten(1).tolist()))
        np.testing.assert_allclose(found, make_predictions(load_reader(), images), atol=NEAR)

    def test_nothing_drawn_and_no_digit_have_their_words(self, engine):
        assert engine.evaluate("reader.answer([]).kind") == "empty"
        cross = [[[300, 300], [700, 700]], [[700, 300], [300, 700]]]
        words = engine.evaluate("(strokes) => reader.answer(strokes).words", cross)
        found = make_predictions(load_reader(), [in_python(cross)[1]])[0]
        known = found.max() >= load_reader().least_probability
        assert words.startswith("no digit that I know; nearest to a ") is not bool(known)


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("book")
    others, after = [Page("draw", "Draw a digit", "", drawing_page())], drawing_inset()
    write_book(folder, find_notebooks(["04"]), others=others, after={"draw_digit(": after})
    return folder


@NEEDS_BROWSER[0]
@NEEDS_BROWSER[1]
@pytest.mark.parametrize("scheme", ["light", "dark"])
class TestThePage:
    @pytest.fixture
    def page(self, browser, book, scheme):
        with on_a_phone(browser, (book / "draw.html").as_uri(), scheme) as page:
            yield page

    def test_it_reads_a_drawing_from_a_file_without_a_network(self, page, scheme):
        assert page.locator(".words").inner_text().startswith("Nothing is drawn yet")
        box = page.locator(".paper").bounding_box()
        first = True
        for stroke in EXAMPLE:
            for x, y in stroke:
                place = box["x"] + x / 1000 * box["width"], box["y"] + y / 1000 * box["height"]
                page.mouse.move(*place)
                if first:
                    page.mouse.down()
                first = False
            page.mouse.up()
            first = True
        page.wait_for_function("document.querySelector('.words').innerText.includes('reads: 5 (')")
        painted = page.evaluate(
            "[...document.querySelectorAll('.maps canvas')].filter((canvas) => canvas.getContext("
            "'2d').getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean)).length"
        )
        assert painted > 40
        page.locator(".clear").click()
        page.wait_for_function("document.querySelector('.words').innerText.startsWith('Nothing')")

    def test_a_pen_is_chosen_for_the_whole_drawing(self, page, scheme):
        pens = page.locator(".pens input")
        assert [pens.nth(k).get_attribute("value") for k in range(3)] == [str(p) for p in PENS]
        assert page.locator(".pens label").all_text_contents() == ["thin", "medium", "thick"]
        box = page.locator(".paper").bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 4)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=5)
        page.mouse.up()
        ink = "(place) => document.querySelector('.paper path').getAttribute('stroke-width')"
        assert page.evaluate(ink) == "75"
        seen = [page.locator(".picture").evaluate("(picture) => picture.toDataURL()")]
        for place, width in ((0, "45"), (2, "120")):
            pens.nth(place).check(force=True)
            assert page.evaluate(ink) == width
            page.wait_for_timeout(100)
            seen.append(page.locator(".picture").evaluate("(picture) => picture.toDataURL()"))
        assert len(set(seen)) == 3, "the network sees other ink"
        pens.nth(2).focus()
        page.keyboard.press("ArrowLeft")
        assert page.evaluate(ink) == "75"

    def test_the_mouse_lifts_the_pen_of_the_keys(self, page, scheme):
        page.locator(".paper").focus()
        page.keyboard.press(" ")
        page.keyboard.press("ArrowDown")
        box = page.locator(".paper").bounding_box()
        page.mouse.move(box["x"] + 250, box["y"] + 100)
        page.mouse.down()
        page.mouse.move(box["x"] + 250, box["y"] + 200, steps=4)
        page.mouse.up()
        page.keyboard.press("ArrowDown")
        assert page.locator(".paper path").count() == 2
        for left in (1, 0):
            page.keyboard.press("Control+z")
            assert page.locator(".paper path").count() == left
        page.keyboard.press(" ")  # with the pen down it takes back what the pen has begun
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Control+z")
        assert page.locator(".paper path").count() == 0

    def test_it_is_drawn_on_with_keys(self, page, scheme):
        page.locator(".paper").focus()
        page.keyboard.press(" ")
        for _ in range(12):
            page.keyboard.press("ArrowDown")
        page.keyboard.press(" ")
        page.wait_for_function("document.querySelector('.words').innerText.includes('reads: ')")

    def test_it_shuts_nobody_out_and_fits_a_phone(self, page, scheme):
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        words = page.evaluate("getComputedStyle(document.querySelector('.clear')).color")
        light = sum(map(int, words[4:-1].split(","))) / 3
        assert light < 60 if scheme == "light" else light > 200


@NEEDS_BROWSER[0]
@NEEDS_BROWSER[1]
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_the_page_of_04_one_draws_where_the_canvas_stands(browser, book, scheme):
    path = book / "04_cnn.html"
    assert path.stat().st_size < 1_500_000
    with on_a_phone(browser, path.as_uri(), scheme) as page:
        cells = page.locator("div.jp-CodeCell, div.cell")
        before = cells.filter(has_text="canvas = mk.draw_digit(")
        below = page.locator(".paper").bounding_box()["y"] - before.first.bounding_box()["y"]
        assert 0 < below < 1500, "behind the cell, not at the end of the page"
        page.locator(".paper").focus()
        for key in (" ", *["ArrowDown"] * 12, " "):
            page.keyboard.press(key)
        page.wait_for_function("document.querySelector('.words').innerText.includes('reads: ')")
        assert [violations(page, within=part) for part in ("#canvas", "#maps")] == [[], []]
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_batch_norm_becomes_a_scale_and_a_shift():
    model = build_model("CompactCNN", seed=0).eval()
    norm = next(layer for layer in model.features if isinstance(layer, nn.BatchNorm2d))
    values = torch.linspace(0.5, 2.0, norm.num_features)
    norm.running_mean.copy_(values)
    norm.running_var.copy_(values.flip(0))
    first = network_for_page(model)["layers"][0]
    scale, shift = (
        torch.tensor(np.frombuffer(base64.b64decode(first[name]), "<f4").copy())
        for name in ("scale", "shift")
    )
    maps = torch.randn(2, norm.num_features, 3, 3, generator=torch.Generator().manual_seed(0))
    ours = maps * scale.view(-1, 1, 1) + shift.view(-1, 1, 1)
    torch.testing.assert_close(ours, norm(maps), atol=1e-5, rtol=1e-5)
