"""What is asserted of every figure: it says in words what it shows, and draws where it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import combinations
from types import ModuleType

import matplotlib as mpl
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from mnistkit.utils.figures import alt_text

mpl.use("Agg")

MATRIX = torch.diag(torch.full((10,), 95))
MATRIX[4, 9], MATRIX[9, 4] = 12, 5


def figure_tests(module: ModuleType, figures: dict[str, tuple[Callable[..., Axes], str]]):
    """The tests that every room of figures has; each figure is how it is drawn, and its words."""

    @pytest.mark.parametrize("name", figures)
    def says(name):
        assert_says(*figures[name])

    @pytest.mark.parametrize("name", figures)
    def is_drawn(name):
        assert_draws_where_it_is_told(figures[name][0])

    def all_are_there():
        assert_all_are_drawn(module, figures.values())

    return says, is_drawn, all_are_there


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
