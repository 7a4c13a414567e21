"""Every setting of a recipe reaches training: its weights are those of `fit` called by hand."""

from __future__ import annotations

import functools
import pickle
from dataclasses import dataclass, fields
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor, nn

from mnistkit.data import Digits
from mnistkit.experiments.experiment import run_grid
from mnistkit.experiments.recipe import Recipe
from mnistkit.experiments.run import train_recipe
from mnistkit.experiments.sweep import read_sweep
from mnistkit.models import build_model
from mnistkit.study.trained import trained_model
from mnistkit.training import evaluate, fit
from mnistkit.utils.devices import thread_count
from tests.conftest import make_split
from tests.experiments.changes import CHANGES, FALLING, MOVED, SPOILED

SEED = 3
IN_A_FILE = {
    "scheduler": {"name": "StepLR", "step_size": 1, "gamma": 0.9},
    "augment": {"name": "random_affine", "degrees": 20, "scale": 0.1, "shear": 0.1, "shift": 3},
    "outliers": {"name": "random_non_digits", "share": 0.5},
}

BASE = {"model": "V0", "epochs": 2}
FIELDS = [field.name for field in fields(Recipe)]
# All at once, in two recipes: moved images are not normalised, and only cross-entropy smooths.
_SHARED = {
    "options": {"hidden_units": 7},
    "epochs": 3,
    "batch_size": 32,
    "optimizer": "adamw",
    "learning_rate": 0.02,
    "weight_decay": 0.3,
    "scheduler": FALLING,
    "scheduler_step": "batch",
    "precision": "bfloat16",
    "averaging": 0.8,
}
TOGETHER = {
    "moved and smoothed": _SHARED
    | {"model": "V1 corrected", "augment": MOVED, "outliers": SPOILED, "label_smoothing": 0.2},
    "normalised, with NLL": _SHARED | {"model": "V1", "normalized": True, "loss": "nll"},
}


def settings_with(name: str) -> dict:
    """The base with another value of this field, or all settings of this name at once."""
    if name in TOGETHER:
        return TOGETHER[name]
    return partners_of(name) | {name: CHANGES[name][1]}


def partners_of(name: str) -> dict:
    """The same but for the field itself."""
    assert name in CHANGES, f"{name} is a field of Recipe, and CHANGES does not say what it changes"
    return BASE | CHANGES[name][0]


def fit_by_hand(
    digits: Digits,
    device: str = "cpu",
    *,
    model: str,
    options: dict | None = None,
    batch_size: int = 64,
    normalized: bool = False,
    **settings: object,
) -> nn.Module:
    """What a recipe of these settings stands for, written out."""
    trained = build_model(model, seed=SEED, **(options or {}))
    fit(
        trained,
        digits.train.loader(batch_size, shuffle=True, normalized=normalized),
        digits.validation.loader(1000, normalized=normalized),
        seed=SEED,
        device=device,
        **settings,
    )
    return trained


def by_train_recipe(settings: dict, digits: Digits, _folder: Path) -> nn.Module:
    return train_recipe(Recipe(**settings), digits, SEED, device="cpu")[0]


def by_grid(settings: dict, digits: Digits, _folder: Path) -> nn.Module:
    return train_in_grid({"run": Recipe(**settings)}, digits)


def by_sweep_file(settings: dict, digits: Digits, folder: Path) -> nn.Module:
    written = {name: IN_A_FILE.get(name, value) for name, value in settings.items()}
    base = {name: written.pop(name) for name in BASE}
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump({"base": base, "recipes": {"run": written}}))
    return train_in_grid(read_sweep(path).recipes, digits)


def by_trained_model(settings: dict, digits: Digits, folder: Path) -> nn.Module:
    return trained_model(Recipe(**settings), digits, seed=SEED, folder=folder).model


def train_in_grid(recipes: dict[str, Recipe], digits: Digits) -> nn.Module:
    (row,) = run_grid(recipes, [SEED], digits, keep_models=True, jobs=1).itertuples()
    return row.model


WAYS = {
    "train_recipe": by_train_recipe,
    "run_grid": by_grid,
    "sweep file": by_sweep_file,
    "trained_model": by_trained_model,
}
DEVICES = {"trained_model": "auto"}  # the others are told the processor, or choose it


def weights_of(model: nn.Module) -> Tensor:
    return torch.cat([weights.detach().cpu().flatten() for weights in model.parameters()])


