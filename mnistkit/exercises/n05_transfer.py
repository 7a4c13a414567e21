"""Exercises of 05_mobilenet_transfer: when to stop, constants, sizes, who errs, few digits."""

from __future__ import annotations

import torch

from mnistkit.exercises.exercise import (
    NoAnswerError,
    call,
    exercise,
    images_like,
    number,
    numbers,
    parts,
    same,
    share,
    side_of,
    what,
    word,
    wrong_if,
)
from mnistkit.metrics import interval_of_mean
from mnistkit.training import History
from mnistkit.transfer import preprocess


@exercise(
    "5.1",
    wants='{"history": of 20 epochs, "stop": the epoch that validation chooses}',
    hint="`fit` with `epochs=20`, as above; its `history.frame` has one row per epoch, "
    "counted from 1. Which row has the best validation accuracy, or the lowest validation loss?",
    solution="""
long = fit(
    new_head(0), head_loader("train", shuffle=True), head_loader("validation"),
    epochs=20, device="cpu",
)
answer = {"history": long, "stop": int(long.frame["validation_accuracy"].idxmax())}
""",
)
def where_to_stop(answer: object) -> str:
    """The best epoch on validation, by accuracy or by loss."""
    given = parts(answer, ["history", "stop"])
    history = given["history"]
    wrong_if(not isinstance(history, History), f"history is {what(history)}; `fit` returns one")
    frame, epochs = history.frame, [row["epoch"] for row in history.rows]
    wrong_if(len(frame) < 20, f"this history has {len(frame)} epochs, and 20 are asked for")
    wrong_if(
        "validation_accuracy" not in frame,
        "give `fit` validation digits; without them there is nothing to choose by",
    )
    accuracy = [row["validation_accuracy"] for row in history.rows]
    loss = [row["validation_loss"] for row in history.rows]
    best = {e for e, a in zip(epochs, accuracy, strict=True) if a == max(accuracy)}
    best |= {e for e, one in zip(epochs, loss, strict=True) if one == min(loss)}
    stop = number(given["stop"], "stop")
    wrong_if(
        stop == 0 or (stop + 1 in best and stop not in best),
        "epochs are counted from 1: you may be one too low",
    )
    wrong_if(stop not in best, f"validation was best after epoch {min(best)}, not {stop:g}")
    return f"after epoch {stop:.0f} of 20. By this measure no later epoch was better."


@exercise(
    "5.2",
    wants="a function that takes bytes, N x 28 x 28, and returns them as N x 3 x 224 x 224 in "
    "[0, 1], not normalised",
    hint="`preprocess(images)` subtracts IMAGENET_MEAN and divides by IMAGENET_STD in each "
    "channel; undo that, or enlarge with `torch.nn.functional.interpolate` and repeat the channel.",
    solution="""
def enlarged_only(images):
    grey = images.unsqueeze(1).float() / 255
    large = torch.nn.functional.interpolate(grey, size=(224, 224), mode="bilinear")
    return large.repeat(1, 3, 1, 1)


ax = plot_images([enlarged_only(digits.test.images[:1])[0], preprocess(digits.test.images[:1])[0]
                  .clamp(0, 1)], ["plain", "normalised, cut to [0, 1]"], title="Two ways in")
""",
)
def not_normalised(answer: object) -> str:
    """Large, three equal channels, from 0 to 1."""
    coarse = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(coarse, size=(28, 28), mode="bilinear")
    images = (255 * smooth[:, 0]).to(torch.uint8)
    result = call(answer, images.clone())
    shape = tuple(getattr(result, "shape", ()))
    wrong_if(shape == (2, 1, 224, 224), "one channel; the network wants three, so repeat the grey")
    wrong_if(shape == (2, 3, 28, 28), "still 28 x 28; enlarge to 224 x 224")
    found = images_like(result, (2, 3, 224, 224))
    wrong_if(same(found, preprocess(images)), "ImageNet's constants are still taken out")
    wrong_if(found.max() > 1.01, "from 0 to 255; divide by 255 as `to_float` does")
    wrong_if(
        not same(found[:, 0], found[:, 1]),
        "the three channels differ; in a grey picture they are equal",
    )
    small = torch.nn.functional.avg_pool2d(found[:, 0], 8)
    wrong_if((small - images / 255).abs().mean() > 0.1, "these are not the same digits enlarged")
    return "these have other features. Train a head on them: how much had the constants helped?"


