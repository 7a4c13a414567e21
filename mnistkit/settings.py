"""What `fit` and `fit_stack` can be told: losses and optimisers by name, numbers in range."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mnistkit.errors import unknown_name

LossFunction = Callable[[Tensor, Tensor], Tensor]

LOSSES: dict[str, LossFunction] = {
    "cross_entropy": nn.functional.cross_entropy,  # takes logits
    "nll": nn.functional.nll_loss,  # takes log-probabilities
}
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": partial(torch.optim.SGD, fused=True),  # one pass over the weights, not five
    "nesterov": partial(torch.optim.SGD, momentum=0.9, nesterov=True, fused=True),
    "adam": partial(torch.optim.Adam, fused=True),
    "adamw": partial(torch.optim.AdamW, fused=True),
    "rmsprop": torch.optim.RMSprop,
}


def choose_loss(loss: str | LossFunction) -> LossFunction:
    """Return the loss by its name in `LOSSES`; a callable is returned as it is."""
    if callable(loss):
        return loss
    if loss not in LOSSES:
        raise unknown_name("loss", loss, LOSSES)
    return LOSSES[loss]


def smooth_labels(loss: str | LossFunction, share: float) -> LossFunction:
    """Return the loss with this share of each label's weight spread evenly over all classes.

    Szegedy and others, 2016. Raises ValueError for another loss than cross-entropy, or a
    share outside [0, 1).
    """
    if not 0 <= share < 1:
        raise ValueError(f"label_smoothing is {share!r}, expected at least 0 and less than 1")
    if share and loss != "cross_entropy":
        raise ValueError("label_smoothing goes with the loss 'cross_entropy' only")
    loss_fn = choose_loss(loss)
    return partial(loss_fn, label_smoothing=share) if share else loss_fn


def choose_optimizer(optimizer: str | Callable[..., Optimizer]) -> Callable[..., Optimizer]:
    """Return the optimizer by its name in `OPTIMIZERS`; a callable is returned as it is."""
    if callable(optimizer):
        return optimizer
    if optimizer not in OPTIMIZERS:
        raise unknown_name("optimizer", optimizer, OPTIMIZERS)
    return OPTIMIZERS[optimizer]


def check_settings(
    *,
    epochs: int,
    learning_rate: float,
    log_every: int | None = None,
    threads: int | str = "auto",
    averaging: float = 0.0,
) -> None:
    """Raise ValueError for a number out of range."""
    if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 1:
        raise ValueError(f"epochs is {epochs!r}, expected a whole number of 1 or more")
    if not learning_rate > 0:
        raise ValueError(f"learning_rate is {learning_rate!r}, expected a number above 0")
    if log_every is not None and log_every < 1:
        raise ValueError(f"log_every is {log_every!r}, expected 1 or more, or None")
    if threads != "auto" and (type(threads) is not int or threads < 1):
        raise ValueError(f"threads is {threads!r}, expected 1 or more, or 'auto'")
    if not 0 <= averaging < 1:
        raise ValueError(f"averaging is {averaging!r}, expected at least 0 and less than 1")
