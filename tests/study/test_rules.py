"""A verdict follows from an interval, and changes when the interval crosses a border."""

from __future__ import annotations

import pandas as pd
import pytest

from mnistkit.metrics import interval_of_mean
from mnistkit.study.rules import (
    AllOf,
    Beats,
    Counts,
    Exceeds,
    IsOneDraw,
    Quicker,
    Reaches,
    compare,
    points,
    spread,
    tolerance,
)
from mnistkit.study.table import Runs


def runs(seconds=1.0, **accuracies) -> Runs:
    rows = [
        {"name": name, "seed": seed, "source": "mnist", "test_accuracy": value,
         "seconds": seconds[name] if isinstance(seconds, dict) else seconds}
        for name, values in accuracies.items()
        for seed, value in enumerate(values)
    ]  # fmt: skip
    return Runs(pd.DataFrame(rows))


def test_tolerance_is_two_standard_errors_over_ten_thousand_digits():
    assert tolerance(0.5) == pytest.approx(0.01)
    assert tolerance(0.9) == pytest.approx(0.006)


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([0.940, 0.941, 0.942], "reproduced"),
        ([0.980, 0.981, 0.982], "surpassed"),
        ([0.900, 0.901, 0.902], "not reproduced"),
        ([0.930, 0.941, 0.952], "undecided"),  # a wide interval
        ([0.948, 0.950, 0.952], "undecided"),  # over the upper border
        ([0.941], "undecided"),  # one run has no interval
        ([0.941, float("nan"), 0.942], "undecided"),  # one run diverged
    ],
)
def test_an_accuracy_is_placed_by_the_interval_of_its_mean(values, verdict):
    rule = Reaches("a", 0.93, 0.95)
    assert rule.judge(runs(a=values))[0] == verdict


def test_the_range_around_a_published_number_is_its_tolerance():
    rule = Reaches.about("a", 0.9)
    assert (rule.low, rule.high) == pytest.approx((0.894, 0.906))


def test_a_single_draw_is_judged_by_the_spread_and_not_by_the_mean():
    spread_out = [0.5 + 0.01 * k for k in range(41)]  # 0.50 to 0.90, middle 95 %: 0.51 to 0.89
    for published, verdict in (
        (0.80, "reproduced"), (0.515, "reproduced"), (0.505, "surpassed"),
        (0.895, "not reproduced"),
    ):  # fmt: skip
        assert IsOneDraw("a", published).judge(runs(a=spread_out))[0] == verdict


@pytest.mark.parametrize(
    ("values", "mean", "every"),
    [
        ([0.95, 0.96, 0.97], "reproduced", "reproduced"),
        ([0.70, 0.71, 0.72], "not reproduced", "not reproduced"),
        ([0.80, 0.90, 1.00], "undecided", "not reproduced"),
        ([0.89, 0.99, 0.99, 0.99, 0.99, 0.99], "reproduced", "not reproduced"),  # beyond 100 %
    ],
)
def test_a_threshold_is_passed_by_the_mean_or_by_every_run(values, mean, every):
    assert Exceeds("a", 0.9).judge(runs(a=values))[0] == mean
    assert Exceeds("a", 0.9, every=True).judge(runs(a=values))[0] == every


def test_a_direction_is_paired_by_seed():
    base = [0.70, 0.80, 0.90]
    above = [0.711, 0.811, 0.91]
    assert Beats((("b", "a"),)).judge(runs(a=base, b=above))[0] == "reproduced"
    assert Beats((("a", "b"),)).judge(runs(a=base, b=above))[0] == "not reproduced"
    assert Beats((("b", "a"),)).judge(runs(a=base, b=base[::-1]))[0] == "undecided"
    assert Beats((("b", "a"),)).judge(runs(a=base, b=base))[0] == "undecided"


def test_only_seeds_that_both_have_are_paired():
    found = runs(a=[0.1, 0.2], b=[0.3, 0.4, 0.9, 0.9]).difference("b", "a")
    assert found.n == 2
    assert found.mean == pytest.approx(0.2)


def test_an_order_needs_all_its_pairs_and_fails_by_one():
    a, b, c = [0.9, 0.901, 0.902], [0.8, 0.8, 0.8], [0.7, 0.7, 0.7]
    order = Beats((("a", "b"), ("b", "c")))
    assert order.judge(runs(a=a, b=b, c=c))[0] == "reproduced"
    assert order.judge(runs(a=a, b=b, c=b))[0] == "undecided"
    assert order.judge(runs(a=a, b=c, c=b))[0] == "not reproduced"
    assert order.names == ("a", "b", "c")


def test_several_pairs_share_the_risk():
    values = {"a": [0.5, 0.52, 0.54, 0.6], "b": [0.4, 0.4, 0.4, 0.4], "c": [0.1] * 4}
    alone = Beats((("a", "b"),)).differences(runs(**values))[0]
    among_three = Beats((("a", "b"), ("a", "c"), ("b", "c"))).differences(runs(**values))[0]
    assert among_three.high - among_three.low > 1.3 * (alone.high - alone.low)


def test_speed_compares_the_slowest_run_with_all_of_the_others_steps():
    times = {"a": 10.0, "step": 8.0, "head": 3.0}
    rule = Quicker("a", ("step", "head"))
    data = {"a": [0.9], "step": [0.0], "head": [0.9]}
    assert rule.judge(runs(times, **data)) == ("reproduced", "10 s against 11 s")
    assert rule.judge(runs(times | {"a": 12.0}, **data))[0] == "not reproduced"
    mixed = runs(times, **data | {"a": [0.9, 0.9]})
    mixed.frame["seconds"] = [10.0, 12.0, 8.0, 3.0]  # one run of `a` is slower than 11 s
    assert rule.judge(mixed)[0] == "undecided"


def test_counting_needs_no_runs():
    rule = Counts(lambda: 569_226, 500_000, float("inf"))
    assert rule.judge(runs(a=[1.0])) == ("reproduced", "569,226 parameters")
    assert Counts(lambda: 499_999, 500_000, 1e9).judge(runs(a=[1.0]))[0] == "not reproduced"


@pytest.mark.parametrize(
    ("accuracy", "direction", "both"),
    [
        ("reproduced", "reproduced", "reproduced"),
        ("surpassed", "reproduced", "surpassed"),
        ("surpassed", "undecided", "undecided"),
        ("reproduced", "not reproduced", "not reproduced"),
        ("not reproduced", "undecided", "not reproduced"),
    ],
)
def test_of_several_rules_the_weakest_verdict_stands(accuracy, direction, both):
    class Fixed:
        names = ("a",)

        def __init__(self, verdict):
            self.verdict = verdict

        def judge(self, _):
            return self.verdict, self.verdict

    found = AllOf((Fixed(accuracy), Fixed(direction))).judge(runs(a=[1.0]))
    assert found == (both, f"{accuracy}; {direction}")


def test_an_interval_that_touches_both_borders_is_inside():
    interval = interval_of_mean([0.5, 0.5])
    assert compare(interval, 0.5, 0.5) == "reproduced"


def test_numbers_are_in_percent_with_their_deviation_or_interval():
    assert spread(interval_of_mean([0.90, 0.92])) == "91.00 ± 1.41 %"
    assert points(interval_of_mean([0.01, 0.01])) == "+1.00 [+1.00, +1.00] points"
