"""A result file is believed only if it is whole, unchanged, and of the right run."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace

import pytest
import torch
from torch import nn

from mnistkit.errors import ResultError, StorageError
from mnistkit.experiments.recipe import Recipe, digest_of
from mnistkit.experiments.results import (
    Result,
    describe_layers,
    describe_machine,
    identify,
    read_result,
    stored_result,
    write_result,
)
from mnistkit.models import MODELS, MNISTModelV0, ModelEntry

RECIPE = Recipe("V0", epochs=1)


@pytest.fixture
def stored(tmp_path, easy_digits):
    run = identify(RECIPE, 3, easy_digits)
    return run, write_result(tmp_path, Result(run, {"test_accuracy": 0.9, "seconds": 1.5}))


def edit(path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def sign(path, change) -> None:
    """Edit a file, and give it the checksum of what it holds now."""
    content = json.loads(path.read_text())
    content.pop("sha256")
    change(content)
    path.write_text(json.dumps(content | {"sha256": digest_of(content)}))


def test_what_is_written_is_read(stored, tmp_path):
    run, path = stored
    content = read_result(path, run)
    assert content.measured == {"test_accuracy": 0.9, "seconds": 1.5}
    assert content.run.seed == 3
    assert content.machine["threads"] == torch.get_num_threads()
    assert content.machine["torch"] == torch.__version__
    assert content.run.data.source == "easy"
    assert [p.name for p in tmp_path.iterdir()] == [path.name], "no temporary file is left"


def test_file_names_tell_model_and_seed(stored):
    assert stored[1].name.startswith("v0-")
    assert stored[1].name.endswith("-seed0003.json")


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["measured"].update(test_accuracy=0.99),
        lambda c: c["run"].update(seed=4),
        lambda c: c["machine"].update(threads=64),
        lambda c: c.pop("sha256"),
        lambda c: c["measured"].clear(),
    ],
)
def test_a_changed_file_is_noticed(stored, change):
    run, path = stored
    edit(path, change)
    with pytest.raises(ResultError, match=r"v0-.*has been changed since it was written"):
        read_result(path, run)


def test_a_result_of_another_version_is_named(stored):
    """Older training gave other numbers: they are not taken for those of today."""
    run, path = stored
    sign(path, lambda c: c.update(format=1))
    with pytest.raises(ResultError, match=r"another version of .*of kind 1, here 2\)"):
        read_result(path, run)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["run"].pop("layers"),
        lambda c: c["run"]["data"].update(colour="red"),
        lambda c: c.pop("machine") and c.pop("measured"),
        lambda c: c["run"].update(recipe=3),
        lambda c: c.update(run=[]),
    ],
)
def test_a_signed_file_that_lacks_something_is_named(stored, change):
    run, path = stored
    sign(path, change)
    with pytest.raises(ResultError, match=r"v0-.* is no result of a run"):
        read_result(path, run)


def test_a_run_finds_its_result_and_no_other(stored):
    run, path = stored
    assert stored_result(path.parent, run) == read_result(path)
    assert stored_result(path.parent, replace(run, seed=4)) is None
    with pytest.raises(FrozenInstanceError):
        run.seed = 4


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path, easy_digits):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match=r"v0-.*json cannot be written"):
        write_result(tmp_path / "file", Result(identify(RECIPE, 3, easy_digits), {}))


def test_a_missing_file_is_named(stored):
    run, path = stored
    path.unlink()
    with pytest.raises(ResultError, match="there is no result v0-"):
        read_result(path, run)


@pytest.mark.parametrize("content", ["", "{", "[1, 2]", "null", "\x00\x01"])
def test_what_is_no_result_is_named(stored, content):
    run, path = stored
    path.write_text(content)
    with pytest.raises(ResultError, match=r"v0-.* is no"):
        read_result(path, run)


def test_a_cut_file_is_named(stored):
    run, path = stored
    path.write_text(path.read_text()[:-20])
    with pytest.raises(ResultError, match=r"no readable result.*\n.*\n.*delete that file"):
        read_result(path, run)


def test_a_result_of_other_data_is_noticed(stored, tmp_path, easy_digits):
    run, path = stored
    brighter = replace(easy_digits.train, images=easy_digits.train.images.clamp(min=1))
    other = identify(RECIPE, 3, replace(easy_digits, train=brighter, source="brighter"))
    foreign = write_result(tmp_path, Result(other, {"test_accuracy": 1.0}))
    assert foreign != path, "it has a name of its own"
    foreign.replace(path)
    with pytest.raises(ResultError, match=r"other data: brighter \(600 .*expected easy \(600"):
        read_result(path, run)


def test_a_renamed_result_is_noticed(stored, easy_digits):
    _, path = stored
    other = path.parent / identify(RECIPE, 4, easy_digits).file_name
    path.rename(other)
    with pytest.raises(ResultError, match="another run than its name says: V0, seed 3"):
        read_result(other)


def test_one_pixel_or_label_makes_other_data(easy_digits):
    pixel, label = easy_digits.test.images.clone(), easy_digits.test.labels.clone()
    pixel[5, 3, 3] ^= 1
    label[7] = (label[7] + 1) % 10
    changed = [
        replace(easy_digits, test=replace(easy_digits.test, images=pixel)),
        replace(easy_digits, test=replace(easy_digits.test, labels=label)),
        replace(easy_digits, train=easy_digits.test, test=easy_digits.train),
    ]
    assert len({d.digest for d in (easy_digits, *changed)}) == 4


def test_another_architecture_under_the_same_name_is_another_run(easy_digits, monkeypatch):
    before = identify(RECIPE, 0, easy_digits)
    entry = ModelEntry(lambda: MNISTModelV0(hidden_units=11), "C", "changed")
    monkeypatch.setitem(MODELS, "V0", entry)
    after = identify(RECIPE, 0, easy_digits)
    assert before.file_name != after.file_name


def test_the_device_is_named_where_it_was_another(tmp_path, easy_digits):
    run = identify(RECIPE, 0, easy_digits)
    path = write_result(tmp_path, Result(run, {}, describe_machine("cuda")))
    assert read_result(path).machine["device"] == "cuda"


def test_the_result_of_another_run_is_not_taken_for_this_one(stored):
    run, path = stored
    for other in (replace(run, seed=4), replace(run, recipe=run.recipe | {"epochs": 2})):
        with pytest.raises(ResultError, match="holds another run than its name says"):
            read_result(path, other)


def test_features_are_known_by_the_weights_that_made_them(easy_digits):
    features = replace(easy_digits, weights="of a friend")
    run = identify(Recipe("V0"), 0, features)
    assert run.data.weights == "of a friend"
    assert run != identify(Recipe("V0"), 0, easy_digits)


def test_a_layer_is_described_by_its_own_weights_only():
    outer, *inner = describe_layers(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)))
    assert (outer["name"], outer["shapes"]) == ("", {})
    assert inner[0]["shapes"] == {"weight": [2, 3], "bias": [2]}
    assert {"running_mean", "running_var"} < set(inner[1]["shapes"])
