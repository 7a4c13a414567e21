"""How a verdict on a published number follows from runs.

A README prints one run. So an accuracy or a loss is judged by the question whether a run of
ours would give it, by the 95 % prediction interval of one further run:

    mean +- t sqrt(s^2 (1 + 1 / n) + v)

with mean and standard deviation s of our n runs of the same recipe, and Student's t with
n - 1 degrees of freedom (Hahn and Meeker, 1991). v is 0 where the README counted on the same
10,000 digits as we do. README A counted on QMNIST's 60,000, of which ours are a sixth: two
such counts of a share p differ by chance with variance p (1 - p) (1 / 10,000 - 1 / 60,000).

- A published number inside the interval is *reproduced*. If it is worse than all of the
  interval it is *surpassed*, if it is better than all of it, *not reproduced*. Of a published
  range ("95 to 97 %", "> 98 %") it is enough that a part lies inside.
- Where a README leaves a setting open, the verdict is that of the library's default. If
  other settings would change it, it *depends* on what the README does not say.
- "A beats B" is judged by the 95 % confidence interval of the difference, paired by seed:
  *reproduced* above zero, *not reproduced* below, and otherwise *undecided*. Several such
  claims at once share the 5 % (Bonferroni). It, too, depends on a setting that is open, where
  both sides were run at others.
- *Undecided* is also what has a run missing, or one that diverged, and what was measured on
  the sample: see `claims.judge`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from mnistkit.metrics import Interval, prediction_interval
from mnistkit.study.table import Runs

REPRODUCED, SURPASSED = "reproduced", "surpassed"
NOT_REPRODUCED, UNDECIDED = "not reproduced", "undecided"
DEPENDS = "depends on what the README does not say"
TEST_DIGITS = 10_000
QMNIST_DIGITS = 60_000  # README A's test digits, of which MNIST's are a sixth


class Rule(Protocol):
    """How a verdict follows from runs: the names that it needs, and `judge`.

    tried: names of runs at other settings, on which the verdict may depend.
    """

    names: tuple[str, ...]
    tried: tuple[str, ...]

    def judge(self, runs: Runs) -> tuple[str, str]:
        """Return the verdict, and in words what was measured."""


def compare(interval: Interval, low: float, high: float) -> str:
    """Judge a published range from low to high by a prediction interval of accuracies.

    Undecided without an interval: one run has none, nor have runs of which one diverged.
    """
    if interval.low != interval.low:
        return UNDECIDED
    if interval.low > high:
        return SURPASSED
    return NOT_REPRODUCED if interval.high < low else REPRODUCED


@dataclass(frozen=True)
class Setting:
    """One way to fill in what a README leaves open: runs, and after which of their epochs.

    words: what it is, as in "rate 0.1". epochs: 0 for all. Runs at a constant rate after k
    epochs are runs of k epochs.
    """

    name: str
    words: str
    epochs: int = 0


@dataclass(frozen=True)
class Reaches:
    """A run of ours would give the published accuracy, or one in the published range.

    elsewhere: how many digits the README counted on, if ours are only a part of them.
    open: other settings under which the same is asked.
    """

    name: str
    low: float
    high: float
    elsewhere: int = 0
    open: tuple[Setting, ...] = ()

    @classmethod
    def about(cls, name: str, published: float, *, elsewhere: int = 0, open=()) -> Reaches:
        """Take a single published number as the range."""
        return cls(name, published, published, elsewhere, tuple(open))

    @property
    def names(self) -> tuple[str, ...]:
        """The one experiment."""
        return (self.name,)

    @property
    def tried(self) -> tuple[str, ...]:
        """Those at other settings."""
        return tuple(dict.fromkeys(s.name for s in self.open if s.name != self.name))

    def judge(self, runs: Runs) -> tuple[str, str]:
        """Compare the prediction interval with the range, under each setting."""
        values = runs.of(self.name)["test_accuracy"]
        verdict = self.verdict(values)
        if self.open and {found for _, found in self.by_setting(runs)} != {verdict}:
            verdict = DEPENDS
        return verdict, further_run(self.interval(values))

    def interval(self, values) -> Interval:
        """Where one further run would lie, counted as the README counted."""
        counts = 1 / TEST_DIGITS - 1 / self.elsewhere if self.elsewhere else 0.0
        return prediction_interval(values, variance=self.low * (1 - self.low) * counts)

    def verdict(self, values) -> str:
        """The verdict by these accuracies alone."""
        return compare(self.interval(values), self.low, self.high)

    def by_setting(self, runs: Runs) -> list[tuple[Setting, str]]:
        """The verdict with the setting that was taken here, and with each of the others."""
        words = f"rate {runs.rate(self.name):g}"
        if any(setting.epochs for setting in self.open):
            words += f" for {runs.by_epoch(self.name).shape[1]} epochs"
        settings = [Setting(self.name, f"{words} (taken here)"), *self.open]
        return [(s, self.verdict(accuracies(runs, s))) for s in settings]


@dataclass(frozen=True)
class HasLoss:
    """A run of ours would give the published loss on test."""

    name: str
    published: float
    tried: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The one experiment."""
        return (self.name,)

    def judge(self, runs: Runs) -> tuple[str, str]:
        """As accuracies are judged, turned round: a smaller loss is better."""
        interval = prediction_interval(-runs.of(self.name)["test_loss"])
        low = max(-interval.high, 0.0)
        words = f"{-interval.mean:.3f} [{low:.3f}, {-interval.low:.3f}]"
        return compare(interval, -self.published, -self.published), words


