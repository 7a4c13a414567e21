"""Digits drawn stroke by stroke, to be photographed in ways that MNIST does not have."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter


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


def draw_mask(
    digit: int,
    *,
    size: int = 300,
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
    paper: Iterable[float] = (0.95, 0.95, 0.93),
    ink: Iterable[float] = (0.1, 0.1, 0.25),
    light: float = 0.0,
    noise: float = 0.01,
    seed: int = 0,
) -> np.ndarray:
    """A photo of that ink: uint8, H x W x 3. `light` is how much darker one corner is."""
    paper, ink = (np.asarray(list(colour)) for colour in (paper, ink))
    picture = paper + mask[..., None] * (ink - paper)
    y, x = np.meshgrid(*(np.linspace(0, 1, n) for n in mask.shape), indexing="ij")
    picture = picture * (1 - light * (x + y) / 2)[..., None]
    picture = picture + np.random.default_rng(seed).normal(0, noise, picture.shape)
    return np.round(255 * picture.clip(0, 1)).astype(np.uint8)
