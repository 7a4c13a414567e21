"""The page "Move the window": a convolution to do by hand, in the page itself."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from mnistkit.data import load_digits

_HERE = Path(__file__).parent


def convolution_page() -> str:
    """Return what the page holds between its header and its footer: HTML."""
    page, script = (
        (_HERE / f"convolve.{kind}").read_text(encoding="utf-8") for kind in ("html", "js")
    )
    digits = f"const DIGITS = {json.dumps(_one_of_each())};"
    return page.replace("/* script */", f"{digits}\n{script}")


def _one_of_each() -> dict[str, str]:
    """The first digit of each class in the sample, as base64 of its 784 bytes; a 7 first."""
    test = load_digits("sample").test
    order = [7, *(digit for digit in range(10) if digit != 7)]
    first = {str(digit): test.images[test.labels == digit][0] for digit in order}
    return {
        f"a {digit}": base64.b64encode(image.numpy().tobytes()).decode()
        for digit, image in first.items()
    }
