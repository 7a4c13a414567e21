"""Charts of trust: reliability, and accuracy under corruptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mnistkit.utils.figures import alt_text, describe, new_axes
from mnistkit.utils.validation import check_columns, in_short

OTHERS = "#bbbbbb"
# Of the models that are named: colours that differ in grey, too, and marks of their own.
NAMED = (("#D55E00", "o"), ("#0072B2", "s"), ("#000000", "D"), ("#009E73", "^"))


def plot_reliability(
    tables: Mapping[str, pd.DataFrame], *, title: str = "", columns: int = 2, ax: Axes | None = None
) -> Axes:
    """Draw how often models are right against how sure they say they are, a panel a model.

    The diagonal is ideal. tables: columns confidence, accuracy, low, high, count, by name of
        the model, as `calibration.reliability` gives. A mark is as large as its bin is full.
    """
    if not isinstance(tables, Mapping) or not tables:
        raise ValueError(f"tables is {in_short(tables)}, expected those of `reliability` by their "
                         'model: {"V2": reliability(probabilities, labels)}')  # fmt: skip
    for table in tables.values():
        check_columns(table, ["confidence", "accuracy", "low", "high", "count"])
    gaps = {name: _gap(table) for name, table in tables.items()}
    ax = new_axes(ax, (6.2, 3 * -(-len(tables) // columns)))
    panels = _panels(ax, list(tables), columns)
    words = []
    for (name, table), panel in zip(tables.items(), panels, strict=True):
        _plot_bins(table, panel)
        panel.set_title(name + ": " + _how_sure(gaps[name], 1, between="\n"), fontsize=11)
        words.append(f"{name} is on average {_how_sure(gaps[name], 2)}")
    _label_outer(panels, columns, "probability in %", "right in %")
    ax.set_title(title or _who_is_furthest(gaps), pad=40)
    return describe(ax, f"{ax.get_title()}: {'; '.join(words)}.")


def plot_corruption(
    table: pd.DataFrame,
    *,
    xlabel: str,
    named: Sequence[str] | None = None,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw accuracy against strength, a line a model; those that are named stand out.

    table: indexed by strength, a column of fractions a model. named: the models with a colour
    and their name at the line's end, four at most; the first four if None. All others are grey.
    """
    if not isinstance(table, pd.DataFrame) or table.empty:
        raise ValueError(f"{in_short(table)} is no table, expected a row for each strength and a "
                         "column for each model")  # fmt: skip
    looks = _check_named(named, table)
    if not table.notna().all(axis=None):
        raise ValueError("the table has holes (nan): each model needs an accuracy at each strength")
    ax = new_axes(ax)
    for name in table.columns.difference(list(looks), sort=False):
        ax.plot(table.index, 100 * table[name], color=OTHERS, linewidth=1, zorder=1)
    for name, (color, mark) in looks.items():
        ax.plot(table.index, 100 * table[name], marker=mark, color=color, markersize=4,
                linewidth=1.8, clip_on=False)  # fmt: skip
    ax.set(xlabel=xlabel, ylabel="right in %", title=title, ylim=(0, 100))
    ax.margins(x=0.02)
    if table.index[0] > table.index[-1]:
        ax.invert_xaxis()  # from none at the left to strong at the right
    _name_ends(ax, 100 * table[list(looks)].iloc[-1], {n: color for n, (color, _) in looks.items()})
    last = 100 * table.iloc[-1]
    ends = [f"best {last.idxmax()} with {last.max():.0f} %",
            f"worst {last.idxmin()} with {last.min():.0f} %"]  # fmt: skip
    if len(last) == 1:
        ends = [f"{last.index[0]} with {last.max():.0f} %"]
    return describe(ax, f"{title or xlabel} of {table.index[-1]:g}: {', '.join(ends)}.")


