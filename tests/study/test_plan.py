"""The digests of the study's recipes and models stay: by them stored runs are found again."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from mnistkit import augmentation
from mnistkit.data import Digits, Split
from mnistkit.errors import ResultError
from mnistkit.experiments.recipe import Recipe
from mnistkit.experiments.results import identify
from mnistkit.models import MLP, MODELS, MNISTModelV0, MNISTModelV1
from mnistkit.study.plan import (
    COMPACT,
    FAST,
    FEATURES,
    feature_operations,
    full_plan,
    judging_plan,
    training_operations,
    tuning_plan,
)
from mnistkit.study.table import TABLE, read_table
from tests.kept import assert_as_kept

# By name of the plan: its stored runs, and the digests of its recipe and of its model's layers;
# "before" is what they were while they held dotted paths and PyTorch's way of printing.
with Path(__file__).with_name("digests.csv").open(encoding="utf-8", newline="") as file:
    PLAN = {row["name"]: row for row in csv.DictReader(file)}


def no_digits() -> Digits:
    empty = Split(torch.zeros(0, 28, 28, dtype=torch.uint8), torch.zeros(0, dtype=torch.int64))
    return Digits(empty, empty, empty, "nowhere")


def layers_of(recipe: Recipe) -> str:
    return identify(recipe, 0, no_digits()).layers


@pytest.fixture(scope="module")
def plan() -> dict[str, Recipe]:
    return {entry.name: entry.recipe for entry in full_plan(pd.read_csv(TABLE))}


@pytest.fixture(scope="module")
def stored() -> list[dict]:
    """The lines of the table as text, read by nothing of the library."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_plan_has_these_entries(plan):
    lines = [f"{n},,,{r.digest},,{layers_of(r)}" for n, r in plan.items() if n not in PLAN]
    assert lines == [], "what these lines of digests.csv lack: the number of stored runs"
    assert set(PLAN) <= set(plan)


@pytest.mark.parametrize("name", PLAN)
def test_a_recipe_of_the_plan_keeps_its_digest(name, plan):
    assert plan[name].digest == PLAN[name]["recipe"]


@pytest.mark.parametrize("name", PLAN)
def test_a_model_of_the_plan_keeps_the_digest_of_its_layers(name, plan):
    assert layers_of(plan[name]) == PLAN[name]["layers"]


def test_every_stored_run_has_the_digests_of_its_entry(stored):
    found = Counter((row["name"], row["recipe"], row["layers"]) for row in stored)
    assert found == {(n, e["recipe"], e["layers"]): int(e["runs"]) for n, e in PLAN.items()}


@pytest.mark.parametrize("before", ["recipe before", "layers before"])
def test_what_was_one_before_is_one_now_and_nothing_else(before):
    now = before.removesuffix(" before")
    pairs = {(entry[before], entry[now]) for entry in PLAN.values() if entry[before]}
    assert len(pairs) == len({old for old, _ in pairs}) == len({new for _, new in pairs})


def test_no_stored_run_is_outdated():
    assert len(read_table().frame) == 506
    assert len(read_table(drop_outdated=True).frame) == 506


def test_a_result_file_and_a_card_keep_their_name():
    run = identify(COMPACT, 3, no_digits())
    assert run.file_name == "compactcnn-8ff096a28f7a-seed0003.json"


# --- what must not change them --------------------------------------------------------------


@pytest.mark.parametrize("name", ["V2", "D deep", "MobileNetV2"])
def test_another_way_of_printing_is_the_same_architecture(name, monkeypatch):
    before = layers_of(Recipe(name))
    monkeypatch.setattr(nn.Module, "__repr__", lambda self: "another form")
    for kind in (nn.Linear, nn.Conv2d, nn.BatchNorm1d, nn.Dropout):
        monkeypatch.setattr(kind, "extra_repr", lambda self: "other words")
    assert str(MODELS[name].build()) == "another form"
    assert layers_of(Recipe(name)) == before


@pytest.mark.parametrize("field", ["augment", "scheduler"])
def test_a_function_that_moves_to_another_module_stays_the_same_recipe(field, monkeypatch):
    digest = COMPACT.digest
    call = getattr(COMPACT, field).func
    monkeypatch.setattr(call, "__module__", "elsewhere")
    assert COMPACT.digest == digest


# --- what has to change them ----------------------------------------------------------------


def random_affine(images: Tensor, **_ranges: float) -> Tensor:
    """Another function of the same name, as a reader may write one."""
    return images.flip(-1)


class OneCycleLR(lr_scheduler.OneCycleLR):
    """Another class of the same name."""


