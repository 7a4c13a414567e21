"""What an exercise is, and how an answer is read: whatever it is, in the learner's terms."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mnistkit.metrics import Interval
from mnistkit.utils.validation import describe

RIGHT, NOT_YET, OPEN = "right", "not yet", "open"


def what(value: object) -> str:
    """Name a value in short."""
    if isinstance(value, Tensor):
        return f"a tensor, {describe(value)}"
    if isinstance(value, nn.Module):
        return f"a model, {type(value).__name__}"
    if callable(value):
        return "a function or a class"
    if isinstance(value, list | tuple | dict) and len(value) > 20:
        return f"a {type(value).__name__} of {len(value)}"  # to write it out may take long
    words = repr(value)
    return words if len(words) < 40 and "\n" not in words else f"a {type(value).__name__}"


class AnswerError(Exception):
    """The answer is not right, for this reason."""


class NoAnswerError(Exception):
    """There is no answer yet."""


class Outcome(NamedTuple):
    """What a check found: the state of an exercise, and why.

    state: `RIGHT`, `NOT_YET` or `OPEN`.
    """

    state: str
    words: str


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    number: "1.2" is the second of notebook 01.
    wants: what an answer must be, in words.
    judge: takes the answer; returns what a right one shows, raises AnswerError for another.
    """

    number: str
    wants: str
    hint: str
    solution: str
    judge: Callable[..., str]

    def verdict(self, answer: object, *given: object) -> str:
        """Say whether the answer is right; never raise, whatever the answer is."""
        found = self.outcome(answer, *given)
        if found.state == RIGHT:
            return f"{self.number} right: {found.words}"
        state = "is open" if found.state == OPEN else found.state
        end = " " if found.words.endswith(("?", ".")) else "; "
        return f'{self.number} {state}: {found.words}{end}`exercises.hint("{self.number}")` helps.'

    def outcome(self, answer: object, *given: object) -> Outcome:
        """Judge the answer; never raise, whatever the answer is.

        The caller's random state stays as it is.
        """
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(0)  # the same answer gets the same verdict
            return self._outcome(answer, *given)

    def _outcome(self, answer: object, *given: object) -> Outcome:
        try:
            if answer is ...:
                raise NoAnswerError
            return Outcome(RIGHT, self.judge(answer, *given))
        except NoAnswerError:
            return Outcome(OPEN, f"hand in {self.wants}")
        except AnswerError as wrong:
            return Outcome(NOT_YET, str(wrong))
        except Exception as error:
            words = f"{type(error).__name__}: {error}".splitlines()[0]
            return Outcome(NOT_YET, f"hand in {self.wants} ({words})")


EXERCISES: dict[str, Exercise] = {}


def exercise(number: str, *, wants: str, hint: str, solution: str) -> Callable:
    """Register the function below as the judge of exercise `number`."""

    def register(judge: Callable[..., str]) -> Callable[..., str]:
        EXERCISES[number] = Exercise(number, wants, hint, solution.strip(), judge)
        return judge

    return register


def wrong_if(condition: object, reason: str) -> None:
    """Raise AnswerError for that reason."""
    if condition:
        raise AnswerError(reason)


def number(answer: object, name: str = "the answer") -> float:
    """Read one finite number; a tensor or an array of one will do."""
    if answer is ...:
        raise NoAnswerError
    if isinstance(answer, bool | str | bytes) or answer is None:
        raise AnswerError(f"{name} is {answer!r}, but a number is asked for")
    if isinstance(answer, Tensor):
        answer = answer.detach()
    try:
        value = float(answer)
    except (TypeError, ValueError, RuntimeError):
        raise AnswerError(f"{name} is {what(answer)}, but one number is asked for") from None
    wrong_if(not math.isfinite(value), f"{name} is {value}, which is not a usable number")
    return value


def numbers(answer: object, name: str = "the answer") -> np.ndarray:
    """Read a list, tuple, array, column or tensor of finite numbers: float64, N."""
    if answer is ...:
        raise NoAnswerError
    if isinstance(answer, Tensor):
        answer = answer.detach()
    wrong_if(
        isinstance(answer, str | dict) or not np.iterable(answer),
        f"{name} is {what(answer)}, but several numbers are asked for",
    )
    wrong_if(
        any(str(getattr(each, "dtype", type(each).__name__)).endswith("bool") for each in answer),
        f"{name} holds True and False, but numbers are asked for",
    )
    try:
        values = np.asarray(list(answer), dtype=float)
    except (TypeError, ValueError):
        raise AnswerError(f"{name} holds something that is not a number") from None
    wrong_if(values.ndim != 1, f"{name} has shape {values.shape}, but a plain list is asked for")
    wrong_if(not np.isfinite(values).all(), f"{name} holds something that is not a number")
    return values


