"""MobileNetV2's features made fast are the same features."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from mnistkit import extractor
from mnistkit.extractor import can_fuse, fold_batch_norm, fuse_relu6, preprocess

IMAGES = torch.randint(0, 256, (5, 28, 28), generator=torch.Generator().manual_seed(0)).byte()


def test_preprocessing_is_torchvisions():
    from torchvision.transforms import v2

    theirs = v2.Compose([
        v2.ToImage(), v2.Grayscale(3), v2.ToDtype(torch.float32, scale=True),
        v2.Resize((224, 224), antialias=True),
        v2.Normalize(extractor.IMAGENET_MEAN, extractor.IMAGENET_STD),
    ])  # fmt: skip
    expected = theirs(IMAGES.unsqueeze(1))
    assert preprocess(IMAGES).shape == (5, 3, 224, 224)
    assert torch.allclose(preprocess(IMAGES), expected, atol=1e-4)


def test_folding_batch_norm_changes_nothing_but_rounding(mobilenet):
    inputs = preprocess(IMAGES)
    with torch.no_grad():
        folded = fold_batch_norm(mobilenet.features)(inputs)
        assert torch.allclose(folded, mobilenet.features(inputs), atol=1e-4)
    left = [
        m
        for m in fold_batch_norm(mobilenet.features).modules()
        if isinstance(m, torch.nn.BatchNorm2d)
    ]
    assert left == []


@pytest.mark.parametrize(
    "dtype",
    [
        torch.float32,
        pytest.param(
            torch.bfloat16,
            marks=pytest.mark.skipif(
                not can_fuse(torch.bfloat16), reason="this processor fuses nothing in bfloat16"
            ),
        ),
    ],
)
def test_fusing_relu6_changes_nothing(mobilenet, dtype):
    inputs = (30 * preprocess(IMAGES)).to(dtype)  # so bright that some maps go beyond 6
    folded = fold_batch_norm(mobilenet.features).to(dtype)
    with torch.inference_mode():
        expected = folded(inputs)
        fused = fuse_relu6(folded)
        assert not any(isinstance(m, torch.nn.ReLU6) for m in fused.modules())
        torch.testing.assert_close(fused(inputs), expected, rtol=1e-4, atol=1e-4)


def test_where_the_processor_refuses_the_fused_operation_nothing_is_changed(mobilenet, monkeypatch):
    def refuse(*_):
        raise RuntimeError("bf16 path needs the cpu support avx512bw")

    monkeypatch.setattr(torch.ops, "mkldnn", SimpleNamespace(_convolution_pointwise=refuse))
    folded = fold_batch_norm(mobilenet.features)
    before = str(folded)
    assert str(fuse_relu6(folded)) == before


def test_asking_whether_it_can_fuse_leaves_the_random_state_alone():
    before = torch.get_rng_state()
    can_fuse(torch.float32)
    assert torch.equal(torch.get_rng_state(), before)


def test_without_the_fused_operation_nothing_is_changed(mobilenet, monkeypatch):
    monkeypatch.setattr(torch.ops, "mkldnn", SimpleNamespace())
    folded = fold_batch_norm(mobilenet.features)
    before = str(folded)
    assert str(fuse_relu6(folded)) == before


def test_float_images_are_refused():
    with pytest.raises(ValueError, match="expected uint8 images"):
        preprocess(IMAGES.float())
