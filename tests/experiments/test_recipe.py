"""A recipe is a value: the same training has the same digest, anywhere."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, replace
from functools import partial

import pytest
import torch
from torch.optim.lr_scheduler import ExponentialLR, StepLR

from mnistkit.augmentation import random_affine, random_non_digits
from mnistkit.experiments.recipe import Recipe, recipe_digest
from mnistkit.experiments.results import identify
from mnistkit.experiments.run import train_recipe
from mnistkit.study.trained import trained_model
from tests.experiments.changes import CHANGES


@pytest.mark.parametrize("name", CHANGES)
def test_every_field_changes_the_digest(name):
    recipe = Recipe("A baseline")
    assert replace(recipe, **{name: CHANGES[name][1]}).digest != recipe.digest
    assert set(CHANGES) == {field.name for field in fields(Recipe)}


def test_digest_is_the_same_in_another_process_and_tomorrow():
    code = (
        "from mnistkit.experiments.recipe import Recipe; from functools import partial; "
        "from torch.optim.lr_scheduler import StepLR; "
        "print(Recipe('V1', {'b': 2, 'a': (1, 2)}, scheduler=partial(StepLR, step_size=3)).digest)"
    )
    environment = {"PYTHONHASHSEED": "123"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.strip() == "5b62140fa40b"


def test_how_a_recipe_is_written_does_not_matter():
    one = Recipe("E MLP", {"hidden": (100,), "dropout": 0.1}, learning_rate=1)
    other = Recipe("E MLP", {"dropout": 0.1, "hidden": [100]}, learning_rate=1.0)
    assert one == other
    assert hash(one) == hash(other)
    assert len({one, other}) == 1
    assert one != "E MLP"


def test_options_of_the_caller_are_copied():
    options = {"dropout": 0.1}
    recipe = Recipe("E MLP", options)
    before = recipe.digest
    options["dropout"] = 0.9
    assert recipe.digest == before


def test_schedulers_count_with_their_arguments():
    digests = {
        Recipe("V0", scheduler=s).digest
        for s in (None, ExponentialLR, partial(StepLR, step_size=1), partial(StepLR, step_size=2))
    }
    assert len(digests) == 4


def test_a_scheduler_without_a_name_is_refused_when_it_must_be_written_down():
    recipe = Recipe("V0", scheduler=lambda optimizer: StepLR(optimizer, 1))
    with pytest.raises(ValueError, match=r"scheduler is <function.*partial\(StepLR"):
        recipe.to_dict()


def test_augmenting_normalised_images_is_refused():
    with pytest.raises(ValueError, match="leave normalized False"):
        Recipe("V0", augment=random_affine, normalized=True)
    with pytest.raises(ValueError, match="outliers needs images in"):
        Recipe("V0", outliers=random_non_digits, normalized=True)


def test_digest_of_the_written_form_is_the_recipes_own():
    recipe = Recipe("V0", {"hidden_units": 5})
    assert recipe_digest(recipe.to_dict()) == recipe.digest


@pytest.mark.parametrize(
    "call",
    [
        lambda given, digits, folder: identify(given, 0, digits),
        lambda given, digits, folder: train_recipe(given, digits),
        lambda given, digits, folder: trained_model(given, digits, folder=folder),
    ],
)
def test_a_models_name_in_the_place_of_a_recipe_is_told_how_to_be_one(call, easy_digits, tmp_path):
    with pytest.raises(ValueError, match=r"'FastCNN', expected Recipe\('FastCNN', epochs=5\)"):
        call("FastCNN", easy_digits, tmp_path)


STRENGTH = 0.5


def paler(images):
    return images * STRENGTH


def test_a_number_that_ones_own_function_reads_is_part_of_the_recipe(monkeypatch):
    before = Recipe("V0", augment=paler).digest
    assert Recipe("V0", augment=paler).digest == before
    monkeypatch.setitem(globals(), "STRENGTH", 0.25)
    assert Recipe("V0", augment=paler).digest != before


GAIN, SETTINGS, WIDTHS, LOG = 1.0, {"gain": 1.0}, [1, 2], []


def helper(images):
    return images * GAIN


def in_a_comprehension(images):
    return torch.stack([image * GAIN for image in images])


def from_a_dict(images):
    return images * SETTINGS["gain"]


def from_a_list(images):
    return images * WIDTHS[0]


def by_a_helper(images):
    return helper(images)


def with_a_log(images):
    LOG.append(len(images))
    return images


@pytest.mark.parametrize("function", [in_a_comprehension, from_a_dict, from_a_list, by_a_helper])
def test_what_an_own_function_reads_is_part_of_its_recipe(monkeypatch, function):
    before = Recipe("V0", augment=function).digest
    assert Recipe("V0", augment=function).digest == before
    for name, value in (("GAIN", 0.0), ("SETTINGS", {"gain": 0.0}), ("WIDTHS", [0, 2])):
        monkeypatch.setattr(sys.modules[__name__], name, value)
    assert Recipe("V0", augment=function).digest != before


def test_what_an_own_function_writes_is_not():
    before = Recipe("V0", augment=with_a_log).digest
    with_a_log(torch.zeros(3, 1))
    assert LOG
    assert Recipe("V0", augment=with_a_log).digest == before
