"""A recipe: all that decides how a model is trained, but for the seed and the data."""

from __future__ import annotations

import dis
import functools
import hashlib
import inspect
import json
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from types import CodeType

import torch
from torch import Tensor
from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LRScheduler

from mnistkit.augmentation import random_affine, random_non_digits, random_photo
from mnistkit.models import build_model
from mnistkit.training import check_settings, choose_optimizer, make_schedule
from mnistkit.utils.validation import check_number

# What a recipe can name, in a sweep's file and in its own written form.
SCHEDULERS = {
    name: getattr(lr_scheduler, name)
    for name in ("ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "CyclicLR",
                 "ExponentialLR", "LinearLR", "MultiStepLR", "OneCycleLR", "PolynomialLR",
                 "StepLR")
}  # fmt: skip
AUGMENTATIONS = {"random_affine": random_affine, "random_photo": random_photo}
OUTLIERS = {"random_non_digits": random_non_digits}
_OFFERED = (torch.optim, torch.nn.functional)  # where else a name is PyTorch's own

# These stand in a recipe's written form in any case, all others only where they differ from
# their default: so a field that is added leaves the digests of older recipes as they were.
_ALWAYS_WRITTEN = ("model", "options", "epochs", "batch_size", "optimizer", "learning_rate",
                   "weight_decay", "loss", "scheduler", "normalized")  # fmt: skip

# Which model, and which batches it is shown: every other field is a setting of `fit`.
_NOT_OF_FIT = ("model", "options", "batch_size", "normalized")


@dataclass(frozen=True)
class Recipe:
    """A value: two recipes are equal, and have the same digest, if they train alike.

    model: a name in `models.MODELS`; options replace those of the registry.
    scheduler, augment, outliers: a PyTorch scheduler and functions of `augmentation`, or a
        `functools.partial` of one.
    The others are as in `training.fit`.
    """

    model: str
    options: Mapping[str, object] = field(default_factory=dict)
    epochs: int = 5
    batch_size: int = 64
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    loss: str = "cross_entropy"
    scheduler: Callable[[Optimizer], LRScheduler] | None = None
    normalized: bool = False
    scheduler_step: str = "epoch"
    precision: str = "auto"
    augment: Callable[[Tensor], Tensor] | None = None
    outliers: Callable[[Tensor, Tensor], Tensor] | None = None
    label_smoothing: float = 0.0
    averaging: float = 0.0

    def __post_init__(self) -> None:
        """Copy the options, and make 1 and 1.0 the same rate.

        Raises ValueError for a rate that is no number, and for augment or outliers with
        normalized: what moves in from outside a picture is 0, which is paper only while images
        are not normalised.
        """
        for name in ("augment", "outliers"):
            if getattr(self, name) and self.normalized:
                raise ValueError(f"{name} needs images in [0, 1]: leave normalized False")
        if not isinstance(self.options, Mapping):
            raise ValueError(f"options is {self.options!r}, expected values by name")
        object.__setattr__(self, "options", dict(self.options))
        for name in ("learning_rate", "weight_decay", "label_smoothing", "averaging"):
            object.__setattr__(self, name, check_number(name, getattr(self, name)))
        if not isinstance(self.normalized, bool):
            raise ValueError(f"normalized is {self.normalized!r}, expected True or False")

    def check(self) -> None:
        """Raise ValueError for what would stop `fit`, before anything is run.

        Names, options of the model, ranges; and that the scheduler can be built.
        """
        try:
            model = build_model(self.model, seed=0, **self.options)  # not the caller's state
        except TypeError as error:
            raise ValueError(
                f"{self.model} cannot be built with {self.options}: {error}"
            ) from error
        check_settings(batch_size=self.batch_size, **self.fit_settings)
        optimizer = choose_optimizer(self.optimizer)
        # Only where it tells something: torch's first optimizer imports torch's compiler.
        if callable(self.optimizer) or self.scheduler is not None:
            optimizer = optimizer(
                model.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay
            )
        if self.scheduler is not None:
            _check_steps(
                make_schedule(self.scheduler, optimizer, steps=10 * self.epochs), optimizer
            )
        _check_changes(self.augment, self.outliers)

    def __eq__(self, other: object) -> bool:
        """Compare what is trained, not how it was written: lists and tuples are alike."""
        if not isinstance(other, Recipe):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        """Hash by the digest."""
        return hash(self.digest)

    @property
    def fit_settings(self) -> dict[str, object]:
        """Every setting of `training.fit` that the recipe makes, by its name there."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _NOT_OF_FIT}

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that stay the same across processes and machines."""
        return recipe_digest(self.to_dict())

    def to_dict(self) -> dict:
        """Return all fields as JSON can hold them.

        Raises ValueError for a scheduler or an option that has no name of its own, such
        as a lambda: nobody could tell later what it did.
        """
        return {
            f.name: _plain(getattr(self, f.name), f.name)
            for f in fields(self)
            if f.name in _ALWAYS_WRITTEN or getattr(self, f.name) != f.default
        }


