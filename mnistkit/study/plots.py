"""The charts of the study: accuracy against its cost, and runs against the published one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from mnistkit.metrics import Interval, interval_of_mean
from mnistkit.utils.figures import describe, new_axes
from mnistkit.utils.validation import check_columns

BEST, OTHER = "#0072B2", "#666666"
_FEWEST = 0.01  # errors in percent, below which all are drawn at one height
# Where a name may stand, in points of print from its mark: the first that is free is taken.
# That is above the line for the models on it, and below it for the others.
_PLACES = [
    (sign * across, up)
    for across, up in ((7, 0), (5, 5), (5, -5), (0, 9), (0, -9), (9, 12), (9, -12), (9, 20),
                       (9, -20), (9, 30), (9, -30))
    for sign in (1, -1)
]  # fmt: skip


def plot_tradeoff(
    table: pd.DataFrame, x: str, *, xlabel: str, title: str = "", ax: Axes | None = None
) -> Axes:
    """Draw the accuracy of models, in percent, against what they cost, on a log scale.

    table: indexed by model, with columns mean, low, high (fractions) and `x`. The vertical
    scale is of errors, so that 99 % is as far from 98 % as 98 % from 96 %. Filled marks on a
    line are the models of `frontier`; all others are open and grey. Models without a mean, as
    one that diverged, are left out.
    """
    check_columns(table, ["mean", "low", "high", x])
    table = table[table["mean"].notna()].sort_values(x)
    if table.empty:
        raise ValueError("no model of the table has a mean")
    table.index = table.index.map(str)
    ax = new_axes(ax, (6.5, 4.8))
    best = frontier(table, x)
    costs = table[x].astype(float)
    errors = (100 * (1 - table["mean"].astype(float))).clip(lower=_FEWEST)  # on a log scale
    _scale_errors(ax, costs, errors)
    ax.step([*costs[best], ax.get_xlim()[1]], [*errors[best], errors[best].min()], where="post",
            color=BEST, linewidth=1.5)  # fmt: skip
    reach = {}
    for name, row in table.iterrows():
        color, face = (BEST, BEST) if name in best else (OTHER, "white")
        ends = 100 * np.array([row["mean"] - row["low"], row["high"] - row["mean"]], float)
        reach[name] = down, up = np.nan_to_num(ends)
        ax.errorbar(costs[name], errors[name], [[up], [down]], fmt="o", capsize=2, color=color,
                    linewidth=1, markerfacecolor=face, zorder=3)  # fmt: skip
    title = title or f"Nothing beats these {len(best)} of {len(table)} models for less"
    ax.set(xlabel=xlabel, ylabel="test accuracy in %", title=title)
    others = [name for name in table.index if name not in best]
    marks = {
        name: Bbox(ax.transData.transform([(costs[name], errors[name] + down),
                                           (costs[name], errors[name] - up)])).padded(4)
        for name, (down, up) in reach.items()
    }  # fmt: skip
    _name_marks(ax, {name: marks[name] for name in [*best, *others]}, best)
    words = [f"{n} {100 - errors[n]:.2f} % at {costs[n]:,.{1 if costs[n] < 1000 else 0}f}"
             for n in table.index]  # fmt: skip
    listed = f"{'; '.join(words)}. On the line: {', '.join(best)}."
    return describe(ax, f"{title}; {xlabel}: {listed}")


def frontier(table: pd.DataFrame, x: str) -> list[str]:
    """The models than which no other is at least as good and at least as cheap, cheapest first.

    table: indexed by model, with a column mean (higher is better) and `x`, what it costs.
    """
    best: list[str] = []
    for name, row in table.sort_values([x, "mean"], ascending=[True, False]).iterrows():
        if not best or row["mean"] > table.loc[best[-1], "mean"]:
            best.append(str(name))
    return best


def _scale_errors(ax: Axes, costs: pd.Series, errors: pd.Series) -> None:
    """Two log scales: costs to the right, and errors downwards, named by their accuracies."""
    ticks = [t for t in (80, 90, 95, 97, 98, 99, 99.5, 99.7)
             if errors.min() / 1.3 <= 100 - t <= errors.max() * 1.3]  # fmt: skip
    ax.set(xscale="log", yscale="log", xlim=(costs.min() / 1.8, costs.max() * 2.5))
    ax.set_ylim(errors.max() * 1.3, errors.min() / 1.3)
    ax.set(yticks=[100 - t for t in ticks], yticklabels=[f"{t:g}" for t in ticks])
    ax.yaxis.set_minor_locator(plt.NullLocator())


def draw_published(
    claims: Mapping[str, tuple[Sequence[float], float, Interval]], *, title: str = ""
) -> Figure:
    """Draw for each claim our runs, two intervals, and the published number as a line.

    claims: by name, the accuracies of runs, the published one, and the prediction interval
    that judges it; all fractions. Each row has a scale of its own, in percent, which ends at
    100. The thick bar is the 95 % confidence interval of the mean, the thin one that of one
    further run.
    """
    figure, axes = plt.subplots(
        len(claims), 1, figsize=(7, 0.62 * len(claims) + 0.6), layout="constrained"
    )
    found = 0
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
        ends = run.low, run.high, values.min(), values.max(), 100 * published
        margin = 0.06 * (max(ends) - min(ends))
        ax.set_xlim(max(0, min(ends) - margin), min(100, max(ends) + margin))
        ax.xaxis.set_major_locator(MaxNLocator(4))
        ax.grid(visible=False)
        ax.spines[["left", "right", "top"]].set_visible(False)
        ax.tick_params(axis="y", length=0)
        inside = "inside" if run.low <= 100 * published <= run.high else "outside"
        if np.isnan(run.low):
            inside = "one run has no interval"
        found += inside == "inside"
        ax.annotate(inside, (1.02, 0), xycoords=ax.get_yaxis_transform(), va="center",
                    color="#B03A00" if inside == "outside" else "black")  # fmt: skip
        describe(ax, f"{name}: {len(values)} runs, mean {mean.mean:.2f} [{mean.low:.2f}, "
                     f"{mean.high:.2f}], one more [{run.low:.2f}, {run.high:.2f}]; published "
                     f"{100 * published:.2f}, {inside}.")  # fmt: skip
    ax.set_xlabel("test accuracy in %")
    figure.suptitle(title or f"{found} of {len(claims)} published runs lie where one of ours would")
    return figure


def _name_marks(ax: Axes, marks: Mapping[str, Bbox], best: Sequence[str]) -> None:
    """Write each name beside its mark, inside the axes and clear of all that is drawn there.

    marks: by name, the room that each takes, in pixels; a later name makes room for an
    earlier one. Where there is no room anywhere, a name stands at the last place tried.
    """
    line = ax.lines[0].get_path().transformed(ax.transData)
    inside, taken = ax.get_window_extent().padded(-4), [*marks.values()]
    for name, mark in marks.items():
        style = {"fontsize": 10} if name in best else {"fontsize": 8.5, "color": OTHER}
        middle = ax.transData.inverted().transform((mark.min + mark.max) / 2)
        text = ax.annotate(name, middle, (0, 0), textcoords="offset points", **style)
        for across, up in _PLACES if name in best else np.multiply(_PLACES, (1, -1)):
            text.set(position=(across, up), ha=_side(across, "right", "left"),
                     va=_side(up, "top", "bottom"))  # fmt: skip
            box = text.get_window_extent()
            crossed = line.intersects_bbox(box.padded(2), filled=False)
            within = inside.contains(*box.min) and inside.contains(*box.max)
            if within and not crossed and not box.count_overlaps(taken):
                break
        taken.append(box.padded(1))


def _side(offset: float, below: str, above: str) -> str:
    return "center" if offset == 0 else below if offset < 0 else above
