"""Pictures of digits: one, a grid, predictions with the truth, the surest mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from os import PathLike

import numpy as np
from matplotlib.axes import Axes

from mnistkit.utils.figures import LEGIBLE, describe, new_axes
from mnistkit.utils.validation import (
    check_class_names,
    check_probabilities,
    check_whole,
    in_short,
)

_ROUNDING = 1e-3  # so far beyond 0 and 1 a float may be and still be a picture's
RIGHT, WRONG = "#00664B", "#B03A00"  # green and red; the words say it, too


def plot_image(image, title: str = "", *, color: str = "black", ax: Axes | None = None) -> Axes:
    """Draw one image: H x W or 1 x H x W grey; or 3 x H x W or H x W x 3 colour.

    Of any numeric type. Whole numbers count from 0 to 255, those of a mask from 0 to 1, floats
    from 0 to 1: as much ink looks alike in two pictures. Floats that reach further (kernels,
    normalised images) are drawn from their lowest to their highest.
    """
    if isinstance(image, str | PathLike):
        raise ValueError(f"image is {image!r}, expected an image; a photo is read by find_digit")
    if hasattr(image, "labels"):
        raise ValueError("image is digits with labels: give one of digits.test.images")
    pixels = _scaled([image])
    return _draw(pixels[0], _limits(pixels), _words(title), color, new_axes(ax, (2.2, 2.4)))


def _draw(pixels: np.ndarray, reach: tuple[float, float], title: str, color: str, ax: Axes) -> Axes:
    shape = pixels.shape
    while pixels.ndim > 2 and len(pixels) == 1:
        pixels = pixels[0]
    if pixels.ndim == 3 and pixels.shape[-1] != 3:
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.ndim != 2 and pixels.shape[2:] != (3,):
        raise ValueError(f"expected one image, H x W or 3 x H x W, got shape {shape}")
    if pixels.ndim == 3:  # colours have no scale of their own
        ax.imshow(pixels)
    else:
        ax.imshow(pixels, cmap="gray_r", vmin=reach[0], vmax=reach[1])
    ax.set_title(title, color=color, fontsize=11)
    ax.set_axis_off()
    return describe(ax, f"Image{f': {title}' if title else ''}.")


def _scaled(images) -> list[np.ndarray]:
    """As floats; whole numbers as parts of 255, or where none is above 1, as they are: a mask."""
    if any(isinstance(image, tuple) for image in images):
        raise ValueError("images are pairs (image, label): give the images alone")
    given = [np.asarray(image) for image in images]
    whole = [pixels for pixels in given if pixels.dtype.kind in "iu" and pixels.size]
    top = 255 if any(pixels.max() > 1 for pixels in whole) else 1
    return [pixels.astype(float) / (top if pixels.dtype.kind in "iu" else 1) for pixels in given]


def _limits(images: Sequence[np.ndarray]) -> tuple[float, float]:
    """What is drawn white and what black: paper and ink, or the ends of all numbers."""
    filled = [pixels for pixels in images if pixels.size]
    low, high = min(map(np.min, filled), default=0), max(map(np.max, filled), default=1)
    within = low >= -_ROUNDING and high <= 1 + _ROUNDING
    return (0.0, 1.0) if within else (float(low), float(high))


def plot_images(
    images,
    titles: Sequence[str] | None = None,
    *,
    colors: Sequence[str] | None = None,
    columns: int = 8,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw images in a grid, each with a title if given, all on one scale; see `plot_image`."""
    if not hasattr(images, "__len__"):
        raise ValueError(f"images is {in_short(images)}, expected images in a tensor or a list")
    if isinstance(images, str):
        raise ValueError(f"images is {images!r}, expected images; a photo is read by find_digit")
    if hasattr(images, "labels"):
        raise ValueError("images are digits with labels: give digits.test.images")
    count = len(images)
    if count == 0:
        raise ValueError("no images were given to draw")
    if getattr(images, "ndim", 3) == 2 and images.shape[1] == 784:
        raise ValueError("images are rows of 784 numbers: give images.reshape(-1, 28, 28)")
    if getattr(images, "ndim", 3) == 2:
        raise ValueError("images is one image: give several, or draw it with plot_image")
    titles = [""] * count if titles is None else [_words(title) for title in titles]
    colors = ["black"] * count if colors is None else colors
    for what, each in (("titles", titles), ("colors", colors)):
        if len(each) != count:
            raise ValueError(f"{len(each)} {what} for {count} images")
    columns = min(check_whole("columns", columns), count)
    rows = -(-count // columns)
    height = max(title_text.count("\n") for title_text in titles) * 0.25 + 1.35
    width = min(1.25, 1.29 * LEGIBLE / columns)  # 1.29: the axes are 0.775 of a figure
    ax = new_axes(ax, (width * columns, height * rows))
    ax.set_axis_off()
    ax.set_title(title, pad=24 if any(titles) else 6)
    room = 0.72 if any(titles) else 0.94  # of a cell's height; the rest is for its title
    pixels = _scaled(images)
    reach = _limits(pixels)
    for place, image in enumerate(pixels):
        row, column = divmod(place, columns)
        box = [column / columns, 1 - (row + 1) / rows, 0.94 / columns, room / rows]
        _draw(image, reach, titles[place], colors[place], ax.inset_axes(box))
    shown = f": {_listed(titles)}" if any(titles) else ""
    return describe(ax, f"{title or 'Grid'} ({count} images){shown}.")


def _words(title: object) -> str:
    """A title as it is written; a label of a tensor as its number."""
    return str(title.item() if hasattr(title, "item") else title)


def _listed(titles: Sequence[str]) -> str:
    """Join titles; neighbours that are the same are counted, not repeated."""
    runs = [(words, len(list(same))) for words, same in groupby(titles)]
    named = [
        f"{count} x {words}" if count > 2 else "; ".join([words] * count) for words, count in runs
    ]
    return "; ".join(named).replace("\n", ", ")


def plot_predictions(
    images,
    labels: Sequence[int],
    predictions: Sequence[int],
    *,
    probabilities: Sequence[float] | None = None,
    classes: Sequence[str] = "0123456789",
    columns: int = 3,
    title: str = "Predictions",
    ax: Axes | None = None,
) -> Axes:
    """Draw images titled `Pred: .. | Truth: ..`, green if right, red and "wrong" if not.

    probabilities: of the predicted class, shown in percent if given.
    classes: the names of the ten classes, as in `Digits.class_names`.
    """
    if not len(images) == len(labels) == len(predictions):
        raise ValueError(
            f"{len(images)} images, {len(labels)} labels, {len(predictions)} predictions: "
            "give one of each for each"
        )
    if probabilities is not None and len(probabilities) != len(images):
        raise ValueError(f"{len(probabilities)} probabilities for {len(images)} images")
    for one in [] if probabilities is None else probabilities:
        if np.ndim(one) or not 0 <= float(one) <= 1 + _ROUNDING:
            raise ValueError(f"a probability is {in_short(one)}, expected that of the predicted "
                             "class, 0 to 1")  # fmt: skip
    for what, each in (("label", labels), ("prediction", predictions)):
        if np.ndim(each[0]) if len(each) else 0:
            raise ValueError(f"a {what} is a row of numbers, expected one class: argmax(dim=1)")
        if parts := [float(one) for one in each if float(one) != int(one)]:
            raise ValueError(f"a {what} is {parts[0]:g}, expected a class, a whole number")
        if wrong := [int(one) for one in each if not 0 <= int(one) < len(classes)]:
            raise ValueError(f"{what} {wrong[0]} is no class: they are 0 to {len(classes) - 1}")
    right = [int(p) == int(t) for p, t in zip(predictions, labels, strict=True)]
    long = max(map(len, check_class_names(classes))) > 2
    between = "\n" if long else " | "  # a line for each
    titles = [
        f"Pred: {classes[int(p)]}{between}Truth: {classes[int(t)]}\n{'right' if r else 'WRONG'}"
        for p, t, r in zip(predictions, labels, right, strict=True)
    ]
    if probabilities is not None:
        titles = [
            f"{t}, {100 * float(p):.0f} %" for t, p in zip(titles, probabilities, strict=True)
        ]
    colors = [RIGHT if r else WRONG for r in right]
    if ax is None:
        rows = -(-len(titles) // check_whole("columns", columns))
        ax = new_axes(None, (2.1 * columns, 2.3 * rows))
    plot_images(images, titles, colors=colors, columns=columns, title=title, ax=ax)
    said = [t.rpartition("\n")[0].replace("\n", " | ") for t in titles]
    mistakes = [t for t, r in zip(said, right, strict=True) if not r]
    listed = f"; wrong: {', '.join(mistakes)}" if mistakes else ""
    return describe(ax, f"{title}: {sum(right)} of {len(right)} right{listed}.")


def plot_mistakes(
    images,
    labels,
    probabilities,
    *,
    classes: Sequence[str] = "0123456789",
    count: int = 12,
    title: str = "Worst mistakes",
    ax: Axes | None = None,
) -> Axes:
    """Draw the wrong predictions that the model was surest of.

    probabilities: N x 10. classes: the names of the ten classes.
    Raises ValueError if every prediction is right.
    """
    check_whole("count", count)
    if len(images) != len(labels):
        raise ValueError(f"{len(images)} images for {len(labels)} labels: give one for each")
    probabilities, labels = (part.numpy() for part in check_probabilities(probabilities, labels))
    predictions = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predictions != labels)
    if wrong.size == 0:
        raise ValueError("every prediction is right: there is no mistake to draw")
    surest = wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")][:count]
    return plot_predictions(
        [images[i] for i in surest],
        labels[surest],
        predictions[surest],
        probabilities=probabilities[surest].max(axis=1),
        classes=classes,
        columns=4,
        title=f"{title}: {len(surest)} of {wrong.size}",
        ax=ax,
    )
