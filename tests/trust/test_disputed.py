"""The disputed labels are those that were counted, and are set apart."""

from __future__ import annotations

from collections import Counter

import torch

from mnistkit.trust.disputed import DISPUTED_LABELS, split_off_disputed


def test_fifteen_are_disputed():
    assert Counter(DISPUTED_LABELS.values()) == {
        "another label": 10,
        "neither label": 3,
        "a tie": 2,
    }
    # As Northcutt et al. list them, in the order of the test digits.
    assert sorted(DISPUTED_LABELS) == [
        947, 1621, 1901, 2130, 2462, 2597, 2654, 3520, 3558, 5937, 6651, 6783, 8527, 9679, 9729
    ]  # fmt: skip


def test_misread_digits_are_split():
    assert split_off_disputed([9729, 5, 947, 3]) == ([3, 5], [947, 9729])
    assert split_off_disputed([]) == ([], [])


def test_places_may_be_a_tensors():
    assert split_off_disputed(torch.tensor([947, 3])) == ([3], [947])
