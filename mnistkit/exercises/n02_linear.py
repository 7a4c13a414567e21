"""Exercises of 02_linear_vs_relu: width, the lottery, LeakyReLU, chances, one run again."""

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
    share,
    what,
    wrong_if,
    yes_or_no,
)


@exercise(
    "2.1",
    wants="a V1 with 100 hidden units",
    hint="`MNISTModelV1(...)` takes the width of its hidden layer as `hidden_units`. In a class "
    "of your own, the width stands in both linear layers.",
    solution="""
answer = MNISTModelV1(hidden_units=100)
print(count_parameters(answer))
""",
)
def wide_v1(answer: object) -> str:
    """V1 as published but for its width."""
    wrong_if(isinstance(answer, type), "that is the class; call it to build a model")
    layers = [
        layer
        for layer in (answer.modules() if isinstance(answer, nn.Module) else ())
        if not list(layer.children())
    ]
    kinds = [type(layer) for layer in layers]
    wrong_if(
        kinds[:4] != [nn.Flatten, nn.Linear, nn.ReLU, nn.Linear],
        f"the answer is {what(answer)}, and a V1, `MNISTModelV1(...)` or your own, is asked for",
    )
    wrong_if(
        kinds[4:] != [nn.ReLU],
        "this one lacks the ReLU on its logits; leave it as published",
    )
    shapes = [(layer.in_features, layer.out_features) for layer in (layers[1], layers[3])]
    width = layers[1].out_features
    wrong_if(width != 100, f"it has {width} hidden units, and 100 are asked for")
    wrong_if(
        shapes != [(784, 100), (100, 10)],
        f"its linear layers are {shapes}, expected [(784, 100), (100, 10)]",
    )
    return "79,510 parameters, ten times as many. Is it still a lottery? That is 2.2."


@exercise(
    "2.2",
    wants='{"accuracies": [...], "lottery": True or False}',
    hint='Build eight of 2.1\'s models with `build_model("V1", seed=seed, hidden_units=100)`, '
    "train them with `fit_stack` as above, and evaluate each.",
    solution="""
wide = [build_model("V1", seed=seed, hidden_units=100) for seed in range(8)]
fit_stack(wide, train_loader, epochs=epochs, optimizer="sgd", learning_rate=learning_rate)
wide_scores = [evaluate(model, test_loader).accuracy for model in wide]
answer = {"accuracies": wide_scores, "lottery": max(wide_scores) - min(wide_scores) > 0.1}
""",
)
def wide_lottery(answer: object) -> str:
    """At least eight runs, and a word that agrees with their range."""
    given = parts(answer, ["accuracies", "lottery"])
    found = numbers(given["accuracies"], "accuracies")
    wrong_if(len(found) < 8, f"{len(found)} runs, and a lottery shows in eight or more")
    for value in found:
        share(value, "an accuracy")
    wrong_if(len(set(found)) == 1, "all accuracies are the same: has each model its own seed?")
    reach = found.max() - found.min()
    wrong_if(
        yes_or_no(given["lottery"], "lottery") != (reach > 0.1),
        f"worst and best lie {100 * reach:.0f} points "
        "apart, and a lottery is what spans more than ten",
    )
    return (
        f"worst and best lie {100 * reach:.0f} points apart. On full MNIST width makes the "
        "best better; the ReLU on the logits is still there, and can lose a class."
    )


