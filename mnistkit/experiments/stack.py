"""Many copies of one small model, trained as one stack with `torch.func`.

A small model leaves a processor idle: most of a step is spent on starting operations, not
on arithmetic. A stack of 64 models starts as many operations as one model does. (It is cut
into a part for each core, and each part computes on one thread.) Each
member has its own initial weights, its own order of batches and, if wished, its own
learning rate, and becomes what it would have become alone, but for rounding.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice, pairwise
from numbers import Real
from types import FunctionType, MethodType

import numpy as np
import torch
from torch import Tensor, nn, optim
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.optim import Optimizer

from mnistkit.data import Batches
from mnistkit.experiments.results import describe_layers
from mnistkit.training import (
    History,
    Loader,
    LossFunction,
    RunningMean,
    accept_interrupt,
    check_settings,
    choose_loss,
    choose_optimizer,
    evaluate,
    naming_epoch,
)
from mnistkit.utils.devices import choose_threads, thread_count, workers_of_one_thread
from mnistkit.utils.progress import progress_bar
from mnistkit.utils.validation import check_loader, check_model, check_whole

_UNSTACKABLE = (nn.modules.dropout._DropoutNd, nn.RReLU, nn.modules.batchnorm._BatchNorm)
# These move each weight by itself, and by the rate times something that does not depend on it.
_STACKING = (optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop, optim.Adagrad, optim.Adadelta,
             optim.NAdam, optim.RAdam, optim.Adamax)  # fmt: skip

_FEWEST = 8  # members of a part: fewer are not worth a thread
_AT_ONCE = 50  # batches between two looks at the bar, and at who wants to stop


def fit_stack(
    models: Sequence[nn.Module],
    train_loader: Batches,
    validation_loader: Loader | None = None,
    *,
    epochs: int = 5,
    optimizer: str | Callable[..., Optimizer] = "adam",
    learning_rate: float | Sequence[float] = 1e-3,
    weight_decay: float = 0.0,
    loss: str | LossFunction = "cross_entropy",
    seeds: Sequence[int] | None = None,
    share_batches: bool = False,
    look: Callable[[Sequence[nn.Module]], object] | None = None,
    look_every: int = 100,
    progress: bool = True,
) -> list[History]:
    """Train models of one architecture side by side, on the CPU, in float32.

    Args:
        models: each with its own weights, from `build_model(name, seed=...)`; they are
            trained in place. Dropout, batch norm and other random or running state cannot
            be stacked.
        optimizer: one that moves each weight by itself, as most do (not Adafactor, for one).
        train_loader: shuffled, as `Split.loader` gives it. It says which digits and how many
            in a batch.
        validation_loader, epochs, weight_decay, loss, progress: as in `fit`.
        learning_rate: of all, or one for each model.
        seeds: fix each member's order of batches, as `fit(seed=...)` would alone; by
            default 0, 1, 2, ...
        share_batches: show all members the same batches, those of the first seed: about
            twice as fast, and only the initial weights differ.
        look: called with the models as they are before the first batch, and then after
            every `look_every` batches, counted through all epochs. It must not train them.

    Returns one History a model; an epoch's seconds are the stack's, divided by its members.
    Interrupting returns them so far where `fit` would.

    Raises:
        TrainingError: a member's loss is no longer a number; names member, epoch and batch.
        ValueError: models that are not alike or cannot be stacked, seeds or rates that are
            not as many as the models, or a name or number out of range.
    """
    if isinstance(models, nn.Module):
        raise ValueError("models is one model, expected several in a list; `fit` trains one")
    models = list(models)
    if len(set(map(id, models))) < len(models):
        raise ValueError("a model is in the list twice: each has to have weights of its own")
    seeds = list(range(len(models)) if seeds is None else seeds)
    check_loader("train_loader", train_loader)
    rates = _one_each("learning_rate", learning_rate, len(models))
    _check_models(models)
    if len(seeds) != len(models):
        raise ValueError(f"{len(seeds)} seeds for {len(models)} models: give one for each")
    for rate in set(rates):
        check_settings(epochs=epochs, learning_rate=rate, weight_decay=weight_decay, loss=loss,
                       optimizer=optimizer)  # fmt: skip
    check_whole("look_every", look_every)
    threads = choose_threads(models[0])
    make_optimizer = partial(choose_optimizer(optimizer), weight_decay=weight_decay)
    stacks = []
    for part in _divide(len(models), torch.get_num_threads() if threads == 1 else 1):
        orders = _orders(train_loader, seeds[:1] if share_batches else seeds[part])
        how = (rates[part], choose_loss(loss), make_optimizer)
        stacks.append(_Stack(part, models[part], orders, *how))
    histories = [History(threads=threads) for _ in models]
    bar = progress_bar(epochs * len(train_loader), "training", "batch", shown=progress)
    if look:
        look(models)
    seen = 0  # batches, of all epochs
    try:
        with bar, _side_by_side(stacks, threads) as for_each:
            for epoch in range(1, epochs + 1):
                started = time.perf_counter()
                for stack in stacks:
                    stack.begin(train_loader)
                for count in _strides(len(train_loader), seen, look_every if look else 0):
                    with naming_epoch(epoch):
                        for_each(_Stack.advance, count)
                    bar.update(count)
                    seen += count
                    if look and seen % look_every == 0:
                        _write_back(stacks, models)
                        look(models)
                _write_back(stacks, models)
                with naming_epoch(epoch):
                    trained = [each for stack in stacks for each in stack.mean.results()]
                rows = [part.named("train") for part in trained]
                if validation_loader is not None:
                    for row, model in zip(rows, models, strict=True):
                        row |= evaluate(model, validation_loader, loss).named("validation")
                seconds = (time.perf_counter() - started) / len(models)
                for history, row, rate in zip(histories, rows, rates, strict=True):
                    own = {"learning_rate": rate, "seconds": seconds}
                    history.rows.append({"epoch": epoch} | row | own)
    except KeyboardInterrupt:
        _write_back(stacks, models)
        accept_interrupt(histories, epochs)
    return histories


class _Stack:
    """Members' weights, one more axis in front, and the optimizer that moves them all."""

    def __init__(
        self, part: slice, models, orders, rates, loss_fn: LossFunction, make_optimizer: Callable
    ):
        """`part` of all members these models are, which see their batches in these orders."""
        weights, _ = stack_module_state(list(models))
        self.part, self.orders = part, orders
        self.weights = {name: w.detach().clone() for name, w in weights.items()}
        self.skeleton = copy.deepcopy(models[0]).to("meta")  # structure without weights
        self.loss_fn = loss_fn
        # One rate is the optimizer's own. Several scale its step: all optimizers here move
        # each weight by the rate times something that does not depend on it.
        alike = len(set(rates)) == 1
        self.rates = None if alike else torch.tensor(rates)
        rate = rates[0] if alike else 1.0
        self.learning = {name for name, p in models[0].named_parameters() if p.requires_grad}
        parameters = [self.weights[name] for name in self.weights if name in self.learning]
        self.optimizer = make_optimizer(parameters, lr=rate)
        if type(self.optimizer) not in _STACKING:
            known = ", ".join(kind.__name__ for kind in _STACKING)
            raise ValueError(
                f"{type(self.optimizer).__name__} may look at all members of a stack at once; "
                f"a stack takes {known}, others train with run_grid"
            )

    def begin(self, loader: Batches) -> None:
        """Begin an epoch: every member's pass of its batches, and a mean of what it scores."""
        self.batches = _batches(loader, self.orders)
        self.mean = RunningMean(self.part.start)

    def advance(self, count: int) -> None:
        """Show every member the next so many batches."""
        for inputs, labels in islice(self.batches, count):
            shared = labels.ndim == 1
            step = vmap(
                grad_and_value(self._loss, has_aux=True),
                in_dims=(0, None, None) if shared else (0, 0, 0),
            )
            gradients, (losses, outputs) = _apart(step, self.weights, inputs, labels)
            self._move(gradients)
            self.mean.add(outputs, labels, losses)

    def _loss(self, weights: dict[str, Tensor], inputs: Tensor, labels: Tensor):
        outputs = functional_call(self.skeleton, weights, (inputs,))
        return self.loss_fn(outputs, labels), outputs

    def _move(self, gradients: dict[str, Tensor]) -> None:
        for name, weight in self.weights.items():
            weight.grad = gradients[name] if name in self.learning else None
        if self.rates is None:
            self.optimizer.step()
            return
        before = {name: weight.clone() for name, weight in self.weights.items()}
        self.optimizer.step()
        for name, weight in self.weights.items():
            rates = self.rates.view(-1, *[1] * (weight.ndim - 1))
            weight.copy_(before[name] + rates * (weight - before[name]))


