"""Charts of reliability and of robustness say what they show, and draw where they are told."""

from __future__ import annotations

import pandas as pd
import pytest

from mnistkit.trust import plots
from mnistkit.utils.figures import alt_text
from tests.figures import figure_tests

pytestmark = pytest.mark.usefixtures("close_figures")

BELIEFS = pd.DataFrame(
    {"confidence": [0.5, 0.9], "accuracy": [0.6, 0.8], "low": [0.5, 0.7], "high": [0.7, 0.9],
     "count": [25, 75]}
)  # fmt: skip
HARDER = pd.DataFrame({"V0": [0.9, 0.2], "V2": [0.98, 0.5]}, index=[0, 2])
SMALLER = pd.DataFrame({"V2": [0.98, 0.7]}, index=[1, 0.5])

FIGURES = {
    "reliability": (
        lambda ax=None: plots.plot_reliability({"V2": BELIEFS}, ax=ax),
        "How sure, and how often right: V2 is on average 5.00 points more sure than right.",
    ),
    "corruption": (
        lambda ax=None: plots.plot_corruption(HARDER, xlabel="pixels", title="blur", ax=ax),
        "blur of 2: best V2 with 50 %, worst V0 with 20 %.",
    ),
    "corruptions": (
        lambda ax=None: plots.plot_corruptions(
            {"blur": HARDER, "size": SMALLER}, {"blur": "pixels", "size": "times"}, ax=ax
        ),
        "blur of 2: best V2 with 50 %, worst V0 with 20 %. "
        "size of 0.5: V2 with 70 %.",
    ),
}  # fmt: skip


(
    test_figure_says_what_it_shows,
    test_figure_is_drawn_where_it_is_told,
    test_every_plot_function_is_among_the_figures,
    test_figure_stays_as_it_was,
) = figure_tests(plots, FIGURES, {})


def panels(ax):
    return ax.child_axes


def test_reliability_has_a_panel_a_model_titled_by_what_it_shows():
    right = BELIEFS.assign(accuracy=[0.5, 0.9])
    ax = plots.plot_reliability({"V2": BELIEFS, "V0": right})
    assert ax.get_title() == "V2 is the furthest from knowing how sure to be"
    assert [panel.get_title() for panel in panels(ax)] == [
        "V2: 5.0 points\nmore sure than right", "V0: as sure as right"
    ]  # fmt: skip
    marks = panels(ax)[0].collections[-1]
    assert marks.get_offsets().tolist() == [[50, 60], [90, 80]]
    assert marks.get_sizes()[1] > marks.get_sizes()[0], "75 digits against 25"


MANY = pd.DataFrame({f"m{i}": [0.9, i / 10] for i in range(6)}, index=[0, 1])


def test_named_models_have_a_colour_and_a_mark_of_their_own_and_the_others_are_grey():
    ax = plots.plot_corruption(MANY, xlabel="pixels", named=["m5", "m0"])
    colours = [line.get_color() for line in ax.lines]
    assert colours[:4] == [plots.OTHERS] * 4
    assert len({*colours[4:], plots.OTHERS}) == 3
    assert len({line.get_marker() for line in ax.lines[4:]}) == 2
    assert {text.get_text(): text.get_color() for text in ax.texts} == {
        "m5": colours[4], "m0": colours[5]
    }  # fmt: skip


def test_names_at_the_ends_of_lines_stand_in_their_order_and_not_on_each_other():
    close = pd.DataFrame({"a": [0.9, 0.11], "b": [0.9, 0.10], "c": [0.9, 0.12], "d": [0.9, 0.99]})
    ax = plots.plot_corruption(close, xlabel="pixels")
    ax.figure.canvas.draw()
    boxes = {text.get_text(): text.get_window_extent() for text in ax.texts}
    assert sorted(boxes, key=lambda name: boxes[name].y0) == ["b", "a", "c", "d"]
    assert not any(boxes[a].overlaps(boxes[b]) for a in boxes for b in boxes if a != b)
    frame = ax.get_window_extent()
    assert all(frame.y0 < box.y0 < box.y1 < frame.y1 + 5 for box in boxes.values())
    assert all(box.x0 > frame.x1 for box in boxes.values())


def test_names_that_all_end_on_top_stay_below_it():
    assert plots._apart([97, 98, 99], 14) == [68, 82, 96]
    assert plots._apart([0, 50, 51], 14) == [4, 50, 64]


