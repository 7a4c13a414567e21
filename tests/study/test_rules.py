"""A verdict follows from an interval, and changes when the interval crosses a border."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mnistkit.metrics import interval_of_mean, prediction_interval
from mnistkit.study.rules import (
    DEPENDS,
    AllOf,
    Beats,
    Cheaper,
    Counts,
    HasLoss,
    NeverBelow,
    Reaches,
    Setting,
    compare,
    further_run,
    judge_runs,
    points,
    spread,
)
from mnistkit.study.table import Runs


def runs(by_epoch=None, losses=None, **accuracies) -> Runs:
    rows = [
        {"name": name, "seed": seed, "source": "mnist", "test_accuracy": value,
         "test_by_epoch": (by_epoch or {}).get(name, [value]), "learning_rate": 0.1,
         "test_loss": (losses or values)[seed]}
        for name, values in accuracies.items()
        for seed, value in enumerate(values)
    ]  # fmt: skip
    return Runs(pd.DataFrame(rows))


# Of 0.940, 0.941, 0.942: standard deviation 0.001, t(2) = 4.3027, reach 0.0049683.
CLOSE = [0.940, 0.941, 0.942]


@pytest.mark.parametrize(
    ("published", "verdict"),
    [
        (0.9359, "surpassed"),
        (0.9361, "reproduced"),
        (0.9459, "reproduced"),
        (0.9460, "not reproduced"),
    ],
)
def test_a_published_number_is_placed_by_the_interval_of_one_further_run(published, verdict):
    rule = Reaches.about("a", published)
    assert rule.judge(runs(a=CLOSE)) == (verdict, "94.10 [93.60, 94.60] %")


@pytest.mark.parametrize("values", [[0.941], [0.941, float("nan"), 0.942]])
def test_without_an_interval_nothing_is_decided(values):
    assert Reaches.about("a", 0.941).judge(runs(a=values))[0] == "undecided"


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.90, 0.9359, "surpassed"),
        (0.90, 0.9361, "reproduced"),  # a run of ours may lie in the range
        (0.93, 0.95, "reproduced"),
        (0.9459, float("inf"), "reproduced"),
        (0.9460, float("inf"), "not reproduced"),
        (0.90, float("inf"), "reproduced"),
    ],
)
def test_of_a_range_or_a_threshold_a_part_is_enough(low, high, verdict):
    assert Reaches("a", low, high).judge(runs(a=CLOSE))[0] == verdict


def test_a_count_on_more_digits_adds_the_chance_of_a_part():
    # 0.09 (1/10,000 - 1/60,000) = 7.5e-6; reach 4.3027 sqrt(1e-6 (1 + 1/3) + 7.5e-6) = 0.01279
    rule = Reaches.about("a", 0.9, elsewhere=60_000)
    interval = rule.interval([0.899, 0.900, 0.901])
    assert (interval.low, interval.high) == pytest.approx((0.887212, 0.912788), abs=2e-6)
    alone = Reaches.about("a", 0.9).interval([0.899, 0.900, 0.901])
    assert alone.high < interval.high


def test_the_interval_holds_a_further_value_19_times_in_20():
    values = np.random.default_rng(0).normal(0.97, 0.002, (4000, 10))
    inside = [(found := prediction_interval(row[:9])).low <= row[9] <= found.high for row in values]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.012)
    found = prediction_interval([1.0, 2.0, 3.0], level=0.9)
    t = stats.t.ppf(0.95, 2)
    assert found.high - 2.0 == pytest.approx(t * (4 / 3) ** 0.5)


def test_a_verdict_that_hangs_on_an_open_setting_says_so():
    open_rates = [Setting("slow", "rate 0.01"), Setting("a", "one epoch", 1)]
    rule = Reaches.about("a", 0.941, open=open_rates)
    same = {"a": [0.9405, 0.941, 0.942]}
    epochs = {"a": [0.941, 0.941]}
    assert rule.judge(runs(epochs, a=CLOSE, slow=CLOSE))[0] == "reproduced"
    assert rule.judge(runs(epochs, a=CLOSE, slow=[0.9, 0.9, 0.9001]))[0] == DEPENDS
    assert rule.judge(runs({"a": [0.90, 0.941]}, **same, slow=CLOSE))[0] == DEPENDS
    assert (rule.names, rule.tried) == (("a",), ("slow",))
    assert AllOf((rule, Beats((("a", "b"),)))).tried == ("slow",)
    found = rule.by_setting(runs({"a": [0.90, 0.941]}, **same, slow=CLOSE))
    assert [(s.words, v) for s, v in found] == [
        ("rate 0.1 for 2 epochs (taken here)", "reproduced"),
        ("rate 0.01", "reproduced"),
        ("one epoch", "not reproduced"),
    ]


def test_a_smaller_loss_is_better():
    losses = [0.30, 0.31, 0.32]  # reach 0.049683
    found = {p: HasLoss("a", p).judge(runs(losses=losses, a=CLOSE)) for p in (0.25, 0.30, 0.37)}
    assert [verdict for verdict, _ in found.values()] == [
        "not reproduced", "reproduced", "surpassed",
    ]  # fmt: skip
    assert found[0.30][1] == "0.310 [0.260, 0.360]"
    wide = HasLoss("a", 0.5).judge(runs(losses=[0.1, 0.5, 0.9], a=CLOSE))
    assert wide == ("reproduced", "0.500 [0.000, 2.487]")  # no loss is below 0


def test_hardly_a_run_may_stay_below():
    assert NeverBelow("a", 0.93).judge(runs(a=CLOSE))[0] == "reproduced"
    assert NeverBelow("a", 0.937).judge(runs(a=CLOSE))[0] == "not reproduced"
    assert NeverBelow("a", 0.937).judge(runs(a=[0.95]))[0] == "undecided"


def test_the_rule_is_tested_on_each_run_by_its_siblings():
    found = judge_runs(runs(a=[0.90, 0.91, 0.92, 0.99], b=[0.5, 0.6, 0.7]))
    assert list(found["name"]) == ["a"] * 4  # of b there are too few
    # 0.90, 0.91, 0.92 reach to 0.91 + 4.3027 * 0.011547 = 0.9597, so 0.99 lies outside.
    assert list(found["verdict"]) == ["reproduced"] * 3 + ["not reproduced"]


def test_a_direction_is_paired_by_seed():
    base = [0.70, 0.80, 0.90]
    above = [0.711, 0.811, 0.91]
    assert Beats((("b", "a"),)).judge(runs(a=base, b=above))[0] == "reproduced"
    assert Beats((("a", "b"),)).judge(runs(a=base, b=above))[0] == "not reproduced"
    assert Beats((("b", "a"),)).judge(runs(a=base, b=base[::-1]))[0] == "undecided"
    assert Beats((("b", "a"),)).judge(runs(a=base, b=base))[0] == "undecided"


def test_a_direction_may_hang_on_an_open_setting_too():
    base, above = [0.70, 0.80, 0.90], [0.711, 0.811, 0.91]
    rule = Beats((("b", "a"),), open=((("slow b", "slow a"),),))
    assert (rule.names, rule.tried) == (("b", "a"), ("slow b", "slow a"))
    taken = {"a": base, "b": above}
    same = rule.judge(runs(**taken, **{"slow a": base, "slow b": above}))
    other = rule.judge(runs(**taken, **{"slow a": base, "slow b": base[::-1]}))
    assert (same[0], other[0]) == ("reproduced", DEPENDS)
    assert same[1] == other[1]  # what was measured is that of the setting taken here


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


def test_the_cheaper_takes_fewer_operations():
    rule = Cheaper(lambda: 6.83e12, lambda: 35.95e12)
    words = "6.8 against 36.0 trillion operations"
    assert rule.judge(runs(a=[1.0])) == ("reproduced", words)
    assert Cheaper(lambda: 2.0, lambda: 1.0).judge(runs(a=[1.0]))[0] == "not reproduced"


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
        (DEPENDS, "reproduced", DEPENDS),
        (DEPENDS, "undecided", DEPENDS),
        ("reproduced", "not reproduced", "not reproduced"),
        ("not reproduced", "undecided", "not reproduced"),
    ],
)
def test_of_several_rules_the_weakest_verdict_stands(accuracy, direction, both):
    class Fixed:
        names, tried = ("a",), ()

        def __init__(self, verdict):
            self.verdict = verdict

        def judge(self, _):
            return self.verdict, self.verdict

    found = AllOf((Fixed(accuracy), Fixed(direction))).judge(runs(a=[1.0]))
    assert found == (both, f"{accuracy}; {direction}")


def test_an_interval_that_touches_both_borders_holds_the_number():
    interval = interval_of_mean([0.5, 0.5])
    assert compare(interval, 0.5, 0.5) == "reproduced"


def test_numbers_are_in_percent_with_their_deviation_or_interval():
    assert spread(interval_of_mean([0.90, 0.92])) == "91.00 ± 1.41 %"
    assert points(interval_of_mean([0.01, 0.01])) == "+1.00 [+1.00, +1.00] points"
    assert further_run(prediction_interval([0.98, 1.0, 0.99])) == "99.00 [94.03, 100.00] %"
