"""A run is a recipe with a seed; an experiment is a recipe over several seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import joblib
import numpy as np
import pandas as pd
import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from mnistkit.data import Digits, Split
from mnistkit.errors import TrainingError
from mnistkit.metrics import Interval, interval_of_mean
from mnistkit.models import build_model, count_parameters
from mnistkit.progress import progress_bar
from mnistkit.training import evaluate, fit

_EVALUATION_BATCH = 1000


@dataclass(frozen=True)
class Recipe:
    """All that decides how a model is trained, but for the seed and the data.

    model: a name in `models.MODELS`; options replace those of the registry.
    The others are as in `training.fit`.
    """

    model: str
    options: Mapping[str, object] = field(default_factory=dict)
    epochs: int = 5
    batch_size: int = 64
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    loss: str = "cross_entropy"
    scheduler: Callable[[Optimizer], LRScheduler] | None = None
    normalized: bool = False


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
    names = ("epochs", "optimizer", "learning_rate", "weight_decay", "loss", "scheduler")
    settings = {name: getattr(recipe, name) for name in names}
    return model, fit(model, train, validation, seed=seed, **settings, **fit_options)


def run_experiment(recipe: Recipe, seeds: Sequence[int], digits: Digits, **options) -> pd.DataFrame:
    """Repeat a recipe over seeds: one row a seed; options as in `run_grid`."""
    return run_grid({recipe.model: recipe}, seeds, digits, **options)


def run_grid(
    recipes: Mapping[str, Recipe],
    seeds: Sequence[int],
    digits: Digits,
    *,
    test: bool = False,
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
        keep_models: add columns model and history, the trained models themselves.
        jobs: processes; -1 for one a core. The numbers do not depend on it.

    Returns one row a run: name, seed, validation_accuracy, validation_loss (and
    test_accuracy, test_loss), parameters, seconds; in the order of recipes, then seeds. A
    run whose loss is no longer a number is said aloud and has NaN, so that its mean is NaN.
    """
    plan = [(name, recipe, seed) for name, recipe in recipes.items() for seed in seeds]
    if not plan:
        raise ValueError("nothing to run: give at least one recipe and one seed")
    arrays, run = _to_arrays(digits), joblib.delayed(_run)
    tasks = (run(*run_of, arrays, test, keep_models) for run_of in plan)
    parallel = joblib.Parallel(n_jobs=min(jobs, len(plan)), return_as="generator")
    rows = []
    with progress_bar(len(plan), "training", "run") as bar:
        for row in parallel(tasks):
            rows.append(row)
            bar.update()
            if "failure" in row:
                print(f"{row['name']}, seed {row['seed']}: {row['failure']}")
    return pd.DataFrame(rows)


def summarize(runs: pd.DataFrame, value: str = "validation_accuracy") -> pd.DataFrame:
    """One row a name, in order: mean, 95 % interval of it, deviation, worst, n."""
    intervals = {
        name: interval_of_mean(group[value]) for name, group in runs.groupby("name", sort=False)
    }
    return pd.DataFrame.from_dict({name: vars(i) for name, i in intervals.items()}, orient="index")


def paired_difference(
    runs: pd.DataFrame, better: str, than: str, value: str = "validation_accuracy"
) -> Interval:
    """Interval of `better` minus `than`, paired by seed.

    A run that diverged makes it NaN. Raises ValueError if they do not share the same seeds.
    """
    table = runs.pivot(index="seed", columns="name", values=value)
    ran = [set(runs.loc[runs["name"] == name, "seed"]) for name in (better, than)]
    if not ran[0] or ran[0] != ran[1]:
        raise ValueError(f"{better!r} and {than!r} have not been run with the same seeds")
    pair = table.loc[sorted(ran[0]), [better, than]]
    return interval_of_mean(pair[better] - pair[than])


def _run(name: str, recipe: Recipe, seed: int, arrays: dict, test: bool, keep_models: bool) -> dict:
    """One run, on one thread, so that runs side by side do not slow each other."""
    digits, threads = _from_arrays(arrays), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        row = {"name": name, "seed": seed}
        try:
            model, history = train_recipe(recipe, digits, seed, device="cpu", progress=False)
        except TrainingError as error:
            return row | _failed(str(error).splitlines()[0])
        if history.interrupted:
            raise KeyboardInterrupt
        row |= {k: v for k, v in history.last.items() if k.startswith("validation")}
        if test:
            loader = digits.test.loader(_EVALUATION_BATCH, normalized=recipe.normalized)
            result = evaluate(model, loader, recipe.loss)
            row |= {"test_accuracy": result.accuracy, "test_loss": result.loss}
        if keep_models:
            row |= {"model": model, "history": history}
        return row | {"parameters": count_parameters(model), "seconds": history.seconds}
    finally:
        torch.set_num_threads(threads)


def _failed(reason: str) -> dict:
    return {"validation_accuracy": float("nan"), "failure": reason}


def _to_arrays(digits: Digits) -> dict[str, np.ndarray]:
    """As NumPy arrays, which joblib hands to its processes by memory map, not by copy."""
    splits = {name: getattr(digits, name) for name in ("train", "validation", "test")}
    images = {f"{name}_images": split.images.numpy() for name, split in splits.items()}
    labels = {f"{name}_labels": split.labels.numpy() for name, split in splits.items()}
    return images | labels | {"source": digits.source}


def _from_arrays(arrays: dict) -> Digits:
    def split(name: str) -> Split:
        images, labels = (np.array(arrays[f"{name}_{part}"]) for part in ("images", "labels"))
        return Split(torch.from_numpy(images), torch.from_numpy(labels))

    return Digits(split("train"), split("validation"), split("test"), arrays["source"])
