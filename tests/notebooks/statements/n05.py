"""What 05_mobilenet_transfer states, and what follows from what it prints."""

import math

from tests.notebooks.statements import Statement

SIZE, FROZEN, SHAPE = "(as E4)", "freeze(model.features)", "inputs = preprocess("
SPEED, HEAD, CONTROL, TABLE = "feature_seconds = count", "results = []", "control = {", "cnn = run_"
PRETRAINED, RANDOM, PIXELS = "pretrained features", "random features", "pixels"


STATEMENTS = [
    Statement(
        "a million photographs of a thousand kinds of things",
        source="ImageNet's challenge, 1.28 million images of 1,000 classes: "
        "Russakovsky and others, 2015, arXiv 1409.0575.",
    ),
    Statement(
        "turns a photograph into 1,280 numbers",
        lambda out: out.numbers(SPEED, r"training: \(\d+, (\d+)\)") == [1280],
    ),
    Statement(
        "The published size is about 3.5 million parameters.",
        lambda out: round(out.number(SIZE, r"1,000 .*: +([\d,]+)") / 1e6, 1) == 3.5,
    ),
    Statement(
        "the one that README E trains has a third fewer",
        lambda out: (
            0.3
            < 1 - out.number(SIZE, r"10 classes: +([\d,]+)") / out.number(SIZE, r"E4\): +([\d,]+)")
            < 0.37
        ),
    ),
    Statement(
        "colour photographs of 224 x 224 pixels",
        lambda out: "(6, 28, 28) to (6, 3, 224, 224)" in out.text(SHAPE),
    ),
    Statement(
        "Sixty-four times as many pixels",
        lambda out: "(6, 28, 28) to (6, 3, 224, 224)" in out.text(SHAPE) and 224**2 == 64 * 28**2,
    ),
    Statement(
        "Half a percent: 1,280 weights and one bias for each of ten classes.",
        lambda out: (
            out.number(FROZEN, r"trainable ([\d,]+)") == 1280 * 10 + 10
            and 0.005 < 12_810 / out.number(FROZEN, r"frozen ([\d,]+)") < 0.006
        ),
    ),
    Statement(
        "Random features come out *below* the raw pixels",
        lambda out: out.scores(CONTROL)[RANDOM].high < out.scores(CONTROL)[PIXELS].low,
    ),
    Statement(
        "What the pretrained bar has over the other two",
        lambda out: (
            out.scores(CONTROL)[PRETRAINED].low
            > max(out.scores(CONTROL)[PIXELS].high, out.scores(CONTROL)[RANDOM].high)
        ),
    ),
    Statement(
        "The CNN has a fortieth of the parameters",
        lambda out: (
            35
            < out.table(TABLE)["parameters"].iloc[0] / out.table(TABLE)["parameters"].iloc[1]
            < 45
        ),
    ),
    Statement(
        "these cost more than an epoch of the CNN on five times as many digits",
        lambda out: (
            out.table(TABLE)["seconds for features, once"].iloc[0]
            > out.table(TABLE)["seconds of training"].iloc[1]
            and 58_000 // 12_000 + 1 == 5
        ),
    ),
    Statement(
        "For digits a CNN of fifty thousand parameters is still the better tool.",
        lambda out: (
            round(out.table(TABLE)["parameters"].iloc[1], -3) == 50_000
            and out["E CNN corrected test accuracy"] > out["MobileNetV2 head test accuracy"]
        ),
    ),
]


def digits_are_split(out):
    splits = out.numbers("validation_size=2000", r"([\d,]+) (?:train|valid|test)")
    return splits == [58_000, 2_000, 10_000]


def time_for_features_is_that_of_their_rate(out):
    rate, seconds, count = out.numbers(SPEED, r"([\d,]+) digits a.* ([\d,]+) s for all ([\d,]+)")
    told = out.table(TABLE)["seconds for features, once"].iloc[0]
    shape = out.numbers(SPEED, r"training: \((\d+), (\d+)\)")
    return (
        (count, shape) == (24_000, [12_000, 1280])
        and abs(count / told - rate) < 0.6
        and abs(seconds - told) < 0.6
    )


def head_is_as_good_as_recorded(out):
    mean, low, high, n = out.numbers(HEAD, r"on test: (.+) % \[(.+), (.+)\] \(n = (\d+)\)")
    drawn = out.alt(HEAD)
    return (
        n == 3
        and abs(mean - 100 * out["MobileNetV2 head test accuracy"]) < 0.006
        and abs(mean - out.table(TABLE)["test accuracy in %"].iloc[0]) < 0.006
        and abs(low + high - 2 * mean) < 0.02
        and drawn.startswith("The head, epoch by epoch: train 0.8")
    )


def control_is_drawn_as_recorded(out):
    drawn = out.scores(CONTROL)
    return len(drawn) == 3 and all(
        abs(score.mean - 100 * out[f"linear on {name}"]) < 0.006
        and math.isclose(score.low + score.high, 2 * score.mean, abs_tol=0.02)
        for name, score in drawn.items()
    )


def table_shows_what_was_recorded_and_counted(out):
    mobilenet, cnn = (row for _, row in out.table(TABLE).iterrows())
    return (
        abs(cnn["test accuracy in %"] - 100 * out["E CNN corrected test accuracy"]) < 0.006
        and abs(mobilenet["seconds of training"] - out["head training"]) < 0.006
        and abs(cnn["seconds of training"] - out["E CNN corrected training"]) < 0.006
        and mobilenet["parameters"] == out.number(SIZE, r"10 classes: +([\d,]+)")
        and mobilenet["of those trained"] == out.number(FROZEN, r"trainable ([\d,]+)")
        and cnn["of those trained"] == cnn["parameters"] == 50_186
    )


FOLLOWS = [
    digits_are_split,
    time_for_features_is_that_of_their_rate,
    head_is_as_good_as_recorded,
    control_is_drawn_as_recorded,
    table_shows_what_was_recorded_and_counted,
]
