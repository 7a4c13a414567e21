"""What a pen drew: strokes, checked, and the picture that they make."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from mnistkit.errors import PictureError

Stroke = Sequence[tuple[float, float]]

UNITS = 1000  # points count thousandths of the paper's side, from its top left corner
PEN = 75  # width of the pen in the same unit: near MNIST's, in a digit of half the paper
SIDE = 84  # pixels of the picture: three for each of MNIST's 28
_MOST_POINTS = 20_000  # ink for some hundred digits: who draws more is not writing one
_FINER = 4  # drawn that much larger and made small again, for soft edges

# A 5 in two strokes, as many write it: down and round, then the bar.
EXAMPLE: tuple[Stroke, ...] = (
    ((400, 205), (392, 270), (383, 340), (374, 412), (420, 386), (474, 372), (530, 374),
     (583, 396), (622, 436), (645, 490), (651, 550), (640, 612), (612, 668), (570, 711),
     (516, 737), (458, 744), (402, 732), (352, 702)),
    ((402, 208), (470, 205), (540, 200), (606, 191), (640, 186)),
)  # fmt: skip


def read_strokes(value: object) -> list[Stroke]:
    """Check what came from a page: a list of strokes, each a list of points [x, y].

    Returns the strokes, without those that hold no point. Raises PictureError, with what
    was found instead, for anything else: what a page sends is not to be trusted.
    """
    if not isinstance(value, list | tuple):
        raise PictureError(f"a drawing is a list of strokes, not {type(value).__name__}")
    strokes = [_read_stroke(stroke) for stroke in value]
    count = sum(len(stroke) for stroke in strokes)
    if count > _MOST_POINTS:
        raise PictureError(f"the drawing has {count:,} points, more than any digit")
    return [stroke for stroke in strokes if stroke]


def _read_stroke(value: object) -> Stroke:
    if not isinstance(value, list | tuple):
        raise PictureError(f"a stroke is a list of points, not {type(value).__name__}")
    return [_read_point(point) for point in value]


def _read_point(value: object) -> tuple[float, float]:
    if not isinstance(value, list | tuple) or len(value) != 2 or not all(map(_is_place, value)):
        raise PictureError(f"a point is two numbers from 0 to {UNITS}, and one of these is not")
    return (float(value[0]), float(value[1]))


def _is_place(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= value <= UNITS  # NaN is not


def draw_strokes(strokes: Sequence[Stroke], side: int = SIDE) -> np.ndarray:
    """Draw strokes with the round pen of the canvas: black ink on white paper.

    strokes: in thousandths of the paper's side. Returns uint8, side x side.
    """
    scale = _FINER * side / UNITS
    image = Image.new("L", (_FINER * side, _FINER * side), 255)
    pen = ImageDraw.Draw(image)
    radius = scale * PEN / 2
    for stroke in strokes:
        points = [(scale * x, scale * y) for x, y in stroke]
        pen.line(points, fill=0, width=round(2 * radius))
        for x, y in points:  # round ends and round bends
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=0)
    return np.array(image.resize((side, side), Image.Resampling.BOX))
