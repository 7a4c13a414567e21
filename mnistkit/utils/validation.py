"""What callers hand over, checked before it is used, in their words.

A wrong number should not get as far as a result, and a wrong shape not as far as PyTorch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from numbers import Integral, Real

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from mnistkit.errors import unknown_name

CLASSES = 10
_NARROW = (torch.int8, torch.int16, torch.int32)  # which a loss does not take
_WIDE_BYTES = (torch.uint16, torch.uint32, torch.uint64)  # for which PyTorch has little
_LARGEST = 2**63
BRIGHTEST = 10.0  # no image in [0, 1], or normalised, comes near it; bytes made float do


def check_whole(name: str, value: object, least: int = 1) -> int:
    """Return a whole number of `least` or more; raise ValueError, by name, for anything else."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} is {in_short(value)}, expected a whole number of {least} or more")
    if value >= _LARGEST:
        raise ValueError(f"{name} is {value}, expected a number of less than 64 bits")
    return int(value)


def check_flag(name: str, value: object) -> None:
    """Raise ValueError, by name, for what is neither True nor False: "no" would be yes."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {in_short(value)}, expected True or False")


def in_short(value: object) -> str:
    """What a value is, as it would be written if that is short, else its type and size."""
    if isinstance(value, Tensor) and value.ndim:
        return f"a tensor, {describe(value)}"
    words = repr(value)
    if len(words) <= 80 and "\n" not in words:
        return words
    size = f" of {len(value)}" if hasattr(value, "__len__") else ""
    return f"a {type(value).__name__}{size}"


def check_number(
    name: str,
    value: object,
    *,
    least: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> float:
    """Return a finite number within these bounds; raise ValueError, by name, for another."""
    right = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    right = right and (least is None or value >= least) and (above is None or value > above)
    if not (right and (below is None or value < below)):
        bounds = [
            words.format(bound)
            for words, bound in (("at least {:g}", least), ("above {:g}", above),
                                 ("less than {:g}", below))
            if bound is not None
        ]  # fmt: skip
        raise ValueError(f"{name} is {value!r}, expected a number {' and '.join(bounds)}".rstrip())
    return float(value)


def check_choice(kind: str, value: object, known: Collection[str]) -> str:
    """Return a name that is among the known; raise UnknownNameError with the nearest for another.

    kind: of thing that it should name, for the message.
    """
    if not isinstance(value, str) or value not in known:
        raise unknown_name(kind, value, known)
    return value


def check_class_names(classes: Sequence[str]) -> Sequence[str]:
    """Return ten names; raise ValueError for more or fewer."""
    if len(classes) != 10:
        raise ValueError(f"{len(classes)} names of classes, expected ten, as in class_names")
    return classes


def check_seeds(seeds: Sequence[int]) -> list[int]:
    """Return seeds as a list; raise ValueError for none, one twice, or what is no seed."""
    if isinstance(seeds, str) or not hasattr(seeds, "__iter__"):
        raise ValueError(f"seeds is {seeds!r}, expected whole numbers, such as range(5)")
    seeds = [check_whole("a seed", seed, least=0) for seed in seeds]
    if len(set(seeds)) < len(seeds):
        twice = next(seed for seed in seeds if seeds.count(seed) > 1)
        raise ValueError(f"seed {twice} is there twice: a second run of it says nothing new")
    return seeds


def check_columns(frame: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise ValueError for the first column that a table lacks, and for what is no table."""
    if not isinstance(frame, pd.DataFrame):
        raise ValueError(f"{in_short(frame)} is no table, expected a DataFrame with columns "
                         f"{', '.join(columns)}")  # fmt: skip
    missing = [column for column in columns if column not in frame]
    if missing:
        raise ValueError(
            f"the table has no column {missing[0]!r}, only {', '.join(map(str, frame))}"
        )


def check_module(model: object) -> nn.Module:
    """Return a model; raise ValueError for its class, its name and anything else."""
    if not isinstance(model, nn.Module):
        raise ValueError(
            f"model is {in_short(model)}, expected a torch.nn.Module, as build_model gives"
        )
    return model


def check_model(model: object) -> nn.Module:
    """Return a model with something to learn; raise ValueError for anything else."""
    check_module(model)
    if next(model.parameters(), None) is None:
        raise ValueError(f"{type(model).__name__} has no parameters: there is nothing to train")
    return model


