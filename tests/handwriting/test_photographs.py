"""Photographs made by calculation: each its own, the same again, and a digit to find on it."""

from __future__ import annotations

import numpy as np
import pytest

from mnistkit.errors import UnknownNameError
from mnistkit.handwriting import photographs
from mnistkit.handwriting.photographs import PHOTOGRAPHS, SIDE, photograph
from mnistkit.handwriting.predict import predict_image
from mnistkit.handwriting.reader import load_reader


@pytest.mark.parametrize("kind", PHOTOGRAPHS)
def test_a_photograph_is_the_same_again_and_no_other(kind):
    one = photograph(4, kind)
    assert (one.shape, one.dtype) == ((SIDE, SIDE, 3), np.uint8)
    assert np.array_equal(one, photograph(4, kind))
    for other in (photograph(4, kind, seed=1), photograph(7, kind)):
        assert (other != one).any(axis=2).mean() > 0.02
    kinds = [photograph(4, name) for name in PHOTOGRAPHS if name != kind]
    assert not any(np.array_equal(one, other) for other in kinds)


@pytest.mark.parametrize("kind", PHOTOGRAPHS)
def test_the_reader_finds_the_digit_on_it(kind):
    """With other places, sizes and pens than those in 07; now and then one is refused."""
    reader = load_reader()
    found = [predict_image(reader, photograph(digit, kind, seed=5)) for digit in range(10)]
    assert sum(one.label == digit for digit, one in enumerate(found)) >= 9


def test_each_kind_writes_the_digit_anew():
    """Also the kinds that differ in light alone: another place, size or pen."""
    dark = [photograph(4, kind).mean(axis=2) < 70 for kind in ("pen", "grain")]
    assert (dark[0] & dark[1]).sum() < 0.7 * max(dark[0].sum(), dark[1].sum())


def test_each_kind_differs_in_what_it_is_named_for():
    def grey(kind):
        return photograph(3, kind).mean(axis=2)

    corners = grey("shade")[:20, :20].mean(), grey("shade")[-20:, -20:].mean()
    assert corners[0] > 1.8 * corners[1]
    assert grey("pen").max() - grey("pencil").min() < 255 - grey("marker").min()
    assert np.median(grey("chalk")) < 90 < grey("chalk").max()
    step = np.abs(np.diff(grey("blur"), axis=1)).max()
    assert step < np.abs(np.diff(grey("marker"), axis=1)).max() / 2
    assert grey("grain")[:20, :20].std() > 5 * grey("pen")[:20, :20].std()
    rows = (grey("squares") < 230).mean(axis=1)
    assert (rows > 0.9).sum() >= 12, "lines from side to side"


def test_from_the_side_one_edge_is_nearer(monkeypatch):
    """Of a frame two edges that were equally long are not, and it has become narrower or lower."""
    frame = np.full((SIDE, SIDE, 3), 255, np.uint8)
    frame[60:240, 60:240] = 0
    monkeypatch.setattr(photographs, "_pen", lambda *_: frame)
    for seed in range(5):
        ink = photograph(1, "aside", seed=seed)[..., 0] < 128
        high, wide = ink.sum(axis=0)[ink.any(axis=0)], ink.sum(axis=1)[ink.any(axis=1)]
        edges = sorted([abs(int(high[3]) - int(high[-4])), abs(int(wide[3]) - int(wide[-4]))])
        assert edges[0] <= 2 < 6 < edges[1], "one pair of edges differs"
        assert 0.85 * 180**2 < ink.sum() < 0.99 * 180**2


def test_an_unknown_kind_is_named():
    with pytest.raises(UnknownNameError, match="did you mean 'pencil'"):
        photograph(1, "pencill")


# Mean brightness of each digit's photograph: 07 says of just these how many are read.
READ_IN_07 = {
    "pen": [226.4, 234.99, 231.2, 231.31, 232.89, 228.04, 231.04, 232.6, 233.09, 230.68],
    "squares": [226.47, 229.6, 225.49, 227.06, 226.93, 228.07, 227.13, 227.61, 220.24, 229.21],
    "shade": [158.98, 162.58, 162.49, 158.33, 164.25, 157.81, 159.24, 163.61, 156.05, 158.79],
    "pencil": [224.4, 226.61, 225.38, 224.99, 225.45, 225.17, 225.65, 226.4, 224.62, 224.97],
    "marker": [217.96, 232.69, 222.06, 223.9, 223.79, 220.47, 218.06, 219.0, 214.9, 218.49],
    "chalk": [58.48, 52.26, 53.45, 57.67, 56.33, 54.12, 52.57, 54.04, 58.17, 56.95],
    "blur": [227.17, 230.39, 233.21, 232.36, 228.85, 230.37, 226.5, 234.1, 230.11, 224.88],
    "grain": [220.38, 226.44, 225.33, 222.12, 228.05, 229.94, 223.43, 228.3, 220.82, 224.94],
    "aside": [222.96, 234.71, 230.66, 225.85, 226.3, 234.19, 227.64, 232.51, 227.35, 232.42],
}  # fmt: skip


@pytest.mark.parametrize("kind", PHOTOGRAPHS)
def test_photographs_are_those_that_07_reads(kind):
    found = [float(photograph(digit, kind).mean()) for digit in range(10)]
    assert found == pytest.approx(READ_IN_07[kind], abs=0.02)
