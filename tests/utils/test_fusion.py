"""A network whose layers were put together gives the same numbers."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from mnistkit.transfer import preprocess
from mnistkit.utils.fusion import can_fuse, fold_batch_norm, fuse_relu6

IMAGES = torch.randint(0, 256, (5, 28, 28), generator=torch.Generator().manual_seed(0)).byte()


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
