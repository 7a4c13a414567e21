"""Models are saved whole or not at all, and loaded without running anything."""

from __future__ import annotations

import collections
import pickle
import sys

import numpy as np
import pytest
import torch
from torch import nn

from mnistkit.checkpoints import (
    load_checkpoint,
    load_model,
    load_state,
    save_checkpoint,
    save_model,
    save_state,
)
from mnistkit.errors import CheckpointError, StorageError, UnknownNameError
from mnistkit.models import build_model
from mnistkit.training import Evaluation

IMAGES = torch.rand(5, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def same(a, b):
    return torch.equal(a.eval()(IMAGES), b.eval()(IMAGES))


@pytest.mark.parametrize("name", ["V2", "D deep", "E CNN"])
def test_all_three_forms_give_the_same_model_back(tmp_path, name):
    model = build_model(name, seed=1)
    whole = load_model(save_model(model, tmp_path / "full.pth"), trust=True)
    state = load_state(build_model(name), save_state(model, tmp_path / "state.pth"))
    path = save_checkpoint(model, tmp_path / "all.pth", architecture=name, test_accuracy=0.98)
    built, checkpoint = load_checkpoint(path)
    assert all(same(loaded, model) for loaded in (whole, state, built))
    assert set(checkpoint) == {"model_state_dict", "model_architecture", "test_accuracy"}
    assert checkpoint["test_accuracy"] == 0.98
    assert not built.training


def test_options_travel_with_the_checkpoint(tmp_path):
    model = build_model("A baseline", seed=0, hidden=(20,))
    path = save_checkpoint(
        model, tmp_path / "c.pth", architecture="A baseline", test_accuracy=0.9,
        options={"hidden": (20,)},
    )  # fmt: skip
    assert same(load_checkpoint(path)[0], model)


class Payload:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return exec, (f"open({self.path!r}, 'w').write('ran')",)


@pytest.mark.parametrize(
    "load", [load_checkpoint, lambda p: load_state(build_model("V0"), p), load_model]
)
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path, load):
    trace = tmp_path / "trace"
    path = tmp_path / "evil.pth"
    torch.save({"model_state_dict": Payload(trace)}, path)
    with pytest.raises(CheckpointError):
        load(path)
    assert not trace.exists()
    torch.load(path, weights_only=False)
    assert trace.exists(), "the payload is real: loaded without care it runs"


def test_whole_model_needs_trust_and_says_why(tmp_path):
    path = save_model(build_model("V0"), tmp_path / "full.pth")
    with pytest.raises(CheckpointError, match="a pickle that can run code") as caught:
        load_model(path)
    assert "trust=True" in str(caught.value)


def test_wrong_architecture_is_named_and_the_model_left_as_it_was(tmp_path):
    path = save_state(build_model("A wide"), tmp_path / "state.pth")
    model = build_model("A baseline", seed=0)
    before = model.layers[1].weight.clone()
    with pytest.raises(CheckpointError, match=r"layers.1.weight is 256 x 784, expected 128 x 784"):
        load_state(model, path)
    assert torch.equal(model.layers[1].weight, before)


def test_missing_weights_are_named(tmp_path):
    state = build_model("V0").state_dict()
    del state["layers.2.bias"]
    torch.save(state, tmp_path / "state.pth")
    with pytest.raises(CheckpointError, match=r"layers.2.bias is absent, expected 10"):
        load_state(build_model("V0"), tmp_path / "state.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"model_state_dict": {}}, "it lacks model_architecture, test_accuracy"),
        (torch.zeros(3), "it lacks model_state_dict"),
        (
            {"model_state_dict": {}, "model_architecture": "V7", "test_accuracy": 0.5},
            "unknown model 'V7'",
        ),
    ],
)
def test_incomplete_checkpoints_are_named(tmp_path, content, message):
    torch.save(content, tmp_path / "c.pth")
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path / "c.pth")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.long(), "layers.2.bias are torch.int64, expected torch.float32"),
        (lambda w: w * float("nan"), "layers.2.bias hold values that are no numbers"),
        (lambda w: w[:5], "layers.2.bias is 5, expected 10"),
        (lambda w: w.tolist(), "layers.2.bias is of type list, expected a tensor"),
        (lambda w: w.to_sparse(), "layers.2.bias is a sparse tensor, expected a tensor that holds"),
    ],
)
def test_weights_of_another_kind_are_named_and_the_model_left_as_it_was(tmp_path, change, message):
    state = build_model("V0", seed=1).state_dict()
    torch.save(state | {"layers.2.bias": change(state["layers.2.bias"])}, tmp_path / "state.pth")
    model = build_model("V0", seed=0)
    with pytest.raises(CheckpointError, match=message):
        load_state(model, tmp_path / "state.pth")
    assert same(model, build_model("V0", seed=0))


