"""The public names together: what they leave alone, and how what they return shows itself."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

import mnistkit
from mnistkit import Recipe, load_digits
from mnistkit.experiments.experiment import count_stored
from mnistkit.experiments.results import identify
from mnistkit.handwriting.strokes import EXAMPLE, draw_strokes
from mnistkit.study.plan import feature_operations, training_operations
from mnistkit.study.report import findings
from mnistkit.study.table import read_table

# --- the caller's random state -----------------------------------------------------------

DIGITS = load_digits("sample", limit=20)
RECIPE = Recipe("A baseline", epochs=1)
MODEL, CONVOLUTIONS = mnistkit.build_model("V0", seed=0), mnistkit.build_model("V2", seed=0)
PROBABILITIES = torch.full((20, 10), 0.1)
PICTURE = draw_strokes(EXAMPLE)
LOOKS = {
    "build_model": lambda folder: mnistkit.build_model("D deep", seed=1),
    "combine": lambda folder: mnistkit.combine({"model": "A baseline"}, {"dropout": [0, 0.5]}),
    "check": lambda folder: RECIPE.check(),
    "identify": lambda folder: identify(RECIPE, 0, DIGITS),
    "count_stored": lambda folder: count_stored({"A": RECIPE}, range(2), DIGITS, folder),
    "run_grid": lambda folder: mnistkit.run_grid({"A": RECIPE}, [0], DIGITS, jobs=1),
    "trained_model": lambda folder: mnistkit.trained_model(RECIPE, DIGITS, folder=folder,
                                                           progress=False),
    "load_digits": lambda folder: load_digits("sample", limit=50, seed=3),
    "load_reader": lambda folder: mnistkit.load_reader(),
    "predict_image": lambda folder: mnistkit.predict_image(mnistkit.load_reader(), PICTURE),
    "make_predictions": lambda folder: mnistkit.make_predictions(MODEL, DIGITS.test.inputs()),
    "evaluate": lambda folder: mnistkit.evaluate(MODEL, DIGITS.test.loader(10)),
    "loader": lambda folder: list(DIGITS.train.loader(5, shuffle=True)),
    "fit": lambda folder: mnistkit.fit(mnistkit.build_model("A baseline", seed=0, dropout=0.5),
                                       DIGITS.train.loader(5), epochs=1, progress=False),
    "layer_table": lambda folder: mnistkit.layer_table(CONVOLUTIONS),
    "model_table": lambda folder: mnistkit.model_table(["V0", "V2"]),
    "count_operations": lambda folder: mnistkit.count_operations(CONVOLUTIONS, training=True),
    "calibration_table": lambda folder: mnistkit.calibration_table({"V0": PROBABILITIES},
                                                                   DIGITS.test.labels),
    "verdicts": lambda folder: findings(read_table()),
    "operations": lambda folder: (training_operations("E CNN"), feature_operations(10)),
    "corrupt": lambda folder: mnistkit.corrupt(DIGITS.test.inputs(), "noise", 0.2),
    "exercises": lambda folder: mnistkit.exercises.check("2.1", lambda: MODEL),
}  # fmt: skip


@pytest.mark.parametrize("name", LOOKS)
def test_what_only_looks_leaves_the_random_state_alone(name, tmp_path):
    for _ in range(2):  # what was trained is found the second time
        torch.manual_seed(0)
        np.random.seed(0)
        random.seed(0)
        before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
        LOOKS[name](tmp_path)
        assert torch.equal(torch.get_rng_state(), before[0])
        assert np.random.get_state()[1].tolist() == before[1]
        assert random.getstate() == before[2]


def test_a_name_that_is_nearly_one_of_the_face_is_told_the_nearest():
    with pytest.raises(AttributeError, match=r"mnistkit has no 'load_digit'; did you mean 'load_d"):
        mnistkit.load_digit  # noqa: B018
    with pytest.raises(AttributeError, match=r"mnistkit has no 'xyz'$"):
        mnistkit.xyz  # noqa: B018
    assert not hasattr(mnistkit, "__wrapped__")


# --- what stands last in a cell ----------------------------------------------------------


def test_what_stands_last_in_a_cell_is_one_line_or_a_small_table():
    history = mnistkit.fit(mnistkit.build_model("V0", seed=0), DIGITS.train.loader(5),
                           DIGITS.test.loader(5), epochs=2, progress=False)  # fmt: skip
    prediction = mnistkit.predict_image(mnistkit.load_reader(), PICTURE)
    sweep = mnistkit.combine({"model": "A baseline"}, {"dropout": [0, 0.5], "epochs": [1, 2, 3]})
    shown = {
        "<sample: 20 train, 20 validation, 20 test digits; a notebook's text is about full "
        "MNIST>": DIGITS,
        "<Split of 20 digits of 28 x 28>": DIGITS.train,
        f"<History of 2 epochs: train loss {history.last['train_loss']:.4f}, train accuracy "
        f"{history.last['train_accuracy']:.4f}, validation loss "
        f"{history.last['validation_loss']:.4f}, validation accuracy "
        f"{history.last['validation_accuracy']:.4f}>": history,
        "<History of 0 epochs, interrupted>": mnistkit.History(interrupted=True),
        f"<ImagePrediction: {prediction}>": prediction,
        "<Sweep of 6 recipes: 2 of dropout, 3 of epochs>": sweep,
        "<0.5 [-5.853, 6.853], n = 2>": mnistkit.interval_of_mean([0, 1]),
        "<0.9712, n = 1>": mnistkit.interval_of_mean([0.9712]),
    }
    assert [repr(value) for value in shown.values()] == list(shown)


@pytest.mark.parametrize(
    ("value", "rows", "words"),
    [
        (DIGITS, 4, ["train", "validation", "test"]),
        (DIGITS.train, 0, [f'alt="The first 10 digits; labels {DIGITS.train.labels[0]}, ']),
        (DIGITS.train[:0], 0, ["Split of 0 digits"]),
        (
            mnistkit.predict_image(mnistkit.load_reader(), PICTURE),
            4,
            ["<td>100.0%", "What the model"],
        ),
        (mnistkit.combine({"model": "V0"}, {"epochs": [1, 2]}), 3, ["<td>2"]),
        (mnistkit.History([{"epoch": 1, "train_loss": 0.25, "seconds": 1.0}]), 3, ["0.2500"]),
    ],
)
def test_in_a_notebook_it_is_a_table_or_a_picture_with_words(value, rows, words):
    html = value._repr_html_()
    assert html.count("<tr") == rows
    assert [word for word in words if word not in html] == []
    assert len(html) < 10_000