def _divide(members: int, cores: int) -> list[slice]:
    """A part of the members for each core, none of less than `_FEWEST`, all about as large."""
    parts = max(1, min(cores, members // _FEWEST))
    ends = [members * part // parts for part in range(parts + 1)]
    return [slice(*ends) for ends in pairwise(ends)]


@contextmanager
def _side_by_side(stacks: Sequence[_Stack], threads: int) -> Iterator[Callable[..., list]]:
    """Yield what calls a method of each stack; several at once, on one thread each.

    What a member becomes does not depend on who is in its stack.
    """
    if len(stacks) == 1:
        with thread_count(threads):
            yield lambda method, *given: [method(stacks[0], *given)]
        return
    with workers_of_one_thread(torch.device("cpu")) as workers:
        yield lambda method, *given: list(workers.map(lambda stack: method(stack, *given), stacks))


def _strides(batches: int, seen: int, look_every: int) -> Iterator[int]:
    """Cut an epoch so that it can be looked at, and stopped, in between; `seen` were before it."""
    left = batches
    while left:
        stride = min(left, _AT_ONCE)
        if look_every:
            stride = min(stride, look_every - seen % look_every)
        yield stride
        left, seen = left - stride, seen + stride


def _write_back(stacks: Sequence[_Stack], models: Sequence[nn.Module]) -> None:
    """Give each model its member's weights."""
    with torch.no_grad():
        for stack in stacks:
            for member, model in enumerate(models[stack.part]):
                for name, parameter in model.named_parameters():
                    parameter.copy_(stack.weights[name][member])


def _orders(loader: Batches, seeds: Sequence[int]) -> list[Batches]:
    """For each seed the batches that `fit` with that seed would see, to draw their order from."""
    if not isinstance(loader, Batches):
        raise ValueError("the loader is not one of digits.train.loader(batch_size, shuffle=True)")
    if not loader.shuffle:
        raise ValueError("the loader does not shuffle: make it with shuffle=True")
    return [Batches(loader.dataset, loader.batch_size, shuffle=True, seed=seed) for seed in seeds]


def _batches(loader: Batches, orders: Sequence[Batches]) -> Iterator[tuple[Tensor, Tensor]]:
    """(inputs, labels) of one epoch: M x B x ... in M orders, or B x ... in the only one."""
    order = torch.stack([own.draw_order() for own in orders]).squeeze(0)
    for index in order.split(loader.batch_size, dim=-1):
        yield loader.dataset[index]


def _one_each(name: str, value: float | Sequence[float], count: int) -> list[float]:
    values = [value] * count if isinstance(value, Real) else list(value)
    if len(values) != count:
        raise ValueError(f"{len(values)} values of {name} for {count} models: give one for each")
    return [float(v) for v in values]


def _check_models(models: Sequence[nn.Module]) -> None:
    if isinstance(models, str) or not models:
        raise ValueError("no models were given: there is nothing to train")
    for model in models:
        check_model(model)
    for what, found in (
        ("be of one architecture", [describe_layers(model) for model in models]),
        ("have the same settings", [_settings(model) for model in models]),
        ("have the same parts frozen", [_frozen(model) for model in models]),
    ):
        if found.count(found[0]) < len(models):
            raise ValueError(f"the models of a stack must {what}")
    every = [parameter for _, parameter in models[0].named_parameters(remove_duplicate=False)]
    if len(set(map(id, every))) < len(every):
        raise ValueError("two layers share weights, which a stack cannot keep together; train "
                         "these models with run_grid")  # fmt: skip
    if all(_frozen(models[0])):
        raise ValueError("all parameters of the models are frozen: nothing can learn")
    for layer in models[0].modules():
        if isinstance(layer, _UNSTACKABLE) or list(layer.buffers(recurse=False)):
            raise ValueError(
                f"{type(layer).__name__} has random or running state, which a stack cannot "
                "keep apart; train these models with run_grid"
            )


def _apart(step: Callable, *given):
    """Take a step of all members; raise ValueError where a model cannot be computed so."""
    try:
        return step(*given)
    except RuntimeError as error:
        if "vmap" not in str(error):
            raise
        reason = str(error).partition("\n")[0].removeprefix("vmap: ")
        raise ValueError(f"the models cannot be stacked, for what `forward` does differs from "
                         f"member to member ({reason}); use run_grid") from error  # fmt: skip


def _settings(model: nn.Module) -> list[tuple]:
    """What its layers say of themselves, and their own attributes: rates, slopes, functions."""
    return [
        (layer.extra_repr(), {name: _comparable(value) for name, value in vars(layer).items()
                              if name != "training" and not name.startswith("_")})
        for layer in model.modules()
    ]  # fmt: skip


def _comparable(value: object) -> object:
    """Something that equals another's where the two do the same."""
    if isinstance(value, Tensor):
        return str(value.dtype), tuple(value.shape), value.tolist()
    if isinstance(value, list | tuple):
        return [_comparable(each) for each in value]
    if isinstance(value, dict):
        return {name: _comparable(each) for name, each in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, partial):
        return _comparable(value.func), _comparable(value.args), _comparable(value.keywords)
    if isinstance(value, MethodType):
        return _comparable(value.__func__)
    if isinstance(value, FunctionType):
        inside = [cell.cell_contents for cell in value.__closure__ or ()]
        return value.__code__, _comparable(value.__defaults__), _comparable(inside)
    if hasattr(value, "__dict__") and not callable(value):
        return type(value), _comparable(vars(value))
    return value


def _frozen(model: nn.Module) -> list[bool]:
    return [not parameter.requires_grad for parameter in model.parameters()]
