"""Exercises of 06_scoreboard: fewer seeds, one more run, how many runs, many tests at once."""

from __future__ import annotations

import math

import pandas as pd

from mnistkit.exercises.exercise import call, exercise, number, numbers, what, wrong_if
from mnistkit.metrics import interval_of_mean, prediction_interval
from mnistkit.study.table import Runs, read_table

_TESTS, _LEVEL = 11, 0.05  # paired differences that the claims rest on


@exercise(
    "6.1",
    wants="`Runs` of the first three seeds of every recipe",
    hint='`runs.frame` is a table; `runs.frame["seed"] < 3` is true for seeds 0, 1 and 2. `Runs` '
    "is in `mnistkit.study.table`.",
    solution="""
from mnistkit.study.table import Runs

answer = Runs(runs.frame[runs.frame["seed"] < 3])
print(report.scoreboard(answer)["verdict"].value_counts())
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
    missing = _of_first_seeds(read_table().frame) - _of_first_seeds(answer.frame)
    for name, seed in sorted(missing):
        wrong_if(
            True,
            f"the run of {name!r} with seed {seed} is not there; keep all recipes, by their `name`",
        )
    return "what has fewer runs than were planned is undecided, whatever these say."


def _of_first_seeds(frame: pd.DataFrame) -> set[tuple[str, int]]:
    """Name and seed of each run with one of the first three seeds."""
    first = frame[frame["seed"] < 3]
    return set(zip(first["name"], first["seed"].astype(int), strict=True))


@exercise(
    "6.2",
    wants="a function of accuracies that returns two numbers, the ends of the interval of one "
    "further run",
    hint="`mk.interval_of_mean(accuracies)` has mean, deviation and n. A further run spreads as "
    "runs do, and the mean is uncertain, too: deviation times √(1 + 1/n), times the 0.975 quantile "
    "of Student's t with n - 1 degrees of freedom (`scipy.stats.t.ppf(0.975, n - 1)`), on "
    "either side.",
    solution="""
from scipy import stats


def one_more(accuracies):
    found = mk.interval_of_mean(accuracies)
    t = stats.t.ppf(0.975, found.n - 1)
    reach = t * found.deviation * (1 + 1 / found.n) ** 0.5
    return found.mean - reach, found.mean + reach


print(one_more(runs.of("V2")["test_accuracy"]))
""",
)
def one_more_run(answer: object) -> str:
    """The prediction interval of one further value."""
    for accuracies in ([0.95, 0.96, 0.97, 0.96], [0.9, 0.92, 0.91, 0.93, 0.95, 0.9]):
        low, high = _two_ends(call(answer, list(accuracies)))
        right, of_mean = prediction_interval(accuracies), interval_of_mean(accuracies)
        found, reach = (high - low) / 2, (right.high - right.low) / 2
        wrong_if(low > high, "the lower end comes first")
        wrong_if(
            math.isclose(found, (of_mean.high - of_mean.low) / 2, rel_tol=1e-3),
            "that is the confidence interval of the mean; one run strays much further",
        )
        normal = 1.96 * of_mean.deviation
        wrong_if(
            any(
                math.isclose(found, normal * f, rel_tol=2e-3)
                for f in (1.0, 2 / 1.96, (1 + 1 / of_mean.n) ** 0.5)
            ),
            "1.96 is right for infinitely many runs; with so few, use Student's t",
        )
        wrong_if(
            math.isclose(found, reach / (1 + 1 / of_mean.n) ** 0.5, rel_tol=1e-3),
            "the mean itself is uncertain, too: that is the 1/n in √(1 + 1/n)",
        )
        wrong_if(
            not (
                math.isclose(low, right.low, abs_tol=1e-4)
                and math.isclose(high, right.high, abs_tol=1e-4)
            ),
            f"for {accuracies} {right.low:.4f} to {right.high:.4f} is expected; yours goes from "
            f"{low:.4f} to {high:.4f}",
        )
    return "with more runs it hardly shrinks: one run stays one run."


def _two_ends(found: object) -> tuple[float, float]:
    pair = numbers(found)
    wrong_if(len(pair) != 2, f"your function returns {len(pair)} numbers, but two are asked for")
    return pair[0], pair[1]


@exercise(
    "6.3",
    wants="a number of seeds, and after it `runs`",
    hint='`runs.difference("A SGD", "A Adam").deviation` is that of one paired difference. With n '
    "of them the interval reaches about 1.96 deviations / √n on either side; a true difference of "
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
        found < least,
        f"with {found:.0f} seeds the interval reaches "
        f"{196 * deviation / max(found, 1) ** 0.5:.2f} points on either side: 0.1 would not "
        "show",
    )
    wrong_if(found > 5 * least, f"about {least} would do")
    few = f"the {runs.difference('A SGD', 'A Adam').n} that we have could not have decided it"
    more = "" if found < 1.5 * least else f"; paired by seed, about {least} are the least that do"
    return f"{few}{more}."


@exercise(
    "6.4",
    wants="two numbers: how many of the 11 tests you expect to show a difference by chance alone, "
    "and the level each needs to keep the chance of any such difference at one in twenty",
    hint="Each shows, by chance, one time in twenty, a difference that is not there. Bonferroni "
    "divides that one in twenty among the tests.",
    solution="""
answer = (11 * 0.05, 1 - 0.05 / 11)
""",
)
def many_tests(answer: object) -> str:
    """0.55, and 99.55 %."""
    pair = numbers(answer)
    wrong_if(len(pair) != 2, f"the answer holds {len(pair)} numbers, but two are asked for")
    expected, level = pair
    wrong_if(math.isclose(expected, 0.05), "0.05 is the chance of each; there are 11")
    wrong_if(math.isclose(expected, _TESTS * (1 - _LEVEL)), "that is how many are right")
    wrong_if(
        math.isclose(expected, 1 - (1 - _LEVEL) ** _TESTS, rel_tol=0.02),
        "that is the chance that any is wrong; how many are expected?",
    )
    wrong_if(abs(expected - _TESTS * _LEVEL) > 0.01, f"11 times one in twenty is not {expected:g}")
    wrong_if(level > 1, f"give the level as a share, like 0.95, not {level:g}")
    wrong_if(
        abs(level - _LEVEL / _TESTS) < 1e-3,
        "that is the chance of being wrong; the level is one minus it, as 0.95 was",
    )
    wrong_if(abs(level - 0.95) < 1e-6, "0.95 is the level of one test alone")
    right = 1 - _LEVEL / _TESTS
    wrong_if(2e-4 < abs(level - right) < 1e-3, f"{level:g} is rounded too far: give four decimals")
    wrong_if(abs(level - right) > 2e-4, "divide 0.05 among 11, and take it from 1")
    return "of such tables of eleven, more than four in ten show a difference that is not real."
