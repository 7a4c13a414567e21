"""Draw a digit and watch a model read it; where no page can show that, an example of it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from mnistkit.errors import MissingPackageError, unknown_name
from mnistkit.handwriting.predict import ImagePrediction, predict_image
from mnistkit.handwriting.reader import load_reader
from mnistkit.handwriting.strokes import EXAMPLE, draw_strokes
from mnistkit.pictures import plot_image
from mnistkit.utils.figures import describe, in_style, new_axes, show_figure
from mnistkit.utils.page import in_a_page

if TYPE_CHECKING:
    from mnistkit.handwriting.canvas import DigitCanvas

INSTALL = "pip install 'mnistkit[draw]'"
_FINE = 400  # pixels a side of a drawing in a figure


def draw_digit(
    model: nn.Module | None = None,
    *,
    normalized: bool = False,
    interactive: bool | str = "auto",
) -> DigitCanvas | None:
    """Show a canvas to draw a digit on, and what the model makes of it while you draw.

    Args:
        model, normalized: as in `predict.predict_image`; without a model, the reader that
            comes with mnistkit. A copy of the model answers, so call again after more training.
        interactive: True for the canvas, False for a figure of a digit drawn beforehand;
            "auto" for the canvas where a page that can show it runs this cell and anywidget
            is installed, else for the figure and a line on how to get the canvas.

    Returns the canvas, which a notebook shows if the call ends its cell; its `prediction` is
    what the model says of the drawing. For the figure, which is shown at once, None.

    Raises UnknownNameError (a ValueError) for another value of `interactive`,
    MissingPackageError for True without anywidget, and whatever a model raises that does not
    take 28 x 28 pixels.
    """
    if not isinstance(interactive, bool) and interactive != "auto":
        raise unknown_name("value of interactive", interactive, ["auto", "True", "False"])
    model = load_reader() if model is None else model
    prediction = predict_image(
        model, draw_strokes(EXAMPLE), normalized=normalized, white_paper=True
    )
    if interactive is True or (interactive == "auto" and _has_anywidget() and in_a_page()):
        return _canvas(model, normalized)
    show_figure(plot_drawing(draw_strokes(EXAMPLE, side=_FINE), prediction))
    if interactive == "auto":
        print(f"To draw digits yourself: {INSTALL}, then run this cell in JupyterLab.")
    return None


def _canvas(model: nn.Module, normalized: bool) -> DigitCanvas:
    if not _has_anywidget():
        raise MissingPackageError("drawing needs the package anywidget", do=INSTALL)
    from mnistkit.handwriting.canvas import DigitCanvas

    return DigitCanvas(model, normalized=normalized)


def _has_anywidget() -> bool:
    return find_spec("anywidget") is not None


# --- the figure -----------------------------------------------------------------------


def plot_drawing(drawing: np.ndarray, prediction: ImagePrediction) -> Figure:
    """Draw side by side a drawing, what the network saw of it, and how it reads it.

    drawing: uint8, H x W, dark ink on white.
    """
    with in_style():
        figure, (drawn, seen, said) = plt.subplots(
            1, 3, figsize=(7.2, 2.8), width_ratios=(1, 1, 1.5), layout="constrained"
        )
        _plot_framed(255 - drawing, "what is drawn", drawn)
        describe(drawn, "A digit drawn with a thick pen.")
        _plot_framed(prediction.picture, "what the network sees", seen)
        describe(seen, "What the network sees of it: cut out, centred, 28 x 28 pixels.")
        plot_probabilities(prediction.probabilities, title=f"It reads {prediction}", ax=said)
    return figure


def _plot_framed(image, title: str, ax: Axes) -> None:
    """Draw an image with the edge of its paper: where the digit stands is to be seen."""
    plot_image(image, title, ax=ax)
    ax.set(xticks=[], yticks=[])
    ax.set_axis_on()
    ax.spines[:].set(visible=True, color="#bdbdbd")


def plot_probabilities(probabilities, *, title: str = "", ax: Axes | None = None) -> Axes:
    """Draw a bar for each class, and write the share beside those of 1 % or more."""
    ax = new_axes(ax, (4, 3))
    shares = 100 * np.asarray(probabilities, dtype=float)
    best = int(shares.argmax())
    colors = ["#0072B2" if place == best else "#56B4E9" for place in range(len(shares))]
    ax.barh(range(len(shares)), shares, color=colors)
    for place, share in enumerate(shares):
        if share >= 1:
            ax.annotate(f"{share:.0f} %", (share, place), (4, 0), textcoords="offset points",
                        va="center", fontsize=10)  # fmt: skip
    ax.set(yticks=range(len(shares)), xlabel="probability in %", title=title, xlim=(0, 115))
    ax.set_xticks((0, 50, 100))
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    order = np.argsort(-shares, kind="stable")[:3]
    words = ", ".join(f"{place} with {shares[place]:.1f} %" for place in order)
    return describe(ax, f"{title or 'Probabilities'}; most probable {words}.")
