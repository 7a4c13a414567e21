"""Images moved and changed at random: a whole batch at once, each image in its own way.

A digit that is moved a little is still the same digit. Shown in a new place, size and slant
every epoch, a network cannot learn the training images by heart. So it is with a blurred
digit, one on ruled paper, or one from another pen (`random_photo`); and what strokes and
spoiled digits show is none (`random_non_digits`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate, max_pool2d

from mnistkit.utils.validation import check_number, check_tensor, in_short

_DEGREE = torch.pi / 180
_PIECES = 5  # straight ones, that a curve is drawn with
_STROKES_SIDE = 18  # pixels, of drawn strokes; a digit's longer side has 20
_TELL_APART = (2, 3, 4, 5, 6, 7, 9)  # those that are no digit when mirrored, or lying


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
    if not isinstance(shift, tuple | list | Tensor) or len(shift) != 2:
        raise ValueError(f"shift is {in_short(shift)}, expected two: to the right, and down")
    angle, scale, shear, right, down = (
        _one_each(value, images) for value in (degrees, scale, shear, *shift)
    )
    if not (scale > 0).all():
        raise ValueError("scale must be above 0")
    if count == 0:
        return images.clone()
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


# --- what pens, paper and cameras do ----------------------------------------------------


def random_photo(
    images: Tensor,
    *,
    changed: float = 0.36,
    far: float = 0.15,
    degrees: float = 12.0,
    scale: float = 0.15,
    shear: float = 0.15,
    shift: float = 2.0,
) -> Tensor:
    """Move each image as `random_affine` does, and change some by one of `CHANGES` as well.

    Args:
        images: as in `affine`.
        changed: share of the images that one change is made to, drawn by the weights in
            `CHANGES`; far: share of those that are turned, shrunk and shifted as far as a
            digit can still be read. The others are only moved a little, so that clean digits
            are not forgotten.
        degrees, scale, shear, shift: as in `random_affine`.

    Returns the same shape and dtype, in [0, 1]. Numbers are drawn from PyTorch's global
    state. Raises ValueError for shares below 0, or above 1 together.
    """
    for name, share in (("changed", changed), ("far", far)):
        check_number(name, share, least=0)
    if changed + far > 1:
        raise ValueError(f"changed and far are shares, and come to {changed + far:g} together")
    moved = random_affine(images, degrees=degrees, scale=scale, shear=shear, shift=shift)
    weights = torch.tensor([weight for _, weight in CHANGES.values()])
    edges = torch.cat([torch.tensor([far]), far + changed * weights.cumsum(0) / weights.sum()])
    drawn = torch.bucketize(torch.rand(len(images)), edges)  # those beyond the last: no change
    for kind, change in enumerate([_far, *(change for change, _ in CHANGES.values())]):
        chosen = (drawn == kind).nonzero().flatten().to(images.device)
        if len(chosen):
            source = images if change is _far else moved
            moved[chosen] = change(source[chosen]).clamp(0, 1)
    return moved


def _far(images: Tensor) -> Tensor:
    """Turned, shrunk and shifted as far as a digit can still be read."""
    draw = partial(_between, count=len(images))
    return affine(images, degrees=draw(-50, 50), scale=draw(0.45, 1.1), shear=draw(-0.15, 0.15),
                  shift=(draw(-5, 5), draw(-5, 5)))  # fmt: skip


def _ruled(images: Tensor) -> Tensor:
    """Lines over digit and paper: one, or many, at any angle, or upright or level."""
    count, _, height, width = images.shape
    angle = _between(0, torch.pi, count)
    straight = torch.rand(count) < 0.3
    angle = torch.where(straight, (angle / (torch.pi / 2)).round() * (torch.pi / 2), angle)
    period = torch.where(torch.rand(count) < 0.5, _between(5, 12, count), _between(12, 40, count))
    start, thickness, darkness = (_between(*ends, count) for ends in ((0, 40), (1, 3), (0.2, 1)))
    right, down = torch.arange(width) - (width - 1) / 2, torch.arange(height) - (height - 1) / 2
    along = _wide(angle.cos()) * right + _wide(angle.sin()) * down.view(-1, 1) + _wide(start)
    lines = (along % _wide(period) < _wide(thickness)) * _wide(darkness)
    return torch.maximum(images, lines.to(images))


def _noisy(images: Tensor) -> Tensor:
    """Each pixel off by itself, up to half of the way from paper to ink."""
    return images + _wide(_between(0, 0.55, len(images))).to(images) * torch.randn_like(images)


def _blurred(images: Tensor) -> Tensor:
    """Out of focus: all of them equally, as a convolution takes one kernel."""
    from torchvision.transforms.functional import gaussian_blur  # slow to import

    sigma = float(_between(0.3, 2.6, 1))
    reach = min(math.ceil(3 * sigma), min(images.shape[2:]) - 1)  # a small picture has no more
    return gaussian_blur(images, 2 * reach + 1, sigma)


def _coarse(images: Tensor) -> Tensor:
    """Scanned with 7 to 15 pixels a side, and made large again."""
    side = int(torch.randint(7, 16, (1,)))
    small = interpolate(images, size=(side, side), mode="area")
    return interpolate(small, size=images.shape[2:], mode="bilinear", align_corners=False)


def _pale(images: Tensor) -> Tensor:
    """Pale ink on grey paper."""
    paper, ink = (_wide(_between(*ends, len(images))).to(images) for ends in ((0, 0.4), (0.4, 1)))
    return paper + (1 - paper) * ink * images


def _other_pen(images: Tensor) -> Tensor:
    """Strokes thicker or thinner by up to a pixel on either side."""
    amount = _wide(_between(-1, 1, len(images))).to(images)
    thick, thin = max_pool2d(images, 3, 1, 1), -max_pool2d(-images, 3, 1, 1)
    target = torch.where(amount > 0, thick, thin)
    return images + torch.where(amount > 0, amount, -0.7 * amount) * (target - images)


def _bent(images: Tensor) -> Tensor:
    """Strokes pushed aside by a pixel or so, neighbours alike (Simard et al., 2003)."""
    count = len(images)
    push = interpolate(torch.randn(count, 2, 5, 5), size=images.shape[2:], mode="bicubic",
                       align_corners=True)  # fmt: skip
    same = torch.eye(2, 3).expand(count, 2, 3)
    grid = affine_grid(same, list(images.shape), align_corners=False)
    grid = grid + 0.086 * push.permute(0, 2, 3, 1)
    return grid_sample(images, grid.to(images), padding_mode="zeros", align_corners=False)


# By name, and how often each is made beside the others.
CHANGES: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    "ruled": (_ruled, 0.09),
    "noisy": (_noisy, 0.09),
    "blurred": (_blurred, 0.05),
    "coarse": (_coarse, 0.04),
    "pale": (_pale, 0.03),
    "other pen": (_other_pen, 0.03),
    "bent": (_bent, 0.03),
}


# --- pictures that show no digit --------------------------------------------------------


def random_non_digits(images: Tensor, labels: Tensor, *, share: float = 0.125) -> Tensor:
    """Make pictures of no digit, as many as a share of these: strokes, and digits undone.

    About half are drawn strokes; the others are digits mirrored or lying on their side (where
    that is no digit), and two digits over each other.

    images, labels: N x 1 x H x W, as in `affine`, and N. Returns float, M x 1 x H x W.
    Raises ValueError for a share outside (0, 1).
    """
    check_number("share", share, above=0, below=1)
    if len(labels) != len(images):
        raise ValueError(f"{len(images)} images and {len(labels)} labels: give one for each")
    count = max(1, round(share * len(check_images(images))))
    first, second = torch.randperm(len(images))[:count], torch.randint(len(images), (count,))
    one, other = images[first], images[second]
    height, width = images.shape[-2:]
    differ = labels[first] != labels[second]
    undone = torch.isin(labels[first].cpu(), torch.tensor(_TELL_APART)).to(differ)
    ways = [
        (undone, one.flip(-1)),
        (undone, one.rot90(1 if height == width else 2, (-2, -1))),
        (differ, torch.maximum(one.roll(-4, -1), other.roll(5, -1))),
    ]
    made, kind = random_strokes(count).to(images), torch.randint(5, (count,)).to(differ.device)
    if (height, width) != (28, 28):
        made = interpolate(made, (height, width), mode="bilinear")
    for number, (possible, pictures) in enumerate(ways):
        chosen = possible & (kind == number)
        made[chosen] = pictures[chosen]
    return random_affine(made)


def random_strokes(count: int, *, strokes: int = 4, side: int = 28) -> Tensor:
    """Draw pictures of two strokes or more, straight or bent, where chance wants them.

    A stroke is a quadratic Bezier curve, and begins more often than not at a point of an
    earlier one, as in letters. Returns float32, count x 1 x side x side, 0 (paper) to 1.
    """
    points = torch.rand(count, strokes, 3, 2)
    begin, bend, end = points.unbind(2)
    bend = torch.where(torch.rand(count, strokes, 1) < 0.5, (begin + end) / 2, 1.6 * bend - 0.3)
    for number in range(1, strokes):
        which = torch.arange(count), torch.randint(number, (count,))
        earlier = torch.stack([begin[which], bend[which], end[which]])
        met = earlier[torch.randint(3, (count,)), torch.arange(count)]
        begin[:, number] = torch.where(torch.rand(count, 1) < 0.6, met, begin[:, number])
    t = torch.linspace(0, 1, _PIECES + 1).view(-1, 1)
    begin, bend, end = (each.unsqueeze(2) for each in (begin, bend, end))
    curves = (1 - t) ** 2 * begin + 2 * t * (1 - t) * bend + t**2 * end
    drawn = torch.arange(strokes) < torch.randint(2, strokes + 1, (count, 1))
    curves = _fit_into_box(curves, drawn, side)
    distance = _distance_to_curves(curves, drawn, side)
    radius = _between(0.6, 1.7, count).view(-1, 1)
    return (radius + 0.5 - distance).clamp(0, 1).view(count, 1, side, side)


def _fit_into_box(curves: Tensor, drawn: Tensor, side: int) -> Tensor:
    """Scale what is drawn, N x strokes x points x 2, to 18 pixels, in the middle."""
    shown = drawn[:, :, None, None]
    low = curves.where(shown, torch.inf).amin((1, 2), keepdim=True)
    high = curves.where(shown, -torch.inf).amax((1, 2), keepdim=True)
    size = (high - low).amax(3, keepdim=True).clamp(min=0.2)
    return (curves - (low + high) / 2) / size * _STROKES_SIDE + side / 2


def _distance_to_curves(curves: Tensor, drawn: Tensor, side: int) -> Tensor:
    """From each pixel's centre to the nearest piece of a curve: N x side * side, in pixels."""
    start, step = curves[:, :, :-1, None], (curves[:, :, 1:] - curves[:, :, :-1])[:, :, :, None]
    centres = torch.arange(side) + 0.5
    pixels = torch.cartesian_prod(centres, centres).flip(1)
    along = ((pixels - start) * step).sum(-1) / step.square().sum(-1).clamp(min=1e-6)
    nearest = start + along.clamp(0, 1).unsqueeze(-1) * step
    distance = (pixels - nearest).square().sum(-1)
    return distance.where(drawn[:, :, None, None], torch.inf).amin((1, 2)).sqrt()


def _between(low: float, high: float, count: int) -> Tensor:
    return low + (high - low) * torch.rand(count)


def _wide(values: Tensor) -> Tensor:
    """One value an image, as it multiplies N x 1 x H x W."""
    return values.view(-1, 1, 1, 1)


def check_images(images: Tensor) -> Tensor:
    """Return float images, N x 1 x H x W; raise ValueError for others."""
    check_tensor("images are", images)
    if images.ndim == 3 and images.is_floating_point():
        raise ValueError(f"expected N x 1 x H x W, got {tuple(images.shape)}: one image alone is a "
                         "batch of one, `images[:1]` or `image.unsqueeze(0)`")  # fmt: skip
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
