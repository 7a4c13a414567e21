"""What 01_data states, and what follows from what it prints."""

import re

from tests.notebooks.statements import Statement

SPLITS = "digits = load_digits(source, seed=seed"
WRITERS = "students = (digits.test.series == 4).int()"
SHARES = r"(\w+): ([\d,]+) digits, fewest (\d) \(([\d.]+) %\), most (\d) \(([\d.]+) %\)"


def shares(out):
    """Of each split: how many digits, rarest class and its percent, most common and its."""
    found = re.findall(SHARES, out.alt("plot_class_distribution("))
    return {name: [float(v.replace(",", "")) for v in values] for name, *values in found}


STATEMENTS = [
    Statement(
        "One digit is a tensor of 28 x 28 bytes",
        lambda out: "(28, 28) torch.uint8" in out.text("one_image, one_label ="),
    ),
    Statement(
        "one of ten *classes*, 0 to 9",
        lambda out: str(list(range(10))) in out.text("one_image, one_label ="),
    ),
    Statement(
        "the 1 is the most common (about 11 %) and the 5 the rarest (about 9 %)",
        lambda out: all(
            (few, most, round(low), round(high)) == (5, 1, 9, 11)
            for _, few, low, most, high in shares(out).values()
        ),
    ),
    Statement(
        "Train and validation have the same shares",
        lambda out: shares(out)["train"][1:] == shares(out)["validation"][1:],
    ),
    Statement(
        "On all 60,000 training digits they agree to four places.",
        lambda out: (
            out.numbers("pixels = torch.cat", r"([\d.]+)   published ([\d.]+)")
            == [0.1307, 0.1307, 0.3081, 0.3081]
            and out.number("pixels = torch.cat", r"\(([\d,]+) mnist digits") == 60_000
        ),
    ),
    Statement(
        "64 images in one tensor, with one extra axis for the *channel*",
        lambda out: "images: (64, 1, 28, 28)" in out.text("next(iter(train_loader))"),
    ),
    Statement(
        "The last one is smaller unless 64 divides the number of digits.",
        lambda out: out.numbers("sizes = [", r"first has (\d+), the last (\d+)") == [64, 24],
    ),
    Statement(
        "Each is right one time in ten.",
        source="Guessing one of ten classes at random is right with probability 1/10.",
    ),
    Statement(
        "539 and 297 writers, none in both, and the first 5,001 test digits are the students'",
        lambda out: (
            out.numbers(WRITERS, r"writers in (?:training|test): +(\d+)") == [539, 297]
            and out.number(WRITERS, r"in both: +(\d+)") == 0
            and out.numbers(WRITERS, r"students: +(\d+) of (\d+)") == [5001, 10_000]
            and out.number(WRITERS, r"first 5,001: (\d+)") == 5001
        ),
    ),
    Statement(
        "All of them, and none.",
        lambda out: (
            out.numbers("apart = load_digits(", r": (\d+) writers, (\d+) also") == [539, 539, 45, 0]
        ),
    ),
    Statement(
        "A guesser scores 10 %.",
        source="Guessing one of ten classes at random is right with probability 1/10.",
    ),
    Statement(
        "About four in five. That is the mark to beat",
        lambda out: abs(out["nearest mean, test"] - 0.8) < 0.03,
    ),
    Statement(
        "The halves are not alike: one is much easier than the other.",
        lambda out: (
            out.number("by_student = ", r"employees: ([\d.]+%)")
            > out.number("by_student = ", r"students: +([\d.]+%)") + 0.05
        ),
    ),
    Statement(
        "MNIST is 70,000 small grey pictures, near enough equally many of each digit.",
        lambda out: sum(out.numbers(SPLITS, r"([\d,]+) (?:train|valid|test)")) == 70_000,
    ),
]


def splits_are_drawn_as_printed(out):
    printed = out.numbers(SPLITS, r"([\d,]+) (?:train|valid|test)")
    return printed == [count for count, *_ in shares(out).values()] == [55_000, 5_000, 10_000]


def pixels_shown_are_those_of_that_digit(out):
    ink = out.numbers("digit = digits.train.images[shown[0]]")
    return (len(ink), sum(ink), max(ink)) == (68, 11_243, 255)


def normalising_moves_0_and_1_where_the_constants_say(out):
    moved = f"from {-0.1307 / 0.3081:.4g} to {(1 - 0.1307) / 0.3081:.4g}"
    alt = out.alt("plot_histogram(values")
    return moved in alt and alt.count(f"{200 * 28 * 28} values") == 2


def batches_make_up_the_training_digits(out):
    batches = r"(\d+) batches; the first has (\d+), the last (\d+)"
    n, first, last = out.numbers("sizes = [", batches)
    return first * (n - 1) + last == 55_000


def factor_of_the_loaders_is_that_of_their_seconds(out):
    slow, digits, fast, factor = out.numbers("usual, fast =", r"([\d.,]+)(?: s|(?= digits| times))")
    return digits == 20_000 and slow / (fast + 0.006) < factor < slow / max(fast - 0.006, 1e-3)


def guessers_score_what_the_seed_says(out):
    return out.numbers("guesses = ", r"([\d.]+%)$") == [0.142, 0.096]


def nearest_mean_is_as_good_as_recorded(out):
    share, digits = out.numbers("distances = ", r"([\d.]+%) of ([\d,]+)")
    return digits == 10_000 and abs(share - out["nearest mean, test"]) < 0.0006


def halves_make_up_the_whole(out):
    students, first, employees, second = out.numbers("by_student =", r"([\d.]+%) of ([\d,]+)")
    whole = (students * first + employees * second) / 10_000
    return first + second == 10_000 and abs(whole - out["nearest mean, test"]) < 0.0006


FOLLOWS = [
    splits_are_drawn_as_printed,
    pixels_shown_are_those_of_that_digit,
    normalising_moves_0_and_1_where_the_constants_say,
    batches_make_up_the_training_digits,
    factor_of_the_loaders_is_that_of_their_seconds,
    guessers_score_what_the_seed_says,
    nearest_mean_is_as_good_as_recorded,
    halves_make_up_the_whole,
]
