"""Train a model: a step, an epoch, many epochs, and what was seen.

Read it downwards: `fit` calls `train_one_epoch` and `evaluate` once an epoch, and
`train_one_epoch` calls `train_step` once a batch.
"""

from __future__ import annotations

import copy
import inspect
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel

from mnistkit.data import Batches
from mnistkit.errors import TrainingError
from mnistkit.models import eval_mode, keep_modes, outputs_of
from mnistkit.utils.devices import (
    choose_autocast,
    choose_device,
    choose_threads,
    has_convolutions,
    thread_count,
)
from mnistkit.utils.page import somebody_types, stop_here
from mnistkit.utils.progress import progress_bar
from mnistkit.utils.validation import (
    as_classes,
    check_batch,
    check_choice,
    check_loader,
    check_model,
    check_number,
    check_rows,
    check_tensor,
    check_whole,
    describe,
    explaining,
    in_short,
    place_of,
)

_DARKEST = -0.05  # no image in [0, 1] begins below; normalised paper is at -0.42
_MOST_THREADS = 1024  # more than any processor has; a hundred times as many end the process
_RAISING = ContextVar("whether an interrupted `fit` raises", default=False)

Loader = Iterable[tuple[Tensor, Tensor]]
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
OUTLIER_WEIGHT = 0.15  # of the mean loss of outliers, beside that of the digits
PRECISIONS = ("auto", "float32", "bfloat16")
SCHEDULER_STEPS = ("epoch", "batch")


@dataclass(frozen=True)
class Evaluation:
    """Mean loss and accuracy (a fraction) over `count` samples."""

    loss: float
    accuracy: float
    count: int

    def __repr__(self) -> str:
        """One line, with as many digits as are known."""
        return f"<Evaluation: {self.accuracy:.2%} of {self.count:,}, loss {self.loss:.4f}>"

    def named(self, split: str) -> dict[str, float]:
        """Loss and accuracy as a row of a history has them: "train_loss" and so on."""
        return {f"{split}_loss": self.loss, f"{split}_accuracy": self.accuracy}


_SHOWN = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")


@dataclass
class History:
    """What `fit` saw: one row an epoch.

    rows: a dict an epoch, with train and validation loss and accuracy, learning rate,
        seconds. Training accuracy is taken batch by batch, while the weights still move.
    interrupted: whether the reader stopped it before its last epoch.
    threads: of the processor, that it was trained with.
    """

    rows: list[dict] = field(default_factory=list)
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

    def __repr__(self) -> str:
        """One line: how many epochs, and what the last one gave."""
        epochs = f"{len(self.rows)} epoch{'' if len(self.rows) == 1 else 's'}"
        stopped = ", interrupted" if self.interrupted else ""
        last = self.rows[-1] if self.rows else {}
        given = [f"{name.replace('_', ' ')} {last[name]:.4f}" for name in _SHOWN if name in last]
        return f"<History of {epochs}{stopped}{': ' if given else ''}{', '.join(given)}>"

    def _repr_html_(self) -> str:
        """A row an epoch."""
        return self.frame.to_html(float_format="{:.4f}".format, border=0)


