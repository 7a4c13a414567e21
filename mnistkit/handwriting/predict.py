"""Read one digit in a photo, a scan or a drawing."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import pandas as pd
from torch import Tensor, nn

from mnistkit.data import normalize
from mnistkit.handwriting.photo import find_digit
from mnistkit.prediction import make_predictions


@dataclass(frozen=True)
class ImagePrediction:
    """What a model makes of one picture.

    probabilities: float32, one a class; they sum to 1.
    picture: float32, 28 x 28, 0 (paper) to 1 (ink): what the model saw.
    least_probability: what the most probable class must reach for the picture to be a digit
        that the model knows; 0 for a model that takes anything for a digit.
    """

    probabilities: Tensor
    picture: Tensor
    least_probability: float = 0.0

    @property
    def label(self) -> int:
        """The most probable class."""
        return int(self.probabilities.argmax())

    @property
    def known(self) -> bool:
        """Whether the model takes the picture for a digit."""
        return float(self.probabilities.max()) >= self.least_probability

    @property
    def certain(self) -> bool:
        """Whether the most probable class is more probable than all others together."""
        return float(self.probabilities.max()) > 0.5

    def __repr__(self) -> str:
        """One line, as `str` gives it."""
        return f"<ImagePrediction: {self}>"

    def _repr_html_(self) -> str:
        """What the model saw, what it says, and its three most probable classes."""
        from mnistkit.utils.figures import image_tag  # slow to import

        picture = image_tag(
            (255 * (1 - self.picture)).round().byte().numpy(), "What the model saw.", scale=4
        )
        best = self.probabilities.topk(3)
        shares = pd.Series(best.values.tolist(), best.indices.tolist(), name="probability")
        table = shares.to_frame().to_html(float_format="{:.1%}".format, border=0)
        return f"{picture}<br>{escape(str(self))}{table}"

    def __str__(self) -> str:
        """One line: the class and how probable it is, or that it is none."""
        share = f"{float(self.probabilities[self.label]):.1%}"
        if not self.known:
            return f"no digit that I know; nearest to a {self.label} ({share})"
        return (
            f"{self.label} ({share})" if self.certain else f"unsure, perhaps {self.label} ({share})"
        )


def predict_image(
    model: nn.Module, source, *, normalized: bool = False, white_paper: bool = False
) -> ImagePrediction:
    """Read a photo or a scan of one digit and say which it is.

    Args:
        model: as in `make_predictions`; takes 28 x 28 pixels. `load_reader` has one that also
            says what is no digit, by its attribute `least_probability`.
        source: a file, a Pillow image or an array; see `photo.find_digit`.
        normalized: whether the model was trained on normalised images.
        white_paper: see `photo.find_digit`.

    Raises PictureError for a file that is no picture, and for a picture that does not show
    one digit: blank, several shapes, noise.
    """
    picture = find_digit(source, white_paper=white_paper)
    inputs = normalize(picture) if normalized else picture
    least = getattr(model, "least_probability", 0.0)
    return ImagePrediction(make_predictions(model, [inputs])[0], picture, least)
