"""Calibration is told from luck, and each score is what its formula says."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistkit.trust.calibration import (
    brier_score,
    calibration_error,
    calibration_noise,
    calibration_table,
    negative_log_likelihood,
    reliability,
)


def sure(shares: list[float], answer: int = 3) -> torch.Tensor:
    """Probabilities that give `answer` these shares and the rest to the nine others."""
    shares = torch.tensor(shares)
    given = ((1 - shares) / 9).unsqueeze(1).repeat(1, 10)
    given[:, answer] = shares
    return given


def honest(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities, and labels drawn from them: calibrated by construction."""
    generator = torch.Generator().manual_seed(seed)
    given = (3 * torch.randn(count, 10, generator=generator)).softmax(dim=1)
    return given, torch.multinomial(given, 1, generator=generator).squeeze(1)


def test_scores_of_two_answers_by_hand():
    given, labels = sure([0.91, 0.19]), torch.tensor([3, 5])  # others get 0.01, and 0.09 each
    assert negative_log_likelihood(given, labels) == pytest.approx(
        -(math.log(0.91) + math.log(0.09)) / 2
    )
    first = 0.09**2 + 9 * 0.01**2
    second = 0.19**2 + 0.91**2 + 8 * 0.09**2
    assert brier_score(given, labels) == pytest.approx((first + second) / 2)
    # One bin each: |0.91 - 1| and |0.19 - 0|
    assert calibration_error(given, labels) == pytest.approx((0.09 + 0.19) / 2)


def test_perfect_and_hopeless_answers_have_the_extreme_scores():
    given = sure([1.0, 1.0])
    right, wrong = torch.tensor([3, 3]), torch.tensor([4, 4])
    assert negative_log_likelihood(given, right) == 0
    assert brier_score(given, right) == 0
    assert brier_score(given, wrong) == 2
    assert 80 < negative_log_likelihood(given, wrong) < 90  # not infinity


def test_noise_is_what_a_calibrated_model_shows():
    given, labels = honest(2000)
    noise = calibration_noise(given, draws=100)
    assert noise.shape == (100,)
    assert 0.005 < noise.mean() < 0.03
    assert noise.min() < calibration_error(given, labels) < noise.max()
    # fewer digits, more noise: as one over the square root of their number
    assert calibration_noise(given[:500], draws=100).mean() == pytest.approx(
        2 * noise.mean(), rel=0.3
    )


def test_only_the_model_that_is_too_sure_is_called_uncalibrated():
    given, labels = honest(3000)
    boastful = (3 * given.log()).softmax(dim=1)
    table = calibration_table({"honest": given, "boastful": boastful}, labels)
    assert table["calibrated"].to_dict() == {"honest": True, "boastful": False}
    assert table.loc["honest", "accuracy"] == table.loc["boastful", "accuracy"]
    assert table.loc["boastful", "NLL"] > table.loc["honest", "NLL"]
    assert table.loc["boastful", "Brier"] > table.loc["honest", "Brier"]
    assert table.loc["boastful", "ECE"] > 5 * table.loc["boastful", "noise_95"]


def test_reliability_bins_hold_each_answer_once():
    # Three answers in the bin from 0.933 to 1, one of them wrong; one in that from 0.467 to 0.533.
    given = sure([0.95, 0.97, 0.96, 0.5])
    table = reliability(given, torch.tensor([3, 3, 1, 3]))
    assert table["count"].tolist() == [1, 3]
    assert table["confidence"].tolist() == pytest.approx([0.5, 0.96])
    assert table["accuracy"].tolist() == pytest.approx([1, 2 / 3])
    assert table["low"].iloc[1] == pytest.approx(0.2077, abs=1e-4)  # Wilson's, of 2 in 3
    assert table["high"].iloc[1] == pytest.approx(0.9385, abs=1e-4)


def test_a_quite_sure_answer_shares_its_bin():
    table = reliability(sure([1.0, 0.97, 0.94]), torch.tensor([3, 3, 3]))
    assert table["count"].tolist() == [3]


def test_reliability_and_calibration_error_agree():
    given, labels = honest(1000)
    table = reliability(given, labels)
    gaps = (table["confidence"] - table["accuracy"]).abs() * table["count"] / 1000
    assert gaps.sum() == pytest.approx(calibration_error(given, labels), abs=1e-6)


def test_arrays_are_taken_as_tensors_are():
    shares = torch.eye(10).repeat(3, 1) * 0.91 + 0.009
    labels = torch.arange(10).repeat(3)
    of_arrays = calibration_table({"a": shares.numpy()}, labels.numpy())
    assert of_arrays.equals(calibration_table({"a": shares}, labels))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_answers_of_exactly_one_have_no_bin_of_their_own(dtype):
    probabilities = torch.zeros(200, 10, dtype=dtype)
    labels = torch.zeros(200, dtype=torch.int64)
    probabilities[:100, 0], labels[:10] = 1.0, 3  # sure, and nine in ten are right
    probabilities[100:, 0], probabilities[100:, 1] = 0.94, 0.06  # less sure, and all are right
    assert calibration_error(probabilities, labels) == pytest.approx(0.02, abs=1e-5)
    (row,) = reliability(probabilities, labels).to_dict("records")
    assert (row["count"], row["accuracy"]) == (200, 0.95)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(2, 15), st.booleans()), min_size=1, max_size=40),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_error_and_diagram_have_the_same_bins_up_to_their_edges(answers, dtype):
    sure = torch.tensor([edge / 15 for edge, _ in answers], dtype=dtype)
    probabilities = torch.zeros(len(answers), 10, dtype=dtype)
    probabilities[:, 0], probabilities[:, 1] = sure, 1 - sure
    labels = torch.tensor([int(not right) for _, right in answers])
    bins = reliability(probabilities, labels)
    gaps = (bins["confidence"] - bins["accuracy"]).abs() * bins["count"] / len(answers)
    assert calibration_error(probabilities, labels) == pytest.approx(gaps.sum(), abs=1e-5)
