"""The widget to draw a digit on; needs anywidget, which `mnistkit[draw]` brings.

The page sends strokes, this side answers: what the network saw and how probable each class
is. `draw.js` and `draw.css` are the page's side. A CompactCNN, as the reader is one, answers in
the page as well (`reader.js`), at once and also while Python is busy.
"""

from __future__ import annotations

import copy
from pathlib import Path

import anywidget
import traitlets
from torch import nn

from mnistkit.errors import PictureError
from mnistkit.handwriting.page import network_for_page
from mnistkit.handwriting.predict import ImagePrediction, predict_image
from mnistkit.handwriting.strokes import PEN, Stroke, draw_strokes, read_pen, read_strokes

_HERE = Path(__file__).parent
_LONGEST = 200  # letters of an error that the page has room for
INVITATION = "Nothing is drawn yet: write a digit from 0 to 9."


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

    def __init__(self, model: nn.Module, *, normalized: bool = False):
        self._network = copy.deepcopy(model).eval()
        self._normalized = normalized
        network = None if normalized else network_for_page(self._network)
        super().__init__(drawing={"number": 0, "pen": PEN, "strokes": []}, network=network)

    @traitlets.observe("drawing")
    def _reply(self, change) -> None:
        drawing = change["new"] if isinstance(change["new"], dict) else {}
        strokes: list[Stroke] = []
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
        number = drawing.get("number")
        self.answer = answer | {"number": number if type(number) is int else -1}

    def _predict(self, strokes: list[Stroke], pen: int) -> ImagePrediction:
        picture = draw_strokes(strokes, pen=pen)
        return predict_image(self._network, picture, normalized=self._normalized, white_paper=True)

    def __repr__(self) -> str:
        """Words for a page that cannot show widgets: anywidget puts them in its place."""
        return "A canvas to draw a digit on: run this cell in JupyterLab to see it."


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