def test_weights_in_other_floats_are_taken(tmp_path):
    state = {k: v.double() for k, v in build_model("V0", seed=1).state_dict().items()}
    torch.save(state, tmp_path / "state.pth")
    assert same(load_state(build_model("V0"), tmp_path / "state.pth"), build_model("V0", seed=1))


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match=r"state.pth cannot be written: .*\n.*\n.*name an"):
        save_state(build_model("V0"), tmp_path / "file" / "state.pth")


def test_a_full_disk_is_named_and_leaves_the_old_file(tmp_path, monkeypatch):
    path = save_state(build_model("V0", seed=0), tmp_path / "state.pth")
    before = path.read_bytes()

    def full(_, file):
        file.write_bytes(b"half")
        raise RuntimeError("PytorchStreamWriter failed writing file data/3: file write failed")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(StorageError, match=r"cannot be written: Pytorch.*\n.*\n.*make room"):
        save_state(build_model("V0", seed=1), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["state.pth"]


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda _: b"", lambda _: pickle.dumps(1, 2)]
)
def test_damaged_files_are_named(tmp_path, damage):
    path = save_state(build_model("V0"), tmp_path / "state.pth")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CheckpointError, match=r"state.pth cannot be used"):
        load_state(build_model("V0"), path)


def test_absent_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"there is no file gone.pth"):
        load_checkpoint(tmp_path / "gone.pth")


def test_interrupted_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = save_state(build_model("V0", seed=0), tmp_path / "state.pth")
    before = path.read_bytes()

    def half_a_save(_, file):
        file.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", half_a_save)
    with pytest.raises(KeyboardInterrupt):
        save_state(build_model("V0", seed=1), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["state.pth"]


def test_an_architecture_that_could_not_be_loaded_is_not_saved(tmp_path):
    with pytest.raises(UnknownNameError, match="unknown architecture 'Mine'"):
        save_checkpoint(
            build_model("V0"), tmp_path / "mine.pt", architecture="Mine", test_accuracy=0.9
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("accuracy", [1.0001, 1.5, 98, -0.1])
def test_an_accuracy_that_is_no_share_is_refused_before_anything_is_written(tmp_path, accuracy):
    options = {"architecture": "V0", "test_accuracy": accuracy}
    with pytest.raises(ValueError, match="test_accuracy is"):
        save_checkpoint(build_model("V0"), tmp_path / "v0.pth", **options)
    assert list(tmp_path.iterdir()) == []
    save_checkpoint(build_model("V0"), tmp_path / "v0.pth", **options | {"test_accuracy": 1})


@pytest.mark.parametrize(
    ("extra", "complaint"),
    [
        ({"best": np.float64(0.9)}, "best is a float64"),
        ({"best": [np.str_("a")]}, r"best is a list, .* only these in it"),
        ({"best": collections.OrderedDict(a=1)}, "best is a OrderedDict"),
        ({"options": [1]}, "expected a dict"),
        ({"model_state_dict": {}}, "an entry of the checkpoint's own"),
    ],
)
def test_what_could_not_be_loaded_is_not_saved(tmp_path, extra, complaint):
    options = {"architecture": "V0", "test_accuracy": 0.9}
    with pytest.raises(ValueError, match=complaint):
        save_checkpoint(build_model("V0"), tmp_path / "v0.pth", **options, **extra)
    assert list(tmp_path.iterdir()) == []
    save_checkpoint(build_model("V0"), tmp_path / "v0.pth", **options, options=None)
    load_checkpoint(tmp_path / "v0.pth")


def test_a_mask_of_infinities_is_loaded_and_a_model_that_diverged_not_saved(tmp_path):
    model = build_model("V0", seed=0)
    model.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
    save_state(model, tmp_path / "masked.pth")
    load_state(model, tmp_path / "masked.pth")
    with torch.no_grad():
        model.layers[1].bias[0] = torch.nan
    with pytest.raises(ValueError, match=r"layers.1.bias hold values that are no numbers"):
        save_state(model, tmp_path / "diverged.pth")


def test_a_path_may_begin_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    path = save_state(build_model("V0"), "~/v0.pth")
    assert path == tmp_path / "v0.pth"
    assert load_state(build_model("V0"), "~/v0.pth")


def test_a_path_in_the_place_of_a_model_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"model is 'v0.pth', expected a torch\.nn\.Module"):
        load_state("v0.pth", build_model("V0"))


@pytest.mark.parametrize(("name", "options", "claimed"), [
    ("A baseline", {"activation": "tanh"}, "A baseline"),
    ("E CNN corrected", {}, "E CNN"),
    ("V1 corrected", {}, "V1"),
])  # fmt: skip
def test_a_model_that_would_come_back_as_another_is_not_saved(tmp_path, name, options, claimed):
    model = build_model(name, seed=0, **options)
    with pytest.raises(ValueError, match="it answers otherwise; were other options given"):
        save_checkpoint(model, tmp_path / "m.pt", architecture=claimed, test_accuracy=0.9)
    path = save_checkpoint(model, tmp_path / "m.pt", architecture=name, test_accuracy=0.9,
                           options=options)  # fmt: skip
    images = torch.rand(3, 1, 28, 28)
    assert torch.equal(load_checkpoint(path)[0](images), model.eval()(images))


def test_damaged_numbers_in_a_file_are_noticed(tmp_path):
    model = build_model("V0", seed=0)
    path = save_state(model, tmp_path / "m.pt")
    content = bytearray(path.read_bytes())
    place = content.index(model.layers[1].weight.detach().numpy().tobytes())
    content[place + 400] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"its part .* is damaged"):
        load_state(build_model("V0", seed=1), path)


