"""Exercises of 03_mlp_tuning_qmnist: D's network varied, residual blocks, what few seeds show."""

from __future__ import annotations

import math
from dataclasses import fields
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch import Tensor, nn

from mnistkit.exercises.exercise import (
    call,
    exercise,
    number,
    parts,
    same,
    told_apart,
    what,
    wrong_if,
)
from mnistkit.exercises.networks import (
    Call,
    calls,
    check_bends,
    check_grows,
    check_learns,
    check_logits,
    check_outputs,
    given_if,
    in_words,
    is_log_softmax,
    joined_by_a_line,
    network,
    random_images,
    shaken,
    shapes,
)
from mnistkit.experiments.recipe import Recipe

# What exercise 3.6 puts together; a model stands for its width.
_KINDS = ("model", "batch_size", "activation", "dropout", "hidden")


@exercise(
    "3.1",
    wants="D's deep network, its ReLUs replaced by an activation that is not flat below zero",
    hint="Copy `d_deep` and put `nn.Tanh()`, `nn.LeakyReLU()`, `nn.GELU()` or `nn.Sigmoid()` in "
    "place of each of the three ReLUs. Batch norm stays before the activation, dropout after it.",
    solution="""
answer = nn.Sequential(
    nn.Flatten(),
    nn.Linear(784, 512), nn.BatchNorm1d(512), nn.Tanh(), nn.Dropout(0.3),
    nn.Linear(512, 256), nn.BatchNorm1d(256), nn.Tanh(), nn.Dropout(0.3),
    nn.Linear(256, 128), nn.Tanh(), nn.Dropout(0.3),
    nn.Linear(128, 10), nn.LogSoftmax(dim=1),
)
inputs = digits.validation.inputs()[:1]
for mode in ("training", "eval"):
    answer.train(mode == "training")
    with torch.no_grad():  # layer 4 is the first dropout
        switched_off = (answer[:5](inputs.repeat(64, 1, 1, 1)) == 0).float().mean().item()
    print(f"{mode}: {switched_off:.0%} of the first layer's units are off")
""",
)
def another_activation(answer: object) -> str:
    """D's layers in D's order; which activation it is shows in what it lets through."""
    model, images = network(answer), random_images(256)
    found = check_outputs(model, images)
    widths = [(512, 784), (256, 512), (128, 256), (10, 128)]
    wrong_if(
        shapes(model) != widths,
        f"its layers lead from {in_words(shapes(model))}; D's from {in_words(widths)}",
    )
    wrong_if(
        not is_log_softmax(found),
        "its outputs are not log-probabilities: D ends in `nn.LogSoftmax(dim=1)`",
    )
    check_learns(model, images)
    trial = shaken(model).eval()
    layers = calls(trial, images, nn.Linear)
    wrong_if(len(layers) != 4, f"{len(layers)} `nn.Linear` are at work, and D has four")
    check_bends(trial, images, nn.Linear)
    _check_norms(layers, calls(trial, images, nn.BatchNorm1d))
    for each in layers[1:]:
        wrong_if(
            (each.given == 0).float().mean() > 0.01,
            f"before `{each.name}` many units are exactly 0, even in eval mode: a ReLU is still "
            "there, or another activation that is flat below zero",
        )
        wrong_if(
            (each.given == each.given.min()).float().mean() > 5e-4,
            f"before `{each.name}` many units are exactly {each.given.min():g}: the activation is "
            "flat there, and has no slope",
        )
    _check_dropouts(calls(shaken(model).train(), images, (nn.Linear, nn.Dropout)), 0.3)
    return (
        "in training three units in ten are off, in eval mode none. `mk.fit` it with `nll` beside "
        "`d_deep`: does batch norm make the choice of activation matter less?"
    )


def _check_norms(layers: list[Call], norms: list[Call]) -> None:
    """Check that batch norm follows the first two linear layers, each at once."""
    wrong_if(len(norms) != 2, f"it has {len(norms)} batch norms at work, and D two")
    for layer, norm in zip(layers, norms, strict=False):
        wrong_if(
            not torch.equal(layer.gave, norm.given),
            f"`{norm.name}` does not come right after `{layer.name}`: batch norm goes before the "
            "activation, on the first two layers",
        )


def _check_dropouts(found: list[Call], share: float) -> None:
    """Check that so large a share of what each linear layer but the first is given is off.

    found: of linear layers and dropouts. A dropout is the last before a linear layer: an
    activation behind it would see what dropout has scaled up.
    """
    for before, each in pairwise(found):
        if isinstance(before.layer, nn.Dropout) and isinstance(each.layer, nn.Linear):
            wrong_if(
                not torch.equal(before.gave, each.given),
                f"something lies between `{before.name}` and `{each.name}`: dropout goes after "
                "the activation",
            )
    for each in [each for each in found if isinstance(each.layer, nn.Linear)][1:]:
        off = (each.given == 0).float().mean().item()
        wrong_if(
            off < 0.01,
            f"in training no unit before `{each.name}` is switched off: dropout goes after the "
            "activation",
        )
        wrong_if(
            abs(off - share) > 0.05,
            f"in training {off:.0%} of the units before `{each.name}` are switched off, and D "
            f"drops {share:.0%}",
        )


