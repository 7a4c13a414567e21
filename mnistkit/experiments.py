"""A run is a recipe with a seed; an experiment is a recipe over several seeds."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import joblib
import numpy as np
import pandas as pd
import torch

from mnistkit.data import Digits, Split
from mnistkit.devices import thread_count
from mnistkit.errors import TrainingError
from mnistkit.metrics import Interval, interval_of_mean
from mnistkit.models import build_model, count_parameters
from mnistkit.progress import progress_bar
from mnistkit.recipes import Recipe
from mnistkit.results import identify, read_result, result_path, write_result
from mnistkit.training import evaluate, fit

__all__ = [
    "Experiment",
    "Recipe",
    "paired_difference",
    "run_experiment",
    "run_grid",
    "summarize",
    "train_recipe",
]

_EVALUATION_BATCH = 1000
_METRICS = ("validation_accuracy", "validation_loss", "test_accuracy", "test_loss")


@dataclass(frozen=True)
class Experiment:
    """A recipe over seeds: its runs, one row a seed, and what they come to.

    accuracy: mean, deviation, worst, n and a 95 % interval of the mean; on test if the
    experiment was told to measure there, else on validation.
    """

    runs: pd.DataFrame
    accuracy: Interval


def train_recipe(recipe: Recipe, digits: Digits, seed: int = 0, **fit_options):
    """Build and train the recipe's model; returns (model, History)."""
    model = build_model(recipe.model, seed=seed, **recipe.options)
    train, validation = (
        part.loader(size, shuffle=shuffle, normalized=recipe.normalized) if len(part) else None
        for part, size, shuffle in (
            (digits.train, recipe.batch_size, True),
            (digits.validation, _EVALUATION_BATCH, False),
        )
    )
    names = ("epochs", "optimizer", "learning_rate", "weight_decay", "loss", "scheduler",
             "scheduler_step", "precision", "augment", "label_smoothing",
             "averaging")  # fmt: skip
    settings = {name: getattr(recipe, name) for name in names}
    return model, fit(model, train, validation, seed=seed, **settings, **fit_options)


def run_experiment(
    recipe: Recipe, seeds: Sequence[int], digits: Digits, *, test: bool = False, **options
) -> Experiment:
    """Repeat a recipe over seeds and summarise; options as in `run_grid`."""
    runs = run_grid({recipe.model: recipe}, seeds, digits, test=test, **options)
    value = "test_accuracy" if test else "validation_accuracy"
    return Experiment(runs, interval_of_mean(runs[value]))


def run_grid(
    recipes: Mapping[str, Recipe],
    seeds: Sequence[int],
    digits: Digits,
    *,
    test: bool = False,
    folder: str | os.PathLike | None = None,
    keep_models: bool = False,
    jobs: int = -1,
) -> pd.DataFrame:
    """Train every recipe with every seed, in parallel processes of one CPU thread each.

    Args:
        recipes: by the name that the rows will carry.
        seeds: each decides initial weights, order of batches and dropout of one run, so
            that runs of two recipes with the same seed can be paired.
        digits: the same for all.
        test: measure on test too. Leave it False while anything is still to be chosen.
        folder: keep each run's result there as a file as soon as it is done, and read
            those that are there instead of running them again; see `results`.
        keep_models: add columns model and history, the trained models themselves.
        jobs: processes; -1 for one a core. The numbers do not depend on it.

    Returns one row a run: name, seed, validation_accuracy, validation_loss (if there are
    validation digits), test_accuracy, test_loss (if asked for), parameters, seconds; in the
    order of recipes, then seeds. A run whose loss is no longer a number is said aloud and
    has NaN, so that its mean is NaN.

    Raises ValueError for nothing to run, or both folder and keep_models: models are not
    kept in files. Raises ResultError for a result that is damaged or of other data.
    """
    plan = [(name, recipe, int(seed)) for name, recipe in recipes.items() for seed in seeds]
    if not plan:
        raise ValueError("nothing to run: give at least one recipe and one seed")
    if folder and keep_models:
        raise ValueError("give folder or keep_models: a result that is read brings no model")
    measured = _read_stored(plan, digits, folder, test) if folder else {}
    missing = [place for place in range(len(plan)) if place not in measured]
    if missing:
        measured |= _run_all(plan, missing, digits, test, folder, keep_models, jobs)
    rows = [_row(*plan[place], measured[place], test) for place in range(len(plan))]
    return pd.DataFrame(rows)


def summarize(runs: pd.DataFrame, value: str = "validation_accuracy") -> pd.DataFrame:
    """One row a name, in order: mean, 95 % interval of it, deviation, worst, n."""
    intervals = {
        name: interval_of_mean(group[value]) for name, group in runs.groupby("name", sort=False)
    }
    return pd.DataFrame.from_dict({name: vars(i) for name, i in intervals.items()}, orient="index")


