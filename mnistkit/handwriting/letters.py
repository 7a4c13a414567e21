"""Printed letters that look like no digit: what a reader of digits should refuse."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from mnistkit.handwriting.photo import find_digit

# Without those that pass for a digit in some hand: O o D Q, l I i j J, Z z, S s, G b, g q y, B.
LETTERS = "ACEFHKLMNPRTUVWXYacdefhkmnprtuvwx"
FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSerif",
         "STIXGeneral", "STIXGeneralItalic", "cmr10")  # fmt: skip
_SIDE, _SIZE = 220, 140  # pixels of the picture, and of the letter


def printed_letters(fonts=FONTS, letters: str = LETTERS) -> Tensor:
    """Print each letter in each of matplotlib's fonts, and give it MNIST's form.

    Returns float32, N x 1 x 28 x 28, 0 (paper) to 1 (ink), font by font.
    """
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    found = [
        find_digit(_print(letter, ImageFont.truetype(folder / f"{font}.ttf", _SIZE)))
        for font in fonts
        for letter in letters
    ]
    return torch.stack(found).unsqueeze(1)


def _print(letter: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    image = Image.new("L", (_SIDE, _SIDE), 255)
    ImageDraw.Draw(image).text((_SIDE / 2, _SIDE / 2), letter, fill=0, font=font, anchor="mm")
    return image
