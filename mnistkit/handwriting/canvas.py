"""The widget to draw a digit on; needs anywidget, which `mnistkit[draw]` brings.

The page sends strokes, this side answers: what the network saw and how probable each class
is. `draw.js` and `draw.css` are the page's side. A CompactCNN, as the reader is one, answers in
the page as well (`reader.js`), at once and also while Python is busy.
"""

from __future__ import annotations

import copy
import uuid
from html import escape
from pathlib import Path

import anywidget
import traitlets
from IPython.display import DisplayHandle, display
from torch import nn

from mnistkit.errors import PictureError
from mnistkit.handwriting.page import network_for_page
from mnistkit.handwriting.predict import ImagePrediction, predict_image
from mnistkit.handwriting.strokes import PEN, Stroke, draw_strokes, read_pen, read_strokes

_HERE = Path(__file__).parent
_LONGEST = 200  # letters of an error that the page has room for
INVITATION = "Nothing is drawn yet: write a digit from 0 to 9."
# Where a notebook is opened again, JupyterLab has "model not found" in the place of a widget: its
# words, in an element without others in it, are left out.
_STILL = """\
<div id="{id}">
<style>.jp-OutputArea-child:has(#{id}) + .jp-OutputArea-child .jupyter-widgets:not(:has(*))
{{ display: none; }}</style>
<svg viewBox="0 0 1000 1000" width="160" height="160" role="img" aria-label="What was drawn"
style="border: 1px solid #8888"><g fill="none" stroke="currentColor" stroke-width="{pen}"
stroke-linecap="round" stroke-linejoin="round">{paths}</g></svg>
<p>{words} This is a still picture; run the cell to draw.</p>
</div>"""


class DigitCanvas(anywidget.AnyWidget):
    """A canvas, the picture that the network sees, and a bar for each class.

    A copy of the model answers, as the model is now: JupyterLab may call this widget in a
    thread of its own, while a cell goes on to train the original.

    Args:
        model, normalized: as in `predict.predict_image`.

    prediction: an ImagePrediction of what is drawn, or None if no digit is.
    strokes: what is drawn, as lists of points in thousandths of the side.
    error: what went wrong in the last answer, or None; a drawing that shows no digit is no
        error.
    """

    _esm = "\n".join((_HERE / name).read_text("utf-8") for name in ("reader.js", "draw.js"))
    _css = _HERE / "draw.css"

    # From the page: {"number": of this state, "pen": its width, "strokes": all of them}. Any,
    # since a wrong type must get an answer, too, and no echo, since the page knows what it sent.
    drawing = traitlets.Any().tag(sync=True, echo_update=False)
    # To the page: what answers there, or None where only Python can; see `network_for_page`.
    network = traitlets.Dict(default_value=None, allow_none=True).tag(sync=True)
    # To the page: {"number": of the state it is about, "kind", "words", "probabilities",
    # "picture": 784 shades of ink, 0-255}.
    answer = traitlets.Dict().tag(sync=True)
    # The id of the still picture of this canvas, which the page hides while the canvas lives.
    still = traitlets.Unicode().tag(sync=True)

    def __init__(self, model: nn.Module, *, normalized: bool = False):
        self._network = copy.deepcopy(model).eval()
        self._normalized = normalized
        network = None if normalized else network_for_page(self._network)
        self._stills: list[DisplayHandle] = []
        self._pen = PEN
        still = f"mnistkit-still-{uuid.uuid4().hex[:12]}"
        drawing = {"number": 0, "pen": PEN, "strokes": []}
        super().__init__(drawing=drawing, network=network, still=still)

    @traitlets.observe("drawing")
    def _reply(self, change) -> None:
        drawing = change["new"] if isinstance(change["new"], dict) else {}
        strokes: list[Stroke] = []
        pen = PEN
        prediction: ImagePrediction | None = None
        failure: Exception | None = None
        try:
            strokes = read_strokes(drawing.get("strokes"))
            pen = read_pen(drawing.get("pen"))
            prediction = self._predict(strokes, pen) if strokes else None
            answer = _answer(prediction)
        except PictureError as refusal:
            answer = _words("refusal", str(refusal))
        except Exception as error:  # whatever a model may raise: the page must hear of it
            failure = error
            answer = _words("error", f"{type(error).__name__}: {error}")
        self.strokes, self.prediction, self.error = strokes, prediction, failure
        self._pen = pen
        number = drawing.get("number")
        self.answer = answer | {"number": number if type(number) is int else -1}
        for shown in self._stills:
            shown.update(self._as_still(), raw=True)

    def _predict(self, strokes: list[Stroke], pen: int) -> ImagePrediction:
        picture = draw_strokes(strokes, pen=pen)
        return predict_image(self._network, picture, normalized=self._normalized, white_paper=True)

    def _ipython_display_(self) -> None:
        """Show the canvas, and before it what is left of it when its kernel is gone."""
        self._stills.append(display(self._as_still(), raw=True, display_id=True))
        display(*self._repr_mimebundle_(), raw=True)

    def _as_still(self) -> dict[str, str]:
        """Build the still picture: what is drawn, what was answered, how to draw again."""
        words = self.answer.get("words", "")
        html = _STILL.format(
            id=self.still,
            paths=_paths(self.strokes),
            pen=self._pen,
            words=escape(words, quote=False),
        )
        return {"text/html": html, "text/plain": f"A drawing. {words}"}

    def __repr__(self) -> str:
        """Words for a page that cannot show widgets: anywidget puts them in its place."""
        return "A canvas to draw a digit on: run this cell in JupyterLab to see it."


def _paths(strokes: list[Stroke]) -> str:
    """Draw strokes as paths of SVG; a single point, too, is ink."""
    lines = (" L ".join(f"{x:.0f} {y:.0f}" for x, y in [*stroke, stroke[-1]]) for stroke in strokes)
    return "".join(f'<path d="M {line}"/>' for line in lines)


def _answer(prediction: ImagePrediction | None) -> dict:
    """Describe a prediction, or that nothing is drawn, for the page."""
    if prediction is None:
        return _words("empty", INVITATION)
    shades = (255 * prediction.picture).round().int().flatten().tolist()
    shares = [round(share, 4) for share in prediction.probabilities.tolist()]
    return _words("answer", str(prediction)) | {"picture": shades, "probabilities": shares}


def _words(kind: str, words: str) -> dict:
    """Build an answer of words alone; kind: "empty", "answer", "refusal" or "error"."""
    first = (words.splitlines() or [""])[0][:_LONGEST]
    return {"kind": kind, "words": first, "picture": [], "probabilities": []}
