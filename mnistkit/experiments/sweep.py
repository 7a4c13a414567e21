"""A sweep: recipes in all combinations of what is varied, from a file or from Python."""

from __future__ import annotations

import inspect
import itertools
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from mnistkit.errors import SweepError, suggestion, unknown_name
from mnistkit.experiments.anova import ROWS
from mnistkit.experiments.recipe import AUGMENTATIONS, OUTLIERS, SCHEDULERS, Recipe
from mnistkit.models import MODELS
from mnistkit.utils.validation import check_choice, check_columns

_FIELDS = tuple(field.name for field in fields(Recipe))
_MOST = 100_000  # combinations
# What runs have columns of: a factor of that name could not be told from them.
_COLUMNS = ("name", "seed", "parameters", "seconds", "failure", "validation_accuracy",
            "validation_loss", "test_accuracy", "test_loss")  # fmt: skip
_MOST_VALUES = 100_000  # in a file, with its aliases written out
_MERGE = "tag:yaml.org,2002:merge"  # of `<<`
_PARTS = ("base", "grid", "recipes")
_EXAMPLE = "a file looks like `{base: {model: A baseline}, grid: {optimizer: [sgd, adam]}}`"


@dataclass(frozen=True)
class Sweep:
    """Recipes by name, and the level of each factor that a name stands for.

    levels: indexed by name, one column a factor, each level as a word.
    """

    recipes: dict[str, Recipe]
    levels: pd.DataFrame

    def __repr__(self) -> str:
        """One line: how many recipes, of how many levels of which factors."""
        factors = ", ".join(f"{self.levels[name].nunique()} of {name}" for name in self.levels)
        return f"<Sweep of {len(self.recipes)} recipes: {factors}>"

    def _repr_html_(self) -> str:
        """A row a recipe: its factors' levels."""
        return self.levels.to_html(border=0)

    def label(self, runs: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of `run_grid` with the factors as columns, after name and seed.

        Raises ValueError for runs of other recipes, and where a column has a factor's name.
        """
        check_columns(runs, ["name", "seed"])
        if others := [name for name in runs["name"] if name not in self.levels.index]:
            raise ValueError(f"{others[0]!r} is none of the recipes of this sweep")
        if taken := [factor for factor in self.levels if factor in runs]:
            raise ValueError(f"the runs have a column {taken[0]!r} already: they are labelled, or "
                             "keep their models in it, keep_models=True")  # fmt: skip
        factors = self.levels.loc[runs["name"]].reset_index(drop=True)
        rest = runs.drop(columns=["name", "seed"]).reset_index(drop=True)
        return pd.concat([runs[["name", "seed"]].reset_index(drop=True), factors, rest], axis=1)


def combine(base: Mapping[str, object], grid: Mapping[str, object]) -> Sweep:
    """Make a recipe of each combination of the grid's levels.

    base: what all recipes have: fields of `Recipe`, or options of the model.
    grid: by factor, either a list of values of the field (or option) of that name, or a
        mapping from a level's name to all that it changes: `{"optimizer": {"SGD": {"optimizer":
        "sgd", "learning_rate": 0.3}, "Adam": {}}}`.

    A level overrides `base`. Raises SweepError for a grid that is not clear, or with a recipe
    that could not be trained; it names it.
    """
    if not grid:
        raise SweepError("a grid needs at least one factor with its levels", do=_EXAMPLE)
    factors = {str(name): _levels(str(name), choices) for name, choices in grid.items()}
    _check_grid(factors)
    base, recipes, rows = _flat(base), {}, []
    for combination in itertools.product(*(levels.items() for levels in factors.values())):
        levels = dict(zip(factors, (level for level, _ in combination), strict=True))
        name = ", ".join(f"{factor} {level}" for factor, level in levels.items())
        recipes[name] = make_recipe(base | _join(change for _, change in combination), name)
        rows.append(levels)
    return Sweep(recipes, pd.DataFrame(rows, index=list(recipes)))


def read_sweep(path: str | os.PathLike) -> Sweep:
    """Read a sweep from a YAML file with `grid` or `recipes`, and `base` for what all share.

    recipes: by name, what each has beside the base; then the only factor is the recipe.
    Raises SweepError for a file that cannot be read or does not say what to run.
    """
    content = _read_yaml(Path(path))
    for part in content:
        if part not in _PARTS:
            raise _in_file(path, unknown_name("part of a sweep", part, _PARTS))
    base, grid, recipes = (_mapping(content.get(part), part, path) for part in _PARTS)
    if bool(grid) == bool(recipes):
        raise SweepError("a sweep has either a grid or recipes", where=path, do=_EXAMPLE)
    try:
        if grid:
            return combine(base, grid)
        _check_names("recipes", recipes)
        for name in recipes:
            if isinstance(name, bool):
                raise SweepError(f"a recipe has a name that YAML takes for {name}",
                                 do="put it in quotes")  # fmt: skip
        named = {str(name): _mapping(own, str(name)) for name, own in recipes.items()}
        made = {name: make_recipe(_flat(base) | _flat(own), name) for name, own in named.items()}
        return Sweep(made, pd.DataFrame({"recipe": list(made)}, index=list(made)))
    except (SweepError, ValueError) as error:
        raise _in_file(path, error) from error


def make_recipe(settings: Mapping[str, object], name: str = "") -> Recipe:
    """Build a recipe from fields of `Recipe` and options of its model, mixed.

    A scheduler or an augmentation is a mapping with its name and arguments: `{"name":
    "StepLR", "step_size": 1}`. Raises SweepError with the name for what cannot be trained.
    """
    try:
        recipe = _to_recipe(_flat(settings))
        recipe.check()
    except (SweepError, ValueError) as error:
        raise SweepError(f"{name}: {error}" if name else str(error)) from error
    return recipe


def parse_seeds(text: str) -> list[int]:
    """Read "0-9", "0,3,7" or a mixture, as a list of different seeds of 0 or more.

    Raises SweepError for anything else.
    """
    seeds: list[int] = []
    for part in str(text).split(","):
        found = re.fullmatch(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?", part, flags=re.ASCII)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if not first <= last < first + _MOST:
            raise SweepError(
                f"the seeds {text!r} are no list of numbers", do="say 0-9, or 0,3,7, for instance"
            )
        seeds += range(first, last + 1)
    if len(set(seeds)) < len(seeds):
        raise SweepError(f"the seeds {text!r} name one twice", do="name each once")
    return seeds


def _to_recipe(given: dict[str, object]) -> Recipe:
    model = given.get("model")
    if model is None:
        near = next((name for name in given if suggestion(name, ["model"])), None)
        if near:
            raise unknown_name("setting", near, ["model"])
        raise SweepError("no model is named", do="say `model: A baseline`, for instance")
    check_choice("model", model, MODELS)
    known = inspect.signature(MODELS[model].build).parameters
    options = {}
    for setting in [key for key in given if key not in _FIELDS]:
        check_choice("setting", setting, [*_FIELDS, *known])
        options[setting] = given.pop(setting)
    named = {"scheduler": SCHEDULERS, "augment": AUGMENTATIONS, "outliers": OUTLIERS}
    for setting, kinds in named.items():
        if given.get(setting) is not None:
            given[setting] = _named_call(setting, given[setting], kinds)
    return Recipe(**given, options=options)


def _flat(settings: Mapping[str, object]) -> dict[str, object]:
    """Put the options of the model among the other settings."""
    flat = {str(name): value for name, value in _mapping(settings, "a recipe").items()}
    options = _mapping(flat.pop("options", None), "options")
    return flat | {str(name): value for name, value in options.items()}


def _levels(factor: str, choices: object) -> dict[str, dict]:
    """What each level of a factor changes, by the level's name."""
    if isinstance(choices, Mapping):
        levels = {str(level): _flat(_mapping(change, str(level)))
                  for level, change in choices.items()}  # fmt: skip
        _check_names(f"the factor {factor!r}", choices)
    elif isinstance(choices, list | tuple | range | np.ndarray):
        choices = choices.tolist() if isinstance(choices, np.ndarray) else choices
        levels = {_word(value): _flat({factor: value}) for value in choices}
        if len(levels) < len(choices):
            raise SweepError(f"the factor {factor!r} has a level twice", do="leave one out")
    else:
        raise SweepError(
            f"the factor {factor!r} is {choices!r}, expected a list of its levels",
            do=f"what does not vary goes into base: `base: {{{factor}: {choices}}}`",
        )
    if not levels:
        raise SweepError(f"the factor {factor!r} has no levels", do="name at least one")
    return levels


def _check_names(what: str, named: Mapping) -> None:
    """Raise SweepError where two names are the same once they are words, as 1 and "1"."""
    words = [str(name) for name in named]
    if len(set(words)) < len(words):
        raise SweepError(f"{what} has a name twice, as a number and as a word", do="change one")


def _check_grid(factors: Mapping[str, Mapping[str, Mapping]]) -> None:
    size = math.prod(len(levels) for levels in factors.values())
    if size > _MOST:
        raise SweepError(
            f"the grid has {size:,} combinations, more than {_MOST:,}",
            do="vary fewer factors at a time",
        )
    owner: dict[str, str] = {}
    for factor, levels in factors.items():
        if factor in _COLUMNS + ROWS:
            table = "runs have a column" if factor in _COLUMNS else "its table has a row"
            raise SweepError(
                f"a factor cannot be called {factor!r}: {table} of that name",
                do="choose another name",
            )
        for setting in {setting for change in levels.values() for setting in change}:
            if owner.setdefault(setting, factor) != factor:
                raise SweepError(
                    f"{setting} is set by two factors, {owner[setting]!r} and {factor!r}",
                    do="make one factor of them, with a level for each combination",
                )


def _join(changes: Iterable[Mapping]) -> dict[str, object]:
    return {setting: value for change in changes for setting, value in change.items()}


def _word(value: object) -> str:
    if isinstance(value, list | tuple):
        return "-".join(_word(part) for part in value)
    if isinstance(value, Mapping):
        return " ".join(_word(part) for part in value.values())
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _named_call(setting: str, value: object, kinds: Mapping[str, Callable]) -> Callable:
    """Find a scheduler or an augmentation by its name, and give it its arguments."""
    if callable(value):
        return value
    call = dict(value) if isinstance(value, Mapping) else {"name": value}
    name = call.pop("name", None)
    check_choice(setting, name, kinds)
    try:
        inspect.signature(kinds[name]).bind_partial(**call)
    except TypeError as error:
        raise SweepError(f"{setting} {name}: {error}") from error
    return partial(kinds[name], **call)


def _mapping(value: object, what: str, path: object = None) -> Mapping:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise SweepError(
            f"{what} is {value!r}, expected names with values", where=path, do=_EXAMPLE
        )
    return value


class _StrictLoader(yaml.SafeLoader):
    """YAML as people read it: 1e-3 is a number, and a name given twice is a mistake."""

    def construct_mapping(self, node, deep=False):
        """Build a mapping whose keys all differ."""
        own = [key for key, _ in node.value if key.tag != _MERGE]
        keys = [self.construct_object(key, deep=True) for key in own]
        for place, key in enumerate(keys):
            if key in keys[:place]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} stands here twice", own[place].start_mark
                )
        return super().construct_mapping(node, deep)


_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def _read_yaml(path: Path) -> dict:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _StrictLoader)
    except OSError as error:
        raise SweepError(
            f"{path.resolve().name} cannot be read: {error.strerror}", where=path
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        words = " ".join(str(error).split())
        raise SweepError(f"{path.name} is not YAML: {words}", where=path, do=_EXAMPLE) from error
    if not content:
        raise SweepError(f"{path.name} is empty", where=path, do=_EXAMPLE)
    if not _is_small(content):
        raise SweepError(
            f"{path.name} holds more than {_MOST_VALUES:,} values, written out",
            where=path,
            do="look for `*` names that stand for each other again and again",
        )
    return dict(_mapping(content, path.name, path))


def _is_small(content: object) -> bool:
    """Whether all that is in there, with each alias written out, is not too much to handle."""
    waiting, seen = [content], 0
    while waiting and seen <= _MOST_VALUES:
        value = waiting.pop()
        seen += 1
        if isinstance(value, Mapping):
            waiting += value.values()
        elif isinstance(value, list | tuple):
            waiting += value
    return seen <= _MOST_VALUES


def _in_file(path: object, error: Exception) -> SweepError:
    return SweepError(f"{error}", where=path)
