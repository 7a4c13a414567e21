"""Exercises of 04_cnn: more channels, shuffled pixels, shifts, constant and falling rates."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mnistkit.exercises.exercise import (
    call,
    exercise,
    images_like,
    numbers,
    parts,
    same,
    share,
    what,
    word,
    wrong_if,
)
from mnistkit.experiments.recipe import Recipe


@exercise(
    "4.1",
    wants="a `Recipe` for V2 with 20 channels",
    hint='What a model can be told goes into `options`: `Recipe("V2", options={...})`. V2 calls '
    "its channels `hidden_units`.",
    solution="""
answer = Recipe("V2", options={"hidden_units": 20}, epochs=epochs, batch_size=32,
                optimizer="sgd", learning_rate=0.1)
""",
)
def more_channels(answer: object) -> str:
    """V2's recipe with one option."""
    wrong_if(
        not isinstance(answer, Recipe), f"the answer is {what(answer)}, and a `Recipe` is asked for"
    )
    wrong_if(answer.model != "V2", f"its model is {answer.model!r}, and V2 is asked for")
    unknown = sorted(set(answer.options) - {"hidden_units"})
    wrong_if(unknown, f"V2 has no option {unknown[:1]}; it calls its channels `hidden_units`")
    channels = answer.options.get("hidden_units", 10)
    wrong_if(channels != 20, f"it has {channels!r} channels, and 20 are asked for")
    published = {"optimizer": "sgd", "learning_rate": 0.1, "batch_size": 32}
    for name, value in published.items():
        wrong_if(
            getattr(answer, name) != value,
            f"its {name} is {getattr(answer, name)!r}, and V2's {value!r}; change its channels",
        )
    return "twice the channels. `run_grid` tells what they gain, with V2's seeds."


@exercise(
    "4.2",
    wants="a function that takes images, N x 1 x 28 x 28, and returns them with their pixels "
    "shuffled",
    hint="`torch.randperm(784, generator=torch.Generator().manual_seed(0))` is one order of all "
    "pixels, the same in every call. Flatten the images, index the columns, restore the shape.",
    solution="""
order = torch.randperm(784, generator=torch.Generator().manual_seed(0))


def shuffled(images):
    return images.flatten(1)[:, order].view_as(images)


ax = plot_images(shuffled(digits.test.inputs()[:6])[:, 0], title="The same digits to an MLP")
""",
)
def shuffled_pixels(answer: object) -> str:
    """One permutation, the same for all images and calls."""
    images = torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    images[1] = images[0]
    once = images_like(call(answer, images.clone()), tuple(images.shape))
    again = images_like(call(answer, images.clone()), tuple(images.shape))
    kept = same(once.flatten(1).sort().values, images.flatten(1).sort().values)
    rows = same(
        once.flatten(1).sum(dim=1).sort().values, images.flatten(1).sum(dim=1).sort().values
    )
    wrong_if(
        not kept and rows,
        "you have shuffled the images among each other, and their pixels are where they were",
    )
    wrong_if(not kept, "each image has to keep its own pixels, only in another order")
    wrong_if(same(once, images), "the images are as they were")
    wrong_if(
        not same(once[0], once[1]),
        "two equal images have to come out equal: each image got "
        "an order of its own, which nothing could learn",
    )
    wrong_if(
        not same(once, again),
        "each call has another order, so what was learned in one batch "
        "is useless in the next; fix the order once",
    )
    moved = (once != images).float().mean().item()
    wrong_if(moved < 0.9, "most pixels are where they were; shuffle all 784, not rows or columns")
    wrong_if(
        _neighbours_left(answer) > 0.5,
        "most pixels that were neighbours still are, and a kernel of 3 x 3 sees the same; shuffle "
        "single pixels, not rows or columns",
    )
    return "to an MLP nothing has changed; a kernel of 3 x 3 no longer sees neighbours."


def _neighbours_left(answer: object) -> float:
    """Share of the pixels beside each other, or one above the other, that are so still.

    The images are the numbers of row and column, so what comes back says where each was.
    """
    row, column = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")
    found = call(answer, torch.stack([row, column]).unsqueeze(1))[:, 0]
    steps = [(found[:, 1:] - found[:, :-1]), (found[:, :, 1:] - found[:, :, :-1])]
    return max(float((step.abs().sum(dim=0) == 1).float().mean()) for step in steps)


