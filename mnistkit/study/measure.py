"""Runs what the study plans and has no result yet, and goes on where it was stopped."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from mnistkit.data import Digits, load_digits
from mnistkit.errors import DataError, ResultError
from mnistkit.experiments.experiment import run_grid
from mnistkit.experiments.recipe import Recipe
from mnistkit.experiments.results import (
    Result,
    describe_machine,
    identify,
    stored_result,
    write_result,
)
from mnistkit.models import Ensemble, count_parameters
from mnistkit.study.plan import (
    ENSEMBLE,
    FEATURES,
    MEMBERS,
    STUDY,
    VALIDATION_SIZE,
    Entry,
    Plan,
    choose_rates,
)
from mnistkit.study.table import Runs
from mnistkit.study.trained import measure_on_test, train_and_keep, trained_model
from mnistkit.transfer import RANDOM, feature_digits, freeze, load_mobilenet, name_features
from mnistkit.utils.devices import choose_device


def measure(folder: str | os.PathLike, source: str = "mnist", plan: Plan = STUDY) -> Iterator[str]:
    """Run whatever of the study has no result in `folder` yet; yield a line before each part.

    Raises DataError or DownloadError if the source cannot be had: there is no falling back,
    since its results would be of other data than was asked for.
    """
    digits = _load(source)
    yield "learning rates, on validation"
    rates = choose_rates(_run(plan.tuning(), digits["split"], folder))
    yield ", ".join(f"{name} {rate:g}" for name, rate in rates.items()) + " chosen"
    yield from _measure_entries(plan.at(rates), plan, digits, folder)


def measure_lacking(
    runs: Runs, folder: str | os.PathLike, source: str = "mnist", plan: Plan = STUDY
) -> Iterator[str]:
    """Run what the study plans and these runs lack, at the rates that they chose.

    For a recipe that is new in the plan, or changed; results go into `folder`, as those of
    `measure`. Raises ResultError if the digits of these runs cannot be had.
    """
    planned = plan.at(choose_rates(runs.frame))
    lacking = {e.name for e in planned if {(e.name, seed) for seed in e.seeds} - runs.pairs}
    if FEATURES.name in lacking:  # computed for the heads that stand on them
        lacking |= {entry.name for entry in planned if entry.data == FEATURES.data}
    if lacking:
        entries = [entry for entry in planned if entry.name in lacking]
        yield from _measure_entries(entries, plan, _load_same(source, runs), folder)


def _load(source: str) -> dict[str, Digits]:
    """The digits of each kind of entry that trains on images."""
    return {
        "whole": load_digits(source, validation_size=0),
        "split": load_digits(source, validation_size=VALIDATION_SIZE),
    }


def _load_same(source: str, runs: Runs) -> dict[str, Digits]:
    """The same, but no other digits than those that these runs are of."""
    needs = f"what joins the {len(runs.frame)} runs that are there has to be of the same digits"
    files = "the four files of MNIST belong into MNISTKIT_DATA, or data/, under MNIST/raw"
    try:
        digits = _load(source)
    except DataError as error:
        raise ResultError(f"{needs}: {str(error).splitlines()[0]}", do=files) from error
    if not {part.digest for part in digits.values()} <= set(runs.frame["data"]):
        raise ResultError(f"{needs}, and these are others ({digits['whole']})", do=files)
    return digits


def _measure_entries(
    entries: Sequence[Entry], plan: Plan, digits: Mapping[str, Digits], folder
) -> Iterator[str]:
    for entry in entries:
        if entry.name == FEATURES.name:
            continue  # computed for the heads that stand on them
        yield f"{entry.name}, {len(entry.seeds)} seeds"
        if entry.name == ENSEMBLE.name:
            _measure_ensembles(plan.members, digits["whole"], folder)
        elif entry.data == "features":
            yield from _measure_heads(entry, digits["whole"], folder)
        elif entry.kept:
            train_and_keep([(entry.recipe, seed, folder) for seed in entry.seeds], digits["whole"])
        else:
            _run([entry], digits[entry.data], folder)


def _run(entries: Sequence[Entry], digits: Digits, folder) -> pd.DataFrame:
    """Run entries that have seeds and data in common."""
    recipes = {entry.name: entry.recipe for entry in entries}
    return run_grid(recipes, entries[0].seeds, digits, test=entries[0].test, folder=folder)


def _measure_heads(heads: Entry, whole: Digits, folder) -> Iterator[str]:
    """Compute features of all digits, once and timed, and train heads on them.

    Where all results are there, no feature is computed: they are only verified.
    """
    model, weights = load_mobilenet()
    if weights == RANDOM:
        yield "MobileNetV2 is left out: its claims are about ImageNet weights"
        return
    features = name_features(whole, weights)
    once = identify(FEATURES.recipe, 0, features)
    runs = [identify(heads.recipe, seed, features) for seed in heads.seeds]
    if None in [stored_result(folder, run) for run in [*runs, once]]:
        yield f"{FEATURES.name}, {len(whole.train) + len(whole.test):,} digits, {weights}"
        started = time.perf_counter()
        features = feature_digits(freeze(model), weights, whole)
        seconds = time.perf_counter() - started
        measured = {"parameters": count_parameters(model), "seconds": seconds}
        write_result(folder, Result(once, measured, describe_machine(str(choose_device()))))
    _run([heads], features, folder)


def _measure_ensembles(recipe: Recipe, digits: Digits, folder) -> None:
    """Put the kept models together, five by five: each model is in one ensemble only."""
    for number in ENSEMBLE.seeds:
        run = identify(ENSEMBLE.recipe, number, digits)
        if stored_result(folder, run):
            continue
        members = [
            trained_model(recipe, digits, seed=seed, folder=folder, published=False)
            for seed in range(MEMBERS * number, MEMBERS * (number + 1))
        ]
        together = Ensemble([member.model for member in members])
        seconds = sum(member.result.measured["seconds"] for member in members)
        measured = measure_on_test(together, recipe, digits) | {"seconds": seconds}
        write_result(folder, Result(run, measured))
