"""Two quick recipes, and grids of them whose runs are kept."""

from __future__ import annotations

from mnistkit.experiments.experiment import run_grid
from mnistkit.experiments.recipe import Recipe

RECIPES = {
    "V0": Recipe("V0", epochs=1, optimizer="sgd", learning_rate=0.1),
    "tanh": Recipe("A baseline", options={"activation": "tanh", "hidden": (16,)}, epochs=1),
}


def grid(digits, folder, seeds=range(2), recipes=RECIPES, **options):
    options = {"test": True, "jobs": 1} | options
    return run_grid(recipes, seeds, digits, folder=folder, **options)


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
