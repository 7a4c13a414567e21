"""Any digit, cut out, is brought into MNIST's form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistkit.utils.centring import BOX, SIDE, centre_by_mass, scale_to_box


@given(st.integers(1, 90), st.integers(1, 90))
def test_the_longer_side_fits_the_box_and_the_mass_lies_in_the_middle(height, width):
    small = scale_to_box(np.ones((height, width)))
    assert max(small.shape) == BOX
    assert min(small.shape) == max(1, round(BOX * min(height, width) / max(height, width)))
    placed = centre_by_mass(small)
    assert (placed.shape, placed.dtype) == ((SIDE, SIDE), np.float32)
    assert placed.sum() == pytest.approx(small.sum(), rel=1e-5)
    for axis in (0, 1):
        line = placed.sum(axis=axis)
        assert (line * np.arange(SIDE)).sum() / line.sum() == pytest.approx(14, abs=0.51)


def test_heavy_ink_is_drawn_to_the_middle_as_far_as_the_picture_reaches():
    lopsided = np.full((20, 20), 0.01)
    lopsided[:, :2] = 1
    assert centre_by_mass(lopsided)[:, :7].sum() == 0  # pushed to the right edge
    assert centre_by_mass(lopsided)[4:24, 8:10].min() == 1


def test_pale_ink_becomes_full():
    assert scale_to_box(np.full((30, 10), 0.3)).max() == 1
