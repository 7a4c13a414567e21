"""The chart of accuracy against cost says what it shows, and no name covers another."""

from __future__ import annotations

import warnings

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
        "Nothing beats these 2 of 2 models for less; seconds: V0 91.00 % at 2.5; "
        "V2 98.50 % at 60.0. On the line: V0, V2.",
    ),
}  # fmt: skip


(
    test_figure_says_what_it_shows,
    test_figure_is_drawn_where_it_is_told,
    test_every_plot_function_is_among_the_figures,
    test_figure_stays_as_it_was,
) = figure_tests(plots, FIGURES, {})


def test_better_models_stand_higher_and_dearer_ones_further_right():
    _, (ax, beside) = plt.subplots(1, 2, sharey=True)
    for panel in (ax, beside):  # two panels of one scale must not turn each other over
        plots.plot_tradeoff(COSTS, "seconds", xlabel="seconds", ax=panel)
    ax.figure.canvas.draw()
    cheap, dear = (ax.transData.transform(point) for point in ((2.5, 9.0), (60.0, 1.5)))
    assert dear[0] > cheap[0]
    assert dear[1] > cheap[1]


CROWD = pd.DataFrame(
    {"mean": [0.98, 0.9801, 0.9799, 0.9, 0.95, 0.9], "seconds": [10, 10.1, 11, 1, 1, 60]},
    index=["one model", "another", "a third", "far away", "as cheap, better", "dear and bad"],
).assign(low=lambda t: t["mean"] - 0.01, high=lambda t: t["mean"] + 0.01)


def test_the_frontier_holds_what_nothing_beats_for_less():
    assert plots.frontier(CROWD, "seconds") == ["as cheap, better", "one model", "another"]
    assert plots.frontier(CROWD.assign(mean=0.9), "seconds") == ["far away"]


def test_the_frontier_is_a_line_of_steps_through_its_models():
    ax = plots.plot_tradeoff(CROWD, "seconds", xlabel="seconds")
    line = ax.lines[0]
    assert line.get_drawstyle() == "steps-post"
    assert line.get_xdata() == pytest.approx([1, 10, 10.1, ax.get_xlim()[1]])
    assert line.get_ydata() == pytest.approx([5, 2, 1.99, 1.99])
    filled = [bar.lines[0] for bar in ax.containers
              if bar.lines[0].get_markerfacecolor() == bar.lines[0].get_color()]  # fmt: skip
    assert sorted(mark.get_xdata()[0] for mark in filled) == [1, 10, 10.1]
    sizes = {text.get_text(): text.get_fontsize() for text in ax.texts}
    assert sizes["another"] > sizes["a third"] == sizes["dear and bad"]


@pytest.mark.parametrize("dpi", [100, 160])
def test_a_name_covers_no_mark_no_other_name_and_no_line(dpi):
    ax = plots.plot_tradeoff(CROWD, "seconds", xlabel="seconds")
    ax.figure.dpi = dpi
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert len(boxes) == 6
    line = ax.lines[0].get_path().transformed(ax.transData)
    marks = [ax.transData.transform(bar.lines[0].get_xydata()[0]) for bar in ax.containers]
    for place, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:place])
        assert not any(box.contains(*mark) for mark in marks)
        assert not line.intersects_bbox(box, filled=False)
        assert ax.get_window_extent().x0 < box.x0 < box.x1 < ax.get_window_extent().x1


def test_no_row_of_published_runs_reaches_beyond_what_can_be():
    values = [0.6, 0.95, 0.93]
    assert prediction_interval(values).high > 1
    figure = plots.draw_published({"C2": (values, 0.73, prediction_interval(values))})
    assert figure.axes[0].get_xlim()[1] == 100
    assert figure.axes[0].get_xlim()[0] == 0
    assert figure.get_suptitle() == "1 of 1 published runs lie where one of ours would"
    assert [text.get_text() for text in figure.axes[0].texts] == ["inside"]


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


def test_a_model_that_diverged_beats_none_and_names_may_be_numbers():
    table = pd.DataFrame({
        "mean": [np.nan, 0.95, 0.97, 1.0], "low": [0.89, 0.94, 0.96, 0.99],
        "high": [0.91, 0.96, 0.98, 1.0], "cost": [10, 100, 1000, 5000],
    }, index=[1, 2, 3, 4])  # fmt: skip
    with warnings.catch_warnings(action="error"):
        words = alt_text(plots.plot_tradeoff(table, "cost", xlabel="cost"))
    assert "these 3 of 3 models" in words
    assert "nan" not in words
    assert words.endswith("On the line: 2, 3, 4.")
