"""From a photo or a scan of a digit to a picture as MNIST has them.

MNIST's digits were scaled to fit a box of 20 x 20 pixels, their proportions kept, and put
into 28 x 28 pixels with their centre of mass in the middle; ink is bright on black (LeCun
et al., 1998). A model knows nothing else, so a photo is brought into that form first.
What holds no single digit is refused, with the reason.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageOps
from scipy import ndimage
from torch import Tensor

from mnistkit.errors import PictureError
from mnistkit.utils.centring import centre_by_mass, scale_to_box
from mnistkit.utils.storage import at_home
from mnistkit.utils.validation import in_short

_LONGEST = 400  # pixels of the longer side that are enough to see a digit
_SMALLEST = 8  # pixels: below that a digit cannot be told from a speck
_FAINTEST = 0.08  # of the range from black to white: less contrast than that is paper
_THIN, _NORMAL = 0.07, 0.10  # stroke width by the longer side of the digit; MNIST's is about 0.14
_WIDEST = 1.8  # width by height; 47 of MNIST's 60,000 training digits are wider
_THICKEST = 0.8  # of the longer side; no stroke of MNIST's is above 0.68
_MOST_HOLES = 4  # an 8 has two, and a hasty pen leaves one or two more
_SWAMPED = 0.2  # noise of paper; grainy photos have less than half of it, and only ink has more
_TOO_MUCH = "there is more ink than paper: show the digit with some space around"
_ALBUMS = ("TIFF", "GIF", "WEBP", "PNG")  # a phone's JPEG may hold a preview as well
_SHEET, _RECTANGLE = 0.1, 0.86  # of the picture that a sheet fills, and of a rectangle around it
_HOLE, _MOST_WRITTEN = 0.002, 0.2  # of a sheet, what is written
_SLENDER = 0.45  # width by length, of a bold 1
_MARGIN = 0.02  # of its side that is taken off a sheet, where its edge is blurred
_ALONG, _FILLED = 0.4, 0.9  # of a side of the picture, along which a digit does not lie
_TIGHT = 0.5  # of the picture, in the box of a digit that is cut out tightly
_ALIKE, _BROKEN = 0.5, 0.08  # heights of two pieces, and the gap between them
_EIGHT = np.ones((3, 3), dtype=bool)  # neighbours that touch at a corner belong together


def find_digit(
    source: str | os.PathLike | Image.Image | np.ndarray | Tensor, *, white_paper: bool = False
) -> Tensor:
    """Find the one digit in a picture, and give it MNIST's form.

    source: a file that Pillow can read, a Pillow image of any mode, or an array, H x W,
        H x W x 3 or H x W x 4, of bytes, of 0 and 1, or of floats in [0, 1]. Dark ink on light
        paper or the reverse, any colours, uneven light, a sheet on a table.
    white_paper: the paper is known to be white, as that of the canvas is; otherwise it is looked
        for, which bold ink may mislead.

    Returns float32, 28 x 28, 0 (paper) to 1 (ink).
    Raises PictureError, with what was seen instead, if there is no digit or more than one.
    """
    pixels = _read_pixels(source)
    ink, noise = (1 - pixels.mean(axis=2), 0.0) if white_paper else _find_ink(pixels)
    mask = _mask(ink, noise)
    if not white_paper:
        ink, noise, mask = _on_sheet(pixels, mask) or (ink, noise, mask)
        mask = _without_surroundings(mask)
    return torch.from_numpy(_as_in_mnist(ink, _one_shape(mask), noise))


# --- reading --------------------------------------------------------------------------


def _read_pixels(source) -> np.ndarray:
    """Colours as float64, H x W x 3 in [0, 1], at most `_LONGEST` pixels a side."""
    image = _upright(_open(source))
    if min(image.size) < _SMALLEST:
        raise PictureError(f"the picture has {image.width} x {image.height} pixels: too few")
    try:
        image = _flatten(image)
    except ValueError as error:  # a mode that Pillow itself cannot convert
        raise PictureError(f"a picture of mode {image.mode} cannot be read",
                           do="convert it to RGB or RGBA") from error  # fmt: skip
    if max(image.size) > _LONGEST:
        image.thumbnail((_LONGEST, _LONGEST), Image.Resampling.BOX)
    return np.asarray(image, dtype=np.float64) / 255


def _upright(image: Image.Image) -> Image.Image:
    """Turn a picture as its camera says; one whose notes cannot be read stays as it is."""
    try:
        return ImageOps.exif_transpose(image)
    except (SyntaxError, ValueError, TypeError, KeyError, OSError, struct.error):
        return image


def _open(source) -> Image.Image:
    if isinstance(source, Image.Image):
        try:
            source.load()
        except (OSError, ValueError, AssertionError) as error:  # the last where it is closed
            raise PictureError(
                f"the Pillow image cannot be read ({error})", do="give one that is still open"
            ) from error
        return source
    if isinstance(source, np.ndarray | Tensor):
        if isinstance(source, Tensor):
            source = source.detach().to_dense().cpu()
            source = source.float() if source.is_floating_point() else source
        return _from_array(np.asarray(source))
    if not isinstance(source, str | os.PathLike):
        given = in_short(source)
        raise PictureError(f"{given} is no picture; give a file, a Pillow image or an array")
    path = at_home(source)
    try:
        with Image.open(path) as image:
            frames = getattr(image, "n_frames", 1)
            if frames > 1 and image.format in _ALBUMS:
                raise PictureError(
                    f"{path.resolve().name} holds {frames} pictures",
                    do="save the one with the digit by itself",
                )
            image.load()
            return image
    except FileNotFoundError as error:
        raise PictureError(f"there is no file {path.name}", where=path.parent) from error
    except IsADirectoryError as error:
        raise PictureError(f"{path.resolve().name} is a folder, expected a picture") from error
    except Image.DecompressionBombError as error:
        raise PictureError(
            f"{path.name} has more pixels than a picture of a digit needs",
            where=path.parent,
            do="make it smaller",
        ) from error
    except PictureError:
        raise
    except Exception as error:  # a damaged file: each decoder has errors of its own
        raise PictureError(
            f"{path.resolve().name} is no picture that can be read ({type(error).__name__})",
            where=path.parent,
            do="save it as PNG or JPEG",
        ) from error


def _from_array(array: np.ndarray) -> Image.Image:
    array = np.squeeze(array)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise PictureError(
            f"an array of shape {array.shape} is no picture",
            do="give H x W for grey, or H x W x 3 or 4 for colours",
        )
    if not array.size or not (array.dtype == bool or np.issubdtype(array.dtype, np.number)):
        raise PictureError(f"an array of shape {array.shape} and {array.dtype} holds no pixels")
    if array.dtype != np.uint8 or array.max() <= 1:  # bytes of 0 and 1 are a mask
        values = array.astype(np.float64)
        if not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
            raise PictureError("floats of a picture must lie in [0, 1]; bytes must be uint8")
        array = np.round(255 * values).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(array))


def _flatten(image: Image.Image) -> Image.Image:
    """Bring any mode to RGB; what is transparent becomes paper.

    Where one colour stands for it, that is the paper's already, unless nothing else is there.
    """
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        values = np.asarray(image, dtype=np.float64)
        low, high = min(values.min(), 0), values.max()  # no more contrast than there is
        scaled = (values - low) / (high - low) if high > low else np.zeros_like(values)
        return Image.fromarray(np.round(255 * scaled).astype(np.uint8)).convert("RGB")
    one_colour = isinstance(image.info.get("transparency"), int | tuple)
    if image.has_transparency_data and not one_colour:
        return _on_paper(image.convert("RGBA"))
    plain = image.convert("RGB")
    if one_colour and max(high - low for low, high in plain.getextrema()) < 255 * _FAINTEST:
        return _on_paper(image.convert("RGBA"))  # what is transparent is all that there is to see
    return plain


def _on_paper(image: Image.Image) -> Image.Image:
    """Lay a transparent picture on white, or on black if its ink is light."""
    values = np.asarray(image, dtype=np.float64)
    weights = values[..., 3]
    light = weights.sum() and (values[..., :3].mean(axis=2) * weights).sum() / weights.sum() > 127
    opaque = weights.min() == 255
    paper = Image.new("RGBA", image.size, "black" if light and not opaque else "white")
    return Image.alpha_composite(paper, image).convert("RGB")


# --- ink and paper --------------------------------------------------------------------


def _find_ink(pixels: np.ndarray) -> tuple[np.ndarray, float]:
    """Tell ink from paper; raises PictureError where ink leaves too little paper for that."""
    ink, noise = _ink(pixels)
    if noise > _SWAMPED:  # ink was taken for paper: a bold digit that fills the picture
        ink, noise = _ink(pixels, _larger_half(pixels))
    if noise > _SWAMPED:
        raise PictureError(_TOO_MUCH)
    return ink, noise


def _ink(pixels: np.ndarray, paper: np.ndarray | None = None) -> tuple[np.ndarray, float]:
    """How far each pixel is from the paper around it, in [0, 1], and the paper's noise.

    The paper's colour may change slowly over the picture: it is a quadratic surface, fitted
    to those two thirds of all pixels that it fits best, again and again; or, begun with pixels
    that are known to be paper, to half of them.
    """
    height, width = pixels.shape[:2]
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y]).reshape(6, -1)
    colours = np.ascontiguousarray(pixels.reshape(-1, 3).T)
    kept = np.ones(height * width, dtype=bool) if paper is None else paper.ravel()
    share = 0.66 if paper is None else 0.5
    for _ in range(10):
        fitted = terms * kept
        # Six equations in place of thousands; they may depend on each other, as in one row.
        surface, *_ = np.linalg.lstsq(fitted @ terms.T, fitted @ colours.T, rcond=None)
        paper = surface.T @ terms
        distance = np.abs(colours - paper).max(axis=0)
        kept = distance <= np.quantile(distance, share)
    # In shade ink and paper lie closer together: what counts is the share of what is possible.
    paper = paper.clip(0, 1)
    darker = (paper - colours)[:, ~kept].sum() > 0
    distance /= np.maximum(paper if darker else 1 - paper, 0.05).max(axis=0)
    noise = 1.4826 * np.median(distance[kept])
    return distance.clip(0, 1).reshape(height, width), float(noise)


def _larger_half(pixels: np.ndarray) -> np.ndarray:
    """The pixels on the side, light or dark, that most are on."""
    grey = pixels.mean(axis=2)
    light = grey > _otsu(grey)
    return light if light.mean() >= 0.5 else ~light


def _otsu(values: np.ndarray) -> float:
    """The threshold that separates two classes best (Otsu, 1979)."""
    counts, edges = np.histogram(values, bins=128)
    centres = (edges[:-1] + edges[1:]) / 2
    below, above = np.cumsum(counts), np.cumsum(counts[::-1])[::-1]
    mean_below = np.cumsum(counts * centres) / np.maximum(below, 1)
    mean_above = np.cumsum((counts * centres)[::-1])[::-1] / np.maximum(above, 1)
    between = below[:-1] * above[1:] * (mean_below[:-1] - mean_above[1:]) ** 2
    return float(edges[1:-1][np.argmax(between)])


def _mask(ink: np.ndarray, noise: float) -> np.ndarray:
    """The pixels that are ink. Raises PictureError if there is too little, or too much."""
    smooth = ndimage.gaussian_filter(ink, max(0.5, max(ink.shape) / 250))
    threshold = _otsu(smooth)
    mask = smooth > threshold
    contrast = smooth[mask].mean() - smooth[~mask].mean() if 0 < mask.sum() < mask.size else 0.0
    if contrast < max(_FAINTEST, 3 * noise):
        raise PictureError("nothing is drawn on it: the picture is as good as blank",
                           do="if a digit is, cut the picture closer around it: it is small, or as "
                           "faint as the lines of its paper")  # fmt: skip
    if mask.mean() > 0.5:
        raise PictureError(_TOO_MUCH)
    return mask


def _on_sheet(pixels: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, float, np.ndarray] | None:
    """Ink, noise and mask of a sheet of paper that lies on something else; None if none does.

    It is what no digit is: a rectangle, perhaps turned, nearly full, with small holes in it, which
    are what is written; or without, where the ink is as far from the table's colour as the paper.
    """
    labels, _ = ndimage.label(mask, _EIGHT)
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    solid = ndimage.binary_fill_holes(labels == areas.argmax())
    holes = 1 - areas.max() / solid.sum()
    if solid.mean() < _SHEET or holes > _MOST_WRITTEN:
        return None
    fullness, slender = _rectangle(solid)
    if fullness < _RECTANGLE or (holes < _HOLE and slender < _SLENDER):  # a bold 1
        return None
    margin = max(1, round(_MARGIN * np.sqrt(solid.sum())))
    sheet = ndimage.binary_erosion(solid, _EIGHT, iterations=margin)
    try:
        ink, noise = _find_ink(_only(pixels, sheet))
        return ink, noise, _mask(ink, noise)
    except PictureError:
        if holes >= _HOLE:
            raise
        return None  # a blot


def _rectangle(solid: np.ndarray) -> tuple[float, float]:
    """Of the smallest rectangle around a shape, however turned: share filled, and width by length.

    The width is the shorter side.
    """
    y, x = np.nonzero(solid & ~ndimage.binary_erosion(solid))
    turns = np.radians(np.arange(-45, 45, 3))[:, None]
    across = np.ptp(x * np.cos(turns) + y * np.sin(turns), axis=1) + 1
    along = np.ptp(y * np.cos(turns) - x * np.sin(turns), axis=1) + 1
    place = (across * along).argmin()
    sides = sorted((across[place], along[place]))
    return float(solid.sum() / (sides[0] * sides[1])), float(sides[0] / sides[1])


def _only(pixels: np.ndarray, sheet: np.ndarray) -> np.ndarray:
    """The picture cut to a sheet; what is beside it in the box becomes paper as well."""
    (box,) = ndimage.find_objects(sheet.astype(int))
    paper = np.median(pixels[sheet], axis=0)
    return np.where(sheet[..., None], pixels, paper)[box]


def _without_surroundings(mask: np.ndarray) -> np.ndarray:
    """Take away what runs along the picture's border: the table's edge, a shadow, a frame.

    Not where all that is left is specks, or reaches the border, too, as in a tight cut.
    """
    labels, count = ndimage.label(mask, _EIGHT)
    sides = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    boxes = ndimage.find_objects(labels)
    at_the_border = set(np.concatenate(sides).tolist()) - {0}
    along = {n for n in at_the_border if _lies_around(n, sides, boxes[n - 1])}
    if not along:
        return mask
    large = [n for n in range(1, count + 1) if n not in along and _side(boxes[n - 1]) >= _SMALLEST
             and _side(boxes[n - 1]) > 0.08 * max(mask.shape)]  # fmt: skip
    if not large or at_the_border & set(large):
        return mask
    return mask & ~np.isin(labels, list(along))


def _lies_around(number: int, sides: tuple[np.ndarray, ...], box: tuple[slice, slice]) -> bool:
    """Whether a piece runs along a side of the picture, or from one to the opposite.

    One as large as the picture is a digit cut tightly, unless it fills two sides.
    """
    shares = [(side == number).mean() for side in sides]
    height, width = (part.stop - part.start for part in box)
    if height * width > _TIGHT * len(sides[0]) * len(sides[2]):
        return sum(share > _FILLED for share in shares) >= 2
    top, bottom, left, right = shares
    return max(shares) > _ALONG or min(top, bottom) > 0 or min(left, right) > 0


def _side(box: tuple[slice, slice]) -> int:
    """The longer side of a box, in pixels."""
    return max(part.stop - part.start for part in box)


def _one_shape(mask: np.ndarray) -> np.ndarray:
    """The pixels of the digit: one shape, perhaps in pieces. Raises PictureError if not."""
    shapes = _shapes(mask)
    if len(shapes) > 1:
        raise PictureError(
            f"there are {len(shapes)} separate shapes, and a digit is one",
            do="cut out one, with paper around it; the edge of a shadow or a table is a shape, too",
        )
    digit = np.isin(ndimage.label(mask, _EIGHT)[0], shapes[0].labels)
    _check_form(digit, shapes[0])
    return digit


def _check_form(digit: np.ndarray, shape: _Shape) -> None:
    """Refuse what is joined by its ink but is no digit: a word, a block of text, noise."""
    if shape.width > _WIDEST * shape.height:
        raise PictureError("the shape is wider than any digit: a word, or a line")
    box = np.pad(digit[shape.top : shape.bottom, shape.left : shape.right], 1)
    labels, _ = ndimage.label(~box)
    holes = (np.bincount(labels.ravel())[2:] > 0.002 * box.size).sum()  # 0: ink, 1: outside
    if holes > _MOST_HOLES:
        raise PictureError(
            f"the shape has {holes} holes, more than any digit: text, or noise",
            do="cut out the digit; dark lines of squared paper are in the way",
        )
    if 2 * ndimage.distance_transform_edt(box).max() > _THICKEST * max(shape.height, shape.width):
        raise PictureError("the shape is one blot, without strokes")


@dataclass(frozen=True)
class _Shape:
    """Pieces of ink that belong together: labels, pixels, and their box."""

    labels: tuple[int, ...]
    area: int
    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    def joined(self, other: _Shape) -> _Shape:
        return _Shape(
            self.labels + other.labels, self.area + other.area,
            min(self.top, other.top), max(self.bottom, other.bottom),
            min(self.left, other.left), max(self.right, other.right),
        )  # fmt: skip


def _shapes(mask: np.ndarray) -> list[_Shape]:
    """Pieces of ink, joined where they make one digit, without specks."""
    labels = ndimage.label(mask, _EIGHT)[0]
    areas = np.bincount(labels.ravel())
    pieces = [
        _Shape((number,), int(areas[number]), box[0].start, box[0].stop, box[1].start, box[1].stop)
        for number, box in enumerate(ndimage.find_objects(labels), start=1)
    ]
    largest = max(piece.area for piece in pieces)
    pieces = [piece for piece in pieces if piece.area >= 0.02 * largest]
    if len(pieces) > 30:
        raise PictureError(f"there are {len(pieces)} separate shapes: noise, or a text")
    joined = _join(pieces)
    tallest = max(max(shape.height, shape.width) for shape in joined)
    if tallest < _SMALLEST:
        raise PictureError(f"the largest shape has {tallest} pixels: too small for a digit")
    return [s for s in joined if max(s.height, s.width) >= 0.3 * tallest]


def _join(pieces: list[_Shape]) -> list[_Shape]:
    """Join neighbours, again and again: the bar of a 5, the two halves of a broken stroke."""
    shapes = sorted(pieces, key=lambda piece: -piece.area)
    for place, shape in enumerate(shapes):
        for other in shapes[place + 1 :]:
            if _belong_together(shape, other):
                rest = [s for s in shapes if s not in (shape, other)]
                return _join([shape.joined(other), *rest])
    return shapes


def _belong_together(one: _Shape, other: _Shape) -> bool:
    """Whether two pieces lie over each other and close; digits in a row lie side by side."""
    overlap = min(one.right, other.right) - max(one.left, other.left)
    gap = max(one.top, other.top) - min(one.bottom, other.bottom)
    size = max(one.height, one.width, other.height, other.width)
    # Two that are about as tall are two digits, one above the other, unless a stroke broke.
    alike = min(one.height, other.height) > _ALIKE * max(one.height, other.height)
    near = gap < (_BROKEN if alike else 0.25) * size
    return overlap > 0.4 * min(one.width, other.width) and near


# --- MNIST's form ---------------------------------------------------------------------


def _as_in_mnist(ink: np.ndarray, mask: np.ndarray, noise: float) -> np.ndarray:
    """Cut the digit out, scale it to the box, and centre it by mass: float32, 28 x 28."""
    level = np.quantile(ink[mask], 0.7)
    floor = min(0.5 * level, max(2 * noise, 0.2 * level))
    values = np.clip((ink - floor) / (level - floor), 0, 1)
    values[~ndimage.binary_dilation(mask, _EIGHT, iterations=2)] = 0
    rows, columns = np.nonzero(values.max(axis=1) > 0.1)[0], np.nonzero(values.max(axis=0) > 0.1)[0]
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return centre_by_mass(scale_to_box(_thickened(values[box], mask[box])))


def _thickened(digit: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Thicken strokes that would vanish when the digit is made small."""
    width = 4 * ndimage.distance_transform_edt(mask)[mask].mean()  # of a straight stroke
    longer = max(digit.shape)
    if width >= _THIN * longer:
        return digit
    radius = max(1, round((_NORMAL * longer - width) / 2))
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disc = x * x + y * y <= radius * radius
    return ndimage.grey_dilation(np.pad(digit, radius), footprint=disc)
