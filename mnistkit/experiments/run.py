"""One run: a recipe with a seed, trained, measured, and stored as a result."""

from __future__ import annotations

from functools import partial

import torch

from mnistkit.data import Digits
from mnistkit.errors import TrainingError
from mnistkit.experiments.recipe import Recipe, check_recipe
from mnistkit.experiments.results import Result, RunId, stored_result, write_result
from mnistkit.models import build_model, count_parameters
from mnistkit.prediction import make_predictions
from mnistkit.training import History, evaluate, fit, raising_interrupts
from mnistkit.utils.devices import thread_count

_EVALUATION_BATCH = 1000
_METRICS = ("validation_accuracy", "validation_loss", "test_accuracy", "test_loss")


def train_recipe(
    recipe: Recipe, digits: Digits, seed: int = 0, **fit_options
) -> tuple[torch.nn.Module, History]:
    """Build and train the recipe's model; options as in `training.fit`."""
    model = build_model(check_recipe(recipe).model, seed=seed, **recipe.options)
    train = digits.train.loader(recipe.batch_size, shuffle=True, normalized=recipe.normalized)
    validation = (
        digits.validation.loader(_EVALUATION_BATCH, normalized=recipe.normalized)
        if len(digits.validation)
        else None
    )
    return model, fit(model, train, validation, seed=seed, **recipe.fit_settings, **fit_options)


def run_one(
    digits: Digits, recipe: Recipe, run: RunId, test: bool, folder, keep_models: bool
) -> Result:
    """One run, on one thread, so that runs side by side do not slow each other.

    run: of this recipe on these digits, as `identify` gives.
    """
    # It may be there by now, by another process that was at the same grid, or was killed since.
    if folder and (stored := whole_result(folder, run, test)):
        return stored
    with thread_count(1):
        result = Result(run, _measure(recipe, run.seed, digits, test, keep_models))
    if folder:
        write_result(folder, result)
    return result


def whole_result(folder, run: RunId, test: bool) -> Result | None:
    """The stored result of a run, if it is there, with test if that is asked for."""
    result = stored_result(folder, run)
    if result and test and not {"failure", "test_accuracy"} & set(result.measured):
        return None
    return result


def _measure(recipe: Recipe, seed: int, digits: Digits, test: bool, keep_models: bool) -> dict:
    look = partial(_look_at_test, recipe, digits) if test else None
    try:
        with raising_interrupts():
            model, history = train_recipe(
                recipe, digits, seed, device="cpu", progress=False, after_epoch=look
            )
    except TrainingError as error:
        return {"failure": str(error).splitlines()[0]}
    measured = {name: history.last[name] for name in _METRICS if name in history.last}
    measured |= {"parameters": count_parameters(model), "seconds": history.seconds}
    if test:
        measured |= {"test_wrong": misread(model, recipe, digits)}
    if keep_models:
        return measured | {"model": model, "history": history}
    return measured | {"epochs": history.rows}


def misread(model: torch.nn.Module, recipe: Recipe, digits: Digits) -> list[int]:
    """Indices of the test digits, counted from 0, that a model of this recipe reads wrongly."""
    loader = digits.test.loader(_EVALUATION_BATCH, normalized=recipe.normalized)
    predicted = torch.cat([make_predictions(model, images).argmax(dim=1) for images, _ in loader])
    return (predicted != digits.test.labels).nonzero().flatten().tolist()


def _look_at_test(recipe: Recipe, digits: Digits, model: torch.nn.Module) -> dict[str, float]:
    """Report on test after an epoch; nothing is chosen by it."""
    loader = digits.test.loader(_EVALUATION_BATCH, normalized=recipe.normalized)
    result = evaluate(model, loader, recipe.loss)
    return {"test_accuracy": result.accuracy, "test_loss": result.loss}
