"""Images turned, scaled, slanted and shifted: a whole batch at once, each image in its own way.

A digit that is moved a little is still the same digit. Shown in a new place, size and slant
every epoch, a network cannot learn the training images by heart.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from mnistkit.utils.validation import check_number

_DEGREE = torch.pi / 180


def affine(
    images: Tensor,
    *,
    degrees: Tensor | float = 0.0,
    scale: Tensor | float = 1.0,
    shear: Tensor | float = 0.0,
    shift: tuple[Tensor | float, Tensor | float] = (0.0, 0.0),
) -> Tensor:
    """Turn, scale, slant and shift images about their centre, with bilinear interpolation.

    Args:
        images: float, N x 1 x H x W, in [0, 1] with paper 0: what comes in from outside
            the picture is paper too.
        degrees: angle, positive counter-clockwise.
        scale: factor of the digit's size; 2 draws it twice as large.
        shear: pixels to the right for each pixel upwards.
        shift: pixels to the right, and pixels down.

    Each setting is one number for all, or a tensor of N. Returns the same shape and dtype.
    Raises ValueError for bytes, for settings that are not as many as the images, and for a
    scale that is not above 0.
    """
    count, _, height, width = check_images(images).shape
    angle, scale, shear, right, down = (
        _one_each(value, images) for value in (degrees, scale, shear, *shift)
    )
    if not (scale > 0).all():
        raise ValueError("scale must be above 0")
    cosine, sine = (angle * _DEGREE).cos(), (angle * _DEGREE).sin()
    # A grid says where each pixel comes from, so all is undone, the last first: shift, size,
    # turn, slant. Coordinates run from -1 to 1, y downwards.
    back = torch.stack([right * 2 / width, down * 2 / height], dim=1)
    turn = torch.stack([cosine, -sine, sine, cosine], dim=1).view(count, 2, 2)
    slant = torch.stack(
        [torch.ones_like(shear), shear, torch.zeros_like(shear), torch.ones_like(shear)], dim=1
    ).view(count, 2, 2)
    matrix = slant @ turn / scale.view(-1, 1, 1)
    offset = -(matrix @ back.unsqueeze(-1))
    grid = affine_grid(torch.cat([matrix, offset], dim=2), list(images.shape), align_corners=False)
    return grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def random_affine(
    images: Tensor,
    *,
    degrees: float = 12.0,
    scale: float = 0.12,
    shear: float = 0.15,
    shift: float = 2.0,
) -> Tensor:
    """Change each image by its own random `affine`, drawn uniformly from these ranges.

    images: as in `affine`. Angles lie within ± `degrees`, the logarithm of the size within
    ± `scale`, slants within ± `shear`, shifts within ± `shift` pixels both ways. Numbers are
    drawn from PyTorch's global state, which `training.fit` seeds. Raises ValueError for a
    range below 0.
    """
    for name, reach in (("degrees", degrees), ("scale", scale), ("shear", shear), ("shift", shift)):
        check_number(name, reach, least=0)
    draws = 2 * torch.rand(5, len(check_images(images)), device=images.device) - 1
    angle, size, slant, right, down = draws
    return affine(
        images,
        degrees=degrees * angle,
        scale=(scale * size).exp(),
        shear=shear * slant,
        shift=(shift * right, shift * down),
    )


def check_images(images: Tensor) -> Tensor:
    """Return float images, N x 1 x H x W; raise ValueError for others."""
    if images.ndim != 4 or not images.is_floating_point():
        raise ValueError(
            f"expected float images, N x 1 x H x W in [0, 1], got {images.dtype} of shape "
            f"{tuple(images.shape)}; use to_float first"
        )
    return images


def _one_each(value: Tensor | float, images: Tensor) -> Tensor:
    """Spread a setting over the images: one for all, or one for each."""
    if not isinstance(value, Tensor):
        check_number("a setting", value)
    setting = torch.as_tensor(value, dtype=images.dtype, device=images.device)
    if setting.shape not in ((), (1,), (len(images),)):
        raise ValueError(f"{setting.numel()} settings for {len(images)} images: give one, or each")
    return setting.expand(len(images))
