"""What a trained model says of images: the probability of each class."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike

import pandas as pd
import torch
from torch import Tensor, nn

from mnistkit.models import eval_mode, outputs_of
from mnistkit.utils.validation import (
    as_tensor,
    check_inputs,
    check_rows,
    check_tensor,
    explaining,
    in_short,
    place_of,
)

_ROUNDING = 0.02  # that sums of ten probabilities may have in 16 bits
_EXACT = 1e-4  # the same, of probabilities that are not announced as such
_BATCH = 256  # a CNN's activations stay small: quicker than 1,024 at once, with less memory


def make_predictions(model: nn.Module, data: Tensor | Sequence[Tensor]) -> Tensor:
    """Return the probability of each class for each sample.

    Args:
        model: returns logits, or what its attribute `outputs` says. Without that attribute,
            outputs that are probabilities (none below 0, each row sums to 1) are taken for
            them. It is put in eval mode for the pass, then back in the mode it was in.
        data: a list of samples, each 1 x 28 x 28 or 28 x 28, as float tensors or arrays; or
            a tensor of them, N x 1 x 28 x 28; or a single one. For a model of other inputs,
            their shape.

    Returns float32, N x 10, rows that sum to 1, on the CPU; `argmax(dim=1)` gives classes.
    Raises ValueError for no samples, samples of different shapes, bytes not made float,
    values that are no numbers, also where the model gives them, or what the model cannot
    compute with.
    """
    place = place_of(model)
    inputs = check_inputs(_stack(data).to(place.dtype), model)
    if inputs.ndim == 3 and inputs.shape[1:] == (28, 28):
        outputs = _compute_digits(model, inputs)
    else:
        outputs = _compute(model, inputs)
    probabilities = _to_probabilities(outputs.float(), outputs_of(model)).clone()
    if probabilities.isnan().any():
        raise ValueError(f"{type(model).__name__} gives values that are no numbers: it diverged "
                         "in training, or its weights are damaged")  # fmt: skip
    return probabilities


def _compute(model: nn.Module, inputs: Tensor) -> Tensor:
    device = place_of(model).device
    with eval_mode(model), torch.no_grad(), explaining(model, inputs):
        return torch.cat([_rows(model(part.to(device)), part) for part in inputs.split(_BATCH)])


def _compute_digits(model: nn.Module, images: Tensor) -> Tensor:
    """Images N x 28 x 28 with an axis of channels; but as they are where a model reads rows."""
    try:
        return _compute(model, images.unsqueeze(1))
    except ValueError as error:
        told = error
    try:
        return _compute(model, images)
    except ValueError:
        raise told from told.__cause__


def _stack(data: Tensor | Sequence[Tensor]) -> Tensor:
    first = data[0] if isinstance(data, list | tuple) and data else data
    if isinstance(first, str | PathLike) or not hasattr(data, "__len__"):
        given = in_short(data)
        raise ValueError(f"data is {given}, expected samples; for a photo use predict_image")
    if isinstance(data, pd.DataFrame):
        raise ValueError("data is a table: give its numbers as a tensor, N x 1 x 28 x 28")
    if not hasattr(data, "__getitem__"):
        raise ValueError(
            f"data is a {type(data).__name__}, expected samples: loop over its batches"
        )
    if hasattr(data, "images"):
        raise ValueError("data is digits with labels: give their images, as digits.test.inputs()")
    if len(data) == 0:
        raise ValueError("no samples were given to make_predictions")
    if not isinstance(data, Tensor):
        if isinstance(data[0], tuple):
            raise ValueError("samples are pairs (image, label): give the images alone")
        try:
            samples = [as_tensor(sample) for sample in data]
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"a sample is {in_short(data[0])}, expected a tensor or an array; a "
                             "photo is read by predict_image") from error  # fmt: skip
        shapes = {tuple(sample.shape) for sample in samples}
        if len(shapes) > 1:
            raise ValueError(f"samples have different shapes: {sorted(shapes)}")
        data = torch.stack(samples)
    if not data.is_floating_point():
        raise ValueError(f"expected float samples in [0, 1], got {data.dtype}; use to_float first")
    if data.ndim < 2:
        raise ValueError(f"data is {in_short(data)}: give a list, also of one sample")
    return data.unsqueeze(0) if data.shape == (28, 28) else data


def _rows(outputs: object, batch: Tensor) -> Tensor:
    return check_rows(check_tensor("the model gives", outputs), len(batch)).cpu()


def _to_probabilities(outputs: Tensor, kind: str) -> Tensor:
    if kind == "logits":
        return outputs if _are_probabilities(outputs) else outputs.softmax(dim=1)
    found = outputs.exp() if kind == "log_probabilities" else outputs
    if ((found.sum(dim=1) - 1).abs() > _ROUNDING).any():
        raise ValueError(f"the model says that it gives {kind}, and these do not sum to 1 in each "
                         f"row: its attribute `outputs` should be another")  # fmt: skip
    return found


def _are_probabilities(outputs: Tensor) -> bool:
    """Whether these are no logits: those of ten classes never add up to 1 by chance."""
    return bool((outputs >= 0).all() and ((outputs.sum(dim=1) - 1).abs() < _EXACT).all())
