"""One pass over the data: a training epoch, and a measurement."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mnistkit.errors import unknown_name
from mnistkit.settings import LossFunction, choose_loss
from mnistkit.tally import Evaluation, Tally
from mnistkit.utils.devices import has_convolutions, supports_bfloat16
from mnistkit.utils.validation import check_batch, check_model, explaining

PRECISIONS = ("auto", "float32", "bfloat16")


def train_one_epoch(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    loss_fn: LossFunction,
    optimizer: Optimizer,
    *,
    precision: str = "auto",
    augment: Callable[[Tensor], Tensor] | None = None,
    after_batch: Callable[[int, Tensor], None] | None = None,
) -> Evaluation:
    """Show the model every batch once, and step the optimizer after each.

    loss_fn: takes (outputs, labels), returns the batch's mean loss.
    precision, augment: see `fit`.
    after_batch: called with the batch's number, from 1, and its loss, still a tensor.

    Returns mean loss and accuracy over samples, taken while the weights move.
    Raises TrainingError, naming the batch, if the loss is no longer finite; ValueError for
    batches that the model cannot compute with.
    """
    check_model(model)
    device = next(model.parameters()).device
    model.train()
    tally = Tally(guarded=True)
    autocast = choose_autocast(model, precision)
    for number, batch in enumerate(loader, start=1):
        inputs, labels = check_batch(batch, model) if number == 1 else batch
        inputs, labels = inputs.to(device), labels.to(device)
        if augment:
            inputs = augment(inputs)
        with explaining(model, inputs, labels):
            outputs, loss = training_step(model, inputs, labels, loss_fn, optimizer, autocast)
        tally.add(outputs, labels, loss)
        if after_batch:
            after_batch(number, loss)
    return tally.result()


def training_step(model, inputs, labels, loss_fn, optimizer, autocast) -> tuple[Tensor, Tensor]:
    """Forward, backward, and a step of the optimizer; returns outputs and loss."""
    with autocast:
        outputs = model(inputs)
    outputs = outputs.float()
    loss = loss_fn(outputs, labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return outputs.detach(), loss.detach()


def evaluate(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    loss_fn: LossFunction | str = "cross_entropy",
) -> Evaluation:
    """Mean loss and accuracy over samples, in eval mode; the model's mode is restored.

    loss_fn: takes (outputs, labels) and returns the batch's mean; or a name in `LOSSES`.
    Raises TrainingError if the loss is no number, as that of a model that has diverged;
    ValueError for batches that the model cannot compute with.
    """
    loss_fn = choose_loss(loss_fn)
    check_model(model)
    device = next(model.parameters()).device
    was_training = model.training
    tally = Tally(guarded=True)
    model.eval()
    try:
        with torch.inference_mode():
            for number, batch in enumerate(loader, start=1):
                inputs, labels = check_batch(batch, model) if number == 1 else batch
                inputs, labels = inputs.to(device), labels.to(device)
                with explaining(model, inputs, labels):
                    outputs = model(inputs)
                    loss = loss_fn(outputs, labels)
                tally.add(outputs, labels, loss)
    finally:
        model.train(was_training)
    return tally.result()


def choose_autocast(model: nn.Module, precision: str) -> torch.autocast:
    """Return the context for a forward pass in this precision; see `training.fit`."""
    device = next(model.parameters()).device
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    low = precision == "bfloat16" or (
        precision == "auto" and has_convolutions(model) and supports_bfloat16(device)
    )
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=low)