def parts(answer: object, names: Iterable[str]) -> dict:
    """Read a dictionary that has these names; `...` under one of them is open."""
    names = list(names)
    wrong_if(
        not isinstance(answer, dict), f"the answer is {what(answer)}, but a dictionary is asked for"
    )
    missing = [name for name in names if name not in answer]
    wrong_if(missing, f"the answer lacks {' and '.join(map(repr, missing))}")
    if any(answer[name] is ... for name in names):
        raise NoAnswerError
    return answer


def word(answer: object, choices: Iterable[str]) -> str:
    """Read one of several words."""
    choices = list(choices)
    words = ", ".join(map(repr, choices))
    wrong_if(
        not isinstance(answer, str) or answer not in choices, f"{what(answer)} is none of: {words}"
    )
    return answer


def yes_or_no(answer: object, name: str) -> bool:
    """Read True or False."""
    if isinstance(answer, Tensor) and answer.dtype == torch.bool and answer.numel() == 1:
        answer = answer.item()
    wrong_if(not isinstance(answer, bool | np.bool_), f"{name} must be True or False")
    return bool(answer)


def share(answer: object, name: str = "the answer") -> float:
    """Read an accuracy or another share, 0 to 1."""
    value = number(answer, name)
    wrong_if(1 < value <= 100, f"{name} is {value:g}: give it as a share, 0.9 and not 90")
    wrong_if(not 0 <= value <= 1, f"{name} is {value:g}, and a share lies between 0 and 1")
    return value


def call(function: object, *inputs: object) -> object:
    """Call the learner's function; one that returns `...` is open.

    One that changes what it is given is wrong: its caller goes on with the same images.
    """
    wrong_if(
        not callable(function), "hand in the function itself, by its name and without brackets"
    )
    before = copy.deepcopy(inputs)
    try:
        result = function(*inputs)
    except Exception as error:
        words = ", ".join(what(value) for value in inputs)
        raise AnswerError(
            f"called with {words}, your function raises {type(error).__name__}: "
            f"{str(error).partition(chr(10))[0]}"
        ) from error
    wrong_if(result is None, "your function returns nothing: is `return` missing?")
    if result is ...:
        raise NoAnswerError
    wrong_if(
        not all(map(_equal, before, inputs)),
        "your function changes what it is given, which its caller still needs: work on a copy, "
        "as `images.clone()` is one",
    )
    return result


def _equal(before: object, after: object) -> bool:
    if isinstance(before, nn.Module):  # to change one may be what is asked for
        return True
    if isinstance(before, Tensor):
        return torch.equal(before, after)
    return np.array_equal(before, after)


def images_like(answer: object, expected: tuple[int, ...]) -> Tensor:
    """Read float images of a shape."""
    wrong_if(
        not isinstance(answer, Tensor),
        f"your function returns {what(answer)}, but a tensor is asked for",
    )
    wrong_if(
        tuple(answer.shape) != expected,
        f"your images have shape {tuple(answer.shape)}, expected {expected}",
    )
    wrong_if(answer.dtype == torch.float64, "they are float64, but the network computes in float32")
    images = answer.detach().float()
    wrong_if(not images.isfinite().all(), "your images hold something that is no number")
    return images


def same(first: Tensor, second: Tensor, within: float = 1e-4) -> bool:
    """Whether two tensors are the same but for rounding."""
    return torch.allclose(first, second, atol=within)


def told_apart(gap: object, said: object, least: int = 3) -> str:
    """Hold a word about a paired difference against its interval; return that in words.

    gap: what `mk.paired_difference` gives. said: "better", "worse" or "not told apart".
    """
    wrong_if(
        not isinstance(gap, Interval),
        f"the gap is {what(gap)}; `mk.paired_difference` gives one with its interval",
    )
    seeds = f"{gap.n} seed{'s' * (gap.n != 1)}"
    wrong_if(gap.n < least, f"{seeds} show{'s' * (gap.n == 1)} little: take {least} or more")
    wrong_if(
        abs(gap.mean) > 0.3 or max(-gap.low, gap.high) > 1,
        f"the gap is {gap.mean:+.2f}, from {gap.low:+.2f} to {gap.high:+.2f}, as a share of all "
        "digits: hand it in as `mk.paired_difference` gives it, not times 100",
    )
    word(said, ["better", "worse", "not told apart"])
    found = side_of(gap, "better", "worse")
    reach = f"{100 * gap.low:+.2f} to {100 * gap.high:+.2f} points"
    wrong_if(said != found, f"the interval, {reach}, {_says(found)}")
    return f"{100 * gap.mean:+.2f} points, 95 % interval {reach}, {_says(found)}"


def side_of(gap: Interval, above: str, below: str) -> str:
    """Name the side of zero that an interval lies on, or say that it contains zero."""
    return above if gap.low > 0 else below if gap.high < 0 else "not told apart"


def _says(found: str) -> str:
    if found == "not told apart":
        return "contains zero, so these seeds do not tell the two apart"
    return f"lies on one side of zero: {found}"
