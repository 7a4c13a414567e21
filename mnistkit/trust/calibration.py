"""Does a model know how sure to be? Calibration, with the noise that comes of few digits.

A model is calibrated if of all answers that it gives with 80 % four in five are right.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mnistkit.metrics import accuracy, interval_of_share, negative_log_likelihood
from mnistkit.utils.validation import CLASSES, check_probabilities, in_short

BINS = 15  # of equal width, as Guo et al. (2017) take
_DRAWS = 200


def brier_score(probabilities: Tensor, labels: Tensor) -> float:
    """Mean squared distance to the truth, summed over classes (Brier, 1950): 0 to 2."""
    probabilities, labels = check_probabilities(probabilities, labels)
    truth = torch.nn.functional.one_hot(labels, probabilities.shape[1])
    return (probabilities - truth).square().sum(dim=1).mean().item()


def calibration_error(probabilities: Tensor, labels: Tensor) -> float:
    """Expected calibration error (ECE): mean gap of confidence and accuracy, over `BINS` bins.

    Each bin counts by its digits (Naeini et al., 2015); the last holds answers of exactly 1, too.
    Even a calibrated model has some, since each bin holds few digits; see `calibration_noise`.
    """
    probabilities, labels = check_probabilities(probabilities, labels)
    from torchmetrics.functional.classification import (  # slow to import
        multiclass_calibration_error,
    )

    below = _below_one(probabilities)  # else answers of exactly 1 would get a bin of their own
    return multiclass_calibration_error(below, labels, CLASSES, n_bins=BINS).item()


def calibration_noise(probabilities: Tensor, draws: int = _DRAWS, seed: int = 0) -> np.ndarray:
    """ECE that a calibrated model with these probabilities would show, drawn several times.

    In each draw every digit gets a label by its own probabilities, so that they are right
    by construction (Broecker and Smith, 2007). Returns float64, `draws`.
    """
    probabilities = torch.as_tensor(probabilities)
    generator = torch.Generator().manual_seed(seed)
    errors = []
    for _ in range(draws):
        labels = torch.multinomial(probabilities, 1, generator=generator).squeeze(1)
        errors.append(calibration_error(probabilities, labels))
    return np.array(errors)


def calibration_table(probabilities: Mapping[str, Tensor], labels: Tensor) -> pd.DataFrame:
    """Compare models: accuracy, NLL, Brier, ECE, and the ECE that is only noise.

    probabilities: float, N x 10, by name. Columns `noise` and `noise_95` are mean and
    95 % quantile of `calibration_noise`; `calibrated` says whether the ECE lies below that
    quantile, so that no lack of calibration is shown. Raises ValueError without names.
    """
    if not isinstance(probabilities, Mapping) or not probabilities:
        raise ValueError(f"probabilities are {in_short(probabilities)}, expected those of each "
                         'model by its name: {"V2": probabilities}')  # fmt: skip
    rows = {}
    for name, given in probabilities.items():
        error, noise = calibration_error(given, labels), calibration_noise(given)
        limit = float(np.quantile(noise, 0.95))
        rows[name] = {
            "accuracy": accuracy(given, labels),
            "NLL": negative_log_likelihood(given, labels),
            "Brier": brier_score(given, labels),
            "ECE": error,
            "noise": float(noise.mean()),
            "noise_95": limit,
            "calibrated": error <= limit,
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def reliability(probabilities: Tensor, labels: Tensor) -> pd.DataFrame:
    """One row a bin that holds digits: confidence, accuracy, low, high, count.

    confidence: mean probability of the answers. low, high: 95 % interval of the accuracy
    (Wilson, 1927).
    """
    probabilities, labels = check_probabilities(probabilities, labels)
    confidence, answers = probabilities.max(dim=1)
    edges = torch.linspace(0, 1, BINS + 1)
    bins = torch.bucketize(_below_one(confidence), edges, right=True)  # as for the ECE
    rows = []
    for number in bins.unique().tolist():
        inside = bins == number
        right, count = int((answers == labels)[inside].sum()), int(inside.sum())
        low, high = interval_of_share(right, count)
        rows.append({
            "confidence": confidence[inside].mean().item(),
            "accuracy": right / count, "low": low, "high": high, "count": count,
        })  # fmt: skip
    return pd.DataFrame(rows)


def _below_one(probabilities: Tensor) -> Tensor:
    """The same as float32, but for those of 1, which become the largest number below."""
    return probabilities.float().clamp(max=1 - torch.finfo(torch.float32).eps / 2)