def place_of(model: nn.Module) -> Tensor:
    """Return a tensor of a model, whose device and dtype its inputs must have.

    A parameter; of a model that has none, a buffer; without these, one on the CPU, float32.
    Raises ValueError for what is no model.
    """
    tensors = chain(check_module(model).parameters(), model.buffers())
    return next(filter(Tensor.is_floating_point, tensors), torch.empty(0))


def check_rows(outputs: Tensor, count: int) -> Tensor:
    """Return what a model gives; raise ValueError unless it is a row of classes for each sample.

    count: of samples.
    """
    if outputs.ndim != 2 or len(outputs) != count or outputs.shape[1] < 2:
        raise ValueError(
            f"the model gives {describe(outputs)} for {count} samples, expected a row of two "
            "classes or more for each"
        )
    return outputs


def check_counts(matrix: Tensor) -> None:
    """Raise ValueError for a matrix of anything but whole numbers from 0, such as shares."""
    if (matrix < 0).any():
        raise ValueError("the matrix holds numbers below 0, expected counts")
    if matrix.isnan().any():
        raise ValueError("the matrix holds nan, expected counts, as confusion_matrix gives")
    if not torch.equal(matrix.double(), matrix.double().round()):
        raise ValueError("the matrix holds shares, expected counts, as confusion_matrix gives")


def check_tensor(what: str, value: object) -> Tensor:
    """Return a tensor; raise ValueError, beginning with `what`, for anything else."""
    if not isinstance(value, Tensor):
        raise ValueError(f"{what} a {type(value).__name__}, expected a tensor")
    return value


def check_loader(name: str, loader: object) -> None:
    """Raise ValueError for what cannot be gone through again and again."""
    if isinstance(loader, Dataset):
        raise ValueError(
            f"{name} is a {type(loader).__name__}, one sample after the other; give its batches: "
            "DataLoader(dataset, batch_size=64, shuffle=True)"
        )
    if hasattr(loader, "images") or hasattr(loader, "train"):
        part = "a split of digits" if hasattr(loader, "images") else "digits in three splits"
        example = "train.loader(64)" if "train" in name else "validation.loader(1000)"
        raise ValueError(f"{name} is {part}; give batches of one: digits.{example}")
    if isinstance(loader, Tensor) or _are_arrays(loader):
        raise ValueError(
            f"{name} holds samples themselves; give their batches: "
            "DataLoader(TensorDataset(inputs, labels), batch_size=64, shuffle=True)"
        )
    if not hasattr(loader, "__len__") or not hasattr(loader, "__iter__"):
        raise ValueError(
            f"{name} is a {type(loader).__name__}, expected a DataLoader: it is gone through "
            "once an epoch, and its length is asked for"
        )
    try:
        len(loader)
    except TypeError as error:
        raise ValueError(f"{name} does not know how many batches it has: {error}") from error


def _are_arrays(loader: object) -> bool:
    """Whether these are inputs and labels; a list of batches, each a pair, is a loader."""
    return isinstance(loader, tuple | list) and any(hasattr(part, "ndim") for part in loader)


def check_batch(batch: object, model: nn.Module) -> tuple[Tensor, Tensor]:
    """Return inputs and labels of a batch; raise ValueError where they cannot be trained on."""
    if hasattr(batch, "images"):
        raise ValueError("digits come one by one: give their batches, as digits.test.loader(1000)")
    parts = list(batch) if isinstance(batch, tuple | list) else [batch]
    if len(parts) != 2 or not all(isinstance(part, Tensor) for part in parts):
        kinds = ", ".join(type(part).__name__ for part in parts)
        single = len(parts) == 2 and isinstance(parts[1], int)
        hint = "; this is one sample of a dataset: give a loader" if single else ""
        raise ValueError(f"a batch is ({kinds}), expected two tensors, inputs and labels{hint}")
    inputs, labels = batch
    check_inputs(inputs, model)
    if labels.dtype not in (torch.int64, torch.uint8, *_NARROW) or labels.ndim != 1:
        raise ValueError(
            f"labels are {describe(labels)}, expected int64, one class number for each input"
        )
    if len(labels) != len(inputs):
        raise ValueError(f"a batch has {len(inputs)} inputs and {len(labels)} labels")
    if len(labels) and labels.device.type == "cpu" and labels.min() < 0:
        raise ValueError(f"labels begin at {labels.min()}, expected classes from 0")
    return inputs, labels


