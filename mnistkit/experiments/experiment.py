"""A run is a recipe with a seed; an experiment is a recipe over several seeds."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from mnistkit.data import Digits
from mnistkit.errors import unknown_name
from mnistkit.experiments.parallel import run_in_parallel
from mnistkit.experiments.recipe import Recipe
from mnistkit.experiments.results import RunId, identify, write_result
from mnistkit.experiments.run import run_one, whole_result
from mnistkit.metrics import Interval, interval_of_mean
from mnistkit.utils.page import StoppedError, stop_here
from mnistkit.utils.progress import progress_bar
from mnistkit.utils.storage import output_folder, remove_leftovers
from mnistkit.utils.validation import (
    check_columns,
    check_seeds,
    in_short,
)


@dataclass(frozen=True)
class Experiment:
    """A recipe over seeds: its runs, one row a seed, and what they come to.

    accuracy: mean, deviation, worst, n and a 95 % interval of the mean; on test if the
    experiment was told to measure there, else on validation.
    """

    runs: pd.DataFrame
    accuracy: Interval


def run_experiment(
    recipe: Recipe, seeds: Sequence[int], digits: Digits, *, test: bool = False, **options
) -> Experiment:
    """Repeat a recipe over seeds and summarise; options as in `run_grid`."""
    if not isinstance(recipe, Recipe):
        raise ValueError(f"recipe is {in_short(recipe)}, expected a Recipe")
    if not test and isinstance(digits, Digits) and not len(digits.validation):
        raise ValueError("there are no validation digits to measure on: give test=True, or load "
                         "digits with some")  # fmt: skip
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
    scheduler: str | None = None,
) -> pd.DataFrame:
    """Train every recipe with every seed, in parallel processes of one CPU thread each.

    Nothing is run before all recipes have been checked. With a folder a grid may be stopped
    at any moment, and goes on from there when it is called again: what was finished is kept.
    Without one, Ctrl-C or the stop button returns what was finished, and says so.

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
        scheduler: address of a Dask scheduler, whose workers then train instead of this
            machine; see `parallel`. Results come back here, and into `folder`.

    Returns one row a run: name, seed, validation_accuracy, validation_loss (if there are
    validation digits), test_accuracy, test_loss (if asked for), parameters, seconds; in the
    order of recipes, then seeds. A run whose loss is no longer a number is said aloud and
    has NaN, so that its mean is NaN.

    Raises ValueError for nothing to run, a recipe that cannot be trained, or both folder
    and keep_models: models are not kept in files. Raises ResultError for a result that is
    damaged or of other data; WorkerError for a cluster that is not there or not fit.
    """
    _check_recipes(recipes)
    plan = _plan(recipes, check_seeds(seeds))
    if not plan:
        raise ValueError("nothing to run: give at least one recipe and one seed")
    if jobs != -1 and (type(jobs) is not int or jobs < 1):
        raise ValueError(f"jobs is {in_short(jobs)}, expected 1 or more, or -1 for one a core")
    if folder and keep_models:
        raise ValueError("give folder or keep_models: a result that is read brings no model")
    if not isinstance(digits, Digits):
        raise ValueError(f"digits is {digits!r}, expected what load_digits gives")
    if folder:
        output_folder(Path(folder).resolve())  # refused before anything is trained
    runs = _identities(plan, digits)
    measured = _read_stored(runs, folder, test) if folder else {}
    missing = [index for index in range(len(plan)) if index not in measured]
    if missing:
        computers = {"jobs": jobs, "scheduler": scheduler}
        todo = {index: (plan[index][1], runs[index]) for index in missing}
        measured |= _run_all(todo, len(plan), digits, test, folder, keep_models, computers)
    rows = [_row(*plan[index], measured[index], test) for index in sorted(measured)]
    return pd.DataFrame(rows)


def summarize(runs: pd.DataFrame, value: str = "validation_accuracy") -> pd.DataFrame:
    """One row a name, in order: mean, 95 % interval of it, deviation, worst, n.

    The worst of accuracies is the smallest, that of losses and seconds the largest.

    Raises ValueError for a column that is not there: runs without validation digits have no
    validation accuracy; and for a run that is there twice, which would narrow the interval.
    """
    _check_runs(runs, ["name"], value)
    if "seed" in runs:
        _check_once(runs)
    intervals = {
        name: interval_of_mean(group[value]) for name, group in runs.groupby("name", sort=False)
    }
    table = pd.DataFrame.from_dict({name: vars(i) for name, i in intervals.items()}, orient="index")
    if value.endswith(("loss", "seconds")):
        table["worst"] = runs.groupby("name", sort=False)[value].max()
    return table


def _check_runs(runs: pd.DataFrame, columns: Sequence[str], value: str) -> None:
    check_columns(runs, [*columns, value])
    if not pd.api.types.is_numeric_dtype(runs[value]):
        raise ValueError(f"the column {value!r} holds no numbers")


def _check_once(runs: pd.DataFrame) -> None:
    if runs.duplicated(["name", "seed"]).any():
        raise ValueError("a run stands in the table twice: a name and a seed are one run")


def paired_difference(
    runs: pd.DataFrame,
    better: str,
    than: str,
    value: str = "validation_accuracy",
    level: float = 0.95,
) -> Interval:
    """Interval, 95 % unless `level` says otherwise, of `better` minus `than`, paired by seed.

    A run that diverged makes it NaN. Raises UnknownNameError for a name that no run has, and
    ValueError if the two do not share the same seeds.
    """
    _check_runs(runs, ["name", "seed"], value)
    for name in (better, than):
        if name not in set(runs["name"]):  # names may be numbers
            raise unknown_name("name of runs", name, map(str, set(runs["name"])))
    if better == than:
        raise ValueError(f"{better!r} is compared with itself")
    runs = runs[runs["name"].isin([better, than])]
    _check_once(runs)
    table = runs.pivot(index="seed", columns="name", values=value)
    ran = [set(runs.loc[runs["name"] == name, "seed"]) for name in (better, than)]
    if ran[0] != ran[1]:
        raise ValueError(f"{better!r} and {than!r} have not been run with the same seeds")
    pair = table.loc[sorted(ran[0]), [better, than]]
    return interval_of_mean(pair[better] - pair[than], level)


def count_stored(
    recipes: Mapping[str, Recipe], seeds: Sequence[int], digits: Digits, folder: str | os.PathLike
) -> int:
    """How many runs of a grid have a result in the folder."""
    runs = _identities(_plan(recipes, seeds), digits)
    return sum((Path(folder) / run.file_name).exists() for run in runs)


def _plan(recipes: Mapping[str, Recipe], seeds: Sequence[int]) -> list[tuple[str, Recipe, int]]:
    return [(name, recipe, int(seed)) for name, recipe in recipes.items() for seed in seeds]


def _identities(plan, digits: Digits) -> list[RunId]:
    """What `identify` says of each run; once a recipe, since it builds the model."""
    known = {id(recipe): identify(recipe, 0, digits) for _, recipe, _ in plan}
    return [replace(known[id(recipe)], seed=seed) for _, recipe, seed in plan]


def _check_recipes(recipes: Mapping[str, Recipe]) -> None:
    if not isinstance(recipes, Mapping):
        raise ValueError(f"recipes is a {type(recipes).__name__}, expected recipes by name")
    for name, recipe in recipes.items():
        if not isinstance(recipe, Recipe):
            raise ValueError(f"{name!r} is {recipe!r}, expected a Recipe")
        try:
            recipe.check()
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error


def _read_stored(runs: Sequence[RunId], folder, test: bool) -> dict[int, dict]:
    """What was measured in the runs that are there already, by index in the plan."""
    remove_leftovers(folder)
    found = {}
    for index, run in enumerate(runs):
        if result := whole_result(folder, run, test):
            found[index] = result.measured
    return found


def _run_all(
    todo: Mapping[int, tuple[Recipe, RunId]],
    total: int,
    digits: Digits,
    test,
    folder,
    keep_models,
    computers: Mapping,
) -> dict[int, dict]:
    """Run what is missing of the plan, side by side; by index in the plan.

    Processes of this machine write their results themselves, so that none is lost if this
    one dies. Workers of a cluster may not see the folder, so here it is done for them.
    """
    near = None if computers["scheduler"] else folder
    rows = [(recipe, run, test, near, keep_models) for recipe, run in todo.values()]
    indices, measured = list(todo), {}
    with progress_bar(total, "training", "run", done=total - len(todo)) as bar:
        try:
            for row, result in run_in_parallel(run_one, rows, digits, **computers):
                if folder and not near:
                    write_result(folder, result)
                measured[indices[row]] = result.measured
                bar.update()
        except KeyboardInterrupt:
            if folder or not measured:
                kept = f"what was finished is in {folder}" if folder else "no run was finished"
                raise StoppedError(f"interrupted: {kept}") from None
            print(f"interrupted: {len(measured)} of {total} runs were finished, and are returned")
            stop_here()
    return measured


def _row(name: str, recipe: Recipe, seed: int, measured: dict, test: bool) -> dict:
    """One row of the frame; a failure is said."""
    if "failure" in measured:
        print(f"{name}, seed {seed}: {measured['failure']}")
        measured = {"validation_accuracy": float("nan")} | measured
    hidden = {"epochs", "test_wrong"} | (set() if test else {"test_accuracy", "test_loss"})
    return {"name": name, "seed": seed} | {k: v for k, v in measured.items() if k not in hidden}
