"""What is run to judge the published claims, and to go beyond them: recipes, seeds, data.

Everything that a README leaves open is settled here, once: epochs, learning rates, seeds.
Recipes that are fixed before they start train on all 60,000 digits, as published. Learning
rates are chosen on 5,000 validation digits, and no test digit is looked at for that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import pandas as pd
from torch.optim.lr_scheduler import OneCycleLR, StepLR

from mnistkit.augmentation import random_affine, random_non_digits, random_photo
from mnistkit.experiments.recipe import Recipe
from mnistkit.models import INPUT_SHAPE, build_model, count_operations
from mnistkit.transfer import FEATURES as FEATURE_COUNT
from mnistkit.transfer import IMAGE_SIZE

SEEDS = range(10)
LOTTERY_SEEDS = range(64)  # of V1, whose runs lie tens of points apart
TUNING_SEEDS = range(3)
FEW_SEEDS = range(4)  # of CNNs that train for many minutes
RATES = {"SGD": (0.03, 0.1, 0.2, 0.3, 0.5, 1.0), "Adam": (0.0003, 0.001, 0.002, 0.003, 0.01)}
# Where a README names no rate, the library's default stands, and these are tried beside it:
# a third of it, and three times as much. The claims say what hangs on it.
OPEN_RATES = (0.0003, 0.003)
OPEN_SGD = (0.03, 0.1)  # below the 0.3 that validation chooses
VALIDATION_SIZE = 5000  # digits set aside where something is chosen


# 99 % in seconds: one epoch, the rate up in a fifth of it and down again (Smith and Topin,
# 2017). Batch size, rate and architecture were chosen on 5,000 validation digits.
FAST = Recipe("FastCNN", epochs=1, batch_size=128, optimizer="adamw", weight_decay=0.01,
              normalized=True, scheduler_step="batch",
              scheduler=partial(OneCycleLR, max_lr=0.01, total_steps=469, pct_start=0.2,
                                div_factor=10))  # fmt: skip


# The best accuracy that six convolutions reach in some minutes on two cores. All of it was
# chosen on validation digits of writers that the training digits do not have.
COMPACT = Recipe("CompactCNN", epochs=24, batch_size=128, optimizer="nesterov",
                 learning_rate=0.2, weight_decay=0.0005, scheduler_step="batch",
                 scheduler=partial(OneCycleLR, max_lr=0.2, pct_start=0.2, div_factor=10,
                                   cycle_momentum=False),
                 augment=partial(random_affine, degrees=12, scale=0.12, shear=0.15, shift=2),
                 label_smoothing=0.1)  # fmt: skip
MEMBERS = 5  # of an ensemble

# The network that comes with the library: good at what real pictures bring, and unsure of what
# is no digit. Its widths and the shares of what it is shown were chosen on validation digits of
# writers of their own, and on those digits as `trust.corruptions` changes them.
READER = replace(COMPACT, options={"channels": [16, 32, 56, 64, 64, 64]}, label_smoothing=0.0,
                 augment=partial(random_photo, changed=0.36, far=0.15, degrees=12, scale=0.15,
                                 shear=0.15, shift=2),
                 outliers=partial(random_non_digits, share=0.125))  # fmt: skip
READER_SEEDS = SEEDS

# The steps towards CompactCNN, one thing added at a time, each over fewer seeds. The last one adds
# to CompactCNN what gained nothing, and is told for that reason.
LADDER_SEEDS = range(5)
_BARE = replace(COMPACT, augment=None, label_smoothing=0.0)
LADDER_STEPS = {
    "CompactCNN, Adam": replace(_BARE, optimizer="adam", learning_rate=0.001, weight_decay=0.0,
                                scheduler=None, scheduler_step="epoch"),
    "CompactCNN, one-cycle": _BARE,
    "CompactCNN, affine": replace(COMPACT, label_smoothing=0.0),
    "CompactCNN, averaging": replace(COMPACT, averaging=0.998),
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One row of the plan: a recipe under a name, with its seeds and its kind of data.

    data: "whole" (all training digits), "split" (some set aside for validation), or
    "features" (MobileNetV2's, of all digits). test: whether test is measured. kept: whether
    the trained models are kept beside the results.
    """

    name: str
    recipe: Recipe
    seeds: Sequence[int] = SEEDS
    data: str = "whole"
    test: bool = True
    kept: bool = False


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
    normalized = {"normalized": True}  # README E's way; it names no rate, so Adam's default
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
        *(Entry(f"A SGD {rate:g}", _a(optimizer="sgd", learning_rate=rate)) for rate in OPEN_SGD),
        *(Entry(f"A SGD {rate:g} sigmoid", _a(options=sigmoid, optimizer="sgd", learning_rate=rate))
          for rate in OPEN_SGD),
        *(Entry(f"{name} {rate:g}", _a(name, learning_rate=rate))
          for name in ("A baseline", "A wide") for rate in OPEN_RATES),
        Entry("A log-softmax + NLL", _a(options={"log_softmax": True}, loss="nll")),
        Entry("A NLL on raw logits", _a(loss="nll")),
        *(Entry(f"A {name}", _a(options={"activation": name}))
          for name in ("leaky_relu", "tanh", "sigmoid")),
        *(Entry(f"A dropout {p}", _a(options={"dropout": p})) for p in (0.2, 0.5)),
        Entry("A baseline, 10 epochs", _a(epochs=10), data="split"),
        Entry("B MLP", Recipe("B MLP", epochs=10)),
        Entry("E MLP", Recipe("E MLP", **normalized)),
        *(Entry(f"{name} {rate:g}", Recipe(name, learning_rate=rate, **normalized), seeds)
          for name, seeds in (("E MLP", SEEDS), ("E CNN", FEW_SEEDS)) for rate in OPEN_RATES),
        Entry("D deep", deep),
        Entry("V2", Recipe("V2", **course)),
        Entry("B CNN", Recipe("B CNN", epochs=10), FEW_SEEDS),
        Entry("E CNN", Recipe("E CNN", **normalized)),
        Entry("E CNN corrected", Recipe("E CNN corrected", **normalized), FEW_SEEDS),
        Entry("FastCNN", FAST),
        *(Entry(f"{name} in float32", replace(recipe, precision="float32"))
          for name, recipe in (("V2", Recipe("V2", **course)),
                               ("FastCNN", FAST))),
        Entry("MobileNetV2 head", Recipe("MobileNetV2 head"), data="features"),
    ]  # fmt: skip


