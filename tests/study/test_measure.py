"""The study runs on small digits from end to end, stops and goes on where it was."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mnistkit.errors import DataError, ResultError
from mnistkit.experiments.recipe import Recipe
from mnistkit.study import measure as measuring
from mnistkit.study import plan as study_plan
from mnistkit.study import table
from mnistkit.study.measure import measure, measure_lacking
from mnistkit.study.plan import COMPACT, Entry, beyond_plan, judging_plan, tuning_plan
from mnistkit.transfer import FeatureSplit, load_mobilenet


def plan_by(monkeypatch, name: str, plan) -> None:
    """Let one part of the plan be another."""
    for module in (study_plan, measuring, table):
        if hasattr(module, name):
            monkeypatch.setattr(module, name, plan)


@pytest.fixture(scope="module")
def weights(mobilenet, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "mobilenet.pth"
    torch.save(mobilenet.state_dict(), path)
    return path


@pytest.fixture
def short_study(monkeypatch, easy_digits, weights):
    """Every recipe of the plan, but a fifth of the epochs, two seeds, and 40 digits."""
    small = replace(easy_digits, **{p: getattr(easy_digits, p)[:40] for p in ("train", "test")})

    def digits_of(source, validation_size):
        aside = small.validation[: 20 if validation_size else 0]
        return replace(small, source=source, validation=aside)

    def shortened(plan):
        return lambda *rates: [
            replace(
                e, seeds=range(2), recipe=replace(e.recipe, epochs=max(1, e.recipe.epochs // 5))
            )
            for e in plan(*rates)
        ]

    def features(model, weights, digits):
        named = measuring.name_features(digits, weights)
        parts = {
            part: FeatureSplit(
                getattr(digits, part).inputs().flatten(1).half().repeat(1, 2)[:, :1280],
                getattr(digits, part).labels,
            )
            for part in ("train", "validation", "test")
        }
        return replace(named, **parts)

    loads = []
    monkeypatch.setattr(measuring, "load_digits", digits_of)
    monkeypatch.setattr(measuring, "COMPACT", replace(COMPACT, epochs=4))
    for plan in (tuning_plan, judging_plan, beyond_plan):
        plan_by(monkeypatch, plan.__name__, shortened(plan))
    monkeypatch.setenv("MNISTKIT_MOBILENET", str(weights))
    monkeypatch.setattr(
        measuring, "feature_digits", lambda *args: loads.append(args) or features(*args)
    )
    return loads


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_a_whole_study_is_run_once_and_then_read(short_study, tmp_path):
    said = list(measure(tmp_path))
    assert any("chosen" in line for line in said)
    runs = table.read_folder(tmp_path)
    assert table.missing_runs(runs) == []
    assert set(runs.frame["source"]) == {"mnist"}
    assert set(runs.frame["weights"]) == {"", load_mobilenet()[1]}
    assert runs.seconds("MobileNetV2 features") >= 0
    before = times(tmp_path)
    list(measure(tmp_path))
    assert times(tmp_path) == before
    assert len(short_study) == 1, "features are computed once, not to be read again"


def test_a_study_goes_on_where_it_was_stopped(short_study, tmp_path):
    for said, _ in zip(measure(tmp_path), range(4), strict=False):
        last = said
    assert "V1, " in last
    before = times(tmp_path)
    list(measure(tmp_path))
    after = times(tmp_path)
    assert {name: after[name] for name in before} == before
    assert len(after) > len(before)


def test_without_imagenet_weights_its_claims_are_left_out(short_study, tmp_path, monkeypatch):
    monkeypatch.setenv("MNISTKIT_MOBILENET", "random")
    said = list(measure(tmp_path))
    assert any("MobileNetV2 is left out" in line for line in said)
    missing = table.missing_runs(table.read_folder(tmp_path))
    assert {name.split(",")[0] for name in missing} == {"MobileNetV2 head", "MobileNetV2 features"}


def test_ensembles_are_made_of_the_models_that_were_kept(short_study, tmp_path):
    list(measure(tmp_path))
    assert len(list(tmp_path.glob("compactcnn-*.pt"))) == 10
    runs = table.read_folder(tmp_path)
    five, one = runs.of("CompactCNN ensemble"), runs.of("CompactCNN")
    assert five["parameters"].tolist() == [5 * one["parameters"].iloc[0]] * 2
    for row in five.itertuples():
        assert row.test_accuracy == pytest.approx(1 - len(row.wrong) / 40)


@pytest.mark.parametrize("lost", ["CompactCNN ensemble", "MobileNetV2 features"])
def test_what_rests_on_other_runs_is_measured_again_too(short_study, tmp_path, lost):
    list(measure(tmp_path / "all"))
    known = table.read_folder(tmp_path / "all")
    without = table.Runs(known.frame[known.frame["name"] != lost])
    said = list(measure_lacking(without, tmp_path / "new"))
    assert any(lost.split()[0] in line for line in said)
    joined = table.join_folder(without, tmp_path / "new")
    assert table.missing_runs(joined) == []


def test_a_new_recipe_is_measured_alone_and_joins_the_others(short_study, tmp_path, monkeypatch):
    list(measure(tmp_path / "all"))
    known = table.read_folder(tmp_path / "all")
    planned = study_plan.judging_plan
    new = Entry("mine", Recipe("V0", {"hidden_units": 3}), range(2))
    plan_by(monkeypatch, "judging_plan", lambda rates: [*planned(rates), new])
    assert table.missing_runs(known) == ["mine, seed 0", "mine, seed 1"]
    said = list(measure_lacking(known, tmp_path / "new"))
    assert said == ["mine, 2 seeds"]
    joined = table.join_folder(known, tmp_path / "new")
    assert table.missing_runs(joined) == []
    assert len(joined.frame) == len(known.frame) + 2
    assert joined.of("mine")["seed"].tolist() == [0, 1]
    table.write_table(joined, tmp_path / "table.csv")
    assert len(table.read_table(tmp_path / "table.csv").frame) == len(joined.frame)
    assert list(measure_lacking(joined, tmp_path / "new")) == []


def test_runs_on_other_digits_are_neither_measured_nor_joined(short_study, tmp_path):
    list(measure(tmp_path / "all"))
    known = table.read_folder(tmp_path / "all")
    without = table.Runs(known.frame[known.frame["name"] != "V2"].assign(data="others"))
    with pytest.raises(ResultError, match="has to be of the same digits, and these are others"):
        list(measure_lacking(without, tmp_path / "new"))
    assert not (tmp_path / "new").exists()
    assert table.join_folder(without, tmp_path / "all") is without


def test_without_mnist_it_is_said_what_joining_needs(short_study, tmp_path, monkeypatch):
    list(measure(tmp_path / "all"))
    known = table.read_folder(tmp_path / "all")
    without = table.Runs(known.frame[known.frame["name"] != "V2"])

    def unreachable(*_, **__):
        raise DataError("mnist could not be downloaded", do="set MNISTKIT_SOURCE=sample")

    monkeypatch.setattr(measuring, "load_digits", unreachable)
    with pytest.raises(ResultError, match="mnist could not be downloaded") as told:
        list(measure_lacking(without, tmp_path / "new"))
    assert "sample" not in str(told.value)


def test_a_changed_recipe_is_measured_anew_and_replaces_its_runs(
    short_study, tmp_path, monkeypatch
):
    list(measure(tmp_path / "all"))
    table.write_table(table.read_folder(tmp_path / "all"), tmp_path / "table.csv")
    planned = study_plan.judging_plan

    def changed(rates):
        return [
            replace(e, recipe=replace(e.recipe, epochs=e.recipe.epochs + 1))
            if e.name == "V0"
            else e
            for e in planned(rates)
        ]

    plan_by(monkeypatch, "judging_plan", changed)
    with pytest.raises(ResultError, match=r"V0, seed 0, was measured with another(.|\n)*--add"):
        table.read_table(tmp_path / "table.csv")
    kept = table.read_table(tmp_path / "table.csv", drop_outdated=True)
    assert len(kept.of("V0")) == 0
    assert [line.split(",")[0] for line in measure_lacking(kept, tmp_path / "all")] == ["V0"]
    joined = table.join_folder(kept, tmp_path / "all")
    table.write_table(joined, tmp_path / "table.csv")
    assert table.missing_runs(table.read_table(tmp_path / "table.csv")) == []
