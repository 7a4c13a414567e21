"""What 03_mlp_tuning_qmnist states, and what follows from what it prints."""

import re

from tests.notebooks.statements import Statement

LOOP, LOSSES, CHANGES = "for epoch in (1, 2):", "summary.loc[list(losses)", "changes.round(2)"
ONE_CHANGE, GAP, GRID = "groups = {", "gap = 100 * paired_difference(runs, best_sgd", "grid = plan"
SHARES, MODELS, TESTED = "shares = importance(", "model_table(names)", "final = {"
DEEP, EPOCHS = "D on test:", r"epoch \d: train ([\d.]+%), validation ([\d.]+%)"
INTERACTION = r"optimizer (\w+): ([\d.]+) at relu, ([\d.]+) at tanh, ([\d.]+) at sigmoid"


def by_optimiser(out):
    """Means with ReLU, tanh and sigmoid, for each optimiser."""
    found = re.findall(INTERACTION, out.alt("plot_interaction("))
    return {name: [float(v) for v in values] for name, *values in found}


STATEMENTS = [
    Statement(
        "makes them a hundred times smaller",
        source="LeakyReLU's slope for negative numbers is 0.01 by default (PyTorch's LeakyReLU).",
    ),
    Statement(
        "Three causes make up nearly all of it: the activation, the optimiser, and the two "
        "*together*.",
        lambda out: (
            {*out.table(SHARES).index[:3]} == {"activation", "optimizer", "optimizer x activation"}
            and out.table(SHARES)["share in %"].iloc[:3].sum() > 95
        ),
    ),
    Statement(
        "The loss has no share at all",
        lambda out: out.table(SHARES).loc["loss", "share in %"] < 0.005,
    ),
    Statement(
        "With Adam the three activations end within about two points of each other.",
        lambda out: 1.5 < max(by_optimiser(out)["Adam"]) - min(by_optimiser(out)["Adam"]) < 2.6,
    ),
    Statement(
        "On full data it is above 90 % after its first epoch, with every seed.",
        lambda out: out.number(DEEP, r"after one epoch: ([\d.]+%)") > 0.9,
    ),
]  # fmt: skip


def digits_are_split_as_everywhere(out):
    splits = out.numbers('order=("qmnist"', r"([\d,]+) (?:train|valid|test)")
    return splits == [55_000, 5_000, 10_000]


def loop_reports_every_hundred_batches_and_learns(out):
    reports = out.numbers(LOOP, r"batch +(\d+) +loss ([\d.]+)")
    shares = out.numbers(LOOP, EPOCHS)
    return (
        reports[::2] == [1, *range(100, 801, 100)]
        and all(0.05 < loss < 0.6 for loss in reports[3::2])
        and all(0.85 < share < 0.99 for share in shares)
        and all(abs(5000 * share - round(5000 * share)) < 0.01 for share in shares[1::2])
    )


def runs_are_those_of_the_recipes(out):
    runs, recipes, minutes = out.numbers("recipes = losses |", r"([\d.]+) (?:runs|recipes|minutes)")
    *grid, digits = out.numbers(GRID, r"([\d,]+) (?:runs|recipes|digits)")
    return (runs, grid) == (3 * recipes, [144, 48]) and digits == 12_000 and 0 < minutes < 600


def losses_differ_by_the_difference_of_their_means(out):
    means = out.table(LOSSES)["mean"]
    told = out.number("wrong_loss =", r"cross-entropy: ([+-][\d.]+) points")
    return abs(told - means["log-softmax + NLL"] + means["cross-entropy"]) < 0.011


def best_rates_are_those_drawn(out):
    (sgd, high), (adam, low) = (
        (float(rate), float(mean))
        for rate, mean in re.findall(r"best at ([\d.]+) with ([\d.]+) %", out.alt("sweep = as_"))
    )
    mean, left, right, n = out.numbers(
        GAP, r"Adam: (.+) points, 95 % interval (.+) to (.+) \(n = (\d+)"
    )
    return (
        out.numbers(GAP, r"best SGD at ([\d.]+), best Adam at ([\d.]+)") == [sgd, adam]
        and abs(mean - (high - low)) < 0.011
        and abs(mean - 100 * out["SGD minus Adam, validation"]) < 0.006
        and abs(left + right - 2 * mean) < 0.02
        and n == 3
    )


def changes_are_those_drawn(out):
    table, drawn = out.table(CHANGES), out.scores(ONE_CHANGE)
    words = {(True, True): "better", (False, False): "worse", (False, True): "not told apart"}
    return all(
        abs(drawn[name].mean - drawn["baseline"].mean - row["points"]) < 0.016
        and abs(row["low"] + row["high"] - 2 * row["points"]) < 0.021
        # An end that rounds to zero tells nothing of its side.
        and (0 in (row["low"], row["high"])
             or words[row["low"] > 0, row["high"] > 0] == row["than baseline"])
        for name, row in table.iterrows()
    )  # fmt: skip


def baseline_is_the_cross_entropy_of_the_first_table(out):
    row = out.table(LOSSES).loc["cross-entropy", ["mean", "low", "high"]].tolist()
    return [*out.scores(ONE_CHANGE)["baseline"]] == row


def shares_make_up_all(out):
    return abs(out.table(SHARES)["share in %"].sum() - 100) < 0.01


def numbers_recorded_are_those_drawn(out):
    drawn = out.scores(TESTED)
    names = [r.name.removesuffix(" test accuracy") for r in out.records if r.unit == "accuracy"]
    near = [
        abs(100 * out[f"{name} test accuracy"] - drawn[name if name in drawn else "chosen"].mean)
        < 0.006
        for name in names
        if name != "D deep"
    ]
    deep, n = out.numbers(DEEP, r"D on test: ([\d.]+) % \(n = (\d+)")
    return all(near) and n == 3 and abs(deep - 100 * out["D deep test accuracy"]) < 0.006


def seed_0_of_the_deep_network_is_no_lower_than_the_lowest(out):
    first, last = re.search(
        r"validation ([\d.]+) to ([\d.]*\d)", out.alt("deep = Recipe(")
    ).groups()
    return out.number(DEEP, r"after one epoch: ([\d.]+%)") < float(first) + 0.0006 < float(last)


FOLLOWS = [
    digits_are_split_as_everywhere,
    loop_reports_every_hundred_batches_and_learns,
    runs_are_those_of_the_recipes,
    losses_differ_by_the_difference_of_their_means,
    best_rates_are_those_drawn,
    changes_are_those_drawn,
    baseline_is_the_cross_entropy_of_the_first_table,
    shares_make_up_all,
    numbers_recorded_are_those_drawn,
    seed_0_of_the_deep_network_is_no_lower_than_the_lowest,
]
