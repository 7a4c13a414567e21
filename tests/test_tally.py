"""A tally is a mean over samples, and says which batch lost its number."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mnistkit.errors import TrainingError
from mnistkit.tally import Tally


def batch(size: int, loss: float, right: int):
    """Outputs of `size` samples, of which `right` are right."""
    outputs = torch.zeros(size, 10)
    outputs[:, 1] = 1
    labels = torch.full((size,), 2)
    labels[:right] = 1
    return outputs, labels, torch.tensor(loss)


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 30)), min_size=1, max_size=130))
def test_it_is_a_mean_over_samples_not_over_batches(sizes):
    tally, total, hits = Tally(guarded=True), 0.0, 0
    for number, (size, right) in enumerate(sizes):
        tally.add(*batch(size, float(number), min(size, right)))
        total, hits = total + number * size, hits + min(size, right)
    result, count = tally.result(), sum(size for size, _ in sizes)
    assert result.count == count
    assert result.accuracy == hits / count
    assert result.loss == pytest.approx(total / count)


@pytest.mark.parametrize("lost", [1, 49, 50, 51, 120, 130])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_lost_number_is_named_by_its_batch(lost, value):
    tally = Tally(guarded=True)

    def add_all():
        for number in range(1, 131):
            tally.add(*batch(2, value if number == lost else 1.0, 1))
        tally.result()

    with pytest.raises(TrainingError, match=f"^batch {lost}: the loss is {value}"):
        add_all()


def test_it_stops_soon_after_a_lost_number():
    tally, added = Tally(guarded=True), []

    def add_all():
        for number in range(1000):
            added.append(number)
            tally.add(*batch(2, float("nan"), 1))

    with pytest.raises(TrainingError):
        add_all()
    assert len(added) <= 50


def test_an_evaluation_reports_a_lost_number_as_it_is():
    tally = Tally()
    tally.add(*batch(4, float("nan"), 2))
    assert tally.result().accuracy == 0.5


def test_no_batches_are_named():
    with pytest.raises(ValueError, match="the loader gave no batches"):
        Tally().result()
