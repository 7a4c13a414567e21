"""Charts that every notebook draws: counts, scores, confusions, curves, training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from mlxtend.plotting import plot_confusion_matrix as draw_matrix

from mnistkit.metrics import most_confused
from mnistkit.utils.figures import describe, new_axes

# Beyond seven colours a line also needs its own dashes and marks to be told from others.
DASHES = ("-", "--", ":", "-.")
MARKS = "osD^vPX*<>hp"


def plot_class_distribution(
    labels: Mapping[str, Sequence[int]],
    *,
    title: str = "Digits per class",
    ax: Axes | None = None,
) -> Axes:
    """Draw bars of each class's share, one group of bars a split."""
    _check_filled("labels", labels)
    ax = new_axes(ax)
    width, words = 0.8 / len(labels), []
    for place, (name, values) in enumerate(labels.items()):
        counts = np.bincount(np.asarray(values), minlength=10)
        share = 100 * counts / counts.sum()
        ax.bar(np.arange(10) + (place - (len(labels) - 1) / 2) * width, share, width, label=name)
        low, high = share.argmin(), share.argmax()
        ends = f"fewest {low} ({share[low]:.1f} %), most {high} ({share[high]:.1f} %)"
        equal = counts.min() == counts.max()
        words.append(f"{name}: {counts.sum():,} digits, {'all equally many' if equal else ends}")
    ax.axhline(10, color="black", linestyle=":", linewidth=1)
    ax.set(xticks=range(10), xlabel="class", ylabel="share in %", title=title)
    ax.set_ylim(top=1.22 * ax.get_ylim()[1])
    ax.legend(ncols=len(labels), loc="upper center")
    ax.grid(axis="x", visible=False)
    return describe(ax, f"{title}. {'; '.join(words)}.")


def plot_confusion_matrix(
    matrix, *, title: str = "Confusion matrix", ax: Axes | None = None
) -> Axes:
    """Draw a 10 x 10 confusion matrix, rows true, with mlxtend.

    The colour scale ends at the largest error, not at the diagonal, so that a model
    of 99 % still shows what it confuses. matrix: as `metrics.confusion_matrix` gives.
    """
    import torch

    counts = np.asarray(matrix)
    if counts.shape != (10, 10):
        raise ValueError(
            f"the matrix is {counts.shape}, expected 10 x 10, as confusion_matrix gives"
        )
    errors = counts - np.diag(counts.diagonal())
    ax = new_axes(ax, (7, 7))
    # Saturating norm: every diagonal cell is darkest, so its white digits stay readable.
    norm = PowerNorm(0.6, vmin=0, vmax=max(int(errors.max()), 1), clip=True)
    current = plt.gca() if plt.get_fignums() else None
    plt.sca(ax)  # mlxtend sets labels and ticks on the current axes
    draw_matrix(
        counts, figure=ax.figure, axis=ax, norm_colormap=norm, class_names=list("0123456789")
    )
    if current is not None:
        plt.sca(current)
    for text in ax.texts:
        column, row = (round(v) for v in text.get_position())
        text.set_color("white" if norm(counts[row, column]) > 0.6 else "black")
        text.set_fontsize(10)
    ax.tick_params(axis="x", labelrotation=0)
    ax.set(title=title, xlabel="predicted class", ylabel="true class")
    pairs = most_confused(torch.from_numpy(counts), top=3)
    listed = ", ".join(
        f"{p.true} as {p.predicted}, {p.count} times" for p in pairs.itertuples(index=False)
    )
    right, total = counts.diagonal().sum(), counts.sum()
    share = f"{right:,} of {total:,} right ({100 * right / total:.2f} %)"
    return describe(ax, f"{title}: {share}; most confused: {listed or 'nothing'}.")


def plot_comparison(
    scores: pd.DataFrame,
    *,
    value: str = "accuracy",
    percent: bool = True,
    title: str = "Models compared",
    ax: Axes | None = None,
) -> Axes:
    """Draw a bar a model with its 95 % interval, the value written beside it.

    scores: indexed by name, with columns mean, low, high (as `summarize` gives); without
    low and high, or where they are NaN, no interval is drawn.
    """
    if scores.empty or "mean" not in scores:
        raise ValueError("there are no scores to compare: expected rows with a column mean")
    scale = 100 if percent else 1
    unit = " %" if percent else ""
    ax = new_axes(ax, (7, 0.55 * len(scores) + 1.2))
    table = scores.reindex(columns=["mean", "low", "high"]).astype(float) * scale
    reach = np.abs(table[["low", "high"]].sub(table["mean"], axis=0)).fillna(0).to_numpy().T
    places = np.arange(len(table))[::-1]
    ax.barh(
        places,
        table["mean"],
        xerr=reach if reach.any() else None,
        height=0.6,
        capsize=4,
        color="#56B4E9",
        ecolor="black",
    )
    edge = table[["mean", "high"]].max(axis=1)
    for place, mean, end in zip(places, table["mean"], edge, strict=True):
        ax.annotate(
            f"{mean:.2f}{unit}", (end, place), (6, 0), textcoords="offset points", va="center"
        )
    ax.set(yticks=places, yticklabels=table.index, xlabel=f"{value}{f' in{unit}' if unit else ''}")
    ax.set(title=title)
    low = min(table["mean"].min(), np.nanmin(table.to_numpy()))
    if percent and low > 20:
        ax.set_xlim(max(0, low - 0.35 * (100 - low)), 100 + 0.15 * (100 - low))
    else:
        ax.margins(x=0.2)
    ax.grid(axis="y", visible=False)
    words = "; ".join(f"{n} {_number(r, unit)}" for n, r in table.iterrows())
    return describe(ax, f"{title}: {words}.")


