"""The reader is measured and published as its card says."""

from __future__ import annotations

import copy
import json
import os
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from mnistkit.data import Digits, load_digits
from mnistkit.experiments.recipe import Recipe
from mnistkit.handwriting import reader
from mnistkit.handwriting.letters import FONTS, printed_letters
from mnistkit.handwriting.reader import load_reader, read_card
from mnistkit.models import build_model
from mnistkit.prediction import make_predictions
from mnistkit.study import reader as study
from mnistkit.study.plan import READER, READER_SEEDS
from mnistkit.study.reader import (
    AIMS,
    aims_table,
    in_half_precision,
    in_words,
    least_probability,
    measure_reader,
    publish_reader,
)
from mnistkit.trust.corruptions import CORRUPTIONS, HELD_BACK

DATA = Path(os.environ.get("MNISTKIT_DATA", "data"))  # as the caller set it


class Known(nn.Module):
    """Gives the first pixel as the probability of class 0, and shares the rest."""

    def __init__(self):
        super().__init__()
        self.outputs = "probabilities"
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, images):
        first = images[:, 0, 0, :1] + 0 * self.unused
        return torch.cat([first, ((1 - first) / 9).expand(-1, 9)], dim=1)


def test_one_in_two_hundred_is_refused():
    images = torch.zeros(400, 1, 28, 28)
    images[:, 0, 0, 0] = torch.linspace(0.2, 0.9, 400)
    least = least_probability(Known(), images)
    below = make_predictions(Known(), images).max(dim=1).values < least
    assert int(below.sum()) == 2


def test_weights_are_rounded_once_and_the_original_stays():
    model = build_model(READER.model, seed=0, **READER.options)
    before = copy.deepcopy(model.state_dict())
    rounded = in_half_precision(model)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert {value.dtype for value in rounded.state_dict().values()} == {torch.float32, torch.int64}
    again = in_half_precision(rounded).state_dict()
    assert all(torch.equal(again[name], value) for name, value in rounded.state_dict().items())


@pytest.fixture(scope="session")
def measured() -> tuple[nn.Module, dict]:
    """The published network, measured on a few digits of the sample."""
    model = in_half_precision(load_reader())
    return model, {"seed": 0, "seconds": 600} | measure_on_few(model, 60)


def measure_on_few(model: nn.Module, limit: int) -> dict:
    """Measure on so many digits of each kind, and on letters of one font."""
    sample = load_digits("sample", limit=limit)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "load_digits", partial(load_digits, limit=limit))
        patch.setattr(study, "printed_letters", partial(printed_letters, FONTS[:1]))
        return measure_reader(model, Digits(sample.train, sample.validation, sample.test, "sample"))


def test_all_that_is_aimed_at_is_measured(measured):
    _, row = measured
    columns = {column for column, *_ in AIMS.values()} - {"worst"}
    assert columns <= set(row)
    assert all(0 <= row[name] <= 1 for name in (*columns, *CORRUPTIONS, *HELD_BACK))
    assert row["corrupted"] == pytest.approx(sum(row[kind] for kind in CORRUPTIONS) / 6)
    assert row["clean"] > 0.9
    assert row["parameters"] <= 150_000


def test_an_aim_is_reached_on_its_own_side(measured):
    _, row = measured
    good = row | dict.fromkeys(CORRUPTIONS, 0.93) | {"clean": 0.9973, "refused_digits": 0.004}
    good |= {"calibration_error": 0.001, "calibration_noise": 0.002}
    table = aims_table([good, good | {"clean": 0.9975, "rotation": 0.95}])
    reached = table["reached"]
    assert reached["clean test digits read"]
    assert reached["the worst of the six"]
    assert reached["clean test digits refused"]
    assert reached["ECE on clean digits"]
    assert table.loc["clean test digits read", "mean"] == pytest.approx(0.9974)
    bad = good | {"clean": 0.9, "shift": 0.5, "refused_digits": 0.2, "calibration_error": 0.3}
    assert not aims_table([bad, bad])["reached"].loc[
        ["clean test digits read", "the worst of the six", "clean test digits refused",
         "ECE on clean digits"]
    ].any()  # fmt: skip


def test_what_is_published_is_what_was_measured(measured, tmp_path, monkeypatch):
    for name in ("WEIGHTS", "CARD"):
        monkeypatch.setattr(reader, name, tmp_path / getattr(reader, name).name)
    model, row = measured
    card = publish_reader([(model, row), (model, row | {"seed": 1})])
    assert card == read_card() == json.loads(reader.CARD.read_text())
    again, images = load_reader(), load_digits("sample", limit=20).test.inputs()
    assert torch.equal(make_predictions(again, images), make_predictions(model, images))
    assert again.least_probability == row["least_probability"]
    words = reader.CARD.with_suffix(".md").read_text()
    assert words == in_words(card)
    assert f"{row['clean']:.2%}" in words
    assert card["sha256"] in words


def test_the_published_card_is_of_the_plan_and_in_words():
    card = read_card()
    assert card["recipe"] == READER.digest
    assert [run["seed"] for run in card["runs"]] == list(READER_SEEDS)
    assert Recipe(card["model"], options=card["options"]).model == READER.model
    assert reader.CARD.with_suffix(".md").read_text(encoding="utf-8") == in_words(card)
    assert card["runs"][0]["seed"] == card["seed"]
    assert card["runs"][0]["least_probability"] == card["least_probability"]


@pytest.mark.full
@pytest.mark.skipif(not (DATA / "QMNIST" / "raw").is_dir(), reason="no writers in MNISTKIT_DATA")
def test_the_published_numbers_come_out_again():
    digits = load_digits("mnist", root=DATA, validation_by="writer")
    found = measure_reader(load_reader(), digits)
    published = read_card()["runs"][0]
    for name in ("clean", "corrupted", *HELD_BACK, "uci", "refused_letters", "refused_digits"):
        assert found[name] == pytest.approx(published[name], abs=0.0005), name
    assert study.REFUSED == 0.005


def test_calibration_under_changes_is_that_of_the_six(measured, monkeypatch):
    model, _ = measured
    strengths = sum(len(each.strengths) - 1 for each in CORRUPTIONS.values())
    errors = iter([0.5, *[0.25] * strengths])  # on clean digits, then under each change
    monkeypatch.setattr(study, "calibration_error", lambda *_: next(errors))
    again = measure_on_few(model, 10)
    assert (again["calibration_error"], again["calibration_error_corrupted"]) == (0.5, 0.25)
    assert next(errors, None) is None, "each was asked for once"
