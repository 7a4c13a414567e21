"""What follows from what 06_scoreboard prints; what it states is still to come."""

import re
from itertools import combinations

from mnistkit.study.report import describe
from tests.notebooks.statements.bounds import stored_runs

STATEMENTS = []
COST = re.compile(r"([\w' ]+?) ([\d.]+) % at ([\d.,]+)(?=[;.])")
NAMES = {"MobileNetV2": "MobileNetV2 head"}


def accuracies_drawn_are_the_stored_ones(out):
    drawn = COST.findall(out.alt("plot_tradeoff("))
    near = [
        abs(100 * stored_runs().accuracy(NAMES.get(name.strip(), name.strip())).mean - float(mean))
        < 0.006
        for name, mean, _ in drawn
    ]
    return len(near) == 30 and all(near)


def claims_recorded_are_all_25(out):
    return sum(r.value for r in out.records if r.name.startswith("claims ")) == 25


def runs_repeat(out):
    rows = out.numbers("again = run_grid(", r"^(\d) +([\d.]+) +([\d.]+)$")
    known = 100 * stored_runs().of("V0")["test_accuracy"]
    return rows[::3] == [0, 1, 2] and all(
        abs(again - told) < 1 and abs(told - known.iloc[int(seed)]) < 0.006
        for seed, again, told in zip(rows[::3], rows[1::3], rows[2::3], strict=True)
    )


def runs_are_those_that_come_with_the_library(out):
    cell = "print(describe(runs))"
    return bool(out.numbers(cell)) and out.text(cell).strip() == describe(stored_runs())


def two_runs_differ_as_the_stored_ones_do(out):
    accuracies = stored_runs().of("A baseline")["test_accuracy"]
    apart = [abs(a - b) for a, b in combinations(accuracies, 2)]
    told = out.number("pairs = {", r"differ by ([\d.]+) points")
    return abs(told - 100 * sum(apart) / len(apart)) < 0.006


FOLLOWS = [
    accuracies_drawn_are_the_stored_ones,
    claims_recorded_are_all_25,
    runs_repeat,
    runs_are_those_that_come_with_the_library,
    two_runs_differ_as_the_stored_ones_do,
]
