"""Exercises of 02_linear_vs_relu: a V1 of one's own, its lottery, width, chances, one digit."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from mnistkit.exercises.exercise import (
    AnswerError,
    call,
    exercise,
    number,
    numbers,
    parts,
    same,
    share,
    wrong_if,
    yes_or_no,
)
from mnistkit.exercises.networks import (
    check_bends,
    check_learns,
    check_logits,
    check_outputs,
    comes_back,
    in_words,
    network,
    random_images,
    shaken,
    shapes,
)


@exercise(
    "2.1",
    wants="a V1 of your own, 784-10-10, that cannot lose a class",
    hint="Copy the class `V1` from above. Whatever is applied to its logits has to go, or to let "
    "negative numbers through with a slope. Between the two linear layers any activation will do: "
    "`nn.ReLU()`, `nn.Tanh()`, `nn.LeakyReLU()`.",
    solution="""
class MyV1(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(784, 10),
            nn.Tanh(),
            nn.Linear(10, 10),  # and nothing on the logits
        )

    def forward(self, images):
        return self.layers(images)


print(f"{mk.count_parameters(MyV1()):,} parameters, as before")
""",
)
def own_v1(answer: object) -> str:
    """Two linear layers with an activation between, and logits that can always come back."""
    _check_v1(network(answer), hidden=10)
    return (
        "pushed far down, each class still gets a gradient and can come back. That is the "
        "theory; 2.2 asks your seeds."
    )


def _check_v1(model: nn.Module, hidden: int) -> None:
    images = random_images()
    check_outputs(model, images)
    widths = [(hidden, 784), (10, hidden)]
    wrong_if(
        sorted(map(sorted, shapes(model))) != sorted(map(sorted, widths)),
        f"its layers lead from {in_words(shapes(model))}; expected {in_words(widths)}",
    )
    check_logits(model, images)
    check_learns(model, images)
    check_bends(shaken(model).eval(), images, nn.Linear)
    wrong_if(_is_linear(model), "it has no activation, so it is V0: put one between the layers")
    wrong_if(
        not comes_back(model, images),
        "a class whose logit is far below 0 gets no gradient: what is applied to the logits "
        "is flat there",
    )


def _is_linear(model: nn.Module) -> bool:
    """Whether the middle between two images gets the middle of what the two get.

    Of bright images, too: a network that divides them by 255 bends only there.
    """
    trial = shaken(model).eval()
    found = []
    for bright in (4, 1000):
        first, second = (bright * random_images(64)).split(32)
        with torch.no_grad():
            ends, middle = trial(first) + trial(second), trial((first + second) / 2)
        found.append(same(ends / 2, middle, within=1e-3 * max(1, middle.abs().max().item())))
    return all(found)


@exercise(
    "2.2",
    wants='{"accuracies": [...], "lottery": True or False}',
    hint="Eight models in a list, with `torch.manual_seed(seed)` before each; `mk.fit_stack` "
    "trains the list as above (or `mk.fit` one after the other), and `mk.evaluate` measures each.",
    solution="""
own_models = []
for seed in range(8):
    torch.manual_seed(seed)
    own_models.append(MyV1())
mk.fit_stack(own_models, train_loader, epochs=epochs, optimizer="sgd", learning_rate=learning_rate)
own_scores = [mk.evaluate(model, test_loader).accuracy for model in own_models]
print(", ".join(f"{score:.1%}" for score in own_scores))
answer = {"accuracies": own_scores, "lottery": max(own_scores) - min(own_scores) > 0.1}
""",
)
def own_lottery(answer: object) -> str:
    """At least eight runs, and a word that agrees with their range."""
    given = parts(answer, ["accuracies", "lottery"])
    found = numbers(given["accuracies"], "accuracies")
    wrong_if(len(found) < 8, f"{len(found)} runs, and a lottery shows in eight or more")
    for value in found:
        share(value, "an accuracy")
    wrong_if(
        len(set(found)) == 1, "all accuracies are the same: does each model have its own seed?"
    )
    wrong_if(found.max() < 0.15, "all of them guess, at one in ten: were these models trained?")
    reach = round(found.max() - found.min(), 9)
    wrong_if(
        yes_or_no(given["lottery"], "lottery") != (reach > 0.1),
        f"worst and best lie {100 * reach:.3g} points "
        "apart, and a lottery is what spans more than ten",
    )
    return (
        f"worst and best lie {100 * reach:.3g} points apart. Those of V1 as published, trained on "
        "full MNIST, lie 39 apart."
    )


@exercise(
    "2.3",
    wants="a class, and not a model, that is built with a number of hidden units",
    hint="`def __init__(self, hidden_units):`, and both linear layers use the number: the first "
    "gives so many, the second takes so many. The rest is as in 2.1.",
    solution="""
class NarrowV1(nn.Module):
    def __init__(self, hidden_units):
        super().__init__()
        self.hidden = nn.Linear(784, hidden_units)
        self.last = nn.Linear(hidden_units, 10)

    def forward(self, images):
        return self.last(self.hidden(images.flatten(1)).relu())


for hidden_units in (1, 2, 3, 5, 10):
    torch.manual_seed(0)
    narrow = NarrowV1(hidden_units)
    mk.fit(narrow, train_loader, epochs=1, optimizer="sgd", learning_rate=learning_rate,
        progress=False)
    print(f"{hidden_units:2} units: {mk.evaluate(narrow, validation_loader).accuracy:.1%}")