def fit(
    model: nn.Module,
    train_loader: Loader,
    validation_loader: Loader | None = None,
    *,
    epochs: int = 5,
    optimizer: str | Callable[..., Optimizer] = "adam",
    learning_rate: float = 1e-3,
    weight_decay: float = 0.0,
    loss: str | LossFunction = "cross_entropy",
    scheduler: Callable[[Optimizer], LRScheduler] | None = None,
    scheduler_step: str = "epoch",
    augment: Callable[[Tensor], Tensor] | None = None,
    outliers: Callable[[Tensor, Tensor], Tensor] | None = None,
    label_smoothing: float = 0.0,
    averaging: float = 0.0,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    threads: int | str = "auto",
    after_epoch: Callable[[nn.Module], Mapping[str, float]] | None = None,
    progress: bool = True,
) -> History:
    """Train a model; nothing in here looks at test data.

    Args:
        model: is trained in place and moved to the device. Layers that are in eval mode while
            the model is in training mode stay so: the batch norms of a frozen part. The weights
            of convolutions are left in the order that is fastest for them (channels last),
            unless the model cannot compute so.
        train_loader: batches of (inputs, labels), as `Split.loader` or a DataLoader gives.
        validation_loader: measured after each epoch; None to skip.
        epochs: passes over the training data.
        optimizer: a name in `OPTIMIZERS`, or a callable that takes the parameters and
            `lr` and `weight_decay`.
        learning_rate: the optimizer's step size; `weight_decay` its L2 penalty.
        loss: a name in `LOSSES`, or a callable of (outputs, labels).
        scheduler: takes the optimizer, returns a PyTorch scheduler. One given as
            `partial(OneCycleLR, max_lr=0.01)` is stretched over the whole training.
        scheduler_step: when it moves on: after each "epoch", or after each "batch".
        augment: changes each batch of training inputs before the model sees it, such as
            `augmentation.random_affine`; training accuracy is then of changed inputs.
        outliers: makes inputs of no class from each batch (inputs, labels), such as
            `augmentation.random_non_digits`; for them the model, which must give logits, is
            trained to hold all classes for equally probable (Hendrycks et al., 2019).
        label_smoothing: share of each label's weight that training spreads over all
            classes; validation loss is without it.
        averaging: decay, such as 0.998, of a moving average of the weights after each
            batch. The average is what is validated, and what the model holds in the end.
        seed: fixes the order of batches and dropout, and leaves the caller's random state as it
            was. With the same initial weights,
            machine and thread count, a run repeats bit for bit.
        device: "auto", or a PyTorch device name.
        precision: "float32"; "bfloat16" for the forward pass (weights stay float32); or
            "auto": bfloat16 for a model with convolutions where the machine is much faster
            in it.
        threads: of the processor; "auto" takes all for a model with convolutions and one
            for any other: see `choose_threads`. It is kept in `History.threads`.
        after_epoch: called with the model after each epoch; what it returns, under names of
            its own, joins the
            epoch's row. Its time does not count.
        progress: show a bar (the environment variable TQDM_DISABLE=1 hides it anywhere).

    Returns the history. Interrupting (the stop button, or Ctrl-C at a prompt) returns it so
    far; in a script KeyboardInterrupt goes on, and the model keeps what it has learned.

    Raises:
        TrainingError: the loss is no longer a number; names epoch and batch.
        ValueError: an unknown name, or a number out of range.
    """
    check_settings(**locals())
    check_model(model)
    if outliers and outputs_of(model) != "logits":
        raise ValueError(f"outliers need a model that gives logits, and this gives {model.outputs}")
    check_loader("train_loader", train_loader)
    if validation_loader is not None:
        check_loader("validation_loader", validation_loader)
    if getattr(getattr(train_loader, "dataset", None), "normalized", False) is True:
        for name, change in (("augment", augment), ("outliers", outliers)):
            if change:
                raise ValueError(f"{name} needs images in [0, 1]: a loader without normalized=True")
    history, averaged, inside = History(), None, False
    seed = int(seed)
    try:  # from here on, for making an optimiser may take seconds
        device = choose_device(device)
        _move(model, device, train_loader)
        parts = train_loader, validation_loader
        train_loader, validation_loader = (_moved(part, device) for part in parts)
        optimizer = make_optimizer(optimizer, model, learning_rate, weight_decay)
        batches = epochs * len(train_loader)
        steps = batches if scheduler_step == "batch" else epochs
        schedule = make_schedule(scheduler, optimizer, steps) if scheduler is not None else None
        averaged = AveragedModel(model, avg_fn=_moving_average(averaging)) if averaging else None
        measured = averaged.module if averaged else model
        history.threads = choose_threads(model) if threads == "auto" else threads
        training_loss = smooth_labels(loss, label_smoothing)
        with (
            progress_bar(batches, "training", "batch", shown=progress) as bar,
            thread_count(history.threads),
            _seeded(train_loader, seed, device),
        ):
            after_batch = [bar.update]
            if schedule and scheduler_step == "batch":
                after_batch.append(schedule.step)
            if averaged:
                after_batch.append(partial(averaged.update_parameters, model))
            for epoch in range(1, epochs + 1):
                started, rate = time.perf_counter(), optimizer.param_groups[0]["lr"]
                row = {"epoch": epoch}
                inside = True  # of an epoch's training
                with naming_epoch(epoch):
                    row |= train_one_epoch(
                        model, train_loader, training_loss, optimizer,
                        precision=precision, augment=augment, outliers=outliers,
                        after_batch=after_batch,
                    ).named("train")  # fmt: skip
                    inside = False
                    if validation_loader is not None:
                        row |= evaluate(measured, validation_loader, loss).named("validation")
                seconds = time.perf_counter() - started
                history.rows.append(row | {"learning_rate": rate, "seconds": seconds})
                if after_epoch:
                    with keep_modes(model):
                        found = after_epoch(measured)
                    history.rows[-1] |= _named(found, history.rows[-1])
                if schedule and scheduler_step == "epoch":
                    schedule.step()
    except KeyboardInterrupt:
        accept_interrupt([history], epochs, inside=inside)
    finally:
        if averaged:
            model.load_state_dict(averaged.module.state_dict())
    return history


