"""What 01_data states, and what follows from what it prints."""

import inspect
import re

import numpy as np
import torch

from mnistkit.notebooks.execute import find_notebooks
from tests.notebooks.statements import Statement
from tests.notebooks.statements.bounds import stored_runs
from tests.notebooks.statements.evidence import (
    does,
    ink,
    panels,
    sample,
    sample_images,
    sample_labels,
)

NETWORK, ANSWERS, SHARE = "model = nn.Sequential", "answers = model(", "first_share = ("
SPLITS, FIRST = "digits = load_digits(source, seed=seed", "one_image, one_label ="
SHOWN, TABLE, CLASSES = "torch.randperm(", "digit[6:22", "plot_class_distribution("
CONSTANTS, BACK, HISTOGRAM = (
    "pixels = torch.cat",
    "there = normalize(image)",
    "plot_histogram(values",
)
DRAWN = "figure = draw_splits("
BATCH, SIZES, SPEED, SAME = "next(iter(train_loader))", "sizes = [", "usual, fast =", "same images:"
GUESSES, WRITERS, APART = "guesses = ", "students = (digits.test.series == 4).int()", "apart = "
SEVENS, MEANS, NEAREST, HALVES = "sevens = ", "means = torch.stack", "distances = ", "by_student ="
SHARES = r"(\w+): ([\d,]+) digits, fewest (\d) \(([\d.]+) %\), most (\d) \(([\d.]+) %\)"
GLOSSARY = find_notebooks(["01"])[0].with_name("GLOSSARY.md")
LOADER = "digits.train.loader(batch_size=64, shuffle=True, seed=seed)"
SPLIT = r"([\d,]+) (?:train|valid|test)"


def shares(out):
    """Of each split: how many digits, rarest class and its percent, most common and its."""
    found = re.findall(SHARES, out.alt(CLASSES))
    return {name: [float(v.replace(",", "")) for v in values] for name, *values in found}


def drawn_labels(out):
    """The labels in the first figure; "3 x 5" there is three of them."""
    words = out.alt(SHOWN).partition(": ")[2].rstrip(".").split("; ")
    pairs = [word.rpartition(" x ") for word in words]
    return [label for count, _, label in pairs for _ in range(int(count or 1))]


def drawn_values(out):
    """Of the pixels before normalising and after: how many, lowest, highest."""
    found = re.findall(r"(\d+) values from (\S+) to ([\d.]*\d)", out.alt(HISTOGRAM))
    return [tuple(map(float, each)) for each in found]


def halves(out):
    """Shares right on the students' and on the employees' digits."""
    return out.numbers(HALVES, r"([\d.]+%) of")


def darkest_drawn(out):
    """The darkest pixel of each mean in the figure."""
    return np.array([ink(panel).max() for panel in panels(out, MEANS)])


def darkest_of_means():
    """The darkest pixel of each class's mean, on the sample."""
    means = [sample_images()[sample_labels() == c].mean(axis=0) for c in range(10)]
    return np.array([mean.max() for mean in means])


def off_centre():
    """How far the sample's centres of mass lie from the middle, in pixels, at most."""
    images, places = sample_images(), np.arange(28)
    mass = images.sum(axis=(1, 2))
    centres = [images.sum(axis=axis) @ places / mass for axis in (1, 2)]
    return max(abs(centre - 14).max() for centre in centres)


def two_epochs():
    """The labels in the order in which a shuffling loader hands them out, twice."""
    loader = sample().train.loader(batch_size=64, shuffle=True, seed=0)
    return [torch.cat([labels for _, labels in loader]) for _ in range(2)]


