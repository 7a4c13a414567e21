"""The one progress bar of the library."""

from __future__ import annotations

import os
import sys

from tqdm import tqdm


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


def in_a_page() -> bool:
    """Whether a page that can show bars and widgets sent the cell that is running.

    JupyterLab, Notebook and VS Code send the id of the cell along; papermill, nbconvert,
    nbval and consoles do not. The request is asked, not the environment: that is inherited,
    also by a papermill that was started from a notebook.
    """
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    request = getattr(get_ipython(), "get_parent", dict)()
    return "cellId" in request.get("metadata", {})
