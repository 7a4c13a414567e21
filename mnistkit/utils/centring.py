"""MNIST's form of a digit: scaled to fit a box, and centred by its mass (LeCun et al., 1998)."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

BOX, SIDE = 20, 28  # pixels of the digit's longer side, and of the picture
_TIE = 1e-3  # pixels: a mass halfway between two goes up and left, whatever rounding made of it


def scale_to_box(digit: np.ndarray) -> np.ndarray:
    """Scale a digit, cut out, so that its longer side has `BOX` pixels, and to full ink.

    digit: H x W, 0 (paper) to 1 (ink). Returns float32.
    """
    scale = BOX / max(digit.shape)
    height, width = (max(1, round(scale * length)) for length in digit.shape)
    image = Image.fromarray(digit.astype(np.float32))
    small = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    return np.clip(small / max(np.quantile(small, 0.98), 1e-6), 0, 1)


def cut_out(ink: np.ndarray, least: float = 0.0) -> np.ndarray:
    """The box around all pixels with more ink than `least`."""
    rows, columns = (np.nonzero(ink.max(axis=axis) > least)[0] for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def centre_by_mass(small: np.ndarray) -> np.ndarray:
    """Put the centre of mass at (14, 14), as far as the picture reaches: float32, 28 x 28."""
    canvas = np.zeros((SIDE, SIDE), dtype=np.float32)
    mass = ndimage.center_of_mass(small)
    starts = [
        int(np.clip(round(SIDE / 2 - centre - _TIE), 0, SIDE - length))
        for centre, length in zip(mass, small.shape, strict=True)
    ]
    rows, columns = (slice(s, s + n) for s, n in zip(starts, small.shape, strict=True))
    canvas[rows, columns] = small
    return canvas
