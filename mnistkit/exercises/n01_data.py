"""Exercises of 01_data: classes, normalising, nearest means, luck, and which split decides."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mnistkit.exercises.exercise import (
    AnswerError,
    call,
    exercise,
    number,
    numbers,
    parts,
    share,
    word,
    wrong_if,
)


@exercise(
    "1.1",
    wants="the labels of sixteen digits of one class",
    hint="`digits.train.labels == 4` is true where a 4 is, and `.nonzero().flatten()` turns that "
    "into indices. Show the first sixteen of them.",
    solution="""
fours = (digits.train.labels == 4).nonzero().flatten()[:16]
mk.show_figure(mk.plot_images(digits.train.images[fours], title="Fours"))
answer = digits.train.labels[fours]
""",
)
def one_class(answer: object) -> str:
    """Sixteen equal labels."""
    labels = numbers(answer, "your list of labels")
    wrong_if(
        len(labels) and not np.isin(labels, range(10)).all(),
        "a label is a whole number from 0 to 9, so these may be indices: hand in "
        "`digits.train.labels` at them",
    )
    wrong_if(len(labels) != 16, f"you show {_digits(len(labels))}, but sixteen were asked for")
    classes = sorted({int(label) for label in labels})
    wrong_if(
        len(classes) > 1, f"they are of {len(classes)} classes, {classes}, but one was asked for"
    )
    return f"sixteen times a {classes[0]}. Compare with another class: which varies more?"


def _digits(count: int) -> str:
    return f"{count} digit{'s' * (count != 1)}"


@exercise(
    "1.2",
    wants="two numbers, (paper, ink)",
    hint="Before normalising, paper is 0 and ink is 1. Subtract the mean, then divide by the "
    "standard deviation; or let `mk.normalize(images, mean, std)` do it.",
    solution="""
paper, ink = mk.normalize(torch.tensor([0.0, 1.0]), 0.5, 0.5).tolist()
answer = (paper, ink)
""",
)
def paper_and_ink(answer: object) -> str:
    """-1 and 1."""
    pair = numbers(answer)
    wrong_if(len(pair) != 2, f"the answer holds {len(pair)} numbers, but two are asked for")
    mistakes = {
        (0.0, 1.0): "that is what they are before normalising",
        (0.0, 255.0): "those are the bytes; `to_float` scales them to 0 and 1 first",
        (-0.5, 0.5): "you have subtracted the mean, and not yet divided by the standard deviation",
        (1.0, -1.0): "the other way round: paper was 0, and ink 1",
        (-1.0, 509.0): "ink is 1, not 255, when it is normalised: `to_float` comes first",
        (-0.4242, 2.8215): "that is with MNIST's own constants, not with 0.5 and 0.5",
    }
    for mistake, reason in mistakes.items():
        wrong_if(np.allclose(pair, mistake, atol=5e-4), reason)
    wrong_if(
        not np.allclose(pair, (-1, 1), atol=1e-6),
        "(value - mean) / standard deviation gives other numbers",
    )
    return (
        "paper is -1 and ink is 1. Most pixels are paper, so the mean of all is now far below 0: "
        "these constants are not MNIST's own."
    )


@exercise(
    "1.3",
    wants="a function that takes means, 10 x 28 x 28, and returns two classes",
    hint="`torch.cdist(flat, flat)` gives all distances between rows. Each mean is nearest to "
    "itself, so fill the diagonal first: `distances.fill_diagonal_(float('inf'))`.",
    solution="""
def closest(means):
    flat = means.flatten(1)
    distances = torch.cdist(flat, flat).fill_diagonal_(float("inf"))
    return divmod(distances.argmin().item(), len(means))


print(closest(means))
""",
)
def closest_means(answer: object) -> str:
    """The right pairs for means made for it, in either order."""
    for close, far in ([3, 8], [5, 6]), ([0, 1], [2, 9]):
        pair = sorted(numbers(call(answer, _means(close, far)), "what your function returns"))
        wrong_if(
            len(pair) != 2, f"your function returns {len(pair)} numbers, but a pair is asked for"
        )
        wrong_if(
            pair[0] == pair[1],
            "a class with itself: every mean is nearest to itself, so leave the diagonal out",
        )
        wrong_if(pair == far, "those are the two that lie furthest apart")
        wrong_if(
            pair != close,
            f"of the means of this check, {close[0]} and {close[1]} are closest; yours says "
            f"{pair[0]:g} and {pair[1]:g}",
        )
    return "in MNIST they are the 4 and the 9, then the 7 and the 9. Which models confuse them?"


def _means(close: list[int], far: list[int]) -> Tensor:
    """Ten means, of which two lie close together and two far apart."""
    means = 0.2 * torch.rand(10, 28, 28, generator=torch.Generator().manual_seed(0))
    means[close[1]] = means[close[0]] + 0.01
    means[far[0], :14], means[far[1], 14:] = 1.0, 1.0
    return means


@exercise(
    "1.4",
    wants="a function that takes a number of digits and returns how far above 0.1 the best of "
    "1,000 guessers scores on them",
    hint="Start from the cell with the guessers. Make up `n` labels, `torch.randint(0, 10, (n,))`, "
    "since a split may hold fewer; take the best score; and subtract the 0.1 that guessing gives.",
    solution="""
