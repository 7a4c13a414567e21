"""The checks as they came, inside a learner's notebook: sealed first, asked after each answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping

from mnistkit.exercises import find
from mnistkit.exercises.exercise import EXERCISES, Exercise

ERROR = "error"  # the state of an answer that could not be judged
LONGEST = 400  # characters of what is said

_sealed: list[tuple[str, Mapping, dict]] = []


def seal() -> None:
    """Remember what the checks are made of, before a learner's first cell runs."""
    find("1.1")  # loads all
    _sealed[:] = [(name, live, dict(live)) for name, live in _parts()]


def judge(number: str, answers: Callable[[], tuple]) -> str:
    """Judge an answer with the check itself, whatever `exercises.check` now is.

    answers: gives what the check takes: the answer, and what comes along.
    Returns JSON: the state and what is said, one line. The state is `ERROR` where the answers
    raise, or where something of the checks is no longer what it was.
    """
    try:
        found = find(number).outcome(*answers())
    except BaseException as error:  # sys.exit in a learner's function is one, too
        found = (ERROR, f"{type(error).__name__}: {error}")
    changed = changed_part()
    if changed:
        found = (ERROR, f"the notebook changes the checks: {changed} is not the library's")
    return json.dumps([found[0], one_line(found[1])])


def changed_part() -> str:
    """Name something of the checks that is not what it was when sealed; empty if all is."""
    for name, live, then in _sealed:
        for key, value in then.items():
            if live.get(key) is not value:
                return f"{name}.{key}"
    return ""


def one_line(text: object, longest: int = LONGEST) -> str:
    """Fit words into a cell of a table: no line breaks, nothing that steers a terminal."""
    start = str(text)[: 10 * longest]  # megabytes are not split into words
    words = " ".join("".join(c if c.isprintable() else " " for c in start).split())
    return words if len(words) <= longest else f"{words[: longest - 1]}…"


def _parts() -> Iterator[tuple[str, Mapping]]:
    for name, module in list(sys.modules.items()):
        if name == "mnistkit.exercises" or name.startswith("mnistkit.exercises."):
            yield name, vars(module)
    yield "Exercise", vars(Exercise)
    yield "EXERCISES", EXERCISES
