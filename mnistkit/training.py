"""Train a model and measure it: one epoch, all epochs, and an honest mean over samples."""

from __future__ import annotations

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

from mnistkit.errors import TrainingError, unknown_name
from mnistkit.progress import progress_bar

LossFunction = Callable[[Tensor, Tensor], Tensor]

LOSSES: dict[str, LossFunction] = {
    "cross_entropy": nn.functional.cross_entropy,  # takes logits
    "nll": nn.functional.nll_loss,  # takes log-probabilities
}
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": partial(torch.optim.Adam, fused=True),  # one pass over the weights, not five
    "adamw": partial(torch.optim.AdamW, fused=True),
    "rmsprop": torch.optim.RMSprop,
}
SCHEDULER_STEPS = ("epoch", "batch")
PRECISIONS = ("auto", "float32", "bfloat16")
_CHECK_EVERY = 50  # batches between looks at the loss and at what was right


@dataclass(frozen=True)
class Evaluation:
    """Mean loss and accuracy (a fraction) over `count` samples."""

    loss: float
    accuracy: float
    count: int


@dataclass
class History:
    """What `fit` saw: one row an epoch, and the loss every so many batches if asked for.

    rows: a dict an epoch, with train and validation loss and accuracy, learning rate,
        seconds. Training accuracy is taken batch by batch, while the weights still move.
    batches: (epoch, batch, loss) where `fit` was given `log_every`.
    interrupted: whether the reader stopped it before its last epoch.
    """

    rows: list[dict] = field(default_factory=list)
    batches: list[tuple[int, int, float]] = field(default_factory=list)
    interrupted: bool = False

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


def choose_device(name: str = "auto") -> torch.device:
    """Return the device by name; "auto" is cuda where there is one, else mps, else cpu."""
    if name != "auto":
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def supports_bfloat16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16 natively; where it does not, it only slows down."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return any(has for name, has in capabilities.items() if name.endswith("bf16"))


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
    tally = _Tally(guarded=True)
    autocast = _autocast(model, device, precision)
    for number, (inputs, labels) in enumerate(loader, start=1):
        inputs, labels = inputs.to(device), labels.to(device)
        with autocast:
            outputs = model(inputs)
        outputs = outputs.float()
        loss = loss_fn(outputs, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        tally.add(outputs.detach(), labels, loss.detach())
        if after_batch:
            after_batch(number, loss.detach())
    return tally.result()


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
    tally = _Tally()
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
        log_every: keep the loss of every so many batches in `History.batches`.
        after_epoch: called with the model after each epoch; what it returns joins the
            epoch's row. Its time does not count.
        progress: show a bar (the environment variable TQDM_DISABLE=1 hides it anywhere).

    Returns the history. Interrupting (Ctrl-C, or the stop button) returns it so far.

    Raises:
        TrainingError: the loss is no longer a number; names epoch and batch.
        ValueError: an unknown name, or a number out of range.
    """
    check_settings(epochs=epochs, learning_rate=learning_rate, log_every=log_every)
    loss_fn = choose_loss(loss)
    model.to(choose_device(device))
    if _has_convolutions(model):
        model.to(memory_format=torch.channels_last)  # the order that convolutions are fastest in
    optimizer = choose_optimizer(optimizer)(
        model.parameters(), lr=learning_rate, weight_decay=weight_decay
    )
    if scheduler_step not in SCHEDULER_STEPS:
        raise unknown_name("scheduler_step", scheduler_step, SCHEDULER_STEPS)
    schedule = scheduler(optimizer) if scheduler else None
    each_batch = schedule.step if schedule and scheduler_step == "batch" else None
    _reseed(train_loader, seed)
    history = History()
    with progress_bar(epochs * len(train_loader), "training", "batch", shown=progress) as bar:
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


def _has_convolutions(model: nn.Module) -> bool:
    return any(isinstance(layer, nn.Conv2d) for layer in model.modules())


def _autocast(model: nn.Module, device: torch.device, precision: str) -> torch.autocast:
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


def choose_loss(loss: str | LossFunction) -> LossFunction:
    """Return the loss by its name in `LOSSES`; a callable is returned as it is."""
    if callable(loss):
        return loss
    if loss not in LOSSES:
        raise unknown_name("loss", loss, LOSSES)
    return LOSSES[loss]


def choose_optimizer(optimizer: str | Callable[..., Optimizer]) -> Callable[..., Optimizer]:
    """Return the optimizer by its name in `OPTIMIZERS`; a callable is returned as it is."""
    if callable(optimizer):
        return optimizer
    if optimizer not in OPTIMIZERS:
        raise unknown_name("optimizer", optimizer, OPTIMIZERS)
    return OPTIMIZERS[optimizer]


def check_settings(*, epochs: int, learning_rate: float, log_every: int | None = None) -> None:
    """Raise ValueError for a number out of range."""
    if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 1:
        raise ValueError(f"epochs is {epochs!r}, expected a whole number of 1 or more")
    if not learning_rate > 0:
        raise ValueError(f"learning_rate is {learning_rate!r}, expected a number above 0")
    if log_every is not None and log_every < 1:
        raise ValueError(f"log_every is {log_every!r}, expected 1 or more, or None")


class _Tally:
    """Mean loss and accuracy over samples, worked out every so many batches.

    Until then outputs wait on the device: no batch waits for a number, and counting costs a
    batch next to nothing. `guarded` raises TrainingError for a loss that is no number.
    """

    def __init__(self, *, guarded: bool = False):
        self.guarded = guarded
        self.waiting: list[tuple[Tensor, Tensor, Tensor]] = []
        self.loss, self.right, self.count, self.batches = 0.0, 0, 0, 0

    def add(self, outputs: Tensor, labels: Tensor, mean_loss: Tensor) -> None:
        self.waiting.append((outputs, labels, mean_loss))
        if len(self.waiting) == _CHECK_EVERY:
            self._work_out()

    def result(self) -> Evaluation:
        self._work_out()
        if self.count == 0:
            raise ValueError("the loader gave no batches: there is nothing to measure")
        return Evaluation(self.loss / self.count, self.right / self.count, self.count)

    def _work_out(self) -> None:
        if not self.waiting:
            return
        outputs, labels, losses = zip(*self.waiting, strict=True)
        losses = torch.stack(losses)
        sizes = torch.tensor([len(part) for part in labels], device=losses.device)
        if self.guarded:
            self._check(losses)
        right = torch.cat(outputs).argmax(dim=1) == torch.cat(labels)
        self.loss += sum((losses * sizes).tolist())
        self.right += right.sum().item()
        self.count += len(right)
        self.batches += len(losses)
        self.waiting.clear()

    def _check(self, losses: Tensor) -> None:
        finite = torch.isfinite(losses)
        if not finite.all():
            first = int((~finite).nonzero()[0])
            raise TrainingError(
                f"batch {self.batches + first + 1}: the loss is {losses[first].item()}.",
                do="lower the learning rate, or look for values in the inputs that are no numbers",
            )