@exercise(
    "3.2",
    wants="a network of twenty residual blocks, x + f(x), each from 64 units to 64",
    hint="Keep twenty `nn.Linear(64, 64)` in an `nn.ModuleList([... for _ in range(20)])`; "
    "PyTorch does not look into a plain list. In `forward`, go through them: "
    "`x = x + block(x).relu()`. (`[block] * 20` is one block twenty times over.)",
    solution="""
class TwentyBlocks(nn.Module):
    def __init__(self, skip=True):
        super().__init__()
        self.first, self.last = nn.Linear(784, 64), nn.Linear(64, 10)
        self.blocks = nn.ModuleList([nn.Linear(64, 64) for _ in range(20)])
        self.skip = skip

    def forward(self, images):
        x = self.first(images.flatten(1)).relu()
        for block in self.blocks:
            new = block(x).relu()
            x = x + new if self.skip else new
        return self.last(x)


for skip in (False, True):
    torch.manual_seed(0)
    deeper = TwentyBlocks(skip)
    mk.fit(deeper, train_loader, epochs=1, progress=False)
    reached = mk.evaluate(deeper, validation_loader).accuracy
    print(f"x + f(x): {skip}; {reached:.1%} after one epoch")
""",
)
def residual(answer: object) -> str:
    """With every f made zero, the images still come through."""
    model, images = network(answer), random_images()
    check_outputs(model, images)
    layers = calls(shaken(model).eval(), images, nn.Linear)
    blocks = [each for each in layers if each.layer.in_features == each.layer.out_features]
    widths = sorted({each.layer.in_features for each in blocks})
    count = len({each.name for each in blocks})
    wrong_if(
        count < len(blocks),
        f"the same layer works {len(blocks) // max(count, 1)} times: `[block] * 20` is one block "
        "twenty times over; make twenty",
    )
    wrong_if(
        not widths,
        "no `nn.Linear` with as many outputs as inputs is at work; twenty of 64 are asked for",
    )
    wrong_if(
        widths != [64],
        f"its layers with as many outputs as inputs have {widths} units; 64 are asked for",
    )
    wrong_if(count < 20, f"{count} layers lead from 64 units to 64, and twenty blocks have twenty")
    wrong_if(
        layers[-1].layer.in_features != 64,
        f"its last layer takes {layers[-1].layer.in_features} numbers: x + f(x) is as wide as x, "
        "64; add them; do not concatenate",
    )
    times = _times_without(model, images, blocks)
    wrong_if(
        not 0.99 < times < 1.01,
        f"with the weights of all f set to zero, x comes out {times:.2g} times as large: add "
        "x itself",
    )
    check_learns(model, images)
    check_logits(model, images)
    check_grows(model, images)
    wrong_if(
        not _passes_without(model, images, blocks),
        "with the weights of all f set to zero, nothing comes through: somewhere `x +` is missing",
    )
    _check_blocks(model, images)
    return (
        "with all f zero each block hands on its x, and the network is as shallow as can be. Train "
        "it for one epoch, and again without the `x +`. Which of the two reads digits?"
    )


def _passes_without(model: nn.Module, images: Tensor, blocks: list[Call]) -> bool:
    """Whether images, and gradients, still come through when these layers give zero."""
    trial = shaken(model).eval()
    layers = dict(trial.named_modules())
    for each in blocks:
        for parameter in layers[each.name].requires_grad_(False).parameters():
            parameter.zero_()
    given = images.clone().requires_grad_()
    found = trial(given)
    found.pow(2).sum().backward()
    differ = found.std(dim=0).max() > 1e-5
    return bool(differ and given.grad is not None and given.grad.any())


def _times_without(model: nn.Module, images: Tensor, blocks: list[Call]) -> float:
    """By what x is multiplied on its way through when these layers give zero; 1 if by nothing."""
    trial = shaken(model).eval()
    layers = dict(trial.named_modules())
    with torch.no_grad():
        for each in blocks:
            for parameter in layers[each.name].parameters():
                parameter.zero_()
    found = calls(trial, images, nn.Linear)
    first = next(each.given for each in found if each.name == blocks[0].name)
    last = found[-1].given
    times = float((first * last).sum() / first.pow(2).sum().clamp_min(1e-12))
    follows = same(last, times * first, within=1e-3 * last.abs().max().item())
    return times if follows and last.any() else 1.0


