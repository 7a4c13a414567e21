"""The exercises of the notebooks: is an answer right, a hint, a solution.

    from mnistkit import exercises

    exercises.check("1.2", answer)
    exercises.hint("1.2")
    exercises.solution("1.2")

The number before the point is the notebook's.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from mnistkit.errors import UnknownNameError
from mnistkit.exercises.exercise import EXERCISES, Exercise
from mnistkit.utils.page import paragraph, say

_ROOMS = ("n01_data", "n02_linear", "n03_tuning", "n04_convolutions", "n05_transfer",
          "n06_scoreboard", "n07_trust")  # fmt: skip


def __dir__() -> list[str]:
    """What Tab offers: what a learner calls."""
    return ["check", "hint", "solution"]


def check(number: str = "", answer: object = ..., *given: object) -> None:
    """Print whether the answer is right, and if not, what is wrong with it.

    answer: what the exercise asks for; `...` while it is open.
    given: what the exercise says has to come along, such as the runs that it is about.
    """

    def judged(exercise: Exercise) -> None:
        verdict = exercise.verdict(answer, *given)
        say(verdict, html=paragraph(verdict, strong=verdict.partition(":")[0]))

    _with(number, judged)


def hint(number: str = "") -> None:
    """Print what helps with an exercise, without its solution."""
    _with(number, lambda exercise: say(exercise.hint, html=paragraph(exercise.hint)))


def solution(number: str = "") -> None:
    """Print one way to solve an exercise: code for its cell, in place of the answer's lines."""
    _with(number, _show_solution)


def _show_solution(exercise: Exercise) -> None:
    say(exercise.solution, markdown=f"```python\n{exercise.solution}\n```")


def _with(number: str, do: Callable[[Exercise], None]) -> None:
    """Do something with an exercise, or say in one line that there is none of that number."""
    try:
        exercise = find(number)
    except UnknownNameError as error:
        say(str(error), html=paragraph(str(error)))
    else:
        do(exercise)


def find(number: str) -> Exercise:
    """Return the exercise; raise UnknownNameError, with the nearest number, if there is none."""
    for room in _ROOMS:
        import_module(f"mnistkit.exercises.{room}")
    number = str(number)  # 1.2 is as good as "1.2"
    if number not in EXERCISES:
        raise UnknownNameError(_nothing_called(number))
    return EXERCISES[number]


def _nothing_called(number: str) -> str:
    if not number:
        return 'which exercise? Say its number, such as "1.2"'
    if len(number) > 5:
        return 'the number comes first, as in `exercises.check("1.1", answer)`'
    same = [known for known in sorted(EXERCISES) if known[0] == number[:1]]
    own = f"notebook {number[0]} has {same[0]} to {same[-1]}" if same else ""
    return f"there is no exercise {number!r}; " + (own or f"the nearest is {_nearest(number)}")


def _nearest(number: str) -> str:
    """The number of an exercise that comes next to it; the first for what is no number."""
    try:
        wanted = float(number)
    except ValueError:
        wanted = 0.0
    return min(sorted(EXERCISES), key=lambda known: abs(float(known) - wanted))
