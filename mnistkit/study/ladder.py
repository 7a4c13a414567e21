"""Beyond the READMEs: the ladder to CompactCNN, step by step, and its ensembles."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from mnistkit.metrics import interval_of_share
from mnistkit.study.rules import TEST_DIGITS, spread
from mnistkit.study.table import Runs
from mnistkit.trust.disputed import split_off_disputed


@dataclass(frozen=True)
class Step:
    """One row of the ladder: the name of its runs, what they are, and the step before."""

    name: str
    adds: str
    before: str = ""


LADDER = (
    Step("E CNN corrected", "README E's CNN, without its softmax"),
    Step("CompactCNN, Adam", "six convolutions instead, 24 epochs, still Adam", "E CNN corrected"),
    Step("CompactCNN, one-cycle", "SGD with momentum, rates in one cycle", "CompactCNN, Adam"),
    Step(
        "CompactCNN, affine",
        "augmentation: moved, turned, scaled, slanted",
        "CompactCNN, one-cycle",
    ),
    Step("CompactCNN", "smoothed labels: this is CompactCNN", "CompactCNN, affine"),
    Step("CompactCNN, averaging", "weights averaged (not taken)", "CompactCNN"),
)


def ladder(runs: Runs) -> pd.DataFrame:
    """One row a step: what it adds, accuracy on test, and the gain over the step before.

    Columns adds, before, mean, low, high, deviation, worst, n, gain, gain_low, gain_high
    (in points, paired by seed; NaN where nothing is before), parameters, seconds (median).
    A step without runs is left out.
    """
    rows = {}
    there = set(runs.frame["name"])
    for step in LADDER:
        if not {step.name, step.before or step.name} <= there:
            continue
        accuracy = runs.accuracy(step.name)
        row = {"adds": step.adds, "before": step.before} | vars(accuracy)
        gain = 100 * runs.difference(step.name, step.before) if step.before else None
        row |= {f"gain{end}": getattr(gain, part, float("nan"))
                for end, part in (("", "mean"), ("_low", "low"), ("_high", "high"))}  # fmt: skip
        row |= {"parameters": int(runs.of(step.name)["parameters"].iloc[0])}
        rows[step.name] = row | {"seconds": runs.seconds(step.name)}
    return pd.DataFrame.from_dict(rows, orient="index")


def errors_of(runs: Runs, name: str) -> pd.DataFrame:
    """One row a run: accuracy, errors, how many of them have a sound and a disputed label.

    low, high: 95 % interval (Wilson, 1927) of the accuracy, as counted over 10,000 digits.
    """
    rows = []
    for run in runs.of(name).itertuples():
        sound, disputed = split_off_disputed(run.wrong)
        errors = len(sound) + len(disputed)
        low, high = interval_of_share(TEST_DIGITS - errors, TEST_DIGITS)
        rows.append({
            "seed": run.seed, "accuracy": run.test_accuracy, "low": low, "high": high,
            "errors": errors, "sound label": len(sound), "disputed label": len(disputed),
            "loss": run.test_loss, "seconds": run.seconds,
        })  # fmt: skip
    return pd.DataFrame(rows).set_index("seed")


def to_markdown(runs: Runs) -> str:
    """The ladder and the ensembles as the README shows them."""
    head = ["| | test accuracy | worst | n | gain in points | parameters |",
            "|---|---|---|---|---|---|"]  # fmt: skip
    rows = [f"| {' | '.join(cells)} |" for cells in _cells(runs)]
    return "\n".join([*head, *rows])


def to_text(runs: Runs) -> str:
    """The same for a terminal."""
    return "\n".join(
        f"{name:52}  {accuracy:16}  worst {worst}  n = {n}  {gain}".rstrip()
        for name, accuracy, worst, n, gain, _ in _cells(runs)
    )


def _cells(runs: Runs) -> list[list[str]]:
    steps = [
        [
            row.adds,
            spread(runs.accuracy(row.Index)),
            f"{100 * row.worst:.2f} %",
            str(row.n),
            f"{row.gain:+.2f} [{row.gain_low:+.2f}, {row.gain_high:+.2f}]" if row.before else "",
            f"{row.parameters:,}",
        ]
        for row in ladder(runs).itertuples()
    ]
    together = runs.of("CompactCNN ensemble")
    if len(together):
        each = together["test_accuracy"]
        shown = " and ".join(f"{100 * value:.2f}" for value in each) + " %"
        steps.append([
            "five CompactCNNs together", shown, f"{100 * each.min():.2f} %", str(len(each)), "",
            f"{int(together['parameters'].iloc[0]):,}",
        ])  # fmt: skip
    return steps
