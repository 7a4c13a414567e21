"""The charts of the study: accuracy against its cost, and runs against the published one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mnistkit.metrics import Interval, interval_of_mean
from mnistkit.utils.figures import describe, new_axes


def plot_tradeoff(
    table: pd.DataFrame, x: str, *, xlabel: str, title: str = "", ax: Axes | None = None
) -> Axes:
    """Draw the accuracy of models, in percent, against what they cost, on a log scale.

    table: indexed by model, with columns mean, low, high (fractions) and `x`. The vertical
    scale is of errors, so that 99 % is as far from 98 % as 98 % from 96 %.
    """
    ax = new_axes(ax, (7.5, 5))
    table = table.sort_values(x)
    costs, errors = table[x].astype(float), 100 * (1 - table["mean"].astype(float))
    reach = 100 * np.array([table["high"] - table["mean"], table["mean"] - table["low"]], float)
    ax.errorbar(costs, errors, np.nan_to_num(reach), fmt="o", capsize=3, color="#0072B2")
    ticks = [t for t in (80, 90, 95, 97, 98, 99, 99.5, 99.7)
             if errors.min() / 1.3 <= 100 - t <= errors.max() * 1.3]  # fmt: skip
    ax.set(xscale="log", yscale="log", xlabel=xlabel, title=title, ylabel="test accuracy in %")
    ax.set_xlim(costs.min() / 1.6, costs.max() * 6)  # room for the last names
    ax.set_ylim(errors.max() * 1.3, errors.min() / 1.3)
    ax.set(yticks=[100 - t for t in ticks], yticklabels=[f"{t:g}" for t in ticks])
    ax.yaxis.set_minor_locator(plt.NullLocator())
    _name_points(ax, dict(zip(table.index, zip(costs, errors, strict=True), strict=True)))
    words = [f"{n} {100 - errors[n]:.2f} % at {costs[n]:,.{1 if costs[n] < 1000 else 0}f}"
             for n in table.index]  # fmt: skip
    return describe(ax, f"{title or xlabel}; {xlabel}: {'; '.join(words)}.")


def draw_published(
    claims: Mapping[str, tuple[Sequence[float], float, Interval]], *, title: str = ""
) -> Figure:
    """Draw for each claim our runs, two intervals, and the published number as a line.

    claims: by name, the accuracies of runs, the published one, and the prediction interval
    that judges it; all fractions. Each row has a scale of its own, in percent. The thick bar
    is the 95 % confidence interval of the mean, the thin one that of one further run.
    """
    figure, axes = plt.subplots(
        len(claims), 1, figsize=(7, 0.62 * len(claims) + 0.6), layout="constrained"
    )
    for ax, (name, (values, published, one_more)) in zip(
        np.atleast_1d(axes), claims.items(), strict=True
    ):
        values = 100 * np.asarray(values, dtype=float)
        mean, run = interval_of_mean(values), 100 * one_more
        ax.plot([run.low, run.high], [0, 0], color="#56B4E9", linewidth=2, zorder=1)
        ax.plot([mean.low, mean.high], [0, 0], color="#56B4E9", linewidth=9, zorder=1,
                solid_capstyle="butt")  # fmt: skip
        ax.plot(values, np.full(len(values), 0.0), "o", color="black", markersize=3, alpha=0.5)
        ax.axvline(100 * published, color="#D55E00", linewidth=2)
        ax.set(yticks=[0], yticklabels=[name], ylim=(-1, 1))
        ax.margins(x=0.08)
        ax.grid(visible=False)
        ax.spines[["left", "right", "top"]].set_visible(False)
        ax.tick_params(axis="y", length=0)
        inside = "inside" if run.low <= 100 * published <= run.high else "outside"
        describe(ax, f"{name}: {len(values)} runs, mean {mean.mean:.2f} [{mean.low:.2f}, "
                     f"{mean.high:.2f}], one more [{run.low:.2f}, {run.high:.2f}]; published "
                     f"{100 * published:.2f}, {inside}.")  # fmt: skip
    ax.set_xlabel("test accuracy in %")
    figure.suptitle(title)
    return figure


def _name_points(ax: Axes, points: Mapping[str, tuple[float, float]], size: float = 8) -> None:
    """Write each name beside its point, so that it covers neither a point nor a name.

    To the right; to the left if a point is in the way there only; lower if a name is.
    """
    letter, line, gap = 0.62 * size, 1.3 * size, 7  # in points of print
    spots = {n: 72 / ax.figure.dpi * ax.transData.transform(p) for n, p in points.items()}
    taken: list[tuple[float, float, float]] = []  # start, end and height of names
    for name, (x, top) in sorted(spots.items(), key=lambda item: -item[1][1]):
        reach = gap + letter * len(name)
        right, left = (
            any(0 < side * (other[0] - x) < reach and abs(other[1] - top) < 0.7 * line
                for other in spots.values())
            for side in (1, -1)
        )  # fmt: skip
        blocked = right and not left
        start, y = (x - reach if blocked else x), top
        for other_start, other_end, other_y in taken:
            if start < other_end and other_start < start + reach and abs(y - other_y) < line:
                y = other_y - line
        taken.append((start, start + reach, y))
        ax.annotate(name, points[name], (-gap if blocked else gap, y - top), fontsize=size,
                    textcoords="offset points", va="center",
                    ha="right" if blocked else "left")  # fmt: skip