def plot_curves(
    x: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    *,
    xlabel: str,
    ylabel: str,
    levels: Mapping[str, float] | None = None,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw functions of x, named in the legend, and levels as dotted lines, named beside them.

    curves: by name, one value for each x. levels: by name, the height of a horizontal line.
    """
    _check_filled("values", curves)
    ax, words = new_axes(ax), []
    x = np.asarray(x, dtype=float)
    for place, (name, values) in enumerate(curves.items()):
        values = np.asarray(values, dtype=float)
        ax.plot(x, values, DASHES[place % 4], label=name)
        words.append(f"{name} from {_short(values[0])} to {_short(values[-1])}")
    for name, height in (levels or {}).items():
        ax.axhline(height, color="black", linestyle=":", linewidth=1)
        beside = ax.get_yaxis_transform()  # x in parts of the axes, y in numbers
        ax.text(1.01, height, f"{name} {height:.2f}", va="center", transform=beside)
        words.append(f"{name} at {height:.2f}")
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    ax.legend()
    ends = f"{xlabel} from {x[0]:.2f} to {x[-1]:.2f}"
    return describe(ax, f"{title or ylabel}, {ends}: {'; '.join(words)}.")


def plot_histogram(
    values: Mapping[str, Sequence[float]],
    *,
    xlabel: str,
    bins: int | Sequence[float] = 20,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw how values spread, one colour for each name, on common bins."""
    _check_filled("values", values)
    ax = new_axes(ax)
    edges = np.histogram_bin_edges(np.concatenate([np.asarray(v) for v in values.values()]), bins)
    hatches = ("", "//", "..", "xx")
    words = []
    for place, (name, numbers) in enumerate(values.items()):
        numbers = np.asarray(numbers, dtype=float)
        ax.hist(numbers, edges, alpha=0.6, label=name, hatch=hatches[place % 4], edgecolor="white")
        words.append(
            f"{name}: {len(numbers)} values from {numbers.min():.4g} to {numbers.max():.4g}"
        )
    ax.set(xlabel=xlabel, ylabel="count", title=title)
    ax.legend()
    return describe(ax, f"{title or 'Histogram'}, {xlabel}: {'; '.join(words)}.")


def plot_history(
    frames: Mapping[str, pd.DataFrame] | pd.DataFrame,
    value: str = "loss",
    *,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw loss or accuracy per epoch: training dashed, validation solid, a colour a model.

    frames: `History.frame`, or several by name. value: "loss" or "accuracy".
    """
    frames = {"": frames} if isinstance(frames, pd.DataFrame) else frames
    if not any(column.endswith(f"_{value}") for frame in frames.values() for column in frame):
        raise ValueError(f"no epoch has a {value}: the history is empty, or has other columns")
    ax, words = new_axes(ax), []
    for name, frame in frames.items():
        color = ax._get_lines.get_next_color()
        for split, line, marker in (("train", "--", "o"), ("validation", "-", "s")):
            column = f"{split}_{value}"
            if column not in frame:
                continue
            label = f"{name} {split}".strip()
            ax.plot(frame.index, frame[column], line, marker=marker, color=color, label=label)
            words.append(f"{label} {frame[column].iloc[0]:.3f} to {frame[column].iloc[-1]:.3f}")
    ax.set(xlabel="epoch", ylabel=value, title=title or f"{value.capitalize()} per epoch")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend()
    return describe(ax, f"{ax.get_title()}: {'; '.join(words)}.")


def plot_intervals(
    table: pd.DataFrame,
    *,
    xlabel: str = "difference in points",
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw differences with their intervals around a line at zero, one a row.

    table: indexed by what is compared, with columns mean, low, high, in points. A filled
    mark is clear of zero, an open one is not.
    """
    ax = new_axes(ax, (7.5, 0.45 * len(table) + 1.4))
    places = np.arange(len(table))[::-1]
    words = []
    for place, (name, row) in zip(places, table.iterrows(), strict=True):
        clear = row["low"] > 0 or row["high"] < 0
        reach = [[row["mean"] - row["low"]], [row["high"] - row["mean"]]]
        face = "#0072B2" if clear else "white"
        ax.errorbar(row["mean"], place, xerr=reach, fmt="o", capsize=4, color="#0072B2",
                    markerfacecolor=face)  # fmt: skip
        words.append(f"{name} {row['mean']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}]")
    ax.axvline(0, color="black", linestyle=":", linewidth=1)
    ax.set(yticks=places, yticklabels=table.index, xlabel=xlabel, title=title)
    ax.set_ylim(-0.6, len(table) - 0.4)
    ax.grid(axis="y", visible=False)
    return describe(ax, f"{title or xlabel}: {'; '.join(words)}.")


def _short(number: float) -> str:
    """Write a number with two decimals, or as a power of ten if these would be zeros."""
    return f"{number:.1e}" if 0 < abs(number) < 0.005 else f"{number:.2f}"


def _check_filled(what: str, values: Mapping[str, Sequence]) -> None:
    """Raise ValueError for nothing to draw, or a name without values."""
    if not values:
        raise ValueError(f"no {what} were given to draw")
    for name, each in values.items():
        if len(each) == 0:
            raise ValueError(f"{name!r} has no {what} to draw")


def _number(row: pd.Series, unit: str) -> str:
    interval = "" if np.isnan(row["low"]) else f" [{row['low']:.2f}, {row['high']:.2f}]"
    return f"{row['mean']:.2f}{unit}{interval}"