@dataclass(frozen=True)
class NeverBelow:
    """Hardly a run of ours would stay below a threshold."""

    name: str
    threshold: float
    tried: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The one experiment."""
        return (self.name,)

    def judge(self, runs: Runs) -> tuple[str, str]:
        """Reproduced if all of the prediction interval lies above the threshold."""
        interval = prediction_interval(runs.of(self.name)["test_accuracy"])
        if interval.low != interval.low:
            return UNDECIDED, further_run(interval)
        above = interval.low > self.threshold
        return REPRODUCED if above else NOT_REPRODUCED, further_run(interval)


@dataclass(frozen=True)
class Beats:
    """Each first experiment is more accurate than its second, over the same seeds.

    open: the same pairs at other settings, under which the same is asked.
    """

    pairs: tuple[tuple[str, str], ...]
    open: tuple[tuple[tuple[str, str], ...], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All experiments, each once."""
        return tuple(dict.fromkeys(name for pair in self.pairs for name in pair))

    @property
    def tried(self) -> tuple[str, ...]:
        """Those at other settings, each once."""
        return tuple(dict.fromkeys(n for pairs in self.open for pair in pairs for n in pair))

    def differences(self, runs: Runs) -> list[Interval]:
        """One interval a pair, all of them right together 19 times in 20."""
        return _differences(self.pairs, runs)

    def judge(self, runs: Runs) -> tuple[str, str]:
        """Reproduced if all intervals lie above zero, not reproduced if one lies below."""
        found = self.differences(runs)
        verdict, words = _direction(found), "; ".join(points(interval) for interval in found)
        if any(_direction(_differences(pairs, runs)) != verdict for pairs in self.open):
            verdict = DEPENDS
        return verdict, words


def _differences(pairs: Sequence[tuple[str, str]], runs: Runs) -> list[Interval]:
    level = 1 - 0.05 / len(pairs)
    return [runs.difference(*pair, level) for pair in pairs]


def _direction(found: Sequence[Interval]) -> str:
    if any(interval.high < 0 for interval in found):
        return NOT_REPRODUCED
    return REPRODUCED if all(interval.low > 0 for interval in found) else UNDECIDED


