"""The study runs on small digits from end to end, stops and goes on where it was."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
import torch

from mnistkit.data import Digits, Split
from mnistkit.errors import DataError, ResultError
from mnistkit.experiments.recipe import Recipe
from mnistkit.study import measure as measuring
from mnistkit.study import table
from mnistkit.study.measure import measure, measure_lacking
from mnistkit.study.plan import Entry, Plan, beyond_plan, judging_plan, tuning_plan
from mnistkit.transfer import FeatureSplit, load_mobilenet, name_features
from tests.conftest import make_split


def shortened(part):
    """A part of the plan with a fifth of the epochs, and two seeds."""
    return lambda *rates: [
        replace(e, seeds=range(2), recipe=replace(e.recipe, epochs=max(1, e.recipe.epochs // 5)))
        for e in part(*rates)
    ]


SHORT = Plan(shortened(tuning_plan), shortened(judging_plan), shortened(beyond_plan))


@pytest.fixture(scope="session")
def weights(mobilenet, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "mobilenet.pth"
    torch.save(mobilenet.state_dict(), path)
    return path


def forty_digits(source: str, validation_size: int) -> Digits:
    aside = make_split(20 if validation_size else 0, 1)
    return Digits(make_split(40, 0), aside, make_split(40, 2), source)


def features_of(_model, weights: str, digits: Digits) -> Digits:
    """Pixels in the place of features, which take long to compute."""

    def wide(split: Split) -> FeatureSplit:
        images = split.inputs().flatten(1).half().repeat(1, 2)[:, :1280]
        return FeatureSplit(images, split.labels)

    parts = {part: wide(getattr(digits, part)) for part in ("train", "validation", "test")}
    return replace(name_features(digits, weights), **parts)


@pytest.fixture(scope="session")
def whole(weights, tmp_path_factory):
    """The whole study at a fifth of the epochs: its results, its words, computed features."""
    folder, computed = tmp_path_factory.mktemp("whole"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MNISTKIT_MOBILENET", str(weights))
        patch.setenv("TQDM_DISABLE", "1")
        patch.setattr(measuring, "load_digits", forty_digits)
        patch.setattr(measuring, "feature_digits",
                      lambda *given: computed.append(1) or features_of(*given))  # fmt: skip
        said = list(measure(folder, plan=SHORT))
    return folder, said, computed


@pytest.fixture
def short_study(monkeypatch, weights, whole, tmp_path):
    """A copy of these results in `all`; what is still to be run is run on forty digits."""
    monkeypatch.setenv("MNISTKIT_MOBILENET", str(weights))
    monkeypatch.setattr(measuring, "load_digits", forty_digits)
    monkeypatch.setattr(measuring, "feature_digits", features_of)
    return shutil.copytree(whole[0], tmp_path / "all", copy_function=shutil.copy2)


@pytest.fixture
def known(short_study):
    return table.read_folder(short_study, SHORT)


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_a_whole_study_is_run_once_and_then_read(whole, short_study, known):
    _, said, computed = whole
    assert any("chosen" in line for line in said)
    assert table.missing_runs(known, SHORT) == []
    assert set(known.frame["source"]) == {"mnist"}
    assert set(known.frame["weights"]) == {"", load_mobilenet()[1]}
    assert known.seconds("MobileNetV2 features") >= 0
    before = times(short_study)
    list(measure(short_study, plan=SHORT))
    assert times(short_study) == before
    assert computed == [1], "features are computed once, not to be read again"


def test_a_study_goes_on_where_it_was_stopped(short_study):
    lost = [path for path in short_study.iterdir() if path.name.startswith(("v1-", "b-cnn-"))]
    for path in lost[::2]:
        path.unlink()
    left = times(short_study)
    list(measure(short_study, plan=SHORT))
    after = times(short_study)
    assert {name: after[name] for name in left} == left
    assert len(after) == len(left) + len(lost[::2])


def test_without_imagenet_weights_its_claims_are_left_out(short_study, monkeypatch):
    monkeypatch.setenv("MNISTKIT_MOBILENET", "random")
    for path in short_study.glob("mobilenetv2-*"):
        path.unlink()
    said = list(measure(short_study, plan=SHORT))
    assert any("MobileNetV2 is left out" in line for line in said)
    missing = table.missing_runs(table.read_folder(short_study, SHORT), SHORT)
    assert {name.split(",")[0] for name in missing} == {"MobileNetV2 head", "MobileNetV2 features"}


def test_ensembles_are_made_of_the_models_that_were_kept(short_study, known):
    assert len(list(short_study.glob("compactcnn-*.pt"))) == 10
    five, one = known.of("CompactCNN ensemble"), known.of("CompactCNN")
    assert five["parameters"].tolist() == [5 * one["parameters"].iloc[0]] * 2
    for row in five.itertuples():
        assert row.test_accuracy == pytest.approx(1 - len(row.wrong) / 40)


@pytest.mark.parametrize("lost", ["CompactCNN ensemble", "MobileNetV2 features"])
def test_what_rests_on_other_runs_is_measured_again_too(known, short_study, tmp_path, lost):
    for path in short_study.glob("compactcnn-*"):  # else five models are trained once more
        if path.suffix != ".md":
            shutil.copy2(path, tmp_path)
    for path in tmp_path.glob("compactcnn-ensemble-*"):
        path.unlink()
    without = table.Runs(known.frame[known.frame["name"] != lost])
    said = list(measure_lacking(without, tmp_path, plan=SHORT))
    assert any(lost.split()[0] in line for line in said)
    joined = table.join_folder(without, tmp_path, SHORT)
    assert table.missing_runs(joined, SHORT) == []


def test_a_new_recipe_is_measured_alone_and_joins_the_others(known, tmp_path):
    new = Entry("mine", Recipe("V0", {"hidden_units": 3}), range(2))
    plan = replace(SHORT, judging=lambda rates: [*SHORT.judging(rates), new])
    assert table.missing_runs(known, plan) == ["mine, seed 0", "mine, seed 1"]
    said = list(measure_lacking(known, tmp_path / "new", plan=plan))
    assert said == ["mine, 2 seeds"]
    joined = table.join_folder(known, tmp_path / "new", plan)
    assert table.missing_runs(joined, plan) == []
    assert len(joined.frame) == len(known.frame) + 2
    assert joined.of("mine")["seed"].tolist() == [0, 1]
    table.write_table(joined, tmp_path / "table.csv")
    assert len(table.read_table(tmp_path / "table.csv", plan=plan).frame) == len(joined.frame)
    assert list(measure_lacking(joined, tmp_path / "new", plan=plan)) == []


def test_runs_on_other_digits_are_neither_measured_nor_joined(known, short_study, tmp_path):
    without = table.Runs(known.frame[known.frame["name"] != "V2"].assign(data="others"))
    with pytest.raises(ResultError, match="has to be of the same digits, and these are others"):
        list(measure_lacking(without, tmp_path / "new", plan=SHORT))
    assert not (tmp_path / "new").exists()
    assert table.join_folder(without, short_study, SHORT) is without


def test_without_mnist_it_is_said_what_joining_needs(known, tmp_path, monkeypatch):
    without = table.Runs(known.frame[known.frame["name"] != "V2"])

    def unreachable(*_, **__):
        raise DataError("mnist could not be downloaded", do="set MNISTKIT_SOURCE=sample")

    monkeypatch.setattr(measuring, "load_digits", unreachable)
    with pytest.raises(ResultError, match="mnist could not be downloaded") as told:
        list(measure_lacking(without, tmp_path / "new", plan=SHORT))
    assert "sample" not in str(told.value)


def test_a_changed_recipe_is_measured_anew_and_replaces_its_runs(known, short_study, tmp_path):
    path = tmp_path / "table.csv"
    table.write_table(known, path)

    def changed(rates):
        return [
            replace(e, recipe=replace(e.recipe, epochs=e.recipe.epochs + 1))
            if e.name == "V0"
            else e
            for e in SHORT.judging(rates)
        ]

    plan = replace(SHORT, judging=changed)
    with pytest.raises(ResultError, match=r"V0, seed 0, was measured with another(.|\n)*--add"):
        table.read_table(path, plan=plan)
    kept = table.read_table(path, drop_outdated=True, plan=plan)
    assert len(kept.of("V0")) == 0
    said = measure_lacking(kept, short_study, plan=plan)
    assert [line.split(",")[0] for line in said] == ["V0"]
    joined = table.join_folder(kept, short_study, plan)
    table.write_table(joined, path)
    assert table.missing_runs(table.read_table(path, plan=plan), plan) == []
