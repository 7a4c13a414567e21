"""What bears words out beside printed and recorded numbers: code, pixels, and MNIST's sample."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from functools import cache
from itertools import groupby

import numpy as np
import PIL.Image

from mnistkit import load_digits
from mnistkit.data import Digits
from tests.notebooks.statements.outputs import Outputs, only_first


def does(source: str, *pieces: str) -> Callable[[Outputs], bool]:
    """A predicate: the code of the cell with that piece of source holds all the others, too."""
    return lambda out: all(piece in out.cell(source).source for piece in pieces)


@cache
def sample() -> Digits:
    """The 5,000 digits of MNIST that can be had anywhere."""
    return load_digits("sample")


@cache
def sample_images() -> np.ndarray:
    """All of the sample's images, in [0, 1]."""
    return _joined("images") / 255


@cache
def sample_labels() -> np.ndarray:
    return _joined("labels")


def _joined(part: str) -> np.ndarray:
    splits = sample().train, sample().validation, sample().test
    return np.concatenate([getattr(split, part).numpy() for split in splits])


def pixels(out: Outputs, source: str, *, sharp: bool = False) -> np.ndarray:
    """The first figure that the cell draws, as large as on the page: H x W x 3, 0 to 255.

    sharp: with all its pixels, so that a thin line has its full colour.
    """
    drawn = (o for o in out.cell(source).outputs if "image/png" in o.get("data", ""))
    output = only_first(drawn, f"no figure at {source!r}")
    image = PIL.Image.open(io.BytesIO(base64.b64decode(output.data["image/png"]))).convert("RGB")
    width = image.width if sharp else output.metadata["image/png"].get("width", image.width)
    size = width, round(image.height * width / image.width)
    return np.asarray(image.resize(size, PIL.Image.Resampling.BOX))


def panels(out: Outputs, source: str) -> list[np.ndarray]:
    """The pictures in a figure, row by row, each cut out of its white paper.

    A row of pictures is at least half as high as the highest, which a line of words is not.
    """
    image = pixels(out, source)
    bands = _inked(image, axis=(1, 2))
    height = max(band.stop - band.start for band in bands) / 2
    rows = [image[band] for band in bands if band.stop - band.start > height]
    return [row[:, columns] for row in rows for columns in _inked(row, axis=(0, 2))]


def ink(panel: np.ndarray) -> np.ndarray:
    """How dark each pixel of a panel is, 0 to 1."""
    return 1 - panel.mean(axis=2) / 255


def bar_lengths(out: Outputs, source: str) -> list[int]:
    """The lengths in pixels of a figure's horizontal bars, from top to bottom."""
    image = pixels(out, source)
    colours, counts = np.unique(image[image.std(axis=2) > 9], axis=0, return_counts=True)
    lengths = (image == colours[counts.argmax()]).all(axis=2).sum(axis=1)
    bars = groupby(lengths, key=lambda length: length > 0)
    return [max(rows) for there, rows in bars if there]


def _inked(image: np.ndarray, axis: tuple[int, ...]) -> list[slice]:
    """The stretches of rows or columns that are not all white."""
    there = (image < 250).any(axis=axis)
    edges = np.flatnonzero(np.diff([False, *there, False]))
    return [slice(*ends) for ends in edges.reshape(-1, 2)]
