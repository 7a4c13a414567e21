"""What the library returns stays as it was returned: its values cannot be changed in place."""

from __future__ import annotations

import inspect
import pkgutil
from dataclasses import FrozenInstanceError, is_dataclass
from importlib import import_module

import pytest

import mnistkit
from mnistkit.metrics import interval_of_mean
from mnistkit.notebooks.slides import Slide
from mnistkit.training import History

GROWING = {History, Slide}  # filled epoch by epoch, cell by cell


def values() -> list[type]:
    """Every dataclass of the library."""
    names = [module.name for module in pkgutil.walk_packages(mnistkit.__path__, "mnistkit.")]
    found = [kind for name in names if name != "mnistkit.handwriting.canvas"
             for _, kind in inspect.getmembers(import_module(name), inspect.isclass)]  # fmt: skip
    return [kind for kind in dict.fromkeys(found)
            if is_dataclass(kind) and kind.__module__.startswith("mnistkit")]  # fmt: skip


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
