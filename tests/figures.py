"""What is asserted of every figure: it says in words what it shows, and draws where it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import combinations
from types import ModuleType

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.spines import Spine
from matplotlib.text import Text

from mnistkit.utils.figures import alt_text
from tests.kept import assert_as_kept, rounded

mpl.use("Agg")

MATRIX = torch.diag(torch.full((10,), 95))
MATRIX[4, 9], MATRIX[9, 4] = 12, 5


def figure_tests(
    module: ModuleType,
    figures: dict[str, tuple[Callable[..., Axes], str]],
    others: dict[str, Callable[[], Axes]],
):
    """The tests that every room of figures has; each figure is how it is drawn, and its words.

    others: figures with other options; like the first they stay as they are kept.
    """
    everything = {name: draw for name, (draw, _) in figures.items()} | others

    @pytest.mark.parametrize("name", figures)
    def says(name):
        assert_says(*figures[name])

    @pytest.mark.parametrize("name", figures)
    def is_drawn(name):
        assert_draws_where_it_is_told(figures[name][0])

    def all_are_there():
        assert_all_are_drawn(module, figures.values())

    @pytest.mark.parametrize("name", everything)
    def stays(name):
        room = module.__name__.partition(".")[2]
        kept = f"{room}-{name}".replace(".", "-").replace(" ", "-")
        assert_as_kept(kept, drawn(everything[name]().figure))

    return says, is_drawn, all_are_there, stays


def assert_says(draw: Callable[..., Axes], words: str) -> None:
    ax = draw()
    assert isinstance(ax, Axes)
    assert alt_text(ax) == words
    assert words in alt_text(ax.figure)


def assert_draws_where_it_is_told(draw: Callable[..., Axes]) -> None:
    _, (other, mine) = plt.subplots(1, 2)
    open_figures = plt.get_fignums()
    assert draw(ax=mine) is mine
    assert plt.get_fignums() == open_figures, "no second figure is opened"
    assert not other.has_data()


def assert_all_are_drawn(module: ModuleType, figures: Iterable[tuple[Callable, str]]) -> None:
    """Each plot function of a module is called by one of the figures, and by one only."""
    functions = [name for name, value in vars(module).items()
                 if name.startswith("plot_") and value.__module__ == module.__name__]  # fmt: skip
    called = [name for draw, _ in figures for name in draw.__code__.co_names
              if name.startswith("plot_")]  # fmt: skip
    assert sorted(called) == sorted(functions)


def overlapping_texts(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts of a figure that are drawn over each other."""
    figure.canvas.draw()
    hidden = {text for ax in figure.findobj(Axes) if not ax.axison for axis in (ax.xaxis, ax.yaxis)
              for text in axis.findobj(Text)}  # fmt: skip
    shown = [text for text in figure.findobj(Text) if text.get_visible() and text not in hidden]
    boxes = [(text.get_text(), text.get_window_extent()) for text in shown if text.get_text()]
    return [(a, b) for (a, box), (b, other) in combinations(boxes, 2) if box.overlaps(other)]


# --- what is drawn, in words ----------------------------------------------------------------


def drawn(figure: Figure) -> str:
    """Each artist of a figure with its numbers and colours, in the order in which it is drawn."""
    figure.canvas.draw()
    lines = [f"figure {rounded(figure.get_size_inches())}"]
    lines += [f"text {_text(text)}" for text in figure.texts]
    for ax in figure.axes:
        lines += _axes(ax, "")
    return "\n".join(lines)


def _axes(ax: Axes, indent: str) -> list[str]:
    shown = [ax.get_title(), ax.get_xlabel(), ax.get_ylabel()]
    lines = [f"axes {rounded(ax.get_position().bounds)} {shown}"]
    if ax.axison:
        for axis in (ax.xaxis, ax.yaxis):
            labels = [label.get_text() for label in axis.get_ticklabels()]
            grid = axis.get_gridlines()[0].get_visible() if axis.get_gridlines() else None
            lines.append(f"{axis.axis_name} {axis.get_scale()} grid {grid} "
                         f"{rounded(axis.get_view_interval())} {labels}")  # fmt: skip
    for child in ax.get_children():
        if isinstance(child, Axes):
            lines += _axes(child, indent + "  ")
        elif not isinstance(child, Spine) and child is not ax.patch and (words := _artist(child)):
            lines.append(words)
    return [indent + line for line in lines]


def _artist(artist: Artist) -> str:
    if isinstance(artist, Line2D):
        style = (artist.get_linestyle(), artist.get_marker(), artist.get_label(),
                 to_hex(artist.get_color()), to_hex(artist.get_markerfacecolor()))  # fmt: skip
        return (f"line {style} {rounded((artist.get_linewidth(), artist.get_markersize()))} "
                f"at {rounded(np.ravel(artist.get_xydata().astype(float)))}")  # fmt: skip
    if isinstance(artist, Text):
        return f"text {_text(artist)}" if artist.get_text() else ""
    if isinstance(artist, Patch):
        box = artist.get_path().transformed(artist.get_patch_transform()).get_extents().bounds
        colors = to_hex(artist.get_facecolor(), True), to_hex(artist.get_edgecolor(), True)
        return f"patch {type(artist).__name__} {colors} {artist.get_hatch()} {rounded(box)}"
    if isinstance(artist, AxesImage):
        pixels = np.ma.getdata(artist.get_array()).astype(float)
        values = pixels.sum(), pixels.std(), *artist.get_clim(), *artist.get_extent()
        return f"image {pixels.shape} {artist.get_cmap().name} {rounded(values)}"
    if isinstance(artist, Collection):
        places = [np.ravel(path.vertices) for path in artist.get_paths()]
        colors = [to_hex(color, True) for color in artist.get_facecolor()[:3]]
        return (f"{type(artist).__name__} {colors} {rounded(np.ravel(artist.get_offsets()))} "
                f"{rounded(np.concatenate(places) if places else [])}")  # fmt: skip
    if isinstance(artist, Legend):
        labels = [text.get_text() for text in artist.get_texts()]
        return f"legend {labels} {artist._ncols} at {artist._get_loc()}"
    return ""


def _text(text: Text) -> str:
    look = text.get_color(), text.get_ha(), text.get_va(), text.get_rotation()
    place = *text.get_position(), text.get_fontsize()
    return f"{text.get_text()!r} {look} {rounded(map(float, place))}"
