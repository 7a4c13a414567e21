"""What a notebook shows: whether somebody looks at it, and words that wrap in it."""

from __future__ import annotations

import re
import sys
from html import escape

import pandas as pd


def in_a_page() -> bool:
    """Whether a page that can show bars and widgets sent the cell that is running.

    JupyterLab, Notebook and VS Code send the id of the cell along; papermill, nbconvert,
    nbval and consoles do not. The request is asked, not the environment: that is inherited,
    also by a papermill that was started from a notebook.
    """
    request = getattr(_shell(), "get_parent", dict)()
    return "cellId" in request.get("metadata", {})


def somebody_types() -> bool:
    """Whether a person sees what a call returns: in a notebook, or at a prompt of Python."""
    return _shell() is not None or hasattr(sys, "ps1")


def stop_here() -> None:
    """In a notebook, let the cells that wait behind this one wait on: somebody pressed Stop.

    The cell goes on to its end and keeps what it has. Its reply then says that it was
    interrupted, and the kernel gives up what was queued, as after an error.
    """
    events = getattr(_shell(), "events", None)
    if events is None:
        return

    def fail(result) -> None:
        events.unregister("post_run_cell", fail)
        if result is not None and result.error_in_exec is None:
            result.error_in_exec = KeyboardInterrupt("a training was stopped in this cell")

    events.register("post_run_cell", fail)


class StoppedError(KeyboardInterrupt):
    """Somebody pressed Stop or Ctrl-C, and nothing is there to be returned.

    It says in a line what became of the work; a notebook shows that line alone.
    """

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def say(text: str, **forms: str) -> None:
    """Print text; in a notebook show another form of it, and keep the text beside it.

    What is printed in a notebook breaks in the middle of words, and is no table.
    forms: html, markdown.
    """
    if _shell() is None:
        print(text)
    else:
        from IPython.display import display

        shown = {f"text/{form}": content for form, content in forms.items()}
        display({"text/plain": text, **shown}, raw=True)


def paragraph(text: str, strong: str = "") -> str:
    """Words as HTML: `code` between backticks; those at the start that are `strong` in bold."""
    rest = escape(text.removeprefix(strong), quote=False)
    with_code = re.sub("`([^`]+)`", r"<code>\1</code>", rest)
    return f"<p><b>{escape(strong, quote=False)}</b>{with_code}</p>"


def table_of_words(table: pd.DataFrame) -> str:
    """A table as HTML without its index, its cells at the left, where words begin."""
    html = table.to_html(index=False, border=0, justify="left")
    return html.replace("<td>", '<td style="text-align: left;">')


def _shell() -> object:
    """The IPython that runs this; None in a plain Python."""
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython

    return get_ipython()
