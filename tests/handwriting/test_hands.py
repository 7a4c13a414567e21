"""Ones get an upstroke and sevens a bar; what was there stays."""

from __future__ import annotations

import pytest
import torch

from mnistkit.data import Split, load_digits
from mnistkit.handwriting.hands import with_other_hands


@pytest.fixture(scope="module")
def sample() -> Split:
    return load_digits("sample").train


def bars(kind: str) -> Split:
    """A hundred upright strokes: ones, or sevens with a bar at the top."""
    images = torch.zeros(100, 28, 28, dtype=torch.uint8)
    images[:, 4:24, 13:15] = 255
    if kind == "7":
        images[:, 4:6, 6:15] = 255
    return Split(images, torch.full((100,), int(kind)), torch.arange(100))


def test_the_digits_that_were_there_stay_and_come_first(sample):
    more = with_other_hands(sample, 0.3)
    assert torch.equal(more.images[: len(sample)], sample.images)
    assert torch.equal(more.labels[: len(sample)], sample.labels)
    ones, sevens = (round(0.3 * int((sample.labels == digit).sum())) for digit in (1, 7))
    added = more.labels[len(sample) :]
    assert added.bincount(minlength=10).tolist() == [0, ones, 0, 0, 0, 0, 0, sevens, 0, 0]
    assert more.writers is None
    assert torch.equal(with_other_hands(sample, 0.3).images, more.images)
    assert not torch.equal(with_other_hands(sample, 0.3, seed=1).images, more.images)


def test_a_one_gets_an_upstroke_to_the_left_and_some_get_a_foot():
    ones = bars("1")
    added = with_other_hands(ones, 1.0)[100:]
    assert added.writers.tolist() == list(range(100))
    shapes = added.images.float() / 255 > 0.4
    widest = shapes.sum(dim=2).amax(dim=1)
    assert (widest > 2).all()
    rows = shapes.any(dim=2).float()
    top = rows.argmax(dim=1)
    flag = torch.stack([shape[t : t + 8].sum() for shape, t in zip(shapes, top, strict=True)])
    assert (flag > 16 + 3).all(), "more ink at the head than the stroke alone has"
    for shape, t in zip(shapes, top, strict=True):  # the stroke is to the right of its upstroke
        head = shape[t : t + 10].float().sum(dim=0)
        assert head.nonzero().min() < head.argmax() - 1
        assert head.nonzero().max() <= head.argmax() + 2
    bottom = 27 - rows.flip(1).argmax(dim=1)
    feet = torch.stack([shape[b - 1].sum() for shape, b in zip(shapes, bottom, strict=True)]) > 5
    assert 0.15 < feet.float().mean() < 0.5


def test_a_seven_gets_a_bar_across_its_stem():
    sevens = bars("7")
    added = with_other_hands(sevens, 1.0)[100:]
    shapes = added.images.float() / 255 > 0.4
    middle = shapes[:, 10:20].sum(dim=2).amax(dim=1)
    assert (middle >= 6).all(), "a stem has two"
    assert (added.images.float().sum(dim=(1, 2)) > sevens.images.float().sum(dim=(1, 2))).all()


@pytest.mark.parametrize("share", [0, -1, 1.5, float("nan"), "half"])
def test_a_share_that_is_none_is_refused(sample, share):
    with pytest.raises(ValueError, match="share is"):
        with_other_hands(sample, share)


def test_digits_without_ones_and_sevens_stay_as_they_are(sample):
    zeros = sample[sample.labels == 0]
    assert torch.equal(with_other_hands(zeros).images, zeros.images)


def test_other_hands_are_those_of_the_readers_training():
    digits = load_digits("sample", limit=200).test
    more = with_other_hands(digits, 0.9, seed=0)
    assert more.labels.bincount().tolist() == [20, 38, 20, 20, 20, 20, 20, 38, 20, 20]
    assert more.images.float().mean().item() == pytest.approx(32.7141, abs=1e-3)