def beyond_plan() -> list[Entry]:
    """What goes beyond the READMEs: CompactCNN, whose models are kept, and the steps to it."""
    steps = [Entry(name, recipe, LADDER_SEEDS) for name, recipe in LADDER_STEPS.items()]
    return [Entry("CompactCNN", COMPACT, kept=True), *steps]


# No training either: the models of seeds 0 to 4, and of 5 to 9, put together.
ENSEMBLE = Entry("CompactCNN ensemble", replace(COMPACT, model="CompactCNN ensemble"), range(2))

# A "recipe" of no training at all: its seconds are those of computing the features.
FEATURES = Entry("MobileNetV2 features", Recipe("MobileNetV2", epochs=0), (0,), "features", False)


@dataclass(frozen=True)
class Plan:
    """What a study runs: the tuning first, and the rest at the learning rates that it chose."""

    tuning: Callable[[], list[Entry]] = tuning_plan
    judging: Callable[[dict[str, float]], list[Entry]] = judging_plan
    beyond: Callable[[], list[Entry]] = beyond_plan

    def at(self, rates: dict[str, float]) -> list[Entry]:
        """All but the tuning, at these rates."""
        return [*self.judging(rates), FEATURES, *self.beyond(), ENSEMBLE]

    def whole(self, frame: pd.DataFrame) -> list[Entry]:
        """All of it, at the rates that these runs choose."""
        return [*self.tuning(), *self.at(choose_rates(frame))]

    @property
    def members(self) -> Recipe:
        """Of the models that are kept, and that ensembles are made of."""
        return next(entry.recipe for entry in self.beyond() if entry.kept)


STUDY = Plan()


def training_operations(name: str, digits: int = 60_000) -> float:
    """Multiplications and additions of training a recipe of the plan on so many digits.

    Of a head, without its features: those are `feature_operations`. Raises KeyError for a
    name that is none.
    """
    entries = {entry.name: entry for entry in STUDY.at(dict.fromkeys(RATES, 0.1))}
    entry = entries[name]
    shape = (FEATURE_COUNT,) if entry.data == "features" else INPUT_SHAPE
    model = build_model(entry.recipe.model, seed=0, **entry.recipe.options)
    return entry.recipe.epochs * digits * count_operations(model, shape, training=True)


def feature_operations(digits: int = 60_000) -> float:
    """Multiplications and additions of MobileNetV2's features of so many digits, once."""
    features = build_model("MobileNetV2", seed=0).features
    return digits * count_operations(features, (3, IMAGE_SIZE, IMAGE_SIZE))


def full_plan(frame: pd.DataFrame) -> list[Entry]:
    """The whole plan of the study, at the learning rates that these runs choose."""
    return STUDY.whole(frame)
