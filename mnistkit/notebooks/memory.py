"""How much memory the processes that this one started hold at most."""

from __future__ import annotations

import threading
from types import TracebackType

import psutil

_EVERY = 0.25  # seconds between looks


class PeakMemory:
    """Watch the processes that this one starts while a block runs, and theirs.

    bytes: the largest sum that was seen. Where the system tells (Linux), what several share
    counts once; elsewhere it counts for each. A peak shorter than a quarter of a second may
    be missed.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._older = set(psutil.Process().children(recursive=True))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        """Begin to watch."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        """Stop watching."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(_EVERY):
            mine = set(psutil.Process().children(recursive=True)) - self._older
            self.bytes = max(self.bytes, sum(_held(process) for process in mine))


def _held(process: psutil.Process) -> int:
    """Memory of a process in bytes: its share (PSS), or all that is resident."""
    try:
        # What else memory_full_info tells needs a privilege on a Mac.
        return process.memory_full_info().pss if psutil.LINUX else process.memory_info().rss
    except psutil.Error:  # it has ended since, or is another user's
        return 0
