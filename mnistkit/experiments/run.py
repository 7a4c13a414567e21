"""One run: a recipe with a seed, trained, measured, and stored as a result."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch

from mnistkit.data import Digits, Split
from mnistkit.epoch import choose_autocast
from mnistkit.errors import TrainingError
from mnistkit.experiments.recipe import Recipe
from mnistkit.experiments.results import (
    describe_machine,
    identify,
    read_result,
    result_path,
    write_result,
)
from mnistkit.models import build_model, count_parameters
from mnistkit.settings import check_settings, choose_optimizer, make_schedule, smooth_labels
from mnistkit.training import evaluate, fit
from mnistkit.utils.devices import thread_count

_EVALUATION_BATCH = 1000
_METRICS = ("validation_accuracy", "validation_loss", "test_accuracy", "test_loss")


def check_recipe(recipe: Recipe) -> None:
    """Raise ValueError for what would stop `fit`, before anything is run.

    Names, options of the model, ranges; and that the scheduler can be built.
    """
    try:
        model = build_model(recipe.model, **recipe.options)
    except TypeError as error:
        raise ValueError(
            f"{recipe.model} cannot be built with {recipe.options}: {error}"
        ) from error
    check_settings(epochs=recipe.epochs, learning_rate=recipe.learning_rate,
                   weight_decay=recipe.weight_decay, averaging=recipe.averaging,
                   batch_size=recipe.batch_size, augment=recipe.augment,
                   scheduler_step=recipe.scheduler_step)  # fmt: skip
    smooth_labels(recipe.loss, recipe.label_smoothing)
    choose_autocast(model, recipe.precision)
    optimizer = choose_optimizer(recipe.optimizer)
    # Only where it tells something: torch's first optimizer imports torch's compiler.
    if callable(recipe.optimizer) or recipe.scheduler is not None:
        optimizer = optimizer(
            model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
    if recipe.scheduler is not None:
        make_schedule(recipe.scheduler, optimizer, steps=10 * recipe.epochs)


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
    return model, fit(model, train, validation, seed=seed, **recipe.fit_settings, **fit_options)


def run_one(
    arrays: dict, recipe: Recipe, seed: int, test: bool, folder, keep_models: bool
) -> tuple[dict, dict]:
    """One run, on one thread, so that runs side by side do not slow each other.

    Returns what was measured, and on what machine.
    """
    digits = unpack_digits(arrays)
    run = identify(recipe, seed, digits)
    stored = stored_result(run, folder, test) if folder else None
    if stored:  # by another process that was at the same grid, or was killed since
        return stored["measured"], stored["machine"]
    with thread_count(1):
        measured, machine = _measure(recipe, seed, digits, test, keep_models), describe_machine()
        if folder:
            write_result(folder, run, measured, machine)
        return measured, machine


def stored_result(run: Mapping, folder, test: bool) -> dict | None:
    """The result of a run if it is there, with test if that is asked for."""
    path = result_path(folder, run)
    if not path.exists():
        return None
    content = read_result(path, run)
    whole = not test or {"failure", "test_accuracy"} & set(content["measured"])
    return content if whole else None


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


def pack_digits(digits: Digits) -> dict:
    """Splits as NumPy arrays, which joblib hands to its processes by memory map, not by copy."""
    return {
        "source": digits.source,
        "digest": digits.digest,
        "splits": [
            (type(split), split.images.numpy(), split.labels.numpy())
            for split in (digits.train, digits.validation, digits.test)
        ],
    }


def unpack_digits(arrays: dict) -> Digits:
    """The digits that `pack_digits` was given, with tensors of their own."""

    def split(kind: type[Split], images: np.ndarray, labels: np.ndarray) -> Split:
        return kind(*(torch.from_numpy(np.array(part)) for part in (images, labels)))

    splits = (split(*parts) for parts in arrays["splits"])
    return Digits(*splits, arrays["source"], arrays["digest"])
