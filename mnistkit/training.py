"""Train a model and measure it: one epoch, all epochs, and an honest mean over samples."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader
from tqdm import tqdm

from mnistkit.data import move_loader
from mnistkit.devices import choose_device, choose_threads, supports_bfloat16, thread_count
from mnistkit.errors import TrainingError, unknown_name
from mnistkit.progress import progress_bar
from mnistkit.settings import LossFunction, check_settings, choose_loss, choose_optimizer
from mnistkit.tally import Evaluation, Tally

SCHEDULER_STEPS = ("epoch", "batch")
PRECISIONS = ("auto", "float32", "bfloat16")
_THREADS: dict[tuple, int] = {}  # what `fit` has measured: its choice does not change later


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


def train_one_epoch(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    loss_fn: LossFunction,
    optimizer: Optimizer,
    *,
    precision: str = "auto",
    after_batch: Callable[[int, Tensor], None] | None = None,
) -> Evaluation:
    """Show the model every batch once, and step the optimizer after each.

    loss_fn: takes (outputs, labels), returns the batch's mean loss.
    precision: see `fit`.
    after_batch: called with the batch's number, from 1, and its loss, still a tensor.

    Returns mean loss and accuracy over samples, taken while the weights move.
    Raises TrainingError, naming the batch, if the loss is no longer finite.
    """
    device = next(model.parameters()).device
    model.train()
    tally = Tally(guarded=True)
    autocast = _autocast(model, precision)
    for number, (inputs, labels) in enumerate(loader, start=1):
        inputs, labels = inputs.to(device), labels.to(device)
        outputs, loss = _step(model, inputs, labels, loss_fn, optimizer, autocast)
        tally.add(outputs, labels, loss)
        if after_batch:
            after_batch(number, loss)
    return tally.result()


def _step(model, inputs, labels, loss_fn, optimizer, autocast) -> tuple[Tensor, Tensor]:
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
    """
    loss_fn = choose_loss(loss_fn)
    device = next(model.parameters()).device
    was_training = model.training
    tally = Tally()
    model.eval()
    try:
        with torch.inference_mode():
            for inputs, labels in loader:
                inputs, labels = inputs.to(device), labels.to(device)
                outputs = model(inputs)
                tally.add(outputs, labels, loss_fn(outputs, labels))
    finally:
        model.train(was_training)
    return tally.result()


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
        scheduler: takes the optimizer, returns a PyTorch scheduler.
        scheduler_step: when it moves on: after each "epoch", or after each "batch".
        seed: fixes the order of batches and dropout. With the same initial weights,
            machine and thread count, a run repeats bit for bit.
        device: "auto", or a PyTorch device name.
        precision: "float32"; "bfloat16" for the forward pass (weights stay float32); or
            "auto": bfloat16 for a model with convolutions where the machine has it.
        threads: of the processor; "auto" measures a few steps of a copy on one thread and
            on all, and takes one where more would not save a tenth: small models are often
            no slower on one. It is kept in `History.threads`.
        log_every: keep the loss of every so many batches in `History.batches`.
        after_epoch: called with the model after each epoch; what it returns joins the
            epoch's row. Its time does not count.
        progress: show a bar (the environment variable TQDM_DISABLE=1 hides it anywhere).

    Returns the history. Interrupting (Ctrl-C, or the stop button) returns it so far.

    Raises:
        TrainingError: the loss is no longer a number; names epoch and batch.
        ValueError: an unknown name, or a number out of range.
    """
    check_settings(epochs=epochs, learning_rate=learning_rate, log_every=log_every, threads=threads)
    loss_fn = choose_loss(loss)
    make_optimizer = partial(
        choose_optimizer(optimizer), lr=learning_rate, weight_decay=weight_decay
    )
    if scheduler_step not in SCHEDULER_STEPS:
        raise unknown_name("scheduler_step", scheduler_step, SCHEDULER_STEPS)
    device = choose_device(device)
    model.to(device)
    if _has_convolutions(model):
        model.to(memory_format=torch.channels_last)  # the order that convolutions are fastest in
    train_loader = move_loader(train_loader, device)
    if validation_loader is not None:
        validation_loader = move_loader(validation_loader, device)
    threads = _choose_threads(threads, model, train_loader, loss_fn, make_optimizer, precision)
    optimizer = make_optimizer(model.parameters())
    schedule = scheduler(optimizer) if scheduler else None
    each_batch = schedule.step if schedule and scheduler_step == "batch" else None
    _reseed(train_loader, seed)
    history = History(threads=threads)
    bar = progress_bar(epochs * len(train_loader), "training", "batch", shown=progress)
    with bar, thread_count(threads):
        try:
            for epoch in range(1, epochs + 1):
                history.rows.append(
                    _one_epoch(
                        model,
                        epoch,
                        train_loader,
                        validation_loader,
                        loss_fn,
                        optimizer,
                        precision=precision,
                        after_batch=_batch_recorder(history, epoch, log_every, bar, each_batch),
                    )
                )
                if after_epoch:
                    history.rows[-1] |= after_epoch(model)
                if schedule and not each_batch:
                    schedule.step()
        except KeyboardInterrupt:
            history.interrupted = True
            print(f"interrupted: {len(history.rows)} of {epochs} epochs are in the history")
    return history


def _one_epoch(
    model, epoch, train_loader, validation_loader, loss_fn, optimizer, **options
) -> dict:
    started = time.perf_counter()
    rate = optimizer.param_groups[0]["lr"]
    try:
        train = train_one_epoch(model, train_loader, loss_fn, optimizer, **options)
    except TrainingError as error:
        raise TrainingError(f"epoch {epoch}, {error}") from None
    row = {"epoch": epoch, "train_loss": train.loss, "train_accuracy": train.accuracy}
    if validation_loader is not None:
        validation = evaluate(model, validation_loader, loss_fn)
        row |= {
            "validation_loss": validation.loss,
            "validation_accuracy": validation.accuracy,
        }
    return row | {"learning_rate": rate, "seconds": time.perf_counter() - started}


def _batch_recorder(history: History, epoch: int, log_every: int | None, bar: tqdm, each_batch):
    def record(number: int, loss: Tensor) -> None:
        bar.update()
        if each_batch:
            each_batch()
        if log_every and number % log_every == 0:
            history.batches.append((epoch, number, loss.item()))

    return record


def _choose_threads(
    threads: int | str, model: nn.Module, loader: DataLoader, loss_fn, make_optimizer, precision
) -> int:
    """Settle the number of threads; what was measured once in a process is not measured again."""
    available = torch.get_num_threads()
    if threads != "auto":
        return threads
    if next(model.parameters()).device.type != "cpu" or available == 1:
        return available
    inputs, labels = next(iter(loader))
    key = (str(model), tuple(inputs.shape), precision, available)
    if key not in _THREADS:
        try:
            twin = copy.deepcopy(model).train()
        except RuntimeError:  # PyTorch copies no tensors that were computed from others
            return available
        optimizer, autocast = make_optimizer(twin.parameters()), _autocast(twin, precision)
        _THREADS[key] = choose_threads(
            lambda: _step(twin, inputs, labels, loss_fn, optimizer, autocast)
        )
    return _THREADS[key]


def _has_convolutions(model: nn.Module) -> bool:
    return any(isinstance(layer, nn.Conv2d) for layer in model.modules())


def _autocast(model: nn.Module, precision: str) -> torch.autocast:
    device = next(model.parameters()).device
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    low = precision == "bfloat16" or (
        precision == "auto" and _has_convolutions(model) and supports_bfloat16(device)
    )
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=low)


def _reseed(loader: DataLoader, seed: int) -> None:
    torch.manual_seed(seed)
    generator = getattr(loader, "generator", None)
    if generator is not None:
        generator.manual_seed(seed)