def as_classes(labels: Tensor) -> Tensor:
    """Labels as PyTorch's losses take them: those in narrower whole numbers become int64."""
    return labels.long() if labels.dtype in _NARROW else labels


def check_inputs(inputs: Tensor, model: nn.Module) -> Tensor:
    """Return inputs that the model can compute with; raise ValueError for others.

    Values are looked at on the CPU only: another device would have to stop for it.
    """
    wanted = place_of(model).dtype
    if inputs.dtype == torch.uint8:
        raise ValueError("inputs are bytes (uint8), expected floats in [0, 1]: use to_float first")
    if inputs.dtype != wanted:
        raise ValueError(f"inputs are {_short(inputs.dtype)}, expected {_short(wanted)}")
    if inputs.device.type == "cpu" and inputs.numel():
        low, high = (value.item() for value in inputs.aminmax())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError("inputs hold values that are no numbers (nan or inf)")
        if inputs.shape[-2:] == (28, 28) and high > BRIGHTEST:
            raise ValueError(
                f"images hold values up to {high:g}, expected them in [0, 1] (or normalised): "
                "divide bytes by 255"
            )
    return inputs


def as_tensor(values: object) -> Tensor:
    """As `torch.as_tensor`, also for mirrored arrays, tables, and wide bytes."""
    if isinstance(values, np.ndarray | pd.Series | pd.DataFrame):
        values = np.array(values, order="C")  # that may be written to
    tensor = torch.as_tensor(values)
    return tensor.long() if tensor.dtype in _WIDE_BYTES else tensor


def check_labels(labels: Tensor, name: str = "labels") -> Tensor:
    """Return labels as int64, N; raise ValueError for what is no class."""
    labels = as_tensor(labels)
    if labels.is_floating_point() or labels.dtype == torch.bool or labels.ndim != 1:
        raise ValueError(f"{name} are {describe(labels)}, expected whole numbers, one a sample")
    if len(labels) and not (labels.min() >= 0 and labels.max() < CLASSES):
        raise ValueError(f"{name} run from {labels.min()} to {labels.max()}, expected 0 to 9")
    return labels.long()


def check_probabilities(probabilities: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return probabilities and labels; raise ValueError for logits, or where they do not fit."""
    probabilities, labels = as_tensor(probabilities), check_labels(labels)
    if probabilities.shape != (len(labels), CLASSES) or not len(labels):
        raise ValueError(
            f"probabilities are {describe(probabilities)}, expected {CLASSES} for each of "
            f"{len(labels)} labels"
        )
    sums = probabilities.sum(dim=1)
    if not (probabilities >= 0).all() or not torch.allclose(sums, torch.ones_like(sums), atol=1e-3):
        raise ValueError("probabilities do not sum to 1 in each row: are they logits?")
    return probabilities, labels


@contextmanager
def explaining(model: nn.Module, inputs: Tensor, labels: Tensor | None = None) -> Iterator[None]:
    """Say what the model was given where PyTorch cannot compute with it."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, IndexError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0].removesuffix(".")
        given = f"inputs {describe(inputs)}"
        if labels is not None:
            given += f", labels {describe(labels)}"
            if labels.numel() and not labels.is_floating_point() and labels.device.type == "cpu":
                given += f" from {labels.min()} to {labels.max()}"
        hint = ""
        if "more than 1 value per channel" in reason:
            hint = "; batch norm needs two samples: choose another batch size"
        if re.fullmatch(r"Target \d+ is out of bounds", reason):
            hint = "; it has fewer outputs than there are classes"
        if "does not require grad" in reason:
            hint = "; is the output or the loss detached, or made a number?"
        if "view size is not compatible" in reason:
            hint = "; maps are laid out channels last: call `reshape` where it calls `view`"
        raise ValueError(
            f"{type(model).__name__} cannot compute with {given}: {reason}{hint}"
        ) from error


def describe(tensor: Tensor) -> str:
    """Type and shape in short: "float32 64 x 1 x 28 x 28"."""
    return f"{_short(tensor.dtype)} {' x '.join(map(str, tensor.shape)) or '(one number)'}"


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
