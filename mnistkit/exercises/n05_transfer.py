"""Exercises of 05_mobilenet_transfer: a head, a thawed block, constants, who errs, few digits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import torch
from torch import Tensor, nn

from mnistkit.exercises.exercise import (
    AnswerError,
    NoAnswerError,
    call,
    exercise,
    images_like,
    numbers,
    parts,
    same,
    share,
    side_of,
    what,
    word,
    wrong_if,
)
from mnistkit.exercises.networks import (
    Call,
    called,
    calls,
    check_bends,
    check_grows,
    check_learns,
    check_logits,
    check_outputs,
    network,
    random_images,
    shaken,
)
from mnistkit.metrics import interval_of_mean
from mnistkit.models import FEATURES, count_parameters, mobilenet
from mnistkit.transfer import preprocess


@exercise(
    "5.1",
    wants="a head, 1,280 features to ten logits, with a hidden layer and dropout",
    hint="`nn.Linear(1280, ...)`, an activation, `nn.Dropout(...)`, and a linear layer to 10. "
    "Dropout goes before a linear layer, never after the logits.",
    solution="""
class MyHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Dropout(0.2), nn.Linear(1280, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10)
        )

    def forward(self, features):
        return self.layers(features)


torch.manual_seed(0)
long = mk.fit(
    MyHead(), head_loader("train", shuffle=True), head_loader("validation"),
    epochs=20, device="cpu",
)
best = long.frame["validation_accuracy"]
print(f"{best.max():.2%} on validation after epoch {best.idxmax()}, {best.iloc[-1]:.2%} at the end")
""",
)
def own_head(answer: object) -> str:
    """A hidden layer, dropout that works in training only, and logits."""
    model, features = network(answer), random_images(64, FEATURES)
    check_outputs(model, features)
    check_logits(model, features)
    check_grows(model, features)
    check_learns(model, features)
    layers = calls(shaken(model).eval(), features, nn.Linear)
    wrong_if(
        len({call.name for call in layers}) < 2,
        f"{len(layers)} `nn.Linear` at work, and so no hidden layer: put one more before it",
    )
    check_bends(shaken(model).eval(), features, nn.Linear)
    _check_dropout(model, features, layers)
    size = count_parameters(model)
    return (
        f"{size:,} parameters learn, and the linear head's are 12,810. Train it for twenty epochs "
        "on the stored features: which head is better, and when would you have stopped?"
    )


def _check_dropout(model: nn.Module, features: Tensor, layers: list[Call]) -> None:
    """Check that in training units in front of a linear layer are switched off at random."""
    trial = shaken(model).train()
    first, second = called(trial, features), called(trial, features)
    wrong_if(
        same(first, second),
        "in training mode two calls give the same: dropout is missing, or never on",
    )
    wrong_if(
        (first == 0).float().mean() > 0.01,
        "dropout is applied to the logits, where it switches off answers; put it before a "
        "linear layer",
    )
    training = calls(trial, features, nn.Linear)
    off = [
        (one.given == 0).float().mean() - (other.given == 0).float().mean()
        for one, other in zip(training, layers, strict=True)
    ]
    with _no_dropout():
        still = called(trial, features), called(trial, features)
    wrong_if(
        max(off) < 0.01 and not same(*still),
        "something is random in training mode, but it is not dropout: no unit before a "
        "linear layer is "
        "switched off",
    )


@contextmanager
def _no_dropout() -> Iterator[None]:
    """Let PyTorch's kinds of dropout do nothing."""
    kinds = [(torch, "dropout"), *((nn.functional, name) for name in dir(nn.functional)
                                   if "dropout" in name and not name.startswith("_"))]  # fmt: skip
    with ExitStack() as patches:
        for where, name in kinds:
            patches.enter_context(patch.object(where, name, lambda input, *_, **__: input))
        yield


@exercise(
    "5.2",
    wants="a function that takes a network, freezes all of `features` but its last block, leaves "
    "the head to learn, and returns the network",
    hint="`network.features[:-1].parameters()` are those to freeze. It must also work on a "
    "network whose switches are all off: turn on what should learn.",
    solution="""
def freeze_but_last(network):
    for parameter in network.parameters():
        parameter.requires_grad = True
    for parameter in network.features[:-1].parameters():
        parameter.requires_grad = False
    return network


freeze_but_last(network)
print(f"{mk.count_parameters(network, trainable_only=True):,} parameters learn")
""",
)
def last_block_learns(answer: object) -> str:
    """Exactly the last block and the head, whatever was on before."""
    if isinstance(answer, nn.Module):
        _check_switches(answer)
    else:
        wrong_if(not callable(answer), "hand in the function itself, or the network")
        for on in (True, False):
            given = mobilenet().requires_grad_(on)
            names = [name for name, _ in given.named_parameters()]
            found = call(answer, given)
            wrong_if(
                not isinstance(found, nn.Module),
                f"your function returns {what(found)}; return the network",
            )
            wrong_if(
                [name for name, _ in found.named_parameters()] != names,
                "the network that comes back has other layers: set switches, and change no layer",
            )
            wrong_if(
                found is not given,
                "a copy comes back: set the switches of the network itself, and return that",
            )
            _check_switches(found, " for a network whose switches were all off" if not on else "")
    return (
        "424,970 of 2,236,682 parameters learn. What the last block gets still never changes: "
        "which numbers would you store now, and how many per digit?"
    )


