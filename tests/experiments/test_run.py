"""A run trains what its recipe says, is measured, and is done once."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mnistkit.experiments.experiment import run_experiment
from mnistkit.experiments.recipe import Recipe
from mnistkit.experiments.results import Result, identify, read_result, write_result
from mnistkit.experiments.run import run_one, train_recipe, whole_result
from mnistkit.models import MODELS, MNISTModelV2
from mnistkit.training import evaluate
from mnistkit.utils.devices import thread_count
from tests.experiments.grids import RECIPES, grid, times


def test_a_recipe_decides_the_precision(easy_digits, monkeypatch):
    seen = []

    class Watched(MNISTModelV2):
        def forward(self, images):
            outputs = super().forward(images)
            if self.training:
                seen[-1].add(outputs.dtype)
            return outputs

    monkeypatch.setitem(MODELS, "V2", replace(MODELS["V2"], build=Watched))
    few = replace(easy_digits, train=easy_digits.train[:64])
    for precision in ("float32", "bfloat16"):
        seen.append(set())
        train_recipe(Recipe("V2", epochs=1, precision=precision), few, device="cpu")
    assert seen == [{torch.float32}, {torch.bfloat16}]


def test_a_run_computes_on_one_thread_and_leaves_the_number_as_it_was(easy_digits):
    run = identify(RECIPES["V0"], 3, easy_digits)
    with thread_count(2):
        result = run_one(easy_digits, RECIPES["V0"], run, False, None, False)
        assert torch.get_num_threads() == 2
    assert result.machine["threads"] == 1


def test_a_run_that_is_there_is_taken_as_it_is(easy_digits, tmp_path):
    run, measured = identify(RECIPES["V0"], 3, easy_digits), {"validation_accuracy": 0.123}
    write_result(tmp_path, Result(run, measured))
    assert run_one(easy_digits, RECIPES["V0"], run, False, tmp_path, False).measured == measured


@pytest.mark.parametrize(
    ("measured", "whole"),
    [
        ({"validation_accuracy": 0.9}, False),
        ({"validation_accuracy": 0.9, "test_accuracy": 0.9}, True),
        ({"failure": "epoch 1, batch 3: the loss is nan"}, True),
    ],
)
def test_a_result_is_whole_with_test_or_with_why_there_is_none(
    easy_digits, tmp_path, measured, whole
):
    run = identify(RECIPES["V0"], 3, easy_digits)
    write_result(tmp_path, Result(run, measured))
    assert (whole_result(tmp_path, run, test=True) is not None) == whole
    assert whole_result(tmp_path, run, test=False).measured == measured
    assert whole_result(tmp_path, replace(run, seed=4), test=False) is None


def test_normalised_recipes_are_measured_on_normalised_digits(easy_digits):
    recipe = Recipe("E MLP", epochs=1, normalized=True)
    options = {"test": True, "keep_models": True, "jobs": 1}
    row = run_experiment(recipe, [0], easy_digits, **options).runs.iloc[0]
    for part in ("validation", "test"):
        loader = getattr(easy_digits, part).loader(1000, normalized=True)
        assert row[f"{part}_loss"] == pytest.approx(evaluate(row["model"], loader).loss)


def test_each_epoch_is_kept_with_its_test_accuracy(easy_digits, tmp_path):
    recipe = {"V0": Recipe("V0", epochs=3)}
    frame = grid(easy_digits, tmp_path, seeds=[0], recipes=recipe)
    (path,) = tmp_path.iterdir()
    epochs = read_result(path).measured["epochs"]
    assert [row["epoch"] for row in epochs] == [1, 2, 3]
    assert epochs[-1]["test_accuracy"] == frame["test_accuracy"][0]
    assert len({row["test_loss"] for row in epochs}) == 3


def test_runs_stored_without_test_are_run_again_for_it(easy_digits, tmp_path):
    grid(easy_digits, tmp_path, test=False)
    frame = grid(easy_digits, tmp_path)
    assert frame["test_accuracy"].notna().all()
    assert len(times(tmp_path)) == 4


@pytest.mark.parametrize("normalized", [False, True])
def test_misread_digits_are_those_that_test_accuracy_counts(easy_digits, tmp_path, normalized):
    recipe = Recipe("E MLP", {"hidden": (6,)}, epochs=1, normalized=normalized)
    result = run_one(easy_digits, recipe, identify(recipe, 0, easy_digits), True, None, True)
    wrong = result.measured["test_wrong"]
    inputs = easy_digits.test.inputs(normalized=normalized)
    with torch.no_grad():
        predicted = result.measured["model"].eval()(inputs).argmax(dim=1)
    assert wrong == (predicted != easy_digits.test.labels).nonzero().flatten().tolist()
    assert 0 < len(wrong) < len(easy_digits.test)
    assert result.measured["test_accuracy"] == pytest.approx(1 - len(wrong) / len(easy_digits.test))
    unmeasured = run_one(easy_digits, recipe, identify(recipe, 1, easy_digits), False, None, False)
    assert "test_wrong" not in unmeasured.measured


def test_a_run_that_diverges_is_a_result_with_its_reason(easy_digits, tmp_path):
    wild = Recipe("V0", epochs=1, optimizer="sgd", learning_rate=1e30)
    run = identify(wild, 0, easy_digits)
    result = run_one(easy_digits, wild, run, True, tmp_path, False)
    assert list(result.measured) == ["failure"]
    assert "loss is" in result.measured["failure"]
    (path,) = tmp_path.iterdir()
    assert read_result(path, run) == result