@dataclass(frozen=True)
class Cheaper:
    """Training one model takes less arithmetic than all the steps of another.

    cost, other: count operations. Seconds would be those of one machine, and runs of several
    could not be compared.
    """

    cost: Callable[[], float]
    other: Callable[[], float]
    names: tuple[str, ...] = ()
    tried: tuple[str, ...] = ()

    def judge(self, runs: Runs) -> tuple[str, str]:
        """Count both: no run is needed."""
        mine, other = self.cost(), self.other()
        words = f"{mine / 1e12:.1f} against {other / 1e12:.1f} trillion operations"
        return REPRODUCED if mine < other else NOT_REPRODUCED, words


@dataclass(frozen=True)
class Counts:
    """A model has a number of parameters in the published range."""

    count: Callable[[], int]
    low: float
    high: float
    names: tuple[str, ...] = ()
    tried: tuple[str, ...] = ()

    def judge(self, runs: Runs) -> tuple[str, str]:
        """Build the model and count: no run is needed."""
        found = self.count()
        inside = self.low <= found <= self.high
        return REPRODUCED if inside else NOT_REPRODUCED, f"{found:,} parameters"


@dataclass(frozen=True)
class AllOf:
    """Several rules that must all hold."""

    rules: tuple[Rule, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All experiments, each once."""
        return tuple(dict.fromkeys(name for rule in self.rules for name in rule.names))

    @property
    def tried(self) -> tuple[str, ...]:
        """Those at other settings, each once."""
        return tuple(dict.fromkeys(name for rule in self.rules for name in rule.tried))

    def judge(self, runs: Runs) -> tuple[str, str]:
        """The weakest verdict, and what all of them measured."""
        found = [rule.judge(runs) for rule in self.rules]
        verdicts = [verdict for verdict, _ in found]
        words = "; ".join(words for _, words in found)
        for weaker in (NOT_REPRODUCED, DEPENDS, UNDECIDED):
            if weaker in verdicts:
                return weaker, words
        return verdicts[0], words


def accuracies(runs: Runs, setting: Setting) -> np.ndarray:
    """Accuracies on test under a setting, one a run."""
    if setting.epochs:
        return runs.by_epoch(setting.name)[:, setting.epochs - 1]
    return runs.of(setting.name)["test_accuracy"].to_numpy()


def judge_runs(runs: Runs) -> pd.DataFrame:
    """Test the rule on runs: take each as if it were published, and judge it by its siblings.

    One row a run with three siblings or more: name, seed, verdict. Of 100 such runs the rule
    should find about 95 reproduced.
    """
    rows = []
    measured = runs.frame[runs.frame["test_accuracy"].notna()]
    for name, group in measured.groupby("name", sort=False):
        if len(group) < 4:
            continue
        for index, row in group.iterrows():
            siblings = group.drop(index)["test_accuracy"]
            verdict = Reaches.about(name, row["test_accuracy"]).verdict(siblings)
            rows.append({"name": name, "seed": row["seed"], "verdict": verdict})
    return pd.DataFrame(rows, columns=["name", "seed", "verdict"])


def spread(interval: Interval) -> str:
    """Mean and standard deviation in percent: "97.16 ± 0.21 %"."""
    return f"{100 * interval.mean:.2f} ± {100 * interval.deviation:.2f} %"


def further_run(interval: Interval) -> str:
    """Mean and prediction interval in percent: "97.16 [96.66, 97.66] %"."""
    low, high = max(interval.low, 0.0), min(interval.high, 1.0)
    return f"{100 * interval.mean:.2f} [{100 * low:.2f}, {100 * high:.2f}] %"


def points(interval: Interval) -> str:
    """A difference in percentage points with its interval: "+0.05 [-0.10, +0.20] points"."""
    mean, low, high = (100 * value for value in (interval.mean, interval.low, interval.high))
    return f"{mean:+.2f} [{low:+.2f}, {high:+.2f}] points"
