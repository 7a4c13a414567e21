"""What a pen drew: strokes, checked, and the picture that they make."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mnistkit.errors import PictureError

Stroke = Sequence[tuple[float, float]]

UNITS = 1000  # points count thousandths of the paper's side, from its top left corner
PEN = 75  # width of the pen in the same unit: near MNIST's, in a digit of half the paper
PENS = (45, PEN, 120)  # those of the canvas: the thin one for small digits
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


def read_pen(value: object) -> int:
    """Check a pen that came from a page; without one it is the usual. Raises PictureError."""
    if value is None:
        return PEN
    if isinstance(value, bool) or value not in PENS:
        raise PictureError(f"the pens are {', '.join(map(str, PENS))} wide, and this one is not")
    return int(value)


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


def draw_strokes(strokes: Sequence[Stroke], side: int = SIDE, *, pen: int = PEN) -> np.ndarray:
    """Draw strokes with the round pen of the canvas: black ink on white paper.

    strokes: in thousandths of the paper's side. pen: its width in the same unit. Returns
    uint8, side x side. `reader.js` draws the same, pixel by pixel.
    """
    fine, scale = _FINER * side, _FINER * side / UNITS
    ink = np.zeros((fine, fine), dtype=bool)
    for stroke in strokes:
        points = scale * np.array(stroke, dtype=float)
        ends = points[1:] if len(points) > 1 else points  # a dot, too, is ink
        for start, end in zip(points, ends, strict=False):
            _draw_segment(ink, start, end, scale * pen / 2)
    share = ink.reshape(side, _FINER, side, _FINER).mean(axis=(1, 3))
    return np.round(255 * (1 - share)).astype(np.uint8)


def _draw_segment(ink: np.ndarray, start: np.ndarray, end: np.ndarray, radius: float) -> None:
    """Ink all pixels whose centre lies within the pen's radius of a segment; points are x, y."""
    low = np.maximum(np.floor(np.minimum(start, end) - radius), 0).astype(int)
    high = np.minimum(np.ceil(np.maximum(start, end) + radius) + 1, len(ink)).astype(int)
    right, down = (np.arange(low[axis], high[axis]) + 0.5 - start[axis] for axis in (0, 1))
    step = end - start
    length = step @ step
    along = (right * step[0] + down[:, None] * step[1]) / length if length > 0 else 0.0
    along = np.clip(along, 0, 1)
    near = (right - along * step[0]) ** 2 + (down[:, None] - along * step[1]) ** 2 <= radius**2
    ink[low[1] : high[1], low[0] : high[0]] |= near
