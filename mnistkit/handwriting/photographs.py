"""Photographs of digits that a pen drew, made by calculation: on paper, on a board, from the side.

MNIST has none of that, and no network is trained on these. They show what `photo.find_digit`
and a network make of pictures as people take them, and the same ones again each time.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw, ImageFilter

from mnistkit.utils.validation import check_choice

SIDE = 300  # pixels of a photograph
_TILT = 20.0  # degrees: from how far aside a paper is photographed at most


def _arc(x, y, rx, ry, start, stop, steps=24):
    """Points of an ellipse's arc; angles in degrees, clockwise from three o'clock."""
    angles = (math.radians(start + (stop - start) * k / steps) for k in range(steps + 1))
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]


# Strokes in a box of width 0.7 and height 1, origin top left, as one writes them.
STROKES = {
    0: [_arc(0.35, 0.5, 0.32, 0.5, -60, 300)],
    1: [[(0.2, 0.2), (0.38, 0.0), (0.36, 1.0)]],
    2: [[*_arc(0.34, 0.28, 0.3, 0.28, 190, 400), (0.05, 0.98), (0.66, 0.96)]],
    3: [[*_arc(0.3, 0.25, 0.3, 0.25, 210, 440), *_arc(0.3, 0.74, 0.34, 0.26, -80, 150)]],
    4: [[(0.3, 0.0), (0.03, 0.6), (0.66, 0.58)], [(0.5, 0.2), (0.47, 1.0)]],
    5: [[(0.62, 0.02), (0.15, 0.03), (0.12, 0.42), *_arc(0.3, 0.68, 0.33, 0.31, -115, 140)]],
    6: [[(0.5, 0.0), (0.22, 0.3), *_arc(0.33, 0.7, 0.29, 0.29, 200, 560)]],
    7: [[(0.04, 0.04), (0.62, 0.03), (0.45, 0.4), (0.28, 1.0)]],
    8: [[*_arc(0.34, 0.26, 0.25, 0.25, 90, -270), *_arc(0.34, 0.76, 0.3, 0.25, -90, 270)]],
    9: [[*_arc(0.34, 0.3, 0.28, 0.29, 20, -340), (0.58, 0.5), (0.5, 1.0)]],
}


def photograph(digit: int, kind: str = "pen", *, seed: int = 0) -> np.ndarray:
    """Draw a digit and photograph it.

    kind: one of `PHOTOGRAPHS`. seed: with the digit and the kind it settles size, place and
    slant of the digit, the pen's width, and all that is left to chance. Returns uint8,
    300 x 300 x 3. Raises UnknownNameError, with the nearest kind, for another.
    """
    take = PHOTOGRAPHS[check_choice("kind of photograph", kind, PHOTOGRAPHS)]
    return take(digit, np.random.default_rng([seed, digit, *kind.encode()]))


def draw_mask(
    digit: int,
    *,
    size: int = SIDE,
    height: float = 0.55,
    width: float = 0.06,
    centre: tuple[float, float] = (0.5, 0.5),
    angle: float = 0.0,
) -> np.ndarray:
    """How much ink lies on each pixel: float, size x size, in [0, 1].

    height: of the digit, and `width` of the pen, as shares of the picture; `centre` of the
    digit likewise; `angle` in degrees, anticlockwise.
    """
    scale = 3
    image = Image.new("L", (scale * size, scale * size))
    pen = ImageDraw.Draw(image)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    radius = scale * size * width / 2
    for stroke in STROKES[digit]:
        points = []
        for x, y in stroke:
            u, v = (x - 0.35) * height, (y - 0.5) * height
            u, v = u * cos + v * sin, v * cos - u * sin
            points.append((scale * size * (centre[0] + u), scale * size * (centre[1] + v)))
        pen.line(points, fill=255, width=max(1, round(2 * radius)), joint="curve")
        for x, y in points:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    small = image.resize((size, size), Image.Resampling.BOX)
    return np.asarray(small.filter(ImageFilter.GaussianBlur(size / 500)), dtype=np.float64) / 255


def on_paper(
    mask: np.ndarray,
    *,
    paper: ArrayLike = (0.95, 0.95, 0.93),
    ink: ArrayLike = (0.1, 0.1, 0.25),
    light: float = 0.0,
    noise: float = 0.01,
    seed: int | np.random.Generator = 0,
) -> np.ndarray:
    """A photo of that ink: uint8, H x W x 3.

    paper: its colour, or that of each pixel. light: how much darker one corner is.
    """
    paper, ink = np.asarray(paper), np.asarray(ink)
    picture = paper + mask[..., None] * (ink - paper)
    y, x = np.meshgrid(*(np.linspace(0, 1, n) for n in mask.shape), indexing="ij")
    picture = picture * (1 - light * (x + y) / 2)[..., None]
    picture = picture + np.random.default_rng(seed).normal(0, noise, picture.shape)
    return np.round(255 * picture.clip(0, 1)).astype(np.uint8)


def _written(digit: int, chance: np.random.Generator, pen: tuple[float, float]) -> np.ndarray:
    """The ink of a digit somewhere near the middle; pen: its least and greatest width."""
    return draw_mask(
        digit,
        height=chance.uniform(0.35, 0.65),
        width=chance.uniform(*pen),
        centre=(chance.uniform(0.42, 0.58), chance.uniform(0.42, 0.58)),
        angle=chance.uniform(-10, 10),
    )


def _pen(digit: int, chance: np.random.Generator, **paper) -> np.ndarray:
    return on_paper(_written(digit, chance, (0.03, 0.06)), seed=chance, **paper)


def _squared(digit: int, chance: np.random.Generator) -> np.ndarray:
    """Pale lines, twelve to twenty squares a side."""
    paper = np.full((SIDE, SIDE, 3), 0.95)
    step = SIDE // chance.integers(12, 21)
    lines = (np.arange(SIDE) + chance.integers(step)) % step < 2
    paper[lines[:, None] | lines[None, :]] = (0.72, 0.8, 0.9)
    return _pen(digit, chance, paper=paper)


def _pencil(digit: int, chance: np.random.Generator) -> np.ndarray:
    mask = _written(digit, chance, (0.02, 0.035))
    return on_paper(mask, paper=(0.9, 0.9, 0.88), ink=(0.55, 0.55, 0.56), noise=0.02, seed=chance)


def _marker(digit: int, chance: np.random.Generator) -> np.ndarray:
    colours = (0.1, 0.2, 0.7), (0.75, 0.15, 0.2), (0.1, 0.5, 0.3)
    mask = _written(digit, chance, (0.09, 0.13))
    return on_paper(mask, ink=colours[chance.integers(len(colours))], seed=chance)


def _chalk(digit: int, chance: np.random.Generator) -> np.ndarray:
    """Chalk leaves gaps, and a board is never quite clean."""
    mask = _written(digit, chance, (0.05, 0.08)) * chance.uniform(0.35, 1, (SIDE, SIDE))
    smears = _blurred(chance.uniform(0, 1, (SIDE, SIDE)), 12)
    board = np.array((0.12, 0.2, 0.16)) + 0.5 * (smears - smears.min())[..., None]
    return on_paper(mask, paper=board, ink=(0.93, 0.93, 0.9), seed=chance)


def _unfocused(digit: int, chance: np.random.Generator) -> np.ndarray:
    mask = _blurred(_written(digit, chance, (0.04, 0.06)), chance.uniform(4, 9))
    return on_paper(mask, seed=chance)


def _from_the_side(digit: int, chance: np.random.Generator) -> np.ndarray:
    """The paper turned about an axis in its middle, upright or level, by 10 to 20 degrees."""
    picture = Image.fromarray(_pen(digit, chance))
    turned = math.radians(chance.uniform(_TILT / 2, _TILT) * chance.choice([-1, 1]))
    axis, half = chance.integers(2), SIDE / 2
    seen = np.eye(3)  # from a pixel of the photo to the paper, both counted from the middle
    seen[axis, axis] = 1 / math.cos(turned)
    seen[2, axis] = math.tan(turned) / (2 * SIDE)  # from twice the picture's side away
    middle = np.array([[1, 0, half], [0, 1, half], [0, 0, 1]])
    whole = middle @ seen @ np.linalg.inv(middle)
    colour = tuple(int(v) for v in np.median(np.asarray(picture), axis=(0, 1)))
    tilted = picture.transform(
        (SIDE, SIDE), Image.Transform.PERSPECTIVE, (whole / whole[2, 2]).flatten()[:8].tolist(),
        Image.Resampling.BICUBIC, fillcolor=colour,
    )  # fmt: skip
    return np.asarray(tilted)


def _blurred(values: np.ndarray, radius: float) -> np.ndarray:
    image = Image.fromarray(np.round(255 * values).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), dtype=np.float64) / 255


PHOTOGRAPHS: dict[str, Callable[[int, np.random.Generator], np.ndarray]] = {
    "pen": _pen,
    "squares": _squared,
    "shade": lambda digit, chance: _pen(digit, chance, light=0.6),
    "pencil": _pencil,
    "marker": _marker,
    "chalk": _chalk,
    "blur": _unfocused,
    "grain": lambda digit, chance: _pen(digit, chance, noise=0.1),
    "aside": _from_the_side,
}
