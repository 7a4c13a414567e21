"""Diagrams of learning show the numbers that they are given, and say them."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from mnistkit.models import build_model
from mnistkit.notebooks.diagrams import learning
from mnistkit.utils.figures import alt_text
from tests.figures import overlapping_texts

pytestmark = pytest.mark.usefixtures("close_figures")


def test_splits_are_drawn_to_scale(easy_digits):
    figure = learning.draw_splits(easy_digits, 32)
    sizes = [len(split) for split in (easy_digits.train, easy_digits.validation,
                                      easy_digits.test)]  # fmt: skip
    bars = [bar.get_width() for bar in figure.axes[0].patches]
    assert bars[:3] == sizes
    assert all(f"{size:,}" in alt_text(figure) for size in sizes)
    assert not overlapping_texts(figure)


def test_an_empty_split_is_left_out(easy_digits):
    empty = replace(easy_digits, validation=easy_digits.validation[:0])
    assert "validation" not in alt_text(learning.draw_splits(empty, 32))


def test_a_batch_larger_than_the_split_says_how_many_there_are(easy_digits):
    few = replace(easy_digits, train=easy_digits.train[:5])
    figure = learning.draw_splits(few, 64)
    assert "one batch of 5" in alt_text(figure)
    assert len(figure.axes[1].child_axes) == 5


def test_equal_logits_give_each_class_a_tenth_and_a_loss_of_ln_10():
    figure = learning.draw_softmax([3.0] * 10, 4)
    heights = [bar.get_height() for bar in figure.axes[1].patches if bar.get_width()]
    assert heights[:10] == pytest.approx([0.1] * 10)
    assert alt_text(figure).endswith("the true class 4 has 0.10, so its loss is 2.30.")


def test_the_point_lies_on_the_curve():
    logits = torch.tensor([0.0, 1.0, 2.0])
    figure = learning.draw_softmax(logits, 1)
    curve, point = figure.axes[2].lines
    p = logits.softmax(dim=0)[1].item()
    assert point.get_xydata()[0] == pytest.approx([p, -np.log(p)], rel=1e-5)
    assert np.interp(p, *curve.get_xydata().T) == pytest.approx(-np.log(p), abs=0.01)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(40, 1, 28, 28, generator=generator), torch.arange(40) % 10


def test_the_first_step_of_descent_is_that_of_sgd(batch):
    model, images, labels = build_model("V0", seed=0), *batch
    figure = learning.draw_descent(model, images, labels, [0.5], reach=(-1, 20))
    place, height = figure.axes[0].lines[1].get_xydata()[1]
    trained = build_model("V0", seed=0)
    torch.nn.functional.cross_entropy(trained(images), labels).backward()
    torch.optim.SGD(trained.parameters(), lr=0.5).step()
    assert place == pytest.approx(0.5)
    loss = torch.nn.functional.cross_entropy(trained(images), labels).item()
    assert height == pytest.approx(loss, abs=0.01)


def test_descent_counts_the_steps_that_leave_the_slice(batch):
    model = build_model("V0", seed=0)
    small, large = learning.draw_descent(model, *batch, [0.01, 1000], steps=3).axes
    assert "3 steps, ends at 2." in alt_text(small)
    assert re.search(r"Rate 1000: .* [1-3] of 3 steps outside", alt_text(large))


def test_descent_leaves_the_model_as_it_is(batch):
    model, before = build_model("V0", seed=0), build_model("V0", seed=0)
    learning.draw_descent(model, *batch, [1])
    for mine, theirs in zip(model.parameters(), before.parameters(), strict=True):
        assert torch.equal(mine, theirs)
        assert mine.grad is None


def test_activations_come_with_their_slopes():
    words = alt_text(learning.draw_activations())
    assert "relu: slope 0 to 1, at -4 0, at 4 1." in words
    assert "sigmoid: slope 0.018 to 0.25" in words


def test_three_activations_leave_the_fourth_panel_empty():
    figure = learning.draw_activations(("relu", "tanh", "sigmoid"))
    assert [ax.axison for ax in figure.axes] == [True, True, True, False]
