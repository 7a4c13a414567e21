"""Scores are means over samples, and intervals are Student's."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mnistkit.metrics import (
    accuracy,
    confusion_matrix,
    interval_of_mean,
    mcnemar,
    most_confused,
    per_class_accuracy,
    prediction_interval,
)

LABELS = torch.tensor([0, 0, 0, 0, 1, 1, 9])
PREDICTED = torch.tensor([0, 0, 0, 5, 1, 9, 1])


def test_accuracy_counts_each_sample_once():
    # 4 of 7; the mean over classes would be (3/4 + 1/2 + 0) / 3
    assert accuracy(PREDICTED, LABELS) == pytest.approx(4 / 7)


def test_scores_may_stand_for_classes():
    scores = torch.nn.functional.one_hot(PREDICTED, 10).float()
    assert accuracy(scores, LABELS) == pytest.approx(4 / 7)


def test_confusion_matrix_has_true_classes_in_rows():
    matrix = confusion_matrix(PREDICTED, LABELS)
    assert matrix.shape == (10, 10)
    assert matrix[0, 0] == 3
    assert matrix[0, 5] == 1, "a 0 taken for a 5"
    assert matrix[5, 0] == 0
    assert matrix[9, 1] == 1
    assert matrix.sum() == 7


def test_per_class_accuracy_is_of_each_true_class():
    scores = per_class_accuracy(PREDICTED, LABELS)
    assert scores[[0, 1, 9]].tolist() == pytest.approx([0.75, 0.5, 0.0])
    assert scores[2].isnan(), "there is no 2 to be right about"


def test_most_confused_lists_errors_only_largest_first():
    matrix = torch.diag(torch.full((10,), 100))
    matrix[4, 9], matrix[7, 2], matrix[3, 5] = 12, 3, 7
    table = most_confused(matrix, top=5)
    assert table.to_numpy().tolist() == [[4, 9, 12], [3, 5, 7], [7, 2, 3]]
    assert matrix[0, 0] == 100, "the caller's matrix is left alone"


def test_interval_is_students():
    # mean 2, deviation 1, n 3: t(0.975, 2) = 4.302653 -> 4.302653 / sqrt(3)
    interval = interval_of_mean([1.0, 2.0, 3.0])
    assert interval.mean == 2
    assert interval.deviation == 1
    assert interval.worst == 1
    assert interval.high - interval.mean == pytest.approx(2.484138)
    assert (100 * interval).low == pytest.approx(100 * interval.low)
    assert interval.percent() == "200.00 % [-48.41, 448.41] (n = 3)"


def test_one_run_has_no_interval():
    interval = interval_of_mean([0.9])
    assert interval.n == 1
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_interval_holds_the_mean_and_worst_is_the_smallest(values):
    interval = interval_of_mean(values)
    assert interval.low <= interval.mean <= interval.high
    assert interval.worst == min(values)
    assert interval.n == len(values)


@pytest.mark.parametrize("function", [accuracy, confusion_matrix, per_class_accuracy])
def test_predictions_and_labels_must_match(function):
    with pytest.raises(ValueError, match="3 predictions for 7 labels"):
        function(PREDICTED[:3], LABELS)
    with pytest.raises(ValueError, match="at least one"):
        function(PREDICTED[:0], LABELS[:0])


def test_no_values_have_no_mean():
    with pytest.raises(ValueError, match="no values were given"):
        interval_of_mean([])


def test_mcnemar_counts_where_only_one_is_right():
    labels = torch.zeros(20, dtype=torch.int64)
    first, second = torch.zeros(20, dtype=torch.int64), torch.zeros(20, dtype=torch.int64)
    first[:2] = 1  # two that only the second gets right
    second[2:10] = 1  # eight that only the first gets right
    first[10:12] = second[10:12] = 1  # and two that neither does
    found = mcnemar(first, second, labels)
    assert (found.only_first, found.only_second) == (8, 2)
    # 2 x (C(10,0) + C(10,1) + C(10,2)) / 1024
    assert found.p == pytest.approx(2 * 56 / 1024)


def test_mcnemar_of_a_model_with_itself_is_no_difference():
    predictions, labels = torch.randn(50, 10), torch.arange(50) % 10
    found = mcnemar(predictions, predictions, labels)
    assert (found.only_first, found.only_second, found.p) == (0, 0, 1)


def test_one_further_value_lies_in_a_wider_interval():
    # 1, 2, 3: mean 2, standard deviation 1, t(2) = 4.302653; sqrt(1 + 1/3) and sqrt(1/3)
    found = prediction_interval([1.0, 2.0, 3.0])
    assert (found.low, found.high) == pytest.approx((2 - 4.968275, 2 + 4.968275), abs=1e-5)
    assert (found.mean, found.deviation, found.n) == (2.0, 1.0, 3)
    more = prediction_interval([1.0, 2.0, 3.0], variance=2.0)
    assert more.high == pytest.approx(2 + 4.302653 * (4 / 3 + 2) ** 0.5, abs=1e-5)
    alone = prediction_interval([1.0])
    assert math.isnan(alone.low)
    for wrong, message in ((-1.0, "variance is -1.0"), (float("nan"), "variance is nan")):
        with pytest.raises(ValueError, match=message):
            prediction_interval([1.0, 2.0], variance=wrong)


def test_pairs_that_are_confused_as_often_keep_the_order_of_their_classes():
    matrix = torch.zeros(10, 10, dtype=torch.int64)
    pairs = [(0, 3), (1, 2), (4, 0), (7, 9), (8, 1), (9, 4)]
    for true, predicted in pairs:
        matrix[true, predicted] = 5
    table = most_confused(matrix, top=6)
    assert list(zip(table["true"], table["predicted"], strict=True)) == pairs


def test_an_interval_says_itself_in_a_line():
    several, one = interval_of_mean([0.97, 0.972]), interval_of_mean([0.97])
    assert repr(several) == "<0.971 [0.9583, 0.9837], n = 2>"
    assert repr(one) == "<0.97, n = 1>"
    assert repr(100 * several) == "<97.1 [95.83, 98.37], n = 2>"
    assert several.percent() == "97.10 % [95.83, 98.37] (n = 2)"
    assert several.percent(1) == "97.1 % [95.8, 98.4] (n = 2)"


def test_a_negative_factor_turns_an_interval_round():
    turned = -1 * interval_of_mean([0.5, 0.6])
    assert turned.low < turned.mean < turned.high
    assert turned.deviation > 0


def test_shares_are_no_counts():
    with pytest.raises(ValueError, match="the matrix holds shares, expected counts"):
        most_confused(torch.eye(10) * 0.7 + 0.03)


def test_one_run_in_percent_has_no_interval():
    assert interval_of_mean([0.971]).percent() == "97.10 % (n = 1)"
    assert interval_of_mean([0.971, 0.973]).percent().startswith("97.20 % [")


@pytest.mark.parametrize("form", [
    lambda values: np.array(values, dtype=np.uint16),
    lambda values: np.array(values, dtype=np.uint64),
    lambda values: np.array(values, dtype=np.int8),
    lambda values: np.array(values[::-1])[::-1],
    lambda values: pd.Series(values, index=[7, 5, 6]),
    torch.tensor,
])  # fmt: skip
def test_classes_come_in_any_form(form):
    assert accuracy(form([1, 2, 3]), form([1, 2, 4])) == pytest.approx(2 / 3)


def test_an_interval_is_scaled_from_either_side():
    interval = interval_of_mean([0.8, 0.9])
    assert interval * 100 == 100 * interval


def test_a_matrix_in_a_table_is_read_without_a_warning():
    matrix = pd.DataFrame([[5, 1], [2, 5]])
    assert most_confused(matrix)["count"].tolist() == [2, 1]