def test_what_a_pickle_cannot_hold_and_what_is_no_model_is_named(tmp_path):
    class Mine(nn.Linear):
        """Of a function's own, so that nobody could find it again."""

    with pytest.raises(ValueError, match="a pickle cannot hold this Mine"):
        save_model(Mine(2, 2), tmp_path / "m.pt")
    for save in (save_model, save_state):
        with pytest.raises(ValueError, match="model is 'V0'"):
            save("V0", tmp_path / "m.pt")
    model = build_model("V0", seed=0)
    with pytest.raises(ValueError, match="test_accuracy is <Evaluation"):
        save_checkpoint(model, tmp_path / "m.pt", architecture="V0",
                        test_accuracy=Evaluation(0.5, 0.9, 10))  # fmt: skip
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_is_refused_without_advice_to_run_it(tmp_path, protocol, recwarn):
    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps(Payload(tmp_path / "trace"), protocol))
    with pytest.raises(CheckpointError, match="or holds other things than tensors") as caught:
        load_state(build_model("V0"), path)
    assert "weights_only" not in str(caught.value)
    assert not recwarn.list


def test_running_averages_that_are_no_numbers_are_not_saved(tmp_path):
    model = build_model("FastCNN", seed=0)
    model.features[1].running_mean[0] = torch.nan
    with pytest.raises(ValueError, match=r"features.1.running_mean hold values that are no num"):
        save_state(model, tmp_path / "diverged.pth")


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_a_checkpoint_comes_back_in_as_many_bits(tmp_path, dtype):
    model = build_model("V0", seed=0).to(dtype)
    save_checkpoint(model, tmp_path / "v0.pth", architecture="V0", test_accuracy=0.9)
    loaded, _ = load_checkpoint(tmp_path / "v0.pth")
    assert {p.dtype for p in loaded.parameters()} == {dtype}
    assert all(map(torch.equal, model.parameters(), loaded.parameters()))


def test_the_wrong_way_to_load_a_file_is_told_the_right_one(tmp_path):
    model = build_model("V0", seed=0)
    whole, state, checkpoint = (tmp_path / name for name in ("whole", "state", "checkpoint"))
    save_model(model, whole)
    save_state(model, state)
    save_checkpoint(model, checkpoint, architecture="V0", test_accuracy=0.9)
    with pytest.raises(CheckpointError, match="it is a checkpoint, which `load_checkpoint` reads"):
        load_state(model, checkpoint)
    with pytest.raises(CheckpointError, match="`load_state` reads weights"):
        load_model(state, trust=True)


@pytest.mark.parametrize("wrapper", ["_orig_mod.", "module.", "module._orig_mod."])
def test_weights_saved_around_a_model_fit_the_model(tmp_path, wrapper):
    model, twin = build_model("V0", seed=0), build_model("V0", seed=1)
    torch.save({wrapper + name: w for name, w in model.state_dict().items()}, tmp_path / "w.pth")
    assert same(load_state(twin, tmp_path / "w.pth"), model)


def test_a_whole_model_of_a_class_that_is_not_here_asks_for_it(tmp_path, monkeypatch):
    class Net(nn.Linear):
        __qualname__ = "Net"

    monkeypatch.setattr(sys.modules[__name__], "Net", Net, raising=False)
    save_model(Net(2, 2), tmp_path / "net.pth")
    monkeypatch.delattr(sys.modules[__name__], "Net")
    with pytest.raises(CheckpointError, match="define or import its class first"):
        load_model(tmp_path / "net.pth", trust=True)
