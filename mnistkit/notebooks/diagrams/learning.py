"""Diagrams of what learning is made of: splits, softmax and loss, descent, activations.

All of them show numbers that were computed, none is a sketch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.func import functional_call

from mnistkit.data import Digits
from mnistkit.models import ACTIVATIONS
from mnistkit.pictures import plot_image
from mnistkit.utils.figures import alt_text, describe, in_style
from mnistkit.utils.validation import check_choice, check_whole

BLUE, ORANGE, GREEN, PALE = "#0072B2", "#D55E00", "#009E73", "#C9C9C9"


def draw_splits(digits: Digits, batch_size: int, *, shown: int = 8) -> Figure:
    """Draw the three splits as lengths, and the first training digits as one batch.

    shown: how many digits of the batch are drawn. An empty split is left out.
    """
    check_whole("batch_size", batch_size)
    sizes = {name: len(getattr(digits, name)) for name in ("train", "validation", "test")}
    figure, (bar, row) = _stacked((7, 2.9), (1, 1.1))
    left, total = 0, sum(sizes.values())
    for (name, size), color in zip(sizes.items(), (BLUE, ORANGE, GREEN), strict=True):
        if size:
            bar.barh(0, size, left=left, color=color, height=0.6)
            at = "right" if name == "test" else "center" if name == "validation" else "left"
            spot = {"left": left, "center": left + size / 2, "right": left + size}[at]
            bar.text(spot, 0.42, f"{name}\n{size:,}", ha=at, va="bottom", color=color)
        left += size
    one = total / 250  # a batch would be too narrow to be seen
    bar.barh(0, one, color="black", height=0.6)
    bar.set(xlim=(0, total), ylim=(-0.9, 1.4))
    bar.annotate("", (0, -0.9), (one / 2, -0.3), arrowprops={"arrowstyle": "->"})
    images = digits.train.images[: min(shown, batch_size)]
    for index, image in enumerate(images):
        plot_image(image, ax=row.inset_axes([index / (shown + 1), 0, 0.95 / (shown + 1), 1]))
    rest = min(batch_size, sizes["train"]) - len(images)
    row.text(1, 0.5, f"and\n{rest} more" if rest else "", ha="right", va="center",
             transform=row.transAxes)  # fmt: skip
    row.set_title(f"one batch: {min(batch_size, sizes['train'])} digits", loc="left", fontsize=12)
    listed = ", ".join(f"{name} {size:,}" for name, size in sizes.items() if size)
    describe(bar, f"Splits to scale: {listed}; one batch of {min(batch_size, sizes['train'])}.")
    return figure


def draw_softmax(logits: Sequence[float], label: int) -> Figure:
    """Draw logits, the probabilities that softmax makes of them, and the loss.

    logits: of one image. label: the true class. The loss is cross-entropy, -ln p.
    """
    values = torch.as_tensor(logits, dtype=torch.float64).detach().flatten()
    if not values.isfinite().all():
        raise ValueError("logits hold values that are no numbers: did the training diverge? A "
                         "smaller learning rate helps")  # fmt: skip
    if not 0 <= check_whole("label", label, least=0) < len(values):
        raise ValueError(f"label is {label}, and there are {len(values)} logits")
    chances = values.softmax(dim=0)
    p = chances[label].item()
    with in_style():
        figure = plt.figure(figsize=(7, 5.4), layout="constrained")
    axes = figure.subplot_mosaic([["logits", "softmax"], ["loss", "loss"]])
    colors = [ORANGE if index == label else BLUE for index in range(len(values))]
    for name, numbers in (("logits", values), ("softmax", chances)):
        axes[name].bar(range(len(values)), numbers, color=colors)
        axes[name].set(xticks=range(len(values)), xlabel="class")
        axes[name].grid(axis="x", visible=False)
    axes["logits"].set(title="ten logits ...")
    axes["softmax"].set(title="... as probabilities", ylim=(0, 1))
    axes["softmax"].annotate(
        f"{label}, the truth: {p:.2f}", (label, p), (0.5, 0.9), ha="center",
        textcoords="axes fraction", color=ORANGE, arrowprops={"arrowstyle": "->", "color": ORANGE},
    )  # fmt: skip
    x = np.linspace(0.004, 1, 400)
    axes["loss"].plot(x, -np.log(x), color=BLUE)
    axes["loss"].plot(p, -np.log(p), "o", color=ORANGE, markersize=10)
    axes["loss"].annotate(f"here: {-np.log(p):.2f}", (p, -np.log(p)), (12, 10),
                          textcoords="offset points", color=ORANGE)  # fmt: skip
    axes["loss"].set(
        xlabel="p, the probability of the true class", ylabel="loss, -ln p", xlim=(0, 1)
    )
    axes["loss"].set_title("the less likely the truth was thought, the larger the loss")
    listed = ", ".join(f"{k} {v:.2f}" for k, v in enumerate(chances.tolist()))
    count = "ten" if len(values) == 10 else len(values)
    words = (
        f"Softmax makes of {count} logits the probabilities {listed}; the true class {label} has "
    )
    describe(axes["loss"], words + f"{p:.2f}, so its loss is {-np.log(p):.2f}.")
    return figure


def draw_descent(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    rates: Sequence[float],
    *,
    steps: int = 8,
    reach: tuple[float, float] = (-1, 9),
) -> Figure:
    """Draw steps down one slice of a model's cross-entropy, a panel for each learning rate.

    The slice is the line along which the first step of SGD goes, from the model's weights; a
    first step at rate r ends at r. All further steps stay on the line. images, labels: one
    batch. reach: the part of the line that is drawn; steps that leave it are counted. The
    model stays as it is.
    """
    if isinstance(rates, float | int):
        raise ValueError(f"rates is {rates}: give several, or one in a list, [{rates}]")
    loss_at = _slice(model, images, labels)
    along = np.linspace(*reach, 161)
    with torch.no_grad():
        losses = [loss_at(torch.tensor(t)).item() for t in along]
    with in_style():
        figure, axes = plt.subplots(1, len(rates), figsize=(7, 3.2), sharey=True,
                                    layout="constrained", squeeze=False)  # fmt: skip
    for ax, rate in zip(axes[0], rates, strict=True):
        _draw_walk(ax, along, losses, np.array(_descend(loss_at, rate, steps)))
        ax.set(title=f"rate {rate:g}", xlabel="along the slice")
        describe(ax, f"Rate {rate:g}: {alt_text(ax)}.")
    axes[0, 0].set_ylabel("loss")
    return figure


def _slice(model: nn.Module, images: Tensor, labels: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the loss as a function of t, for weights less t times the first slope."""
    model = copy.deepcopy(model)  # batch norm keeps account of what it has seen
    start = {name: p.detach().clone().requires_grad_() for name, p in model.named_parameters()
             if p.requires_grad}  # fmt: skip

    def loss_with(weights: Mapping[str, Tensor]) -> Tensor:
        with torch.random.fork_rng(devices=[]):  # dropout
            return nn.functional.cross_entropy(functional_call(model, weights, (images,)), labels)

    slopes = torch.autograd.grad(loss_with(start), list(start.values()))
    fixed = {name: (p.detach(), s) for (name, p), s in zip(start.items(), slopes, strict=True)}
    return lambda t: loss_with({name: p - t * s for name, (p, s) in fixed.items()})


