"""A trained model at hand: trained once, kept beside its card, and found again."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from mnistkit.checkpoints import load_state, save_state
from mnistkit.data import Digits
from mnistkit.errors import CheckpointError
from mnistkit.experiments import train_recipe
from mnistkit.models import build_model, count_parameters
from mnistkit.recipes import Recipe
from mnistkit.results import identify, read_result, result_path, write_result
from mnistkit.training import evaluate

FOLDER = Path("runs") / "models"


@dataclass(frozen=True)
class Trained:
    """A model in eval mode, the recipe it was trained by, and its card.

    card: the run (recipe, seed, data with digest), what was measured, and the machine.
    """

    model: nn.Module
    recipe: Recipe
    card: dict

    def __str__(self) -> str:
        """One line: the model, its data, and what it reached."""
        data, measured = self.card["run"]["data"], self.card["measured"]
        return (
            f"{self.recipe.model}, trained on {data['train']:,} digits of {data['source']}: "
            f"{measured['test_accuracy']:.2%} of {data['test']:,} test digits right"
        )


def trained_model(
    recipe: Recipe, digits: Digits, *, seed: int = 0, folder: str | os.PathLike = FOLDER
) -> Trained:
    """Find the model of this recipe, seed and data in a folder, or train it and keep it there.

    Two files: the weights (a state dict) and the card, as in `results`. Raises
    CheckpointError or ResultError if one of them is damaged.
    """
    run = identify(recipe, seed, digits)
    card = result_path(folder, run)
    weights = card.with_suffix(".pt")
    if not (card.exists() and weights.exists()):
        model, history = train_recipe(recipe, digits, seed)
        save_state(model, weights)
        measured = _measure(model, recipe, digits) | {"seconds": history.seconds}
        write_result(folder, run, measured | {"weights": _digest(weights)})
    model = load_state(build_model(recipe.model, **recipe.options), weights)
    content = read_result(card, run)
    if content["measured"]["weights"] != _digest(weights):
        raise CheckpointError(
            f"{weights.name} holds other weights than its card says",
            where=weights.parent,
            do="delete both files: the model is then trained again",
        )
    return Trained(model, recipe, content)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _measure(model: nn.Module, recipe: Recipe, digits: Digits) -> dict:
    test = evaluate(model, digits.test.loader(1000, normalized=recipe.normalized), recipe.loss)
    return {
        "test_accuracy": test.accuracy,
        "test_loss": test.loss,
        "parameters": count_parameters(model),
    }
