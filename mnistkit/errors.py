"""Errors that name the thing, what was found, and what to do about it."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class MnistkitError(Exception):
    """Base of every error that mnistkit raises on purpose.

    Args:
        what: one sentence: the thing, what was found, what was expected.
        where: the file or folder concerned, if any.
        do: what the reader can do now.
    """

    def __init__(self, what: str, *, where: object = None, do: str | None = None):
        lines = [what]
        if where is not None:
            lines.append(f"  in   {os.getcwd() if str(where) == '.' else where}")
        if do is not None:
            lines.append(f"  do   {do}")
        super().__init__("\n".join(lines))


class DataError(MnistkitError):
    """Digits on disk are damaged, missing or not what their name says."""


class DownloadError(DataError):
    """Digits or weights could not be downloaded."""


class WeightsError(MnistkitError):
    """Pretrained weights are damaged or belong to another architecture."""


class StorageError(MnistkitError):
    """A file or a folder cannot be written."""


class CheckpointError(MnistkitError):
    """A saved model cannot be loaded, or not safely."""


class PictureError(MnistkitError):
    """A picture cannot be read, or does not show one digit."""


class TrainingError(MnistkitError):
    """Training cannot go on: the loss is no longer a number."""


class ResultError(MnistkitError):
    """A stored run is damaged, missing, or not of the recipe or data that it should be."""


class SweepError(MnistkitError):
    """A sweep's file cannot be read, or does not say what to run."""


class WorkerError(MnistkitError):
    """What should compute is not there, not fit for it, or died."""


class NotebookError(MnistkitError):
    """A notebook or one of its parameters is unknown or of the wrong type."""


class MissingPackageError(MnistkitError, ImportError):
    """An optional package is needed and not installed."""


class UnknownNameError(MnistkitError, ValueError):
    """A name that is in none of the lists; the nearest right one is suggested."""


@contextmanager
def needs_package(purpose: str, extra: str) -> Iterator[None]:
    """Say what a package is needed for, and how it comes, where its import fails."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"{purpose} needs {error.name}, which is not installed",
            do=f"pip install 'mnistkit[{extra}]'",
        ) from error


def unknown_name(kind: str, name: object, known: Iterable[str]) -> UnknownNameError:
    """Build the error for `name`, a `kind` of thing that is not among `known`."""
    known = sorted(known)
    return UnknownNameError(
        f"unknown {kind} {name!r}{suggestion(str(name), known)}",
        do=f"choose one of: {', '.join(known)}",
    )


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean ...?" with the nearest of `known`, or an empty string."""
    lowered = {k.lower(): k for k in known}
    near = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.5)
    return f"; did you mean {lowered[near[0]]!r}?" if near else ""