@pytest.fixture(autouse=True)
def _one_thread():
    """Sums over several threads may differ in their last bit."""
    with thread_count(1):
        yield


@pytest.fixture(scope="module")
def digits() -> Digits:
    return Digits(make_split(160, 0), make_split(20, 1), make_split(50, 2), "easy")


@pytest.fixture(scope="module")
def by_hand(digits):
    """Train each model by hand once, whichever ways it is compared with."""

    @functools.cache
    def model(name: str, device: str = "cpu") -> nn.Module:
        return fit_by_hand(digits, device, **settings_with(name))

    return model


@pytest.mark.parametrize("name", FIELDS)
def test_a_setting_changes_the_weights(name, digits, by_hand):
    before = weights_of(fit_by_hand(digits, **partners_of(name)))
    assert not torch.equal(before, weights_of(by_hand(name)))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", [*FIELDS, *TOGETHER])
def test_a_recipe_trains_the_weights_of_fit_by_hand(way, name, digits, by_hand, tmp_path):
    model = WAYS[way](settings_with(name), digits, tmp_path)
    assert torch.equal(weights_of(model), weights_of(by_hand(name, DEVICES.get(way, "cpu"))))


@pytest.mark.parametrize("way", WAYS)
def test_a_recipe_leaves_the_rest_at_its_defaults(way, digits, tmp_path):
    model = WAYS[way]({"model": "V0", "epochs": 5}, digits, tmp_path)
    expected = fit_by_hand(digits, DEVICES.get(way, "cpu"), model="V0")
    assert torch.equal(weights_of(model), weights_of(expected))


@pytest.mark.parametrize("way", WAYS)
def test_a_recipe_trains_the_same_weights_twice(way, digits, tmp_path_factory):
    settings = settings_with("augment")
    one, other = (WAYS[way](settings, digits, tmp_path_factory.mktemp("models")) for _ in range(2))
    assert torch.equal(weights_of(one), weights_of(other))


@pytest.mark.parametrize("name", [*FIELDS, *TOGETHER])
def test_numbers_of_a_grid_are_those_of_the_model_by_hand(name, digits, by_hand, tmp_path):
    settings = settings_with(name)
    recipe, options = Recipe(**settings), {"test": True, "folder": tmp_path, "jobs": 1}
    row = run_grid({"run": recipe}, [SEED], digits, **options).iloc[0]
    for part in ("validation", "test"):
        loader = getattr(digits, part).loader(1000, normalized=settings.get("normalized", False))
        expected = evaluate(by_hand(name), loader, settings.get("loss", "cross_entropy"))
        assert row[f"{part}_loss"] == expected.loss
        assert row[f"{part}_accuracy"] == expected.accuracy


@pytest.mark.parametrize("name", TOGETHER)
def test_a_recipe_loses_nothing_on_its_way_to_another_process(name, digits, by_hand):
    arrived = pickle.loads(pickle.dumps(Recipe(**TOGETHER[name])))
    model = train_in_grid({"run": arrived}, digits)
    assert torch.equal(weights_of(model), weights_of(by_hand(name)))


def test_all_at_once_leaves_no_field_at_its_default():
    default = Recipe("V0")
    recipes = [Recipe(**settings) for settings in TOGETHER.values()]
    same = [n for n in FIELDS if all(getattr(r, n) == getattr(default, n) for r in recipes)]
    assert same == []


@dataclass(frozen=True, eq=False)
class ThreadedRecipe(Recipe):
    """A recipe with one field more, a setting that `fit` knows already."""

    threads: int | str = "auto"


def test_a_field_that_is_added_reaches_fit_without_being_named_anywhere_else(easy_digits):
    recipes = ThreadedRecipe("V0", epochs=1), ThreadedRecipe("V0", epochs=1, threads=2)
    histories = [train_recipe(recipe, easy_digits, device="cpu")[1] for recipe in recipes]
    assert [history.threads for history in histories] == [1, 2]


def test_a_field_that_is_added_is_checked(easy_digits):
    recipe = ThreadedRecipe("V0", epochs=1, threads=-1)
    with pytest.raises(ValueError, match="V0: threads is -1"):
        run_grid({"V0": recipe}, [0], easy_digits)


def test_a_field_that_is_added_leaves_older_recipes_as_they_were():
    assert ThreadedRecipe("V0").digest == Recipe("V0").digest
    assert ThreadedRecipe("V0", threads=1).digest != Recipe("V0").digest
