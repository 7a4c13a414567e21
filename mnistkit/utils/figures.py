"""What all figures have in common: the style, words for those who cannot see them, showing.

Each plotting function draws plain arrays or frames into `ax` (or a new one), describes in
words what it drew, and returns the Axes. `alt_text` gives the words back, `show_figure` puts
figure and words into a notebook.
"""

from __future__ import annotations

import base64
import io
import os
from contextlib import AbstractContextManager
from html import escape
from pathlib import Path
from weakref import WeakKeyDictionary

import matplotlib.pyplot as plt
import numpy as np
import PIL.Image
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from PIL.PngImagePlugin import PngInfo

from mnistkit.errors import needs_package
from mnistkit.utils.storage import project_root, write_atomically
from mnistkit.utils.validation import in_short

_STYLE = Path(__file__).with_name("mnistkit.mplstyle")
_SHARP = 2  # pixels of the file for one on the page: what a phone and most laptops show
_WIDEST = 700  # pixels of the page
LEGIBLE = 7.0  # inches that a figure with its labels may be wide: on a phone of 390 pixels,
# letters of 12 points are then 8 pixels high
_words: WeakKeyDictionary[Axes, str] = WeakKeyDictionary()


def use_style() -> None:
    """Give matplotlib the look of the series until the end of the session."""
    plt.draw_if_interactive()
    plt.style.use(_STYLE)


def in_style() -> AbstractContextManager:
    """Give matplotlib the look of the series for the length of a `with` block."""
    plt.draw_if_interactive()  # loads the backend: in there a notebook's would forget to show plots
    return plt.style.context(_STYLE)


# --- words ------------------------------------------------------------------------------


def alt_text(figure: Axes | Figure) -> str:
    """Describe a figure of the library in words, for those who cannot see it."""
    if not isinstance(figure, Figure | Axes):
        raise ValueError(f"{in_short(figure)} is no figure: give what a function of mnistkit drew")
    axes = [figure] if isinstance(figure, Axes) else figure.axes
    return " ".join(_words[ax] for ax in axes if ax in _words)


def show_figure(ax: Axes | Figure, save_as: str | None = None) -> None:
    """Show a figure in the notebook with its alt text, and close it.

    It has twice the pixels that it takes on the page, 700 of them in width at most. Its paper
    stays white: black print on nothing could not be read on a dark page.

    save_as: a file name; the figure is also saved under that name, in the project's `figures/`
        or, where `mnistkit run` executes the notebook, in `figures/` beside what it writes.
    """
    with needs_package("showing a figure in a notebook", "lab"):
        from IPython.display import Image, Markdown, display

    if not isinstance(ax, Figure | Axes):
        raise ValueError(f"{in_short(ax)} is no figure: give what a function of mnistkit drew")
    if save_as and not save_as.lower().endswith(".png"):
        raise ValueError(f"save_as is {save_as!r}, expected a name that ends in .png")
    figure = ax if isinstance(ax, Figure) else ax.get_figure(root=True)
    words = alt_text(figure)
    buffer = io.BytesIO()
    with in_style():  # twice the pixels, on white
        figure.savefig(buffer, format="png", metadata={"Description": words})
    plt.close(figure)
    png = _with_palette(buffer.getvalue())
    if save_as:
        folder = Path(os.environ.get("MNISTKIT_FIGURES") or project_root() / "figures")
        with write_atomically(folder / save_as) as temporary:
            temporary.write_bytes(png)
    display(Image(png, format="png", alt=words, width=_width_on_page(png)))
    display(Markdown(f"*Figure: {words}*"))


def _width_on_page(png: bytes) -> int:
    return min(PIL.Image.open(io.BytesIO(png)).width // _SHARP, _WIDEST)


def _with_palette(png: bytes) -> bytes:
    """Write a PNG with 64 colours: a quarter of the size, and a chart needs no more."""
    picture = PIL.Image.open(io.BytesIO(png))
    kept = PngInfo()
    for name, value in picture.text.items():
        kept.add_text(name, value)
    small, buffer = picture.convert("RGB").quantize(64, dither=PIL.Image.Dither.NONE), io.BytesIO()
    small.save(buffer, format="png", optimize=True, pnginfo=kept, dpi=picture.info.get("dpi"))
    return buffer.getvalue()


def image_tag(pixels: np.ndarray, words: str, *, scale: int = 2) -> str:
    """Write an image into HTML, so many times as large, its pixels sharp.

    pixels: uint8, H x W, 0 black. words: what stands in its place for those who cannot see it.
    """
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, format="png")
    data = base64.b64encode(buffer.getvalue()).decode()
    height, width = pixels.shape
    return (
        f'<img src="data:image/png;base64,{data}" alt="{escape(words)}" width="{scale * width}" '
        f'height="{scale * height}" style="image-rendering: pixelated">'
    )


def new_axes(ax: Axes | None, size: tuple[float, float] | None = None) -> Axes:
    """Return `ax`, or new axes in the series' style; size in inches."""
    if ax is not None:
        return ax
    with in_style():
        return plt.figure(figsize=size).add_subplot()


def narrow(ax: Axes) -> None:
    """Make the figure of a chart so narrow that, with all labels, it is `LEGIBLE` wide.

    The labels keep their size, the chart gives way, and keeps two inches. The title stands in
    the middle of both.
    """
    figure = ax.get_figure(root=True)
    outer, inner = (box.width / figure.dpi for box in _boxes(ax))
    if outer > LEGIBLE:
        room = max(inner - (outer - LEGIBLE), 2.0)
        figure.set_figwidth(figure.get_figwidth() * room / inner)
    outer, inner = _boxes(ax)
    ax.title.set_x(((outer.x0 + outer.x1) / 2 - inner.x0) / inner.width)


def _boxes(ax: Axes) -> tuple[Bbox, Bbox]:
    """In pixels: of a chart with its labels, but without its title, and of the chart alone."""
    ax.title.set_visible(False)
    outer = ax.get_tightbbox()
    ax.title.set_visible(True)
    return outer, ax.get_window_extent()


def describe(ax: Axes, words: str) -> Axes:
    """Keep the words that `alt_text` gives back; returns the Axes."""
    _words[ax] = words
    return ax