AUGMENTED = {
    "another function": partial(augmentation.affine, degrees=12, scale=0.12, shear=0.15),
    "another function of the same name": partial(random_affine, **COMPACT.augment.keywords),
    "other arguments": partial(augmentation.random_affine, degrees=12),
    "no arguments": augmentation.random_affine,
    "nothing": None,
}
SCHEDULED = {
    "another class": partial(lr_scheduler.CyclicLR, **FAST.scheduler.keywords),
    "another class of the same name": partial(OneCycleLR, **FAST.scheduler.keywords),
    "other arguments": partial(FAST.scheduler, max_lr=0.02),
}
ARCHITECTURES = {
    "another width": partial(MNISTModelV0, hidden_units=11),
    "another activation": partial(MNISTModelV1, relu_on_logits=False),
    "one layer more": partial(MLP, hidden=(10, 10)),
    "another probability of dropout": partial(MLP, hidden=(10,), dropout=0.25),
    "another kind of output": partial(MLP, hidden=(10,), log_softmax=True),
    "one layer less": partial(MLP, hidden=()),
    "a reader's own": lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.Linear(10, 10)),
}


@pytest.mark.parametrize("other", AUGMENTED)
def test_another_augmentation_is_another_recipe(other):
    recipe = replace(COMPACT, augment=AUGMENTED[other])
    assert recipe.digest != PLAN["CompactCNN"]["recipe"]
    assert recipe != COMPACT


@pytest.mark.parametrize("other", SCHEDULED)
def test_another_scheduler_is_another_recipe(other):
    recipe = replace(FAST, scheduler=SCHEDULED[other])
    assert recipe.digest != PLAN["FastCNN"]["recipe"]
    assert recipe != FAST


def test_digests_of_changed_functions_all_differ():
    recipes = [replace(COMPACT, augment=augment) for augment in AUGMENTED.values()]
    recipes += [replace(FAST, scheduler=scheduler) for scheduler in SCHEDULED.values()]
    assert len({recipe.digest for recipe in recipes}) == 8


@pytest.mark.parametrize("other", ARCHITECTURES)
def test_another_architecture_behind_the_name_has_other_layers(other, monkeypatch):
    monkeypatch.setitem(MODELS, "V0", replace(MODELS["V0"], build=ARCHITECTURES[other]))
    assert layers_of(Recipe("V0")) != PLAN["V0"]["layers"]


def test_stored_runs_of_another_architecture_are_refused(monkeypatch):
    changed = replace(MODELS["V0"], build=ARCHITECTURES["another width"])
    monkeypatch.setitem(MODELS, "V0", changed)
    with pytest.raises(ResultError, match="V0, seed 0, was measured with another recipe"):
        read_table()


def test_only_stored_runs_of_another_architecture_are_left_out(monkeypatch):
    changed = replace(MODELS["V0"], build=ARCHITECTURES["another width"])
    monkeypatch.setitem(MODELS, "V0", changed)
    assert len(read_table(drop_outdated=True).frame) == 486


def test_the_arithmetic_of_a_training_is_that_of_its_epochs_and_digits():
    # V0, forward and backward: 2 (2 x 784 x 10 + 3 x 10 x 10) operations a digit, 3 epochs.
    assert training_operations("V0") == 3 * 60_000 * 2 * (2 * 7840 + 300)
    assert training_operations("V0", digits=10) == 3 * 10 * 2 * (2 * 7840 + 300)
    # A head sees 1,280 features and no pixel: forward, and backward for its own weights.
    assert training_operations("MobileNetV2 head") == 5 * 60_000 * 2 * 2 * 12_800
    # Some 300 million products and sums each (Sandler et al., 2018), for 224 x 224.
    assert feature_operations(1) == pytest.approx(600e6, rel=0.01)
    with pytest.raises(KeyError):
        training_operations("V0.5")


def test_what_is_planned_stays_as_it_was():
    planned = [*tuning_plan(), *judging_plan({"SGD": 0.3, "Adam": 0.003}), FEATURES]
    lines = [f"{entry.name}: {entry.data}, seeds {[*entry.seeds]}, test {entry.test}, kept "
             f"{entry.kept}, {entry.recipe.to_dict() if entry.recipe else ''}"
             for entry in planned]  # fmt: skip
    assert_as_kept("plan", "\n".join(lines))


def test_rates_are_chosen_on_validation_only():
    assert {entry.test for entry in tuning_plan()} == {False}
    assert {tuple(entry.seeds) for entry in tuning_plan()} == {(0, 1, 2)}