def test_five_names_are_too_many_and_an_unknown_one_is_left_out():
    with pytest.raises(ValueError, match="5 models are named"):
        plots.plot_corruption(MANY, xlabel="x", named=list(MANY)[:5])
    ax = plots.plot_corruption(MANY, xlabel="x", named=["m1", "MobileNetV2"])
    assert [text.get_text() for text in ax.texts] == ["m1"]


def test_the_title_says_who_withstands_most_and_fails_where():
    tables = {
        "shift": HARDER,
        "blur": HARDER,
        "noise": HARDER[["V2", "V0"]].set_axis(["V0", "V2"], axis=1),
    }
    title = "V2 withstands 2 of 3 best at full strength,\nand noise worst"
    note = "V0 read 5 digits"
    ax = plots.plot_corruptions(tables, dict.fromkeys(tables, "pixels"), note=note)
    assert ax.get_title() == title
    assert note in [text.get_text() for text in ax.texts]
    assert alt_text(ax).endswith("V0 read 5 digits.")
    once = plots.plot_corruptions({"shift": HARDER}, {"shift": "pixels"})
    assert once.get_title() == "V2 withstands 1 of 1 best at full strength"


@pytest.mark.parametrize("holes", [HARDER.where(HARDER > 0.3), HARDER * float("nan")])
def test_a_model_that_was_not_measured_everywhere_is_not_drawn(holes):
    with pytest.raises(ValueError, match="the table has holes"):
        plots.plot_corruption(holes, xlabel="pixels")


def test_a_model_has_one_colour_in_all_panels():
    shift = pd.DataFrame({"V2": [0.9, 0.5], "MLP": [0.95, 0.3]}, index=[0, 2])
    noise = pd.DataFrame({"MLP": [0.95, 0.6], "V0": [0.9, 0.2]}, index=[0, 0.5])
    ax = plots.plot_corruptions(
        {"shift": shift, "noise": noise}, {"shift": "px", "noise": "dev"}, named=["V2", "MLP"]
    )
    colors = {
        (text.get_text(), text.get_color()) for panel in ax.child_axes for text in panel.texts
    }
    assert len({color for name, color in colors if name == "MLP"}) == 1


@pytest.mark.parametrize(("tables", "title"), [
    ({"noise": HARDER[["V2"]]}, "What is right at each strength"),
    ({"noise": HARDER.assign(V0=HARDER["V2"])}, "What is right at each strength"),
    ({"noise": HARDER, "blur": HARDER[["V2", "V0"]].set_axis(["V0", "V2"], axis=1)},
     "What is right at each strength"),
    ({"noise": HARDER}, "V2 withstands 1 of 1 best at full strength"),
    ({"a": HARDER, "b": HARDER.assign(V3=0.2), "c": HARDER.assign(V3=0.3, V2=0.1)},
     "V2 withstands 2 of 3 best at full strength,\nand c worst"),
])  # fmt: skip
def test_alone_or_beside_an_equal_nobody_is_the_best(tables, title):
    ax = plots.plot_corruptions(tables, dict.fromkeys(tables, "pixels"))
    assert ax.get_title() == title


def test_the_words_about_one_model_do_not_compare_it():
    ax = plots.plot_corruption(HARDER[["V2"]], xlabel="pixels", title="noise")
    assert alt_text(ax) == "noise of 2: V2 with 50 %."


def test_a_model_that_knows_how_sure_to_be_is_not_blamed():
    knows = BELIEFS.assign(accuracy=BELIEFS["confidence"])
    ax = plots.plot_reliability({"mine": knows})
    assert alt_text(ax) == "How sure, and how often right: mine is on average as sure as right."
    both = plots.plot_reliability({"mine": knows, "V2": BELIEFS})
    assert both.get_title() == "V2 is the furthest from knowing how sure to be"


@pytest.mark.parametrize(("tables", "units", "complaint"), [
    ({"jpeg": HARDER}, {"noise": "strength"}, "units has nothing for 'jpeg'"),
    ({"noise": HARDER["V2"]}, {"noise": "strength"}, "is no table, expected a row for each str"),
    (HARDER, {"noise": "strength"}, "expected tables by corruption"),
])  # fmt: skip
def test_corruptions_that_cannot_be_drawn_are_named(tables, units, complaint):
    with pytest.raises(ValueError, match=complaint):
        plots.plot_corruptions(tables, units)