def _check_switches(model: nn.Module, of: str = "") -> None:
    parameters = list(model.named_parameters())
    last = f"features.{len(getattr(model, 'features', ())) - 1}."
    wrong_if(
        not any(name.startswith(last) for name, _ in parameters)
        or not any(name.startswith("classifier.") for name, _ in parameters),
        f"{what(model)} has no `features` and `classifier`; hand in the whole network",
    )
    wanted = [name.startswith((last, "classifier.")) for name, _ in parameters]
    wrong = [
        (name, parameter.requires_grad)
        for (name, parameter), want in zip(parameters, wanted, strict=True)
        if parameter.requires_grad != want
    ]
    if not wrong:
        return
    name, learns = wrong[0] if wrong[0][1] else wrong[-1]
    total = sum(parameter.requires_grad for _, parameter in parameters)
    raise AnswerError(
        f"{of.strip() + ', ' if of else ''}{total} of {len(parameters)} tensors have "
        f"`requires_grad`, and {sum(wanted)} should; `{name}` "
        + ("still learns" if learns else "is frozen")
    )


@exercise(
    "5.3",
    wants="a function that takes bytes, N x 28 x 28, and returns them as N x 3 x 224 x 224 in "
    "[0, 1], not normalised",
    hint="`mk.preprocess(images)` subtracts IMAGENET_MEAN and divides by IMAGENET_STD in each "
    "channel; undo that, or enlarge with `torch.nn.functional.interpolate` and repeat the channel.",
    solution="""
def enlarged_only(images):
    grey = images.unsqueeze(1).float() / 255
    large = torch.nn.functional.interpolate(grey, size=(224, 224), mode="bilinear")
    return large.repeat(1, 3, 1, 1)


one = digits.test.images[:1]
ax = mk.plot_images([enlarged_only(one)[0], mk.preprocess(one)[0].clamp(0, 1)],
                    ["plain", "normalised, cut to [0, 1]"], title="Two ways in")
""",
)
def not_normalised(answer: object) -> str:
    """Large, three equal channels, from 0 to 1."""
    coarse = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(coarse, size=(28, 28), mode="bilinear")
    for images in (150 * smooth[:, 0]).to(torch.uint8).split(2):  # two, two, one
        _check_enlarged(answer, images)
    return "these have other features. Train a head on them: how much did the constants help?"


def _check_enlarged(answer: object, images: Tensor) -> None:
    count = len(images)
    result = call(answer, images.clone())
    shape = tuple(getattr(result, "shape", ()))
    wrong_if(
        shape == (count, 1, 224, 224), "one channel; the network wants three, so repeat the grey"
    )
    wrong_if(shape == (count, 3, 28, 28), "still 28 x 28; enlarge to 224 x 224")
    found = images_like(result, (count, 3, 224, 224))
    wrong_if(
        result.dtype != torch.float32,
        f"they are {str(result.dtype).removeprefix('torch.')}, but the network computes in float32",
    )
    wrong_if(
        same(found, preprocess(images)), "the images are still normalised with ImageNet's constants"
    )
    wrong_if(found.max() > 2, "from 0 to 255; divide by 255 as `to_float` does")
    wrong_if(
        found.max() > 1.01 or found.min() < -0.01,
        f"from {found.min():.2f} to {found.max():.2f}, and [0, 1] is asked for; bicubic "
        "enlargement overshoots, so take another, or `.clamp(0, 1)`",
    )
    wrong_if(
        not same(found[:, 0], found[:, 1]),
        "the three channels differ; in a grey picture they are equal",
    )
    small = torch.nn.functional.avg_pool2d(found[:, 0], 8)
    wrong_if((small - images / 255).abs().mean() > 0.1, "these are not the same digits enlarged")


