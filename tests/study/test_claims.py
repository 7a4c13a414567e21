"""The claims are those of the READMEs, each tied to runs of the plan."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path

import pandas as pd
import pytest

from mnistkit.errors import UnknownNameError
from mnistkit.experiments.recipe import Recipe
from mnistkit.study import claims
from mnistkit.study.claims import CLAIMS, find_claims, judge
from mnistkit.study.plan import (
    FEATURES,
    RATES,
    choose_rates,
    full_plan,
    judging_plan,
    tuning_plan,
)
from mnistkit.study.report import findings
from mnistkit.study.rules import Counts, HasLoss, Reaches
from mnistkit.study.table import Runs, read_table
from tests.kept import assert_as_kept

IDS = [*(f"A{k}" for k in range(1, 9)), "B1", "B2", *(f"C{k}" for k in range(1, 8)),
       "D1", "D2", "D3", *(f"E{k}" for k in range(1, 6))]  # fmt: skip
ROOT = Path(__file__).resolve().parents[2]
PLAN = {e.name: e for e in [*judging_plan({"SGD": 0.3, "Adam": 0.003}), FEATURES]}


def test_all_twenty_five_are_there():
    assert [claim.id for claim in CLAIMS] == IDS


def test_what_is_claimed_and_found_stays_as_it_was():
    """Numbers as published, rules with their settings, and what the stored runs say of them."""
    runs, lines = read_table(), []
    for found in findings(runs):
        claim = found.claim
        lines += [
            f"{claim.id} {claim.statement} | {claim.published} | {claim.measured}",
            f"   {claim.rule!r} {claim.needs}",
            f"   {found.verdict} | {found.here} | n = {found.n} | {claim.explain(runs)}",
        ]
    text = re.sub(r"<function (\S+) at \w+>", r"\1", "\n".join(lines))
    assert_as_kept("claims", text)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_each_rests_on_runs_of_the_plan(claim):
    for name in (*claim.rule.names, *claim.rule.tried):
        assert name in PLAN
        assert PLAN[name].test or name == FEATURES.name


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_each_stands_at_the_top_of_its_notebook_as_published(claim):
    opening = "".join(p.read_text("utf-8") for p in (ROOT / "notebooks").glob("0[2-5]_*.ipynb"))
    row = re.search(rf"\| {claim.id} \|.*\|", opening).group(0)
    number = re.search(r"[\d.,]*\d", claim.published)
    assert not number or number.group(0) in row or claim.id == "D2"


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_how_it_is_measured_is_what_the_plan_does(claim):
    said = re.search(r"(\d+) epochs", claim.measured)
    recipes = [PLAN[name].recipe for name in claim.rule.names if name != FEATURES.name]
    if said:
        assert {recipe.epochs for recipe in recipes} == {int(said.group(1))}
    for name in claim.needs:
        assert name in PLAN
    if "batches of" in claim.measured:
        size = int(re.search(r"batches of (\d+)", claim.measured).group(1))
        assert {recipe.batch_size for recipe in recipes} == {size}


def test_seeds_are_enough_and_paired():
    judged = {name for claim in CLAIMS for name in claim.rule.names}
    assert {n for n in judged if len(PLAN[n].seeds) < 10} == {"B CNN"}, "12 minutes a run: four"
    for entry in PLAN.values():
        assert next(iter(entry.seeds)) == 0
        assert len(entry.seeds) >= 3 or entry is FEATURES
    assert len(PLAN["V1"].seeds) >= 64


def test_other_settings_change_one_thing():
    for claim in CLAIMS:
        for name in claim.rule.tried:
            changed = [_changed(PLAN[name].recipe, PLAN[main].recipe) for main in claim.rule.names]
            # A6: what the loss is given, logits or their log-softmax, is the model's last layer.
            assert min(changed, key=len) <= ({"options"} if claim.id == "A6" else {"learning_rate"})


def _changed(one: Recipe, other: Recipe) -> set[str]:
    names = (field.name for field in fields(Recipe))
    return {name for name in names if getattr(one, name) != getattr(other, name)}


def test_a_run_at_another_setting_that_is_missing_is_missed():
    (claim,) = find_claims(["A1"])
    rows = [{"name": name, "seed": s, "source": "mnist", "test_accuracy": 0.97}
            for name in ("A baseline", "A baseline 0.0003") for s in range(10)]  # fmt: skip
    planned = dict.fromkeys(["A baseline", "A baseline 0.0003", "A baseline 0.003"], 10)
    finding = judge(claim, Runs(pd.DataFrame(rows)), planned)
    assert (finding.verdict, finding.n) == ("undecided", 10)
    assert finding.why == "0 of 10 runs of A baseline 0.003 are there"


def test_what_is_chosen_is_chosen_without_test():
    assert not any(entry.test for entry in tuning_plan())
    assert {entry.data for entry in tuning_plan()} == {"split"}


def test_the_best_mean_is_chosen_and_no_rate_that_diverged():
    rows = [
        {"name": e.name, "validation_accuracy": 0.9 + (e.recipe.learning_rate == 0.2) / 100}
        for e in tuning_plan()
    ]
    frame = pd.DataFrame(rows)
    frame.loc[frame["name"] == "tune Adam 0.01", "validation_accuracy"] = [float("nan")]
    frame.loc[frame["name"] == "tune Adam 0.002", "validation_accuracy"] = [0.95]
    assert choose_rates(frame) == {"SGD": 0.2, "Adam": 0.002}
    one_lost = pd.concat([frame, pd.DataFrame([{"name": "tune Adam 0.002"}])])
    assert choose_rates(one_lost)["Adam"] != 0.002
    assert set(choose_rates(frame)) == set(RATES)


def test_a_claim_with_a_run_missing_is_undecided_and_says_so():
    (claim,) = find_claims(["C1"])
    rows = [{"name": "V0", "seed": s, "source": "mnist", "test_accuracy": 0.9194}
            for s in range(19)]  # fmt: skip
    finding = judge(claim, Runs(pd.DataFrame(rows)), {"V0": 20})
    assert (finding.verdict, finding.why) == ("undecided", "19 of 20 runs of V0 are there")


def test_an_unknown_claim_is_named_with_its_neighbour():
    with pytest.raises(UnknownNameError, match="unknown claim 'a5'; did you mean 'A5'"):
        find_claims(["C1", "a5"])


@pytest.mark.parametrize(("claim", "name"), [("C2", "V1"), ("D3", "D deep"), ("A2", "A wide")])
def test_a_claim_is_undecided_where_a_run_diverged(claim, name):
    frame = read_table().frame.copy()
    first = frame.index[frame["name"] == name][0]
    frame.loc[first, ["test_accuracy", "failure"]] = [float("nan"), "batch 7: the loss is nan."]
    planned = {entry.name: len(entry.seeds) for entry in full_plan(frame)}
    finding = judge(find_claims([claim])[0], Runs(frame), planned)
    assert finding.verdict == "undecided"
    assert finding.why == f"1 of {planned[name]} runs of {name} diverged"


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_the_rule_judges_the_number_that_was_published(claim):
    """Each number stands twice, in words and in a rule."""
    rule = getattr(claim.rule, "rules", [claim.rule])[0]
    if isinstance(rule, Reaches) and rule.low == rule.high:
        assert claim.published == f"{rule.low:.2%}".replace("%", " %")
    elif isinstance(rule, Reaches):
        ends = [float(part) / 100 for part in re.findall(r"[\d.]+", claim.published)]
        assert ends == pytest.approx([rule.low, rule.high][: len(ends)])
    elif isinstance(rule, HasLoss):
        assert float(claim.published) == rule.published
    elif isinstance(rule, Counts):
        number = re.sub("[^0-9.]", "", claim.published)
        unit = 1e6 if claim.published.endswith("M") else 1
        assert rule.low <= float(number) * unit <= rule.high
    else:
        assert not re.search(r"\d", claim.published)


def test_it_is_said_after_which_epoch_a_number_is_passed():
    runs = read_table()
    means = 100 * runs.by_epoch("V2").mean(axis=0)
    below, beyond = float(means[0]) - 0.01, float(means.max()) + 0.01
    said = claims._passes("V2", below / 100)(runs)
    assert said == f"its mean passes {below:g} % after epoch 1 of {len(means)}"
    said = claims._passes("V2", beyond / 100)(runs)
    assert said == f"in {len(means)} epochs its mean comes to {means.max():.2f} % at most"


def test_a_claim_about_what_is_not_in_the_plan_is_undecided_and_says_so():
    (claim,) = find_claims(["C1"])
    own = replace(claim, id="F2", rule=Reaches.about("FastCNNN", 0.995))
    finding = judge(own, read_table(), {"FastCNN": 10})
    assert finding.verdict == claims.UNDECIDED
    assert finding.why == "no entry of the plan is called 'FastCNNN'; did you mean 'FastCNN'?"
