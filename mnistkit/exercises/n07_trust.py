"""Exercises of 07_trust: temperatures, bins, noise in training, models and recipes."""

from __future__ import annotations

import pandas as pd
import torch

from mnistkit.exercises.exercise import (
    call,
    exercise,
    images_like,
    number,
    parts,
    same,
    told_apart,
    word,
    wrong_if,
)

_NEARLY_ALL = 0.8
_TOO_SURE, _TOO_MODEST = 2.3, 0.63  # between the values of a coarse search


@exercise(
    "7.1",
    wants="a function of probabilities and labels that returns a temperature",
    hint="Start from the cell that did it for CompactCNN: try temperatures from 0.2 to 5, divide "
    "the logarithms by each, take the softmax, and keep the one with the lowest NLL.",
    solution="""
def temperature_of(probabilities, labels):
    scores = probabilities.clamp_min(1e-12).log()
    losses = {
        t / 20: negative_log_likelihood((scores / (t / 20)).softmax(dim=1), labels)
        for t in range(4, 101)
    }
    return min(losses, key=losses.get)


for name in ("E CNN", "V0"):
    print(name, temperature_of(answers[name][even], labels[even]))
""",
)
def temperature(answer: object) -> str:
    """Found again for answers that are too sure, and for others not sure enough."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(4000, 10, generator=generator)
    labels = torch.multinomial(logits.softmax(dim=1), 1, generator=generator).squeeze(1)
    sure, modest = ((factor * logits).softmax(dim=1) for factor in (_TOO_SURE, _TOO_MODEST))
    found = [number(call(answer, p, labels), "what your function returns") for p in (sure, modest)]
    wrong_if(
        found[0] == found[1],
        f"{found[0]:g} both for a model that is too sure and for one that is too modest; is it "
        "chosen by NLL? Accuracy does not change with it",
    )
    wrong_if(
        found[0] < 1 < found[1],
        "the other way round: logits are *divided* by a temperature, so a value above 1 "
        "makes a model less sure",
    )
    for value, truth in zip(found, (_TOO_SURE, _TOO_MODEST), strict=True):
        wrong_if(
            abs(value / truth - 1) > 0.1,
            f"logits that were multiplied by {truth:g} need a temperature of about {truth:g}; "
            f"yours gives {value:g}: do those that you try reach as far, in small steps?",
        )
    return "above 1 for a model that is too sure, below 1 for one that is too modest."


@exercise(
    "7.2",
    wants="the number of digits in the fullest bin, and after it the table of `mk.reliability`",
    hint="`mk.reliability(...)` has a column `count`.",
    solution="""
table_of_cnn = mk.reliability(answers["E CNN"], labels)
answer = int(table_of_cnn["count"].max())
exercises.check("7.2", answer, table_of_cnn)
""",
)
def fullest_bin(answer: object, table: pd.DataFrame) -> str:
    """The largest count."""
    found = number(answer)
    counts = table["count"]
    wrong_if(
        found in (counts.idxmax(), counts.argmax()) and found != counts.max(),
        "that says which bin; how many digits are in it?",
    )
    wrong_if(found == counts.sum(), "that is all of them")
    wrong_if(found != counts.max(), f"the counts are {counts.tolist()}")
    share = counts.max() / counts.sum()
    rest = "hardly count" if share > _NEARLY_ALL else f"count for the other {1 - share:.0%}"
    return f"{share:.0%} of the digits lie in one bin. In the ECE the other bins {rest}."


@exercise(
    "7.3",
    wants="a function that takes images, N x 1 x 28 x 28, and returns them moved by "
    "`mk.random_affine` and with noise of deviation 0.2",
    hint="`mk.random_affine(images) + 0.2 * torch.randn_like(images)`, in a function.",
    solution="""
def noisy_affine(images):
    return mk.random_affine(images) + 0.2 * torch.randn_like(images)


