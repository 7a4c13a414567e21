"""The check itself judges, whatever the notebook made of it; what it changed is named."""

from __future__ import annotations

import json
import sys

import pytest

from mnistkit import exercises
from mnistkit.exercises import exercise, n01_data, sealed
from mnistkit.exercises.exercise import EXERCISES, Exercise, Outcome


@pytest.fixture(autouse=True)
def _sealed():
    sealed.seal()
    yield
    sealed.seal()


def judged(*answer, number="1.2"):
    return tuple(json.loads(sealed.judge(number, lambda: answer)))


def test_an_answer_has_its_state_and_the_words_of_the_check():
    assert judged((-1.0, 1.0))[0] == "right"
    state, said = judged((0.0, 1.0))
    assert state == "not yet"
    assert "before normalising" in said
    assert "exercises.hint" not in said
    assert judged(...) == (
        "open", "hand in two numbers, (paper, ink)"
    )  # fmt: skip


def test_what_comes_along_arrives():
    state, said = judged("nobody", "no table", number="3.3")
    assert state == "not yet"
    assert "and after it `runs`" in said


def leave():
    sys.exit("bye")


@pytest.mark.parametrize(
    ("answers", "said"), [(lambda: (undefined,), "NameError: name 'undefined'"),  # noqa: F821
                          (lambda: (leave(),), "SystemExit: bye")],
)  # fmt: skip
def test_answers_that_raise_are_an_error(answers, said):
    state, words = json.loads(sealed.judge("1.2", answers))
    assert state == "error"
    assert words.startswith(said)


def always_right(*_):
    return Outcome("right", "well done")


CHANGES = {
    "mnistkit.exercises.check": lambda patch: patch.setattr(exercises, "check", print),
    "mnistkit.exercises.sealed.find": lambda patch: patch.setattr(sealed, "find", print),
    "mnistkit.exercises.n01_data.wrong_if": lambda patch: patch.setattr(
        n01_data, "wrong_if", always_right
    ),
    "mnistkit.exercises.exercise.number": lambda patch: patch.delattr(exercise, "number"),
    "Exercise.outcome": lambda patch: patch.setattr(Exercise, "outcome", always_right),
    "EXERCISES.1.2": lambda patch: patch.setitem(EXERCISES, "1.2", EXERCISES["1.3"]),
}


@pytest.mark.parametrize("part", CHANGES)
def test_what_of_the_checks_is_changed_is_named_and_nothing_is_right(part, monkeypatch):
    CHANGES[part](monkeypatch)
    state, said = judged((0.0, 1.0))
    assert state == "error"
    assert part in said
    monkeypatch.undo()
    assert judged((-1.0, 1.0))[0] == "right"


def test_what_is_said_fits_a_cell():
    assert sealed.one_line("a\n\tb\x1b[31m c\u202e") == "a b [31m c"
    assert sealed.one_line("x" * 10**7, longest=5) == "xxxx…"
    assert sealed.one_line("12345", longest=5) == "12345"
