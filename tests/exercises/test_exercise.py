"""Whatever is handed in gets an answer; hints and solutions are there for who asks."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mnistkit import exercises
from mnistkit.errors import UnknownNameError
from mnistkit.exercises.exercise import EXERCISES
from mnistkit.experiments.recipe import Recipe
from tests.exercises.verdicts import NUMBERS, said


@pytest.mark.parametrize("number", NUMBERS)
def test_without_an_answer_it_is_open(number):
    text = said(number, ...)
    assert text == (f"{number} is open: hand in {EXERCISES[number].wants}; "
                    f'`exercises.hint("{number}")` helps.')  # fmt: skip


def test_a_number_may_be_given_without_quotes(capsys):
    exercises.hint(1.2)
    assert "then divide by the standard deviation" in capsys.readouterr().out


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just(object()),
    st.lists(st.floats(), max_size=3), st.dictionaries(st.text(max_size=3), st.none(), max_size=2),
    st.sampled_from([torch.zeros(0), torch.zeros(2, 2), np.arange(3), int, len, Recipe,
                     Recipe("V0"), lambda *_: torch.zeros(1), lambda *_: "text",
                     lambda *_: [None, ...]]),
)  # fmt: skip


@given(st.sampled_from(NUMBERS), ANYTHING)
def test_whatever_is_handed_in_gets_an_answer(number, answer):
    text = said(number, answer)
    assert re.match(rf"{re.escape(number)} (is open|not yet|right): ", text)
    assert "\n" not in text


def test_hints_and_solutions_are_printed(capsys):
    exercises.hint("1.2")
    exercises.solution("1.2")
    exercises.check("1.2", (0, 1))
    printed = capsys.readouterr().out
    assert "then divide by the standard deviation" in printed
    assert "normalize(torch.tensor([0.0, 1.0]), 0.5, 0.5)" in printed
    assert "1.2 not yet: that is what they are before normalising" in printed


@pytest.mark.parametrize(
    ("number", "nearest"),
    [("1.6", "notebook 1 has 1.1 to 1.5"), ("1.9", "notebook 1 has 1.1 to 1.5"),
     (3, "notebook 3 has 3.1 to 3.6"), ("0", "the nearest is 1.1"), ("99", "the nearest is 7.4"),
     ("two", "the nearest is 1.1"), ("nan", "the nearest is 1.1"), (None, "the nearest is 1.1")],
)  # fmt: skip
@pytest.mark.parametrize(
    "ask", [exercises.hint, exercises.solution, lambda n: exercises.check(n, 0)]
)
def test_an_unknown_number_is_answered_in_one_line_with_the_nearest(number, nearest, ask, capsys):
    ask(number)
    said = capsys.readouterr().out
    assert said == f"there is no exercise {str(number)!r}; {nearest}\n"
    with pytest.raises(UnknownNameError, match=nearest):
        exercises.find(number)


def test_without_a_number_or_an_answer_it_is_said_what_is_missing(capsys):
    for ask in (exercises.check, exercises.hint, exercises.solution):
        ask()
        assert capsys.readouterr().out == 'which exercise? Say its number, such as "1.2"\n'
    exercises.check("1.2")
    assert capsys.readouterr().out.startswith("1.2 is open: hand in two numbers")


def test_a_question_needs_no_semicolon():
    text = said("1.4", lambda n: 0.05)
    assert "`dim=1`? `exercises.hint" in text
    assert ";" not in text[-30:]
