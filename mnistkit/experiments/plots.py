"""Charts of sweeps: a factor, two, all means of a grid; and of classes while one trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mnistkit.charts import DASHES, MARKS
from mnistkit.utils.figures import describe, new_axes
from mnistkit.utils.validation import check_columns


def plot_sweep(
    table: pd.DataFrame,
    *,
    xlabel: str,
    value: str = "validation accuracy",
    log: bool = False,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw mean and 95 % interval against a hyper-parameter, in percent.

    table: columns x, mean, low, high, and optionally line: one line for each of its values.
    """
    _check_lines(table)
    numbers = pd.api.types.is_numeric_dtype(table["x"])
    if log and not numbers:
        raise ValueError("log needs numbers for x, and the table has words")
    ax, words = new_axes(ax), []
    lines = _by_line(table) if "line" in table else [("", table)]
    for place, (name, rows) in enumerate(lines):
        rows = rows.sort_values("x") if numbers else rows  # words keep their order
        mean, reach = _percent(rows)
        ax.errorbar(
            rows["x"],
            mean,
            reach,
            marker=MARKS[place % len(MARKS)],
            capsize=4,
            linestyle=DASHES[place // 7 % 4],
            label=name or None,
        )
        if np.isnan(mean).all():
            words.append(f"{name or value} diverged".strip())
            continue
        best = int(np.nanargmax(mean))
        where = rows["x"].iloc[best]
        where = where if isinstance(where, str) else f"{where:g}"
        words.append(f"{name or value} best at {where} with {mean[best]:.2f} %".strip())
    if log:
        ax.set_xscale("log")
    ax.set(xlabel=xlabel, ylabel=f"{value} in %", title=title)
    if "line" in table:
        ax.legend()
    return describe(ax, f"{title or xlabel}: {'; '.join(words)}.")


def plot_interaction(
    table: pd.DataFrame,
    *,
    xlabel: str,
    line: str = "",
    value: str = "validation accuracy",
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw means at the levels of one factor, a line for each level of another, in percent.

    Lines that run side by side: the factors do not depend on each other. table: columns x,
        line, mean, low, high, as `anova.interaction` gives. line: name of its factor.
    """
    _check_lines(table, "line")
    ax, words = new_axes(ax), []
    levels = list(dict.fromkeys(table["x"]))
    for place, (name, rows) in enumerate(_by_line(table)):
        rows = rows.set_index("x").reindex(levels)
        mean, reach = _percent(rows)
        ax.errorbar(range(len(levels)), mean, reach, linestyle=DASHES[place % 4], capsize=4,
                    marker=MARKS[place % len(MARKS)], label=str(name))  # fmt: skip
        seen = ", ".join(f"{m:.2f} at {x}" for x, m in zip(levels, mean, strict=True))
        words.append(f"{line} {name}: {seen}".strip())
    ax.set(xticks=range(len(levels)), xticklabels=levels, xlabel=xlabel)
    ax.set(ylabel=f"{value} in %", title=title)
    ax.margins(x=0.15)
    ax.legend(title=line or None)
    return describe(ax, f"{title or xlabel}, mean {value} in %: {'; '.join(words)}.")


def draw_class_maps(
    shares: Mapping[str, np.ndarray], batches: Sequence[int], *, title: str = ""
) -> Figure:
    """Draw for each run a map of classes against batches, coloured by a share from 0 to 1.

    shares: by the name of a run, looks x classes. batches: how many came before each look.
    White is 0, dark is 1.
    """
    figure, axes = plt.subplots(
        len(shares), 1, figsize=(7, 1.7 * len(shares) + 0.8), sharex=True, layout="constrained"
    )
    for ax, (name, share) in zip(np.atleast_1d(axes), shares.items(), strict=True):
        share = np.asarray(share, dtype=float)
        step = batches[-1] - batches[-2] if len(batches) > 1 else 1
        edges = np.append(batches, batches[-1] + step)
        mesh = ax.pcolormesh(
            edges, np.arange(share.shape[1] + 1) - 0.5, share.T, vmin=0, vmax=1, cmap="Blues"
        )
        ax.set(ylabel="class", title=name, yticks=range(0, share.shape[1], 3))
        ax.invert_yaxis()
        ax.grid(visible=False)
        at_zero = (np.flatnonzero(share[k] < 0.05).tolist() for k in (len(share) // 2, -1))
        halfway, end = (", ".join(map(str, classes)) or "none" for classes in at_zero)
        describe(ax, f"{name}: classes near 0 halfway {halfway}; at the end {end}.")
    ax.set_xlabel("batch")
    figure.colorbar(mesh, ax=axes, label="share of own digits above 0", shrink=0.6)
    figure.suptitle(title)
    return figure


def plot_heatmap(
    table: pd.DataFrame,
    *,
    value: str = "validation accuracy",
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw means as a table of coloured cells, each with its number, in percent.

    table: shares from 0 to 1, a row and a column for each level (or pair of levels, if its
    index or columns have two). The colours reach from its smallest mean to its largest, so
    two charts have each a scale of their own. Raises ValueError if there is nothing to draw.
    """
    try:
        means = 100 * table.to_numpy(float)
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError("a heat map needs a table of means: as in runs.pivot_table(value, row, "
                         "column)") from error  # fmt: skip
    if not np.isfinite(means).any():
        raise ValueError("there are no means to draw: expected a table of shares")
    ax = new_axes(ax, (1.5 * means.shape[1] + 1.5, 0.55 * means.shape[0] + 1.5))
    low, high = np.nanmin(means), np.nanmax(means)
    ax.imshow(means, cmap="Blues", vmin=low, vmax=high + 1e-9, aspect="auto")
    names = [[_level(level) for level in levels] for levels in (table.index, table.columns)]
    words = []
    for (row, column), mean in np.ndenumerate(means):
        color = "white" if mean > (low + high) / 2 else "black"
        ax.text(column, row, f"{mean:.2f}", ha="center", va="center", color=color)
        words.append(f"{names[0][row]}, {names[1][column]} {mean:.2f}")
    ax.set(xticks=range(len(names[1])), xticklabels=names[1], title=title)
    ax.set(yticks=range(len(names[0])), yticklabels=names[0])
    ax.set(xlabel=_factor(table.columns), ylabel=_factor(table.index))
    ax.grid(visible=False)
    return describe(ax, f"{title or 'Means'}, {value} in %: {'; '.join(words)}.")


def _check_lines(table: pd.DataFrame, *more: str) -> None:
    try:
        check_columns(table, ["x", *more, "mean", "low", "high"])
    except ValueError as error:
        raise ValueError(f"{error}; x is the hyper-parameter's value, and mean, low, high are "
                         "those of `summarize`") from error  # fmt: skip


def _by_line(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each line, by its name in a word; None is one, too."""
    groups = table.groupby("line", sort=False, dropna=False)
    return [("None" if pd.isna(name) else str(name), rows) for name, rows in groups]


def _level(level: object) -> str:
    return ", ".join(map(str, level)) if isinstance(level, tuple) else str(level)


def _factor(levels: pd.Index) -> str:
    """Name of the factor, or of both, on an axis; "" if it has none."""
    return ", ".join(str(name) for name in levels.names if name is not None)


def _percent(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Means, and how far their intervals reach down and up (0 where there is none)."""
    mean, low, high = (100 * rows[c].to_numpy(float) for c in ("mean", "low", "high"))
    return mean, np.nan_to_num(np.abs([mean - low, high - mean]))
