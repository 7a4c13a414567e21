"""Charts of sweeps say in words what they show, and draw where they are told."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mnistkit.experiments import plots
from mnistkit.utils.figures import alt_text
from tests.figures import figure_tests

pytestmark = pytest.mark.usefixtures("close_figures")

SWEEP = pd.DataFrame(
    {"x": [0.1, 0.01], "line": ["SGD", "SGD"], "mean": [0.97, 0.9], "low": [0.96, 0.89],
     "high": [0.98, 0.91]}
)  # fmt: skip

MEANS = pd.DataFrame(
    [[0.92, 0.9], [0.63, 0.6]],
    index=pd.Index(["relu", "sigmoid"], name="activation"),
    columns=pd.MultiIndex.from_tuples([("0.0", "128-64"), ("0.2", "128-64")],
                                      names=["dropout", "width"]),
)  # fmt: skip

FIGURES = {
    "heatmap": (
        lambda ax=None: plots.plot_heatmap(MEANS, title="SGD", ax=ax),
        "SGD, validation accuracy in %: relu, 0.0, 128-64 92.00; relu, 0.2, 128-64 90.00; "
        "sigmoid, 0.0, 128-64 63.00; sigmoid, 0.2, 128-64 60.00.",
    ),
    "sweep": (
        lambda ax=None: plots.plot_sweep(SWEEP, xlabel="rate", log=True, ax=ax),
        "rate: SGD best at 0.1 with 97.00 %.",
    ),
    "interaction": (
        lambda ax=None: plots.plot_interaction(
            SWEEP.assign(x=["tanh", "relu"]), xlabel="activation", line="optimizer", ax=ax
        ),
        "activation, mean validation accuracy in %: optimizer SGD: 97.00 at tanh, 90.00 at relu.",
    ),
}  # fmt: skip


(
    test_figure_says_what_it_shows,
    test_figure_is_drawn_where_it_is_told,
    test_every_plot_function_is_among_the_figures,
    test_figure_stays_as_it_was,
) = figure_tests(plots, FIGURES, {})


def test_maps_of_classes_say_which_are_near_zero():
    share = np.ones((4, 10))
    share[:3, 2] = 0.0  # comes back at the last look
    share[1:, 7] = 0.04
    maps = {"seed 0": share, "seed 1": np.ones((4, 10))}
    figure = plots.draw_class_maps(maps, [0, 100, 200, 300], title="Two runs")
    assert alt_text(figure) == (
        "seed 0: classes near 0 halfway 2, 7; at the end 7. "
        "seed 1: classes near 0 halfway none; at the end none."
    )
    drawn = figure.axes[0].collections[0].get_array()
    assert (drawn.shape, drawn[2, 0], drawn[2, 3]) == ((10, 4), 0.0, 1.0)
    assert figure.axes[0].yaxis_inverted()  # class 0 above


def test_a_heatmap_names_factors_and_levels_and_writes_light_on_dark():
    ax = plots.plot_heatmap(MEANS)
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("activation", "dropout, width")
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0.0, 128-64", "0.2, 128-64"]
    colors = {text.get_text(): text.get_color() for text in ax.texts}
    assert colors == {"92.00": "white", "90.00": "white", "63.00": "black", "60.00": "black"}


def test_equal_means_are_drawn_too():
    assert "relu, 0.1 90.00" in alt_text(plots.plot_heatmap(pd.DataFrame({"0.1": {"relu": 0.9}})))


def test_a_heatmap_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no means to draw"):
        plots.plot_heatmap(pd.DataFrame({"0.1": {"relu": float("nan")}}))


def test_a_level_of_none_is_a_line_too():
    table = pd.DataFrame([(x, line, 0.5, 0.4, 0.6) for line in (None, "affine") for x in "ab"],
                         columns=["x", "line", "mean", "low", "high"])  # fmt: skip
    assert "augment None: 50.00 at a" in alt_text(
        plots.plot_interaction(table, xlabel="A", line="augment")
    )
    words = alt_text(plots.plot_sweep(table, xlabel="A"))
    assert "None best at a with 50.00 %" in words
    table.loc[table["line"].isna(), "mean"] = np.nan
    assert "None diverged" in alt_text(plots.plot_sweep(table, xlabel="A"))


def test_words_keep_their_order_along_the_axis():
    table = pd.DataFrame({"x": ["small", "medium", "large"], "mean": [0.1, 0.2, 0.3],
                          "low": [0.1, 0.2, 0.3], "high": [0.1, 0.2, 0.3]})  # fmt: skip
    ax = plots.plot_sweep(table, xlabel="size")
    ax.figure.canvas.draw()
    assert [label.get_text() for label in ax.get_xticklabels()] == ["small", "medium", "large"]
    with pytest.raises(ValueError, match="log needs numbers for x"):
        plots.plot_sweep(table, xlabel="size", log=True)


@pytest.mark.parametrize(("draw", "complaint"), [
    (lambda: plots.plot_sweep(SWEEP.drop(columns="x"), xlabel="rate"), "no column 'x', only line"),
    (lambda: plots.plot_interaction(SWEEP.drop(columns="line"), xlabel="rate"), "no column 'line'"),
    (lambda: plots.plot_heatmap(pd.DataFrame({"name": ["sgd"]})), "needs a table of means"),
])  # fmt: skip
def test_tables_that_are_no_sweeps_are_named(draw, complaint):
    with pytest.raises(ValueError, match=complaint):
        draw()
