"""Calls for the tests of `parallel`, in a module that a new process imports at once."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil


def add(shared: int, number: int) -> int:
    return shared + number


def fail(_shared: object, number: int) -> None:
    raise ValueError(f"no. {number} cannot be done")


def die(_shared: object, number: int) -> int:
    if number == 2:
        psutil.Process().kill()
    return number


def say_process(_shared: object, _number: int) -> int:
    time.sleep(0.05)
    return os.getpid()


class Noted:
    """Data that notes in a folder each time that a process unpacks it."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self):
        return unpack, (self.folder,)


def unpack(folder: Path) -> Noted:
    (folder / f"{os.getpid()} {time.monotonic_ns()}").touch()
    return Noted(folder)
