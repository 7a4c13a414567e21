"""Charts that every notebook draws: counts, scores, confusions, curves, training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.ticker import MaxNLocator
from mlxtend.plotting import plot_confusion_matrix as draw_matrix

from mnistkit.metrics import most_confused
from mnistkit.utils.figures import describe, narrow, new_axes
from mnistkit.utils.validation import (
    check_choice,
    check_class_names,
    check_columns,
    check_counts,
    check_labels,
    in_short,
)

# Beyond seven colours a line also needs its own dashes and marks to be told from others.
DASHES = ("-", "--", ":", "-.")
MARKS = "osD^vPX*<>hp"


def plot_class_distribution(
    labels: Mapping[str, Sequence[int]],
    *,
    title: str = "Digits per class",
    ax: Axes | None = None,
) -> Axes:
    """Draw bars of each class's share, one group of bars a split.

    labels: by name, int, N, or a split of digits, whose labels are taken.
    """
    if isinstance(labels, Mapping):
        labels = {name: getattr(each, "labels", each) for name, each in labels.items()}
    _check_filled("labels", labels)
    ax = new_axes(ax)
    width, words = 0.8 / len(labels), []
    for place, (name, values) in enumerate(labels.items()):
        counts = np.bincount(check_labels(values, f"labels of {name!r}").numpy(), minlength=10)
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
    matrix,
    *,
    classes: Sequence[str] = "0123456789",
    title: str = "Confusion matrix",
    ax: Axes | None = None,
) -> Axes:
    """Draw a 10 x 10 confusion matrix, rows true, with mlxtend.

    The colour scale ends at the largest error, not at the diagonal, so that a model
    of 99 % still shows what it confuses. matrix: as `metrics.confusion_matrix` gives.
    classes: the names of the ten classes, as in `Digits.class_names`. Raises ValueError for a
    matrix or names that are not of ten classes.
    """
    import torch

    counts = np.asarray(matrix)
    if counts.shape != (10, 10):
        raise ValueError(
            f"the matrix is {counts.shape}, expected 10 x 10, as confusion_matrix gives"
        )
    check_counts(torch.from_numpy(counts))
    longest = max(map(len, check_class_names(classes)))
    errors = counts - np.diag(counts.diagonal())
    ax = new_axes(ax, (7, 7))
    # Saturating norm: every diagonal cell is darkest, so its white digits stay readable.
    norm = PowerNorm(0.6, vmin=0, vmax=max(int(errors.max()), 1), clip=True)
    current = plt.gca() if plt.get_fignums() else None
    plt.sca(ax)  # mlxtend sets labels and ticks on the current axes
    with np.errstate(invalid="ignore"):  # of a class that did not occur there are no shares
        draw_matrix(counts, figure=ax.figure, axis=ax, norm_colormap=norm,
                    class_names=list(classes))  # fmt: skip
    if current is not None:
        plt.sca(current)
    for text in ax.texts:
        column, row = (round(v) for v in text.get_position())
        text.set_color("white" if norm(counts[row, column]) > 0.6 else "black")
        text.set_fontsize(10)
    ax.tick_params(axis="x", labelrotation=0 if longest < 3 else 90)
    ax.set(title=title, xlabel="predicted class", ylabel="true class")
    pairs = most_confused(torch.from_numpy(counts), top=3)
    listed = ", ".join(
        f"{classes[p.true]} as {classes[p.predicted]}, {p.count} times"
        for p in pairs.itertuples(index=False)
    )
    right, total = counts.diagonal().sum(), counts.sum()
    share = f"{right:,} of {total:,} right ({100 * right / max(total, 1):.2f} %)"
    return describe(ax, f"{title}: {share}; most confused: {listed or 'nothing'}.")


def plot_comparison(
    scores: pd.DataFrame,
    *,
    value: str = "accuracy",
    percent: bool = True,
    runs: Mapping[str, Sequence[float]] | None = None,
    sort: bool = False,
    title: str = "Models compared",
    ax: Axes | None = None,
) -> Axes:
    """Draw a dot a model with its 95 % interval, the value written beside it.

    scores: indexed by name, with columns mean, low, high (as `summarize` gives); without
    low and high, or where they are NaN, no interval is drawn. percent: they are fractions,
    and the axis ends at 0 and 100 %. runs: by name, the score of each run, drawn as small
    dots. sort: the best on top, in place of the order of the rows.
    """
    if not isinstance(scores, pd.DataFrame) or scores.empty or "mean" not in scores:
        raise ValueError("there are no scores to compare: expected rows with a column mean")
    if runs is not None and not isinstance(runs, Mapping):
        raise ValueError(f"runs is {in_short(runs)}, expected the scores of each by name: "
                         '{"V2": [0.98, 0.97]}')  # fmt: skip
    scale, unit = (100, " %") if percent else (1, "")
    if scores.index.has_duplicates:
        twice = scores.index[scores.index.duplicated()][0]
        raise ValueError(f"{twice!r} stands in the scores twice: a name is one row")
    table = scores.reindex(columns=["mean", "low", "high"]).astype(float) * scale
    if not np.isfinite(table["mean"]).any():
        raise ValueError("no score is a number: did all runs diverge?")
    if percent and table["mean"].max() > 100.001:
        raise ValueError(f"a score is {scores['mean'].max():g}, expected a share such as 0.97; "
                         "percent=False draws numbers as they are")  # fmt: skip
    if sort:
        table = table.sort_values("mean", ascending=False)
    single = {name: scale * np.asarray(each, dtype=float) for name, each in (runs or {}).items()}
    _check_runs(single, table.index)
    own, ax = ax is None, new_axes(ax, (7, (0.9 if single else 0.42) * len(table) + 1.2))
    places = dict(zip(table.index, np.arange(len(table))[::-1], strict=True))
    for name, row in table.iterrows():
        place = places[name] + (0.2 if single else 0)
        ax.plot([row["low"], row["high"]], [place, place], "|-", color="#0072B2", clip_on=True)
        ax.plot(row["mean"], place, "o", color="#0072B2", markersize=7, clip_on=False)
        ax.annotate(f"{row['mean']:.2f}{unit}", (1.02, place), va="center",
                    xycoords=ax.get_yaxis_transform())  # fmt: skip
    ax.set(yticks=[*places.values()], yticklabels=table.index, title=title)
    ax.set(xlabel=f"{value}{f' in{unit}' if unit else ''}", ylim=(-0.6, len(table) - 0.4))
    ax.set_xlim(_room(np.concatenate([table.to_numpy().ravel(), *single.values()]), percent))
    ax.tick_params(axis="y", length=0)
    if own:
        narrow(ax)
    for name, each in single.items():
        _plot_swarm(ax, each, top=places[name] + 0.05)
    words = "; ".join(f"{n} {_number(r, unit)}" for n, r in table.iterrows())
    ends = [end for each in single.values() for end in (each.min(), each.max())]
    spread = f", single runs from {min(ends):.2f} to {max(ends):.2f}{unit}" if ends else ""
    return describe(ax, f"{title}{spread}: {words}.")


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
        if len(values) != len(x):
            raise ValueError(f"{name!r} has {len(values)} values for {len(x)} of x")
        ax.plot(x, values, DASHES[place % 4], label=name)
        words.append(f"{name} from {_short(values[0])} to {_short(values[-1])}")
    for name, height in (levels or {}).items():
        ax.axhline(height, color="black", linestyle=":", linewidth=1)
        beside = ax.get_yaxis_transform()  # x in parts of the axes, y in numbers
        ax.text(1.01, height, f"{name} {height:.2f}", va="center", transform=beside)
        words.append(f"{name} at {height:.2f}")
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    whole = (x == x.round()).all()
    if whole:  # there is no layer 1.5
        ax.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    ax.legend()
    first, last = (f"{end:,.0f}" if whole else _short(end) for end in x[[0, -1]])
    ends = f"{xlabel} from {first} to {last}"
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
    for name, each in values.items():
        if not np.isfinite(np.asarray(each, dtype=float)).all():
            raise ValueError(f"{name!r} holds values that are no numbers")
    every = np.concatenate([np.asarray(v, dtype=float) for v in values.values()])
    try:
        edges = np.histogram_bin_edges(every, bins)
    except (TypeError, ValueError) as error:
        raise ValueError(f"bins is {in_short(bins)}, expected how many, or edges") from error
    if outside := int(((every < edges[0]) | (every > edges[-1])).sum()):
        raise ValueError(f"{outside} values lie outside of the bins, {edges[0]:g} to {edges[-1]:g}")
    ax = new_axes(ax)
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

    frames: what `fit` returned, or its `frame`, or several by name. value: "loss" or "accuracy".
    """
    if isinstance(frames, list | tuple):
        raise ValueError("frames are in a list: give them by name, {'first': history}")
    frames = frames if isinstance(frames, Mapping) else {"": frames}
    frames = {name: getattr(frame, "frame", frame) for name, frame in frames.items()}
    for frame in frames.values():
        if not isinstance(frame, pd.DataFrame):
            raise ValueError(f"{in_short(frame)} is no history: give what `fit` returned")
        if frame.empty:
            raise ValueError("the history is empty: no epoch was finished")
    known = {column.partition("_")[2] for frame in frames.values() for column in frame
             if column.startswith(("train_", "validation_"))}  # fmt: skip
    check_choice("value of a history", value, known)
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
    """Draw differences with their intervals around a line at zero, one a row, its mean beside it.

    table: indexed by what is compared, with columns mean, low, high, in points. A filled
    mark is clear of zero, an open one is not.
    """
    check_columns(table, ["mean", "low", "high"])
    if ((table["low"] > table["mean"]) | (table["mean"] > table["high"])).any():
        raise ValueError("a mean lies outside of its interval")
    own, ax = ax is None, new_axes(ax, (6, 0.42 * len(table) + 1.2))
    places = np.arange(len(table))[::-1]
    words = []
    for place, (name, row) in zip(places, table.iterrows(), strict=True):
        clear = row["low"] > 0 or row["high"] < 0
        reach = [[row["mean"] - row["low"]], [row["high"] - row["mean"]]]
        face = "#0072B2" if clear else "white"
        ax.errorbar(row["mean"], place, xerr=reach, fmt="o", capsize=4, color="#0072B2",
                    markerfacecolor=face)  # fmt: skip
        ax.annotate(f"{row['mean']:+.2f}".replace("-", "\N{MINUS SIGN}"), (1.02, place),
                    xycoords=ax.get_yaxis_transform(), va="center")  # fmt: skip
        words.append(f"{name} {row['mean']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}]")
    ax.axvline(0, color="black", linestyle=":", linewidth=1)
    ax.set(yticks=places, yticklabels=table.index, xlabel=xlabel, title=title)
    ax.set_ylim(-0.6, len(table) - 0.4)
    ax.grid(axis="y", visible=False)
    if own:
        narrow(ax)
    return describe(ax, f"{title or xlabel}: {'; '.join(words)}.")


