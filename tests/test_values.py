"""What holds of every module: values cannot be changed in place, defaults stay as they were."""

from __future__ import annotations

import inspect
import pkgutil
import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError, is_dataclass
from importlib import import_module

import pytest

import mnistkit
from mnistkit.metrics import interval_of_mean
from mnistkit.notebooks.slides import Slide
from mnistkit.training import History
from tests.kept import assert_as_kept

GROWING = {History, Slide}  # filled epoch by epoch, cell by cell


def modules() -> list[str]:
    """Those of the library; all but the canvas, which needs more packages."""
    names = [module.name for module in pkgutil.walk_packages(mnistkit.__path__, "mnistkit.")]
    return [name for name in names if name != "mnistkit.handwriting.canvas"]


def members(kind: Callable[[object], bool]) -> list:
    """Everything of a kind that a module of the library defines, each once."""
    found = [member for name in modules()
             for _, member in inspect.getmembers(import_module(name), kind)
             if member.__module__ == name]  # fmt: skip
    return list(dict.fromkeys(found))


def values() -> list[type]:
    return [kind for kind in members(inspect.isclass) if is_dataclass(kind)]


def test_no_value_can_be_changed_in_place():
    found = values()
    assert len(found) > 30
    assert [kind for kind in found if not kind.__dataclass_params__.frozen] == sorted(
        GROWING, key=found.index
    )


def test_an_end_of_an_interval_cannot_be_moved():
    interval = interval_of_mean([0.5, 0.7])
    with pytest.raises(FrozenInstanceError):
        interval.low = 0.0


def test_defaults_stay_as_they_were():
    """Of all that has a public name: who leaves an argument out relies on them."""
    lines = []
    for function in members(inspect.isfunction) + methods():
        rest = [parameter.replace(annotation=parameter.empty)
                for parameter in inspect.signature(function).parameters.values()
                if parameter.default is not parameter.empty]  # fmt: skip
        name = f"{function.__module__}.{function.__qualname__}"
        if rest and "._" not in name.removesuffix(".__init__"):
            lines.append(f"{name}: {', '.join(map(str, rest))}")
    text = re.sub(r" at 0x\w+", "", "\n".join(sorted(lines)))
    assert_as_kept("defaults", re.sub(r"\w+Path\('[^']*?([\w.]*)'\)", r"Path(\1)", text))


def methods() -> list[Callable]:
    """The public methods of all classes, and how these are made."""
    found = [member for kind in members(inspect.isclass)
             for _, member in inspect.getmembers(kind, inspect.isfunction)
             if member.__module__.startswith("mnistkit.")]  # fmt: skip
    return [one for one in dict.fromkeys(found)
            if not one.__name__.startswith("_") or one.__name__ == "__init__"]  # fmt: skip


def test_constants_stay_as_they_were():
    """Numbers and words that a module computes with, its own ones, too."""
    lines = []
    for name in modules():
        for key, value in vars(import_module(name)).items():
            if key.isupper() and is_plain(value):
                lines.append(f"{name}.{key}: {value!r}")
    assert_as_kept("constants", "\n".join(sorted(lines)))


def is_plain(value: object) -> bool:
    if isinstance(value, tuple | list):
        return all(map(is_plain, value))
    return isinstance(value, int | float | str | range)
