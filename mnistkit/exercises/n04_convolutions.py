"""Exercises of 04_cnn: a third convolution, a residual block, shuffled pixels, shifts, rates."""

from __future__ import annotations

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn

from mnistkit.exercises.exercise import (
    call,
    exercise,
    images_like,
    numbers,
    parts,
    same,
    share,
    word,
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
    network,
    pooling_without_a_choice,
    random_images,
    shaken,
)
from mnistkit.models import count_parameters

MOST_PARAMETERS = 200_000


@exercise(
    "4.1",
    wants="a network of three convolutions or more, from 28 x 28 pixels to ten logits, with at "
    "most 200,000 parameters",
    hint="Begin with `ECNN`, without its softmax: a third `nn.Conv2d(64, 64, kernel_size=3, "
    "padding=1)` goes after the second pooling, with an activation before it. Which height and "
    "width reach the linear layer? `mk.layer_table(model)` says so.",
    solution="""
class ThreeConvolutions(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, kernel_size=3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, kernel_size=3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(64, 64, kernel_size=3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(64 * 3 * 3, 10))

    def forward(self, images):
        return self.classifier(self.features(images))


print(mk.layer_table(ThreeConvolutions()))
for build in (ThreeConvolutions, lambda: mk.CNN(softmax=False)):
    torch.manual_seed(0)
    model = build()
    mk.fit(model, digits.train.loader(64, shuffle=True), epochs=1, progress=False)
    print(type(model).__name__, f"{mk.evaluate(model, digits.test.loader(1000)).accuracy:.2%}")
""",
)
def third_convolution(answer: object) -> str:
    """Three convolutions at work, each on more than one pixel, and logits at the end."""
    model, images = network(answer), random_images()
    check_outputs(model, images)
    size = count_parameters(model)
    largest, most = max(model.named_parameters(), key=lambda named: named[1].numel())
    wrong_if(
        size > MOST_PARAMETERS,
        f"it has {size:,} parameters, and at most {MOST_PARAMETERS:,} are allowed; "
        f"`{largest}` alone has {most.numel():,}",
    )
    check_logits(model, images)
    check_grows(model, images)
    check_learns(model, images)
    found = calls(shaken(model).eval(), images, nn.Conv2d)
    count = len({each.name for each in found})
    wrong_if(count < 3, f"{count} `nn.Conv2d` are at work, but three or more are asked for")
    with pooling_without_a_choice():
        check_bends(shaken(model).eval(), images, nn.Conv2d)
    _check_neighbours(found)
    return (
        f"{count} convolutions, {size:,} parameters. `mk.fit` it for an epoch beside E's corrected "
        "CNN: what is the third one worth?"
    )


def _check_neighbours(found: list[Call]) -> None:
    """Check that three convolutions see more than one pixel; a head of 1 x 1 may follow."""
    alone = [each.name for each in found if each.given.shape[-2:].numel() == 1]
    small = [each.name for each in found if max(each.layer.kernel_size) == 1]
    if len({each.name for each in found} - {*alone, *small}) >= 3:
        return
    wrong_if(
        alone,
        f"`{''.join(alone[:1])}` sees a single pixel, where there are no neighbours: pool less "
        "before it",
    )
    wrong_if(small, f"the kernel of `{''.join(small[:1])}` is 1 x 1, and sees no neighbours")


@exercise(
    "4.2",
    wants="a class, built with a number of channels, whose model returns x + f(x), with two "
    "convolutions in f",
    hint="Both are `nn.Conv2d(channels, channels, kernel_size=3, padding=1)`, with a ReLU between "
    "them; `forward` returns `x + self.f(x)`, or `.relu()` of that. Leave `inplace=True` and "
    "`+=` alone: x is still needed.",
    solution="""
class ResidualBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.f = nn.Sequential(
            nn.Conv2d(channels, channels, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, kernel_size=3, padding=1),
        )

    def forward(self, x):
        return (x + self.f(x)).relu()


def shrink(channels_in, channels):
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, kernel_size=3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
    )


small_resnet = nn.Sequential(
    shrink(1, 16), ResidualBlock(16),
    shrink(16, 32), ResidualBlock(32),
    nn.Flatten(), nn.Linear(32 * 7 * 7, 10),
)
print(mk.layer_table(small_resnet))
""",
)
def residual_block(answer: object) -> str:
    """With f's last weights zero it is the identity, or a ReLU of it."""
    if isinstance(answer, nn.Module):
        first = [layer for layer in answer.modules() if isinstance(layer, nn.Conv2d)]
        models = {first[0].in_channels: network(answer)} if first else {4: network(answer)}
    else:
        models = {channels: network(answer, channels=channels) for channels in (4, 6)}
    for channels, model in models.items():
        _check_block(model, channels)
    return (
        "with f's last weights zero it passes on what it gets: a block that starts like this "
        "can only help. Put two of them into a CNN, and see what they gain."
    )


