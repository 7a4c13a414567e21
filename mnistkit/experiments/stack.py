"""Many copies of one small model, trained as one stack with `torch.func`.

A small model leaves a processor idle: most of a step is spent on starting operations, not
on arithmetic. A stack of 64 models starts as many operations as one model does. Each
member has its own initial weights, its own order of batches and, if wished, its own
learning rate, and becomes what it would have become alone, but for rounding.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn, optim
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.optim import Optimizer

from mnistkit.data import Batches
from mnistkit.experiments.results import describe_layers
from mnistkit.training import (
    Evaluation,
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
from mnistkit.utils.devices import choose_threads, thread_count
from mnistkit.utils.progress import progress_bar
from mnistkit.utils.validation import check_loader, check_model, check_whole

_UNSTACKABLE = (nn.modules.dropout._DropoutNd, nn.RReLU, nn.modules.batchnorm._BatchNorm)
# These move each weight by itself, and by the rate times something that does not depend on it.
_STACKING = (optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop, optim.Adagrad, optim.Adadelta,
             optim.NAdam, optim.RAdam, optim.Adamax)  # fmt: skip


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
    Interrupting returns them so far, as `fit` does.

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
    stack = _Stack(models, choose_loss(loss), choose_optimizer(optimizer), rates, weight_decay)
    orders = _orders(train_loader, seeds[:1] if share_batches else seeds)
    threads = choose_threads(models[0])
    histories = [History(threads=threads) for _ in models]
    bar = progress_bar(epochs * len(train_loader), "training", "batch", shown=progress)
    after_batch = [bar.update]
    if look:
        look(models)
        after_batch.append(_Looking(stack, models, look, look_every))
    try:
        with bar, thread_count(threads):
            for epoch in range(1, epochs + 1):
                started = time.perf_counter()
                trained = stack.train_one_epoch(_batches(train_loader, orders), epoch, after_batch)
                stack.write_back(models)
                rows = [part.named("train") for part in trained]
                if validation_loader is not None:
                    for row, model in zip(rows, models, strict=True):
                        row |= evaluate(model, validation_loader, loss).named("validation")
                seconds = (time.perf_counter() - started) / len(models)
                for history, row, rate in zip(histories, rows, rates, strict=True):
                    own = {"learning_rate": rate, "seconds": seconds}
                    history.rows.append({"epoch": epoch} | row | own)
    except KeyboardInterrupt:
        stack.write_back(models)
        accept_interrupt(histories, epochs)
    return histories


class _Stack:
    """The members' weights, one more axis in front, and the optimizer that moves them all."""

    def __init__(self, models, loss_fn: LossFunction, make_optimizer, rates, weight_decay):
        weights, _ = stack_module_state(list(models))
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
        self.optimizer = make_optimizer(parameters, lr=rate, weight_decay=weight_decay)
        if type(self.optimizer) not in _STACKING:
            known = ", ".join(kind.__name__ for kind in _STACKING)
            raise ValueError(
                f"{type(self.optimizer).__name__} may look at all members of a stack at once; "
                f"a stack takes {known}, others train with run_grid"
            )

    def train_one_epoch(
        self, batches, epoch: int, after_batch: Sequence[Callable[[], object]]
    ) -> list[Evaluation]:
        """Show every member one pass of its batches; mean loss and accuracy of each."""
        mean = RunningMean()
        with naming_epoch(epoch):
            for inputs, labels in batches:
                shared = labels.ndim == 1
                step = vmap(
                    grad_and_value(self._loss, has_aux=True),
                    in_dims=(0, None, None) if shared else (0, 0, 0),
                )
                gradients, (losses, outputs) = step(self.weights, inputs, labels)
                self._move(gradients)
                mean.add(outputs, labels, losses)
                for call in after_batch:
                    call()
            return mean.results()

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

    def write_back(self, models: Sequence[nn.Module]) -> None:
        """Give each model its member's weights."""
        with torch.no_grad():
            for member, model in enumerate(models):
                for name, parameter in model.named_parameters():
                    parameter.copy_(self.weights[name][member])


class _Looking:
    """Shows the models to `look` after every so many batches."""

    def __init__(self, stack: _Stack, models: Sequence[nn.Module], look: Callable, every: int):
        self.stack, self.models, self.look, self.every = stack, models, look, every
        self.batches = 0

    def __call__(self) -> None:
        self.batches += 1
        if self.batches % self.every == 0:
            self.stack.write_back(self.models)
            self.look(self.models)


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
    values = list(value) if isinstance(value, Sequence) else [value] * count
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


def _settings(model: nn.Module) -> list[tuple]:
    """What its layers say of themselves, and their plain attributes: rates, slopes, scales."""
    return [
        (layer.extra_repr(), {name: value for name, value in vars(layer).items()
                              if name != "training" and isinstance(value, int | float | str)})
        for layer in model.modules()
    ]  # fmt: skip


def _frozen(model: nn.Module) -> list[bool]:
    return [not parameter.requires_grad for parameter in model.parameters()]
