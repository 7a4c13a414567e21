"""MobileNetV2's features: the same however they are computed, and kept."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path

import pytest
import torch

from mnistkit import transfer
from mnistkit.data import load_digits
from mnistkit.errors import WeightsError
from mnistkit.models import count_parameters
from mnistkit.transfer import extract_features, freeze, load_mobilenet, preprocess
from mnistkit.utils.devices import thread_count

IMAGES = torch.randint(0, 256, (5, 28, 28), generator=torch.Generator().manual_seed(0)).byte()


def plainly(model, images):
    """The way of the READMEs: pictures through the whole network, no folding."""
    with torch.no_grad():
        return model.features(preprocess(images)).mean(dim=(2, 3))


def test_features_are_those_of_the_whole_network(mobilenet):
    expected = plainly(mobilenet, IMAGES)
    features = extract_features(mobilenet, IMAGES, batch_size=2, bfloat16=False)
    assert features.dtype == torch.float16
    assert features.shape == (5, 1280)
    assert torch.allclose(features.float(), expected, atol=2e-3)


def test_bfloat16_features_are_close(mobilenet):
    expected = plainly(mobilenet, IMAGES)
    features = extract_features(mobilenet, IMAGES, bfloat16=True).float()
    assert torch.nn.functional.cosine_similarity(features, expected).min() > 0.99


def keep(kept, path, **changes):
    content = kept.numpy().tobytes()
    whole = {"features": kept, "sha256": hashlib.sha256(content).hexdigest()}
    torch.save(whole | changes, path)


def test_features_are_kept_and_read_again(mobilenet, tmp_path):
    first = extract_features(mobilenet, IMAGES, folder=tmp_path)
    (kept,) = tmp_path.iterdir()
    assert torch.equal(torch.load(kept)["features"], first)
    keep(-first, kept)
    assert torch.equal(extract_features(mobilenet, IMAGES, folder=tmp_path), -first), "read"


def test_other_images_or_weights_are_not_mixed_up(mobilenet, tmp_path):
    other, _ = load_mobilenet("random", seed=4)
    for model, images in ((mobilenet, IMAGES), (mobilenet, IMAGES.flip(0)), (other, IMAGES)):
        features = extract_features(model, images, folder=tmp_path, bfloat16=False)
    assert len(list(tmp_path.iterdir())) == 3
    assert torch.allclose(features.float(), plainly(other.eval(), IMAGES), atol=2e-3)


def test_damaged_kept_features_are_computed_again(mobilenet, tmp_path, capsys):
    first = extract_features(mobilenet, IMAGES, folder=tmp_path)
    (kept,) = tmp_path.iterdir()
    whole = kept.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0x40  # of a feature, in the middle of the file
    for damage in (b"half a file", whole[:-100], bytes(flipped), b"\xff" * len(whole)):
        kept.write_bytes(damage)
        assert torch.equal(extract_features(mobilenet, IMAGES, folder=tmp_path), first)
        assert "are damaged" in capsys.readouterr().out
    for other in (first.float(), first.bfloat16(), first[:3], first[:, :9], first.short()):
        keep(first, kept, features=other)
        assert torch.equal(extract_features(mobilenet, IMAGES, folder=tmp_path), first)
        assert "are damaged" in capsys.readouterr().out
    torch.save(first, kept)  # as an earlier version kept them
    assert torch.equal(extract_features(mobilenet, IMAGES, folder=tmp_path), first)
    extract_features(mobilenet, IMAGES, folder=tmp_path)
    assert "damaged" not in capsys.readouterr().out.partition("again")[2], "whole once more"


def test_a_full_disk_costs_the_file_and_not_the_features(mobilenet, tmp_path, monkeypatch, capsys):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    first = extract_features(mobilenet, IMAGES)
    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    assert torch.equal(extract_features(mobilenet, IMAGES, folder=tmp_path), first)
    assert "the features are not kept: " in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_freezing_leaves_the_head():
    model, _ = load_mobilenet("random")
    freeze(model.features)
    assert count_parameters(model, trainable_only=True) == 1281 * 10


def test_weights_from_a_file_fill_all_but_the_head(tmp_path, mobilenet, monkeypatch):
    path = tmp_path / "weights.pth"
    torch.save(mobilenet.state_dict(), path)
    monkeypatch.setenv("MNISTKIT_MOBILENET", str(path))
    model, name = load_mobilenet(seed=9)
    assert name.startswith("weights from a file (SHA-256 ")
    loaded = model.features.state_dict()
    assert all(torch.equal(v, loaded[k]) for k, v in mobilenet.features.state_dict().items())
    assert not torch.equal(model.classifier[1].weight, mobilenet.classifier[1].weight)


def test_damaged_or_foreign_weights_are_named(tmp_path):
    path = tmp_path / "weights.pth"
    with pytest.raises(WeightsError, match=r"no file of weights weights.pth\n.*\n.*set MNISTK"):
        load_mobilenet(path)
    path.write_bytes(b"not weights")
    with pytest.raises(WeightsError, match="is no readable file of weights"):
        load_mobilenet(path)
    torch.save({"features.0.0.weight": torch.zeros(3)}, path)
    with pytest.raises(
        WeightsError, match="these are not the weights of torchvision's mobilenet_v2"
    ):
        load_mobilenet(path)


def test_without_weights_it_is_loud(monkeypatch, capsys):
    from torchvision.models import MobileNet_V2_Weights

    def no_network(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(MobileNet_V2_Weights, "get_state_dict", no_network)
    monkeypatch.delenv("MNISTKIT_MOBILENET")
    _, name = load_mobilenet()
    assert name == "random weights"
    said = capsys.readouterr().out
    assert "RANDOM WEIGHTS" in said
    assert "no route to host" in said


# --- features, fast --------------------------------------------------------------------------


def test_preprocessing_is_torchvisions():
    from torchvision.transforms import v2

    theirs = v2.Compose([
        v2.ToImage(), v2.Grayscale(3), v2.ToDtype(torch.float32, scale=True),
        v2.Resize((224, 224), antialias=True),
        v2.Normalize(transfer.IMAGENET_MEAN, transfer.IMAGENET_STD),
    ])  # fmt: skip
    expected = theirs(IMAGES.unsqueeze(1))
    assert preprocess(IMAGES).shape == (5, 3, 224, 224)
    assert torch.allclose(preprocess(IMAGES), expected, atol=1e-4)


def test_float_images_are_refused():
    with pytest.raises(ValueError, match="expected uint8 images"):
        preprocess(IMAGES.float())


def test_kept_features_are_named_by_all_that_they_depend_on(mobilenet, tmp_path):
    def path(model=mobilenet, images=IMAGES, bfloat16=False):
        return transfer.features_path(model, images, tmp_path, bfloat16=bfloat16)

    other, _ = load_mobilenet("random", seed=4)
    paths = [path(), path(bfloat16=True), path(images=IMAGES[:4]), path(model=other),
             path(images=IMAGES.reshape(5, 14, 56))]  # fmt: skip
    assert len(set(paths)) == 5
    assert path() == paths[0]


def test_kept_features_that_would_run_code_do_not_run(mobilenet, tmp_path, capsys):
    images = torch.zeros(1, 28, 28, dtype=torch.uint8)
    first = extract_features(mobilenet, images, folder=tmp_path)
    (path,) = tmp_path.iterdir()

    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    torch.save({"features": first, "sha256": Trap()}, path)
    assert torch.equal(extract_features(mobilenet, images, folder=tmp_path), first)
    assert "are damaged (UnpicklingError)" in capsys.readouterr().out
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("low", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_an_extractor_computes_in_the_precision_asked_for(mobilenet, low, dtype):
    extractor = transfer.build_extractor(mobilenet.features, low)
    assert extractor.dtype == dtype
    assert {weight.dtype for weight in extractor.features.parameters()} == {dtype}


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_features_do_not_depend_on_threads_or_batches(mobilenet, threads):
    expected = extract_features(mobilenet, IMAGES, batch_size=len(IMAGES), bfloat16=False)
    with thread_count(threads):
        found = extract_features(mobilenet, IMAGES, batch_size=1, bfloat16=False)
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=2e-3)


def test_images_of_another_shape_are_named(mobilenet):
    with pytest.raises(ValueError, match="images are uint8 2 x 1 x 28 x 28, expected N x 28 x 28"):
        extract_features(mobilenet, torch.zeros(2, 1, 28, 28, dtype=torch.uint8))


def test_random_features_are_not_next_to_nothing():
    state = torch.get_rng_state()
    one, two = (load_mobilenet("random", seed=3)[0] for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(map(torch.equal, one.state_dict().values(), two.state_dict().values()))
    features = extract_features(one, load_digits("sample", limit=20).train.images, progress=False)
    assert features.std() > 0.01
    assert (features != 0).float().mean() > 0.3
    assert one.training


def test_a_network_with_its_name_is_taken_apart_first(easy_digits):
    with pytest.raises(ValueError, match="give the network, the first of the two"):
        extract_features(load_mobilenet("random"), easy_digits.test.images[:2])