def _check_steps(schedule: LRScheduler, optimizer: Optimizer) -> None:
    """Raise ValueError for a schedule that cannot go on, or whose rate is no number."""
    try:
        for _ in range(3):
            optimizer.step()
            schedule.step()
        rates = [float(group["lr"]) for group in optimizer.param_groups]
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise ValueError(f"the scheduler cannot go on: {error}") from error
    if not all(map(math.isfinite, rates)):
        raise ValueError(f"the scheduler makes the rate {rates[0]}")


def _check_changes(augment: Callable | None, outliers: Callable | None) -> None:
    """Raise ValueError where two images cannot be changed so."""
    images, labels = torch.zeros(2, 1, 28, 28), torch.tensor([3, 5])
    for name, change, given in (("augment", augment, (images,)),
                                ("outliers", outliers, (images, labels))):  # fmt: skip
        if change is not None:
            try:
                with torch.random.fork_rng(devices=[]):
                    change(*given)
            except (TypeError, ValueError, RuntimeError) as error:
                raise ValueError(f"{name} cannot change images: {error}") from error


def check_recipe(recipe: object) -> Recipe:
    """Return a recipe; raise ValueError for anything else, such as the name of its model."""
    if not isinstance(recipe, Recipe):
        example = f"Recipe({recipe!r}, epochs=5)" if isinstance(recipe, str) else "a Recipe"
        raise ValueError(f"recipe is {recipe!r}, expected {example}")
    return recipe


def recipe_digest(fields: Mapping) -> str:
    """Digest of a recipe in the form of `Recipe.to_dict`, as a result file holds it."""
    return digest_of(fields)[:12]


def digest_of(content: object) -> str:
    """SHA-256 of what JSON can hold, in hexadecimal digits; the order of keys does not count."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _plain(value: object, name: str) -> object:
    """Turn a value into plain JSON; a callable into its name and arguments."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(k): _plain(v, name) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v, name) for v in value]
    if isinstance(value, functools.partial):
        call = _plain(value.func, name)
        return {
            "call": call,
            "args": _plain(value.args, name),
            "with": _plain(value.keywords, name),
        }
    if (inspect.isclass(value) or inspect.isroutine(value)) and "<" not in value.__qualname__:
        return _name_of(value)
    raise ValueError(
        f"{name} is {value!r}, which has no name that a result file could hold; "
        "give a function or a class that has one, or functools.partial of it with its settings, "
        "as partial(StepLR, step_size=3)"
    )


_CHANGING = {"append", "extend", "insert", "add", "update", "setdefault", "pop", "popitem",
             "remove", "discard", "clear", "sort", "reverse"}  # fmt: skip


def _name_of(call: Callable) -> str:
    """Its name in a registry or in PyTorch, wherever it is defined; else with its module."""
    for known, offered in (SCHEDULERS | AUGMENTATIONS | OUTLIERS).items():
        if call is offered:
            return known
    if any(getattr(place, call.__name__, None) is call for place in _OFFERED):
        return call.__name__
    name = f"{call.__module__}.{call.__qualname__}"
    if _is_offered(call):
        return name
    try:  # one's own: it may be written otherwise tomorrow, under the same name
        source = inspect.getsource(call)
    except (OSError, TypeError):
        return name
    read = _plain_globals(call)
    return f"{name}, {digest_of([source, read] if read else source)[:8]}"


def _plain_globals(call: Callable, seen: set | None = None) -> dict[str, str]:
    """What a function reads from outside of itself, by name: values, and helpers beside it.

    seen: functions that have been looked at, each once. Helpers of other packages are not read.
    """
    seen = {call} if seen is None else seen
    place, found = getattr(call, "__globals__", {}), {}
    code = getattr(call, "__code__", None)
    fixed = (bool, int, float, str, tuple)
    if code and not _changes_something(code):  # else a list may be a log, and no setting
        fixed += (list, dict)
    for name in _names_in(code):
        value = place.get(name)
        if isinstance(value, fixed):
            found[name] = repr(value)
        elif inspect.isfunction(value) and value not in seen and _package(value) == _package(call):
            seen.add(value)
            with suppress(OSError, TypeError):
                source = inspect.getsource(value)
                found[name] = digest_of([source, _plain_globals(value, seen)])[:8]
    return {name: value for name, value in found.items() if " at 0x" not in value}


def _package(call: Callable) -> str:
    return str(call.__module__).partition(".")[0]


def _names_in(code: CodeType | None) -> dict[str, None]:
    """The names that code reads, and that of functions and comprehensions in it, in order."""
    if code is None:
        return {}
    inner = [_names_in(part) for part in code.co_consts if isinstance(part, CodeType)]
    return dict.fromkeys([*code.co_names, *(name for names in inner for name in names)])


def _changes_something(code: CodeType) -> bool:
    """Whether code calls a method that changes a list or a dict, or puts something into one."""
    return bool(_CHANGING & {*_names_in(code)}) or any(
        step.opname in ("STORE_SUBSCR", "DELETE_SUBSCR") for step in dis.get_instructions(code)
    )


def _is_offered(call: Callable) -> bool:
    return _package(call) in ("mnistkit", "torch", "torchvision")
