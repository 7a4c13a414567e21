"""What 04_cnn states, and what follows from what it prints."""

import re

from tests.notebooks.statements import Statement

# How often each class is in MNIST's test set.
COUNTS = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
SUMMARY, GAP, SURE = "v2_runs = run_grid(", "corrected minus published", "wrong answers given with"
CONFUSION, BY_CLASS, TWICE = "matrix = confusion_matrix(", "by_class = per_class", "perfect = torch"
LADDER, TEN = "steps = ladder(stored)", 'ten = errors_of(stored, "CompactCNN")'
ENSEMBLE, COMPACT = '"CompactCNN ensemble"', "print(compact)"


def parameters(out, model):
    return out.table(f"layer_table({model})")["parameters"].sum()


STATEMENTS = [
    Statement(
        "the models train on all 60,000 training digits",
        lambda out: out.numbers("validation_size=0", r"([\d,]+) train, (\d+) v") == [60_000, 0],
    ),
    Statement(
        "the second softmax costs accuracy, about half a point",
        lambda out: (
            (out.table(SUMMARY)["mean"]["E CNN corrected"] - out.table(SUMMARY)["mean"]["E CNN"])
            > 0.003
            and out.number(GAP, r"interval ([+-][\d.]+) to") > 0
        ),
    ),
    Statement(
        "that is 114,618 parameters, hardly more than A's MLP has",
        lambda out: parameters(out, 'build_model("CompactCNN")') == 114_618,
    ),
    Statement(
        "six convolutions of 3 x 3",
        lambda out: [*out.table('layer_table(build_model("CompactCNN"))')["layer"]].count("Conv2d")
        == 6,
    ),
    Statement(
        "Three steps are clear of zero.",
        lambda out: (out.table(LADDER)["gain_low"] > 0).sum() == 3,
    ),
    Statement(
        "Five networks together misread 26 and 24 digits, hardly fewer than one alone.",
        lambda out: (
            out.table(ENSEMBLE)["errors"].tolist() == [26, 24]
            and 0 < out.table(TEN)["errors"].mean() - 25 < 4
        ),
    ),
    Statement(
        "Seven of them are digits whose label people doubt",
        lambda out: out.table(ENSEMBLE)["disputed label"].tolist() == [7, 7],
    ),
]  # fmt: skip


def digits_are_not_split(out):
    return out.numbers("validation_size=0", r"([\d,]+) (?:train|v|test)") == [60_000, 0, 10_000]


def gap_is_the_difference_of_the_means(out):
    means = out.table(SUMMARY)["mean"]
    gap, low, high, n = out.numbers(GAP, r": (.+) points, 95 % interval (.+) to (.+) \(n = (\d)")
    return (
        abs(gap - 100 * (means["E CNN corrected"] - means["E CNN"])) < 0.016
        and abs(low + high - 2 * gap) < 0.02
        and n == out.table(SUMMARY).loc["E CNN", "n"]
    )


def wrong_answers_are_those_that_are_not_right(out):
    table = out.table(SURE)
    wrong = (10_000 * (1 - table["right"])).round()
    return bool((wrong == table["wrong answers"]).all())


def confusions_are_of_the_model_that_was_measured(out):
    right, wrong = out.table(SURE).loc["E CNN corrected", ["right", "wrong answers"]]
    alt, pairs = out.alt(CONFUSION), out.table("most_confused(matrix, top=8)").head(3)
    listed = [f"{t:.0f} as {p:.0f}, {n:.0f} times" for t, p, n in pairs.to_numpy()]
    return alt.endswith(
        f"{10_000 - wrong:,.0f} of 10,000 right ({100 * right:.2f} %); "
        f"most confused: {', '.join(listed)}."
    ) and f"12 of {wrong:.0f}" in out.alt("plot_mistakes(")


def classes_make_up_the_whole(out):
    shares = [score.mean / 100 for score in out.scores(BY_CLASS).values()]
    rights = [share * count for share, count in zip(shares, COUNTS, strict=True)]
    whole = [round(right) for right in rights]
    near = all(abs(a - b) < 0.07 for a, b in zip(rights, whole, strict=True))
    return near and sum(whole) == 10_000 - out.table(SURE).loc["E CNN corrected", "wrong answers"]


def ladder_is_drawn_as_its_table_says(out):
    table, drawn = out.table(LADDER).iloc[1:], out.scores("plot_intervals(")
    gains = table[["gain", "gain_low", "gain_high"]].to_numpy()
    return [*drawn] == [*table["adds"]] and all(
        abs(a - b) < 0.006
        for row, score in zip(gains, drawn.values(), strict=True)
        for a, b in zip(row, score, strict=True)
    )


def numbers_recorded_are_those_measured(out):
    means = out.table(SUMMARY)["mean"]
    near = [abs(out[f"{n} test accuracy"] - mean) < 0.0001 for n, mean in means.items()]
    train, share, test = out.numbers(COMPACT, r"on ([\d,]+) digits.*: ([\d.]+%) of ([\d,]+)")
    return (
        all(near)
        and (train, test) == (60_000, 10_000)
        and abs(share - out["CompactCNN test accuracy"]) < 0.0001
        and out["CompactCNN parameters"] == parameters(out, 'build_model("CompactCNN")')
    )


def drawn_digit_is_told_twice(out):
    alt = out.alt("draw_digit(compact.model)")
    (digit, share), (again, same) = (
        re.search(pattern, alt).groups()
        for pattern in (r"It reads (\d) \(([\d.]+)%\)", r"most probable (\d) with ([\d.]+) %")
    )
    return (digit, share) == (again, same) and float(share) <= 92


FOLLOWS = [
    digits_are_not_split,
    gap_is_the_difference_of_the_means,
    wrong_answers_are_those_that_are_not_right,
    confusions_are_of_the_model_that_was_measured,
    classes_make_up_the_whole,
    ladder_is_drawn_as_its_table_says,
    numbers_recorded_are_those_measured,
    drawn_digit_is_told_twice,
]
