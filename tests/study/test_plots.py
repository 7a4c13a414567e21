"""The chart of accuracy against cost says what it shows, and no name covers another."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from mnistkit.metrics import prediction_interval
from mnistkit.study import plots
from mnistkit.utils.figures import alt_text
from tests.figures import figure_tests

pytestmark = pytest.mark.usefixtures("close_figures")

COSTS = pd.DataFrame(
    {"mean": [0.985, 0.91], "low": [0.984, 0.9], "high": [0.986, 0.92], "seconds": [60.0, 2.5]},
    index=["V2", "V0"],
)

FIGURES = {
    "tradeoff": (
        lambda ax=None: plots.plot_tradeoff(COSTS, "seconds", xlabel="seconds", ax=ax),
        "seconds; seconds: V0 91.00 % at 2.5; V2 98.50 % at 60.0.",
    ),
}  # fmt: skip


(
    test_figure_says_what_it_shows,
    test_figure_is_drawn_where_it_is_told,
    test_every_plot_function_is_among_the_figures,
) = figure_tests(plots, FIGURES)


def test_better_models_stand_higher_and_dearer_ones_further_right():
    _, (ax, beside) = plt.subplots(1, 2, sharey=True)
    for panel in (ax, beside):  # two panels of one scale must not turn each other over
        plots.plot_tradeoff(COSTS, "seconds", xlabel="seconds", ax=panel)
    ax.figure.canvas.draw()
    cheap, dear = (ax.transData.transform(point) for point in ((2.5, 9.0), (60.0, 1.5)))
    assert dear[0] > cheap[0]
    assert dear[1] > cheap[1]


def test_names_of_neighbours_do_not_cover_each_other():
    means = np.array([0.98, 0.9801, 0.9799, 0.9])
    close = pd.DataFrame(
        {"mean": means, "low": means - 0.01, "high": means + 0.01, "seconds": [10, 10.1, 11, 1]},
        index=["one model", "another", "a third", "far away"],
    )
    ax = plots.plot_tradeoff(close, "seconds", xlabel="seconds")
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert len(boxes) == 4
    for place, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:place])


def test_each_row_shows_runs_intervals_and_the_published_number():
    values = [0.940, 0.941, 0.942]
    rows = {"C1": (values, 0.9459, prediction_interval(values)),
            "C2": (values, 0.95, prediction_interval(values))}  # fmt: skip
    figure = plots.draw_published(rows, title="Runs")
    assert alt_text(figure) == (
        "C1: 3 runs, mean 94.10 [93.85, 94.35], one more [93.60, 94.60]; published 94.59, inside. "
        "C2: 3 runs, mean 94.10 [93.85, 94.35], one more [93.60, 94.60]; published 95.00, outside."
    )
    line = figure.axes[1].lines[-1]
    assert line.get_xdata()[0] == pytest.approx(95.0)
    low, high = figure.axes[1].get_xlim()
    assert low < 93.6 < 95.0 < high