def _check_block(model: nn.Module, channels: int) -> None:
    maps = torch.randn(16, channels, 7, 7, generator=torch.Generator().manual_seed(0))
    check_outputs(model, maps, columns=None)
    check_outputs(model, maps[:4, :, :5, :6], columns=None)
    check_learns(model, maps)
    trial = shaken(model).eval()
    convolutions = calls(trial, maps, nn.Conv2d)
    count = len({each.name for each in convolutions})
    twice = ", used twice" if len(convolutions) > count else ""
    wrong_if(count < 2, f"{count} `nn.Conv2d` at work{twice}, but two are asked for")
    check_bends(trial, maps, nn.Conv2d)
    after = [each.name for each in calls(trial, maps)]
    last = after.index(convolutions[-1].name)
    found = [_silenced(model, names, maps) for names in (after[last : last + 1], after[last:])]
    wrong_if(
        not any(same(one, kept, within=1e-3) for one in found for kept in (maps, maps.relu())),
        "with the weights of f's last convolution zero it has to return x, or a ReLU of x, and "
        + _instead(found[0], maps),
    )
    wrong_if(
        not same(found[0], maps, within=1e-3) and _cuts_before_it_adds(trial, after[last], maps),
        "what it adds f(x) to is a ReLU of x: take the sum first, `(x + f(x)).relu()`",
    )
    given = maps.clone().requires_grad_()
    _silenced(model, after[last:], given).sum().backward()
    wrong_if(
        given.grad is None or not given.grad.any(),
        "no gradient comes through its `x +`: is x detached there?",
    )


def _cuts_before_it_adds(model: nn.Module, last: str, maps: Tensor) -> bool:
    """Whether x below zero makes no difference to the sum, however large f(x) is."""
    layer = dict(model.named_modules())[last]
    with layer.register_forward_hook(lambda *of: torch.full_like(of[2], 9.0)), torch.no_grad():
        found = [model(torch.full_like(maps, below)) for below in (-0.2, -0.6)]
    return bool(found[0].any()) and same(*found)


def _silenced(model: nn.Module, names: list[str], maps: Tensor) -> Tensor:
    """What a model gives when these layers have zeros for weights."""
    silent = network(model).eval()
    layers = dict(silent.named_modules())
    with torch.no_grad():
        for name in names:
            for parameter in layers[name].parameters():
                parameter.zero_()
    return silent.requires_grad_(False)(maps)


def _instead(found: Tensor, maps: Tensor) -> str:
    if not found.any():
        return "yours returns zeros: is `x +` missing?"
    if same(found, found[:1].expand_as(found)):
        return "yours returns the same for every x: is `x +` missing?"
    part = (found * maps).sum() / maps.pow(2).sum()
    if same(found, part * maps, within=1e-3):
        return f"yours returns {part:.2g} x"
    return "yours changes it: x itself is added, not what a layer makes of it"


