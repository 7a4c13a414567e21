"""Train a model over epochs, and keep what was seen; see `epoch` for one pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader
from tqdm import tqdm

from mnistkit.data import move_loader
from mnistkit.epoch import evaluate, train_one_epoch
from mnistkit.errors import TrainingError
from mnistkit.settings import (
    LossFunction,
    check_settings,
    choose_loss,
    choose_optimizer,
    make_schedule,
    smooth_labels,
)
from mnistkit.utils.devices import choose_device, choose_threads, has_convolutions, thread_count
from mnistkit.utils.progress import progress_bar
from mnistkit.utils.validation import check_loader, check_model

__all__ = ["History", "evaluate", "fit", "train_one_epoch"]


@dataclass
class History:
    """What `fit` saw: one row an epoch, and the loss every so many batches if asked for.

    rows: a dict an epoch, with train and validation loss and accuracy, learning rate,
        seconds. Training accuracy is taken batch by batch, while the weights still move.
    batches: (epoch, batch, loss) where `fit` was given `log_every`.
    interrupted: whether the reader stopped it before its last epoch.
    threads: of the processor, that it was trained with.
    """

    rows: list[dict] = field(default_factory=list)
    batches: list[tuple[int, int, float]] = field(default_factory=list)
    interrupted: bool = False
    threads: int = 0

    @property
    def frame(self) -> pd.DataFrame:
        """One row an epoch, counted from 1."""
        return pd.DataFrame(self.rows).set_index("epoch") if self.rows else pd.DataFrame()

    @property
    def last(self) -> dict:
        """The last epoch's row; raises IndexError if no epoch was finished."""
        return self.rows[-1]

    @property
    def seconds(self) -> float:
        """Time spent in all epochs, validation included."""
        return sum(row["seconds"] for row in self.rows)