def train_one_epoch(
    model: nn.Module,
    loader: Loader,
    loss_fn: LossFunction,
    optimizer: Optimizer,
    *,
    precision: str = "auto",
    augment: Callable[[Tensor], Tensor] | None = None,
    outliers: Callable[[Tensor, Tensor], Tensor] | None = None,
    after_batch: Sequence[Callable[[], object]] = (),
) -> Evaluation:
    """Show the model every batch once, and step the optimizer after each.

    loss_fn: takes (outputs, labels), returns the batch's mean loss.
    precision, augment, outliers: see `fit`. after_batch: each is called after each batch.

    Returns mean loss and accuracy over samples, taken while the weights move.
    Raises TrainingError, naming the batch, if the loss is no longer finite; ValueError for
    batches that the model cannot compute with.
    """
    device = next(check_model(model).parameters()).device
    autocast, mean = choose_autocast(model, precision), RunningMean()
    loss_fn = choose_loss(loss_fn)
    _check_moves(optimizer, model)
    if not torch.is_grad_enabled():
        raise ValueError("gradients are switched off: train outside of `torch.no_grad()`")
    if not model.training:  # else layers that somebody put in eval mode, as frozen ones, stay so
        model.train()
    for number, batch in enumerate(loader, start=1):
        inputs, labels = check_batch(batch, model) if number == 1 else batch
        if number == 1 and (augment or outliers) and inputs.ndim == 4 and inputs.min() < _DARKEST:
            raise ValueError(f"augment and outliers need images in [0, 1], and these begin at "
                             f"{inputs.min():.2f}: normalise afterwards")  # fmt: skip
        inputs, labels = inputs.to(device), as_classes(labels).to(device)
        others = outliers(inputs, labels) if outliers else None
        if augment:
            inputs = check_tensor("augment gives", augment(inputs))
        with explaining(model, inputs, labels):
            outputs, loss = train_step(model, inputs, labels, loss_fn, optimizer, autocast, others)
        mean.add(outputs, labels, loss)
        for call in after_batch:
            call()
    return mean.result()


