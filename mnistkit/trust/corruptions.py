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
from torch.nn.functional import affine_grid, grid_sample
from torchvision.transforms.functional import gaussian_blur

from mnistkit.augmentation import affine, check_images
from mnistkit.utils.validation import check_choice, check_number, check_whole

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
    """Change images by a corruption, by name; the same seed, the same change.

    kind: in `CORRUPTIONS`, or in `HELD_BACK`.

    images: float32, N x 1 x H x W, in [0, 1] with paper 0. strength: in the corruption's
    unit. Returns the same shape and type, in [0, 1]. Raises UnknownNameError (a ValueError), and
    ValueError for a strength below 0 or images that are no floats.
    """
    known = CORRUPTIONS | HELD_BACK
    corruption = known[check_choice("corruption", kind, known)]
    check_images(images)
    if images.numel() and not -1e-3 <= images.min() <= images.max() <= 1 + 1e-3:
        raise ValueError(f"images reach from {images.min():.2f} to {images.max():.2f}, expected 0 "
                         "to 1: change them before they are normalised")  # fmt: skip
    check_number("strength", strength, least=0)
    if strength == corruption.strengths[0]:
        return images.clone()
    generator = torch.Generator().manual_seed(check_whole("seed", seed, least=0))
    if not len(images):
        return images.clone()
    return corruption.change(images.float(), strength, generator).clamp(0, 1).to(images.dtype)


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
    widest = min(images.shape[-2:]) - 1  # a picture is mirrored at its edges, once
    return gaussian_blur(images, 2 * min(math.ceil(3 * sigma), widest) + 1, sigma)


def _stripes(images: Tensor, darkness: float, generator: Generator) -> Tensor:
    """Upright stripes over digit and paper, beginning somewhere."""
    start = torch.randint(_PERIOD, (len(images), 1), generator=generator)
    covered = (torch.arange(images.shape[-1]) + start) % _PERIOD < _BAR
    return torch.maximum(images, darkness * covered.float()[:, None, None, :])


def _specks(images: Tensor, share: float, generator: Generator) -> Tensor:
    """Single pixels of full ink or bare paper, as dust and a bad line leave them."""
    drawn = torch.rand(images.shape, generator=generator)
    return images.where(drawn > share, (drawn < share / 2).float())


def _waves(images: Tensor, pixels: float, generator: Generator) -> Tensor:
    """Rows pushed aside by a sine of half the picture's height, beginning somewhere."""
    count, _, height, width = images.shape
    phase = 2 * math.pi * torch.rand(count, 1, generator=generator)
    push = pixels * (4 * math.pi * torch.arange(height) / height + phase).sin() * 2 / width
    same = torch.eye(2, 3).expand(count, 2, 3)
    grid = affine_grid(same, list(images.shape), align_corners=False)
    grid = grid + torch.stack([push, torch.zeros_like(push)], dim=-1)[:, :, None, :]
    return grid_sample(images, grid, padding_mode="zeros", align_corners=False)


def _shade(images: Tensor, darkness: float, generator: Generator) -> Tensor:
    """Paper that darkens from one side to the other, and hides the ink in the shade."""
    count, _, height, width = images.shape
    angle = 2 * math.pi * torch.rand(count, 1, 1, generator=generator)
    across = torch.linspace(-1, 1, width), torch.linspace(-1, 1, height).view(-1, 1)
    ramp = ((angle.cos() * across[0] + angle.sin() * across[1]) / 2**0.5 + 1) / 2
    return torch.maximum(images, darkness * ramp.unsqueeze(1))


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

# Kinds that no training of the series has seen, and that nothing was chosen by.
HELD_BACK: dict[str, Corruption] = {
    "specks": Corruption(_specks, (0, 0.03, 0.06, 0.1, 0.15, 0.2), "share of the pixels"),
    "waves": Corruption(_waves, (0, 0.5, 1, 1.5, 2, 2.5), "pixels, to either side"),
    "shade": Corruption(_shade, (0, 0.15, 0.3, 0.45, 0.6, 0.75), "darkness on the far side"),
}