def luck(n):
    labels = torch.randint(0, 10, (n,))
    guesses = torch.randint(0, 10, (1000, n))
    return (guesses == labels).float().mean(dim=1).max().item() - 0.1


print(f"chosen on 50 digits {luck(50):+.3f}, on 5,000 {luck(5000):+.4f}")
""",
)
def luck_of_the_best(answer: object) -> str:
    """About 3.2 standard errors of a share of a tenth, whatever the draw."""
    few, some, many = (
        number(call(answer, n), "what your function returns") for n in (50, 500, 5000)
    )
    wrong_if(few > 1, "say it as a share: 0.14, not 14")
    wrong_if(
        many > 0.08 and few > 0.15,
        "that is the winner's score; its luck is what lies above the 0.1 that guessing gives",
    )
    wrong_if(
        many > 0.03 and few < 2 * many,
        "much the same for 50 digits and for 5,000: does your function use `n`, and `dim=1`?",
    )
    wrong_if(
        many > 0.02 and many > some / 2,
        "much the same for 500 digits and for 5,000: are there so many labels? "
        "`torch.randint(0, 10, (n,))` makes up `n` of them",
    )
    wrong_if(
        abs(few) < 0.06,
        "that is what one guesser gets; luck comes from choosing the best of 1,000, with `.max()`",
    )
    shares = [number(call(answer, 50), "what your function returns") for _ in range(5)]
    wrong_if(
        0.08 < max(shares) < 0.105,
        "0.1 on 50 digits is how far the worst lies below 0.1, since none can score below "
        "zero; the best is asked for",
    )
    errors = [number(call(answer, 2000), "what your function returns") for _ in range(9)]
    best = sum(errors) / len(errors) / (0.1 * 0.9 / 2000) ** 0.5
    wrong_if(
        0.06 < few < 0.3 and 0.006 < many < 0.03 and not 2.9 < best < 3.75,
        f"the best lies {best:.1f} standard errors above 0.1, and the best of 1,000 guessers about "
        f"3.3: does your function use {'fewer' if best < 3.3 else 'more'} of them?",
    )
    if not (0.06 < few < 0.3 and 0.006 < many < 0.03):
        raise AnswerError(
            f"about 0.14 on 50 digits and 0.014 on 5,000 are expected; yours gives "
            f"{few:.3f} and {many:.4f}"
        )
    return (
        f"{few:.2f} on 50 digits, {many:.3f} on 5,000. With a hundred times the digits a tenth of "
        "the luck is left: it falls with the square root of their number."
    )


@exercise(
    "1.5",
    wants='{"split": ..., "digits": ..., "mean": ..., "median": ..., "better": ...}',
    hint="`.median(dim=0).values` in place of `.mean(dim=0)`. You are choosing between two "
    "classifiers: which split is for that? Two accuracies on 500 digits may differ by some "
    "five points by chance alone, on 5,000 by one and a half.",
    solution="""
centres = {"mean": means, "median": torch.stack(
    [mk.to_float(digits.train.images[digits.train.labels == c]).median(dim=0).values[0]
     for c in range(10)]
)}
inputs, labels = digits.validation.inputs().flatten(1), digits.validation.labels
scores = {
    name: (torch.cdist(inputs, c.flatten(1)).argmin(dim=1) == labels).float().mean().item()
    for name, c in centres.items()
}
chance = 2 * (2 * scores["mean"] * (1 - scores["mean"]) / len(labels)) ** 0.5
apart = abs(scores["mean"] - scores["median"]) > chance
better = max(scores, key=scores.get) if apart else "not told apart"
answer = {"split": "validation", "digits": len(labels), **scores, "better": better}
""",
)
def mean_or_median(answer: object) -> str:
    """Decided on validation, and no more said than the digits can tell."""
    given = parts(answer, ["split", "digits", "mean", "median", "better"])
    split = word(given["split"], ["train", "validation", "test"])
    wrong_if(
        split == "test",
        "you decided on test, so its score for the winner is too good: see 'Why three splits?'",
    )
    wrong_if(
        split == "train",
        "on the digits that the means were made from, a model looks better than it is",
    )
    mean, median = (share(given[name], name) for name in ("mean", "median"))
    better = word(given["better"], ["mean", "median", "not told apart"])
    count = number(given["digits"], "digits")
    wrong_if(
        not 1 <= count <= 60_000,
        "`digits` is how many digits your decision rests on, at most 60,000",
    )
    chance = 2 * (2 * max(mean * (1 - mean), 1e-4) / count) ** 0.5
    higher = "mean" if mean > median else "median"
    wrong_if(mean == median and better != "not told apart", "by your numbers they are equal")
    wrong_if(better not in (higher, "not told apart"), f"by your numbers the {higher} is ahead")
    wrong_if(
        better == higher and abs(mean - median) < chance,
        f"{100 * abs(mean - median):.1f} points on {count:,.0f} digits may be chance",
    )
    wrong_if(
        better == "not told apart" and abs(mean - median) > 2 * chance,
        f"{100 * abs(mean - median):.1f} points on {count:,.0f} digits are more than chance "
        "explains",
    )
    return (
        f"{better}, decided where it should be: not on test. (Chance alone makes two such "
        f"scores differ by up to {100 * chance:.1f} points.)"
    )
