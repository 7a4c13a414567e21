"""Charts of sweeps: a hyper-parameter, and two factors together."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mnistkit.charts import DASHES, MARKS
from mnistkit.utils.figures import describe, new_axes


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
    ax, words = new_axes(ax), []
    lines = table.groupby("line", sort=False) if "line" in table else [("", table)]
    for marker, (name, rows) in zip("osD^v", lines, strict=False):
        rows = rows.sort_values("x")
        mean, reach = _percent(rows)
        ax.errorbar(rows["x"], mean, reach, marker=marker, capsize=4, label=name or None)
        best = int(np.nanargmax(mean))
        words.append(
            f"{name or value} best at {rows['x'].iloc[best]:g} with {mean[best]:.2f} %".strip()
        )
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
    ax, words = new_axes(ax), []
    levels = list(dict.fromkeys(table["x"]))
    for place, (name, rows) in enumerate(table.groupby("line", sort=False)):
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


def _percent(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Means, and how far their intervals reach down and up (0 where there is none)."""
    mean, low, high = (100 * rows[c].to_numpy(float) for c in ("mean", "low", "high"))
    return mean, np.nan_to_num(np.abs([mean - low, high - mean]))