ax = mk.plot_images(noisy_affine(test_images[:6])[:, 0], title="What it would be trained on")
""",
)
def noise_in_training(answer: object) -> str:
    """Noise on paper, other noise each time, and the digit moved."""
    state = torch.random.get_rng_state()
    paper = torch.zeros(64, 1, 28, 28)
    block = paper.clone()
    block[:, :, 7:21, 7:21] = 1.0
    try:
        noise, again = (images_like(call(answer, paper.clone()), tuple(paper.shape)) for _ in "12")
        moved = images_like(call(answer, block.clone()), tuple(block.shape))
    finally:
        torch.random.set_rng_state(state)
    spread = noise.std().item()
    wrong_if(spread < 0.01, "blank paper comes out blank: no noise was added")
    wrong_if(same(noise, again), "the same noise each time; a network would learn it by heart")
    wrong_if(
        spread > 0.1 and same(noise[0], noise[1]),
        "the same noise on every image: draw it as large as the batch",
    )
    wrong_if(
        noise.flatten(1).std(dim=1).mean() < 0.5 * spread,
        "all pixels of an image get the same noise: draw a number for each pixel",
    )
    wrong_if(
        not 0.17 < spread < 0.23,
        f"the noise has a standard deviation of {spread:.2f}, and 0.2 was asked for"
        + ("; moving or clipping afterwards makes it smaller" if spread < 0.2 else ""),
    )
    wrong_if(
        abs(noise.mean().item()) > 0.05,
        f"blank paper comes out at {noise.mean().item():.2f} on average; noise leaves it at 0",
    )
    left = (moved.sum() / block.sum()).item()
    wrong_if(
        not 0.7 < left < 1.4,
        f"{left:.0%} of the ink is left; noise and moving leave about as much as there was",
    )
    centre = (moved[:, 0].sum(dim=1) * torch.arange(28.0)).sum(dim=1) / moved[:, 0].sum(dim=(1, 2))
    still = (block[:, 0].sum(dim=1) * torch.arange(28.0)).sum(dim=1) / block[:, 0].sum(dim=(1, 2))
    wrong_if(
        (moved.mean(dim=0) - block.mean(dim=0)).abs().max() < 0.2 or same(centre, still),
        "the digit is not moved: call `mk.random_affine` first",
    )
    wrong_if(
        (centre - still).std() < 0.6,
        "all digits are moved alike: `mk.random_affine` draws for each image anew",
    )
    return (
        "train CompactCNN's recipe with it, `replace(COMPACT, augment=noisy_affine)`: what "
        "does it gain on noise, and what does it cost on clean digits?"
    )


@exercise(
    "7.4",
    wants='{"p": of McNemar on one seed, "gap": of `mk.paired_difference` over five seeds or more, '
    '"V2 than E MLP": "better", "worse" or "not told apart", "believe": "mcnemar" or '
    '"paired_difference"}',
    hint='`mk.mcnemar(answers["V2"], answers["E MLP"], labels).p`, and `runs = read_table()` has '
    'ten seeds of both recipes: `runs.difference("V2", "E MLP")`. Which of the two knows that '
    "a recipe has more than one seed?",
    solution="""
stored = read_table()
gap = stored.difference("V2", "E MLP")
answer = {
    "p": mk.mcnemar(answers["V2"], answers["E MLP"], labels).p,
    "gap": gap,
    "V2 than E MLP": "better" if gap.low > 0 else "worse" if gap.high < 0 else "not told apart",
    "believe": "paired_difference",
}
""",
)
def models_and_recipes(answer: object) -> str:
    """A question about recipes is answered by seeds."""
    given = parts(answer, ["p", "gap", "V2 than E MLP", "believe"])
    p = number(given["p"], "p")
    wrong_if(not 0 <= p <= 1, f"p is {p:g}, and a probability lies between 0 and 1")
    found = told_apart(given["gap"], given["V2 than E MLP"], least=5)
    wrong_if(
        given["gap"].high < 0,
        "V2 comes out worse than a perceptron: is the gap taken the other way round? V2 comes "
        "first, and E's MLP second",
    )
    wrong_if(
        given["gap"].low > 0.04,
        f"a gap of {100 * given['gap'].mean:+.1f} points is larger than any between these two; of "
        "which two recipes is it?",
    )
    believe = word(given["believe"], ["mcnemar", "paired_difference"])
    wrong_if(
        believe == "mcnemar",
        "it compares two trained models on the same digits; with "
        "another seed they would be other models, and a *recipe* is what all seeds share",
    )
    return found + "."
