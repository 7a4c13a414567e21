"""What a camera, a pen or a scanner does to a digit, at graded strength.

A test set shows digits as they were scanned in 1994, each alone, upright and centred. These
functions change that, a little or much, to see what a model can stand. They are inspired by
Mu and Gilmer's MNIST-C (2019), but graded.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torchvision.transforms.functional import gaussian_blur

from mnistkit.augmentation import affine, check_images
from mnistkit.utils.validation import check_choice, check_number

_BAR = 2  # pixels of a stripe, and
_PERIOD = 7  # pixels from one to the next


@dataclass(frozen=True)
class Corruption:
    """How to change images, how strongly, and in which unit the strength counts.

    strengths: from none to strong; the first changes nothing.
    """

    change: Callable[[Tensor, float, Generator], Tensor]
    strengths: tuple[float, ...]
    unit: str


def corrupt(images: Tensor, kind: str, strength: float, *, seed: int = 0) -> Tensor:
    """Change images by a corruption of `CORRUPTIONS`, by name; the same seed, the same change.

    images: float32, N x 1 x H x W, in [0, 1] with paper 0. strength: in the corruption's
    unit. Returns the same shape, in [0, 1]. Raises UnknownNameError (a ValueError), and
    ValueError for a strength below 0 or images that are no floats.
    """
    corruption = CORRUPTIONS[check_choice("corruption", kind, CORRUPTIONS)]
    check_images(images)
    check_number("strength", strength, least=0)
    if strength == corruption.strengths[0]:
        return images.clone()
    generator = torch.Generator().manual_seed(seed)
    return corruption.change(images, strength, generator).clamp(0, 1)


def _shift(images: Tensor, pixels: float, generator: Generator) -> Tensor:
    angle = 2 * math.pi * torch.rand(len(images), generator=generator)
    return affine(images, shift=(pixels * angle.cos(), pixels * angle.sin()))


def _rotate(images: Tensor, degrees: float, generator: Generator) -> Tensor:
    return affine(images, degrees=degrees * _signs(len(images), generator))


def _scale(images: Tensor, factor: float, _generator: Generator) -> Tensor:
    return affine(images, scale=factor)


def _noise(images: Tensor, deviation: float, generator: Generator) -> Tensor:
    return images + deviation * torch.randn(images.shape, generator=generator)


def _blur(images: Tensor, sigma: float, _generator: Generator) -> Tensor:
    return gaussian_blur(images, 2 * math.ceil(3 * sigma) + 1, sigma)


def _stripes(images: Tensor, darkness: float, generator: Generator) -> Tensor:
    """Upright stripes over digit and paper, beginning somewhere."""
    start = torch.randint(_PERIOD, (len(images), 1), generator=generator)
    covered = (torch.arange(images.shape[-1]) + start) % _PERIOD < _BAR
    return torch.maximum(images, darkness * covered.float()[:, None, None, :])


def _signs(count: int, generator: Generator) -> Tensor:
    return 2.0 * torch.randint(2, (count,), generator=generator) - 1


CORRUPTIONS: dict[str, Corruption] = {
    "shift": Corruption(_shift, (0, 1, 2, 3, 4, 5), "pixels, in any direction"),
    "rotation": Corruption(_rotate, (0, 10, 20, 30, 40, 50), "degrees, either way"),
    "scale": Corruption(_scale, (1, 0.9, 0.8, 0.7, 0.6, 0.5), "size, 1 is as it was"),
    "noise": Corruption(_noise, (0, 0.1, 0.2, 0.3, 0.4, 0.5), "deviation, 1 is black to white"),
    "blur": Corruption(_blur, (0, 0.5, 1, 1.5, 2, 2.5), "pixels"),
    "stripes": Corruption(_stripes, (0, 0.2, 0.4, 0.6, 0.8, 1), "darkness"),
}
