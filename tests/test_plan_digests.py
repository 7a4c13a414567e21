"""The digests of the study's recipes and models stay: by them stored runs are found again."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from functools import partial

import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from mnistkit import augmentation
from mnistkit.archive import TABLE, full_plan, read_table
from mnistkit.data import Digits, Split
from mnistkit.errors import ResultError
from mnistkit.models import MLP, MODELS, MNISTModelV0, MNISTModelV1
from mnistkit.recipes import Recipe
from mnistkit.results import identify, result_path
from mnistkit.study import COMPACT, FAST

# By name of the plan: digest of the recipe, digest of its model's layers, stored runs.
PLAN = {
    "tune SGD 0.03": ("9c43c5c22d47", "812b7b94141c", 3),
    "tune SGD 0.1": ("96b8364130aa", "812b7b94141c", 3),
    "tune SGD 0.2": ("e7ce971a5b4c", "812b7b94141c", 3),
    "tune SGD 0.3": ("d450a86c7f94", "812b7b94141c", 3),
    "tune SGD 0.5": ("a3b406837dbb", "812b7b94141c", 3),
    "tune SGD 1": ("8f6d02045fea", "812b7b94141c", 3),
    "tune Adam 0.0003": ("4183bc795c86", "812b7b94141c", 3),
    "tune Adam 0.001": ("df31625b32eb", "812b7b94141c", 3),
    "tune Adam 0.002": ("c51a3bc61618", "812b7b94141c", 3),
    "tune Adam 0.003": ("1b1c9f098865", "812b7b94141c", 3),
    "tune Adam 0.01": ("0f42a7d27889", "812b7b94141c", 3),
    "V0": ("0292ab67655d", "54d7d96ce68b", 20),
    "V1": ("ea89ff73e7e6", "5fe7d8983387", 64),
    "V1 corrected": ("72365aa3732a", "0aa7599cc55d", 20),
    "A baseline": ("df31625b32eb", "812b7b94141c", 10),
    "A wide": ("0ff298cfb6ef", "d37121a7a86b", 10),
    "A SGD": ("d450a86c7f94", "812b7b94141c", 10),
    "A Adam": ("1b1c9f098865", "812b7b94141c", 10),
    "A SGD sigmoid": ("f056ef661f38", "1f2fe8c46d0c", 10),
    "A SGD 0.1 sigmoid": ("d7a6027cdedb", "1f2fe8c46d0c", 10),
    "A log-softmax + NLL": ("3f33efdb725b", "ec475181ef75", 10),
    "A NLL on raw logits": ("6d93a8d36810", "812b7b94141c", 10),
    "A leaky_relu": ("65d6de84fc20", "6d347fcaa8e6", 10),
    "A tanh": ("d7ed51bc79f5", "8e1ee1032ff2", 10),
    "A sigmoid": ("0e6996761551", "1f2fe8c46d0c", 10),
    "A dropout 0.2": ("4a5385478f11", "4c6690ed48aa", 10),
    "A dropout 0.5": ("8b8b552a6909", "995a4f8e3360", 10),
    "A baseline, 10 epochs": ("922d93a8d179", "812b7b94141c", 10),
    "B MLP": ("bdec8e9821f3", "bf662254d121", 10),
    "E MLP": ("0b4aa332783a", "adda2475c2a8", 10),
    "D deep": ("0939333f9ce3", "4b4524b9950d", 10),
    "V2": ("87dcbfe4b511", "de3f4023b5cd", 10),
    "B CNN": ("63fc09176a90", "96bed9ab3311", 10),
    "E CNN": ("eff3b63e9a86", "161f53708240", 10),
    "E CNN corrected": ("457b1a7dd3ba", "b61641dfacc8", 10),
    "FastCNN": ("64b9c8766e20", "4cfed8665ef0", 10),
    "V2 in float32": ("75ce967ed793", "de3f4023b5cd", 10),
    "E CNN corrected in float32": ("21cf16109ec7", "b61641dfacc8", 10),
    "FastCNN in float32": ("6e3c54fb9338", "4cfed8665ef0", 10),
    "MobileNetV2 head": ("24af3576d9d6", "40105b188a40", 10),
    "MobileNetV2 features": ("4cd3a24656cc", "1f6bf82be39f", 1),
    "CompactCNN": ("2c5a431b82af", "89860b5d08ab", 10),
    "CompactCNN, Adam": ("1e7a7f25c882", "89860b5d08ab", 5),
    "CompactCNN, one-cycle": ("d696b33b6d3e", "89860b5d08ab", 5),
    "CompactCNN, affine": ("ba1b3a374f8e", "89860b5d08ab", 5),
    "CompactCNN, averaging": ("c46a279ca913", "89860b5d08ab", 5),
    "CompactCNN ensemble": ("5da5c3abec19", "300772731b50", 2),
}


def no_digits() -> Digits:
    empty = Split(torch.zeros(0, 28, 28, dtype=torch.uint8), torch.zeros(0, dtype=torch.int64))
    return Digits(empty, empty, empty, "nowhere")


def layers_of(recipe: Recipe) -> str:
    return identify(recipe, 0, no_digits())["layers"]


@pytest.fixture(scope="module")
def plan() -> dict[str, Recipe]:
    return {entry.name: entry.recipe for entry in full_plan(pd.read_csv(TABLE))}


@pytest.fixture(scope="module")
def stored() -> list[dict]:
    """The lines of the table as text, read by nothing of the library."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_plan_has_these_entries(plan):
    assert list(plan) == list(PLAN)


