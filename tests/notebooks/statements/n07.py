"""What 07_trust states, and what follows from what it prints."""

import re

from scipy.stats import binomtest

from tests.notebooks.statements import Statement
from tests.notebooks.statements.bounds import stored_runs

TABLE, COOLED, PAIRS = "table = calibration_table(", "temperature = min(", "pairwise(order)"
HANDS, STORED, ALL = "by_hand = pd.DataFrame(", 'read_table().of("CompactCNN")', "misread = "
WRONG, MEANS = "disputed = [place", "means = pd.DataFrame({kind"
GAP = re.compile(r"([\w ]+) is on average ([\d.]+) points (?:less|more) sure than right")
HAND = r"^(\S.*?) +([\d.]+) +([\d.]+) +([\d.]+)$"
CNNS, MLPS = ["V2", "B CNN", "E CNN", "E CNN corrected", "FastCNN"], ["A wide", "B MLP", "E MLP"]


def hands(out):
    """Errors in percent on students' and employees' digits, and their ratio, by model."""
    names = re.findall(HAND, out.text(HANDS), flags=re.M)
    values = out.numbers(HANDS, r"^\S.*? +([\d.]+) +([\d.]+) +([\d.]+)$")
    return {name: values[3 * n : 3 * n + 3] for n, (name, *_) in enumerate(names)}


STATEMENTS = [
    Statement(
        "But the worst of all is the best model: CompactCNN's ECE is near 0.1, twenty times its "
        "noise.",
        lambda out: (
            out.table(TABLE)[["ECE", "accuracy"]].idxmax().tolist() == ["CompactCNN"] * 2
            and abs(out["CompactCNN ECE"] - 0.1) < 0.01
            and 18 < out["CompactCNN ECE"] / out.table(TABLE).loc["CompactCNN", "noise"] < 25
        ),
    ),
    Statement(
        "Its NLL is four times FastCNN's, with a quarter of the errors.",
        lambda out: (
            3.5 < out["CompactCNN NLL"] / out.table(TABLE).loc["FastCNN", "NLL"] < 4.7
            and 0.2 < (1 - out["CompactCNN test accuracy"])
            / (1 - out.table(TABLE).loc["FastCNN", "accuracy"]) < 0.33
        ),
    ),
    Statement(
        "its NLL is a tenth of what it was",
        lambda out: 8 < out.table(COOLED)["NLL"].iloc[0] / out.table(COOLED)["NLL"].iloc[1] < 13,
    ),
    Statement(
        "(Guo and others, 2017)",
        source="Guo and others, On Calibration of Modern Neural Networks, 2017, arXiv 1706.04599.",
    ),
    Statement(
        "Eleven tests at once ask for a p below 0.05 / 11 = 0.0045 each",
        lambda out: len(out.table(PAIRS)) == 11 and round(0.05 / 11, 4) == 0.0045,
    ),
    Statement(
        "Three differences pass: E's MLP against a linear model, the wide MLP against E's narrow "
        "one, and CompactCNN against FastCNN.",
        lambda out: [*out.table(PAIRS).index[out.table(PAIRS)["p"] < 0.05 / 11]] == [
            "E MLP against V1 corrected", "A wide against E MLP", "CompactCNN against FastCNN",
        ],
    ),
    Statement(
        "E's CNN against V2 just misses it.",
        lambda out: 0.05 / 11 < out.table(PAIRS).loc["E CNN against V2", "p"] < 0.01,
    ),
    Statement(
        "The students', for every model",
        lambda out: (
            len(hands(out)) == 12
            and all(students > employees for students, employees, _ in hands(out).values())
        ),
    ),
    Statement(
        "twice as many on students' digits",
        lambda out: (
            1.7
            < out.number(STORED, r"'students': ([\d.]+)")
            / out.number(STORED, r"'employees': ([\d.]+)")
            < 2.3
        ),
    ),
    Statement(
        "Of CompactCNN's errors a third are disputed.",
        lambda out: (
            0.28
            < out.number(WRONG, r"(\d+) of them disputed") / out.number(WRONG, r"misreads (\d+) of")
            < 0.4
        ),
    ),
    Statement(
        "The best under noise is plain V2, four convolutions of ten channels.",
        lambda out: out.table(MEANS)["noise"].idxmax() == "V2",
    ),
    Statement(
        "MobileNetV2, trained on a million photographs, is worst of all under noise",
        lambda out: out.table(MEANS)["noise"].idxmin() == "MobileNetV2",
    ),
    Statement(
        "shifts take a quarter to a third of the digits from the other CNNs, a third to a half "
        "from the MLPs, and more than half from the linear models",
        lambda out: (
            out.table(MEANS)["shift"][CNNS].between(65, 78).all()
            and out.table(MEANS)["shift"][[*MLPS, "D deep"]].between(50, 68).all()
            and (out.table(MEANS)["shift"][["V0", "V1 corrected"]] < 50).all()
        ),
    ),
]  # fmt: skip


