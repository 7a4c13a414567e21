"""What is kept is compared word by word, and numbers with three digits."""

from __future__ import annotations

import pytest

from tests import kept


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "KEPT", tmp_path)
    monkeypatch.delenv("MNISTKIT_KEEP", raising=False)
    (tmp_path / "one.txt").write_text("a line at 1.234 2\ntwo\n")
    return tmp_path / "one.txt"


@pytest.mark.parametrize("text", ["a line at 1.234 2\ntwo", "a line at 1.235 2\ntwo"])
def test_what_is_alike_passes(file, text):
    kept.assert_as_kept("one", text)


@pytest.mark.parametrize(
    "text",
    [
        "a line at 1.24 2\ntwo",
        "a line at 1.234 2",
        "b line at 1.234 2\ntwo",
        "a line at 1.234 2\ntwo\nthree",
        "a line at 1.234\ntwo",
    ],
)
def test_what_differs_is_shown(file, text):
    with pytest.raises(AssertionError, match="MNISTKIT_KEEP=1 keeps it"):
        kept.assert_as_kept("one", text)
    assert file.read_text() == "a line at 1.234 2\ntwo\n"


def test_it_is_kept_anew_on_request(file, monkeypatch):
    monkeypatch.setenv("MNISTKIT_KEEP", "1")
    kept.assert_as_kept("one", "another")
    assert file.read_text() == "another\n"