def _check_blocks(model: nn.Module, images: Tensor) -> None:
    """Check that each block adds to its own x, and bends what it adds."""
    trial = shaken(model).eval()
    layers = [each for each in calls(trial, images, nn.Linear)
              if each.layer.in_features == each.layer.out_features]  # fmt: skip
    depths = [
        depth for depth in (1, 2, 3) if len(layers) % depth == 0 and len(layers) >= 20 * depth
    ]
    missing = {depth: _adds_to_another(trial, images, layers, depth) for depth in depths}
    depth = next((depth for depth, name in missing.items() if not name), 0)
    wrong_if(
        depth and len(layers) != 20 * depth,
        f"it has {len(layers) // max(depth, 1)} blocks, and twenty are asked for",
    )
    wrong_if(
        not depth,
        f"without `{missing[depths[0]]}` what came before it is lost: each of the twenty adds to "
        "its own x, `x = x + f(x)`",
    )
    lines = [(one.name, two.name) for one, two in pairwise(layers)
             if joined_by_a_line(trial, images, one, two)]  # fmt: skip
    wrong_if(
        len(lines) == len(layers) - 1,
        "its blocks hold no activation, so all of them do no more than one layer could",
    )
    wrong_if(
        lines and depth == 1,
        f"between `{' and '.join(lines[0] if lines else ())}` there is no activation, so the two "
        "blocks do no more than one could",
    )


def _adds_to_another(model: nn.Module, images: Tensor, layers: list[Call], depth: int) -> str:
    """The last layer of a block without which the next one hears nothing of the one before.

    depth: layers of a block. Empty if each block hands on its x.
    """
    blocks = [layers[place : place + depth] for place in range(0, len(layers), depth)]
    values = [torch.zeros_like(layers[0].gave), torch.ones_like(layers[0].gave)]
    values[1][:, ::2] = -1
    for before, block, after in zip(blocks, blocks[1:], blocks[2:], strict=False):
        with block[-1].layer.register_forward_hook(lambda *of: torch.zeros_like(of[2])):
            heard = [given_if(model, images, before[-1], after[0], value) for value in values]
        if same(*heard):
            return block[-1].name
    return ""


@exercise(
    "3.3",
    wants="the name of a recipe, and after it `runs`",
    hint='`runs[runs["seed"] == 0]` are the runs of one seed; among them `idxmax()` finds the row '
    "with the highest validation accuracy.",
    solution="""
first = runs[runs["seed"] == 0]
answer = first.loc[first["validation_accuracy"].idxmax(), "name"]
""",
)
def after_one_seed(answer: object, runs: pd.DataFrame) -> str:
    """The best of seed 0."""
    wrong_if(not isinstance(answer, str), f"the answer is {what(answer)}, but a name is asked for")
    wrong_if(
        answer not in set(runs["name"]),
        f"no recipe is called {answer!r} in `runs`; the baseline is called 'cross-entropy' there",
    )
    diverged = runs[runs["name"] == answer]["validation_accuracy"].isna().any()
    wrong_if(bool(diverged), f"a run of {answer!r} has diverged: it is not the best of anything")
    first = runs[runs["seed"] == 0].set_index("name")["validation_accuracy"]
    means = runs.groupby("name")["validation_accuracy"].mean()
    if first[answer] < first.max():
        wrong_if(
            means[answer] == means.max(), "that is the best over all seeds; you would have had one"
        )
        wrong_if(True, f"with seed 0 {int((first > first[answer]).sum())} recipes are better")
    place = int((means > means[answer]).sum()) + 1
    if runs["seed"].nunique() == 1:
        return "but `runs` has one seed only, so you cannot see how much that choice is worth."
    if place == 1:
        return (
            "over all seeds it is the best, too. This time one seed would have done, but you could "
            "not have known."
        )
    return (
        f"over all seeds it is number {place} of {len(means)}. A choice by one seed is partly a "
        "choice of luck."
    )


@exercise(
    "3.4",
    wants='{"gap": what `mk.paired_difference` gives, "batch 256": "better", "worse" or "not told '
    'apart"}',
    hint="Run `varied(batch_size=256, learning_rate=0.004)` with `mk.run_grid` and the same seeds, "
    "put it beside the baseline's runs with `pd.concat`, and ask `mk.paired_difference` for it and "
    '"cross-entropy".',
    solution="""
large = mk.run_grid(
    {"batch 256, rate 0.004": varied(batch_size=256, learning_rate=0.004)}, range(seeds), digits
)
gap = mk.paired_difference(pd.concat([runs, large]), "batch 256, rate 0.004", "cross-entropy")
verdict = "better" if gap.low > 0 else "worse" if gap.high < 0 else "not told apart"
answer = {"gap": gap, "batch 256": verdict}
""",
)
def is_it_behind(answer: object) -> str:
    """A paired difference, and a word that its interval bears out."""
    given = parts(answer, ["gap", "batch 256"])
    found = told_apart(given["gap"], given["batch 256"], least=2)
    wrong_if(
        given["gap"].low > 0.02,
        f"batch 256 comes out {100 * given['gap'].mean:.1f} points better: is the gap taken the "
        "other way round? It is batch 256 minus baseline",
    )
    return f"batch 256 at a rate of 0.004, minus the baseline: {found}."


