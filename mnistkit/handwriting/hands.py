"""Ones and sevens as other countries write them, made from MNIST's.

MNIST was written in the United States, where a 1 is a bare stroke and a 7 has no bar. Much
of the world gives a 1 an upstroke, often a foot, and a 7 a bar; a network that never saw
these takes such a 1 for a 7.
"""

from __future__ import annotations

import numpy as np
import torch

from mnistkit.data import Split
from mnistkit.utils.centring import SIDE, centre_by_mass, cut_out
from mnistkit.utils.validation import check_number

_INK = 0.4  # of full ink: what counts as a stroke
_ROWS, _COLUMNS = np.mgrid[:SIDE, :SIDE]


def with_other_hands(digits: Split, share: float = 0.5, *, seed: int = 0) -> Split:
    """Add ones with an upstroke and sevens with a bar to these digits, as copies.

    share: copies made, of the ones and of the sevens that there are. The originals stay as
    they are, and first; writers and series are those of the original.
    Raises ValueError for a share outside (0, 1].
    """
    check_number("share", share, above=0)
    if share > 1:
        raise ValueError(f"share is {share!r}, expected at most 1")
    generator = np.random.default_rng(seed)
    chosen = []
    for digit in (1, 7):
        there = (digits.labels == digit).nonzero().flatten().numpy()
        count = round(share * len(there))
        chosen += generator.choice(there, count, replace=False).tolist() if count else []
    copies = digits[torch.tensor(sorted(chosen), dtype=torch.int64)]
    drawn = [
        _WAYS[label](image.numpy() / 255, generator)
        for image, label in zip(copies.images, copies.labels.tolist(), strict=True)
    ]
    if drawn:
        images = torch.from_numpy(np.stack([centre_by_mass(cut_out(ink)) for ink in drawn]))
        copies.images.copy_((255 * images).round())
    return _joined(digits, copies)


def _joined(one: Split, other: Split) -> Split:
    known = ("images", "labels", "writers", "series")
    pairs = [(getattr(one, name), getattr(other, name)) for name in known]
    return Split(*(None if first is None else torch.cat([first, more]) for first, more in pairs))


def _one(ink: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Give a 1 an upstroke from its head, and every third one a foot."""
    rows = np.nonzero((ink > _INK).any(axis=1))[0]
    top, bottom, pen = rows[0], rows[-1], _pen(ink)
    head, base = (_middle(ink, row) for row in (top, bottom))
    angle = np.radians(generator.uniform(30, 65))
    length = generator.uniform(0.25, 0.6) * (bottom - top)
    end = top + 0.5 + length * np.sin(angle), head - length * np.cos(angle)
    ink = np.maximum(ink, _stroke((top + 0.5, head), end, pen))
    if generator.random() < 1 / 3:
        half = generator.uniform(0.15, 0.3) * (bottom - top)
        foot = _stroke((bottom - 0.5, base - half), (bottom - 0.5, base + half), pen)
        ink = np.maximum(ink, foot)
    return ink


def _seven(ink: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Put a bar across the stem of a 7."""
    rows = np.nonzero((ink > _INK).any(axis=1))[0]
    row = rows[0] + generator.uniform(0.45, 0.65) * (rows[-1] - rows[0])
    stem, half = _middle(ink, int(row)), generator.uniform(3, 5.5)
    tilt = generator.uniform(-1.2, 1.2)
    return np.maximum(ink, _stroke((row + tilt, stem - half), (row - tilt, stem + half), _pen(ink)))


_WAYS = {1: _one, 7: _seven}


def _middle(ink: np.ndarray, row: int) -> float:
    """Column of the ink in a row, or in the nearest that has some."""
    there = np.nonzero((ink > _INK).any(axis=1))[0]
    line = ink[there[np.abs(there - row).argmin()]]
    return float((line * np.arange(SIDE)).sum() / line.sum())


def _pen(ink: np.ndarray) -> float:
    """Half the width of the pen: the ink, by how many rows or columns it runs through."""
    run = max((ink > _INK).any(axis=axis).sum() for axis in (0, 1))
    return float(np.clip(ink.sum() / run / 2, 0.6, 1.6))


def _stroke(start: tuple[float, float], end: tuple[float, float], pen: float) -> np.ndarray:
    """A straight stroke between two points (row, column): SIDE x SIDE, 0 to 1."""
    (y, x), (dy, dx) = start, (end[0] - start[0], end[1] - start[1])
    along = ((_ROWS - y) * dy + (_COLUMNS - x) * dx) / max(dy * dy + dx * dx, 1e-6)
    along = along.clip(0, 1)
    distance = np.hypot(_ROWS - y - along * dy, _COLUMNS - x - along * dx)
    return (pen + 0.5 - distance).clip(0, 1)