def ring(panel):
    """Whether a picture is dark on all four sides of a light middle."""
    rows, columns = (size // 2 for size in panel.shape)
    across, down = panel[rows], panel[:, columns]
    sides = across[:columns], across[columns:], down[:rows], down[rows:]
    return panel[rows, columns] < 0.1 and min(side.max() for side in sides) > 0.6


def fans_out(panel):
    """Whether a picture is narrow and dark in the middle, and wide and faint at its ends."""
    rows = len(panel)
    top, middle, bottom = (panel[i] for i in (rows // 8, rows // 2, rows - rows // 8))
    wide = [(row > row.max() / 2).sum() for row in (top, middle, bottom)]
    return middle.max() > 0.9 > 1.5 * max(top.max(), bottom.max()) and wide[1] < min(
        wide[0], wide[2]
    )


def splits(out) -> str:
    """The line that names the source and its splits; above it may stand the device."""
    return out.text(SPLITS).strip().splitlines()[-1]


def read_as(out):
    """The network's answers to the first validation digits, in the order of the figure."""
    words = out.alt(ANSWERS).partition(": ")[2].rstrip(".").split("; ")
    return [int(word.removeprefix("read as ")) for word in words]


def ten_lines(out):
    """The code that loads the digits, makes the network and trains it."""
    return [line for cell in (SPLITS, NETWORK) for line in out.cell(cell).source.splitlines()]


def first_share(out):
    """What share of the validation digits the network of the opening reads."""
    return out.number(SHARE, r"correctly: ([\d.]+%)")


def spoiled(share, digits=6):
    """How often a number of some digits holds a mistake, if each is right with that share."""
    return 1 - share**digits


def explained_in(*terms):
    """The notebooks in which terms are explained, as the glossary says."""
    lines = GLOSSARY.read_text(encoding="utf-8").splitlines()
    found = [line for term in terms for line in lines if line.startswith(f"- **{term}**: ")]
    assert len(found) == len(terms)
    return {re.search(r"\(\[(\d\d)\]", line)[1] for line in found}


def first_batches():
    """The labels of the first batch of two loaders with the same seed, of the sample."""
    loaders = (sample().train.loader(batch_size=64, shuffle=True, seed=0) for _ in range(2))
    return [next(iter(loader))[1] for loader in loaders]


STATEMENTS = [
    # --- The opening
    Statement(
        "Around 1990 NIST, the American standards institute, had forms filled in by hand, by "
        "employees of the Census Bureau and by high-school students.",
        source="Yadav and Bottou, 2019; LeCun et al., 1998, section III: SD-3 and SD-1.",
    ),
    Statement(
        "From their digits Yann LeCun and his colleagues at Bell Labs, who were teaching networks "
        "to read, made MNIST",
        source="LeCun et al., 1998, section III; Yadav and Bottou, 2019.",
    ),
    Statement(
        "the first of these papers reports, was by then reading several million bank cheques a day",
        source="LeCun et al., 1998, the abstract: deployed commercially, several million a day.",
    ),
    Statement(
        "an amount of six digits then holds a mistake about once in seventeen",
        lambda out: round(1 / spoiled(0.99)) == 17,
    ),
    Statement(
        "the first cells do it in ten lines",
        lambda out: len(ten_lines(out)) == 10,
    ),
    # --- A network in ten lines
    Statement(
        "Ten lines of Python are enough to watch one learn.",
        lambda out: len(ten_lines(out)) == 10 and first_share(out) > 0.9,
    ),
    Statement(
        "The first two of them load the digits and print how many there are. Most are there to "
        "learn from (`train`).",
        lambda out: (
            len(out.cell(SPLITS).source.splitlines()) == 2
            and re.findall(r"\d (\w+)", splits(out))[0] == "train"
            and out.numbers(SPLITS, SPLIT)[0] > sum(out.numbers(SPLITS, SPLIT)) / 2
        ),
    ),
    Statement(
        "The other eight lines make a network and train it, with PyTorch.",
        lambda out: len(out.cell(NETWORK).source.splitlines()) == 8,
    ),
    Statement(
        "It starts with random numbers, looks at the digits for learning, each of them once, and "
        "after every look corrects its numbers a little.",
        lambda out: (
            does(NETWORK, "torch.manual_seed(seed)", "    optimizer.step()")(out)
            and re.findall(r"for .*", out.cell(NETWORK).source)
            == [
                "for images, labels in digits.train.loader(batch_size=64, shuffle=True, seed=seed):"
            ]
            and torch.equal(two_epochs()[0].sort().values, sample().train.labels.sort().values)
        ),
    ),
    Statement(
        "nothing in them will stay unexplained",
        source="A promise: the sections below, 02_linear_vs_relu and 03_mlp_tuning keep it.",
    ),
    Statement(
        "Nothing was printed, but the numbers in `model` are no longer random.",
        lambda out: not out.cell(NETWORK).outputs and first_share(out) > 0.9,
    ),
    Statement(
        "Asked about digits that it was trained on, it might only remember. So ask it about "
        "the *validation* digits, the ones that were set aside.",
        does(ANSWERS, "model(digits.validation.inputs())", "digits.validation.images[:8]"),
    ),
    Statement(
        "For each picture the network gives ten numbers, one for each digit from 0 to 9, and the "
        "place of the largest is its answer.",
        lambda out: (
            does(NETWORK, "nn.Linear(128, 10))\n")(out) and does(ANSWERS, ".argmax(dim=1)")(out)
        ),
    ),
    Statement(
        "Here are its first eight answers.",
        lambda out: len(read_as(out)) == len(panels(out, ANSWERS)) == 8,
    ),
    Statement(
        "Nobody told it what a 4 looks like, and it knows one when it sees one.",
        lambda out: read_as(out)[1] == 4 and first_share(out) > 0.9,  # the 1 and the 4: by eye
    ),
    Statement(
        "But look at the last digit: that is a 2, and the network says 9.",
        lambda out: read_as(out)[:7] == [1, 4, 2, 7, 6, 0, 9] and read_as(out)[7:] == [9],
    ),
    Statement("Eight digits are few.", lambda out: len(read_as(out)) == 8),
    Statement(
        "(Somebody who guesses is right one time in ten.)",
        source="Guessing one of ten classes at random is right with probability 1/10.",
    ),
    Statement(
        "it reads about 94 digits in 100",
        lambda out: abs(first_share(out) - 0.94) < 0.008,
    ),
    Statement(
        "For ten lines and a few seconds that is a lot.",
        lambda out: first_share(out) > out["nearest mean, test"] + 0.1,
    ),
    Statement(
        "of the amounts with six digits, about three in ten would hold a mistake",
        lambda out: 0.27 < spoiled(first_share(out)) < 0.34,
    ),
    Statement(
        "The best network of this series gets beyond 99.7 % ([04_cnn](04_cnn.ipynb)), and learns "
        "in a loop much like this one.",
        lambda out: stored_runs().of("CompactCNN")["test_accuracy"].mean() > 0.997,
    ),
    Statement(
        "In the next cell `==` compares all answers at once and gives `True` or `False` for each.",
        lambda _: (torch.tensor([1, 2]) == torch.tensor([1, 3])).tolist() == [True, False],
    ),
    Statement(
        "`float()` makes 1 and 0 of these, so that their mean is a share, and `item()` makes a "
        "plain Python number of it.",
        lambda _: torch.tensor([True, False]).float().mean().item() == 0.5,
    ),
    Statement(
        "The rest of this notebook says what went into the ten lines: which digits, as what "
        "numbers, how many of them at a time, and why some were set aside.",
        lambda out: (
            [
                heading
                for cell in out.cells
                for heading in re.findall(r"^## (.*)$", cell.source, flags=re.M)
                if heading in ("Which digits do we have?", "Look before you compute", "A batch")
                or heading == "Why three splits?"
            ]
            == [
                "Which digits do we have?",
                "Look before you compute",
                "A batch",
                "Why three splits?",
            ]
        ),
    ),
    Statement(
        "What happened in the loop is for [02_linear_vs_relu](02_linear_vs_relu.ipynb); only "
        "`Adam`, here at its usual rate of 0.001, has to wait until "
        "[03_mlp_tuning_qmnist](03_mlp_tuning_qmnist.ipynb).",
        lambda out: (
            inspect.signature(torch.optim.Adam).parameters["lr"].default == 0.001
            and does(NETWORK, "torch.optim.Adam(", "loss.backward()", "nn.Linear", "nn.ReLU")(out)
            and explained_in("loss", "backpropagation", "linear layer", "ReLU") == {"02"}
            and explained_in("Adam") == {"03"}
        ),
    ),
    # --- Which digits do we have?
    Statement(
        "The first line was `load_digits`.",
        lambda out: "load_digits(" in ten_lines(out)[0],
    ),
    Statement(
        "It takes the first source that it can get",
        source="tests/utils/test_sources.py: what is on disk, then a download, then the sample.",
    ),
    Statement(
        "([LeCun, Bottou, Bengio and Haffner, 1998]",
        source="Gradient-based learning applied to document recognition, Proc. IEEE 86 (11).",
    ),
    Statement(
        "QMNIST, Yadav and Bottou's careful reconstruction of them",
        source="Cold Case: The Lost MNIST Digits, arXiv 1905.10498.",
    ),
    Statement(
        "a sample of 5,000 that comes with a package we use anyway",
        lambda out: len(sample_images()) == 5000,
    ),
    Statement(
        "It checks every file before it trusts it",
        source="tests/utils/test_sources.py::test_damaged_file_is_named_with_what_was_found",
    ),
    Statement(
        "it always says what it took",
        lambda out: {splits(out).partition(":")[0]} == {r.source for r in out.records},
    ),
    Statement(
        "A number is worth little without the name of its data, so look at that line first",
        source="Advice; the line names the data, as the statement before checks.",
    ),
    Statement(
        "The digits come in three *splits*: *train* to learn from, *validation* to choose by, "
        "*test* to report on.",
        lambda out: re.findall(r"\d (\w+)", splits(out)) == ["train", "validation", "test"],
    ),
    Statement(
        "The loop saw digits of train alone, and the answers were about validation.",
        lambda out: (
            does(NETWORK, "in digits.train.loader(")(out)
            and does(ANSWERS, "model(digits.validation.inputs())")(out)
            and not re.search("validation|test", out.cell(NETWORK).source)
            and not any("test" in out.cell(cell).source for cell in (ANSWERS, SHARE))
        ),
    ),
    Statement(
        "You will see below why it takes three.",
        lambda out: any(cell.source.startswith("## Why three splits?") for cell in out.cells),
    ),
    Statement(
        "One digit is a tensor of 28 x 28 bytes",
        lambda out: "(28, 28) torch.uint8" in out.text(FIRST),
    ),
    Statement(
        "one of ten *classes*, 0 to 9",
        lambda out: str(list(range(10))) in out.text(FIRST),
    ),
    # --- Look before you compute
    Statement(
        "Before you run the next cell, get ready to cover the label above each digit.",
        source="An instruction.",
    ),
    Statement(
        "You will probably read nearly all of them",
        source="A guess about readers, who find out at once whether it is right.",
    ),
    Statement(
        "so does what people think a 2 or a 5 looks like",
        lambda out: min(drawn_labels(out).count(label) for label in "25") > 3,
    ),
    Statement(
        "Everything sits in the middle, because the makers of MNIST centred each digit by its "
        "centre of mass.",
        lambda out: off_centre() <= 0.501,
    ),
    Statement(
        "will expect the same of *your* digits if it was trained on these",
        source="07_trust moves digits by a few pixels, and V2 then misreads many.",
    ),
    Statement(
        "To the computer there is no picture, only a table of numbers. Here is the middle of the "
        "first digit above.",
        lambda out: (
            does(TABLE, "shown[0]", "6:22, 5:23")(out)
            and (6, 5) == (28 - 22, 28 - 23)
            and [len(line.split()) for line in out.text(TABLE).splitlines()] == [18] * 16
        ),
    ),
    # --- Is every class equally common?
    Statement(
        "If all ten were equally common, each bar would just reach the dotted line at 10 %.",
        source="A tenth is 10 %; plot_class_distribution draws the line.",
    ),
    Statement(
        "the 1 is the most common digit (about 11 %) and the 5 the rarest (about 9 %)",
        lambda out: all(
            (few, most, round(low), round(high)) == (5, 1, 9, 11)
            for _, few, low, most, high in shares(out).values()
        ),
    ),
    Statement(
        "Train and validation have the same shares, because the validation digits were drawn "
        "class by class. Test was fixed by others, and its shares differ a little.",
        lambda out: (
            shares(out)["train"][1:] == shares(out)["validation"][1:] != shares(out)["test"][1:]
            and all(
                abs(shares(out)["train"][place] - shares(out)["test"][place]) < 0.5
                for place in (2, 4)
            )
        ),
    ),
    Statement(
        "(In the sample every class has exactly a tenth.)",
        lambda out: all(
            {*split.labels.bincount().tolist()} == {len(split) / 10}
            for split in (sample().train, sample().validation, sample().test)
        ),
    ),
    Statement(
        "Our network's 94 % was an accuracy.", lambda out: round(first_share(out), 2) == 0.94
    ),
    # --- Mean and standard deviation
    Statement(
        "Networks learn faster when their inputs are centred and of size about one.",
        source="LeCun, Bottou, Orr and Müller, Efficient BackProp, 1998.",
    ),
    Statement(
        "(Ours was given plain numbers from 0 to 1, and learned all the same.)",
        lambda out: (
            "from 0 to 1" in out.text(BATCH)
            and "normalized" not in out.cell(NETWORK).source + out.cell(ANSWERS).source
            and first_share(out) > 0.9
        ),
    ),
    Statement(
        "README D writes the constants 0.1307 and 0.3081",
        lambda out: out.numbers(CONSTANTS, r"published ([\d.]+)") == [0.1307, 0.3081],
    ),
    Statement("without saying where they come from", source="README D."),
    Statement(
        "They should be the mean and the *standard deviation* of all training pixels, scaled to "
        "[0, 1].",
        does(
            CONSTANTS,
            "[to_float(digits.train.images), to_float(digits.validation.images)]",
            "pixels.mean().item(), pixels.std().item()",
        ),
    ),
    Statement(
        "On all 60,000 training digits they agree to four decimal places. Note what is *not* in "
        "this computation: the test digits.",
        lambda out: (
            out.numbers(CONSTANTS, r"([\d.]+)   published ([\d.]+)")
            == [0.1307, 0.1307, 0.3081, 0.3081]
            and out.number(CONSTANTS, r"\(([\d,]+) mnist digits") == 60_000
            and "test" not in out.cell(CONSTANTS).source
        ),
    ),
    Statement(
        "the round trip must lose nothing but rounding",
        lambda out: "lost on the way: nothing" in out.text(BACK),
    ),
    Statement(
        "a single one gets two more axes: 1 digit x 1 grey x 28 x 28",
        lambda out: "float image: (1, 1, 28, 28)" in out.text(BACK),
    ),
    Statement(
        "It shifts and stretches them but keeps their order, so two peaks should remain, paper "
        "and ink.",
        lambda out: (
            {*np.histogram(sample_images(), 40)[0].argsort()[-2:]} == {0, 39}
            and all(low < high for _, low, high in drawn_values(out))
        ),
    ),
    Statement(
        "Expect paper to move from 0 to about -0.4, and ink from 1 to about 2.8.",
        lambda out: (
            drawn_values(out)[0][1:] == (0, 1)
            and [round(value, 1) for value in drawn_values(out)[1][1:]] == [-0.4, 2.8]
        ),
    ),
    Statement(
        "Four pixels in five are paper (mind the logarithmic axis).",
        lambda out: (
            abs((sample_images() == 0).mean() - 0.8) < 0.03
            and does(HISTOGRAM, 'ax.set_yscale("log")')(out)
        ),
    ),
    Statement(
        'After normalising, "nothing here" is -0.42 and no longer 0.',
        lambda out: [round(low, 2) for _, low, _ in drawn_values(out)] == [0, -0.42],
    ),
    Statement(
        "the same pixels are spread over a longer axis",
        lambda out: (
            drawn_values(out)[0][0] == drawn_values(out)[1][0]
            and drawn_values(out)[1][2] - drawn_values(out)[1][1] > 2
        ),
    ),
    # --- A batch
    Statement(
        "64 images in one tensor, with one extra axis for the *channel* (grey has one, colour "
        "would have three)",
        lambda out: "images: (64, 1, 28, 28)" in out.text(BATCH),
    ),
    Statement(
        "The loop took one batch at a time, and corrected the network once for each.",
        lambda out: (
            does(NETWORK, "batch_size=64")(out)
            and out.cell(NETWORK).source.count("    optimizer.step()") == 1
        ),
    ),
    Statement(
        "Our loop was one epoch. What shape had the first batch that it saw?",
        lambda out: (
            "digits.train.loader(batch_size=64, shuffle=True, seed=seed)"
            in out.cell(NETWORK).source
            and does(BATCH, "digits.train.loader(batch_size=64, shuffle=True, seed=seed)")(out)
            and out.cell(NETWORK).source.count("for ") == 1
            and torch.equal(*first_batches())
        ),
    ),
    Statement(
        "(`digits.train.inputs()` gives all images in that form at once: floats from 0 to 1, with "
        "the axes of batch and channel. Layers count on both axes, so a single digit for a "
        "network is `inputs()[:1]`, not `inputs()[0]`.",
        lambda out: (
            sample().train.inputs()[:1].shape == (1, 1, 28, 28)
            and sample().train.inputs().dtype == torch.float32
            and sample().train.inputs()[:500].aminmax() == (0, 1)
        ),
    ),
    Statement(
        "Here are the three splits to scale, and below them the first digits of one batch. The "
        "black line at the left is a batch, drawn wider than it is.",
        lambda out: (
            out.alt(DRAWN)
            == "Splits to scale: train 55,000, validation 5,000, test 10,000; one batch of 64."
            and 64 / 70_000 < 1 / 250  # what is drawn
        ),
    ),
    Statement(
        "As many as there are batches: the network is corrected once for each. Without batches "
        "it would be corrected once in an epoch; like this, hundreds of small corrections "
        "turned random numbers into a reader.",
        lambda out: (
            200 < out.number(SIZES, r"(\d+) batches") < 1000
            and does(BATCH, "batch_size=64")(out)
            and does(NETWORK, "batch_size=64")(out)
            and first_share(out) > 0.9
        ),
    ),
    Statement(
        "It also shuffles, so that each *epoch*, one pass over all training digits, sees them in "
        "a different order.",
        lambda out: (
            does(BATCH, "shuffle=True")(out)
            and not torch.equal(*two_epochs())
            and torch.equal(*(labels.sort().values for labels in two_epochs()))
        ),
    ),
    Statement(
        "The last batch is smaller unless 64 divides the number of digits.",
        lambda out: (
            out.numbers(SIZES, r"first has (\d+), the last (\d+)")
            == [64, out.number(SPLITS, r"([\d,]+) train") % 64]
        ),
    ),
    Statement(
        "a digit in the small batch would count for more than the others",
        lambda out: out.number(SIZES, r"last (\d+)") < out.number(SIZES, r"first has (\d+)"),
    ),
    Statement(
        "All accuracies in this series are means over digits.",
        source="tests/test_metrics.py::test_accuracy_counts_each_sample_once",
    ),
    Statement(
        "a class of your own with two methods",
        does(SPEED, "(Dataset):", "def __len__(self)", "def __getitem__(self, index)"),
    ),
    Statement(
        "returns that item, here an image and its label; `dataset[3]` calls it with index 3",
        does(
            SPEED, "self.images[index]", "return self.transform(picture), int(self.labels[index])"
        ),
    ),
    Statement(
        "asks the `Dataset` for 64 items, one after another, and stacks them into a batch",
        does(SPEED, "DataLoader(PictureByPicture(part), batch_size=64)"),
    ),
    Statement("READMEs D and E also normalise it at this point", source="READMEs D and E."),
    Statement(
        "and so does the cell below",
        does(SPEED, "transforms.ToTensor(), transforms.Normalize((MNIST_MEAN,), (MNIST_STD,))"),
    ),
    Statement(
        "Our own loader keeps all the bytes in one tensor and takes 64 rows of it at once.",
        lambda out: (
            sample().train.images.dtype == torch.uint8
            and does(SPEED, "part.loader(batch_size=64, normalized=True)")(out)
        ),
    ),
    Statement(
        "Both should give the same numbers.",
        lambda out: out.text(SAME) == "same images: True\nsame labels: True\n",
    ),
    Statement(
        "here it is far above ten",
        lambda out: out.number(SPEED, r"(\d+) times as fast") > 20,
    ),
    Statement(
        "the work is done once for 64 digits instead of 64 times for one",
        lambda out: out.cell(SPEED).source.count("batch_size=64") == 2,
    ),
    Statement(
        "check that both give the same batches",
        lambda out: out.text(SAME) == "same images: True\nsame labels: True\n",
    ),
    # --- Why three splits?
    Statement(
        "Our network learned from train, so train could not say how well it reads: it might know "
        "those digits by heart.",
        does(NETWORK, "in digits.train.loader("),
    ),
    Statement(
        "But it had not seen the validation digits either.",
        lambda out: "validation" not in out.cell(NETWORK).source,
    ),
    Statement(
        "Perhaps you would already like to change a number in the ten lines, to see whether 94 % "
        "becomes 95.",
        lambda out: len(ten_lines(out)) == 10 and round(first_share(out), 2) == 0.94,
    ),
    Statement(
        "*Test* tells how good it is on digits that it has never seen.",
        lambda out: out.number(WRITERS, r"in both: +(\d+)") == 0,
    ),
    Statement(
        'take 1,000 "models" that only guess',
        does(GUESSES, "torch.randint(0, 10, (1000, len(labels))"),
    ),
    Statement(
        "Each is right one time in ten.",
        source="Guessing one of ten classes at random is right with probability 1/10.",
    ),
    Statement(
        "We pick the best of them on 500 validation digits.",
        does(GUESSES, "digits.validation.labels[:500]", "best = on_validation.argmax()"),
    ),
    Statement(
        "Chosen from a thousand, pure luck looks like skill, and test shows it for what it is.",
        lambda out: (
            out.number(GUESSES, r"on validation: ([\d.]+%)") > 0.13
            and abs(out.number(GUESSES, r"on test: +([\d.]+%)") - 0.1) < 0.01
        ),
    ),
    Statement(
        "Had we chosen *on* test, nobody could have told.",
        source="No digits would have been left to tell by.",
    ),
    Statement(
        "That is why our network was asked about validation digits: change its ten lines as often "
        "as you like, and test will know nothing of it.",
        lambda out: (
            does(ANSWERS, "model(digits.validation.inputs())")(out)
            and not any(".test" in out.cell(c).source for c in (SPLITS, NETWORK, ANSWERS, SHARE))
        ),
    ),
    # --- Who wrote them?
    Statement(
        "its first 60,000 training labels and first 10,000 test labels match MNIST's one to one, "
        "and they name the writer",
        source="Yadav and Bottou, 2019; load_digits refuses labels that do not line up.",
    ),
    Statement(
        "Two questions decide whether the test is fair.",
        source="It announces the two that follow, and both are answered.",
    ),
    Statement(
        "539 and 297 writers, none in both, and the first 5,001 test digits are the students'",
        lambda out: (
            out.numbers(WRITERS, r"writers in (?:training|test): +(\d+)") == [539, 297]
            and out.number(WRITERS, r"in both: +(\d+)") == 0
            and out.numbers(WRITERS, r"students: +(\d+) of (\d+)") == [5001, 10_000]
            and out.number(WRITERS, r"first 5,001: (\d+)") == 5001
        ),
    ),
    Statement(
        "All of them, and none.",
        lambda out: out.numbers(APART, r": (\d+) writers, (\d+) also") == [539, 539, 45, 0],
    ),
    Statement(
        "as [04_cnn](04_cnn.ipynb) does for its best network",
        source="04_cnn: CompactCNN was tuned on 10,361 validation digits by other writers.",
    ),
    Statement(
        "six by students in the first row, six by employees in the second",
        lambda out: (
            out.alt(SEVENS).endswith("(12 images): 6 x student; 6 x employee.")
            and does(SEVENS, "columns=6")(out)
            and len(panels(out, SEVENS)) == 12
        ),
    ),
    Statement(
        "The employees' hands look steadier.",
        source="An impression from the figure; the next words call it no proof.",
    ),
    Statement(
        "Twelve digits prove nothing, though; in a moment we shall put a number on it.",
        lambda out: len(panels(out, SEVENS)) == 12 and len(halves(out)) == 2,
    ),
    # --- The mean digit, and a first model
    Statement(
        "Average all training images of a class.",
        does(MEANS, "digits.train.images[digits.train.labels == c]).mean(dim=0)"),
    ),
    Statement(
        "The 1 is the darkest of all: nearly every 1 has ink at its centre, and only its ends fan "
        "out",
        lambda out: (
            darkest_drawn(out).argmax() == darkest_of_means().argmax() == 1
            and (sample_images()[sample_labels() == 1, 13:15, 13:15].max((1, 2)) > 0).mean() > 0.95
            and fans_out(ink(panels(out, MEANS)[1]))
        ),
    ),
    Statement("The 0 is a clean ring.", lambda out: ring(ink(panels(out, MEANS)[0]))),
    Statement(
        "The 2 and the 5 are the faintest",
        lambda out: (
            {*darkest_of_means().argsort()[:2]} == {*darkest_drawn(out).argsort()[:2]} == {2, 5}
        ),
    ),
    Statement("Still, every mean can be read.", source="By eye, from the figure."),
    Statement(
        "validation chooses, and test is opened when nothing is left to choose",
        source="The rule of this series.",
    ),
    Statement(
        "a model without a single step of training: give each test digit the class of the "
        "nearest mean",
        does(NEAREST, "torch.cdist(to_float(digits.test.images)", "means", "argmin(dim=1)"),
    ),
    Statement(
        "A guesser scores 10 %.",
        source="Guessing one of ten classes at random is right with probability 1/10.",
    ),
    Statement(
        "About four in five. That is the score to beat: a network that stays below it has learned "
        "less than an average.",
        lambda out: abs(out["nearest mean, test"] - 0.8) < 0.03,
    ),
    Statement(
        "Ours, though on validation digits, was well above it.",
        lambda out: first_share(out) > out["nearest mean, test"] + 0.1,
    ),
    Statement(
        "One of the published models does so in about a third of its runs",
        lambda out: (
            0.28
            < (stored_runs().of("V1")["test_accuracy"] < out["nearest mean, test"]).mean()
            < 0.39
        ),
    ),
    Statement(
        "The two groups are not alike: for this model the employees' digits are much easier.",
        lambda out: halves(out)[1] > halves(out)[0] + 0.05,
    ),
    # --- What we saw
    Statement(
        "Ten lines, and one look at each training digit, make a network that reads about 94 % of "
        "digits it has never seen.",
        lambda out: len(ten_lines(out)) == 10 and abs(out["ten lines, validation"] - 0.94) < 0.008,
    ),
    Statement(
        "MNIST is 70,000 small grey pictures; each digit makes up 9 to 11 % of them.",
        lambda out: (
            sum(out.numbers(SPLITS, SPLIT)) == 70_000
            and all(8.5 < low < 10 < high < 11.5 for _, _, low, _, high in shares(out).values())
        ),
    ),
    Statement(
        "The mean and standard deviation of its training pixels are what README D says: 0.1307 "
        "and 0.3081.",
        lambda out: (
            [round(out[name], 4) for name in ("mean of training pixels", "deviation")]
            == out.numbers(CONSTANTS, r"published ([\d.]+)")
            == [0.1307, 0.3081]
        ),
    ),
    Statement(
        "A loader that takes whole batches from memory gives the same batches far faster.",
        lambda out: (
            "False" not in out.text(SAME)
            and out.number(SPEED, r"picture: ([\d.]+) s") / 20
            > out.number(SPEED, r"batch: +([\d.]+) s")
        ),
    ),
    Statement(
        "A split that was used to choose gives the winner, on average, too good a score. That is "
        "why there are three.",
        lambda out: (
            out.number(GUESSES, r"on validation: ([\d.]+%)")
            > out.number(GUESSES, r"on test: +([\d.]+%)") + 0.02
            and len(out.numbers(SPLITS, SPLIT)) == 3
        ),
    ),
    Statement(
        "New people wrote the test digits, and the half that employees wrote is much easier than "
        "the half that students wrote.",
        lambda out: (
            out.number(WRITERS, r"in both: +(\d+)") == 0
            and halves(out)[1] > halves(out)[0] + 0.05
            and all(abs(n - 5000) < 10 for n in out.numbers(HALVES, r"of ([\d,]+)$"))
        ),
    ),
    Statement(
        "[LeCun et al. (1998)](https://doi.org/10.1109/5.726791) describe how MNIST was made; "
        "[Yadav and Bottou (2019)](https://arxiv.org/abs/1905.10498) traced its digits back to "
        "their writers.",
        source="The papers themselves.",
    ),
]


def splits_are_drawn_as_printed(out):
    printed = out.numbers(SPLITS, SPLIT)
    return printed == [count for count, *_ in shares(out).values()] == [55_000, 5_000, 10_000]


def first_network_is_as_good_as_recorded(out):
    share, digits = out.numbers(SHARE, r"([\d.]+%) of ([\d,]+)")
    return digits == 5000 and abs(share - out["ten lines, validation"]) < 0.0006


def pixels_shown_are_those_of_that_digit(out):
    ink = out.numbers(TABLE)
    return (len(ink), sum(ink), max(ink)) == (68, 11_243, 255)


def normalising_moves_0_and_1_where_the_constants_say(out):
    moved = f"from {-0.1307 / 0.3081:.4g} to {(1 - 0.1307) / 0.3081:.4g}"
    alt = out.alt(HISTOGRAM)
    return moved in alt and alt.count(f"{200 * 28 * 28} values") == 2


def batches_make_up_the_training_digits(out):
    batches = r"(\d+) batches; the first has (\d+), the last (\d+)"
    n, first, last = out.numbers(SIZES, batches)
    return first * (n - 1) + last == 55_000


def factor_of_the_loaders_is_that_of_their_seconds(out):
    slow, digits, fast, factor = out.numbers(SPEED, r"([\d.,]+)(?: s|(?= digits| times))")
    return digits == 20_000 and slow / (fast + 0.006) < factor < slow / max(fast - 0.006, 1e-3)


def guessers_score_what_the_seed_says(out):
    return out.numbers(GUESSES, r"([\d.]+%)$") == [0.142, 0.096]


def nearest_mean_is_as_good_as_recorded(out):
    share, digits = out.numbers(NEAREST, r"([\d.]+%) of ([\d,]+)")
    return digits == 10_000 and abs(share - out["nearest mean, test"]) < 0.0006


def halves_make_up_the_whole(out):
    students, first, employees, second = out.numbers(HALVES, r"([\d.]+%) of ([\d,]+)")
    whole = (students * first + employees * second) / 10_000
    return first + second == 10_000 and abs(whole - out["nearest mean, test"]) < 0.0006


FOLLOWS = [
    first_network_is_as_good_as_recorded,
    splits_are_drawn_as_printed,
    pixels_shown_are_those_of_that_digit,
    normalising_moves_0_and_1_where_the_constants_say,
    batches_make_up_the_training_digits,
    factor_of_the_loaders_is_that_of_their_seconds,
    guessers_score_what_the_seed_says,
    nearest_mean_is_as_good_as_recorded,
    halves_make_up_the_whole,
]
