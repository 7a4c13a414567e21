"""Answers that learners give are right, or are told why not; no answer breaks a check."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from torch import nn

from mnistkit.augmentation import random_affine
from mnistkit.experiments.recipe import Recipe
from mnistkit.metrics import interval_of_mean, prediction_interval
from mnistkit.study.table import Runs, read_table
from mnistkit.transfer import preprocess
from tests.exercises.networks import NETWORKS
from tests.exercises.verdicts import NUMBERS, said
from tests.notebooks.statements.outputs import printed

ROOT = Path(__file__).resolve().parents[2]


def gap(mean: float, deviation: float = 0.001, n: int = 5):
    steps = np.linspace(-1, 1, n)
    return interval_of_mean(list(mean + deviation * steps / steps.std(ddof=1)))


def enlarge(images, scale=255):
    grey = images.unsqueeze(1).float() / scale
    return torch.nn.functional.interpolate(grey, size=(224, 224), mode="bilinear")


def luck(n):
    guesses = torch.randint(0, 10, (1000, n)) == torch.randint(0, 10, (n,))
    return guesses.float().mean(dim=1)


ONE_SEED = pd.DataFrame({
    "name": ["a", "b", "c"] * 2,
    "seed": [0, 0, 0, 1, 1, 1],
    "validation_accuracy": [0.95, 0.96, 0.94, 0.97, 0.94, 0.93],
})  # fmt: skip
NOISE = torch.randn(64, 1, 28, 28, generator=torch.Generator().manual_seed(0))
FIXED = torch.randperm(784, generator=torch.Generator().manual_seed(1))
BINS = pd.DataFrame({"count": [3, 40, 900]})
MEDIAN = {"split": "validation", "digits": 5000, "mean": 0.80, "median": 0.75, "better": "mean"}
DECIDED = {"split": "validation", "digits": 500, "mean": 0.80, "median": 0.79, "better": "mean"}
READ = {"place": 5, "V0": 0.9, "V1 corrected": 0.2, "n": 20, "models differ": True}
BOTH = Recipe("A baseline", {"hidden": (256, 64), "activation": "tanh"})
RATES = {
    "falling": [0.987, 0.988, 0.989],
    "constant": [0.97, 0.98, 0.99],
    "constant spreads": "more",
}
FEW = {"head": [0.80, 0.81, 0.82], "CNN": [0.70, 0.71, 0.72], "better": "head"}
LAST = {"p": 0.04, "gap": gap(0.01), "V2 than E MLP": "better", "believe": "paired_difference"}
STORED = read_table()


def one_more(level=0.95, t=None, further=True):
    def interval(values):
        found = interval_of_mean(values)
        quantile = t or stats.t.ppf((1 + level) / 2, found.n - 1)
        reach = quantile * found.deviation * (1 + further / found.n) ** 0.5
        return found.mean - reach, found.mean + reach

    return interval


SGD_ADAM = 67  # (1.96 x 0.4146 / 0.1)^2 = 66.03 seeds, by hand


def frame_where(keep) -> Runs:
    return Runs(STORED.frame[keep(STORED.frame)])


def of_the_mean(values):
    found = interval_of_mean(values)
    return found.low, found.high


# What learners hand in, and what they are told. The first of each is right.
ANSWERS = {
    "1.1": [
        (torch.full((16,), 4), "right: sixteen times a 4"),
        (torch.arange(16) % 10, r"of 10 classes, \[0, 1, .* but one was asked for"),
        (torch.full((32,), 4), "32 digits, but sixteen"),
        (torch.tensor([3, 17, 4000] + [9] * 13), "may be indices"),
        (4, "several numbers are asked for"),
        (torch.ones(16, dtype=torch.bool), "holds True and False"),
        ([True] * 16, "holds True and False"),
        (np.zeros(16, dtype=bool), "holds True and False"),
        ([4], "you show 1 digit, but"),
    ],
    "1.2": [
        ((-1, 1), "right: paper is -1"),
        ((0, 1), "before normalising"),
        ((-0.5, 0.5), "not yet divided by the standard deviation"),
        ((-1, 509), "ink is 1, not 255"),
        ((1.0, -1.0), "the other way round"),
        ((-0.4242, 2.8215), "MNIST's own"),
        (torch.tensor([0.0, 255.0]), "bytes"),
        (-1, "several numbers"),
    ],
    "1.3": [
        (lambda m: divmod((torch.cdist(m.flatten(1), m.flatten(1)) + 1e9 * torch.eye(10))
                          .argmin().item(), 10), "right"),
        (lambda m: (8, 3), "0 and 1 are closest; yours says 3 and 8"),
        (lambda m: divmod(torch.cdist(m.flatten(1), m.flatten(1)).argmin().item(), 10), "itself"),
        (lambda m: divmod(torch.cdist(m.flatten(1), m.flatten(1)).argmax().item(), 10), "furthest"),
        (lambda m: np.array([0.0, 1.0]), "3 and 8 are closest; yours says 0 and 1"),
        (lambda m: torch.cdist(m, m).argmin(), "several numbers"),
        ((3, 8), "hand in the function itself"),
        (lambda m: m @ m[0, :5], "your function raises RuntimeError"),
    ],
    "1.4": [
        (lambda n: luck(n).max().item() - 0.1, "right"),
        (lambda n: luck(n).max().item(), "winner's score"),
        (lambda n: luck(500).max().item() - 0.1, "the same for 50 digits"),
        (lambda n: luck(min(n, 500)).max().item() - 0.1, "the same for 500 digits"),
        (lambda n: 100 * (luck(n).max().item() - 0.1), "as a share"),
        (lambda n: luck(n).mean().item() - 0.1, "one guesser"),
        (lambda n: 0.1 - luck(n).min().item(), "how far the worst lies below"),
        (luck(50).max().item() - 0.1, "function itself"),
        (lambda n: None, "is `return` missing"),
        (lambda n: ..., "is open"),
    ],
    "1.5": [
        (MEDIAN, "right: mean"),
        (MEDIAN | {"split": "test"}, "decided on test"),
        (MEDIAN | {"split": "train"}, "better than it is"),
        (MEDIAN | {"better": "median"}, "the mean is ahead"),
        (DECIDED, "may be chance"),
        (MEDIAN | {"better": "not told apart"}, "more than chance explains"),
        (MEDIAN | {"mean": 80}, "0.9 and not 90"),
        ({"split": "validation"}, "lacks 'digits' and"),
        (MEDIAN | {"digits": 1e6}, "at most 60,000"),
    ],
    "2.4": [
        (lambda a, b: (a[:, None] < b).mean(), "right"),
        (lambda a, b: (a[:, None] > b).mean(), "being above"),
        (lambda a, b: (a[:, None] <= b).mean(), "0.5 is not below 0.5"),
        (lambda a, b: float(a.mean() < b.mean()), "a yes or a no"),
        (lambda a, b: (a[:, None] < b).sum(), "divide by the number of pairs"),
        (lambda a, b: sum(x < y for x in a for y in b) / len(a + b[:0]) / len(b), "right"),
        (lambda a, b: 100 * (a[:, None] < b).mean(), "0.58 and not 58"),
        (lambda a, b: (a < b).mean(), "raises ValueError"),
        (lambda a, b: (a < b.mean()).mean(), "not their mean"),
    ],
    "2.5": [
        (READ, "right: 90% of the V0s"),
        (READ | {"n": 1, "V1 corrected": 0.0}, "1 of each model are few"),
        (READ | {"V1 corrected": 0.8}, "the models hardly"),
        (READ | {"models differ": "yes"}, "True or False"),
        (READ | {"V0": 0.0}, "no V0 reads it"),
        (READ | {"V1 corrected": 1.0}, "every corrected V1 reads it"),
        (READ | {"place": 99_999}, "at most 10,000"),
        (READ | {"V0": 0.91}, "0.91 cannot be a share of 20"),
        (READ | {"models differ": False, "V0": 0.9, "V1 corrected": 0.6}, "more than luck"),
        # 25 points, of which floats have a little less.
        (READ | {"V0": 14 / 20, "V1 corrected": 9 / 20}, "right"),
        (READ | {"V0": 14 / 20, "V1 corrected": 9 / 20, "models differ": False}, "more than luck"),
    ],
    "3.3": [
        (("b", ONE_SEED), "right: over all seeds it is number 2 of 3"),
        (("a", ONE_SEED), "best over all seeds"),
        (("a", ONE_SEED[ONE_SEED["seed"] == 1].assign(seed=0)), "right: but `runs` has one seed"),
        (("c", ONE_SEED), "2 recipes are better"),
        (("d", ONE_SEED), "no recipe is called 'd'"),
        (("c", ONE_SEED.replace(0.93, float("nan"))), "a run of 'c' has diverged"),
        ((0, ONE_SEED), "a name is asked for"),
    ],
    "3.4": [
        ({"gap": gap(-0.01), "batch 256": "worse"}, "0.004, minus the baseline: -1.00 points"),
        ({"gap": gap(0.05), "batch 256": "better"}, "taken the other way round"),
        ({"gap": gap(-0.0001), "batch 256": "worse"}, "do not tell the two apart"),
        ({"gap": gap(0.01), "batch 256": "not told apart"}, "one side of zero: better"),
        ({"gap": 0.01, "batch 256": "better"}, "`mk.paired_difference` gives one"),
        ({"gap": gap(-0.01), "batch 256": "behind"}, "is none of"),
        ({"gap": gap(-0.42), "batch 256": "worse"}, "not times 100"),
        ({"gap": gap(0.25, 0.9), "batch 256": "not told apart"}, "not times 100"),
        ({"gap": gap(0.01, n=1), "batch 256": "better"}, "1 seed shows little"),
    ],
    "3.5": [
        (lambda d, s: int(np.ceil((1.96 * s / d) ** 2)), "right"),
        (lambda d, s: (1.96 * s / d) ** 2, "round up"),
        (lambda d, s: int(np.ceil(1.96 * s / d)), "four times the seeds"),
        (lambda d, s: int(np.ceil((1.96 * d / s) ** 2)) + 1, "the fewer seeds"),
        (lambda d, s: int(np.ceil((s / d) ** 2)), "would not show"),
        (lambda d, s: 10 * int(np.ceil((1.96 * s / d) ** 2)), "more than a difference"),
    ],
    "3.6": [
        ({"recipe": BOTH, "gap": gap(0.0001), "all together": "not told apart"}, "right"),
        ({"recipe": replace(BOTH, options={}), "gap": gap(0.01), "all together": "better"},
         "in one thing"),
        ({"recipe": replace(BOTH, options={"activation": "relu", "dropout": 0.0}),
          "gap": gap(0.01), "all together": "better"}, "in one thing"),
        ({"recipe": Recipe("V0", batch_size=128), "gap": gap(0.01), "all together": "better"},
         "V0 is another network"),
        ({"recipe": Recipe("A baseline", epochs=9, batch_size=128), "gap": gap(0.01),
          "all together": "better"}, "in one thing"),
        ({"recipe": replace(BOTH, optimizer="sgd"), "gap": gap(-0.05), "all together": "worse"},
         "it changes optimizer, too"),
        ({"recipe": replace(BOTH, learning_rate=0.1), "gap": gap(-0.05), "all together": "worse"},
         "it changes learning_rate, too"),
        ({"recipe": BOTH, "gap": gap(0.0001), "all together": "better"}, "contains zero"),
        ({"recipe": "A wide", "gap": gap(0.01), "all together": "better"}, "a `Recipe`"),
    ],
    "4.3": [
        (lambda x: x.flatten(1)[:, FIXED].view_as(x), "right"),
        (lambda x: x.flatten(1)[:, torch.randperm(784)].view_as(x), "each call has another order"),
        (lambda x: torch.stack([one.flatten()[torch.randperm(784)].view(1, 28, 28) for one in x]),
         "an order of its own"),
        (lambda x: x.roll(2, dims=0), "among themselves"),
        (lambda x: x, "as they were"),
        (lambda x: x.flip(2), "still are"),
        (lambda x: x.transpose(2, 3), "still are"),
        (lambda x: x[:, :, torch.randperm(28, generator=torch.Generator().manual_seed(0))],
         "still are"),
        (lambda x: x.flatten(1)[:, FIXED], "shape"),
        (lambda x: x.flip(3) * 0.5, "keep its own pixels"),
        (lambda x: x.double().flatten(1)[:, FIXED].view_as(x), "float64"),
    ],
    "4.4": [
        (lambda x: torch.nn.functional.pad(x, (2, 0))[..., :-2], "right"),
        (lambda x: x.roll(2, dims=3), "nothing comes back"),
        (lambda x: torch.nn.functional.pad(x, (0, 2))[..., 2:], "to the left"),
        (lambda x: torch.nn.functional.pad(x, (0, 0, 2, 0))[..., :-2, :], "pixels down"),
        (lambda x: torch.nn.functional.pad(x, (1, 0))[..., :-1], "one pixel"),
        (lambda x: torch.nn.functional.pad(x, (2, 0)), "shape"),
        (lambda x: x, "where they were"),
    ],
    "4.5": [
        (RATES, "right"),
        (RATES | {"constant": [0.986, 0.988, 0.9895]}, "often chance"),
        (RATES | {"constant spreads": "less"}, "times the other's"),
        (RATES | {"falling": [0.985, 0.985, 0.985]}, "came out the same"),
        # Five times: three runs each leave it open (6.2 would do), four do not (3.9).
        ({"falling": [0.986, 0.987, 0.988], "constant": [0.982, 0.987, 0.992],
          "constant spreads": "more"}, "often chance; it takes 6.2 or more"),
        ({"falling": [0.986, 0.987, 0.988, 0.987], "constant": [0.982, 0.987, 0.992, 0.987],
          "constant spreads": "more"}, "right"),
        # 6.22 times: the text says 6.2, the exact factor is 6.245; both conclusions are right.
        *((RATES | {"falling": [0.49, 0.5, 0.51], "constant": [0.4378, 0.5, 0.5622],
                    "constant spreads": spreads}, found)
          for spreads, found in (("more", "right"), ("not told apart", "right"),
                                 ("less", "times the other's"))),
        (RATES | {"constant": [0.49, 0.5, 0.51], "falling": [0.4378, 0.5, 0.5622],
                  "constant spreads": "less"}, "right"),
        (RATES | {"constant": [0.49, 0.5, 0.51], "falling": [0.439, 0.5, 0.561],
                  "constant spreads": "less"}, "often chance"),
        (RATES | {"falling": [0.98]}, "take three or more"),
        (RATES | {"falling": [98, 98.1, 98.2]}, "0.9 and not 90"),
        (RATES | {"constant spreads": "not told apart"}, "10.0 times .* more than chance explains"),
        (RATES | {"falling": [0.98] * 3, "constant": [0.98] * 3}, "a seed of its own"),
    ],
    "5.3": [
        (lambda x: enlarge(x).repeat(1, 3, 1, 1), "right"),
        (preprocess, "still normalised"),
        (lambda x: enlarge(x), "one channel"),
        (lambda x: enlarge(x, 1).repeat(1, 3, 1, 1), "divide by 255"),
        (lambda x: (x.unsqueeze(1) / 255).repeat(1, 3, 1, 1), "enlarge to 224"),
        (lambda x: 1 - enlarge(x).repeat(1, 3, 1, 1), "not the same digits"),
        (lambda x: enlarge(x).repeat(1, 3, 1, 1).double(), "they are float64, but the network"),
        (lambda x: enlarge(x, int(x.max())).repeat(1, 3, 1, 1), "not the same digits"),
    ],
    "5.4": [
        (lambda a, b, y: ((a == y) & (b != y)).nonzero().flatten(), "right"),
        (lambda a, b, y: (a == y) & (b != y), "gives the indices"),
        (lambda a, b, y: ((a == y) & (b != y)).tolist(), "gives the indices"),
        (lambda a, b, y: ((a == y) & (b != y)).numpy(), "gives the indices"),
        (lambda a, b, y: pd.Series(((a == y) & (b != y)).numpy()), "gives the indices"),
        (lambda a, b, y: np.array([1, 3]), r"yours says \[1, 3\]"),
        (lambda a, b, y: ((b == y) & (a != y)).nonzero().flatten(), "only the \\*second\\*"),
        (lambda a, b, y: (a != b).nonzero().flatten(), "where the two differ"),
        (lambda a, b, y: (a == y).nonzero().flatten(), "alone or not"),
        (lambda a, b, y: y[(a == y) & (b != y)], "the labels of these digits"),
        (lambda a, b, y: [1, 5], "with the two exchanged"),
    ],
    "5.5": [
        (FEW, "right: head minus CNN"),
        (FEW | {"better": "CNN"}, "by these seeds: head"),
        (FEW | {"head": [0.7, 0.9, 0.6]}, "not told apart"),
        (FEW | {"head": [0.8], "CNN": [0.7]}, "three or more"),
        (FEW | {"CNN": [0.7, 0.7]}, "pair them"),
        (FEW | {"CNN": [0.7, 0.7, 0.7]}, "came out the same"),
    ],
    "6.1": [
        (frame_where(lambda f: f["seed"] < 3), "right"),
        (frame_where(lambda f: f["seed"] <= 3), "these are four"),
        (Runs(STORED.frame.head(3)), "three rows in all"),
        (frame_where(lambda f: (f["seed"] < 3) & (f["name"] == "V0")), "three rows|recipes only"),
        (STORED.frame, r"into `Runs\(...\)`"),
        (STORED, "these are seeds"),
        (frame_where(lambda f: (f["seed"] < 3) & f["name"].str.startswith("A")), "is not there"),
        (frame_where(lambda f: (f["seed"] < 3) & (f["name"] != "V2")), "run of 'V2' with seed 0"),
        (frame_where(lambda f: (f["seed"] < 2) | ((f["seed"] == 2) & (f["name"] != "V2"))),
         "run of 'V2' with seed 2 is not there"),
    ],
    "6.2": [
        (one_more(), "right"),
        (one_more(level=0.9), "is expected"),
        (lambda values: interval_of_mean(values).mean + np.array([-1, 1]), "is expected"),
        (of_the_mean, "of the mean"),
        (lambda values: np.clip(one_more()(values), 0, 1), "right"),
        (one_more(further=False, t=1.96), "Student's t"),
        (one_more(t=1.96), "Student's t"),
        (one_more(further=False), r"√\(1 \+ 1/n\)"),
        (lambda values: one_more()(values)[::-1], "lower end comes first"),
        (lambda values: prediction_interval(values).high, "several numbers"),
        (lambda values: (0.9, 0.95, 1.0), "two are asked for"),
    ],
    "6.3": [
        ((SGD_ADAM, STORED), "right: the 10 that we have"),
        ((2 * SGD_ADAM, STORED), f"right: .*about {SGD_ADAM} are the least that do"),
        ((3, STORED), "would not show"),
        ((SGD_ADAM - 1, STORED), "would not show"),
        ((100 * SGD_ADAM, STORED), f"about {SGD_ADAM} would do"),
        ((2.5, STORED), "round up"),
    ],
    "6.4": [
        ((0.55, 1 - 0.05 / 11), "right"),
        ((0.05, 0.95), "chance of each"),
        ((10.45, 0.9955), "how many are right"),
        ((0.4312, 0.9955), "any is wrong"),
        ((0.55, 0.05 / 11), "the level is one minus it"),
        ((0.55, 0.95), "one test alone"),
        ((0.55, 0.99), "divide 0.05"),
        ((0.55, 0.995), "0.995 is rounded too far"),
        ((0.55, 99.55), "as a share"),
        ((0.5, 0.9955), "11 times one in twenty is not 0.5"),
        ((2, 0.99), "11 times"),
    ],
    "7.1": [
        (lambda p, y: best_temperature(p, y), "right"),
        (lambda p, y: 1 / best_temperature(p, y), "\\*divided\\*"),
        (lambda p, y: 1.0, "chosen by NLL"),
        (lambda p, y: 3 * best_temperature(p, y), "of about"),
        (lambda p, y: best_temperature(p, y, [0.5, 1, 1.5, 2, 2.5]), "in small steps"),
        (lambda p, y: best_temperature(p, y, [t / 100 for t in range(20, 151, 5)]), "reach as far"),
        (lambda p, y: best_temperature(p, y, [t / 10 for t in range(2, 51)]), "right"),
    ],
    "7.2": [
        ((900, BINS), "right: 95%"),
        ((500, BINS.assign(count=[0, 443, 500])),
         "right: 53% of the digits .* In the ECE the other bins count for the other 47%"),
        ((2, BINS), "which bin"),
        ((943, BINS), "all of them"),
        ((40, BINS), "the counts are"),
        ((900, "no table"), "hand in the number of digits"),
    ],
    "7.3": [
        (lambda x: random_affine(x) + 0.2 * torch.randn_like(x), "right"),
        (lambda x: x + 0.2 * torch.randn_like(x), "not moved"),
        (random_affine, "no noise"),
        (lambda x: random_affine(x) + 2 * torch.randn_like(x), "0.2 was asked for"),
        (lambda x: random_affine(x) + 0.2 * NOISE[: len(x)], "the same noise"),
        (lambda x: (random_affine(x) + 0.2 * torch.randn_like(x))[:, 0], "shape"),
        (lambda x: random_affine(x) + 0.2 * torch.randn_like(x, dtype=torch.float64), "float64"),
        (lambda x: random_affine(x) + 0.45 * torch.randn_like(x), "0.2 was asked for; `exercises"),
        (lambda x: random_affine(x) + 0.1 * torch.randn_like(x), "makes it smaller"),
    ],
    "7.4": [
        (LAST, "right"),
        (LAST | {"believe": "mcnemar"}, "with another seed"),
        (LAST | {"gap": gap(0.01, n=3)}, "take 5 or more"),
        (LAST | {"gap": gap(0.0001)}, "contains zero"),
        (LAST | {"gap": gap(-0.01), "V2 than E MLP": "worse"}, "the other way round"),
        (LAST | {"gap": gap(0.08)}, "of which two recipes is it"),
    ],
} | NETWORKS  # fmt: skip


def best_temperature(probabilities, labels, tried=tuple(t / 20 for t in range(4, 101))):
    scores = probabilities.clamp_min(1e-12).log()
    losses = {t: nn.functional.cross_entropy(scores / t, labels).item() for t in tried}
    return min(losses, key=losses.get)


CASES = [(n, place) for n, answers in ANSWERS.items() for place in range(len(answers))]


@pytest.mark.parametrize(("number", "place"), CASES)
def test_an_answer_is_right_or_told_why_not(number, place):
    answer, message = ANSWERS[number][place]
    with_more = isinstance(answer, tuple) and isinstance(answer[-1], pd.DataFrame | Runs | str)
    text = said(number, *answer) if with_more else said(number, answer)
    assert re.search(message, text), text
    assert text.startswith(f"{number} right" if place == 0 else number)
    if place > 0 and "right" not in message:
        assert " right: " not in text
        assert f'exercises.hint("{number}")' in text


def test_every_exercise_has_wrong_answers_that_are_told_apart():
    assert sorted(ANSWERS) == NUMBERS
    assert all(len(answers) >= 3 for answers in ANSWERS.values())


@pytest.mark.parametrize("number", sorted(NETWORKS))
def test_what_learners_write_has_many_wrong_answers_and_some_right_ones(number):
    right = ["right" in message for _, message in NETWORKS[number]]
    assert sum(right) >= 3
    assert len(right) - sum(right) >= 25


# --- in the notebooks -----------------------------------------------------------------------

CHECK = re.compile(r'^exercises\.check\("(\d\.\d)"', flags=re.M)


def cells_of(number: str) -> list:
    path = next((ROOT / "notebooks").glob(f"0{number[0]}_*.ipynb"))
    return nbformat.read(path, 4).cells


@pytest.mark.parametrize("number", NUMBERS)
def test_each_exercise_stands_in_its_notebook_open(number):
    found = [
        c for c in cells_of(number) if c.cell_type == "code" and number in CHECK.findall(c.source)
    ]
    assert len(found) == 1
    assert "..." in found[0].source
    assert printed(found[0]).startswith(f"{number} is open: ")


@pytest.mark.parametrize("notebook", sorted({number[0] for number in NUMBERS}))
def test_each_notebook_has_three_to_six(notebook):
    stood = [
        n for c in cells_of(notebook) if c.cell_type == "code" for n in CHECK.findall(c.source)
    ]
    assert stood == [number for number in NUMBERS if number[0] == notebook]
    assert 3 <= len(stood) <= 6