def paired_difference(
    runs: pd.DataFrame,
    better: str,
    than: str,
    value: str = "validation_accuracy",
    level: float = 0.95,
) -> Interval:
    """Interval, 95 % unless `level` says otherwise, of `better` minus `than`, paired by seed.

    A run that diverged makes it NaN. Raises ValueError if they do not share the same seeds.
    """
    table = runs.pivot(index="seed", columns="name", values=value)
    ran = [set(runs.loc[runs["name"] == name, "seed"]) for name in (better, than)]
    if not ran[0] or ran[0] != ran[1]:
        raise ValueError(f"{better!r} and {than!r} have not been run with the same seeds")
    pair = table.loc[sorted(ran[0]), [better, than]]
    return interval_of_mean(pair[better] - pair[than], level)


def _read_stored(plan, digits: Digits, folder, test: bool) -> dict[int, dict]:
    """Results that are there already, by place in the plan."""
    found = {}
    for place, (_, recipe, seed) in enumerate(plan):
        run = identify(recipe, seed, digits)
        path = result_path(folder, run)
        if path.exists():
            measured = read_result(path, run)["measured"]
            if "failure" in measured or not test or "test_accuracy" in measured:
                found[place] = measured
    return found


def _run_all(plan, places, digits: Digits, test, folder, keep_models, jobs) -> dict[int, dict]:
    """Run what is at these places of the plan, side by side."""
    arrays, run = _to_arrays(digits), joblib.delayed(_run)
    tasks = (run(*plan[place][1:], arrays, test, folder, keep_models) for place in places)
    parallel = joblib.Parallel(n_jobs=min(jobs, len(places)), return_as="generator")
    measured = {}
    with progress_bar(len(places), "training", "run") as bar, warnings.catch_warnings():
        # A process that has grown is replaced by a new one; its runs are not lost.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs were given")
        for place, result in zip(places, parallel(tasks), strict=True):
            measured[place] = result
            bar.update()
    return measured


def _row(name: str, recipe: Recipe, seed: int, measured: dict, test: bool) -> dict:
    """One row of the frame; a failure is said."""
    if "failure" in measured:
        print(f"{name}, seed {seed}: {measured['failure']}")
        measured = {"validation_accuracy": float("nan")} | measured
    hidden = ("epochs",) if test else ("epochs", "test_accuracy", "test_loss")
    return {"name": name, "seed": seed} | {k: v for k, v in measured.items() if k not in hidden}


def _run(recipe: Recipe, seed: int, arrays: dict, test: bool, folder, keep_models: bool) -> dict:
    """One run, on one thread, so that runs side by side do not slow each other."""
    digits = _from_arrays(arrays)
    with thread_count(1):
        measured = _measure(recipe, seed, digits, test, keep_models)
        if folder:
            write_result(folder, identify(recipe, seed, digits), measured)
        return measured


def _measure(recipe: Recipe, seed: int, digits: Digits, test: bool, keep_models: bool) -> dict:
    look = partial(_look_at_test, recipe, digits) if test else None
    try:
        model, history = train_recipe(
            recipe, digits, seed, device="cpu", progress=False, after_epoch=look
        )
    except TrainingError as error:
        return {"failure": str(error).splitlines()[0]}
    if history.interrupted:
        raise KeyboardInterrupt
    measured = {name: history.last[name] for name in _METRICS if name in history.last}
    measured |= {"parameters": count_parameters(model), "seconds": history.seconds}
    if keep_models:
        return measured | {"model": model, "history": history}
    return measured | {"epochs": history.rows}


def _look_at_test(recipe: Recipe, digits: Digits, model: torch.nn.Module) -> dict[str, float]:
    """Report on test after an epoch; nothing is chosen by it."""
    loader = digits.test.loader(_EVALUATION_BATCH, normalized=recipe.normalized)
    result = evaluate(model, loader, recipe.loss)
    return {"test_accuracy": result.accuracy, "test_loss": result.loss}


def _to_arrays(digits: Digits) -> dict:
    """Splits as NumPy arrays, which joblib hands to its processes by memory map, not by copy."""
    return {
        "source": digits.source,
        "digest": digits.digest,
        "splits": [
            (type(split), split.images.numpy(), split.labels.numpy())
            for split in (digits.train, digits.validation, digits.test)
        ],
    }


def _from_arrays(arrays: dict) -> Digits:
    def split(kind: type[Split], images: np.ndarray, labels: np.ndarray) -> Split:
        return kind(*(torch.from_numpy(np.array(part)) for part in (images, labels)))

    splits = (split(*parts) for parts in arrays["splits"])
    return Digits(*splits, arrays["source"], arrays["digest"])