@exercise(
    "2.3",
    wants="a model, 784-10-10, with a ReLU between and a LeakyReLU on the logits",
    hint="`torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10), ...)`, five layers: "
    "flatten, linear, ReLU, linear, LeakyReLU.",
    solution="""
from torch import nn

answer = nn.Sequential(
    nn.Flatten(), nn.Linear(784, 10), nn.ReLU(), nn.Linear(10, 10), nn.LeakyReLU()
)
""",
)
def leaky(answer: object) -> str:
    """A class pushed far down still gets a gradient, if a small one."""
    wrong_if(
        not isinstance(answer, nn.Module), f"the answer is {what(answer)}, and a model is asked for"
    )
    wrong_if(isinstance(answer, type), "that is a class; call it to build a model")
    kinds = [type(layer) for layer in answer.modules() if not list(layer.children())]
    wrong_if(nn.LeakyReLU not in kinds, "it has no LeakyReLU")
    wrong_if(
        kinds[-1] is not nn.LeakyReLU,
        f"its last layer is {kinds[-1].__name__}: the LeakyReLU goes on the logits",
    )
    wrong_if(kinds[-2] is nn.ReLU, "the last ReLU is still there, before the LeakyReLU")
    linear = [layer for layer in answer.modules() if isinstance(layer, nn.Linear)]
    shapes = [(layer.in_features, layer.out_features) for layer in linear]
    wrong_if(
        shapes != [(784, 10), (10, 10)],
        f"its linear layers are {shapes}, and V1's are [(784, 10), (10, 10)]",
    )
    wrong_if(nn.LeakyReLU in kinds[:-1], "the first ReLU stays; only the last is replaced")
    wrong_if(
        [kind for kind in kinds if kind is not nn.Flatten]
        != [nn.Linear, nn.ReLU, nn.Linear, nn.LeakyReLU],
        "between its linear layers belongs one ReLU, and nothing else",
    )
    slope = [layer for layer in answer.modules() if isinstance(layer, nn.LeakyReLU)][-1]
    wrong_if(slope.negative_slope == 0, "a LeakyReLU of slope 0 is a ReLU")
    wrong_if(
        slope.negative_slope != 0.01,
        f"its LeakyReLU has slope {slope.negative_slope:g}; a hundred times smaller is 0.01, which "
        "is its default",
    )
    wrong_if(nn.Flatten not in kinds, "it takes no images: begin with `torch.nn.Flatten()`")
    before = linear[-1].bias.detach().clone()
    with torch.no_grad():
        linear[-1].bias[3] = -100
    answer.zero_grad()
    answer(torch.rand(20, 1, 28, 28, generator=torch.Generator().manual_seed(0)))[
        :, 3
    ].sum().backward()
    learns = bool(linear[-1].bias.grad[3] != 0)
    answer.zero_grad()
    with torch.no_grad():
        linear[-1].bias.copy_(before)
    wrong_if(not learns, "a class that is pushed far down gets no gradient")
    return "a lost class gets a small gradient, so it can come back. Draw its histogram."


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
    """All pairs, as of runs made up for it: 7 of 12."""
    v1, v0 = np.array([0.5, 0.9, 0.95]), np.array([0.92, 0.91, 0.93, 0.6])
    try:
        found = number(call(answer, v1, v0), "what your function returns")
    except AnswerError as error:  # it may be written for lists
        try:
            found = number(call(answer, v1.tolist(), v0.tolist()), "what your function returns")
        except AnswerError:
            raise error from None
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
    wrong_if(
        not np.isclose(found, 7 / 12),
        f"of V1s 0.5, 0.9, 0.95 and V0s 0.92, 0.91, 0.93, 0.6, seven of twelve pairs have V1 "
        f"below; yours says {found:.3f}",
    )
    return (
        "the nearer such a share is to a half, the less one run each, as in the README, says about "
        "which model is worse."
    )


@exercise(
    "2.5",
    wants='{"place": ..., "V0": share of the V0s that read it, "V1 corrected": the same, '
    '"n": how many of each, "models differ": True or False}',
    hint='Find a digit on which two single models disagree; then ask all of `models["V0"]` and '
    '`models["V1 corrected"]` about it. Do the models differ, or only two runs?',
    solution="""
def readers_of(name):
    answers = [make_predictions(model, test_images).argmax(dim=1) for model in models[name]]
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
    wrong_if(count < 8, f"{count:.0f} of each is one run again; ask eight or more")
    first, second = (share(given[name], name) for name in ("V0", "V1 corrected"))
    for value in (first, second):
        wrong_if(
            abs(value * count - round(value * count)) > 0.01,
            f"{value:g} is no share of {count:g} models",
        )
    differ = yes_or_no(given["models differ"], "models differ")
    gap = abs(first - second)
    wrong_if(
        differ and gap < 0.25,
        f"{first:.0%} and {second:.0%} of them read it: single runs "
        "differ on it, the models hardly",
    )
    wrong_if(
        not differ and gap >= 0.25,
        f"{first:.0%} and {second:.0%} of them read it: that is more than luck of a seed",
    )
    return f"{first:.0%} of the V0s read it, {second:.0%} of the others. One run is an anecdote."
