"""A trained model at hand: trained once, kept beside its card, and found again."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from mnistkit.checkpoints import load_state, save_state
from mnistkit.data import Digits
from mnistkit.errors import CheckpointError, ResultError
from mnistkit.experiments.parallel import run_in_parallel
from mnistkit.experiments.recipe import Recipe, recipe_digest
from mnistkit.experiments.results import Result, identify, read_result, write_result
from mnistkit.experiments.run import train_recipe
from mnistkit.metrics import interval_of_mean, interval_of_share, negative_log_likelihood
from mnistkit.models import build_model, count_operations, count_parameters
from mnistkit.prediction import make_predictions
from mnistkit.study.table import published_accuracy
from mnistkit.training import raising_interrupts
from mnistkit.utils.devices import thread_count
from mnistkit.utils.page import StoppedError
from mnistkit.utils.progress import progress_bar
from mnistkit.utils.storage import models_folder, write_atomically, write_text
from mnistkit.utils.validation import check_whole, in_short

_LIBRARY = Path(__file__).parent / "models"  # those that come with it
_MEASURED = ("test_accuracy", "test_loss", "parameters", "seconds", "weights")
_LIMITS = """\
- It knows MNIST's form only: one digit, ink bright on dark, 20 pixels high or wide, centred by
  mass in 28 x 28. `predict_image` brings a photo into that form; other pictures mislead it.
- It names a digit whatever it is shown: a letter, a scribble, nothing. `predict_image` refuses
  what is not one shape; a letter is one.
- It learned from census employees and high-school students in the United States, about 1990.
  A 1 with a long upstroke or a 7 with a bar was rare among them.
- The library's sample is from MNIST's training digits. Where it learned from these, it looks
  better on the sample than it is.