def fit(
    model: nn.Module,
    train_loader: DataLoader,
    validation_loader: DataLoader | None = None,
    *,
    epochs: int = 5,
    optimizer: str | Callable[..., Optimizer] = "adam",
    learning_rate: float = 1e-3,
    weight_decay: float = 0.0,
    loss: str | LossFunction = "cross_entropy",
    scheduler: Callable[[Optimizer], LRScheduler] | None = None,
    scheduler_step: str = "epoch",
    augment: Callable[[Tensor], Tensor] | None = None,
    label_smoothing: float = 0.0,
    averaging: float = 0.0,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    threads: int | str = "auto",
    log_every: int | None = None,
    after_epoch: Callable[[nn.Module], Mapping[str, float]] | None = None,
    progress: bool = True,
) -> History:
    """Train a model; nothing in here looks at test data.

    Args:
        model: is trained in place and moved to the device.
        train_loader: batches of (inputs, labels), as `make_loader` gives.
        validation_loader: measured after each epoch; None to skip.
        epochs: passes over the training data.
        optimizer: a name in `OPTIMIZERS`, or a callable that takes the parameters and
            `lr` and `weight_decay`.
        learning_rate: the optimizer's step size; `weight_decay` its L2 penalty.
        loss: a name in `LOSSES`, or a callable of (outputs, labels).
        scheduler: takes the optimizer, returns a PyTorch scheduler. A `OneCycleLR` without
            `total_steps` is stretched over the whole training.
        scheduler_step: when it moves on: after each "epoch", or after each "batch".
        augment: changes each batch of training inputs before the model sees it, such as
            `augmentation.random_affine`; training accuracy is then of changed inputs.
        label_smoothing: share of each label's weight that training spreads over all
            classes; validation loss is without it.
        averaging: decay, such as 0.998, of a moving average of the weights after each
            batch. The average is what is validated, and what the model holds in the end.
        seed: fixes the order of batches and dropout. With the same initial weights,
            machine and thread count, a run repeats bit for bit.
        device: "auto", or a PyTorch device name.
        precision: "float32"; "bfloat16" for the forward pass (weights stay float32); or
            "auto": bfloat16 for a model with convolutions where the machine is much faster
            in it.
        threads: of the processor; "auto" takes all for a model with convolutions and one
            for any other: see `devices.choose_threads`. It is kept in `History.threads`.
        log_every: keep the loss of every so many batches in `History.batches`.
        after_epoch: called with the model after each epoch; what it returns joins the
            epoch's row. Its time does not count.
        progress: show a bar (the environment variable TQDM_DISABLE=1 hides it anywhere).

    Returns the history. Interrupting (Ctrl-C, or the stop button) returns it so far.

    Raises:
        TrainingError: the loss is no longer a number; names epoch and batch.
        ValueError: an unknown name, or a number out of range.
    """
    check_settings(epochs=epochs, learning_rate=learning_rate, weight_decay=weight_decay,
                   scheduler_step=scheduler_step, log_every=log_every, threads=threads,
                   averaging=averaging, augment=augment, seed=seed)  # fmt: skip
    loss_fn, training_loss = choose_loss(loss), smooth_labels(loss, label_smoothing)
    make_optimizer = partial(
        choose_optimizer(optimizer), lr=learning_rate, weight_decay=weight_decay
    )
    check_model(model)
    check_loader("train_loader", train_loader)
    if validation_loader is not None:
        check_loader("validation_loader", validation_loader)
    device = choose_device(device)
    model.to(device)
    if has_convolutions(model):
        model.to(memory_format=torch.channels_last)  # the order that convolutions are fastest in
    train_loader = move_loader(train_loader, device)
    if validation_loader is not None:
        validation_loader = move_loader(validation_loader, device)
    threads = choose_threads(model) if threads == "auto" else threads
    optimizer = make_optimizer(model.parameters())
    batches = epochs * len(train_loader)
    steps = batches if scheduler_step == "batch" else epochs
    schedule = make_schedule(scheduler, optimizer, steps) if scheduler is not None else None
    each_batch = [schedule.step] if schedule and scheduler_step == "batch" else []
    measured = model
    if averaging:
        averaged = AveragedModel(model, avg_fn=_moving_average(averaging))
        each_batch.append(partial(averaged.update_parameters, model))
        measured = averaged.module
    train = partial(train_one_epoch, model, train_loader, training_loss, optimizer,
                    precision=precision, augment=augment)  # fmt: skip
    validate = (None if validation_loader is None
                else partial(evaluate, measured, validation_loader, loss_fn))  # fmt: skip
    _reseed(train_loader, seed)
    history = History(threads=threads)
    bar = progress_bar(batches, "training", "batch", shown=progress)
    with bar, thread_count(threads):
        try:
            for epoch in range(1, epochs + 1):
                rate = optimizer.param_groups[0]["lr"]
                after_batch = _batch_recorder(history, epoch, log_every, bar, each_batch)
                row = _one_epoch(epoch, rate, partial(train, after_batch=after_batch), validate)
                history.rows.append(row)
                if after_epoch:
                    history.rows[-1] |= after_epoch(measured)
                if schedule and scheduler_step == "epoch":
                    schedule.step()
        except KeyboardInterrupt:
            history.interrupted = True
            print(f"interrupted: {len(history.rows)} of {epochs} epochs are in the history")
    if measured is not model:
        model.load_state_dict(measured.state_dict())
    return history


def _one_epoch(epoch: int, rate: float, train: Callable, validate: Callable | None) -> dict:
    """Train and validate, and return the epoch's row of the history."""
    started = time.perf_counter()
    try:
        trained = train()
        validation = validate() if validate else None
    except TrainingError as error:
        raise TrainingError(f"epoch {epoch}, {error}") from None
    row = {"epoch": epoch, "train_loss": trained.loss, "train_accuracy": trained.accuracy}
    if validation:
        row |= {
            "validation_loss": validation.loss,
            "validation_accuracy": validation.accuracy,
        }
    return row | {"learning_rate": rate, "seconds": time.perf_counter() - started}


def _moving_average(decay: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Average weights with this decay, and with less at first, to forget where they began."""

    def average(mean: Tensor, value: Tensor, count: Tensor) -> Tensor:
        return mean + (value - mean) * (1 - min(decay, (1 + int(count)) / (10 + int(count))))

    return average


def _batch_recorder(
    history: History, epoch: int, log_every: int | None, bar: tqdm, each_batch: Sequence[Callable]
):
    def record(number: int, loss: Tensor) -> None:
        bar.update()
        for step in each_batch:
            step()
        if log_every and number % log_every == 0:
            history.batches.append((epoch, number, loss.item()))

    return record


def _reseed(loader: DataLoader, seed: int) -> None:
    torch.manual_seed(seed)
    generator = getattr(loader, "generator", None)
    if generator is not None:
        generator.manual_seed(seed)
