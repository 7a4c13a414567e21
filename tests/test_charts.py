"""Charts say in words what they show, and draw where they are told."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import torch

from mnistkit import charts
from mnistkit.data import CLOTHES
from mnistkit.training import History
from mnistkit.utils.figures import LEGIBLE, alt_text
from tests.figures import MATRIX, figure_tests

pytestmark = pytest.mark.usefixtures("close_figures")

SCORES = pd.DataFrame(
    {"mean": [0.9, 0.95], "low": [0.89, np.nan], "high": [0.91, np.nan]}, index=["V0", "V2"]
)
FRAME = pd.DataFrame(
    {"train_loss": [0.5, 0.2], "validation_loss": [0.4, 0.3]}, index=pd.Index([1, 2], name="epoch")
)
GAPS = pd.DataFrame(
    {"mean": [0.1, -0.5], "low": [-0.2, -0.7], "high": [0.4, -0.3]},
    index=["SGD - Adam", "no dropout"],
)
CLASSES = [0, 1, 1, 2, *range(10)]

FIGURES = {
    "classes": (
        lambda ax=None: charts.plot_class_distribution({"train": CLASSES}, ax=ax),
        "Digits per class. train: 14 digits, fewest 3 (7.1 %), most 1 (21.4 %).",
    ),
    "history": (
        lambda ax=None: charts.plot_history(FRAME, "loss", ax=ax),
        "Loss per epoch: train 0.500 to 0.200; validation 0.400 to 0.300.",
    ),
    "confusion": (
        lambda ax=None: charts.plot_confusion_matrix(MATRIX, title="V2", ax=ax),
        "V2: 950 of 967 right (98.24 %); most confused: 4 as 9, 12 times, 9 as 4, 5 times.",
    ),
    "comparison": (
        lambda ax=None: charts.plot_comparison(SCORES, ax=ax),
        "Models compared: V0 90.00 % [89.00, 91.00]; V2 95.00 %.",
    ),
    "curves": (
        lambda ax=None: charts.plot_curves(
            [0, 0.5, 1], {"twice": [2.5, 2, 1.5], "once": [9, 1, 0]}, levels={"floor": 1.46},
            xlabel="p", ylabel="loss", ax=ax,
        ),
        "loss, p from 0.00 to 1.00: twice from 2.50 to 1.50; once from 9.00 to 0.00; "
        "floor at 1.46.",
    ),
    "histogram": (
        lambda ax=None: charts.plot_histogram({"V1": [1, 2, 9.5]}, xlabel="points", ax=ax),
        "Histogram, points: V1: 3 values from 1 to 9.5.",
    ),
    "intervals": (
        lambda ax=None: charts.plot_intervals(GAPS, title="Gaps", ax=ax),
        "Gaps: SGD - Adam +0.10 [-0.20, +0.40]; no dropout -0.50 [-0.70, -0.30].",
    ),
}  # fmt: skip

OTHERS = {
    "two splits": lambda: charts.plot_class_distribution(
        {"train": CLASSES, "test": list(range(10))}, title="Two"
    ),
    "few runs": lambda: charts.plot_comparison(
        100 * SCORES, runs={"V0": [89, 90, 90.02, 91], "V2": [95]}, value="points",
        percent=False, sort=True, title="Runs",
    ),
    "near all": lambda: charts.plot_comparison(pd.DataFrame({"mean": [0.999, 0.2]}, index=[*"ab"])),
    "all nothing": lambda: charts.plot_comparison(
        pd.DataFrame({"mean": [0.0, 0.0]}, index=[*"ab"]), percent=False
    ),
    "clothes": lambda: charts.plot_confusion_matrix(torch.eye(10).int(), classes=CLOTHES),
    "five curves": lambda: charts.plot_curves(
        [0.001, 1], {name: [1, 0.004] for name in "abcde"}, xlabel="x", ylabel="y", title="Five"
    ),
    "five histograms": lambda: charts.plot_histogram(
        {name: [place, place + 0.5, 9] for place, name in enumerate("abcde")},
        xlabel="x", bins=4, title="Five",
    ),
    "two histories": lambda: charts.plot_history(
        {"V0": FRAME, "V1": FRAME[["train_loss"]] / 3}, title="Two"
    ),
}  # fmt: skip


(
    test_figure_says_what_it_shows,
    test_figure_is_drawn_where_it_is_told,
    test_every_plot_function_is_among_the_figures,
    test_figure_stays_as_it_was,
) = figure_tests(charts, FIGURES, OTHERS)


def test_scores_are_compared_by_dots_with_their_intervals():
    ax = charts.plot_comparison(SCORES)
    assert not ax.patches, "a bar has to begin at zero, and accuracies do not"
    intervals = [line.get_xdata() for line in ax.lines[::2]]
    assert intervals[0] == pytest.approx([89, 91])
    assert np.isnan(intervals[1]).all()
    assert [line.get_xdata()[0] for line in ax.lines[1::2]] == pytest.approx([90, 95])
    assert [text.get_text() for text in ax.texts] == ["90.00 %", "95.00 %"]


@pytest.mark.parametrize(
    ("means", "reach"), [([0.999, 1.0], 0.002), ([0.01, 0.002], 0.02), ([0.5, 0.5], 0)]
)
def test_an_axis_of_shares_ends_where_shares_end(means, reach):
    means = np.array(means)
    scores = pd.DataFrame({"mean": means, "low": means - reach, "high": means + reach})
    low, high = charts.plot_comparison(scores).get_xlim()
    assert 0 <= low < 100 * means.min() + 1e-9
    assert 100 * means.max() - 1e-9 < high <= 100
    assert low < high


def test_an_axis_of_other_scores_shows_all_of_them():
    losses = pd.DataFrame({"mean": [120.0, 150.0], "low": [110, 140], "high": [130, 160]})
    low, high = charts.plot_comparison(losses, percent=False).get_xlim()
    assert low < 110
    assert high > 160


def test_the_best_is_on_top_if_sorted():
    ax = charts.plot_comparison(SCORES, sort=True)
    assert alt_text(ax) == "Models compared: V2 95.00 %; V0 90.00 % [89.00, 91.00]."
    places = dict(zip([t.get_text() for t in ax.get_yticklabels()], ax.get_yticks(), strict=True))
    assert places["V2"] > places["V0"]
    assert [text.get_text() for text in ax.texts] == ["95.00 %", "90.00 %"]
    assert ax.texts[0].xy[1] == places["V2"]


def test_all_runs_are_drawn_and_none_covers_another():
    runs = {"V0": np.linspace(0.88, 0.92, 20), "V2": [0.2] + [0.95] * 9}
    ax = charts.plot_comparison(SCORES, runs=runs)
    assert alt_text(ax).startswith("Models compared, single runs from 20.00 to 95.00 %: V0 90.00 %")
    points = 72 / ax.figure.dpi
    for line, values in zip(ax.lines[-2:], runs.values(), strict=True):
        assert line.get_xdata() == pytest.approx(100 * np.asarray(values))
        dots = points * ax.transData.transform(line.get_xydata())
        apart = np.hypot(*(dots[:, None] - dots).transpose(2, 0, 1))
        assert apart[~np.eye(len(dots), dtype=bool)].min() > line.get_markersize() - 0.01
    assert ax.get_xlim()[0] < 20
    dots = ax.lines[-1]
    assert (dots.get_clip_on(), dots.get_markeredgewidth()) == (False, 0), "whole at the edge"


def test_runs_lie_below_the_mean_of_their_own_model():
    ax = charts.plot_comparison(SCORES, runs={"V2": [0.95] * 200})
    heights = ax.lines[-1].get_ydata()
    assert 0 - 0.6 < heights.min() <= heights.max() < 0.2, "V2 is the lower row"


@pytest.mark.parametrize(
    ("runs", "complaint"),
    [({"V9": [0.5]}, "runs of 'V9', and no score"), ({"V0": []}, "'V0' has no runs")],
)
def test_runs_without_a_score_are_an_error(runs, complaint):
    with pytest.raises(ValueError, match=complaint):
        charts.plot_comparison(SCORES, runs=runs)


def test_the_mean_of_a_difference_is_written_beside_it():
    ax = charts.plot_intervals(GAPS)
    assert [text.get_text() for text in ax.texts] == ["+0.10", "\N{MINUS SIGN}0.50"]


def test_equal_classes_have_no_fewest():
    ax = charts.plot_class_distribution({"train": range(10)})
    assert alt_text(ax) == "Digits per class. train: 10 digits, all equally many."


def test_colour_of_a_confusion_matrix_ends_at_the_largest_error():
    ax = charts.plot_confusion_matrix(MATRIX)
    assert ax.images[0].norm.vmax == 12
    numbers = {text.get_position(): text for text in ax.texts}
    assert numbers[(9, 4)].get_text() == "12", "column 9, row 4: a 4 taken for a 9"


def test_classes_that_are_no_digits_have_their_names():
    ax = charts.plot_confusion_matrix(MATRIX, classes=CLOTHES)
    assert [text.get_text() for text in ax.get_xticklabels()] == list(CLOTHES)
    assert {text.get_rotation() for text in ax.get_xticklabels()} == {90}, "too long side by side"
    assert {text.get_rotation() for text in ax.get_yticklabels()} == {0}
    assert "coat as ankle boot, 12 times" in alt_text(ax)
    with pytest.raises(ValueError, match="3 names of classes, expected ten"):
        charts.plot_confusion_matrix(MATRIX, classes="abc")


def test_an_interval_that_holds_zero_has_an_open_mark():
    ax = charts.plot_intervals(GAPS)
    faces = [container.lines[0].get_markerfacecolor() for container in ax.containers]
    assert faces == ["white", "#0072B2"]
    ends_at_zero = pd.DataFrame({"mean": [-0.5, 0.5], "low": [-1.0, 0.0], "high": [0.0, 1.0]})
    ax = charts.plot_intervals(ends_at_zero)
    assert {container.lines[0].get_markerfacecolor() for container in ax.containers} == {"white"}


def test_a_level_is_a_line_with_its_name_beside_it():
    ax = charts.plot_curves([0, 1], {"a": [0, 3]}, levels={"floor": 1.46}, xlabel="x", ylabel="y")
    assert list(ax.lines[1].get_ydata()) == [1.46, 1.46]
    assert [text.get_text() for text in ax.texts] == ["floor 1.46"]


def test_perfect_confusion_matrix_is_drawn_too():
    assert "most confused: nothing" in alt_text(charts.plot_confusion_matrix(torch.eye(10).long()))


def test_what_fit_returned_is_drawn_as_its_frame_is():
    history = History([{"epoch": n, "train_loss": 1 / n, "seconds": 1.0} for n in (1, 2, 3)])
    words = alt_text(charts.plot_history(history.frame))
    assert alt_text(charts.plot_history(history)) == words
    assert alt_text(charts.plot_history({"V0": history})) == words.replace("train ", "V0 train ")


def test_axes_have_their_names():
    history = charts.plot_history(FRAME, "loss")
    assert (history.get_xlabel(), history.get_ylabel()) == ("epoch", "loss")
    heap = charts.plot_histogram({"a": [1.0, 2.0]}, xlabel="pixel value")
    assert (heap.get_xlabel(), heap.get_ylabel()) == ("pixel value", "count")


def test_rows_and_values_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="'V0' stands in the scores twice"):
        charts.plot_comparison(pd.concat([SCORES, SCORES]))
    with pytest.raises(ValueError, match="'a' has 2 values for 3 of x"):
        charts.plot_curves([1, 2, 3], {"a": [1, 2]}, xlabel="x", ylabel="y")


@pytest.mark.parametrize("draw", [charts.plot_comparison, charts.plot_intervals])
def test_long_names_take_room_from_the_chart_and_not_from_the_letters(draw):
    short = draw(pd.DataFrame(SCORES.to_numpy(), ["a", "b"], SCORES.columns))
    long = draw(pd.DataFrame(SCORES.to_numpy(), ["a", 30 * "long"], SCORES.columns))
    assert widths(short)[0] < LEGIBLE
    assert widths(long)[1] == pytest.approx(2.0, abs=0.01), "the chart keeps two inches"
    some = draw(pd.DataFrame(SCORES.to_numpy(), ["a", 10 * "long"], SCORES.columns))
    assert widths(some)[0] == pytest.approx(LEGIBLE, abs=0.1)
    assert widths(some)[1] > 2.1


def widths(ax) -> tuple[float, float]:
    """Of a chart with its labels, and without them, in inches."""
    boxes = ax.get_tightbbox(), ax.get_window_extent()
    return tuple(box.width / ax.figure.dpi for box in boxes)


@pytest.mark.parametrize(("draw", "complaint"), {
    "shares as counts": (lambda: charts.plot_confusion_matrix(MATRIX / 7), "holds shares"),
    "percent as a share": (
        lambda: charts.plot_comparison(100 * SCORES), "a score is .*, expected a share such as"
    ),
    "all diverged": (lambda: charts.plot_comparison(SCORES * np.nan), "no score is a number"),
    "histories in a list": (lambda: charts.plot_history([History()]), "frames are in a list"),
    "labels alone": (lambda: charts.plot_class_distribution(torch.arange(10)), "give them by name"),
    "no number": (
        lambda: charts.plot_histogram({"a": [1, np.nan]}, xlabel="x"), "'a' holds values that are"
    ),
}.values())  # fmt: skip
def test_what_cannot_be_drawn_truly_is_refused(draw, complaint):
    with pytest.raises(ValueError, match=complaint):
        draw()


def test_ticks_of_whole_numbers_are_whole():
    ax = charts.plot_curves([1, 2, 3, 4], {"a": [1, 2, 3, 4]}, xlabel="layer", ylabel="slope")
    ax.figure.canvas.draw()
    assert {float(tick).is_integer() for tick in ax.get_xticks()} == {True}
    assert ", layer from 1 to 4: " in alt_text(ax)
    ax = charts.plot_curves([0.5, 1.5], {"a": [1, 2]}, xlabel="rate", ylabel="loss")
    assert ", rate from 0.50 to 1.50: " in alt_text(ax)


def test_a_class_that_did_not_occur_is_drawn_without_a_word():
    counts = torch.zeros(10, 10, dtype=torch.int64)
    counts[1, 1] = 2
    with warnings.catch_warnings(action="error"):
        ax = charts.plot_confusion_matrix(counts)
        assert "2 of 2 right (100.00 %)" in alt_text(ax)
        charts.plot_confusion_matrix(0 * counts)


def test_splits_may_stand_where_their_labels_do(easy_digits):
    drawn = alt_text(charts.plot_class_distribution({"test": easy_digits.test}))
    assert drawn == alt_text(charts.plot_class_distribution({"test": easy_digits.test.labels}))


def test_runs_in_a_table_are_asked_for_by_name():
    scores = pd.DataFrame({"mean": [0.9]}, index=["V0"])
    with pytest.raises(ValueError, match="runs is a DataFrame of 2, expected the scores of each"):
        charts.plot_comparison(scores, runs=pd.DataFrame({"name": ["V0"] * 2, "s" * 90: [0, 1]}))
