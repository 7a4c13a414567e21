"""What is run to judge the published claims: recipes, seeds, data, and the command that runs them.

Everything that a README leaves open is settled here, once: epochs, learning rates, seeds.
Recipes that are fixed before they start train on all 60,000 digits, as published. Learning
rates are chosen on 5,000 validation digits, and no test digit is looked at for that.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import pandas as pd
from torch.optim.lr_scheduler import OneCycleLR, StepLR

from mnistkit.data import Digits, load_digits
from mnistkit.devices import choose_device
from mnistkit.experiments import Recipe, run_grid
from mnistkit.models import count_parameters
from mnistkit.results import identify, read_result, result_path, write_result
from mnistkit.transfer import RANDOM, feature_digits, freeze, load_mobilenet, name_features

SEEDS = range(10)
LOTTERY_SEEDS = range(64)  # of V1, whose runs lie tens of points apart
TUNING_SEEDS = range(3)
RATES = {"SGD": (0.03, 0.1, 0.2, 0.3, 0.5, 1.0), "Adam": (0.0003, 0.001, 0.002, 0.003, 0.01)}
VALIDATION_SIZE = 5000  # digits set aside where something is chosen


# 99 % in seconds: one epoch, the rate up in a fifth of it and down again (Smith and Topin,
# 2017). Batch size, rate and architecture were chosen on 5,000 validation digits.
FAST = Recipe("FastCNN", epochs=1, batch_size=128, optimizer="adamw", weight_decay=0.01,
              normalized=True, scheduler_step="batch",
              scheduler=partial(OneCycleLR, max_lr=0.01, total_steps=469, pct_start=0.2,
                                div_factor=10))  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One row of the plan: a recipe under a name, with its seeds and its kind of data.

    data: "whole" (all training digits), "split" (some set aside for validation), or
    "features" (MobileNetV2's, of all digits). test: whether test is measured.
    """

    name: str
    recipe: Recipe
    seeds: Sequence[int] = SEEDS
    data: str = "whole"
    test: bool = True


def _a(model: str = "A baseline", **changes) -> Recipe:
    """README A's way: batches of 64, 5 epochs; each entry changes one thing."""
    return Recipe(model, epochs=changes.pop("epochs", 5), **changes)


def tuning_plan() -> list[Entry]:
    """Each optimiser at each of its learning rates, on validation only."""
    return [
        Entry(f"tune {name} {rate:g}", _a(optimizer=name.lower(), learning_rate=rate),
              TUNING_SEEDS, "split", test=False)
        for name, rates in RATES.items()
        for rate in rates
    ]  # fmt: skip


def choose_rates(runs: pd.DataFrame) -> dict[str, float]:
    """Choose, for each optimiser, the rate with the best mean on validation.

    runs: those of `tuning_plan`, with columns name and validation_accuracy. A rate at which
    a run diverged is not chosen.
    """
    means = runs.groupby("name")["validation_accuracy"].agg(lambda v: v.mean(skipna=False))
    return {
        name: max(rates, key=lambda rate, name=name: means.fillna(0)[f"tune {name} {rate:g}"])
        for name, rates in RATES.items()
    }


def judging_plan(rates: dict[str, float]) -> list[Entry]:
    """Every recipe that a claim is judged by, at the learning rates that were chosen."""
    sgd = {"optimizer": "sgd", "learning_rate": rates["SGD"]}
    sigmoid = {"activation": "sigmoid"}
    course = {"epochs": 3, "batch_size": 32, "optimizer": "sgd", "learning_rate": 0.1}
    falling = {"learning_rate": 0.003, "scheduler": partial(StepLR, step_size=1, gamma=0.3)}
    deep = Recipe("D deep", epochs=25, weight_decay=1e-5, loss="nll", normalized=True,
                  scheduler=partial(StepLR, step_size=10, gamma=0.5))  # fmt: skip
    return [
        Entry("V0", Recipe("V0", **course), range(20)),
        Entry("V1", Recipe("V1", **course), LOTTERY_SEEDS),
        Entry("V1 corrected", Recipe("V1 corrected", **course), range(20)),
        Entry("A baseline", _a()),
        Entry("A wide", _a("A wide")),
        Entry("A SGD", _a(**sgd)),
        Entry("A Adam", _a(learning_rate=rates["Adam"])),
        Entry("A SGD sigmoid", _a(options=sigmoid, **sgd)),
        Entry("A SGD 0.1 sigmoid", _a(options=sigmoid, optimizer="sgd", learning_rate=0.1)),
        Entry("A log-softmax + NLL", _a(options={"log_softmax": True}, loss="nll")),
        Entry("A NLL on raw logits", _a(loss="nll")),
        *(Entry(f"A {name}", _a(options={"activation": name}))
          for name in ("leaky_relu", "tanh", "sigmoid")),
        *(Entry(f"A dropout {p}", _a(options={"dropout": p})) for p in (0.2, 0.5)),
        Entry("A baseline, 10 epochs", _a(epochs=10), data="split"),
        Entry("B MLP", Recipe("B MLP", epochs=10)),
        Entry("E MLP", Recipe("E MLP")),
        Entry("D deep", deep),
        Entry("V2", Recipe("V2", **course)),
        Entry("B CNN", Recipe("B CNN", epochs=3)),
        Entry("E CNN", Recipe("E CNN", epochs=3, **falling)),
        Entry("E CNN corrected", Recipe("E CNN corrected", epochs=3, **falling)),
        Entry("FastCNN", FAST),
        *(Entry(f"{name} in float32", replace(recipe, precision="float32"))
          for name, recipe in (("V2", Recipe("V2", **course)),
                               ("E CNN corrected", Recipe("E CNN corrected", epochs=3, **falling)),
                               ("FastCNN", FAST))),
        Entry("MobileNetV2 head", Recipe("MobileNetV2 head"), data="features"),
    ]  # fmt: skip


# A "recipe" of no training at all: its seconds are those of computing the features.
FEATURES = Entry("MobileNetV2 features", Recipe("MobileNetV2", epochs=0), (0,), "features", False)


def measure(folder: str | os.PathLike, source: str = "mnist") -> Iterator[str]:
    """Run whatever of the study has no result in `folder` yet; yield a line before each part.

    Raises DataError or DownloadError if the source cannot be had: there is no falling back,
    since its results would be of other data than was asked for.
    """
    digits = {
        "whole": load_digits(source, validation_size=0),
        "split": load_digits(source, validation_size=VALIDATION_SIZE),
    }
    yield "learning rates, on validation"
    rates = choose_rates(_run(tuning_plan(), digits["split"], folder))
    yield ", ".join(f"{name} {rate:g}" for name, rate in rates.items()) + " chosen"
    for entry in judging_plan(rates):
        yield f"{entry.name}, {len(entry.seeds)} seeds"
        if entry.data == "features":
            yield from _measure_heads(entry, digits["whole"], folder)
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
    if not all(result_path(folder, run).exists() for run in [*runs, once]):
        yield f"{FEATURES.name}, {len(whole.train) + len(whole.test):,} digits, {weights}"
        started = time.perf_counter()
        features = feature_digits(freeze(model), weights, whole)
        seconds = time.perf_counter() - started
        measured = {"parameters": count_parameters(model), "seconds": seconds}
        write_result(folder, once, measured, device=str(choose_device()))
    read_result(result_path(folder, once), once)
    _run([heads], features, folder)
