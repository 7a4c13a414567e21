"""The reader in a web page: drawn on, and answered, without a server and without a network."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from mnistkit.handwriting.reader import load_reader
from mnistkit.models import CompactCNN

_HERE = Path(__file__).parent


def network_for_page(model: nn.Module) -> dict | None:
    """What `reader.js` needs of a CompactCNN: weights as base64 of float32, layer by layer.

    Batch norm is a factor and a number to add for each channel, after the pooling. least: the
    model's `least_probability`, or 0. None for any other model, which the script cannot be.
    """
    if type(model) is not CompactCNN:
        return None
    layers: list[dict] = []
    for layer in model.features:
        if isinstance(layer, nn.Conv2d):
            layers.append({"inputs": layer.in_channels, "channels": layer.out_channels,
                           "pooled": False, "weight": _encode(layer.weight)})  # fmt: skip
        elif isinstance(layer, nn.MaxPool2d):
            layers[-1]["pooled"] = True
        elif isinstance(layer, nn.BatchNorm2d):
            scale = layer.weight / (layer.running_var + layer.eps).sqrt()
            shift = layer.bias - layer.running_mean * scale
            layers[-1] |= {"scale": _encode(scale), "shift": _encode(shift)}
    last = model.classifier[-1]
    return {
        "layers": layers,
        "last": {"weight": _encode(last.weight), "bias": _encode(last.bias)},
        "least": getattr(model, "least_probability", 0.0),
    }


def script_of_reader() -> str:
    """Return the script that defines `reader`, with the published network inside."""
    code = (_HERE / "reader.js").read_text(encoding="utf-8")
    return f"{code}\nconst reader = makeReader({json.dumps(network_for_page(load_reader()))});\n"


def drawing_page() -> str:
    """Return what the page "Draw a digit" holds between its header and its footer: HTML."""
    page = (_HERE / "page.html").read_text(encoding="utf-8")
    style = (_HERE / "draw.css").read_text(encoding="utf-8")
    widget, glue = ((_HERE / name).read_text(encoding="utf-8") for name in ("draw.js", "page.js"))
    script = f"{script_of_reader()}\n{widget}\n{glue}"
    return page.replace("/* style */", style).replace("/* script */", script)


def drawing_inset() -> str:
    """Return the same for the middle of another page, under a heading of that."""
    _, _, rest = drawing_page().partition("<style>")  # without its title and welcome
    rest = rest.replace("<h2>", "<h3>").replace("</h2>", "</h3>")
    return (
        "<p>In this page no Python runs, but you can draw all the same: the reader answers, the "
        f"network that comes with mnistkit.</p>\n<style>{rest}"
    )


def _encode(values: Tensor) -> str:
    numbers = values.detach().cpu().numpy().astype("<f4")
    return base64.b64encode(np.ascontiguousarray(numbers).tobytes()).decode()
