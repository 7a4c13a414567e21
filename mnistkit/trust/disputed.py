"""Test digits of MNIST whose label people doubt.

Five annotators each were shown what a model and the label disagreed on (Northcutt, Athalye
and Mueller, 2021). For these 15 of the 10,000 a majority did not confirm the label. A model
that gets all of them right has learned the labels, not the digits: above 99.85 % accuracy
says nothing about reading.
"""

from __future__ import annotations

from collections.abc import Iterable

from mnistkit.utils.validation import in_short

DISPUTED_LABELS: dict[int, str] = {
    **dict.fromkeys((947, 1621, 1901, 2462, 2597, 3558, 5937, 6651, 6783, 9729), "another label"),
    **dict.fromkeys((2654, 3520, 9679), "neither label"),
    **dict.fromkeys((2130, 8527), "a tie"),
}


def split_off_disputed(wrong: Iterable[int]) -> tuple[list[int], list[int]]:
    """Split places of misread test digits into those with a sound label and the disputed."""
    try:
        wrong = sorted(map(int, wrong))
    except (TypeError, ValueError) as error:
        raise ValueError(f"wrong is {in_short(wrong)}, expected places of digits, such as "
                         "[247, 2035]") from error  # fmt: skip
    sound = [place for place in wrong if place not in DISPUTED_LABELS]
    return sound, [place for place in wrong if place in DISPUTED_LABELS]