def plot_corruptions(
    tables: Mapping[str, pd.DataFrame],
    units: Mapping[str, str],
    *,
    named: Sequence[str] | None = None,
    columns: int = 2,
    title: str = "",
    note: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw a panel a corruption, with the names of some models at the ends of their lines.

    tables: as in `plot_corruption`, by name of the corruption. units: of its strength. named:
    as in `plot_corruption`. note: what else is to be known, below the panels and in the words.
    """
    if not isinstance(tables, Mapping) or not tables:
        raise ValueError(f"tables is {in_short(tables)}, expected tables by corruption: "
                         '{"noise": table}')  # fmt: skip
    if missing := [name for name in tables if name not in units]:
        raise ValueError(f"units has nothing for {missing[0]!r}: what is its strength measured in?")
    if named is None:  # the same in all panels
        named = list(getattr(next(iter(tables.values())), "columns", ())[: len(NAMED)])
    ax = new_axes(ax, (6.2, 2.2 * -(-len(tables) // columns)))
    panels = _panels(ax, list(tables), columns, width=0.54)
    for (name, table), panel in zip(tables.items(), panels, strict=True):
        plot_corruption(table, xlabel=units[name], named=named, title=name, ax=panel)
        panel.title.set_fontsize(12)
        panel.xaxis.label.set_fontsize(10)
    _label_outer(panels, columns, None, "right in %")
    ax.set_title(title or _who_withstands(tables), pad=28)
    if note:
        ax.annotate(note, (0, 0), (0, -42), textcoords="offset points", va="top", fontsize=10,
                    xycoords="axes fraction")  # fmt: skip
    words = " ".join(alt_text(panel) for panel in panels)
    return describe(ax, f"{words} {note}{'.' * bool(note)}".strip())


def _gap(table: pd.DataFrame) -> float:
    """By how many points a model is more often right than it says, on average over digits."""
    points = 100 * (table["accuracy"] - table["confidence"])
    return float(np.average(points, weights=table["count"]))


def _how_sure(gap: float, decimals: int, between: str = " ") -> str:
    """Say what `_gap` found; between: what parts its two halves."""
    if round(abs(gap), decimals) == 0:
        return "as sure as right"
    side = "less" if gap > 0 else "more"
    return f"{abs(gap):.{decimals}f} points{between}{side} sure than right"


def _who_is_furthest(gaps: Mapping[str, float]) -> str:
    """A title that names the model with the largest gap, if there are several to compare."""
    furthest = max(gaps, key=lambda name: abs(gaps[name]))
    if len(gaps) == 1 or abs(gaps[furthest]) < 0.005:
        return "How sure, and how often right"
    return f"{furthest} is the furthest from knowing how sure to be"


def _plot_bins(table: pd.DataFrame, ax: Axes) -> None:
    x, y, low, high = (100 * table[c] for c in ("confidence", "accuracy", "low", "high"))
    ax.plot([0, 100], [0, 100], ":", color="black", linewidth=1)
    ax.errorbar(x, y, np.clip([y - low, high - y], 0, None), fmt="none", linewidth=1, capsize=2)
    sizes = 12 + 90 * np.sqrt(table["count"] / table["count"].sum())
    ax.scatter(x, y, sizes, color="#0072B2", zorder=3, clip_on=False)
    ax.set(xlim=(0, 100), ylim=(0, 100), xticks=(0, 50, 100), yticks=(0, 50, 100))


def _panels(ax: Axes, names: Sequence[str], columns: int, width: float = 0.8) -> list[Axes]:
    """Axes within axes, one a name, row by row; each leaves room for what stands around it."""
    ax.set_axis_off()
    rows = -(-len(names) // columns)
    height = 0.62 / max(rows - 0.38, 1)  # the last one reaches the bottom
    step = height / 0.62
    return [
        ax.inset_axes([column / columns, 1 - row * step - height, width / columns, height])
        for row, column in (divmod(place, columns) for place in range(len(names)))
    ]


def _label_outer(panels: Sequence[Axes], columns: int, xlabel: str | None, ylabel: str) -> None:
    """Label the panels at the left and at the bottom, and no others."""
    for place, panel in enumerate(panels):
        panel.set_ylabel(ylabel if place % columns == 0 else "", fontsize=10)
        if xlabel is not None:
            panel.set_xlabel(xlabel if place + columns >= len(panels) else "", fontsize=10)
        panel.tick_params(labelsize=10, labelleft=place % columns == 0)


def _check_named(named: Sequence[str] | None, table: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Colour and mark of each that the table has; ValueError for more names than colours."""
    named = list(table.columns[: len(NAMED)]) if named is None else list(named)
    if len(named) > len(NAMED):
        raise ValueError(f"{len(named)} models are named, and colours tell {len(NAMED)} apart")
    return {n: look for n, look in zip(named, NAMED, strict=False) if n in table.columns}


def _name_ends(ax: Axes, ends: pd.Series, colors: Mapping[str, str]) -> None:
    """Write each name beside the end of its line, the upper first, none on another."""
    ordered = ends.sort_values(kind="stable")
    for (name, end), height in zip(ordered.items(), _apart(list(ordered), 14), strict=True):
        ax.annotate(name, (ax.get_xlim()[1], end), (1.06, height), color=colors[name], fontsize=10,
                    textcoords=ax.get_yaxis_transform(), va="center")  # fmt: skip


def _apart(heights: Sequence[float], gap: float, top: float = 96) -> list[float]:
    """Move rising heights so little that neighbours are `gap` apart, and none above `top`."""
    moved: list[float] = []
    for height in heights:
        moved.append(max(height, moved[-1] + gap) if moved else max(height, 4))
    for place in reversed(range(len(moved))):
        moved[place] = min(moved[place], top - gap * (len(moved) - 1 - place))
    return moved


def _who_withstands(tables: Mapping[str, pd.DataFrame]) -> str:
    """Say who is best under most of the strongest corruptions, and under which it is worst.

    Alone, or beside another that is as good, it is neither.
    """
    last = pd.DataFrame({name: table.iloc[-1] for name, table in tables.items()})
    best = _alone(last, last.max()).value_counts()
    if len(last) == 1 or best.empty or (best == best.iloc[0]).sum() > 1:
        return "What is right at each strength"
    worst = [kind for kind, name in _alone(last, last.min()).items() if name == best.index[0]]
    words = f"{best.index[0]} withstands {best.iloc[0]} of {len(tables)} best at full strength"
    return words + (f",\nand {' and '.join(worst)} worst" if worst else "")


def _alone(last: pd.DataFrame, extreme: pd.Series) -> pd.Series:
    """By corruption, the one model that has its extreme; without those that several share."""
    shared = last.eq(extreme, axis=1)
    return shared.idxmax()[shared.sum() == 1]
