"""The ladder pairs each step with the one before, and errors are told from labels."""

from __future__ import annotations

import pandas as pd
import pytest

from mnistkit.study import ladder as beyond
from mnistkit.study.table import Runs


def made_up(names: dict[str, list[float]]) -> Runs:
    rows = [
        {"name": name, "seed": seed, "test_accuracy": value, "test_loss": 0.01, "seconds": 9.0,
         "parameters": 114_618.0, "wrong": [947, 5, 7] if value > 0.99965 else [947, 5, 7, 8]}
        for name, values in names.items()
        for seed, value in enumerate(values)
    ]  # fmt: skip
    return Runs(pd.DataFrame(rows))


@pytest.fixture
def runs() -> Runs:
    return made_up({
        "E CNN corrected": [0.98, 0.99, 0.5],
        "CompactCNN, Adam": [0.992, 0.994],
        "CompactCNN, one-cycle": [0.995, 0.996],
        "CompactCNN, affine": [0.9991, 0.9992],
        "CompactCNN": [0.9997, 0.9996],
        "CompactCNN, averaging": [0.9996, 0.9996],
        "CompactCNN ensemble": [0.9997, 0.9996],
    })  # fmt: skip


def test_each_step_is_paired_with_the_one_before(runs):
    table = beyond.ladder(runs)
    assert table["gain"].round(6).tolist()[1:] == [0.8, 0.25, 0.365, 0.05, -0.005]
    assert pd.isna(table["gain"].iloc[0])
    assert table["n"].tolist() == [3, 2, 2, 2, 2, 2]
    assert table.loc["CompactCNN", "worst"] == 0.9996


def test_errors_are_counted_by_label(runs):
    table = beyond.errors_of(runs, "CompactCNN")
    assert table["errors"].tolist() == [3, 4]
    assert table["sound label"].tolist() == [2, 3]
    assert table["disputed label"].tolist() == [1, 1]
    # Wilson, 3 errors in 10,000
    assert table["low"].iloc[0] == pytest.approx(0.99912, abs=1e-5)
    assert table["high"].iloc[0] == pytest.approx(0.99990, abs=1e-5)


def test_the_ladder_in_markdown_and_text(runs):
    lines = beyond.to_markdown(runs).splitlines()
    assert lines[2].startswith("| README E's CNN, without its softmax | 82.33 ± ")
    assert "24 epochs, still Adam | 99.30 ± 0.14 % | 99.20 % | 2 | +0.80 [" in lines[3]
    assert (
        lines[-1] == "| five CompactCNNs together | 99.97 and 99.96 % | 99.96 % | 2 |  | 114,618 |"
    )
    assert len({line.count("|") for line in lines}) == 1
    assert len(beyond.to_text(runs).splitlines()) == len(lines) - 2


def test_a_step_without_runs_is_left_out():
    runs = made_up({"E CNN corrected": [0.98, 0.99], "CompactCNN, affine": [0.999, 0.999]})
    assert list(beyond.ladder(runs).index) == ["E CNN corrected"]
    runs = made_up({"V0": [0.9]})
    assert beyond.ladder(runs).empty
    assert beyond.to_text(runs) == ""


def test_one_run_has_parameters_too():
    table = beyond.ladder(made_up({"E CNN corrected": [0.9]}))
    assert table.loc["E CNN corrected", "parameters"] == 114_618
