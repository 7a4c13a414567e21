"""What processes hold is seen while a block runs, and only those that it started count."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from mnistkit.notebooks import execute as notebooks
from mnistkit.notebooks.memory import PeakMemory
from tests.notebooks.series import write_notebook

HANGS = 600  # seconds: what takes longer never ends, however slow the machine


@contextmanager
def holding(size: int) -> Iterator[None]:
    """A process that holds so many bytes, from before the block begins to its end."""
    code = f"held = b'x' * {size}; print('held', flush=True); input()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield
        process.communicate(b"\n")


def wait_for(peak: PeakMemory, size: float) -> None:
    started = time.monotonic()
    while peak.bytes < size and time.monotonic() - started < HANGS:
        time.sleep(0.05)


def test_the_memory_of_a_notebook_is_measured(series):
    hold = "import time; held = b'x' * 300_000_000; time.sleep(1)"
    write_notebook(series / "notebooks" / "03_big.ipynb", hold)
    small, big = (
        notebooks.execute(series / "notebooks" / name, {}, series / "out", progress=False).memory
        for name in ("01_data.ipynb", "03_big.ipynb")
    )
    assert small > 30e6
    assert 300e6 < big < 900e6


def test_what_processes_hold_at_once_is_summed():
    with PeakMemory() as peak, holding(100_000_000), holding(150_000_000):
        wait_for(peak, 250e6)
    assert 250e6 < peak.bytes < 400e6


def test_a_process_that_ran_before_does_not_count():
    with holding(300_000_000), PeakMemory() as peak, holding(50_000_000):
        wait_for(peak, 50e6)
    assert 50e6 < peak.bytes < 300e6