@exercise(
    "5.3",
    wants="how many times fewer pixels 96 x 96 has than 224 x 224",
    hint="A picture is as high as it is wide; count the pixels in both directions.",
    solution="""
answer = 224**2 / 96**2
started = time.perf_counter()
with torch.no_grad():
    small = model.features(preprocess(digits.test.images[:32], size=96)).mean(dim=(2, 3))
print(f"{answer:.1f} times fewer; 32 digits took {time.perf_counter() - started:.2f} s")
""",
)
def smaller_pictures(answer: object) -> str:
    """5.44."""
    found = number(answer)
    wrong_if(abs(found - 224 / 96) < 0.05, "that is for one direction; count the pixels")
    wrong_if(abs(found - 96**2 / 224**2) < 0.02, "the other way round: how many times *fewer*")
    wrong_if(abs(found - 224**2 / 96**2) > 0.1, "divide 224 x 224 by 96 x 96")
    return "does the time fall as much? `preprocess(images, size=96)` lets you measure it."


@exercise(
    "5.4",
    wants="a function of two models' answers and the labels that returns the places that only the "
    "first reads right",
    hint="`(first == labels) & (second != labels)` is true for these digits, and `.nonzero()"
    ".flatten()` gives their indices.",
    solution="""
from mnistkit import train_recipe


def only_first_right(first, second, labels):
    return ((first == labels) & (second != labels)).nonzero().flatten()


small_cnn, _ = train_recipe(Recipe("E CNN corrected", epochs=1), digits)
by_cnn = make_predictions(small_cnn, digits.test.inputs()).argmax(dim=1)
by_head = make_predictions(head, features["test"]).argmax(dim=1)
places = only_first_right(by_cnn, by_head, digits.test.labels)[:12]
if len(places):
    titles = [f"{digits.test.labels[i]}, head: {by_head[i]}" for i in places]
    show_figure(plot_images(digits.test.images[places], titles, title="Only the CNN reads these"))
""",
)
def who_errs(answer: object) -> str:
    """Indices, for answers made up for it."""
    labels = torch.tensor([0, 1, 2, 3, 4, 5])
    first = torch.tensor([0, 1, 9, 3, 9, 5])
    second = torch.tensor([0, 9, 2, 3, 8, 9])
    result = call(answer, first, second, labels)
    wrong_if(
        isinstance(result, torch.Tensor) and result.dtype == torch.bool,
        "that says yes or no for each digit; `.nonzero().flatten()` gives the indices",
    )
    found = sorted(numbers(result, "what your function returns"))
    wrong_if(found == [2], "that is what only the *second* reads right")
    wrong_if(found == [1, 2, 4, 5], "that is where the two differ; the first must be right, too")
    wrong_if(found == [0, 1, 3, 5], "that is all that the first reads right, alone or not")
    wrong_if(found != [1, 5], f"of the answers of this check, indices 1 and 5; yours says {found}")
    return "look at the digits themselves: are they thin, slanted, cut off?"


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
    fit(few_head, make_loader(hundred, 20, shuffle=True), epochs=20, seed=seed, device="cpu")
    by_head.append(evaluate(few_head, head_loader("test")).accuracy)
few_digits = replace(digits, train=digits.train[:100])
few_cnn = Recipe("E CNN corrected", epochs=20, batch_size=20)
by_cnn = run_experiment(few_cnn, range(3), few_digits, test=True).runs["test_accuracy"].tolist()
gap = interval_of_mean([h - c for h, c in zip(by_head, by_cnn)])
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
    gap = interval_of_mean(head - cnn)
    found = side_of(gap, "head", "CNN")
    said = word(given["better"], ["head", "CNN", "not told apart"])
    reach = f"{100 * gap.low:+.1f} to {100 * gap.high:+.1f} points"
    wrong_if(said != found, f"head minus CNN is {reach}, so by these seeds: {found}")
    return f"head minus CNN is {reach}. Would it be the same with all the training digits?"
