"""Right answers, written in three ways, and what is left of each when it is spoiled.

For every exercise but those that ask for a network, which `networks.py` tries. No spoiled
answer may be called right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from mnistkit.augmentation import affine, random_affine
from mnistkit.experiments.recipe import Recipe
from mnistkit.metrics import prediction_interval
from mnistkit.study.table import Runs
from tests.exercises.networks import NETWORKS
from tests.exercises.test_exercises import (
    BINS,
    BOTH,
    DECIDED,
    FEW,
    FIXED,
    LAST,
    MEDIAN,
    ONE_SEED,
    RATES,
    READ,
    SGD_ADAM,
    STORED,
    best_temperature,
    enlarge,
    frame_where,
    gap,
    luck,
    one_more,
)
from tests.exercises.verdicts import NUMBERS, said

# What stands in the place of an answer, or of a part of one, and is right for none of them.
STRANGE = {
    "none": None, "no words": "", "words": "forty-two", "an object": object(), "a type": int,
    "not a number": math.nan, "without end": math.inf, "below zero": -1.5, "vast": 1e12,
    "imaginary": 1j, "an empty list": [], "an empty dict": {}, "an empty tensor": torch.zeros(0),
    "a list of none": [None], "a table": [[0.1, 0.2], [0.3, 0.4]], "a set": {1, 2, 3, 4, 5},
    "a generator": (x for x in ()), "bytes": b"4", "many": [0.5] * 1000, "a network": nn.Flatten(),
    "a slice": slice(3), "a module": math, "an error": ValueError("no answer"),
    "a tensor of pixels": torch.zeros(2, 1, 28, 28), "a frame": pd.DataFrame({"a": [1]}),
}  # fmt: skip


def by_loop(first, second, labels):
    rows = zip(first.tolist(), second.tolist(), labels.tolist(), strict=True)
    return [place for place, (a, b, y) in enumerate(rows) if a == y != b]


def closest_by_loop(means):
    pairs = [(i, j) for i in range(10) for j in range(i)]
    return min(pairs, key=lambda pair: float((means[pair[0]] - means[pair[1]]).norm()))


def closest_by_cdist(means):
    distances = torch.cdist(means.flatten(1), means.flatten(1)).fill_diagonal_(math.inf)
    return torch.tensor(divmod(distances.argmin().item(), 10))


def closest_by_norm(means):
    distances = (means[:, None] - means[None]).pow(2).sum(dim=(2, 3)) + 1e9 * torch.eye(10)
    return np.unravel_index(distances.argmin().item(), (10, 10))


def temperature_by_steps(probabilities, labels):
    logits, log_t = probabilities.clamp_min(1e-12).log(), torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.Adam([log_t], lr=0.05)
    for _ in range(80):
        loss = nn.functional.cross_entropy(logits / log_t.exp(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return log_t.exp()


def shift_by_slices(images):
    shifted = torch.zeros_like(images)
    shifted[..., 2:] = images[..., :-2]
    return shifted


def shuffle_by_gather(images):
    rows = images.reshape(len(images), 784)
    return rows.gather(1, FIXED.expand(len(images), 784)).reshape(images.shape)


def interval_by_t(values):
    found = prediction_interval(values)
    return [found.low, found.high]


def enlarge_by_hand(images):
    grey = nn.functional.interpolate(images[:, None] / 255, scale_factor=8, mode="bicubic")
    return torch.cat([grey.clamp(0, 1)] * 3, dim=1)


def noisy(images):
    moved = random_affine(images)
    return moved + torch.normal(0.0, 0.2, images.shape)


RIGHT = {
    "1.1": [torch.full((16,), 4), [7] * 16, np.full(16, 3, dtype=np.uint8)],
    "1.2": [(-1, 1), torch.tensor([-1.0, 1.0]), pd.Series([-1.0, 1.0])],
    "1.3": [closest_by_loop, closest_by_cdist, closest_by_norm],
    "1.4": [
        lambda n: luck(n).max().item() - 0.1,
        lambda n: torch.tensor(np.random.default_rng(0).binomial(n, 0.1, 1000).max() / n - 0.1),
        lambda n: max(
            float((torch.randint(10, (n,)) == 3).float().mean()) for _ in range(1000)) - 0.1,
    ],
    "1.5": [MEDIAN, DECIDED | {"better": "not told apart"}, MEDIAN | {"digits": 5e3}],
    "2.4": [
        lambda a, b: (a[:, None] < b).mean(),
        lambda a, b: sum(x < y for x in a for y in b) / len(a) / len(b),
        lambda a, b: torch.tensor([[x < y for y in b] for x in a]).float().mean(),
    ],
    "2.5": [READ, READ | {"V1 corrected": 0.8, "models differ": False},
            READ | {"n": 10, "V0": 0.3, "V1 corrected": 0.8}],
    "3.3": ["b"],
    "3.4": [{"gap": gap(-0.01), "batch 256": "worse"}, {"gap": gap(0.01), "batch 256": "better"},
            {"gap": gap(0.0001), "batch 256": "not told apart"}],
    "3.5": [
        lambda d, s: math.ceil((1.96 * s / d) ** 2),
        lambda d, s: torch.tensor((1.96 * s / d) ** 2).ceil(),
        lambda d, s: next(n for n in range(2, 9999) if 1.96 * s / n**0.5 < d),
    ],
    "3.6": [
        {"recipe": BOTH, "gap": gap(0.0001), "all together": "not told apart"},
        {"recipe": replace(BOTH, batch_size=32), "gap": gap(0.01), "all together": "better"},
        {"recipe": Recipe("A baseline", {"activation": "tanh", "dropout": 0.2}),
         "gap": gap(-0.01), "all together": "worse"},
    ],
    "4.3": [lambda x: x.flatten(1)[:, FIXED].view_as(x), shuffle_by_gather,
            lambda x: torch.stack([one.flatten()[FIXED].view(1, 28, 28) for one in x])],
    "4.4": [lambda x: nn.functional.pad(x, (2, 0))[..., :-2], shift_by_slices,
            partial(affine, shift=torch.tensor([2.0, 0.0]))],
    "4.5": [RATES, RATES | {"falling": [0.97, 0.98, 0.99], "constant": [0.987, 0.988, 0.989],
                            "constant spreads": "less"},
            RATES | {"constant": [0.986, 0.988, 0.9895], "constant spreads": "not told apart"}],
    "5.3": [lambda x: enlarge(x).repeat(1, 3, 1, 1), enlarge_by_hand,
            lambda x: enlarge(x).expand(-1, 3, -1, -1)],
    "5.4": [lambda a, b, y: ((a == y) & (b != y)).nonzero().flatten(), by_loop,
            lambda a, b, y: np.flatnonzero((a == y).numpy() & ~(b == y).numpy())],
    "5.5": [FEW, FEW | {"head": [0.7, 0.9, 0.6], "better": "not told apart"},
            {"head": FEW["CNN"], "CNN": FEW["head"], "better": "CNN"}],
    "6.1": [frame_where(lambda f: f["seed"] < 3), Runs(STORED.frame.query("seed <= 2")),
            frame_where(lambda f: f["seed"].isin([0, 1, 2]))],
    "6.2": [one_more(), prediction_interval_pair := interval_by_t,
            lambda values: np.array(prediction_interval_pair(values))],
    "6.3": [SGD_ADAM, float(SGD_ADAM), torch.tensor(2 * SGD_ADAM)],
    "6.4": [(0.55, 1 - 0.05 / 11), [11 * 0.05, 0.9955], np.array([0.55, 0.99545])],
    "7.1": [best_temperature, temperature_by_steps, lambda p, y: float(best_temperature(p, y))],
    "7.2": [900, 900.0, np.int64(900)],
    "7.3": [lambda x: random_affine(x) + 0.2 * torch.randn_like(x), noisy,
            lambda x: random_affine(x).add(torch.randn(x.shape), alpha=0.2)],
    "7.4": [LAST, LAST | {"gap": gap(0.02)},
            LAST | {"gap": gap(0.0), "V2 than E MLP": "not told apart", "p": 0.5}],
}  # fmt: skip
GIVEN = {"3.3": (ONE_SEED,), "6.3": (STORED,), "7.2": (BINS,)}
# Spoiled, and still right: a place, a p and a number of digits are what they are; there may be
# more runs of one rate than of the other; and numbers have no image that could be changed.
FREE = {
    "2.5": {"vast as place"}, "1.5": {"vast as digits"},
    "4.5": {f"{kind} as {rate}" for kind in ("many", "one too many") for rate in RATES},
    "6.3": {"one more"}, "1.4": {"changing its input"}, "3.5": {"changing its input"},
}  # fmt: skip


def spoiled(answer: object) -> Iterator[tuple[str, object]]:
    """What an answer might have been in its place: its kin, and what is no answer at all."""
    yield from STRANGE.items()
    if isinstance(answer, dict):
        yield from _spoiled_parts(answer)
    elif isinstance(answer, str):
        yield from {"upper case": answer.upper(), "with a blank": f" {answer}"}.items()
    elif isinstance(answer, Runs):
        yield from _spoiled_runs(answer.frame)
    elif callable(answer):
        yield from _spoiled_functions(answer)
    else:
        yield from _spoiled_numbers(answer)


def _spoiled_parts(answer: dict) -> Iterator[tuple[str, object]]:
    yield from {"its values": list(answer.values()), "its text": str(answer)}.items()
    for key, value in answer.items():
        yield f"without {key}", {name: v for name, v in answer.items() if name != key}
        for kind, other in STRANGE.items():
            yield f"{kind} as {key}", answer | {key: other}
        if isinstance(value, list):
            for kind, other in _spoiled_numbers(value):
                yield f"{kind} as {key}", answer | {key: other}


def _spoiled_runs(frame: pd.DataFrame) -> Iterator[tuple[str, object]]:
    yield from {
        "a frame": frame, "a copy without one seed": Runs(frame[frame["seed"] != 1]),
        "one recipe": Runs(frame[frame["name"] == "V0"]), "all runs": STORED,
        "nothing": Runs(frame[:0]), "rows": frame.to_dict("records"),
    }.items()  # fmt: skip


def _spoiled_numbers(answer: object) -> Iterator[tuple[str, object]]:
    if np.ndim(answer) == 0:
        value = float(answer)
        yield from {"one more": value + 1, "negative": -value, "a half": value + 0.5,
                    "in words": str(answer), "twice": [value, value], "hundredfold": 100 * value,
                    "nested": [[value]], "true": True}.items()  # fmt: skip
        return
    values = [float(value) for value in answer]
    yield from {
        "one short": values[:-1], "one too many": [*values, values[0] + 0.01],
        "with a gap": [*values[:-1], math.nan], "nested": [values], "in words": str(values),
        "negative": [-abs(value) - 2 for value in values], "hundredfold": [100 * v for v in values],
        "each a word": [str(value) + "x" for value in values], "a dict": dict(enumerate(values)),
    }.items()  # fmt: skip


def _spoiled_functions(function: Callable) -> Iterator[tuple[str, object]]:
    def kept(*given):
        if not first:
            first.append(function(*given))
        return first[0]

    def in_place(*given):
        result = function(*given)
        for each in given:
            if isinstance(each, torch.Tensor | np.ndarray) and each.size:
                each[...] = 1 if float(each.reshape(-1)[0]) != 1 else 2
            elif isinstance(each, list):
                each.append(0)
        return result

    def failing(*given):
        raise RuntimeError("no such digit")

    def after(change: Callable) -> Callable:
        return lambda *given: change(function(*given))

    first = []
    yield from {
        "called": RuntimeError, "without return": lambda *given: None, "failing": failing,
        "of nothing": lambda: 1, "itself": lambda *given: function, "always zero": lambda *given: 0,
        "its input": lambda *given: given[0], "its last input": lambda *given: given[-1],
        "in words": after(str), "in a dict": after(lambda r: {"answer": r}),
        "nested": after(lambda r: [[r]]), "in a generator": after(lambda r: (x for x in [r, r, r])),
        "not a number": after(lambda r: _as_array(r) * math.nan),
        "hundredfold": after(lambda r: _as_array(r) * 100 + 7),
        "negative": after(lambda r: -_as_array(r) - 3),
        "a half off": after(lambda r: _as_array(r) + 0.5), "the first answer for all": kept,
    }.items()  # fmt: skip
    yield "changing its input", in_place


def _as_array(result: object) -> object:
    return result.float() if isinstance(result, torch.Tensor) else np.asarray(result, dtype=float)


def test_every_exercise_is_here_or_among_the_networks():
    assert sorted(RIGHT | NETWORKS) == NUMBERS
    assert all(len(answers) >= 3 for number, answers in RIGHT.items() if number != "3.3")


CASES = [(number, place) for number, answers in RIGHT.items() for place in range(len(answers))]


@pytest.mark.parametrize(("number", "place"), CASES)
def test_it_is_right_however_it_is_written(number, place):
    text = said(number, RIGHT[number][place], *GIVEN.get(number, ()))
    assert text.startswith(f"{number} right: "), text


@pytest.mark.parametrize(("number", "place"), CASES)
def test_spoiled_it_is_never_right(number, place):
    tried, wrongly = 0, []
    for kind, answer in spoiled(RIGHT[number][place]):
        if kind in FREE.get(number, ()):
            continue
        text = said(number, answer, *GIVEN.get(number, ()))
        assert text.startswith(f"{number} "), text
        assert "\n" not in text, text
        tried += 1
        if text.startswith(f"{number} right"):
            wrongly.append(kind)
    assert not wrongly
    assert tried >= 25