def digits_are_not_split(out):
    splits = out.numbers("names = [", r"([\d,]+) (?:train|valid|test)")
    return splits == [60_000, 0, 10_000]


def calibrated_means_below_the_noise(out):
    table = out.table(TABLE)
    told = [table["ECE"] <= table["noise_95"] + 0.0001, table["ECE"] < table["noise_95"] - 0.0001]
    words = table["calibrated"] == "True"
    return bool((words <= told[0]).all() and (words >= told[1]).all()) and bool(
        (table["noise"] < table["noise_95"]).all()
    )


def reliability_is_drawn_as_its_table_says(out):
    drawn = GAP.findall(out.alt("plot_reliability(").partition(": ")[2])
    ece = out.table(TABLE)["ECE"]
    return len(drawn) == 4 and all(
        float(gap) <= 100 * ece[name.strip()] + 0.006 for name, gap in drawn
    )


def tests_count_what_the_accuracies_differ_by(out):
    accuracy, pairs = out.table(TABLE)["accuracy"], out.table(PAIRS)
    near = []
    for words, (first, second, p) in zip(pairs.index, pairs.to_numpy(), strict=True):
        better, worse = words.split(" against ")
        near += [
            abs((first - second) / 10_000 - (accuracy[better] - accuracy[worse])) < 0.00011,
            abs(binomtest(int(first), int(first + second)).pvalue - p) < 0.00006,
        ]
    return all(near)


def halves_make_up_the_accuracies(out):
    accuracy = out.table(TABLE)["accuracy"]
    return all(
        abs((5001 * students + 4999 * employees) / 1e6 - (1 - accuracy[name])) < 0.0002
        # Both are rounded, and employees' errors are few.
        and abs(students / employees - ratio) < 0.006 * (1 + ratio) / employees + 0.006
        for name, (students, employees, ratio) in hands(out).items()
    )


def stored_errors_are_those_of_ten_seeds(out):
    places = stored_runs().of("CompactCNN")["wrong"]
    students = sum(place < 5001 for wrong in places for place in wrong) / len(places)
    both = [students, places.str.len().mean() - students]
    told = out.numbers(STORED, r"'(?:students|employees)': ([\d.]+)")
    n = out.number(STORED, r"n = (\d+)")
    return told == [round(value, 1) for value in both] and n == len(places)


def digits_that_all_misread_are_drawn(out):
    digits, models = out.numbers(ALL, r"(\d+) digits are misread by all (\d+)")
    alt = out.alt(ALL)
    drawn = re.findall(r"no\. (\d+), label (\d), read (\d)", alt)
    return (
        models == 10
        and f"({digits:.0f} images)" in alt
        and len(drawn) == min(digits, 18)
        and all(label != read for _, label, read in drawn)
    )


def disputed_digits_are_drawn_as_counted(out):
    wrong, of, disputed = out.numbers(WRONG, r"misreads (\d+) of ([\d,]+) test digits, (\d+) of")
    drawn = re.findall(r"no\. (\d+), label (\d), read (\d)", out.alt(WRONG))
    return (
        abs(1 - wrong / of - out["CompactCNN test accuracy"]) < 1e-6
        and len(drawn) == 15
        and sum(label != read for _, label, read in drawn) == disputed
    )


def means_over_corruptions_are_those_recorded(out):
    means = out.table(MEANS)
    kinds = {"moved": ["shift", "rotation", "scale"], "soiled": ["noise", "blur", "stripes"]}
    near = [
        abs(means.loc[name, kind].mean() / 100 - out[f"{name}, right when {words}"]) < 0.0006
        for name in ("CompactCNN", "V2")
        for words, kind in kinds.items()
    ]
    everything = means[[*kinds["moved"], *kinds["soiled"]]].mean(axis=1)
    return all(near) and bool(((everything - means["all"]).abs() < 0.11).all())


def numbers_recorded_are_those_of_the_table(out):
    table = out.table(TABLE)
    near = [
        abs(out["CompactCNN test accuracy"] - table.loc["CompactCNN", "accuracy"]),
        abs(out["CompactCNN NLL"] - table.loc["CompactCNN", "NLL"]),
        abs(out["CompactCNN ECE"] - table.loc["CompactCNN", "ECE"]),
        abs(out["E CNN ECE"] - table.loc["E CNN", "ECE"]),
    ]
    return max(near) < 0.00006


FOLLOWS = [
    digits_are_not_split,
    calibrated_means_below_the_noise,
    reliability_is_drawn_as_its_table_says,
    tests_count_what_the_accuracies_differ_by,
    halves_make_up_the_accuracies,
    stored_errors_are_those_of_ten_seeds,
    digits_that_all_misread_are_drawn,
    disputed_digits_are_drawn_as_counted,
    means_over_corruptions_are_those_recorded,
    numbers_recorded_are_those_of_the_table,
]
