"""Shares of variance are those of analysis of variance, and noise is called noise."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mnistkit.errors import SweepError
from mnistkit.experiments.anova import importance, interaction
from mnistkit.experiments.sweep import combine


def grid(value, seeds=2, a="xy", b="pq", **more) -> pd.DataFrame:
    factors = {"a": a, "b": b} | more
    rows = [
        dict(zip(factors, levels, strict=True)) | {"seed": seed}
        for levels in itertools.product(*factors.values())
        for seed in range(seeds)
    ]
    return pd.DataFrame([row | {"accuracy": value(**row)} for row in rows])


def shares(runs: pd.DataFrame, factors=("a", "b")) -> dict[str, float]:
    return importance(runs, factors, "accuracy")["share"].round(6).to_dict()


def test_a_factor_that_does_all_has_all_of_the_variance():
    runs = grid(lambda a, b, seed: 1.0 if a == "x" else 0.0)
    assert shares(runs) == {"a": 1.0, "b": 0.0, "a x b": 0.0, "seeds": 0.0}


def test_what_only_both_together_do_is_their_interaction():
    runs = grid(lambda a, b, seed: 1.0 if (a == "x") == (b == "p") else 0.0)
    assert shares(runs) == {"a x b": 1.0, "a": 0.0, "b": 0.0, "seeds": 0.0}


def test_what_runs_of_one_combination_differ_by_is_noise():
    runs = grid(lambda a, b, seed: float(seed))
    assert shares(runs)["seeds"] == 1.0


def test_shares_by_hand():
    # Means of a: 6 and 2, of b: 5 and 3, no interaction, seeds at +1 and -1.
    # Sums of squares over 8 runs: a 8 x 2^2 = 32, b 8 x 1^2 = 8, seeds 8 x 1^2 = 8.
    runs = grid(lambda a, b, seed: 4 + 2 * (a == "x") - 2 * (a == "y") + (b == "p") - (b == "q")
                + (1 if seed else -1))  # fmt: skip
    assert shares(runs) == {"a": round(32 / 48, 6), "b": round(8 / 48, 6), "a x b": 0.0,
                            "seeds": round(8 / 48, 6)}  # fmt: skip
    table = importance(runs, ["a", "b"], "accuracy")
    # F = (32 / 1) / (8 / 4) = 16, with 1 and 4 degrees of freedom.
    assert table.loc["a", "p"] == pytest.approx(stats.f.sf(16, 1, 4))


def test_p_is_that_of_a_library():
    rng = np.random.default_rng(0)
    runs = grid(lambda a, b, seed: rng.normal() + (a == "y"), seeds=5, a="xyz", b="p")
    groups = [group["accuracy"] for _, group in runs.groupby("a")]
    expected = stats.f_oneway(*groups).pvalue
    assert importance(runs, ["a"], "accuracy").loc["a", "p"] == pytest.approx(expected)


def test_three_together_are_told_apart_from_pairs():
    runs = grid(lambda a, b, c, seed: float(((a == "x") + (b == "p") + (c == "m")) % 2), c="mn")
    table = shares(runs, ("a", "b", "c"))
    assert table["three or more together"] == 1.0
    assert table["a x b"] == table["a"] == 0.0


@given(st.lists(st.floats(0, 1), min_size=12, max_size=12))
def test_shares_sum_to_one(values):
    numbers = iter(values)
    runs = grid(lambda a, b, seed: next(numbers), seeds=2, a="xyz")
    if runs["accuracy"].std() > 1e-6:
        table = importance(runs, ["a", "b"], "accuracy")
        assert table["share"].sum() == pytest.approx(1, abs=1e-6)
        assert (table["share"] >= 0).all()


def test_one_seed_has_no_p():
    table = importance(grid(lambda a, b, seed: float(a == "x"), seeds=1), ["a", "b"], "accuracy")
    assert table["p"].isna().all()
    assert np.isnan(table.loc["seeds", "share"]), "not measured, which is not zero"
    assert table["share"].sum() == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.drop(index=3), "4 of 4 combinations, 1 to 2 runs each"),
        (lambda r: r.drop(index=[0, 1]), "3 of 4 combinations"),
        (lambda r: r.drop(columns="b"), "no column 'b', only a, seed, accuracy"),
        (lambda r: r.drop(columns="accuracy"), "no column 'accuracy'"),
        (lambda r: r.assign(accuracy=0.5), "nothing varies"),
        (lambda r: r.assign(accuracy=r["accuracy"].where(r.index > 0)), r"1 runs .*a x, b p"),
    ],
)
def test_a_grid_with_holes_is_refused(change, message):
    runs = grid(lambda a, b, seed: seed + (a == "x") / 2)
    with pytest.raises(ValueError, match=message):
        importance(change(runs), ["a", "b"], "accuracy")


def test_no_factor_is_refused():
    with pytest.raises(ValueError, match="at least one factor"):
        importance(grid(lambda a, b, seed: 1.0), [], "accuracy")


def test_interaction_averages_over_the_rest_and_keeps_the_order():
    runs = grid(lambda a, b, c, seed: 0.5 + 0.1 * seed + 0.2 * (c == "m"), a="yx", c="mn")
    table = interaction(runs, "a", "b", "accuracy")
    assert table[["x", "line"]].to_numpy().tolist() == [
        ["y", "p"],
        ["y", "q"],
        ["x", "p"],
        ["x", "q"],
    ]
    # Seeds 0 and 1, each over both levels of c: 0.6 and 0.7.
    assert table["mean"].tolist() == pytest.approx([0.65] * 4)
    reach = stats.t.ppf(0.975, 1) * np.std([0.6, 0.7], ddof=1) / 2**0.5
    assert table["high"].iloc[0] == pytest.approx(0.65 + reach)


def grid_with(level, value: float) -> pd.DataFrame:
    return pd.DataFrame([
        {"rate": rate, "way": way, "batch": batch, "seed": seed,
         "validation_accuracy": value if (rate, way, batch) == (1, "a", 64) else 0.9 + seed / 100}
        for rate in (level, 1) for way in "ab" for batch in (32, 64) for seed in (0, 1)
    ])  # fmt: skip


def test_a_run_that_diverged_is_not_left_out_of_a_mean():
    table = interaction(grid_with(0.1, float("nan")), "rate", "way").set_index(["x", "line"])
    assert table["mean"].isna().tolist() == [False, False, True, False]


@pytest.mark.parametrize("level", [None, float("nan")])
def test_a_level_of_nothing_is_a_level(level):
    named, unnamed = grid_with("nothing", 0.2), grid_with(level, 0.2)
    factors = ["rate", "way"]
    assert importance(unnamed, factors).equals(importance(named, factors))
    assert len(interaction(unnamed, "rate", "way")) == 4


def test_means_over_a_grid_with_holes_are_refused():
    rows = [(a, b, c, s, 0.9 if c == "long" else 0.5)
            for a in "xy" for b in "pq" for c in ("short", "long") for s in (0, 1)]  # fmt: skip
    runs = pd.DataFrame(rows, columns=["A", "B", "epochs", "seed", "validation_accuracy"])
    assert interaction(runs, "A", "B")["mean"].tolist() == pytest.approx([0.7] * 4)
    part = runs[~((runs.A == "x") & (runs.B == "p") & (runs.epochs == "long"))]
    with pytest.raises(ValueError, match="the grid has holes: 1 to 2 runs of a seed"):
        interaction(part, "A", "B")


def test_a_pair_of_levels_without_runs_or_with_fewer_seeds_is_a_hole():
    rows = [
        {"a": a, "b": b, "seed": seed, "validation_accuracy": 0.9 + 0.01 * a}
        for a in (0, 1) for b in (0, 1) for seed in (0, 1)
    ]  # fmt: skip
    runs = pd.DataFrame(rows)
    assert len(interaction(runs, "a", "b")) == 4
    with pytest.raises(ValueError, match="2 to 2 seeds at 3 of 4 pairs of levels"):
        interaction(runs[:-2], "a", "b")
    with pytest.raises(ValueError, match="1 to 2 seeds at 4 of 4 pairs of levels"):
        interaction(runs[:-1], "a", "b")
    with pytest.raises(ValueError, match="a factor is named twice"):
        importance(runs, ["a", "a"])


@pytest.mark.parametrize("name", ["seeds", "three or more together"])
def test_a_factor_may_not_be_called_as_a_row_of_the_table(name):
    runs = pd.DataFrame({name: [0, 0, 1, 1], "seed": [0, 1, 0, 1],
                         "validation_accuracy": [0.1, 0.2, 0.8, 0.9]})  # fmt: skip
    with pytest.raises(ValueError, match=f"a factor cannot be called '{name}'"):
        importance(runs, [name])
    with pytest.raises(SweepError, match=f"a factor cannot be called '{name}'"):
        combine({"model": "V0"}, {name: {"x": {"epochs": 1}, "y": {"epochs": 2}}})


def test_a_run_that_is_there_twice_is_refused():
    runs = pd.DataFrame({"a": [0, 0, 1, 1], "seed": [0, 1, 0, 1],
                         "validation_accuracy": [0.1, 0.2, 0.8, 0.9],
                         "history": [[1], [2], [3], [4]]})  # fmt: skip
    assert importance(runs, ["a"]).loc["a", "share"] > 0.9
    with pytest.raises(ValueError, match="a run stands in the table twice"):
        importance(pd.concat([runs, runs]), ["a"])
    equal = runs.assign(width=[1, 2, 1, 2], seed=0, validation_accuracy=[0.1, 0.1, 0.8, 0.8])
    assert importance(equal, ["a"]).loc["a", "share"] == 1  # other runs, and as good


def test_one_name_for_a_list_of_factors_is_named():
    with pytest.raises(ValueError, match=r"factors is 'name', expected a list .* \['name'\]"):
        importance(pd.DataFrame({"name": ["a"], "validation_accuracy": [0.9]}), "name")