""",
)
def any_width(answer: object) -> str:
    """The width that it is told is the width that it has."""
    wrong_if(
        isinstance(answer, nn.Module),
        "that is a model, whose width is fixed; hand in the class, by its name and without "
        "brackets",
    )
    for width in (3, 100):
        model = network(answer, hidden_units=width)
        _check_v1(model, width)
    return (
        "each hidden unit costs 784 + 1 + 10 = 795 parameters. Before you train a model with one, "
        "two and three of them: how many of the ten classes can it read?"
    )


@exercise(
    "2.4",
    wants="a function of two lists of accuracies, V1's and V0's, that returns a share",
    hint="Compare every V1 with every V0: `v1[:, None] < v0[None, :]` makes a table of all pairs, "
    "if both are arrays.",
    solution="""
import numpy as np


def chance_below(v1, v0):
    return (np.asarray(v1)[:, None] < np.asarray(v0)[None, :]).mean()


print(f"{chance_below(accuracies['V1'], accuracies['V0']):.0%}")
""",
)
def chance_below(answer: object) -> str:
    """All pairs, of runs made up for it: 7 of 12, 1 of 4, and 1 of 4 where one pair is equal."""
    v1, v0 = [0.5, 0.9, 0.95], [0.92, 0.91, 0.93, 0.6]
    found = _share_of_pairs(answer, v1, v0)
    wrong_if(np.isclose(found, 100 * 7 / 12), "say it as a share, 0.58 and not 58")
    wrong_if(np.isclose(found, 5 / 12), "that is the chance of V1 being above; below is asked for")
    wrong_if(
        found in (0, 1),
        "that is a yes or a no about their means or about one pair; compare every V1 with every V0",
    )
    wrong_if(
        found > 1, f"that is {found:g}: divide by the number of pairs, as a share is asked for"
    )
    wrong_if(
        np.isclose(found, 1 / 3),
        "that compares each V1 with the mean of the V0s; you draw one V0, not their mean",
    )
    _expect_share(found, 7 / 12, v1, v0)
    v1, v0 = [0.7, 0.9], [0.8, 0.6]
    _expect_share(_share_of_pairs(answer, v1, v0), 1 / 4, v1, v0)
    v1, v0 = [0.5, 0.9], [0.5, 0.7]
    found = _share_of_pairs(answer, v1, v0)
    wrong_if(np.isclose(found, 2 / 4), f"for V1s {v1} and V0s {v0}: 0.5 is not below 0.5")
    _expect_share(found, 1 / 4, v1, v0)
    return (
        "the closer this share is to a half, the less a single run of each, as in the README, says "
        "about which model is worse."
    )


def _share_of_pairs(answer: object, v1: list[float], v0: list[float]) -> float:
    """What the function says of these runs, be it written for arrays or for lists."""
    try:
        return number(call(answer, np.array(v1), np.array(v0)), "what your function returns")
    except AnswerError as error:
        try:
            return number(call(answer, list(v1), list(v0)), "what your function returns")
        except AnswerError:
            raise error from None


def _expect_share(found: float, right: float, v1: list[float], v0: list[float]) -> None:
    pairs = len(v1) * len(v0)
    wrong_if(
        not np.isclose(found, right),
        f"for V1s {v1} and V0s {v0}, {right * pairs:.0f} of {pairs} pairs have V1 below, a "
        "share of "
        f"{right:.3f}; yours says {found:.3f}",
    )


@exercise(
    "2.5",
    wants='{"place": ..., "V0": share of the V0s that read it, "V1 corrected": the same, '
    '"n": how many of each, "models differ": True or False}',
    hint='Find a digit on which two single models disagree; then ask all of `models["V0"]` and '
    '`models["V1 corrected"]` about it. Do the models differ, or only two runs?',
    solution="""
def readers_of(name):
    answers = [mk.make_predictions(model, test_images).argmax(dim=1) for model in models[name]]
    return (torch.stack(answers) == test_labels).float()


read = {name: readers_of(name) for name in ("V0", "V1 corrected")}
place = int((read["V0"][0] - read["V1 corrected"][0]).argmax())
share = {name: rows[:, place].mean().item() for name, rows in read.items()}
differ = abs(share["V0"] - share["V1 corrected"]) >= 0.25
answer = {"place": place, **share, "n": seeds, "models differ": differ}
""",
)
def one_run_again(answer: object) -> str:
    """Shares over several seeds, and a conclusion that they bear."""
    given = parts(answer, ["place", "V0", "V1 corrected", "n", "models differ"])
    place, count = number(given["place"], "place"), number(given["n"], "n")
    wrong_if(
        place != round(place) or not 0 <= place < 10_000,
        f"place is {place:g}, and test has at most 10,000 digits, counted from 0",
    )
    wrong_if(count < 8, f"{count:.0f} of each model are few; ask eight or more")
    wrong_if(count > 10_000 or count != round(count), f"n is {count:g}: how many of each model?")
    first, second = (share(given[name], name) for name in ("V0", "V1 corrected"))
    for value in (first, second):
        wrong_if(
            abs(value * count - round(value * count)) > 0.01,
            f"{value:g} cannot be a share of {count:g} models",
        )
    wrong_if(first == 0, "no V0 reads it; take a digit that one V0 reads")
    wrong_if(second == 1, "every corrected V1 reads it; take a digit that one of them misreads")
    differ = yes_or_no(given["models differ"], "models differ")
    gap = round(abs(first - second), 6)  # of shares, which floats hold only nearly
    wrong_if(
        differ and gap < 0.25,
        f"{first:.0%} and {second:.0%} of them read it: single runs "
        "differ on it, the models hardly do",
    )
    wrong_if(
        not differ and gap >= 0.25,
        f"{first:.0%} and {second:.0%} of them read it: that is more than luck of a seed",
    )
    return f"{first:.0%} of the V0s read it, {second:.0%} of the others. One run is an anecdote."