def _short(number: float) -> str:
    """Write a number with two decimals, or as a power of ten if these would be zeros."""
    return f"{number:.1e}" if 0 < abs(number) < 0.005 else f"{number:.2f}"


def _check_filled(what: str, values: Mapping[str, Sequence]) -> None:
    """Raise ValueError for nothing to draw, or a name without values."""
    if not isinstance(values, Mapping):
        raise ValueError(f"{what} are a {type(values).__name__}: give them by name, {{'a': ...}}")
    if not values:
        raise ValueError(f"no {what} were given to draw")
    for name, each in values.items():
        if len(each) == 0:
            raise ValueError(f"{name!r} has no {what} to draw")


def _check_runs(runs: Mapping[str, np.ndarray], names: pd.Index) -> None:
    """Raise ValueError for runs of something that has no score, or a name without runs."""
    if unknown := [name for name in runs if name not in names]:
        raise ValueError(f"there are runs of {unknown[0]!r}, and no score: scores are of "
                         f"{', '.join(map(str, names))}")  # fmt: skip
    if runs:
        _check_filled("runs", runs)


def _plot_swarm(ax: Axes, values: np.ndarray, *, top: float, size: float = 2.6) -> None:
    """Draw small dots below a height, side by side where they would cover each other.

    The limits of the axes have to be set: they say what covers what. size: in points.
    """
    points = 72 / ax.figure.dpi * ax.transData.transform([(x, top) for x in values])
    unit = 72 / ax.figure.dpi * (ax.transData.transform((0, 1)) - ax.transData.transform((0, 0)))[1]
    below = _dodge(points[:, 0], size, room=0.55 * unit)
    ax.plot(values, top - below / unit, "o", color="#767676", markersize=size,
            markeredgewidth=0, clip_on=False)  # fmt: skip


def _dodge(places: np.ndarray, size: float, room: float) -> np.ndarray:
    """How far down each dot goes, from 0 to `room`, so that none touches another.

    If there is no room left, a dot lies in the middle, over others.
    """
    steps, down = np.arange(0, room, size / 4), np.zeros(len(places))
    done: list[int] = []
    for each in np.argsort(places, kind="stable"):
        apart = (places[done] - places[each]) ** 2 + (down[done] - steps[:, None]) ** 2
        free = steps[(apart >= size**2).all(axis=1)]
        down[each] = free[0] if len(free) else room / 2
        done.append(each)
    return down


def _room(values: np.ndarray, percent: bool) -> tuple[float, float]:
    """Ends of an axis that shows all values, and, in percent, nothing that cannot be."""
    low, high = np.nanmin(values), np.nanmax(values)
    margin = max(0.06 * (high - low), 1e-3 * abs(high), 1e-9)
    ends = low - margin, high + margin
    return (max(0.0, ends[0]), min(100.0, ends[1])) if percent else ends


def _number(row: pd.Series, unit: str) -> str:
    interval = "" if np.isnan(row["low"]) else f" [{row['low']:.2f}, {row['high']:.2f}]"
    return f"{row['mean']:.2f}{unit}{interval}"
