"""What a trained model says of images: probabilities, for a few or for many."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_BATCH = 1024  # bounds memory: a CNN's activations for 10,000 images at once fill gigabytes


def make_predictions(model: nn.Module, data: Tensor | Sequence[Tensor]) -> Tensor:
    """Return the probability of each class for each sample.

    Args:
        model: returns logits, or what its attribute `outputs` says. It is put in eval
            mode for the pass, then back in the mode it was in.
        data: a list of sample tensors, each 1 x 28 x 28 or 28 x 28, as float32; or a
            tensor of them, N x 1 x 28 x 28. For a model of other inputs, their shape.

    Returns float32, N x 10, rows that sum to 1, on the CPU; `argmax(dim=1)` gives classes.
    Raises ValueError for no samples, samples of different shapes, or bytes not made float.
    """
    inputs = _stack(data)
    parameter = next(model.parameters())
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            outputs = [model(batch.to(parameter.device)).cpu() for batch in inputs.split(_BATCH)]
    finally:
        model.train(was_training)
    return _to_probabilities(
        torch.cat(outputs).float(), getattr(model, "outputs", "logits")
    ).clone()


def _stack(data: Tensor | Sequence[Tensor]) -> Tensor:
    if len(data) == 0:
        raise ValueError("no samples were given to make_predictions")
    if not isinstance(data, Tensor):
        samples = [torch.as_tensor(sample) for sample in data]
        shapes = {tuple(sample.shape) for sample in samples}
        if len(shapes) > 1:
            raise ValueError(f"samples have different shapes: {sorted(shapes)}")
        data = torch.stack(samples)
    if not data.is_floating_point():
        raise ValueError(f"expected float samples in [0, 1], got {data.dtype}; use to_float first")
    return data.unsqueeze(1) if data.ndim == 3 and data.shape[1:] == (28, 28) else data


def _to_probabilities(outputs: Tensor, kind: str) -> Tensor:
    if kind == "probabilities":
        return outputs
    return outputs.exp() if kind == "log_probabilities" else outputs.softmax(dim=1)
