"""Charts of trust: reliability, and accuracy under corruptions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mnistkit.charts import DASHES, MARKS
from mnistkit.utils.figures import alt_text, describe, new_axes


def plot_reliability(
    tables: Mapping[str, pd.DataFrame], *, title: str = "", ax: Axes | None = None
) -> Axes:
    """Draw how often a model is right against how sure it says it is; the diagonal is ideal.

    tables: columns confidence, accuracy, low, high, count, by name of the model, as
        `calibration.reliability` gives. A mark is as large as its bin is full.
    """
    ax, words = new_axes(ax, (7.5, 5)), []
    ax.plot([0, 100], [0, 100], ":", color="black", linewidth=1)
    for place, (name, table) in enumerate(tables.items()):
        x, y, low, high = (100 * table[c] for c in ("confidence", "accuracy", "low", "high"))
        line = ax.errorbar(x, y, np.clip([y - low, high - y], 0, None), capsize=2, label=name,
                           linestyle=DASHES[place % 4], linewidth=1)  # fmt: skip
        sizes = 12 + 90 * np.sqrt(table["count"] / table["count"].sum())
        ax.scatter(x, y, sizes, marker=MARKS[place], color=line[0].get_color(), zorder=3)
        gap = float(((y - x) * table["count"]).sum() / table["count"].sum())
        side = "less" if gap > 0 else "more"
        words.append(f"{name} is on average {abs(gap):.2f} points {side} sure than right")
    ax.set(
        xlabel="probability given to the answer in %",
        ylabel="right in %",
        xlim=(0, 102),
        ylim=(0, 102),
    )
    ax.set(title=title or "Reliability")
    ax.legend(loc="upper left", bbox_to_anchor=(1.02, 1))  # beside it: marks may lie anywhere
    return describe(ax, f"{ax.get_title()}: {'; '.join(words)}.")


def plot_corruption(
    table: pd.DataFrame, *, xlabel: str, title: str = "", ax: Axes | None = None
) -> Axes:
    """Draw accuracy against strength, a line a model; without a legend, see `plot_corruptions`.

    table: indexed by strength, a column of fractions a model.
    """
    ax = new_axes(ax)
    for place, name in enumerate(table.columns):
        ax.plot(table.index, 100 * table[name], DASHES[place % 4], label=name, linewidth=1.4,
                marker=MARKS[place % len(MARKS)], markersize=4)  # fmt: skip
    ax.set(xlabel=xlabel, ylabel="test accuracy in %", title=title, ylim=(0, 102))
    if table.index[0] > table.index[-1]:
        ax.invert_xaxis()  # from none at the left to strong at the right
    last = 100 * table.iloc[-1]
    return describe(
        ax,
        f"{title or xlabel} of {table.index[-1]:g}: best {last.idxmax()} with {last.max():.0f} %, "
        f"worst {last.idxmin()} with {last.min():.0f} %.",
    )


def plot_corruptions(
    tables: Mapping[str, pd.DataFrame],
    units: Mapping[str, str],
    *,
    columns: int = 3,
    ax: Axes | None = None,
) -> Axes:
    """Draw a panel a corruption, with one legend for all.

    tables: as in `plot_corruption`, by name of the corruption. units: of its strength.
    """
    rows = -(-len(tables) // columns)
    inches = 2.9 * rows + 0.9
    ax = new_axes(ax, (3.6 * columns, inches))
    ax.set_axis_off()
    height = (1 - 0.9 / inches) / rows  # of a panel; the rest is for the legend
    panels = []
    for place, (name, table) in enumerate(tables.items()):
        row, column = divmod(place, columns)
        box = [column / columns, 1 - (row + 0.78) * height, 0.82 / columns, 0.66 * height]
        panel = plot_corruption(table, xlabel=units[name], title=name, ax=ax.inset_axes(box))
        panel.set_ylabel("right in %" if column == 0 else "")
        panels.append(panel)
    lines, names = panels[0].get_legend_handles_labels()
    ax.legend(lines, names, loc="lower center", ncols=min(6, len(names)), fontsize=8)
    return describe(ax, " ".join(alt_text(panel) for panel in panels))
