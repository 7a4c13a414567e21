"""How a verdict on a published number follows from runs.

A README prints the accuracy of one run, measured on 10,000 test digits. Such a number misses
by chance, so it is given a tolerance: two standard errors of a share p counted over 10,000
digits, 2 sqrt(p (1 - p) / 10,000). A verdict follows from a 95 % interval, and never from a
single run:

- an accuracy is *reproduced* if the interval of our mean lies within the tolerance of the
  published number, *surpassed* if it lies above, *not reproduced* if it lies below;
- "A beats B" is *reproduced* if the interval of the difference, paired by seed, lies above
  zero, and *not reproduced* if it lies below; several such claims at once share the 5 %
  (Bonferroni);
- whatever straddles a border is *undecided*; so is what has a run missing, or one that
  diverged, and what was measured on the sample: see `claims.judge`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Protocol

from mnistkit.metrics import Interval
from mnistkit.study.table import Runs

REPRODUCED, SURPASSED = "reproduced", "surpassed"
NOT_REPRODUCED, UNDECIDED = "not reproduced", "undecided"
TEST_DIGITS = 10_000


class Rule(Protocol):
    """How a verdict follows from runs: the names that it needs, and `judge`."""

    names: tuple[str, ...]

    def judge(self, runs: Runs) -> tuple[str, str]:
        """Return the verdict, and in words what was measured."""


def tolerance(published: float) -> float:
    """Two standard errors of a share counted over 10,000 test digits."""
    return 2 * sqrt(published * (1 - published) / TEST_DIGITS)


def compare(interval: Interval, low: float, high: float) -> str:
    """Place an interval against the range from low to high."""
    if low <= interval.low and interval.high <= high:
        return REPRODUCED
    if interval.low > high:
        return SURPASSED
    return NOT_REPRODUCED if interval.high < low else UNDECIDED


@dataclass(frozen=True)
class Reaches:
    """The mean accuracy is the published one, within its tolerance (or within a range)."""

    name: str
    low: float
    high: float

    @classmethod
    def about(cls, name: str, published: float) -> Reaches:
        """Take the published number plus or minus its tolerance as the range."""
        return cls(name, published - tolerance(published), published + tolerance(published))

    @property
    def names(self) -> tuple[str, ...]:
        """The one experiment."""
        return (self.name,)

    def judge(self, runs: Runs) -> tuple[str, str]:
        """Compare the interval of the mean with the range."""
        interval = runs.accuracy(self.name)
        return compare(interval, self.low, self.high), spread(interval)


@dataclass(frozen=True)
class IsOneDraw:
    """The published number is an ordinary run of a recipe whose runs spread widely."""

    name: str
    published: float

    @property
    def names(self) -> tuple[str, ...]:
        """The one experiment."""
        return (self.name,)

    def judge(self, runs: Runs) -> tuple[str, str]:
        """Reproduced if it lies among the middle 95 % of the runs."""
        values = runs.of(self.name)["test_accuracy"]
        low, high = values.quantile(0.025), values.quantile(0.975)
        inside = low <= self.published <= high
        outside = SURPASSED if self.published < low else NOT_REPRODUCED
        return REPRODUCED if inside else outside, spread(runs.accuracy(self.name))


@dataclass(frozen=True)
class Exceeds:
    """The mean accuracy lies above a threshold, or `every` single run does."""

    name: str
    threshold: float
    every: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The one experiment."""
        return (self.name,)

    def judge(self, runs: Runs) -> tuple[str, str]:
        """Compare the interval of the mean, or the worst run, with the threshold."""
        interval = runs.accuracy(self.name)
        if self.every:
            above = interval.worst > self.threshold
            return (
                REPRODUCED if above else NOT_REPRODUCED,
                f"worst run {100 * interval.worst:.2f} %",
            )
        verdict = compare(interval, self.threshold, float("inf"))
        return verdict, spread(interval)


@dataclass(frozen=True)
class Beats:
    """Each first experiment is more accurate than its second, over the same seeds."""

    pairs: tuple[tuple[str, str], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All experiments, each once."""
        return tuple(dict.fromkeys(name for pair in self.pairs for name in pair))

    def differences(self, runs: Runs) -> list[Interval]:
        """One interval a pair, all of them right together 19 times in 20."""
        level = 1 - 0.05 / len(self.pairs)
        return [runs.difference(*pair, level) for pair in self.pairs]

    def judge(self, runs: Runs) -> tuple[str, str]:
        """Reproduced if all intervals lie above zero, not reproduced if one lies below."""
        found = self.differences(runs)
        words = "; ".join(points(interval) for interval in found)
        if any(interval.high < 0 for interval in found):
            return NOT_REPRODUCED, words
        return REPRODUCED if all(i.low > 0 for i in found) else UNDECIDED, words


@dataclass(frozen=True)
class Quicker:
    """Training one model takes fewer seconds than all the steps of another."""

    name: str
    than: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The model and the other's steps."""
        return (self.name, *self.than)

    def judge(self, runs: Runs) -> tuple[str, str]:
        """Reproduced if even the slowest run is quicker than the sum of the medians."""
        other = sum(runs.seconds(name) for name in self.than)
        mine = runs.of(self.name)["seconds"]
        words = f"{runs.seconds(self.name):.0f} s against {other:.0f} s"
        if mine.max() < other:
            return REPRODUCED, words
        return NOT_REPRODUCED if mine.min() > other else UNDECIDED, words


@dataclass(frozen=True)
class Counts:
    """A model has a number of parameters in the published range."""

    count: Callable[[], int]
    low: float
    high: float
    names: tuple[str, ...] = ()

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

    def judge(self, runs: Runs) -> tuple[str, str]:
        """The weakest verdict, and what all of them measured."""
        found = [rule.judge(runs) for rule in self.rules]
        verdicts = [verdict for verdict, _ in found]
        words = "; ".join(words for _, words in found)
        for weaker in (NOT_REPRODUCED, UNDECIDED):
            if weaker in verdicts:
                return weaker, words
        return verdicts[0], words


def spread(interval: Interval) -> str:
    """Mean and deviation in percent: "97.16 ± 0.21 %"."""
    return f"{100 * interval.mean:.2f} ± {100 * interval.deviation:.2f} %"


def points(interval: Interval) -> str:
    """A difference in percentage points with its interval: "+0.05 [-0.10, +0.20] points"."""
    mean, low, high = (100 * value for value in (interval.mean, interval.low, interval.high))
    return f"{mean:+.2f} [{low:+.2f}, {high:+.2f}] points"
