"""What `fit` and `fit_stack` can be told: losses and optimisers by name, numbers in range."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from mnistkit.errors import unknown_name
from mnistkit.utils.validation import check_number, check_whole

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
SCHEDULER_STEPS = ("epoch", "batch")


def choose_loss(loss: str | LossFunction) -> LossFunction:
    """Return the loss by its name in `LOSSES`; a callable is returned as it is."""
    if callable(loss):
        return loss
    if not isinstance(loss, str) or loss not in LOSSES:
        raise unknown_name("loss", loss, LOSSES)
    return LOSSES[loss]


def smooth_labels(loss: str | LossFunction, share: float) -> LossFunction:
    """Return the loss with this share of each label's weight spread evenly over all classes.

    Szegedy and others, 2016. Raises ValueError for another loss than cross-entropy, or a
    share outside [0, 1).
    """
    check_number("label_smoothing", share, least=0, below=1)
    if share and loss != "cross_entropy":
        raise ValueError("label_smoothing goes with the loss 'cross_entropy' only")
    loss_fn = choose_loss(loss)
    return partial(loss_fn, label_smoothing=share) if share else loss_fn


def choose_optimizer(optimizer: str | Callable[..., Optimizer]) -> Callable[..., Optimizer]:
    """Return the optimizer by its name in `OPTIMIZERS`; a callable is returned as it is."""
    if callable(optimizer):
        return optimizer
    if not isinstance(optimizer, str) or optimizer not in OPTIMIZERS:
        raise unknown_name("optimizer", optimizer, OPTIMIZERS)
    return OPTIMIZERS[optimizer]


def make_schedule(
    scheduler: Callable[[Optimizer], LRScheduler], optimizer: Optimizer, steps: int
) -> LRScheduler:
    """Build the schedule; one that lasts for a number of steps is told it, if nobody did yet.

    Raises ValueError for one that cannot be built, or that wants to be told a loss.
    """
    kind = getattr(scheduler, "func", scheduler)
    if not callable(kind):
        raise ValueError(f"scheduler is {scheduler!r}, expected a class of torch.optim's")
    if kind is ReduceLROnPlateau:
        raise ValueError("ReduceLROnPlateau waits for a loss, and `fit` gives it none")
    settings = inspect.signature(scheduler).parameters
    lasting = [settings[name].default for name in ("total_steps", "epochs") if name in settings]
    if len(lasting) == 2 and lasting == [None, None]:
        scheduler = partial(scheduler, total_steps=steps)
    try:
        return scheduler(optimizer)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the scheduler cannot be built: {error}") from error


def check_settings(
    *,
    epochs: int,
    learning_rate: float,
    weight_decay: float = 0.0,
    batch_size: int = 1,
    scheduler_step: str = "epoch",
    log_every: int | None = None,
    threads: int | str = "auto",
    averaging: float = 0.0,
    augment: Callable[[Tensor], Tensor] | None = None,
    seed: int = 0,
) -> None:
    """Raise ValueError for a number out of range or an unknown name."""
    check_whole("epochs", epochs)
    check_whole("batch_size", batch_size)
    check_whole("seed", seed, least=0)
    check_number("learning_rate", learning_rate, above=0)
    check_number("weight_decay", weight_decay, least=0)
    check_number("averaging", averaging, least=0, below=1)
    if scheduler_step not in SCHEDULER_STEPS:
        raise unknown_name("scheduler_step", scheduler_step, SCHEDULER_STEPS)
    if augment is not None and not callable(augment):
        raise ValueError(f"augment is {augment!r}, expected a function of images")
    if log_every is not None:
        check_whole("log_every", log_every)
    if threads != "auto" and (type(threads) is not int or threads < 1):
        raise ValueError(f"threads is {threads!r}, expected 1 or more, or 'auto'")