- The test digits were measured once the recipe was fixed; some of their labels are disputed.
"""


@dataclass(frozen=True)
class Trained:
    """A model in eval mode, the recipe it was trained by, and what it reached."""

    model: nn.Module
    recipe: Recipe
    result: Result

    @property
    def card(self) -> dict:
        """The run (recipe, seed, data with digest), what was measured, the machine: plain JSON."""
        return asdict(self.result)

    def __repr__(self) -> str:
        """One line, as `str` gives it."""
        return f"<{self}>"

    def __str__(self) -> str:
        """One line: the model, its data, and what it reached."""
        data, measured = self.result.run.data, self.result.measured
        return (
            f"{self.recipe.model}, trained on {data.train:,} digits of {data.source}: "
            f"{measured['test_accuracy']:.2%} of {data.test:,} test digits right"
        )


def trained_model(
    recipe: Recipe,
    digits: Digits,
    *,
    seed: int = 0,
    folder: str | os.PathLike | None = None,
    progress: bool = True,
    published: bool = True,
) -> Trained:
    """Find the model of this recipe, seed and data, or train it and keep it.

    folder: where; by default `models` in the user's cache (`storage.cache_folder`). Three
    files: the weights (a state dict), the card as in `results`, and the card in words
    (Markdown). progress: show a bar while it trains. published: take a model that comes with
    the library (six networks on MNIST, seed 0) in place of training it for minutes; its card
    says on which machine it was trained. Raises CheckpointError or ResultError if
    weights or card are damaged; KeyboardInterrupt where training was
    interrupted, and then keeps nothing.
    """
    if not isinstance(digits, Digits):
        raise ValueError(f"digits is {in_short(digits)}, expected what load_digits gives")
    run = identify(recipe, check_whole("seed", seed, least=0), digits)
    weights, card = model_files(recipe, digits, seed=seed, folder=folder)
    if published and not (card.exists() and weights.exists()):
        _take_published(weights, card)
    if not (card.exists() and weights.exists()):
        try:
            with raising_interrupts():
                model, history = train_recipe(recipe, digits, seed, progress=progress)
        except KeyboardInterrupt:
            raise StoppedError("interrupted: half a training is kept for nobody") from None
        save_state(model, weights)
        measured = measure_on_test(model, recipe, digits) | {"seconds": history.seconds}
        measured |= {"weights": _digest(weights)}
        write_result(card.parent, Result(run, measured))
    model = load_state(build_model(recipe.model, seed=0, **recipe.options), weights)
    result = read_result(card, run)
    if missing := [name for name in _MEASURED if name not in result.measured]:
        raise ResultError(
            f"{card.name} lacks {' and '.join(missing)}",
            where=card.parent,
            do="delete that file: the model is then trained again",
        )
    if result.measured["weights"] != _digest(weights):
        raise CheckpointError(
            f"{weights.name} holds other weights than its card says",
            where=weights.parent,
            do="delete both files: the model is then trained again",
        )
    _write_in_words(result, weights)
    return Trained(model.eval(), recipe, result)


def trained_models(
    recipes: Mapping[str, Recipe],
    digits: Digits,
    *,
    seed: int = 0,
    folder: str | os.PathLike | None = None,
    progress: bool = True,
    published: bool = True,
) -> dict[str, Trained]:
    """Find the model of each recipe, by name; see `trained_model`.

    Those that are not there yet are trained side by side on all cores, the longest first,
    with one thread each: what one becomes does not depend on which others are missing.
    """
    if not isinstance(recipes, Mapping):
        raise ValueError("recipes are a list: give them by name, {'V0': Recipe('V0')}")
    by_digest = {recipe.digest: recipe for recipe in recipes.values()}  # two names, one model
    where = {"seed": seed, "folder": folder, "published": published}
    lacking = [r for r in by_digest.values() if not is_at_hand(r, digits, **where)]
    lacking.sort(key=_operations, reverse=True)
    train_and_keep([(recipe, seed, folder) for recipe in lacking], digits, progress=progress)
    return {name: trained_model(recipe, digits, **where) for name, recipe in recipes.items()}


def _operations(recipe: Recipe) -> int:
    """How much work a recipe is, but for a factor that all have in common."""
    model = build_model(recipe.model, seed=0, **recipe.options)
    return recipe.epochs * count_operations(model, training=True)


def train_and_keep(rows: Sequence[tuple], digits: Digits, *, progress: bool = True) -> None:
    """Train what is missing of (recipe, seed, folder) side by side, one thread each; keep it."""
    if rows:
        with progress_bar(len(rows), "training", "run", shown=progress) as bar:
            try:
                for _ in run_in_parallel(_train_one, rows, digits):
                    bar.update()
            except KeyboardInterrupt:
                raise StoppedError("interrupted: what was trained to its end is kept") from None


def _train_one(digits: Digits, recipe: Recipe, seed: int, folder) -> None:
    with thread_count(1):
        trained_model(recipe, digits, seed=seed, folder=folder, progress=False, published=False)


def is_at_hand(
    recipe: Recipe,
    digits: Digits,
    *,
    seed: int = 0,
    folder: str | os.PathLike | None = None,
    published: bool = True,
) -> bool:
    """Whether `trained_model` would find it, where it looks or (`published`) in the library."""
    files = model_files(recipe, digits, seed=seed, folder=folder)
    places = [files[0].parent] + [_LIBRARY] * published
    return any(all((place / path.name).exists() for path in files) for place in places)


def _take_published(weights: Path, card: Path) -> None:
    """Copy a model that comes with the library to where models are kept; the card comes last."""
    if (_LIBRARY / card.name).exists():
        for path in (weights, card):
            with write_atomically(path) as temporary:
                shutil.copyfile(_LIBRARY / path.name, temporary)


def model_files(
    recipe: Recipe, digits: Digits, *, seed: int = 0, folder: str | os.PathLike | None = None
) -> tuple[Path, Path]:
    """Name the files of weights and card, which are there once the model has been trained."""
    card = models_folder(folder or "") / identify(recipe, seed, digits).file_name
    return card.with_suffix(".pt"), card


def measure_on_test(model: nn.Module, recipe: Recipe, digits: Digits) -> dict:
    """Measure a trained model on test: accuracy, loss, parameters, and which digits it misread.

    Returns test_accuracy, test_loss (negative log-likelihood), parameters, and test_wrong:
    indices of the misread digits, counted from 0.
    """
    loader = digits.test.loader(1000, normalized=recipe.normalized)
    probabilities = torch.cat([make_predictions(model, images) for images, _ in loader])
    labels = digits.test.labels
    wrong = (probabilities.argmax(dim=1) != labels).nonzero().flatten().tolist()
    return {
        "test_accuracy": 1 - len(wrong) / len(labels),
        "test_loss": negative_log_likelihood(probabilities, labels),
        "parameters": count_parameters(model),
        "test_wrong": wrong,
    }


def card_in_words(result: Result, weights: str) -> str:
    """Tell a model's card in Markdown: what it is, what made it, how good it is, its limits.

    weights: name of their file.
    """
    run, measured, machine = result.run, result.measured, result.machine
    data, digest = run.data, recipe_digest(run.recipe)
    right = round(measured["test_accuracy"] * data.test)
    low, high = interval_of_share(right, data.test)
    facts = {
        "parameters": f"{measured['parameters']:,}",
        "trained on": f"{data.train:,} digits of {data.source}, data digest {data.digest}",
        "recipe": f"{digest}: {_in_words(run.recipe)}",
        "seed": f"{run.seed}",
        "test accuracy": f"{right:,} of {data.test:,} digits right, "
        f"{measured['test_accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%})",
        "test loss": f"{measured['test_loss']:.4f}",
        "the same with other seeds": _other_seeds(digest, data.digest),
        "training": f"{measured['seconds']:.0f} s with {machine['threads']} threads of "
        f"{machine['processor']}, PyTorch {machine['torch'].partition('+')[0]}",
        "weights": f"{weights}, SHA-256 {measured['weights']}...",
    }
    rows = "\n".join(f"| {name} | {value} |" for name, value in facts.items() if value)
    return (
        f"# {run.recipe['model']}, seed {run.seed}\n\n"
        "Reads one handwritten digit from 28 x 28 grey pixels, and gives a probability to each "
        f"of ten classes.\n\n| | |\n|---|---|\n{rows}\n\n## Limits\n\n{_LIMITS}"
    )


def _write_in_words(result: Result, weights: Path) -> None:
    """Keep the card in words up to date: published runs may have joined since."""
    path, words = weights.with_suffix(".md"), card_in_words(result, weights.name)
    if not path.exists() or path.read_bytes() != words.encode():
        write_text(path, words)


def _in_words(recipe: dict) -> str:
    """Name the settings of a recipe; what calls a function with its arguments."""

    def plain(value: object) -> str:
        if not isinstance(value, dict):
            return str(value).rpartition(".")[2] if isinstance(value, str) else str(value)
        if "call" not in value:
            return ", ".join(f"{k} {plain(v)}" for k, v in value.items()) or "none"
        settings = ", ".join(f"{k} {v}" for k, v in value["with"].items())
        return f"{plain(value['call'])} ({settings})"

    shown = {k: v for k, v in recipe.items() if k != "model" and v not in (None, {}, 0.0, False)}
    return "; ".join(f"{name.replace('_', ' ')} {plain(value)}" for name, value in shown.items())


def _other_seeds(recipe: str, data: str) -> str:
    """What the published runs of this recipe on this data came to; "" if there are none."""
    found = published_accuracy(recipe, data)
    return interval_of_mean(found).percent() if found else ""


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