def train_step(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    loss_fn: LossFunction,
    optimizer: Optimizer,
    autocast: torch.autocast,
    outliers: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Forward, backward, and a step of the optimizer; returns outputs and loss.

    outliers: inputs of no class; what is returned is without them.
    """
    with autocast:
        outputs = model(inputs if outliers is None else torch.cat([inputs, outliers]))
    outputs = check_tensor("the model gives", outputs).float()
    if outliers is None:
        total = loss = loss_fn(outputs, labels)
    else:
        outputs, others = outputs.split([len(inputs), len(outliers)])
        loss = loss_fn(outputs, labels)
        total = loss + OUTLIER_WEIGHT * _undecided(others)
    check_tensor("the loss gives", total)
    optimizer.zero_grad()
    total.backward()
    optimizer.step()
    return outputs.detach(), loss.detach()


def _undecided(logits: Tensor) -> Tensor:
    """Cross-entropy of logits, N x 10, with all classes equally probable."""
    return -logits.log_softmax(dim=1).mean()


def evaluate(
    model: nn.Module, loader: Loader, loss_fn: LossFunction | str = "cross_entropy"
) -> Evaluation:
    """Mean loss and accuracy over samples, in eval mode; the model's mode is restored.

    loss_fn: takes (outputs, labels) and returns the batch's mean; or a name in `LOSSES`. With
        weights of classes in it, the loss is the mean of batches and depends on their size.
    Raises TrainingError if the loss is no number, as that of a model that has diverged;
    ValueError for batches that the model cannot compute with.
    """
    device, mean = place_of(model).device, RunningMean()
    loss_fn = choose_loss(loss_fn)
    with eval_mode(model), torch.no_grad():
        for number, batch in enumerate(loader, start=1):
            inputs, labels = check_batch(batch, model) if number == 1 else batch
            inputs, labels = inputs.to(device), as_classes(labels).to(device)
            with explaining(model, inputs, labels):
                outputs = check_tensor("the model gives", model(inputs))
                loss = loss_fn(outputs, labels)
                if loss.ndim:
                    raise ValueError(f"the loss gives {describe(loss)}, expected one mean")
            mean.add(outputs, labels, loss)
    return mean.result()


class RunningMean:
    """Mean loss and accuracy over samples, of one model or of each member of a stack.

    Batches wait on the device and are worked out fifty at a time: none waits for a number, and
    counting costs a batch next to nothing. On a GPU nothing is fetched before `result`: to ask
    for a number would make it stop and wait.
    """

    _EVERY = 50  # batches

    def __init__(self, first: int = 0) -> None:
        """`first` is the number of the first member, for messages."""
        self.first = first
        self.waiting: list[tuple[Tensor, Tensor, Tensor]] = []
        self.parts: list[tuple[Tensor, Tensor, Tensor]] = []  # losses, sizes, how many right
        self.batches = 0  # that were found to have a loss

    def add(self, outputs: Tensor, labels: Tensor, loss: Tensor) -> None:
        """Take in a batch: outputs N x 10, labels N and its mean loss; or M of each, stacked.

        Raises TrainingError soon after a loss that is no number; see the class for a GPU.
        ValueError for outputs of one class: of these nothing could be wrong.
        """
        check_rows(outputs[0] if outputs.ndim == 3 else outputs, labels.shape[-1])
        # Clones, for a loader or a model may write the next batch into the same memory.
        self.waiting.append((outputs.clone(), labels.clone(), loss))
        if len(self.waiting) == self._EVERY:
            self._work_out()

    def result(self) -> Evaluation:
        """Return the means over all samples.

        Raises ValueError if there was no batch, TrainingError for a loss that is no number.
        """
        return self.results()[0]

    def results(self) -> list[Evaluation]:
        """Return them for each member of a stack."""
        if self.waiting:
            self._work_out()
        if not self.parts:
            raise ValueError("the loader gave no batches: there is nothing to measure")
        loss, right, batches = 0.0, 0, 0
        for losses, sizes, hits in self.parts:
            losses = losses.cpu()
            _check_finite(losses, batches, self.first)
            loss, right = loss + sizes.double() @ losses.double(), right + hits.cpu()
            batches += len(sizes)
        count = sum(int(sizes.sum()) for _, sizes, _ in self.parts)
        return [
            Evaluation(each / count, hits / count, count)
            for each, hits in zip(loss.tolist(), right.tolist(), strict=True)
        ]

    def _work_out(self) -> None:
        outputs, labels, losses = zip(*self.waiting, strict=True)
        self.waiting.clear()
        classes = torch.cat(labels, dim=-1)
        if classes.device.type == "cpu" and len(classes) and classes.min() < 0:
            raise ValueError(f"labels begin at {classes.min()}, expected classes from 0")
        right = torch.cat(outputs, dim=-2).argmax(dim=-1) == classes
        sizes = torch.tensor([part.shape[-1] for part in labels])
        losses = torch.stack(losses).view(len(sizes), -1)
        if losses.device.type == "cpu":
            before = sum(len(sizes) for _, sizes, _ in self.parts)
            _check_finite(losses, before, self.first)
        self.parts.append((losses, sizes, right.sum(dim=-1).view(-1)))


def _check_finite(losses: Tensor, before: int, first: int) -> None:
    """Raise TrainingError for a loss (batches x members) that is no number, by its batch.

    before: batches; first: member, of those that the columns are of.
    """
    lost = (~torch.isfinite(losses)).nonzero()
    if len(lost):
        batch, member = lost[0].tolist()
        whose = f" of member {first + member}" if losses.shape[1] > 1 else ""
        raise TrainingError(
            f"batch {before + batch + 1}: the loss{whose} is {losses[batch, member].item()}.",
            do="lower the learning rate, or look for values in the inputs that are no numbers",
        )


# --- settings -------------------------------------------------------------------------------


def choose_loss(loss: str | LossFunction) -> LossFunction:
    """Return the loss by its name in `LOSSES`; a callable is returned as it is."""
    if inspect.isclass(loss):
        raise ValueError(f"loss is the class {loss.__name__}; give one of it: {loss.__name__}()")
    if getattr(loss, "reduction", "mean") != "mean":
        raise ValueError(f"loss has reduction={loss.reduction!r}, expected the mean of a batch")
    return loss if callable(loss) else LOSSES[check_choice("loss", loss, LOSSES)]


def smooth_labels(loss: str | LossFunction, share: float) -> LossFunction:
    """Return the loss with this share of each label's weight spread evenly over all classes.

    Szegedy et al., 2016. Raises ValueError for another loss than cross-entropy, or a
    share outside [0, 1).
    """
    check_number("label_smoothing", share, least=0, below=1)
    if share and loss != "cross_entropy":
        raise ValueError("label_smoothing goes with the loss 'cross_entropy' only")
    loss_fn = choose_loss(loss)
    return partial(loss_fn, label_smoothing=share) if share else loss_fn


def choose_optimizer(optimizer: str | Callable[..., Optimizer]) -> Callable[..., Optimizer]:
    """Return the optimizer by its name in `OPTIMIZERS`; a callable is returned as it is."""
    if isinstance(optimizer, Optimizer):
        kind, rate = type(optimizer).__name__, optimizer.defaults.get("lr")
        raise ValueError(
            f"optimizer is one that has its parameters already; give its class, and `fit` builds "
            f"it: optimizer=torch.optim.{kind}, learning_rate={rate}"
        )
    if callable(optimizer):
        return optimizer
    return OPTIMIZERS[check_choice("optimizer", optimizer, OPTIMIZERS)]


def make_optimizer(
    optimizer: str | Callable[..., Optimizer],
    model: nn.Module,
    learning_rate: float,
    weight_decay: float,
) -> Optimizer:
    """Build the optimizer of a model's parameters; raise ValueError where that cannot be."""
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError(f"all parameters of {type(model).__name__} are frozen: nothing can learn")
    build = choose_optimizer(optimizer)
    try:
        built = build(model.parameters(), lr=learning_rate, weight_decay=weight_decay)
    except TypeError as error:
        raise ValueError(
            f"the optimizer cannot be built with lr and weight_decay: {error}"
        ) from error
    return _check_moves(built, model)


def _check_moves(optimizer: Optimizer, model: nn.Module) -> Optimizer:
    """Return the optimizer; raise ValueError for one that would not move this model."""
    if not isinstance(optimizer, Optimizer):
        raise ValueError(f"optimizer is {optimizer!r}, expected one that has the parameters")
    if isinstance(optimizer, LBFGS):
        raise ValueError("LBFGS computes a loss several times a step, and is given only one")
    moved = {id(each) for group in optimizer.param_groups for each in group["params"]}
    if not moved & {id(parameter) for parameter in model.parameters()}:
        raise ValueError(
            f"the optimizer holds none of the parameters of {type(model).__name__}: was it made "
            "for another model?"
        )
    return optimizer


_NO_PLATEAU = "ReduceLROnPlateau waits for a loss, and `fit` gives it none"


def make_schedule(
    scheduler: Callable[[Optimizer], LRScheduler], optimizer: Optimizer, steps: int
) -> LRScheduler:
    """Build the schedule; one that lasts for a number of steps is told it, if nobody did yet.

    Raises ValueError for one that cannot be built, or that wants to be told a loss.
    """
    kind = getattr(scheduler, "func", scheduler)
    if isinstance(scheduler, LRScheduler):
        raise ValueError(
            f"scheduler is one that has its optimizer already; give what builds it, such as "
            f"functools.partial({type(scheduler).__name__}, ...) with its settings"
        )
    if not callable(kind):
        raise ValueError(f"scheduler is {scheduler!r}, expected a class of torch.optim's")
    if kind is ReduceLROnPlateau:
        raise ValueError(_NO_PLATEAU)
    settings = inspect.signature(scheduler).parameters
    lasting = [settings[name].default for name in ("total_steps", "epochs") if name in settings]
    if len(lasting) == 2 and lasting == [None, None]:
        scheduler = partial(scheduler, total_steps=steps)
    try:
        schedule = scheduler(optimizer)
    except (TypeError, ValueError) as error:
        hint = ""
        if "total_steps" in str(error):
            hint = "; functools.partial(OneCycleLR, max_lr=...) is told how many steps there are"
        raise ValueError(f"the scheduler cannot be built: {error}{hint}") from error
    if isinstance(schedule, ReduceLROnPlateau):
        raise ValueError(_NO_PLATEAU)
    if not isinstance(schedule, LRScheduler):
        raise ValueError(f"scheduler gives {schedule!r}, expected a scheduler of torch.optim's")
    if getattr(schedule, "optimizer", optimizer) is not optimizer:
        raise ValueError("the scheduler changes the rates of another optimizer: build it with the "
                         "one that it is called with")  # fmt: skip
    if getattr(schedule, "total_steps", steps) < steps:
        raise ValueError(f"the scheduler ends after {schedule.total_steps} of {steps} steps")
    return schedule


def check_settings(**settings: object) -> None:
    """Raise ValueError for a number out of range or an unknown name, among settings of `fit`."""
    for name, check in _CONSTRAINTS.items():
        if name in settings:
            check(name, settings[name])
    smooth_labels(settings["loss"], settings.get("label_smoothing", 0.0))
    choose_optimizer(settings["optimizer"])


def _check_function(name: str, value: object) -> None:
    if value is not None and not callable(value):
        raise ValueError(f"{name} is {value!r}, expected a function of images")


def _check_threads(name: str, value: object) -> None:
    if value != "auto" and (type(value) is not int or not 1 <= value <= _MOST_THREADS):
        raise ValueError(f"{name} is {value!r}, expected 1 to {_MOST_THREADS}, or 'auto'")


_CONSTRAINTS: dict[str, Callable[[str, object], object]] = {
    "epochs": check_whole,
    "batch_size": check_whole,
    "seed": partial(check_whole, least=0),
    "learning_rate": partial(check_number, above=0),
    "weight_decay": partial(check_number, least=0),
    "label_smoothing": partial(check_number, least=0, below=1),
    "averaging": partial(check_number, least=0, below=1),
    "scheduler_step": partial(check_choice, known=SCHEDULER_STEPS),
    "precision": partial(check_choice, known=PRECISIONS),
    "augment": _check_function,
    "outliers": _check_function,
    "threads": _check_threads,
}


@contextmanager
def raising_interrupts() -> Iterator[None]:
    """Let Ctrl-C end what is trained in here, where half a training is of use to nobody."""
    before = _RAISING.set(True)
    try:
        yield
    finally:
        _RAISING.reset(before)


def accept_interrupt(histories: Sequence[History], epochs: int, *, inside: bool = True) -> None:
    """Mark histories as interrupted, and say how far they came.

    inside: whether a part of an epoch was trained that is not in them.

    Raises KeyboardInterrupt again within `raising_interrupts`, and in a script, which would go
    on as if the training had come to its end.
    """
    if _RAISING.get() or not somebody_types():
        raise KeyboardInterrupt
    for history in histories:
        history.interrupted = True
    each = "the model has" if len(histories) == 1 else "the models have"
    more = f"; {each} seen a part of the next one, too" if inside else ""
    print(f"interrupted: {len(histories[0].rows)} of {epochs} epochs are in the history{more}")
    stop_here()


# --- inside of fit --------------------------------------------------------------------------


def _move(model: nn.Module, device: torch.device, loader: Loader) -> None:
    """Move a model, with maps in the order that convolutions are fastest in, if it can.

    A model that calls `view` on its maps, as many do, asks for PyTorch's usual order. So it is
    tried on one input, and where there is none to try, left in the usual order.
    """
    model.to(device)
    if has_convolutions(model):
        with _drawing_nothing():
            one = _one_input(loader)
            last = one is not None and _computes(model, one.to(device))
        if last:
            model.to(memory_format=torch.channels_last)


def _one_input(loader: Loader) -> Tensor | None:
    """The first sample of a loader, as a batch, without drawing from it; None if unknown."""
    try:
        if isinstance(loader, Batches):
            return loader.dataset[torch.tensor([0])][0]
        if hasattr(loader, "dataset"):
            return loader.dataset[0][0].unsqueeze(0)
        return loader[0][0][:1]
    except Exception:  # whatever a dataset of somebody's may raise: its batches will say more
        return None


def _computes(model: nn.Module, inputs: Tensor) -> bool:
    """Whether a copy of the model does, with channels last; the model itself sees nothing of it."""
    try:
        trial = copy.deepcopy(model).to(memory_format=torch.channels_last).eval()
        for layer in trial.modules():
            layer._forward_hooks.clear()  # which may count, or keep what they see
        with torch.no_grad():
            trial(inputs)
    except Exception:  # the first batch will say it in words
        return False
    return True


@contextmanager
def _drawing_nothing() -> Iterator[None]:
    """Give the random states of PyTorch, NumPy and Python back as they were."""
    drawn, plain = np.random.get_state(), random.getstate()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        np.random.set_state(drawn)
        random.setstate(plain)


def _named(measured: object, row: Mapping) -> Mapping:
    """What `after_epoch` gives: values by name, or nothing; no name that the row has already."""
    if measured is not None and not isinstance(measured, Mapping):
        raise ValueError(
            f"after_epoch gives {in_short(measured)}, expected a dict, or nothing; of an "
            "Evaluation take its numbers: {'accuracy': found.accuracy}"
        )
    if taken := [name for name in measured or {} if name in row]:
        raise ValueError(
            f"after_epoch gives {taken[0]!r}, which `fit` measures itself: name yours otherwise"
        )
    return measured or {}


def _moved(loader: Loader | None, device: torch.device) -> Loader | None:
    """The same batches from the device's memory; other loaders' are moved one by one."""
    return loader.to(device) if isinstance(loader, Batches) else loader


@contextmanager
def _seeded(loader: Loader, seed: int, device: torch.device) -> Iterator[None]:
    """Draw dropout and the order of batches from a seed; the caller's own state comes back."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        generators = _generators(loader)
        before = [generator.get_state() for generator in generators]
        for generator in generators:
            generator.manual_seed(seed)
        try:
            yield
        finally:
            if not isinstance(loader, Batches):  # a DataLoader's are the caller's own
                for generator, state in zip(generators, before, strict=True):
                    generator.set_state(state)


def _generators(loader: object) -> list[torch.Generator]:
    """Those that a loader draws the order of its batches from, its samplers' too."""
    places = [loader, getattr(loader, "batch_sampler", None)]
    places += [getattr(place, "sampler", None) for place in places]
    found = (getattr(place, "generator", None) for place in places)
    return list(dict.fromkeys(each for each in found if isinstance(each, torch.Generator)))


@contextmanager
def naming_epoch(epoch: int) -> Iterator[None]:
    """Say in which epoch the loss was lost."""
    try:
        yield
    except TrainingError as error:
        raise TrainingError(f"epoch {epoch}, {error}") from None


def _moving_average(decay: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Average weights with this decay, and with less at first, to forget where they began."""

    def average(mean: Tensor, value: Tensor, count: Tensor) -> Tensor:
        return mean + (value - mean) * (1 - min(decay, (1 + int(count)) / (10 + int(count))))

    return average
