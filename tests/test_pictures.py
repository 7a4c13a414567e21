"""Figures say in words what they show, and draw where they are told."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from PIL import Image

from mnistkit import charts, pictures
from mnistkit.experiments import plots as experiments_plots
from mnistkit.study import plots as study_plots
from mnistkit.trust import plots as trust_plots
from mnistkit.utils import figures
from mnistkit.utils.figures import alt_text

mpl.use("Agg")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


IMAGES = torch.zeros(6, 28, 28, dtype=torch.uint8)
MATRIX = torch.diag(torch.full((10,), 95))
MATRIX[4, 9], MATRIX[9, 4] = 12, 5
SCORES = pd.DataFrame(
    {"mean": [0.9, 0.95], "low": [0.89, np.nan], "high": [0.91, np.nan]}, index=["V0", "V2"]
)
FRAME = pd.DataFrame(
    {"train_loss": [0.5, 0.2], "validation_loss": [0.4, 0.3]}, index=pd.Index([1, 2], name="epoch")
)
SWEEP = pd.DataFrame(
    {"x": [0.1, 0.01], "line": ["SGD", "SGD"], "mean": [0.97, 0.9], "low": [0.96, 0.89],
     "high": [0.98, 0.91]}
)  # fmt: skip
GAPS = pd.DataFrame(
    {"mean": [0.1, -0.5], "low": [-0.2, -0.7], "high": [0.4, -0.3]},
    index=["SGD - Adam", "no dropout"],
)
COSTS = pd.DataFrame(
    {"mean": [0.985, 0.91], "low": [0.984, 0.9], "high": [0.986, 0.92], "seconds": [60.0, 2.5]},
    index=["V2", "V0"],
)
PROBABILITIES = torch.nn.functional.one_hot(torch.tensor([1, 2, 3, 4, 5, 6]), 10).float()

BELIEFS = pd.DataFrame(
    {"confidence": [0.5, 0.9], "accuracy": [0.6, 0.8], "low": [0.5, 0.7], "high": [0.7, 0.9],
     "count": [25, 75]}
)  # fmt: skip
HARDER = pd.DataFrame({"V0": [0.9, 0.2], "V2": [0.98, 0.5]}, index=[0, 2])
SMALLER = pd.DataFrame({"V2": [0.98, 0.7]}, index=[1, 0.5])
CLASSES = [0, 1, 1, 2, *range(10)]

FIGURES = {
    "image": (lambda ax=None: pictures.plot_image(IMAGES[0], "a seven", ax=ax), "Image: a seven."),
    "images": (
        lambda ax=None: pictures.plot_images(IMAGES, list("123456"), title="Six", ax=ax),
        "Six (6 images): 1; 2; 3; 4; 5; 6.",
    ),
    "predictions": (
        lambda ax=None: pictures.plot_predictions(IMAGES, [1, 2, 3, 4, 5, 0], range(1, 7), ax=ax),
        "Predictions: 5 of 6 right; wrong: Pred: 6 | Truth: 0.",
    ),
    "mistakes": (
        lambda ax=None: pictures.plot_mistakes(IMAGES, [1, 2, 3, 4, 5, 0], PROBABILITIES, ax=ax),
        "Worst mistakes: 1 of 1: 0 of 1 right; wrong: Pred: 6 | Truth: 0.",
    ),
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
    "histogram": (
        lambda ax=None: charts.plot_histogram({"V1": [1, 2, 9.5]}, xlabel="points", ax=ax),
        "Histogram, points: V1: 3 values from 1 to 9.5.",
    ),
    "sweep": (
        lambda ax=None: experiments_plots.plot_sweep(SWEEP, xlabel="rate", log=True, ax=ax),
        "rate: SGD best at 0.1 with 97.00 %.",
    ),
    "interaction": (
        lambda ax=None: experiments_plots.plot_interaction(
            SWEEP.assign(x=["tanh", "relu"]), xlabel="activation", line="optimizer", ax=ax
        ),
        "activation, mean validation accuracy in %: optimizer SGD: 97.00 at tanh, 90.00 at relu.",
    ),
    "reliability": (
        lambda ax=None: trust_plots.plot_reliability({"V2": BELIEFS}, ax=ax),
        "Reliability: V2 is on average 5.00 points more sure than right.",
    ),
    "corruption": (
        lambda ax=None: trust_plots.plot_corruption(HARDER, xlabel="pixels", title="blur", ax=ax),
        "blur of 2: best V2 with 50 %, worst V0 with 20 %.",
    ),
    "corruptions": (
        lambda ax=None: trust_plots.plot_corruptions(
            {"blur": HARDER, "size": SMALLER}, {"blur": "pixels", "size": "times"}, ax=ax
        ),
        "blur of 2: best V2 with 50 %, worst V0 with 20 %. "
        "size of 0.5: best V2 with 70 %, worst V2 with 70 %.",
    ),
    "intervals": (
        lambda ax=None: charts.plot_intervals(GAPS, title="Gaps", ax=ax),
        "Gaps: SGD - Adam +0.10 [-0.20, +0.40]; no dropout -0.50 [-0.70, -0.30].",
    ),
    "tradeoff": (
        lambda ax=None: study_plots.plot_tradeoff(COSTS, "seconds", xlabel="seconds", ax=ax),
        "seconds; seconds: V0 91.00 % at 2.5; V2 98.50 % at 60.0.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FIGURES)
def test_figure_says_what_it_shows(name):
    draw, words = FIGURES[name]
    ax = draw()
    assert isinstance(ax, Axes)
    assert alt_text(ax) == words
    assert words in alt_text(ax.figure)


@pytest.mark.parametrize("name", FIGURES)
def test_figure_is_drawn_where_it_is_told(name):
    _, (other, mine) = plt.subplots(1, 2)
    open_figures = plt.get_fignums()
    assert FIGURES[name][0](ax=mine) is mine
    assert plt.get_fignums() == open_figures, "no second figure is opened"
    assert not other.has_data()


def test_equal_classes_have_no_fewest():
    ax = charts.plot_class_distribution({"train": range(10)})
    assert alt_text(ax) == "Digits per class. train: 10 digits, all equally many."


def test_every_plot_function_is_among_the_figures():
    rooms = (pictures, charts, experiments_plots, study_plots, trust_plots)
    functions = {name for room in rooms for name in vars(room) if name.startswith("plot_")}
    assert len(functions) == len(FIGURES)


def test_colour_of_a_confusion_matrix_ends_at_the_largest_error():
    ax = charts.plot_confusion_matrix(MATRIX)
    assert ax.images[0].norm.vmax == 12
    numbers = {text.get_position(): text for text in ax.texts}
    assert numbers[(9, 4)].get_text() == "12", "column 9, row 4: a 4 taken for a 9"


def test_an_interval_that_holds_zero_has_an_open_mark():
    ax = charts.plot_intervals(GAPS)
    faces = [container.lines[0].get_markerfacecolor() for container in ax.containers]
    assert faces == ["white", "#0072B2"]


def test_better_models_stand_higher_and_dearer_ones_further_right():
    _, (ax, beside) = plt.subplots(1, 2, sharey=True)
    for panel in (ax, beside):  # two panels of one scale must not turn each other over
        study_plots.plot_tradeoff(COSTS, "seconds", xlabel="seconds", ax=panel)
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
    ax = study_plots.plot_tradeoff(close, "seconds", xlabel="seconds")
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert len(boxes) == 4
    for place, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:place])


def test_perfect_confusion_matrix_is_drawn_too():
    assert "most confused: nothing" in alt_text(charts.plot_confusion_matrix(torch.eye(10).long()))


def test_right_and_wrong_differ_in_words_and_colour():
    ax = pictures.plot_predictions(IMAGES[:2], [1, 2], [1, 3])
    right, wrong = (child.title for child in ax.child_axes)
    assert right.get_text() == "Pred: 1 | Truth: 1\nright"
    assert wrong.get_text() == "Pred: 3 | Truth: 2\nWRONG"
    assert (right.get_color(), wrong.get_color()) == (pictures.RIGHT, pictures.WRONG)


def test_mistakes_are_sorted_by_confidence():
    probabilities = torch.full((3, 10), 0.01)
    probabilities[0, 1], probabilities[1, 2], probabilities[2, 3] = 0.5, 0.9, 0.7
    ax = pictures.plot_mistakes(IMAGES[:3], [0, 0, 0], probabilities, count=2)
    assert [a.title.get_text().split(" |")[0] for a in ax.child_axes] == ["Pred: 2", "Pred: 3"]


def test_colour_images_are_drawn_in_colour():
    ax = pictures.plot_image(torch.rand(3, 8, 8))
    assert ax.images[0].get_array().shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: pictures.plot_images([]), "no images were given"),
        (lambda: pictures.plot_images(IMAGES, ["one"]), "1 titles for 6 images"),
        (lambda: pictures.plot_image(torch.rand(784)), "expected one image"),
        (
            lambda: pictures.plot_mistakes(IMAGES, [1, 2, 3, 4, 5, 6], PROBABILITIES),
            "every prediction is right",
        ),
    ],
)
def test_bad_arguments_are_named(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


def test_show_figure_displays_words_saves_and_closes(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda thing, **_: shown.append(thing))
    monkeypatch.setattr(figures, "project_root", lambda: tmp_path)
    ax = charts.plot_confusion_matrix(MATRIX, title="V2")
    figures.show_figure(ax, "v2.png")
    _, metadata = shown[0]._repr_mimebundle_()
    assert metadata["image/png"]["alt"].startswith("V2: 950 of 967 right")
    assert "most confused: 4 as 9" in shown[1].data
    assert Image.open(tmp_path / "figures" / "v2.png").info["Description"].startswith("V2: 950")
    assert plt.get_fignums() == []
