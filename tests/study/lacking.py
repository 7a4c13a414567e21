"""Runs of a study that lack one."""

from __future__ import annotations

from mnistkit.study.table import Runs


def without(runs: Runs, name: str, seed: int) -> Runs:
    frame = runs.frame
    return Runs(frame[(frame["name"] != name) | (frame["seed"] != seed)])