@exercise(
    "4.3",
    wants="a function that takes images, N x 1 x 28 x 28, and returns them two pixels further "
    "right",
    hint="`torch.nn.functional.pad(images, (2, 0))` adds two columns of paper at the left; cut the "
    "last two off. Or ask `mnistkit.affine`.",
    solution="""
def moved_right(images):
    return torch.nn.functional.pad(images, (2, 0))[..., :-2]


moved = {
    name: (read(name, moved_right(test_images)).argmax(dim=1) == test_labels).float().mean().item()
    for name in summary.index
}
print({name: f"{value:.1%}" for name, value in moved.items()})
""",
)
def shift_right(answer: object) -> str:
    """What leaves at the right is gone, what comes in at the left is paper."""
    images = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    found = images_like(call(answer, images.clone()), tuple(images.shape))

    def moved(image: Tensor, right: int, down: int) -> Tensor:
        return torch.roll(image, (down, right), dims=(2, 3))

    expected = moved(images, 2, 0)
    expected[..., :2] = 0
    wrong_if(
        same(found, moved(images, 2, 0)),
        "`torch.roll` brings in at the left what leaves at the right; on paper nothing comes back",
    )
    wrong_if(same(found[..., :-2], images[..., 2:]), "that is two pixels to the left")
    wrong_if(
        same(found[..., 2:, :], images[..., :-2, :]),
        "that is two pixels down: the last axis is the one from left to right",
    )
    wrong_if(same(found, images), "the images are where they were")
    wrong_if(same(found[..., 1:], images[..., :-1]), "that is one pixel, and two are asked for")
    wrong_if(
        not same(found, expected, within=1e-3),
        "the ink is not two pixels further right, with paper (0) to its left",
    )
    return "a person would not notice. Which model lost least, and why?"


@exercise(
    "4.4",
    wants='{"falling": [...], "constant": [...], "constant spreads": "more", "less" or "not told '
    'apart"}, test accuracies of three seeds or more each',
    hint='Take `replace(recipes["E CNN corrected"], learning_rate=0.003, scheduler=partial(StepLR, '
    "step_size=1, gamma=0.3))` for the falling rate, run both with the same seeds, and compare the "
    "standard deviations. Three runs estimate one poorly: below a factor of four nothing is sure.",
    solution="""
from functools import partial

from torch.optim.lr_scheduler import StepLR

constant, schedule = recipes["E CNN corrected"], partial(StepLR, step_size=1, gamma=0.3)
falling = replace(constant, learning_rate=0.003, scheduler=schedule)
pair = {"falling": falling, "constant": constant}
spread = run_grid(pair, range(max(seeds, 3)), digits, test=True)
answer = {name: spread.loc[spread["name"] == name, "test_accuracy"].tolist() for name in pair}
factor = pd.Series(answer["constant"]).std() / pd.Series(answer["falling"]).std()
answer["constant spreads"] = (
    "more" if factor > 4 else "less" if factor < 1 / 4 else "not told apart"
)
""",
)
def constant_rate(answer: object) -> str:
    """Standard deviations of few runs are compared with the care that they need."""
    given = parts(answer, ["falling", "constant", "constant spreads"])
    runs = {name: numbers(given[name], name) for name in ("falling", "constant")}
    for name, values in runs.items():
        for value in values:
            share(value, f"an accuracy of {name}")
        wrong_if(
            len(values) < 3,
            f"{len(values)} runs of {name} say nothing about spread; take three or more",
        )
    said = word(given["constant spreads"], ["more", "less", "not told apart"])
    falling, constant = (float(runs[name].std(ddof=1)) for name in ("falling", "constant"))
    factor = constant / falling if falling > 1e-9 else float("inf" if constant > 1e-9 else "nan")
    wrong_if(
        np.isnan(factor),
        "all runs of a rate came out the same; did each have a seed of its own?",
    )
    sure = 4 if min(map(len, runs.values())) < 6 else 2.5
    times = f"the constant rate's standard deviation is {factor:.1f} times the other's"
    wrong_if((said == "more" and factor < 1) or (said == "less" and factor > 1), times)
    wrong_if(
        said != "not told apart" and 1 / sure < factor < sure,
        f"a factor of {factor:.1f} between standard deviations of so few runs is often chance",
    )
    wrong_if(
        said == "not told apart" and not 1 / 4 <= factor <= 4,
        f"{times}, which is more than chance does",
    )
    return f"{times}; {said}."
