"""Letters are printed one by one, and look like no digit of another name."""

from __future__ import annotations

import pytest
import torch

from mnistkit.handwriting.letters import FONTS, LETTERS, printed_letters
from mnistkit.handwriting.reader import load_reader, read_card
from mnistkit.prediction import make_predictions


def test_each_letter_of_each_font_is_another_picture():
    letters = printed_letters(FONTS[:2], "AEk")
    assert letters.shape == (6, 1, 28, 28)
    assert letters.dtype == torch.float32
    assert letters.min() == 0
    assert letters.max() == 1
    for first in range(6):
        for second in range(first):
            assert (letters[first] - letters[second]).abs().sum() > 5
    a = letters[0, 0]
    assert a[:8].sum() < a[16:].sum()  # an A stands on its feet


def test_what_passes_for_a_digit_is_not_among_them():
    assert not set("OoDQlIijJZzSsGbgqyB0123456789") & set(LETTERS)
    assert len(set(LETTERS)) == len(LETTERS)


@pytest.fixture(scope="module")
def letters() -> torch.Tensor:
    return printed_letters()


def test_letters_are_those_that_the_card_counts(letters):
    assert letters.shape == (len(FONTS) * len(LETTERS), 1, 28, 28) == (264, 1, 28, 28)
    assert letters.mean().item() == pytest.approx(0.1512, abs=2e-4)


def test_the_reader_refuses_as_many_as_its_card_says(letters):
    model = load_reader()
    best = make_predictions(model, letters).max(dim=1).values
    refused = (best < model.least_probability).float().mean().item()
    assert refused == pytest.approx(read_card()["runs"][0]["refused_letters"], abs=0.005)
