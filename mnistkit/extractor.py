"""MobileNetV2's frozen features as fast as a machine computes them.

Batch norm is folded into the convolutions, ReLU6 is applied by them, maps are laid out
channels last and computed in bfloat16 where that pays, and a batch is resized at once.
"""

from __future__ import annotations

import copy
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mnistkit.utils.devices import choose_device

IMAGE_SIZE = 224
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def preprocess(images: Tensor, size: int = IMAGE_SIZE) -> Tensor:
    """Turn grey digits into what an ImageNet network expects.

    images: uint8, N x 28 x 28. Returns float32, N x 3 x size x size: resized bilinearly,
    the grey channel repeated, ImageNet's mean and deviation taken out per channel.
    """
    if images.dtype != torch.uint8:
        raise ValueError(f"expected uint8 images (0-255), got {images.dtype}")
    grey = images.unsqueeze(1).float().div_(255)
    large = nn.functional.interpolate(grey, size=(size, size), mode="bilinear")
    mean, std = (
        torch.tensor(values, device=images.device).view(1, 3, 1, 1)
        for values in (IMAGENET_MEAN, IMAGENET_STD)
    )
    return (large - mean).div_(std)  # in place: a further copy takes longer


def build_extractor(features: nn.Module, bfloat16: bool, compiled: bool = False) -> nn.Module:
    """Prepare MobileNetV2's features for inference, on the device that there is.

    features: as in torchvision's model; they are not changed. compiled: see
    `transfer.extract_features`. Returns a module that takes uint8 images, N x 28 x 28, and
    returns float16, N x 1280: the features after global average pooling.
    """
    device = choose_device()
    dtype = torch.bfloat16 if bfloat16 else torch.float32
    folded = fold_batch_norm(features)
    if compiled:
        translated = _compile(_Extractor(folded, device, dtype))
        if translated is not None:
            return translated
    if device.type == "cpu" and torch.backends.mkldnn.is_available():
        folded = fuse_relu6(folded.to(dtype))
    return _Extractor(folded, device, dtype)


def fold_batch_norm(features: nn.Module) -> nn.Module:
    """Return a copy in eval mode whose batch norms are folded into their convolutions.

    In eval mode batch norm is a fixed scale and shift per channel, so the convolution
    before it can do both; the outputs are the same but for rounding.
    """
    folded = copy.deepcopy(features).eval()
    for block in folded.modules():
        children = list(block.named_children())
        for (name, layer), (next_name, following) in pairwise(children):
            if isinstance(layer, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
                setattr(block, name, fuse_conv_bn_eval(layer, following))
                setattr(block, next_name, nn.Identity())
    return folded


def fuse_relu6(folded: nn.Module) -> nn.Module:
    """Let convolutions apply the ReLU6 that follows them themselves; changes `folded`.

    The numbers are the same. A map is then written once, not written, read and written
    again: on the CPU, in bfloat16, a sixth of the time. It is oneDNN's operation that
    `torch.compile` uses as well; where it cannot be had, nothing is changed.
    """
    if not can_fuse(next(folded.parameters()).dtype):
        return folded
    for block in list(folded.modules()):
        for (name, layer), (next_name, following) in pairwise(_acting_children(block)):
            if isinstance(layer, nn.Conv2d) and isinstance(following, nn.ReLU6):
                setattr(block, name, _ConvolutionReLU6(layer))
                setattr(block, next_name, nn.Identity())
    return folded


def can_fuse(dtype: torch.dtype) -> bool:
    """Whether PyTorch has the fused operation, and this processor can do it in `dtype`.

    In bfloat16 it needs avx512, and says so only when it is called.
    """
    convolution = nn.utils.skip_init(nn.Conv2d, 1, 1, 1, dtype=dtype)  # draws no random number
    try:
        _ConvolutionReLU6(convolution)(torch.zeros(1, 1, 1, 1, dtype=dtype))
    except (AttributeError, RuntimeError):
        return False
    return True


class _ConvolutionReLU6(nn.Module):
    """A convolution and ReLU6 as one operation, for inference on the CPU."""

    def __init__(self, convolution: nn.Conv2d):
        super().__init__()
        self.convolution = convolution

    def forward(self, maps: Tensor) -> Tensor:
        own = self.convolution
        return torch.ops.mkldnn._convolution_pointwise(
            maps, own.weight, own.bias, own.padding, own.stride, own.dilation, own.groups,
            "hardtanh", [0.0, 6.0], "",
        )  # fmt: skip


def _acting_children(block: nn.Module) -> list[tuple[str, nn.Module]]:
    return [(n, child) for n, child in block.named_children() if not isinstance(child, nn.Identity)]


class _Extractor(nn.Module):
    """Frozen features, ready for inference: batches of bytes in, one row an image out."""

    def __init__(self, features: nn.Module, device: torch.device, dtype: torch.dtype):
        super().__init__()
        self.features = features.to(device, dtype, memory_format=torch.channels_last)
        self.device, self.dtype = device, dtype

    def forward(self, images: Tensor) -> Tensor:
        batch = preprocess(images).to(self.dtype)
        maps = self.features(batch.contiguous(memory_format=torch.channels_last))
        return maps.float().mean(dim=(2, 3)).half()


def _compile(extractor: _Extractor) -> nn.Module | None:
    """Compile the network and try it; None, and a line why, where that cannot be done."""
    translated = torch.compile(extractor, dynamic=True)
    try:
        with torch.inference_mode():
            translated(torch.zeros(2, 28, 28, dtype=torch.uint8, device=extractor.device))
    except Exception as error:  # whatever the compiler, or its absence, raises
        reason = str(error).strip().splitlines()[0]
        print(f"torch.compile failed ({reason}): going on without it")
        return None
    return translated