def _descend(loss_at: Callable[[Tensor], Tensor], rate: float, steps: int) -> list[float]:
    """Return the place after each step, from 0 on, with the first slope as the unit."""
    place, places, unit = torch.tensor(0.0, dtype=torch.float64), [0.0], None
    for _ in range(steps):
        place.requires_grad_()
        (slope,) = torch.autograd.grad(loss_at(place), place)
        unit = -slope if unit is None else unit
        place = (place - rate * slope / unit).detach()
        places.append(place.item())
    return places


def _draw_walk(ax: Axes, along: np.ndarray, losses: Sequence[float], places: np.ndarray) -> None:
    inside = (places >= along[0]) & (places <= along[-1])
    heights = np.interp(places, along, losses)
    ax.plot(along, losses, color=PALE, linewidth=4)
    ax.plot(places[inside], heights[inside], "o-", color=ORANGE, linewidth=1, markersize=5)
    ax.plot(places[0], heights[0], "o", color="black", markersize=8)
    out, steps = len(places) - inside.sum(), len(places) - 1
    end = (
        f"{out} of {steps} steps\noutside" if out else f"{steps} steps,\nends at {heights[-1]:.2f}"
    )
    ax.text(0.97, 0.04, end, ha="right", va="bottom", transform=ax.transAxes, color=ORANGE)
    describe(ax, f"from a loss of {heights[0]:.2f}, {end}".replace("\n", " "))


def draw_activations(names: Sequence[str] = tuple(ACTIVATIONS)) -> Figure:
    """Draw activation functions of the library and their slopes, a panel each."""
    if not names:
        raise ValueError("no activations were named")
    for name in names:
        check_choice("activation", name, ACTIVATIONS)
    x = torch.linspace(-4, 4, 401, requires_grad=True)
    columns = 2
    with in_style():
        figure, axes = plt.subplots(-(-len(names) // columns), columns, figsize=(7, 5.6),
                                    sharex=True, layout="constrained", squeeze=False)  # fmt: skip
    for ax in axes.flat[len(names) :]:
        ax.set_axis_off()
    for ax, name in zip(axes.flat, names, strict=False):
        values, slopes = _value_and_slope(ACTIVATIONS[name](), x)
        ax.plot(x.detach(), values, color=BLUE)
        ax.plot(x.detach(), slopes, "--", color=ORANGE)
        steep = values[-1] > 2  # it leaves the panel: its name stands beside it, at x = 1.3
        where = (1.3, values[265], "value ") if steep else (3.9, values[-1], "value")
        ax.text(*where, color=BLUE, ha="right", va="bottom")
        ax.text(3.9, slopes[-1], "slope", color=ORANGE, ha="right", va="bottom")
        ax.set_title(f"{name}: slope {slopes.min():.2g} to {slopes.max():.2g}")
        ax.set(ylim=(-1.3, 2.3))
        describe(ax, f"{name}: slope {slopes.min():.2g} to {slopes.max():.2g}, at -4 "
                     f"{slopes[0]:.2g}, at 4 {slopes[-1]:.2g}.")  # fmt: skip
    return figure


def _value_and_slope(activation: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    values = activation(x)
    (slopes,) = torch.autograd.grad(values.sum(), x)
    return values.detach(), slopes


def _stacked(size: tuple[float, float], ratios: Sequence[float]) -> tuple[Figure, np.ndarray]:
    """Return a figure with bare axes above each other."""
    with in_style():
        figure, axes = plt.subplots(len(ratios), 1, figsize=size, layout="constrained",
                                    height_ratios=ratios)  # fmt: skip
    ax: Axes
    for ax in axes:
        ax.set_axis_off()
    return figure, axes
