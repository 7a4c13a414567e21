"""The one progress bar of the library."""

from __future__ import annotations

import os
import sys

from tqdm import tqdm

from mnistkit.utils.page import in_a_page


def progress_bar(
    total: int, description: str, unit: str, *, done: int = 0, shown: bool = True
) -> tqdm:
    """Return a bar that goes away when done; TQDM_DISABLE=1 in the environment hides it.

    done: how much of the total was there before. It is left out of the estimate of the time
        that is left.

    It is drawn where somebody watches: in the page that runs the cell, on standard output,
    which JupyterLab does not paint as an error; or in a terminal, on standard error, so that
    what is written to a file has none.
    """
    # tqdm reads the variable once, when it is imported, which may be before it is set.
    hidden = not shown or os.environ.get("TQDM_DISABLE", "0") not in ("", "0")
    place = sys.stdout if in_a_page() else sys.stderr
    hidden = hidden or not (place is sys.stdout or place.isatty())
    return tqdm(total=total, initial=done, desc=description, unit=unit, leave=False,
                file=place, disable=hidden)  # fmt: skip
