"""What a page sends is strokes or is refused, and ink lies where the pen was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistkit.errors import PictureError
from mnistkit.handwriting.strokes import (
    EXAMPLE,
    PEN,
    PENS,
    SIDE,
    UNITS,
    draw_strokes,
    read_pen,
    read_strokes,
)
from tests.kept import assert_as_kept, rounded


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


@pytest.mark.parametrize("pen", PENS)
def test_a_pen_is_as_wide_as_it_says(pen):
    drawn = draw_strokes([[(200, 500), (800, 500)]], side=UNITS, pen=pen)
    assert (drawn < 128).any(axis=1).sum() == pytest.approx(pen, abs=2)


def test_a_pen_from_a_page_is_one_of_three():
    assert [read_pen(pen) for pen in (*PENS, None)] == [*PENS, PEN]
    for strange in (0, 76, -45, True, "75", [75], 1e9, float("nan")):
        with pytest.raises(PictureError, match="the pens are 45, 75, 120 wide"):
            read_pen(strange)


def test_the_example_is_the_five_that_figures_show():
    drawn = draw_strokes(EXAMPLE)
    assert [len(stroke) for stroke in EXAMPLE] == [18, 5]
    assert (255 - drawn).mean() == pytest.approx(24.961, abs=0.01)
    assert_as_kept("example-strokes", "\n".join(map(str, EXAMPLE)))


def test_what_is_drawn_stays_as_it_was():
    """The ink of each row and column, of strokes as a pen draws them and of single points."""
    lines = []
    for strokes, pen in (
        (EXAMPLE, PENS[0]),
        (EXAMPLE, PENS[2]),
        ([[(500, 500)], [(90, 910)]], PEN),
    ):
        ink = (255.0 - draw_strokes(strokes, pen=pen)) / 255
        lines.append(rounded([*ink.sum(axis=0), *ink.sum(axis=1)]))
    assert_as_kept("strokes-drawn", "\n".join(lines))