@exercise(
    "5.4",
    wants="a function that takes two models' answers and the labels, and returns the indices of "
    "the digits that only the first reads right",
    hint="`(first == labels) & (second != labels)` is true for these digits, and `.nonzero()"
    ".flatten()` gives their indices.",
    solution="""
def only_first_right(first, second, labels):
    return ((first == labels) & (second != labels)).nonzero().flatten()


small_cnn, _ = mk.train_recipe(mk.Recipe("E CNN corrected", epochs=1), digits)
by_cnn = mk.make_predictions(small_cnn, digits.test.inputs()).argmax(dim=1)
by_head = mk.make_predictions(head, features["test"]).argmax(dim=1)
places = only_first_right(by_cnn, by_head, digits.test.labels)[:12]
if len(places):
    titles = [f"{digits.test.labels[i]}, head: {by_head[i]}" for i in places]
    ax = mk.plot_images(digits.test.images[places], titles, title="Only the CNN reads these")
    mk.show_figure(ax)
""",
)
def who_errs(answer: object) -> str:
    """Indices, for answers made up for it."""
    labels = torch.tensor([4, 0, 7, 7, 2, 8])
    first = torch.tensor([4, 0, 9, 7, 9, 8])
    second = torch.tensor([4, 9, 7, 7, 8, 9])
    found = _indices(answer, first, second, labels)
    wrong_if(found == [2], "that is what only the *second* reads right")
    wrong_if(found == [1, 2, 4, 5], "that is where the two differ; the first must be right, too")
    wrong_if(found == [0, 1, 3, 5], "that is all that the first reads right, alone or not")
    wrong_if(found == [0, 8], "those are the labels of these digits; their indices are asked for")
    found = [int(place) if place == int(place) else place for place in found]
    wrong_if(
        found != [1, 5], f"for this check's answers, indices 1 and 5 are right; yours says {found}"
    )
    found = _indices(answer, second, first, labels)
    wrong_if(found != [2], f"with the two exchanged it is index 2; yours says {found}")
    found = _indices(answer, labels, labels.clone(), labels)
    wrong_if(found, f"for two models that are always right there are none; yours says {found}")
    return "look at the digits themselves: are they thin, slanted, cut off?"


def _indices(answer: object, *given: torch.Tensor) -> list[float]:
    result = call(answer, *(each.clone() for each in given))
    wrong_if(
        _is_mask(result),
        "that says yes or no for each digit; `.nonzero().flatten()` gives the indices",
    )
    return sorted(numbers(result, "what your function returns").tolist())


def _is_mask(result: object) -> bool:
    """Whether it is a tensor, an array, a column or a list of True and False."""
    if hasattr(result, "dtype"):
        return str(result.dtype).removeprefix("torch.") == "bool"
    return isinstance(result, list | tuple) and any(isinstance(each, bool) for each in result)


@exercise(
    "5.5",
    wants='{"head": [...], "CNN": [...], "better": "head", "CNN" or "not told apart"}, test '
    "accuracies with 100 training digits, three seeds or more each",
    hint='`digits.train[:100]` and `features["train"][:100]`. Give both many epochs, since an '
    "epoch is only a few batches now, and pair the seeds.",
    solution="""
from dataclasses import replace

hundred = TensorDataset(features["train"][:100], parts["train"].labels[:100])
by_head = []
for seed in range(3):
    few_head = new_head(seed)
    mk.fit(few_head, mk.make_loader(hundred, 20, shuffle=True), epochs=20, seed=seed, device="cpu")
    by_head.append(mk.evaluate(few_head, head_loader("test")).accuracy)
few_digits = replace(digits, train=digits.train[:100])
few_cnn = mk.Recipe("E CNN corrected", epochs=20, batch_size=20)
by_cnn = mk.run_experiment(few_cnn, range(3), few_digits, test=True).runs["test_accuracy"].tolist()
gap = mk.interval_of_mean([h - c for h, c in zip(by_head, by_cnn)])
better = "head" if gap.low > 0 else "CNN" if gap.high < 0 else "not told apart"
answer = {"head": by_head, "CNN": by_cnn, "better": better}
""",
)
def few_digits(answer: object) -> str:
    """Paired over seeds, and no more said than the interval allows."""
    given = parts(answer, ["head", "CNN", "better"])
    head, cnn = (numbers(given[name], name) for name in ("head", "CNN"))
    if not len(head) or not len(cnn):
        raise NoAnswerError
    for value in (*head, *cnn):
        share(value, "an accuracy")
    wrong_if(len(head) != len(cnn), f"{len(head)} runs against {len(cnn)}; pair them by seed")
    wrong_if(len(head) < 3, f"{len(head)} seeds show little; take three or more")
    wrong_if(
        min(head.std(), cnn.std()) < 1e-9,
        "all runs of a kind came out the same; did each have a seed of its own?",
    )
    gap = interval_of_mean(head - cnn)
    found = side_of(gap, "head", "CNN")
    said = word(given["better"], ["head", "CNN", "not told apart"])
    reach = f"{100 * gap.low:+.1f} to {100 * gap.high:+.1f} points"
    wrong_if(said != found, f"head minus CNN is {reach}, so by these seeds: {found}")
    return f"head minus CNN is {reach}. Would it be the same with all the training digits?"
