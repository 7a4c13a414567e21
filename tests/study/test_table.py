"""The study's runs: collected, kept as one table, and every disturbance noticed."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistkit.data import Digits
from mnistkit.errors import ResultError
from mnistkit.experiments.results import Result, identify, write_result
from mnistkit.models import MODELS
from mnistkit.study import table
from mnistkit.study.claims import CLAIMS
from mnistkit.study.plan import (
    ENSEMBLE,
    FEATURES,
    beyond_plan,
    choose_rates,
    judging_plan,
    tuning_plan,
)
from mnistkit.study.report import findings
from mnistkit.transfer import name_features
from tests.conftest import make_split

WEIGHTS = "ImageNet weights, of a test"
BEST = {"SGD": 0.2, "Adam": 0.002}


def digits(validation: int, source: str = "mnist", seed: int = 0) -> Digits:
    splits = make_split(30, seed), make_split(validation, 1), make_split(20, 2)
    return Digits(*splits, source)


def fill(folder, source: str = "mnist", seed: int = 0) -> None:
    """A whole study, with made-up numbers: a twentieth of a second for each of 300 runs."""
    whole = digits(0, source, seed)
    kinds = {"whole": whole, "split": digits(10, source, seed),
             "features": name_features(whole, WEIGHTS)}  # fmt: skip
    chance = random.Random(0)
    for entry in [*tuning_plan(), *judging_plan(BEST), FEATURES, *beyond_plan(), ENSEMBLE]:
        best = entry.recipe.learning_rate in BEST.values()
        for run_seed in entry.seeds:
            run = identify(entry.recipe, run_seed, kinds[entry.data])
            value = (0.97 if best else 0.95) + round(chance.random() / 100, 4)
            epochs = [{"epoch": k + 1, "test_accuracy": value} for k in range(5)]
            measured = {"seconds": 2.0, "parameters": 10}
            if entry.test:
                measured |= {"test_accuracy": value, "test_loss": 0.1, "epochs": epochs}
                measured |= {"test_wrong": [3, 14]} if entry.kept else {}
            elif entry is not FEATURES:
                measured |= {"validation_accuracy": value, "validation_loss": 0.1}
            write_result(folder, Result(run, measured))


@pytest.fixture(scope="session")
def master(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    fill(folder)
    return folder


@pytest.fixture
def folder(master, tmp_path):
    return shutil.copytree(master, tmp_path / "runs")


@pytest.fixture(scope="session")
def study_runs(master):
    return table.read_folder(master)


def test_a_whole_study_is_collected_at_the_rates_that_it_chose(study_runs):
    assert table.missing_runs(study_runs) == []
    assert choose_rates(study_runs.frame) == BEST
    assert study_runs.rate("A SGD") == 0.2
    assert len(study_runs.of("V1")) == 64
    assert study_runs.of("CompactCNN")["wrong"].tolist() == [[3, 14]] * 10
    assert len(study_runs.of("CompactCNN ensemble")) == 2
    assert {f.verdict for f in findings(study_runs)} >= {"not reproduced", "surpassed"}


def test_a_table_gives_back_every_run(study_runs, tmp_path):
    table.write_table(study_runs, tmp_path / "table.csv")
    back = table.read_table(tmp_path / "table.csv")
    pd.testing.assert_frame_equal(back.frame.fillna(0), study_runs.frame.fillna(0))
    assert [f.here for f in findings(back)] == [f.here for f in findings(study_runs)]


@pytest.mark.parametrize(
    ("old", "new"), [(",0.9", ",0.8"), ("\nV1,", "\nV0,"), (",mnist,", ",qmnist,")]
)
def test_a_changed_line_of_the_table_is_named(study_runs, tmp_path, old, new):
    path = tmp_path / "table.csv"
    table.write_table(study_runs, path)
    text = path.read_text()
    path.write_text(text.replace(old, new, 1))
    line = text[: text.index(old) + 1].count("\n") + 1
    with pytest.raises(ResultError, match=f"line {line} of table.csv has been changed"):
        table.read_table(path)


def test_a_line_that_stands_there_twice_is_named(study_runs, tmp_path):
    path = tmp_path / "table.csv"
    table.write_table(study_runs, path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines, lines[7]]))
    where = f"line {len(lines) + 1} of table.csv stands there twice"
    with pytest.raises(ResultError, match=where):
        table.read_table(path)


def test_a_line_that_is_gone_is_missed(study_runs, tmp_path):
    path = tmp_path / "table.csv"
    table.write_table(study_runs, path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("A wide,3,")))
    runs = table.read_table(path)
    assert table.missing_runs(runs) == ["A wide, seed 3"]
    (a2,) = (f for f in findings(runs) if f.claim.id == "A2")
    assert (a2.verdict, a2.why) == ("undecided", "9 of 10 runs of A wide are there")


def test_a_missing_result_is_missed(folder):
    next(p for p in folder.glob("v2-*seed0004.json") if "float32" not in p.read_text()).unlink()
    assert table.missing_runs(table.read_folder(folder)) == ["V2, seed 4"]


def test_rates_are_not_chosen_from_half_of_the_runs(folder):
    victim = next(p for p in folder.glob("a-baseline-*") if "validation_loss" in p.read_text())
    victim.unlink()
    with pytest.raises(ResultError, match="32 of the 33 runs that choose learning rates"):
        table.read_folder(folder)


def test_an_empty_folder_says_what_to_do(tmp_path):
    with pytest.raises(ResultError, match=r"0 of the 33 runs[\s\S]*mnistkit scoreboard --rerun"):
        table.read_folder(tmp_path)


def test_a_changed_result_is_named(folder):
    victim = next(folder.glob("e-cnn-*seed0002.json"))
    content = json.loads(victim.read_text())
    content["measured"]["test_accuracy"] = 0.9999
    victim.write_text(json.dumps(content))
    with pytest.raises(ResultError, match=r"e-cnn-.*seed0002.json has been changed"):
        table.read_folder(folder)


@pytest.mark.parametrize("other", [{"source": "sample"}, {"seed": 5}])
def test_a_result_of_other_data_is_named(folder, tmp_path, other):
    entry = next(e for e in judging_plan(BEST) if e.name == "V0")
    foreign = digits(0, other.get("source", "mnist"), other.get("seed", 0))
    path = write_result(folder, Result(identify(entry.recipe, 0, foreign), {"test_accuracy": 0.5}))
    with pytest.raises(ResultError, match=f"{path.name} was measured on other data"):
        table.read_folder(folder)


@pytest.fixture
def wider_baseline(monkeypatch):
    """Other layers than the runs that choose learning rates were made with."""
    entry = MODELS["A baseline"]
    wider = replace(entry, build=partial(entry.build, hidden=(99,)))
    monkeypatch.setitem(MODELS, "A baseline", wider)


@pytest.mark.usefixtures("wider_baseline")
def test_a_recipe_that_has_changed_since_is_noticed(study_runs, tmp_path):
    path = tmp_path / "table.csv"
    table.write_table(study_runs, path)
    with pytest.raises(
        ResultError, match=r"tune SGD 0\.03, seed 0, was measured with another recipe"
    ):
        table.read_table(path)


@pytest.mark.usefixtures("wider_baseline")
def test_runs_that_choose_rates_are_never_left_out(study_runs, tmp_path):
    """All others rest on them, so it takes a whole new study."""
    path = tmp_path / "table.csv"
    table.write_table(study_runs, path)
    with pytest.raises(ResultError, match=r"tune SGD(.|\n)*`mnistkit scoreboard --rerun`"):
        table.read_table(path, drop_outdated=True)


def test_a_result_of_layers_that_have_changed_since_does_not_join(study_runs, tmp_path):
    entry = next(e for e in judging_plan(BEST) if e.name == "V0")
    without = table.Runs(study_runs.frame[study_runs.frame["name"] != "V0"])
    now = identify(entry.recipe, 0, digits(0))
    before = replace(now, layers="older")
    paths = [write_result(tmp_path, Result(run, {"test_accuracy": 0.5})) for run in (before, now)]
    assert table.join_folder(without, tmp_path).of("V0")["layers"].tolist() == [now.layers]
    paths[1].unlink()
    assert table.join_folder(without, tmp_path) is without


def test_a_result_of_layers_that_have_changed_since_hides_no_other(folder, study_runs):
    """The folder of an older study: its files are named by their layers, in any order."""
    entry = next(e for e in judging_plan(BEST) if e.name == "V0")
    for older in ("older", "0", "f"):
        run = replace(identify(entry.recipe, 0, digits(0)), layers=older)
        write_result(folder, Result(run, {"test_accuracy": 0.5}))
    assert table.read_folder(folder).of("V0")["test_accuracy"].min() > 0.9


def test_a_study_on_the_sample_decides_nothing(tmp_path):
    fill(tmp_path, "sample")
    found = findings(table.read_folder(tmp_path))
    assert {f.verdict for f in found if f.claim.rule.names} == {"undecided"}
    assert {f.why for f in found if f.claim.rule.names} == {"needs full MNIST"}


# --- the table that comes with the package -------------------------------------------------


@pytest.fixture(scope="session")
def published():
    return table.read_table()


def test_the_published_table_is_whole_and_of_full_mnist(published):
    assert table.missing_runs(published) == []
    assert set(published.frame["source"]) == {"mnist"}
    weights = published.frame.groupby("name")["weights"].first()
    heads = ["MobileNetV2 features", "MobileNetV2 head"]
    assert weights[weights != ""].to_dict() == dict.fromkeys(
        heads, "ImageNet weights, from an int8 model"
    )
    sizes = published.frame[["train", "validation"]].sum(axis=1)
    assert set(sizes) == {60_000}


def test_every_claim_but_one_rests_on_at_least_ten_seeds(published):
    few = {f.claim.id: f.n for f in findings(published) if f.n < 10 and f.claim.rule.names}
    assert few == {"B2": 4}
    assert len(published.of("V1")) >= 64


def test_every_claim_has_a_verdict_and_a_reason(published):
    found = findings(published)
    assert [f.claim.id for f in found] == [c.id for c in CLAIMS]
    for finding in found:
        assert finding.verdict in (
            "reproduced", "surpassed", "not reproduced", "undecided",
            "depends on what the README does not say",
        )  # fmt: skip
        assert "nan" not in finding.here + finding.why
        assert finding.why or finding.claim.id == "D2"


def test_rates_were_chosen_without_test(published):
    tuning = published.frame[published.frame["name"].str.startswith("tune ")]
    assert tuning["test_accuracy"].isna().all()
    assert (tuning["validation"] == 5000).all()


def made_of_wrong(wrong: list[list[int]], digits: int = 100) -> table.Runs:
    rows = [{"name": "a", "seed": k, "wrong": w, "test_accuracy": 1 - len(w) / digits}
            for k, w in enumerate(wrong)]  # fmt: skip
    return table.Runs(pd.DataFrame(rows))


@given(st.lists(st.integers(0, 59_999), unique=True, max_size=300))
def test_misread_digits_come_back_as_they_went(wrong):
    assert table._unpack(table._pack(sorted(wrong))) == sorted(wrong)


def test_misread_digits_are_marked_run_by_run():
    found = made_of_wrong([[3, 99], [], [0]]).misread("a", digits=100)
    assert found.sum(axis=1).tolist() == [2, 0, 1]
    assert found[0, 99]
    lacking = made_of_wrong([[3, 99], [5]])
    lacking.frame["test_accuracy"] = [0.98, 0.97]
    with pytest.raises(ResultError, match="not stored for all runs of a"):
        lacking.misread("a", digits=100)


def test_a_spread_is_parted_into_counting_and_the_rest():
    chance = np.random.default_rng(0)
    hard = chance.random(10_000) < 0.02  # digits that a run misreads half of the time

    def runs(spread: float) -> table.Runs:
        rates = 0.5 + spread * chance.standard_normal(400)
        wrong = [np.flatnonzero(hard & (chance.random(10_000) < rate)) for rate in rates]
        return made_of_wrong(wrong, 10_000)

    observed, counted, left = runs(0.0).split_spread("a")
    assert counted == pytest.approx((hard.sum() / 4) ** 0.5 / 10_000, rel=0.02)
    assert observed == pytest.approx(counted, rel=0.1)
    observed, counted, left = runs(0.2).split_spread("a")
    assert left == pytest.approx(0.2 * hard.sum() / 10_000, rel=0.1)
    assert observed**2 == pytest.approx(counted**2 + left**2)