@exercise(
    "4.3",
    wants="a function that takes images, N x 1 x 28 x 28, and returns them with their pixels "
    "shuffled",
    hint="`torch.randperm(784, generator=torch.Generator().manual_seed(0))` is one order of all "
    "pixels, the same in every call. Flatten the images, index the columns, restore the shape.",
    solution="""
order = torch.randperm(784, generator=torch.Generator().manual_seed(0))


def shuffled(images):
    return images.flatten(1)[:, order].view_as(images)


ax = mk.plot_images(shuffled(digits.test.inputs()[:6])[:, 0], title="The same digits to an MLP")
""",
)
def shuffled_pixels(answer: object) -> str:
    """One permutation, the same for all images and calls."""
    images = torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    images[1] = images[0]
    once = images_like(call(answer, images.clone()), tuple(images.shape))
    again = images_like(call(answer, images.clone()), tuple(images.shape))
    others = images_like(call(answer, 1 - images), tuple(images.shape))
    kept = same(once.flatten(1).sort().values, images.flatten(1).sort().values)
    rows = same(
        once.flatten(1).sum(dim=1).sort().values, images.flatten(1).sum(dim=1).sort().values
    )
    wrong_if(
        not kept and rows,
        "you have shuffled the images among themselves; their pixels are where they were",
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
    wrong_if(not same(others, 1 - once), "other images have to be shuffled in the same way")
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
    "4.4",
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
    generator = torch.Generator().manual_seed(0)
    for count in (3, 5):
        _check_shift(answer, torch.rand(count, 1, 28, 28, generator=generator))
    return "a person would not notice. Which model lost least, and why?"


def _check_shift(answer: object, images: Tensor) -> None:
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
    wrong_if(same(found[..., 1:], images[..., :-1]), "that is one pixel, but two are asked for")
    wrong_if(
        not same(found, expected, within=1e-3),
        "the ink is not two pixels further right, with paper (0) to its left",
    )


SPREADING = "falling", "constant"


@exercise(
    "4.5",
    wants='{"falling": [...], "constant": [...], "constant spreads": "more", "less" or "not told '
    'apart"}, test accuracies of three seeds or more each',
    hint='Take `replace(recipes["E CNN corrected"], learning_rate=0.003, scheduler=partial(StepLR, '
    "step_size=1, gamma=0.3))` for the falling rate, run both with the same seeds, and compare the "
    "standard deviations. Three runs estimate one poorly: below a factor of 6.2 nothing is sure.",
    solution="""
from functools import partial

from torch.optim.lr_scheduler import StepLR

constant, schedule = recipes["E CNN corrected"], partial(StepLR, step_size=1, gamma=0.3)
falling = replace(constant, learning_rate=0.003, scheduler=schedule)
pair = {"falling": falling, "constant": constant}
spread = mk.run_grid(pair, range(max(seeds, 3)), digits, test=True)
answer = {name: spread.loc[spread["name"] == name, "test_accuracy"].tolist() for name in pair}
factor = pd.Series(answer["constant"]).std() / pd.Series(answer["falling"]).std()
sure = {3: 6.2, 4: 3.9, 5: 3.1}.get(len(answer["falling"]), 2.7)  # square roots of F's 97.5 %
answer["constant spreads"] = (
    "more" if factor > sure else "less" if factor < 1 / sure else "not told apart"
)
""",
)
def constant_rate(answer: object) -> str:
    """Standard deviations of few runs are compared with the care that they need."""
    given = parts(answer, ["falling", "constant", "constant spreads"])
    runs = {name: numbers(given[name], name) for name in SPREADING}
    for name, values in runs.items():
        for value in values:
            share(value, f"an accuracy of {name}")
        wrong_if(
            len(values) < 3,
            f"{len(values)} runs of {name} say nothing about spread; take three or more",
        )
    said = word(given["constant spreads"], ["more", "less", "not told apart"])
    falling, constant = (float(runs[name].std(ddof=1)) for name in SPREADING)
    wrong_if(
        min(falling, constant) < 1e-9,
        "all runs of a rate came out the same; did each have a seed of its own?",
    )
    factor = constant / falling
    # Between these lie 19 of 20 such factors where both spread alike (F's distribution).
    freedom = len(runs["constant"]) - 1, len(runs["falling"]) - 1
    low, high = np.sqrt(stats.f.ppf([0.025, 0.975], *freedom))
    most, least = np.floor(10 * high) / 10, 1 / (np.floor(10 / low) / 10)  # as the text has them
    times = f"the constant rate's standard deviation is {factor:.1f} times the other's"
    wrong_if((said == "more" and factor < 1) or (said == "less" and factor > 1), times)
    wrong_if(
        said != "not told apart" and least < factor < most,
        f"a factor of {factor:.2f} between standard deviations of so few runs is often chance; "
        f"it takes {most:.1f} or more, or {least:.2f} or less",
    )
    wrong_if(
        said == "not told apart" and not low <= factor <= high,
        f"{times}, which is more than chance explains",
    )
    return f"{times}; {said}."
