"""The bar is seen where somebody watches, and leaves nothing behind."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from mnistkit.utils import progress
from mnistkit.utils.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def streams(monkeypatch):
    """Standard output and standard error, each a terminal."""
    monkeypatch.delenv("TQDM_DISABLE")
    out, err = Terminal(), Terminal()
    seen = SimpleNamespace(stdout=out, stderr=err, modules={})
    monkeypatch.setattr(progress, "sys", seen)  # pytest puts streams of its own into the real one
    return out, err


def draw(**options: object) -> None:
    """A bar of four steps."""
    with progress_bar(4, "training", "run", **options) as bar:
        for _ in range(options.get("done", 0), 4):
            bar.update()
            bar.refresh()


def said(stream: Terminal) -> str:
    return stream.getvalue()


def test_in_a_terminal_it_is_on_standard_error_and_wiped_away(streams):
    draw()
    out, err = map(said, streams)
    assert out == ""
    assert "training:  50%" in err
    assert "2/4" in err
    assert "\n" not in err
    *_, last, end = err.split("\r")
    assert (last.strip(), end) == ("", ""), "blanks are left over what stood there"


def test_what_goes_into_a_file_has_none(streams, monkeypatch):
    monkeypatch.setattr(progress.sys, "stderr", file := io.StringIO())
    draw()
    assert file.getvalue() == said(streams[0]) == ""


def test_in_a_page_it_is_on_standard_output(streams, monkeypatch):
    monkeypatch.setattr(progress, "in_a_page", lambda: True)
    draw()
    out, err = map(said, streams)
    assert "2/4" in out
    assert err == ""


def test_what_was_there_before_counts_as_done(streams):
    draw(done=3)
    assert "3/4" in said(streams[1])
    assert "0/4" not in said(streams[1])


def test_a_bar_that_is_not_to_be_shown_writes_nothing(streams):
    draw(shown=False)
    assert [*map(said, streams)] == ["", ""]


@pytest.mark.parametrize(("value", "hidden"), [("1", True), ("0", False), ("", False)])
def test_the_environment_may_say_so_after_tqdm_was_imported(value, hidden, streams, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", value)
    with progress_bar(1, "training", "run") as bar:
        assert bar.disable is hidden