@pytest.mark.parametrize("name", PLAN)
def test_a_recipe_of_the_plan_keeps_its_digest(name, plan):
    assert plan[name].digest == PLAN[name][0]


@pytest.mark.parametrize("name", PLAN)
def test_a_model_of_the_plan_keeps_the_digest_of_its_layers(name, plan):
    assert layers_of(plan[name]) == PLAN[name][1]


def test_every_stored_run_has_the_digests_of_its_entry(stored):
    found = Counter((row["name"], row["recipe"], row["layers"]) for row in stored)
    assert found == {(name, recipe, layers): runs for name, (recipe, layers, runs) in PLAN.items()}


def test_no_stored_run_is_outdated():
    assert len(read_table().frame) == 430
    assert len(read_table(drop_outdated=True).frame) == 430


def test_a_result_file_and_a_card_keep_their_name():
    run = identify(COMPACT, 3, no_digits())
    assert result_path("", run).name == "compactcnn-a21987dc8405-seed0003.json"


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
    "one layer less": partial(MLP, hidden=()),
    "a reader's own": lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.Linear(10, 10)),
}


@pytest.mark.parametrize("other", AUGMENTED)
def test_another_augmentation_is_another_recipe(other):
    recipe = replace(COMPACT, augment=AUGMENTED[other])
    assert recipe.digest != "2c5a431b82af"
    assert recipe != COMPACT


@pytest.mark.parametrize("other", SCHEDULED)
def test_another_scheduler_is_another_recipe(other):
    recipe = replace(FAST, scheduler=SCHEDULED[other])
    assert recipe.digest != "64b9c8766e20"
    assert recipe != FAST


def test_digests_of_changed_functions_all_differ():
    recipes = [replace(COMPACT, augment=augment) for augment in AUGMENTED.values()]
    recipes += [replace(FAST, scheduler=scheduler) for scheduler in SCHEDULED.values()]
    assert len({recipe.digest for recipe in recipes}) == 8


@pytest.mark.parametrize("other", ARCHITECTURES)
def test_another_architecture_behind_the_name_has_other_layers(other, monkeypatch):
    monkeypatch.setitem(MODELS, "V0", replace(MODELS["V0"], build=ARCHITECTURES[other]))
    assert layers_of(Recipe("V0")) != "54d7d96ce68b"


def test_stored_runs_of_another_architecture_are_refused(monkeypatch):
    changed = replace(MODELS["V0"], build=ARCHITECTURES["another width"])
    monkeypatch.setitem(MODELS, "V0", changed)
    with pytest.raises(ResultError, match="V0, seed 0, was measured with another recipe"):
        read_table()


def test_only_stored_runs_of_another_architecture_are_left_out(monkeypatch):
    changed = replace(MODELS["V0"], build=ARCHITECTURES["another width"])
    monkeypatch.setitem(MODELS, "V0", changed)
    assert len(read_table(drop_outdated=True).frame) == 410
