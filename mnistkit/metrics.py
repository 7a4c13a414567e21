"""How good predictions are, with torchmetrics, and how sure a mean over seeds is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from scipy.special import stdtrit
from torch import Tensor

from mnistkit.utils.validation import (
    CLASSES,
    as_tensor,
    check_counts,
    check_labels,
    check_number,
    check_probabilities,
    check_whole,
    describe,
    in_short,
)


def accuracy(predictions: Tensor, labels: Tensor) -> float:
    """Fraction of predictions that are right: each sample counts once (micro average).

    predictions: int64, N, classes; or N x 10 logits or probabilities, of which the
    largest counts. labels: int64, N. Raises ValueError if there are none, if N differs, or
    for what is no class.
    """
    from torchmetrics.functional import classification  # slow to import

    predicted, labels = _classes(predictions, labels)
    return classification.multiclass_accuracy(predicted, labels, CLASSES, average="micro").item()


def per_class_accuracy(predictions: Tensor, labels: Tensor) -> Tensor:
    """Of each true class, the fraction predicted right: float32, 10; NaN for an absent class."""
    matrix = confusion_matrix(predictions, labels)
    return matrix.diagonal() / matrix.sum(dim=1)


def confusion_matrix(predictions: Tensor, labels: Tensor) -> Tensor:
    """Count each pair: int64, 10 x 10, row the true class, column the predicted one."""
    from torchmetrics.functional import classification  # slow to import

    predicted, labels = _classes(predictions, labels)
    return classification.multiclass_confusion_matrix(predicted, labels, CLASSES)


def most_confused(matrix: Tensor, top: int = 5) -> pd.DataFrame:
    """List the largest off-diagonal counts: columns true, predicted, count.

    matrix: 10 x 10 counts, as `confusion_matrix` gives. Pairs that never occur are left out.
    """
    matrix = as_tensor(matrix)
    if matrix.ndim != 2 or len(matrix) != matrix.shape[1]:
        raise ValueError(f"the matrix is {describe(matrix)}, expected a row and a column a class")
    check_whole("top", top)
    check_counts(matrix)
    errors = matrix.clone().fill_diagonal_(0)
    count, place = errors.flatten().sort(descending=True, stable=True)
    pairs = [
        (int(p) // len(errors), int(p) % len(errors), int(c))
        for c, p in zip(count, place, strict=True)
    ]
    pairs = [pair for pair in pairs[:top] if pair[2] > 0]
    return pd.DataFrame(pairs, columns=["true", "predicted", "count"])


def negative_log_likelihood(probabilities: Tensor, labels: Tensor) -> float:
    """Mean of -ln of the probability that each true class was given; 0 is perfect.

    probabilities: float, N x 10. labels: int64, N. An impossible truth costs what the
    smallest number of its type costs, not infinity.
    """
    probabilities, labels = check_probabilities(probabilities, labels)
    given = probabilities.gather(1, labels.unsqueeze(1))
    return -given.clamp_min(torch.finfo(given.dtype).tiny).log().mean().item()


@dataclass(frozen=True)
class PairedTest:
    """Two models on the same digits: how often only one of them is right, and what it means.

    only_first, only_second: digits that only this model got right; the others say nothing.
    p: exact two-sided McNemar test (1947): how probable a split so uneven or more is, if
        both models were as good.
    """

    only_first: int
    only_second: int
    p: float


def mcnemar(first: Tensor, second: Tensor, labels: Tensor) -> PairedTest:
    """Test whether two models differ on the same digits, with mlxtend's exact McNemar test.

    first, second: predictions as in `accuracy`. labels: int64, N.
    """
    from mlxtend import evaluate  # slow to import

    answers = [_classes(predictions, labels)[0].numpy() for predictions in (first, second)]
    table = evaluate.mcnemar_table(check_labels(labels).numpy(), *answers)
    _, p = evaluate.mcnemar(table, exact=True)
    return PairedTest(int(table[0, 1]), int(table[1, 0]), float(p))


@dataclass(frozen=True)
class Interval:
    """A mean over `n` runs, with a 95 % interval for the mean itself.

    Student's t on the runs' own spread; `deviation` is the sample's (n - 1). With one
    run there is no interval: low and high are NaN.
    """

    mean: float
    low: float
    high: float
    deviation: float
    worst: float
    n: int

    def __rmul__(self, factor: float) -> Interval:
        """Scale all but n: `100 * interval` is in percent."""
        ends = (self.low, self.high) if factor >= 0 else (self.high, self.low)
        numbers = (factor * value for value in (self.mean, *ends))
        return Interval(*numbers, abs(factor) * self.deviation, factor * self.worst, self.n)

    __mul__ = __rmul__

    def __repr__(self) -> str:
        """One line: "<0.971 [0.9695, 0.9725], n = 5>"; without an interval for one run."""
        interval = "" if self.n == 1 else f" [{self.low:.4g}, {self.high:.4g}]"
        return f"<{self.mean:.4g}{interval}, n = {self.n}>"

    def percent(self, digits: int = 2) -> str:
        """Format in percent, with n: "97.10 % [96.95, 97.25] (n = 5)"; of one run the mean."""
        mean, low, high = (
            f"{100 * value:.{digits}f}" for value in (self.mean, self.low, self.high)
        )
        interval = "" if self.n == 1 else f" [{low}, {high}]"
        return f"{mean} %{interval} (n = {self.n})"


def _numbers(values: Sequence[float]) -> np.ndarray:
    """As an array of floats; raises ValueError for words, None and a number alone."""
    try:
        if isinstance(values, str | dict) or any(each is None for each in values):
            raise TypeError
        values = values.detach() if isinstance(values, Tensor) else list(values)
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"values are {in_short(values)}, expected a number a run") from error


def interval_of_mean(values: Sequence[float], level: float = 0.95) -> Interval:
    """Summarise one number measured over several seeds. Raises ValueError for none."""
    check_number("level", level, above=0, below=1)
    values = _numbers(values)
    if values.ndim != 1:
        raise ValueError(f"values have {values.ndim} axes, expected one number a run")
    if values.size == 0:
        raise ValueError("no values were given: there is no mean of nothing")
    mean, n = float(values.mean()), int(values.size)
    if n == 1:
        return Interval(mean, np.nan, np.nan, np.nan, mean, 1)
    deviation = float(values.std(ddof=1))
    reach = float(stdtrit(n - 1, (1 + level) / 2)) * deviation / n**0.5
    return Interval(mean, mean - reach, mean + reach, deviation, float(values.min()), n)


def prediction_interval(
    values: Sequence[float], level: float = 0.95, variance: float = 0.0
) -> Interval:
    """Summarise values, with an interval for *one further* value instead of their mean.

    mean +- t sqrt(s^2 (1 + 1 / n) + variance), Student's t with n - 1 degrees of freedom
    (Hahn and Meeker, 1991, section 4.7). It takes the values for normally distributed.
    variance: what the further value may differ by beside that, such as p (1 - p) / N for a
    share counted on N other digits. With one value there is no interval: low and high are
    NaN. Raises ValueError for no value.
    """
    check_number("variance", variance, least=0)
    found = interval_of_mean(values, level)
    if found.n == 1:
        return found
    t = float(stdtrit(found.n - 1, (1 + level) / 2))
    reach = t * (found.deviation**2 * (1 + 1 / found.n) + variance) ** 0.5
    return replace(found, low=found.mean - reach, high=found.mean + reach)


def interval_of_share(right: int, count: int) -> tuple[float, float]:
    """Bounds of a 95 % interval for a share counted over so many samples (Wilson, 1927)."""
    from scipy import stats  # slow to import

    return tuple(stats.binomtest(right, count).proportion_ci(method="wilson"))


def _classes(predictions: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the classes that were predicted, and the labels."""
    predictions, labels = as_tensor(predictions), check_labels(labels)
    if len(labels) == 0 or len(predictions) != len(labels):
        raise ValueError(
            f"{len(predictions)} predictions for {len(labels)} labels: there must be "
            "as many of one as of the other, and at least one"
        )
    if predictions.ndim == 1:
        return check_labels(predictions, "predictions"), labels
    if predictions.shape[1:] != (CLASSES,) or not predictions.isfinite().all():
        raise ValueError(
            f"predictions are {describe(predictions)}, expected classes, or {CLASSES} finite "
            "numbers a sample"
        )
    return predictions.argmax(dim=1), labels
