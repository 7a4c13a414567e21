"""Exercises of 06_scoreboard: fewer seeds, the tolerance, how many runs, many tests at once."""

from __future__ import annotations

import math

from mnistkit.exercises.exercise import call, exercise, number, numbers, what, wrong_if
from mnistkit.study.table import Runs

_CLAIMS, _LEVEL = 22, 0.05


@exercise(
    "6.1",
    wants="`Runs` of the first three seeds of every recipe",
    hint='`runs.frame` is a table; `runs.frame["seed"] < 3` is true for seeds 0, 1 and 2. `Runs` '
    "is in `mnistkit.study.table`.",
    solution="""
from mnistkit.study.table import Runs

answer = Runs(runs.frame[runs.frame["seed"] < 3])
print(scoreboard(answer)["verdict"].value_counts())
""",
)
def three_seeds(answer: object) -> str:
    """Seeds 0 to 2 of all recipes."""
    wrong_if(
        not isinstance(answer, Runs),
        f"the answer is {what(answer)}; put the rows that you keep into `Runs(...)`",
    )
    seeds = sorted({int(seed) for seed in answer.frame["seed"]})
    wrong_if(
        len(answer.frame) == 3,
        "that is three rows in all; three seeds of *each* recipe are asked for",
    )
    wrong_if(seeds == [0, 1, 2, 3], "seeds are counted from 0, so these are four: `< 3`")
    wrong_if(seeds != [0, 1, 2], f"these are seeds {seeds[:5]}")
    names = answer.frame["name"].nunique()
    wrong_if(names < 20, f"runs of {names} recipes only; keep all of them")
    return "what has fewer runs than were planned is undecided, whatever these say."


@exercise(
    "6.2",
    wants="a function of a published accuracy and a number of digits that returns the margin",
    hint="A share p counted on n digits has the standard error √(p (1 - p) / n); the margin is two "
    "of them.",
    solution="""
def margin_of(published, count):
    return 2 * (published * (1 - published) / count) ** 0.5


print(f"on 1,000 digits {margin_of(0.9194, 1000):.2%}, on 10,000 {margin_of(0.9194, 10_000):.2%}")
""",
)
def margin(answer: object) -> str:
    """Two standard errors of a share."""
    for p, n in ((0.9194, 10_000), (0.9, 400)):
        found, error = (
            number(call(answer, p, n), "what your function returns"),
            (p * (1 - p) / n) ** 0.5,
        )
        wrong_if(
            math.isclose(found, error, rel_tol=1e-6),
            "that is one standard error, and the margin is two",
        )
        wrong_if(
            math.isclose(found, 2 * error**2, rel_tol=1e-6), "that is the variance; take its root"
        )
        wrong_if(
            math.isclose(found, 200 * error, rel_tol=1e-6), "that is in points; say it as a share"
        )
        wrong_if(math.isclose(found, 4 * error, rel_tol=1e-6), "that is four standard errors")
        wrong_if(
            not math.isclose(found, 2 * error, rel_tol=0.02),
            f"for {p} on {n:,} digits {2 * error:.4f} is expected; yours gives {found:.4f}",
        )
    return "near 100 % the margin shrinks, and with more digits, by the root. Why not double it?"


@exercise(
    "6.3",
    wants="a number of seeds, and after it `runs`",
    hint='`runs.difference("A SGD", "A Adam").deviation` is that of one paired difference. With n '
    "of them the interval reaches about 1.96 deviations / √n to both sides; a true difference of "
    "0.001 has to lie outside.",
    solution="""
import math

deviation = runs.difference("A SGD", "A Adam").deviation
answer = math.ceil((1.96 * deviation / 0.001) ** 2)
""",
)
def seeds_for_a5(answer: object, runs: Runs) -> str:
    """From what suffices on average to what nearly always does."""
    deviation = runs.difference("A SGD", "A Adam").deviation
    least = math.ceil((1.96 * deviation / 0.001) ** 2)
    found = number(answer)
    wrong_if(found != round(found), "a number of seeds is whole; round up")
    wrong_if(
        math.isclose(found, math.ceil(1.96 * deviation / 0.001)),
        "the interval shrinks with √n: square it",
    )
    wrong_if(
        found < 0.7 * least,
        f"with {found:.0f} seeds the interval reaches "
        f"{196 * deviation / max(found, 1) ** 0.5:.2f} points to both sides: 0.1 would not "
        "show",
    )
    wrong_if(found > 5 * least, f"about {least} would do")
    return f"the {runs.difference('A SGD', 'A Adam').n} that we have could not have decided it."


@exercise(
    "6.4",
    wants="two numbers: how many of the 22 tests you expect to be wrong, and the level that each "
    "would need for one in twenty of being wrong anywhere",
    hint="Each is wrong by chance once in twenty. Bonferroni divides that one in twenty among the "
    "tests.",
    solution="""
answer = (22 * 0.05, 1 - 0.05 / 22)
""",
)
def many_tests(answer: object) -> str:
    """1.1, and 99.77 %."""
    pair = numbers(answer)
    wrong_if(len(pair) != 2, f"the answer holds {len(pair)} numbers, and two are asked for")
    expected, level = pair
    wrong_if(math.isclose(expected, 0.05), "0.05 is the chance of each; there are 22")
    wrong_if(math.isclose(expected, _CLAIMS * (1 - _LEVEL)), "that is how many are right")
    wrong_if(
        math.isclose(expected, 1 - (1 - _LEVEL) ** _CLAIMS, rel_tol=0.02),
        "that is the chance that any is wrong; how many are expected?",
    )
    wrong_if(abs(expected - _CLAIMS * _LEVEL) > 0.06, f"22 times one in twenty is not {expected:g}")
    wrong_if(
        abs(level - _LEVEL / _CLAIMS) < 1e-3,
        "that is the chance of being wrong; the level is one minus it, as 0.95 was",
    )
    wrong_if(abs(level - 0.95) < 1e-6, "0.95 is the level of one test alone")
    wrong_if(abs(level - (1 - _LEVEL / _CLAIMS)) > 2e-4, "divide 0.05 among 22, and take it from 1")
    return "about one of the 22 is wrong by chance, and nobody knows which."
