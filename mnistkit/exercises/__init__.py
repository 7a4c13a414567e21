"""The exercises of the notebooks: is an answer right, a hint, a solution.

    from mnistkit import exercises

    exercises.check("1.2", answer)
    exercises.hint("1.2")
    exercises.solution("1.2")

The number before the point is the notebook's.
"""

from __future__ import annotations

from importlib import import_module

from mnistkit.errors import unknown_name
from mnistkit.exercises.exercise import EXERCISES, Exercise

_ROOMS = ("n01_data", "n02_linear", "n03_tuning", "n04_convolutions", "n05_transfer",
          "n06_scoreboard", "n07_trust")  # fmt: skip


def check(number: str, answer: object, *given: object) -> None:
    """Print whether the answer is right, and if not, what is wrong with it.

    answer: what the exercise asks for; `...` while it is open.
    given: what the exercise says has to come along, such as the runs that it is about.
    Raises UnknownNameError for a number that no exercise has.
    """
    print(find(number).verdict(answer, *given))


def hint(number: str) -> None:
    """Print what helps with an exercise, without its solution."""
    print(find(number).hint)


def solution(number: str) -> None:
    """Print one way to solve an exercise: code for its cell, in place of the answer's lines."""
    print(find(number).solution)


def find(number: str) -> Exercise:
    """Return the exercise; raise UnknownNameError, with the nearest number, if there is none."""
    for room in _ROOMS:
        import_module(f"mnistkit.exercises.{room}")
    number = str(number)  # 1.2 is as good as "1.2"
    if number not in EXERCISES:
        raise unknown_name("exercise", number, EXERCISES)
    return EXERCISES[number]
