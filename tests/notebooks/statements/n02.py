"""What follows from what 02_linear_vs_relu prints; what it states is still to come."""

import re

STATEMENTS = []
LOADED = "digits = load_digits("
HEAP = r"(\d) lost: (\d+) values from ([\d.]*\d) to ([\d.]*\d)"
ENDS = r"V0 (\w+) ([\d.]*\d) to ([\d.]*\d)"


def first_training_is_drawn_and_timed_as_its_table_says(out):
    table = out.table("history_0 = train(model_0)")
    drawn = re.findall(ENDS, out.alt("plot_history("))
    near = [
        abs(table[f"{part}_accuracy"].iloc[place] - float(value)) < 0.0006
        for part, *ends in drawn
        for place, value in zip((0, -1), ends, strict=True)
    ]
    return len(near) == 4 and all(near) and abs(table["seconds"].sum() - out["V0 training"]) < 0.001


def numbers_recorded_are_those_of_the_summary(out):
    table = out.table("summary = summarize(runs")
    near = [
        abs(out[f"{name} test accuracy"] - row["mean"]) < 0.0001 for name, row in table.iterrows()
    ]
    near += [
        abs(out[f"{name} minus V0"] - (out[f"{name} test accuracy"] - out["V0 test accuracy"]))
        < 1e-6
        for name in ("V1", "V1 corrected")
    ]
    return all(near) and abs(out["V1 worst run"] - table.loc["V1", "worst"]) < 0.0001


def lost_classes_divide_the_runs_of_v1(out):
    table, summary = out.table("which = [lost_classes"), out.table("summary = summarize(runs")
    heaps = [[float(v) for v in heap] for heap in re.findall(HEAP, out.alt("heaps = {"))]
    drawn = [[int(lost), runs, low / 100, high / 100] for lost, runs, low, high in heaps]
    rows = [[int(lost), row["runs"], row["min"], row["max"]] for lost, row in table.iterrows()]
    near = all(
        abs(a - b) < 0.0006
        for heap, row in zip(drawn, rows, strict=True)
        for a, b in zip(heap, row, strict=True)
    )
    mean = (table["runs"] * table["mean"]).sum() / table["runs"].sum()
    v1 = summary.loc["V1"]
    return near and table["runs"].sum() == v1["n"] and abs(mean - v1["mean"]) < 0.001


def seeds_are_as_many_as_in_the_summary(out):
    trainings = out.numbers("models = {name: [build_model", r"(\d+) trainings in (\d+) s")
    return trainings[::2] == out.table("summary = summarize(runs")["n"].tolist() and all(
        0 < seconds < 600 for seconds in trainings[1::2]
    )


def steps_by_hand_start_at_chance_and_learn(out):
    losses = out.numbers("by_hand = MNISTModelV0()", r"loss ([\d.]+)")
    return losses == sorted(losses, reverse=True) and 2.2 < losses[0] < 2.4 and losses[-1] < 0.4


def digits_are_split_as_everywhere(out):
    splits = out.numbers(LOADED, r"([\d,]+) (?:train|valid|test)")
    return splits == [55_000, 5_000, 10_000]


def unharmed_runs_lost_one_class_the_first(out):
    lost_one = out.table("which = [lost_classes").loc["1", "runs"]
    count = out.number("unharmed = counted", r"no points: (\d+)")
    classes = out.numbers("unharmed = counted", r"\[(\d)\]")
    return 0 < count < lost_one and classes == [0]


def digits_with_ten_zeros_are_read_as_0(out):
    """No fewer than those of classes that no answer is left for, but for the 0s."""
    silent, digits = out.numbers("silent = ", r"([\d,]+) of ([\d,]+)")
    as_zero = map(int, re.findall(r"\d as 0, (\d+) times", out.alt("matrix_1 = confusion_matrix(")))
    return digits == 10_000 and sum(as_zero) < silent < digits * (1 - out["V1 worst run"])


FOLLOWS = [
    digits_are_split_as_everywhere,
    steps_by_hand_start_at_chance_and_learn,
    unharmed_runs_lost_one_class_the_first,
    digits_with_ten_zeros_are_read_as_0,
    first_training_is_drawn_and_timed_as_its_table_says,
    numbers_recorded_are_those_of_the_summary,
    lost_classes_divide_the_runs_of_v1,
    seeds_are_as_many_as_in_the_summary,
]
