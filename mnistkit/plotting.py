"""Every figure of the series.

Each function draws plain arrays or frames into `ax` (or a new one), describes in words
what it drew, and returns the Axes. `alt_text` gives the words back, `show_figure` puts
figure and words into a notebook.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from weakref import WeakKeyDictionary

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from mlxtend.plotting import plot_confusion_matrix as draw_matrix

from mnistkit.metrics import most_confused
from mnistkit.storage import project_root, write_atomically

RIGHT, WRONG = "#00664B", "#B03A00"  # green and red; the words say it, too
_STYLE = Path(__file__).with_name("mnistkit.mplstyle")
_words: WeakKeyDictionary[Axes, str] = WeakKeyDictionary()


def use_style() -> None:
    """Give matplotlib the look of the series until the end of the session."""
    plt.style.use(_STYLE)


# --- words ------------------------------------------------------------------------------


def alt_text(figure: Axes | Figure) -> str:
    """Describe a figure of this module in words, for those who cannot see it."""
    axes = [figure] if isinstance(figure, Axes) else figure.axes
    return " ".join(_words[ax] for ax in axes if ax in _words)


def show_figure(ax: Axes | Figure, save_as: str | None = None) -> None:
    """Show a figure in the notebook with its alt text, and close it.

    save_as: a file name; the figure is also saved under that name in `figures/`.
    """
    from IPython.display import Image, Markdown, display

    figure = ax if isinstance(ax, Figure) else ax.get_figure(root=True)
    words = alt_text(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Description": words})
    plt.close(figure)
    if save_as:
        with write_atomically(project_root() / "figures" / save_as) as temporary:
            temporary.write_bytes(buffer.getvalue())
    display(Image(buffer.getvalue(), format="png", alt=words))
    display(Markdown(f"*Figure: {words}*"))


def _new_axes(ax: Axes | None, size: tuple[float, float] | None = None) -> Axes:
    if ax is not None:
        return ax
    with plt.style.context(_STYLE):
        return plt.figure(figsize=size).add_subplot()


def _describe(ax: Axes, words: str) -> Axes:
    _words[ax] = words
    return ax


# --- images -----------------------------------------------------------------------------


def plot_image(image, title: str = "", *, color: str = "black", ax: Axes | None = None) -> Axes:
    """Draw one image: H x W or 1 x H x W grey, or 3 x H x W colour, of any numeric type."""
    ax = _new_axes(ax, (2.2, 2.4))
    pixels = np.asarray(image, dtype=float).squeeze()
    if pixels.ndim == 3:
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.ndim not in (2, 3):
        raise ValueError(f"expected one image of 2 or 3 axes, got shape {np.shape(image)}")
    ax.imshow(pixels)
    ax.set_title(title, color=color, fontsize=11)
    ax.set_axis_off()
    return _describe(ax, f"Image{f': {title}' if title else ''}.")


def plot_images(
    images,
    titles: Sequence[str] | None = None,
    *,
    colors: Sequence[str] | None = None,
    columns: int = 8,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw images in a grid, each with a title if given; see `plot_image` for their shape."""
    count = len(images)
    if count == 0:
        raise ValueError("no images were given to draw")
    titles = [""] * count if titles is None else list(titles)
    if len(titles) != count:
        raise ValueError(f"{len(titles)} titles for {count} images")
    colors = ["black"] * count if colors is None else colors
    columns = min(columns, count)
    rows = -(-count // columns)
    height = max(title_text.count("\n") for title_text in titles) * 0.25 + 1.35
    ax = _new_axes(ax, (1.25 * columns, height * rows))
    ax.set_axis_off()
    ax.set_title(title, pad=24 if any(titles) else 6)
    room = 0.72 if any(titles) else 0.94  # of a cell's height; the rest is for its title
    for place, image in enumerate(images):
        row, column = divmod(place, columns)
        box = [column / columns, 1 - (row + 1) / rows, 0.94 / columns, room / rows]
        plot_image(image, titles[place], color=colors[place], ax=ax.inset_axes(box))
    shown = f": {_listed(titles)}" if any(titles) else ""
    return _describe(ax, f"{title or 'Grid'} ({count} images){shown}.")


def _listed(titles: Sequence[str]) -> str:
    """Join titles; neighbours that are the same are counted, not repeated."""
    runs = [(words, len(list(same))) for words, same in groupby(titles)]
    named = [
        f"{count} x {words}" if count > 2 else "; ".join([words] * count) for words, count in runs
    ]
    return "; ".join(named).replace("\n", ", ")


def plot_predictions(
    images,
    labels: Sequence[int],
    predictions: Sequence[int],
    *,
    probabilities: Sequence[float] | None = None,
    columns: int = 3,
    title: str = "Predictions",
    ax: Axes | None = None,
) -> Axes:
    """Draw images titled `Pred: .. | Truth: ..`, green if right, red and "wrong" if not.

    probabilities: of the predicted class, shown in percent if given.
    """
    right = [int(p) == int(t) for p, t in zip(predictions, labels, strict=True)]
    titles = [
        f"Pred: {int(p)} | Truth: {int(t)}\n{'right' if r else 'WRONG'}"
        for p, t, r in zip(predictions, labels, right, strict=True)
    ]
    if probabilities is not None:
        titles = [
            f"{t}, {100 * float(p):.0f} %" for t, p in zip(titles, probabilities, strict=True)
        ]
    colors = [RIGHT if r else WRONG for r in right]
    if ax is None:
        rows = -(-len(titles) // columns)
        ax = _new_axes(None, (2.1 * columns, 2.3 * rows))
    plot_images(images, titles, colors=colors, columns=columns, title=title, ax=ax)
    mistakes = [t.split("\n")[0] for t, r in zip(titles, right, strict=True) if not r]
    listed = f"; wrong: {', '.join(mistakes)}" if mistakes else ""
    return _describe(ax, f"{title}: {sum(right)} of {len(right)} right{listed}.")


def plot_mistakes(
    images, labels, probabilities, *, count: int = 12, title: str = "Worst mistakes", ax=None
) -> Axes:
    """Draw the wrong predictions that the model was surest of.

    probabilities: N x 10. Raises ValueError if every prediction is right.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    predictions = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predictions != labels)
    if wrong.size == 0:
        raise ValueError("every prediction is right: there is no mistake to draw")
    surest = wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")][:count]
    return plot_predictions(
        [images[i] for i in surest],
        labels[surest],
        predictions[surest],
        probabilities=probabilities[surest].max(axis=1),
        columns=6,
        title=f"{title}: {len(surest)} of {wrong.size}",
        ax=ax,
    )


# --- counts and scores --------------------------------------------------------------------


def plot_class_distribution(
    labels: Mapping[str, Sequence[int]],
    *,
    title: str = "Digits per class",
    ax: Axes | None = None,
) -> Axes:
    """Draw bars of each class's share, one group of bars a split."""
    ax = _new_axes(ax)
    width, words = 0.8 / len(labels), []
    for place, (name, values) in enumerate(labels.items()):
        counts = np.bincount(np.asarray(values), minlength=10)
        share = 100 * counts / counts.sum()
        ax.bar(np.arange(10) + (place - (len(labels) - 1) / 2) * width, share, width, label=name)
        low, high = share.argmin(), share.argmax()
        words.append(
            f"{name}: {counts.sum():,} digits, fewest {low} ({share[low]:.1f} %), "
            f"most {high} ({share[high]:.1f} %)"
        )
    ax.axhline(10, color="black", linestyle=":", linewidth=1)
    ax.set(xticks=range(10), xlabel="class", ylabel="share in %", title=title)
    ax.set_ylim(top=1.22 * ax.get_ylim()[1])
    ax.legend(ncols=len(labels), loc="upper center")
    ax.grid(axis="x", visible=False)
    return _describe(ax, f"{title}. {'; '.join(words)}.")


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
    ax, words = _new_axes(ax), []
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
    return _describe(ax, f"{ax.get_title()}: {'; '.join(words)}.")


def plot_confusion_matrix(
    matrix, *, title: str = "Confusion matrix", ax: Axes | None = None
) -> Axes:
    """Draw a 10 x 10 confusion matrix, rows true, with mlxtend.

    The colour scale ends at the largest error, not at the diagonal, so that a model
    of 99 % still shows what it confuses. matrix: as `metrics.confusion_matrix` gives.
    """
    import torch

    counts = np.asarray(matrix)
    errors = counts - np.diag(counts.diagonal())
    ax = _new_axes(ax, (7, 7))
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
    return _describe(ax, f"{title}: {share}; most confused: {listed or 'nothing'}.")


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
    scale = 100 if percent else 1
    unit = " %" if percent else ""
    ax = _new_axes(ax, (7, 0.55 * len(scores) + 1.2))
    table = scores.reindex(columns=["mean", "low", "high"]).astype(float) * scale
    reach = np.abs(table[["low", "high"]].sub(table["mean"], axis=0)).fillna(0).to_numpy().T
    places = np.arange(len(table))[::-1]
    ax.barh(
        places,
        table["mean"],
        xerr=reach,
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
    return _describe(ax, f"{title}: {words}.")


def plot_histogram(
    values: Mapping[str, Sequence[float]],
    *,
    xlabel: str,
    bins: int | Sequence[float] = 20,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw how values spread, one outline a name, on common bins."""
    ax = _new_axes(ax)
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
    return _describe(ax, f"{title or 'Histogram'} of {xlabel}. {'; '.join(words)}.")


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
    ax, words = _new_axes(ax), []
    lines = table.groupby("line", sort=False) if "line" in table else [("", table)]
    for marker, (name, rows) in zip("osD^v", lines, strict=False):
        rows = rows.sort_values("x")
        mean, low, high = (100 * rows[c].to_numpy(float) for c in ("mean", "low", "high"))
        reach = np.nan_to_num(np.abs([mean - low, high - mean]))
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
    return _describe(ax, f"{title or xlabel}: {'; '.join(words)}.")


def _number(row: pd.Series, unit: str) -> str:
    interval = "" if np.isnan(row["low"]) else f" [{row['low']:.2f}, {row['high']:.2f}]"
    return f"{row['mean']:.2f}{unit}{interval}"
