"""The bar is seen on standard output where it is wanted, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mnistkit.utils.progress import progress_bar

RUN = """
from mnistkit.utils.progress import progress_bar

options = {options}
with progress_bar(4, "training", "run", **options) as bar:
    for _ in range(options.get("done", 0), 4):
        bar.update()
        bar.refresh()
"""


def outputs(environment: dict[str, str] | None = None, **options: object) -> tuple[str, str]:
    """What a process with a bar of four steps writes: to standard output, and to the other."""
    usual = {name: value for name, value in os.environ.items() if name != "TQDM_DISABLE"}
    code, environment = RUN.format(options=options), usual | (environment or {})
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, check=True
    )
    return result.stdout.decode(), result.stderr.decode()


def test_a_bar_is_written_to_standard_output_and_wiped_away():
    said, other = outputs()
    assert other == ""
    assert "training:  50%" in said
    assert "2/4" in said
    assert "\n" not in said
    *_, last, end = said.split("\r")
    assert (last.strip(), end) == ("", ""), "blanks are left over what stood there"


def test_what_was_there_before_counts_as_done():
    said, _ = outputs(done=3)
    assert "3/4" in said
    assert "0/4" not in said


def test_a_bar_that_is_not_to_be_shown_writes_nothing():
    assert outputs(shown=False) == ("", "")


def test_the_environment_hides_a_bar_that_is_to_be_shown():
    assert outputs({"TQDM_DISABLE": "1"}, shown=True) == ("", "")


@pytest.mark.parametrize(("value", "hidden"), [("1", True), ("0", False), ("", False)])
def test_the_environment_may_say_so_after_tqdm_was_imported(value, hidden, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", value)
    with progress_bar(1, "training", "run") as bar:
        assert bar.disable is hidden