@exercise(
    "3.5",
    wants="a function of a difference and the standard deviation of paired differences, both in "
    "points, that returns a number of seeds",
    hint="With n seeds the interval reaches about 1.96 standard deviations / √n on either side. "
    "That has to be less than the difference. Round up.",
    solution="""
import math


def seeds_needed(difference, deviation):
    return max(2, math.ceil((1.96 * deviation / difference) ** 2))


wider = mk.paired_difference(runs, "A wide (256, 64)", "cross-entropy")
print(seeds_needed(0.1, 100 * wider.deviation), "seeds to see a tenth of a point")
""",
)
def seeds_needed(answer: object) -> str:
    """Between what just suffices on average and what nearly always does."""
    cases = [(0.1, 0.3), (0.2, 0.3), (0.1, 0.6)]
    found = [number(call(answer, *case), "what your function returns") for case in cases]
    wrong_if(any(value != round(value) for value in found), "a number of seeds is whole; round up")
    wrong_if(found[1] >= found[0], "the larger the difference, the fewer seeds it needs")
    wrong_if(found[2] <= found[0], "the wider the runs spread, the more seeds are needed")
    wrong_if(
        found[2] / found[0] < 3,
        "twice the standard deviation needs four times the seeds: the interval shrinks with √n",
    )
    for (difference, deviation), n in zip(cases, found, strict=True):
        least = math.ceil((1.96 * deviation / difference) ** 2)
        reach = stats.t.ppf(0.975, max(n - 1, 1)) * deviation / np.sqrt(n)
        wrong_if(
            n < least,
            f"with {n:.0f} seeds the interval reaches {reach:.3f} points on "
            f"either side, and a difference of {difference} would not show",
        )
        wrong_if(
            n > 4 * least + 10,
            f"{n:.0f} seeds are more than a difference of {difference} "
            f"needs at a standard deviation of {deviation}; about {least} will do",
        )
    return (
        "so a tenth of a point is expensive. A sceptic would ask for more, to see it every time; "
        "where only a few come out, Student's t, wider than 1.96, asks for one or two more, and "
        "one seed has no interval at all."
    )


@exercise(
    "3.6",
    wants='{"recipe": ..., "gap": ..., "all together": "better", "worse" or "not told apart"}',
    hint="Which rows of the table of single changes were better than the baseline? (If none is "
    "clear of zero, take the highest means.) Put all of them into one `varied(...)`, and compare "
    "it, paired, with the best of them.",
    solution="""
# As printed in this notebook "better" are LeakyReLU, and B's layers with their dropout.
together = varied("B MLP", options={"activation": "leaky_relu"})
sum_runs = mk.run_grid({"together": together}, range(seeds), digits)
gap = mk.paired_difference(pd.concat([runs, sum_runs]), "together", "B MLP (256, 128, dropout)")
verdict = "better" if gap.low > 0 else "worse" if gap.high < 0 else "not told apart"
answer = {"recipe": together, "gap": gap, "all together": verdict}
""",
)
def all_together(answer: object) -> str:
    """A recipe that differs from the baseline in two things or more."""
    given = parts(answer, ["recipe", "gap", "all together"])
    recipe = given["recipe"]
    wrong_if(
        not isinstance(recipe, Recipe), f"recipe is {what(recipe)}, but a `Recipe` is asked for"
    )
    wrong_if(
        recipe.model not in ("A baseline", "A wide", "B MLP", "E MLP"),
        f"{recipe.model} is another network; change the baseline, with `varied(...)`",
    )
    base, usual = Recipe("A baseline"), {"activation": "relu", "dropout": 0.0, "hidden": (128, 64)}
    changed = [
        each.name for each in fields(Recipe)
        if each.name not in ("options", "epochs")  # how long is no change to try
        and getattr(recipe, each.name) != getattr(base, each.name)
    ]  # fmt: skip
    changed += [name for name, value in recipe.options.items() if usual.get(name) != value]
    others = [name for name in changed if name not in _KINDS]
    wrong_if(
        bool(others),
        f"it changes {others[0] if others else ''}, too: only activation, dropout, batch and width "
        "are asked for",
    )
    wrong_if(
        len(changed) < 2,
        "it differs from the baseline in one thing only; put all the good ones together",
    )
    return told_apart(given["gap"], given["all together"], least=2) + "; gains seldom add up."
