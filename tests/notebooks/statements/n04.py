"""What 04_cnn states, and what follows from what it prints."""

import ast
import math
import re
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from scipy import ndimage, stats
from torch import nn

from mnistkit import Recipe, build_model, count_parameters, predict_image, random_affine
from mnistkit.errors import PictureError
from mnistkit.experiments.results import read_result
from mnistkit.handwriting.reader import read_card
from mnistkit.metrics import interval_of_share
from mnistkit.notebooks.execute import find_notebooks
from mnistkit.study import plan
from mnistkit.study.ladder import LADDER as STEPS
from mnistkit.study.plan import COMPACT as RECIPE
from mnistkit.study.plan import LADDER_STEPS, MEMBERS, judging_plan
from mnistkit.training import make_schedule
from mnistkit.trust.disputed import DISPUTED_LABELS
from tests.notebooks.statements import Statement
from tests.notebooks.statements.bounds import stored_runs
from tests.notebooks.statements.evidence import (
    does,
    ink,
    panels,
    pixels,
    sample_images,
    sample_labels,
)
from tests.notebooks.statements.outputs import Outputs

# How often each class is in MNIST's test set.
COUNTS = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
KERNEL, V2_DRAWN = "above_below = torch.tensor", "draw_network(my_v2"
E_DRAWN, COMPACT_DRAWN = "draw_network(my_cnn", 'draw_network(build_model("CompactCNN")'
SPLITS, EDGES, V2_LAYERS = "validation_size=0", "edges = torch", "layer_table(my_v2)"
CNN_LAYERS, TWICE, CURVES = "layer_table(my_cnn)", "perfect = torch", "answers[:, 3]"
GRADIENTS, HONESTY, RECIPES = "def gradient(", "at_3, at_5", "runs = run_grid(recipes"
SUMMARY, LOSSES, GAP = RECIPES, "plot_history(", "corrected minus published"
SURE, STAY, LOST = "given with over 99 %", "stay = pd.DataFrame(rows)", "last.bias[5]"
RECOGNISED, SETTINGS = "recognised = {", "by_setting.agg"
CONFUSION, PAIRS, BY_CLASS = "matrix = confusion_matrix(", "most_confused(", "by_class = per_class"
MISTAKES, KERNELS, MAPS = "ax = plot_mistakes(", "filters = v2", "second = v2.block_2"
COMPACT_LAYERS, NINE = 'layer_table(build_model("CompactCNN"))', "nine = random_affine("
LADDER, GAINS, TEN = "steps = ladder(stored)", "gains = steps", 'errors_of(stored, "CompactCNN")'
ENSEMBLE, COMPACT, DRAWN = '"CompactCNN ensemble"', "print(compact)", "draw_digit(compact.model)"
MISREAD = 'high_rate = stored.of("E CNN 0.003")'
SAVED, TRUSTED, VERDICTS = "save_checkpoint(v2", "load_model(folder", "print_verdicts(["
SAME = "for mine, theirs in"
PUBLISHED, CORRECTED = "E CNN", "E CNN corrected"
HEARSAY = {99.748: 1.19e6, 99.738: 4.7e6}  # accuracy in percent, and weights


def parameters(out, source):
    return out.table(source)["parameters"].sum()


def layers(out, source, kind):
    """Of all layers of a kind: the shapes of their outputs, or, of linear ones, their sizes."""
    table = out.table(source)
    shapes = [str(shape).split(" x ") for shape in table["output"][table["layer"] == kind]]
    return [tuple(map(lambda side: int(float(side)), shape)) for shape in shapes]


def shape_changes(out, source, sides):
    """The kinds of layers that change these sides of what they are given, 1 x 28 x 28 at first."""
    changing, before = set(), (1, 28, 28)
    for kind, *output in out.table(source)[["layer", "output"]].itertuples(index=False):
        if " x " in str(output[0]):
            after = tuple(int(side) for side in output[0].split(" x "))
            if after[sides] != before[sides]:
                changing.add(kind)
            before = after
    return changing


def modules(model, kind):
    return [module for module in build_model(model).modules() if isinstance(module, kind)]


def two_softmaxes(p):
    """The loss, by hand, of an answer that gives p to the true class and the rest to another."""
    return np.log(np.exp(p) + np.exp(1 - p) + 8) - p


def curve(out, name):
    """Where a curve begins and ends."""
    (ends,) = re.findall(rf"{name} from ([\d.]+) to (-?[\d.]*\d)", out.alt(CURVES))
    return [float(end) for end in ends]


def gradients(out, case):
    """Length of the gradient with one softmax, and with two."""
    return out.table(GRADIENTS).loc[case].tolist()


def weakened(out, case):
    """What the second softmax leaves of the gradient."""
    once, twice = gradients(out, case)
    return twice / once


def best_answer(out, softmaxes):
    return out.number(HONESTY, rf"softmaxes: {softmaxes}; .* gives the 3 (\d+%)")


def losses(out):
    """Training loss of each after its first epoch and after its last."""
    found = re.findall(r"(E CNN[\w ]*) train ([\d.]+) to ([\d.]*\d)", out.alt(LOSSES))
    return {name: (float(first), float(last)) for name, *(first, last) in found}


def accuracies(name):
    return stored_runs().of(name)["test_accuracy"].to_numpy()


def excess(out, name):
    """By how much a model's mean probability lies above its share of right answers."""
    row = out.table(SURE).loc[name]
    return row["mean probability of its answer"] - row["right"]


def sure_share(out, name):
    """The part of a model's mistakes that is given with over 99 %."""
    row = out.table(SURE).loc[name]
    return row["given with over 99 %"] / row["wrong answers"]


def times_as_many(out, column):
    return out.table(STAY)[column][PUBLISHED] / out.table(STAY)[column][CORRECTED]


def stays(out, name):
    """The share of sure mistakes that stay: the ends of its interval."""
    row = out.table(STAY).loc[name]
    return interval_of_share(int(row["stay"]), int(row["sure"]))


def same_run_as_stored(out, name):
    """Whether seed 0 came out as in the stored runs, in accuracy and in loss."""
    stored = stored_runs().of(name).set_index("seed").loc[0]
    accuracy = out.table(SUMMARY).loc[name, "mean"]
    near = abs(out[f"{name} test loss"] - stored["test_loss"]) < 0.00001
    return near and abs(accuracy - stored["test_accuracy"]) < 0.0001


def stored_recipe(name):
    """What the stored runs of that name are trained by."""
    entries = judging_plan({"SGD": 0.3, "Adam": 0.001})
    return next(entry.recipe for entry in entries if entry.name == name)


def gap(out):
    """In points, corrected minus published: mean, low, high, n."""
    return out.numbers(GAP, r": (.+) points, 95 % interval (.+) to (.+) \(n = (\d)")


def errors(out):
    """How many digits the model misreads whose mistakes are looked at."""
    (right,) = re.findall(r"([\d,]+) of 10,000 right", out.alt(CONFUSION))
    return 10_000 - int(right.replace(",", ""))


def pairs_at_least(out):
    """Over how many pairs the errors are spread, for none is more frequent than the last listed."""
    counts = out.table(PAIRS)["count"]
    return len(counts) + (errors(out) - counts.sum()) / counts.min()


@cache
def first_of_the_linear_model():
    """The pair that V0 confuses most, as 02 draws it: truth, answer, how many times."""
    (path,) = find_notebooks(["02"])
    alt = Outputs(path).alt("matrix_0 = confusion_matrix(")
    return [int(number) for number in re.search(r"(\d) as (\d), (\d+) times", alt).groups()]


def of_class(out, digit):
    """In percent, how many of a class are right."""
    return out.scores(BY_CLASS)[str(digit)].mean


def range_of_classes(out):
    means = [score.mean for score in out.scores(BY_CLASS).values()]
    return max(means) - min(means)


def step(out, name):
    return out.table(LADDER).loc[name]


def errors_at(out, name):
    """Of 10,000 digits, on average over the seeds."""
    return 100 * (100 - step(out, name)["accuracy"])


def published():
    """The card of the CompactCNN that comes with the library."""
    (card,) = (Path(plan.__file__).parent / "models").glob("compactcnn-*.json")
    return read_result(card)


def mean_of_ten(out):
    """In percent: the mean over ten seeds, and its interval."""
    return out.numbers(TEN, r"test: ([\d.]+) % \[([\d.]+), ([\d.]+)\]")


def responses(out, picture):
    """What the kernels that were set by hand make of a picture, without what is below zero."""
    first = re.search(r"above_below = torch.tensor\((.+)\)", out.cell(KERNEL).source)[1]
    if "edges = torch.stack([above_below, above_below.T])" not in out.cell(EDGES).source:
        raise LookupError("the second kernel is no longer the first, turned")
    kernel = torch.tensor(ast.literal_eval(first)).float()
    images = torch.as_tensor(picture, dtype=torch.float32)[None, None]
    weights = torch.stack([kernel, kernel.T]).unsqueeze(1)
    return nn.functional.conv2d(images, weights, padding=1)[0].relu().numpy()


def complaint(layer, inputs):
    """What PyTorch says to inputs of a wrong shape."""
    try:
        layer(inputs)
    except RuntimeError as error:
        return str(error)
    return ""


def window_sums(out):
    """What the kernel gives at the windows A, B and C of the seven."""
    found = re.findall(r"([ABC]) ([+-]?[\d,]+)(?=[,;] )", out.alt(KERNEL))
    return {name: int(number.replace(",", "")) for name, number in found}


def lights_up_one_side(out):
    """A horizontal bar lights up the first kernel on one side, and a vertical one the second."""
    bar = np.zeros((28, 28))
    bar[12:16] = 1
    first, across = responses(out, bar)[:, :, 8:20].any(axis=2)
    second, along = responses(out, bar.T)[::-1, 8:20].any(axis=1)
    return not (across.any() or along.any()) and all(
        side[10:14].any() != side[14:18].any() for side in (first, second)
    )


def centred(panel):
    """A digit cut out of a figure as MNIST has it: 20 pixels, centred by its mass in 28 x 28."""
    dark = ink(panel)
    small = ndimage.zoom(dark, 20 / max(dark.shape), order=1)
    whole = np.zeros((28, 28))
    top, left = (
        int(np.clip(round(13.5 - c), 0, 28 - n))
        for c, n in zip(ndimage.center_of_mass(small), small.shape, strict=True)
    )
    whole[top : top + small.shape[0], left : left + small.shape[1]] = small
    return whole


def seven(out):
    return centred(panels(out, EDGES)[0])


def maps(out):
    """The two rows of feature maps, ten each: 28 x 28, and 7 x 7."""
    image, rows = pixels(out, MAPS, sharp=True), []
    for top, side in ((86, 28), (252, 7)):  # each is 105 pixels high and wide
        cut = [image[top:, 16 + 112 * k :][:105, :105] for k in range(10)]
        rows.append([shrunk(ink(panel), side) for panel in cut])
    return rows


def shrunk(picture, side):
    image = PIL.Image.fromarray((255 * picture).astype("uint8"))
    return np.asarray(image.resize((side, side), PIL.Image.Resampling.BOX)) / 255


def paper(feature_map):
    """How dark the blank paper to the left of the digit is."""
    return feature_map[8:20, 1:4].mean()


def likeness(one, other):
    """Correlation of their pixels; 0 for an empty one."""
    return np.corrcoef(one.ravel(), other.ravel())[0, 1] if one.std() > 0 else 0.0


def read_as(picture, neighbours=7):
    """What most of the nearest digits of the sample are."""
    distances = ((sample_images() - picture) ** 2).sum(axis=(1, 2))
    nearest = sample_labels()[distances.argsort()[:neighbours]]
    return Counter(nearest.tolist()).most_common(1)[0][0]


@cache
def turned_sixes():
    """What the sixes of the sample are nearest to when they stand on their heads: ten counts."""
    means = np.array([sample_images()[sample_labels() == c].mean(axis=0) for c in range(10)])
    sixes = sample_images()[sample_labels() == 6][:, None, ::-1, ::-1]
    return np.bincount(((sixes - means) ** 2).sum(axis=(2, 3)).argmin(axis=1), minlength=10)


@cache
def refused(kind):
    """Whether `predict_image` refuses a picture that is not one digit."""
    five, eight = (sample_images()[sample_labels() == c][0] for c in (5, 8))
    noise = np.random.default_rng(0).random((60, 60))
    pictures = {
        "blank": np.zeros((60, 60)),
        "two digits": np.pad(np.hstack([five, eight]), 10),
        "noise": noise,
        "one digit": np.pad(five, 10),
    }
    try:
        predict_image(build_model("V0"), 1 - pictures[kind])
    except PictureError:
        return True
    return False


def inked(feature_map):
    return (feature_map > 0.3).sum()


@cache
def rates():
    """The rates of CompactCNN's training, step by step."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=RECIPE.learning_rate)
    steps = RECIPE.epochs * math.ceil(60_000 / RECIPE.batch_size)
    schedule, found = make_schedule(RECIPE.scheduler, optimizer, steps=steps), []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def stored_gain(step):
    """In points, over the step before."""
    return 100 * stored_runs().difference(step.name, step.before)


def hours_on_one_core(out):
    """Of all runs of the ladder, but those of E's CNN, which the scoreboard needs anyway."""
    runs = [stored_runs().of(name)["seconds"].sum() for name in out.table(LADDER).index[1:]]
    return sum(runs) / 3600


def studied(name):
    """The recipe of the stored runs of that name."""
    plan = judging_plan({"SGD": 0.3, "Adam": 0.003})
    (recipe,) = (entry.recipe for entry in plan if entry.name == name)
    return recipe


@cache
def shared_errors():
    """Of all errors of ten networks, the share on digits that most of the ten misread."""
    misread = stored_runs().misread("CompactCNN")
    return misread[:, misread.mean(axis=0) > 0.5].sum() / misread.sum()


def size(image):
    """The longer side of a digit in pixels."""
    return max(np.ptp(np.flatnonzero(image.any(axis=axis))) + 1 for axis in (0, 1))


def distance_from_centre(image):
    return max(abs(place - 14) for place in ndimage.center_of_mass(image))


def drawn_share(out):
    return float(re.search(r"most probable \d with ([\d.]+) %", out.alt(DRAWN))[1])


def further_run(name, count=None):
    """In percent, the 95 % prediction interval of one run more; count: of the first so many."""
    runs = 100 * accuracies(name)[:count]
    reach = stats.t.ppf(0.975, len(runs) - 1) * runs.std(ddof=1) * math.sqrt(1 + 1 / len(runs))
    return runs.mean() - reach, runs.mean() + reach


def lowest(out, name):
    """The worst of the stored runs, in percent."""
    return out.table(SETTINGS)["min"][name]


def verdict(out, claim):
    """What a verdict line says: measured value, ends of the interval, n, and the verdict."""
    pattern = rf"^{claim} .* ([\d.]+) \[([\d.]+), ([\d.]+)\].* \(n = (\d+), mnist\)  (.+)$"
    *numbers, said = re.search(pattern, out.text(VERDICTS), re.M).groups()
    return [float(number) for number in numbers], said


def welch(one, other):
    """The p of Welch's test between the stored runs of two recipes."""
    accuracies = (stored_runs().of(name)["test_accuracy"] for name in (one, other))
    return stats.ttest_ind(*accuracies, equal_var=False).pvalue


STATEMENTS = [
    Statement(
        "In this notebook no recipe is tuned: all of them were fixed beforehand.",
        lambda out: (
            out.number(SPLITS, r"([\d,]+) validation") == 0
            and not any("choose(" in cell.source for cell in out.code)
        ),
    ),
    Statement(
        "the models train on all 60,000 training digits",
        lambda out: out.numbers(SPLITS, r"([\d,]+) train, (\d+) v") == [60_000, 0],
    ),
    # --- What a convolution does
    Statement(
        "an image was a list of 784 numbers in any order: shuffle the pixels of all images in "
        "the same way, and they would learn just as well.",
        source="Shuffling the columns of the first weights alike undoes it.",
    ),
    Statement(
        "A *convolution* ([LeCun et al., 1998](https://doi.org/10.1109/5.726791), for digits like "
        "ours) knows that pixels have neighbours.",
        source="Gradient-based learning applied to document recognition, Proc. IEEE 86 (11).",
    ),
    Statement(
        "It looks through one small window, here 3 x 3 pixels, at every position of the image in "
        "turn, and computes one weighted sum at each. The nine weights are called its *kernel*, "
        "and they are the same at every position. The window moves on by one pixel at a time",
        lambda out: (
            all(conv.kernel_size == (3, 3) for conv in modules("V2", nn.Conv2d))
            and all(conv.stride == (1, 1) for conv in modules("V2", nn.Conv2d))
            and modules("V2", nn.Conv2d)[0].weight[0].numel() == 9
            and layers(out, V2_LAYERS, "Conv2d")[0][1:] == (28, 28)
        ),
    ),
    Statement(
        "Set the nine weights by hand: -1 in the row above, 0 in the middle, +1 in the row below. "
        "Here is that kernel at three windows of a seven.",
        does(KERNEL, "[[-1, -1, -1], [0, 0, 0], [1, 1, 1]]", "digits.train.labels == 7"),
    ),
    Statement(
        "Compute the number of window A before you look at it: each weight times the pixel under "
        "it, all nine added up.",
        source="The definition of a convolution's response.",
    ),
    Statement(
        "(The pixels are bytes here, 255 is ink.)",
        does(KERNEL, "a_seven = digits.train.images["),
    ),
    Statement(
        "On the upper edge of a stroke there is paper above and ink below, and the number is "
        "large. On a lower edge it is about as large, but negative. On blank paper it is zero.",
        lambda out: (
            (found := window_sums(out))["A"] > 600
            and abs(found["A"] + found["B"]) < 0.1 * found["A"]
            and found["C"] == 0
        ),
    ),
    Statement(
        "The map at the right holds the number of every window: the kernel, nine weights in all, "
        "has become an edge detector.",
        lambda out: out.alt(KERNEL).endswith("the map shows its response at every place."),
    ),
    Statement("What is negative is set to 0, as a ReLU would do.", does(EDGES, "responses.relu()")),
    Statement(
        "Below, a second kernel compares left with right.",
        lambda out: (
            not responses(out, np.tile(np.arange(28), (28, 1)))[0, 1:-1, 1:-1].any()
            and not responses(out, np.tile(np.arange(28), (28, 1)).T)[1, 1:-1, 1:-1].any()
            and out.alt(EDGES).endswith("(3 images): a digit; above / below; left / right.")
        ),
    ),
    Statement(
        "(`conv2d` wants four axes of images and of kernels: `unsqueeze(1)` gives the kernels "
        "their axis of input channels.",
        does(EDGES, "conv2d(seven, edges.unsqueeze(1), padding=1)[0]"),
    ),
    Statement(
        "The first lights up along one side of horizontal strokes, the second along one side of "
        "vertical ones.",
        lights_up_one_side,
    ),
    Statement(
        "From the second layer on, a kernel looks at all channels below it at once.",
        lambda out: all(
            conv.in_channels == shape[0] and conv.groups == 1
            for conv, shape in zip(
                modules("V2", nn.Conv2d)[1:], layers(out, V2_LAYERS, "Conv2d"), strict=False
            )
        ),
    ),
    # --- The models
    Statement(
        "README C's V2 has four convolutions of ten kernels each.",
        lambda out: [shape[0] for shape in layers(out, V2_LAYERS, "Conv2d")] == [10] * 4,
    ),
    Statement(
        "After each pair, *max-pooling* keeps the largest of every 2 x 2 values, with a stride of "
        "2, so the picture shrinks: 28, 14, 7.",
        lambda out: (
            [pool.kernel_size for pool in modules("V2", nn.MaxPool2d)] == [2, 2]
            and [pool.stride for pool in modules("V2", nn.MaxPool2d)] == [2, 2]
            and [shape[1] for shape in layers(out, V2_LAYERS, "Conv2d")] == [28, 28, 14, 14]
            and [shape[1] for shape in layers(out, V2_LAYERS, "MaxPool2d")] == [14, 7]
        ),
    ),
    Statement(
        "The two blocks of V2 differ only in the channels that come in, so a function makes both.",
        lambda out: (
            [conv.in_channels for conv in modules("V2", nn.Conv2d)] == [1, 10, 10, 10]
            and does(V2_LAYERS, "self.block_1 = block(1, 10)", "self.block_2 = block(10, 10)")(out)
        ),
    ),
    Statement(
        "Here only pooling changes height and width, and only a convolution the number of "
        "channels. (A border of 1 goes with a kernel of 3 x 3, one of 2 with 5 x 5. Without it a "
        "convolution makes the picture smaller.) What reaches the linear layer is ten maps of "
        "7 x 7.",
        lambda out: (
            all(
                nn.Conv2d(1, 1, size, padding=border)(torch.zeros(1, 28, 28)).shape[1:]
                == (28 + change, 28 + change)
                for size, border, change in ((3, 1, 0), (5, 2, 0), (3, 0, -2), (5, 0, -4))
            )
            and shape_changes(out, V2_LAYERS, slice(1, None)) == {"MaxPool2d"}
            and shape_changes(out, V2_LAYERS, slice(1)) == {"Conv2d"}
            and layers(out, V2_LAYERS, "MaxPool2d")[-1] == (10, 7, 7)
        ),
    ),
    Statement(
        "64 x (32 x 9 + 1) = 18,496.",
        lambda out: out.table(CNN_LAYERS)["parameters"].iloc[3] == 64 * (32 * 9 + 1) == 18_496,
    ),
    Statement(
        "copy the weights, which stops with an error should a name or a shape differ, and ask "
        "both about the seven",
        lambda out: (
            does(SAME, "theirs.load_state_dict(mine.state_dict())", "mine(seven)")(out)
            and out.text(SAME).count("weights: True") == 2
        ),
    ),
    Statement(
        "Ten kernels, each of 3 x 3 weights for each of ten channels, and a bias: "
        "10 x (10 x 9 + 1) = 910.",
        lambda out: (
            out.table(V2_LAYERS)["parameters"].tolist().count(910) == 3 and 10 * (10 * 9 + 1) == 910
        ),
    ),
    Statement(
        "`my_v2.block_1(torch.zeros(1, 1, 28, 28)).shape` sends one blank image through the first "
        "block.",
        lambda _: build_model("V2").block_1(torch.zeros(1, 1, 28, 28)).shape == (1, 10, 14, 14),
    ),
    Statement(
        "A third block would meet an odd size, and pooling rounds down: 7 becomes 3.",
        lambda _: nn.MaxPool2d(2)(torch.zeros(1, 10, 7, 7)).shape == (1, 10, 3, 3),
    ),
    Statement(
        "Should the linear layer be told a wrong number, PyTorch says, for example, `mat1 and mat2 "
        "shapes cannot be multiplied (64x90 and 160x10)`: 64 images arrive with 90 numbers each, "
        "so 90 is what to write. (If the first number is not the size of your batch, `nn.Flatten` "
        "is missing, or the axis of the batch.)",
        lambda _: (
            complaint(nn.Linear(160, 10), torch.zeros(64, 90)).endswith(
                "mat1 and mat2 shapes cannot be multiplied (64x90 and 160x10)"
            )
            and "(9216x3 and" in complaint(nn.Linear(432, 10), torch.zeros(64, 48, 3, 3))
            and "(12x784 and"
            in complaint(
                nn.Sequential(nn.Conv2d(1, 12, 3, padding=1), nn.Flatten(), nn.Linear(9408, 10)),
                torch.zeros(1, 28, 28),
            )
        ),
    ),
    Statement(
        "And a convolution made for another number of channels than the layer before it gives "
        "fails with, for example, `expected input[64, 12, 28, 28] to have 24 channels, but got "
        "12 channels instead`.",
        lambda _: complaint(nn.Conv2d(24, 48, 3), torch.zeros(64, 12, 28, 28)).endswith(
            "expected input[64, 12, 28, 28] to have 24 channels, but got 12 channels instead"
        ),
    ),
    Statement(
        "The loop of [02_linear_vs_relu](02_linear_vs_relu.ipynb) trains this network as it "
        "stands, and `fit` is that loop.",
        source="02_linear_vs_relu, in which a cell compares the two.",
    ),
    Statement(
        "(If you write a CNN of your own, begin with Adam at its usual rate: "
        "`torch.optim.Adam(model.parameters(), lr=0.001)`.)",
        source="Kingma and Ba, 2015.",
    ),
    Statement(
        "On some processors, as the device line above says, it computes convolutions in "
        "*bfloat16*, 16-bit numbers, which such processors multiply faster.",
        source="utils/devices.py, tested in tests/utils/test_devices.py.",
    ),
    Statement(
        "And here is V2 as a picture: maps as squares, drawn to scale, parameters in blue.",
        lambda out: out.alt(V2_DRAWN).endswith("max-pool 10 x 7 x 7; linear 10; 7,740 parameters."),
    ),
    Statement(
        "More than half of V2's parameters are in its one linear layer.",
        lambda out: (
            layers(out, V2_LAYERS, "Linear") is not None
            and out.table(V2_LAYERS)["parameters"].iloc[-1] > 7740 / 2
        ),
    ),
    Statement(
        "Channels that double where the picture halves are a common choice, since fewer positions "
        "leave room for more kinds of features; V2 keeps ten throughout.",
        lambda out: {shape[0] for shape in layers(out, V2_LAYERS, "Conv2d")} == {10},
    ),
    Statement(
        "(Here the ReLU comes after the pooling. That gives the same: the largest of four numbers, "
        "cut off at 0, is the largest of the four cut off at 0. The second convolution has no "
        "activation of its own.)",
        lambda out: (
            [*out.table(CNN_LAYERS)["layer"]][1:3] == ["MaxPool2d", "ReLU"]
            and [*out.table(CNN_LAYERS)["layer"]].count("ReLU") == 1
            and torch.equal((x := torch.randn(1, 1, 4, 4)).relu().amax(), x.amax().relu())
        ),
    ),
    Statement(
        "The same as a picture:", lambda out: out.alt(E_DRAWN).endswith("50,186 parameters.")
    ),
    Statement(
        "README E's CNN has only two convolutions, but wider ones, of 32 and 64 kernels. "
        "At its end it has a softmax.",
        lambda out: (
            [shape[0] for shape in layers(out, CNN_LAYERS, "Conv2d")] == [32, 64]
            and out.table(CNN_LAYERS)["layer"].iloc[-1] == "Softmax"
        ),
    ),
    Statement(
        "Add up V2's column: 100 + 3 x 910 + 4,910 = 7,740 parameters.",
        lambda out: parameters(out, V2_LAYERS) == 100 + 3 * 910 + 4910 == 7740,
    ),
    Statement(
        "That is fewer than the 7,960 of the linear V0",
        lambda out: (
            parameters(out, V2_LAYERS)
            < sum(weights.numel() for weights in build_model("V0").parameters())
            == 7960
        ),
    ),
    # --- The softmax at the end
    Statement(
        "E's CNN has already applied it, so it happens twice.",
        lambda out: (
            out.table(CNN_LAYERS)["layer"].iloc[-1] == "Softmax"
            and Recipe("E CNN").loss == "cross_entropy"
        ),
    ),
    Statement(
        "Softmax turns ten numbers into probabilities between 0 and 1.",
        source="The definition of softmax.",
    ),
    Statement(
        "Feed it numbers that already lie between 0 and 1, and it cannot be sure of anything any "
        "more.",
        lambda out: math.exp(-out.number(TWICE, r"perfect answer: ([\d.]+)")) < 0.25,
    ),
    Statement(
        "A perfect answer is told that its loss is ln(1 + 9 / e) = 1.46: the loss has a floor. It "
        "also has a ceiling.",
        lambda out: (
            [round(loss, 2) for loss in out.numbers(TWICE, r": ([\d.]+)$")] == [1.46, 1.46]
            and round(math.log(1 + 9 / math.e), 2) == min(curve(out, "two")) == 1.46
        ),
    ),
    Statement(
        "An answer that gives probability 1 to a *wrong* class gets -ln(1 / (9 + e)) = ln(9 + e) "
        "= 2.46, exactly one more.",
        lambda out: (
            round(math.log(9 + math.e), 2) == max(curve(out, "two")) == 2.46
            and math.isclose(two_softmaxes(0) - two_softmaxes(1), 1)
        ),
    ),
    Statement(
        "Here is the loss in between, of an answer that gives p to the true class and the rest to "
        "one wrong class, with one softmax and with two.",
        does(CURVES, "answers[:, 3], answers[:, 5] = p, 1 - p", '"one softmax": -p', '"two":'),
    ),
    Statement(
        "With one softmax the loss rises without limit towards a confident mistake.",
        lambda out: curve(out, "one softmax")[0] > 2 * math.log(9 + math.e),
    ),
    Statement(
        "With two it is nearly a straight line from ceiling to floor.",
        lambda out: (
            curve(out, "two") == [2.46, 1.46]
            and np.ptp(two_softmaxes(np.linspace(0, 1, 99)) + np.linspace(0, 1, 99)) < 0.05
        ),
    ),
    Statement(
        "for three answers: one that is unsure, with a tenth for each class, and two that are "
        "sure, with 99.7 % for one class, the true one or a wrong one",
        lambda out: (
            len(out.table(GRADIENTS)) == 3
            and does(GRADIENTS, "right[0] = wrong[1] = 0.997", "torch.full((10,), 0.1)")(out)
        ),
    ),
    Statement(
        "*Unsure*: the gradient is a tenth of what it would be. The model still learns, though "
        "more weakly.",
        lambda out: abs(weakened(out, "unsure") - 0.1) < 0.005,
    ),
    Statement(
        "*Sure and right*: next to nothing, with one softmax as with two. There is nothing left "
        "to learn.",
        lambda out: max(gradients(out, "sure and right")) < 0.005,
    ),
    Statement(
        "*Sure and wrong*: with one softmax this is the strongest correction of all. With two "
        "there is practically none.",
        lambda out: (
            gradients(out, "sure and wrong")[0] == out.table(GRADIENTS).to_numpy().max()
            and gradients(out, "sure and wrong")[1] < 0.001
        ),
    ),
    Statement(
        "So the harm should be at the ceiling, not at the floor: where the model is sure and "
        "wrong, the gradient dies. That predicts mistakes that stay, because nothing pulls the "
        "model back from them.",
        lambda out: weakened(out, "sure and wrong") < 0.001,
    ),
    Statement(
        "Suppose that a digit is a 3 with probability 60 % and a 5 with 40 %, as far as anybody "
        "can tell.",
        does(HONESTY, "0.6 * loss_3 + 0.4 * loss_5"),
    ),
    Statement(
        "With one softmax honesty pays: the best answer is what one really thinks.",
        lambda out: best_answer(out, 1) == 0.6,
    ),
    Statement(
        "With two it pays to pretend to be surer than one is, here quite sure.",
        lambda out: best_answer(out, 2) == 1,
    ),
    Statement(
        "What another seed would give, the *stored runs* tell: the library comes with a table of "
        "trainings of the same recipes on full MNIST.",
        lambda out: (
            stored_recipe("V2")
            == Recipe("V2", epochs=3, batch_size=32, optimizer="sgd", learning_rate=0.1)
            and all(
                stored_recipe(name) == Recipe(name, epochs=5, learning_rate=0.001, normalized=True)
                for name in (PUBLISHED, CORRECTED)
            )
            and does("epochs = 3 ", "cnn_epochs = 5 ")(out)
        ),
    ),
    Statement(
        "Nothing is chosen here, so test may be measured.",
        lambda out: (
            out.number(SPLITS, r"(\d+) validation") == 0
            and [*out.table(SUMMARY).index] == ["V2", PUBLISHED, CORRECTED, "B CNN"]
            and does(RECIPES, "range(seeds), digits, test=True")(out)
        ),
    ),
    Statement(
        "B's CNN, which has one more linear layer before its last, joins them for a single epoch",
        lambda out: (
            [len(modules(name, nn.Linear)) for name in ("B CNN", "E CNN")] == [2, 1]
            and does(RECIPES, 'Recipe("B CNN", epochs=1)')(out)
        ),
    ),
    Statement("(its README trains for 10 to 15)", source="README B."),
    Statement(
        "So we take the library's usual settings: rate 0.001, five epochs, batches of 64.",
        lambda out: (
            (Recipe("E CNN").learning_rate, Recipe("E CNN").batch_size) == (0.001, 64)
            and Recipe("E CNN").epochs == 5
            and does(RECIPES, '"epochs": cnn_epochs, "learning_rate": 0.001')(out)
            and does("cnn_epochs = 5 ")(out)
        ),
    ),
    Statement(
        "The published model's loss creeps along its floor of 1.46; the corrected one's goes "
        "towards 0.",
        lambda out: (
            all(1.46 < loss < 1.56 for loss in losses(out)[PUBLISHED])
            and losses(out)[CORRECTED][1] < min(0.05, losses(out)[CORRECTED][0] / 2)
        ),
    ),
    Statement(
        "The two losses are not on the same scale, so compare accuracies.",
        lambda out: losses(out)[PUBLISHED][1] > 5 * losses(out)[CORRECTED][0],
    ),
    Statement(
        "But one run of each cannot say which is better, as you know from "
        "[02_linear_vs_relu](02_linear_vs_relu.ipynb).",
        lambda out: out.table(SUMMARY)["n"].tolist() == [1, 1, 1, 1],
    ),
    Statement(
        "So put the stored runs beside them: here is how far apart those lie, and, paired by "
        "seed, what removing the softmax brings.",
        does(GAP, 'stored.difference("E CNN corrected", "E CNN")', '"here", 100 * summary["mean"]'),
    ),
    Statement(
        "Look at the interval, not only at the mean: it contains zero, so the four seeds that both "
        "have do not show that the second softmax costs accuracy.",
        lambda out: gap(out)[1] < 0 < gap(out)[2] and gap(out)[3] == 4,
    ),
    Statement(
        "All fourteen runs say more: the ten with it reach 98.08 % on average, the four without "
        "it 98.54 %",
        lambda out: (
            [len(accuracies(name)) for name in (PUBLISHED, CORRECTED)] == [10, 4]
            and round(100 * accuracies(PUBLISHED).mean(), 2) == 98.08
            and round(step(out, CORRECTED)["accuracy"], 2) == 98.54
        ),
    ),
    Statement(
        "and chance alone seldom makes such a gap",
        lambda out: (
            stats.ttest_ind(accuracies(PUBLISHED), accuracies(CORRECTED), equal_var=False).pvalue
            < 0.05
        ),
    ),
    Statement(
        "As printed here, V2's is the lowest of the ten itself, met again: seed 0, on the same "
        "kind of processor. Who had only that one would think less of V2 than it deserves.",
        lambda out: (
            same_run_as_stored(out, "V2")
            and out.table(GAP).loc["V2", "here"] <= out.table(GAP).loc["V2", "min"]
            and out.table(GAP).loc["V2", "count"] == 10
        ),
    ),
    Statement(
        "E's CNN, as published, lies above all ten, though its seed 0 is among them, at 97.85 %: "
        "computed in another way, the same seed is another run.",
        lambda out: (
            out.table(GAP).loc[PUBLISHED, "here"] > out.table(GAP).loc[PUBLISHED, "max"]
            and round(100 * stored_runs().of(PUBLISHED).set_index("seed")["test_accuracy"][0], 2)
            == 97.85
        ),
    ),
    Statement(
        "Compare the mean probability that each model gives to its answer with how often that "
        "answer is right, and count the mistakes that are made with more than 99 %. (With "
        "several seeds every number is their mean.",
        does(
            SURE,
            "sure.mean().item()",
            "(wrong & (sure > 0.99)).sum()",
            "in kept.index:",
            '.groupby("name", sort=False).mean()',
        ),
    ),
    Statement(
        "A model whose mean probability lies above its share of right answers is surer than it "
        "should be.",
        source="Definition; Guo et al., 2017, arXiv 1706.04599, section 2.",
    ),
    Statement(
        "In these runs E's CNN as published is, by well over a point.",
        lambda out: 0.011 < excess(out, PUBLISHED) < 0.025,
    ),
    Statement(
        "Without the second softmax it still is, but by much less.",
        lambda out: 0 < excess(out, CORRECTED) < 0.6 * excess(out, PUBLISHED),
    ),
    Statement(
        "A mistake made with over 99 % confidence is one that nobody is warned of.",
        source="99 % is no visible doubt.",
    ),
    Statement(
        "The published CNN makes about half of its mistakes in this way; without the second "
        "softmax it is one in ten or so, and V2 and B's CNN make fewer still.",
        lambda out: (
            0.4 < sure_share(out, PUBLISHED) < 0.67
            and 0.06 < sure_share(out, CORRECTED) < 0.16
            and all(sure_share(out, name) < sure_share(out, CORRECTED) for name in ("V2", "B CNN"))
        ),
    ),
    Statement(
        "There most mistakes come with a doubt of a percent or more, and doubt is worth having",
        lambda out: all(sure_share(out, name) < 0.5 for name in ("V2", CORRECTED, "B CNN")),
    ),
    Statement(
        "At a constant rate, a training of one epoch is the first epoch of a longer one with the "
        "same seed.",
        lambda out: (
            Recipe("E CNN").scheduler is None
            and does(STAY, "epochs=1)", "run_grid(early, range(seeds)")(out)
            and does(RECIPES, "run_grid(recipes, range(seeds)")(out)
        ),
    ),
    Statement(
        "So train E's two versions again for one epoch, take the digits that they misread then "
        "with over 99 %, and ask the models from above whether they still misread them, after "
        "all their epochs.",
        does(STAY, "replace(recipes[name], epochs=1)", "later = read(name, test_images, seed)"),
    ),
    Statement(
        "`sure` counts the digits that were misread with over 99 % after the first epoch, `stay` "
        "those of them that are misread at the end (with several seeds both are sums).",
        does(
            STAY,
            "(answer != test_labels) & (sure > 0.99)",
            "still = stuck & (later != test_labels)",
            '.groupby("name", sort=False).sum()',
        ),
    ),
    Statement(
        "Was the prediction right? That the published CNN is sure too soon, yes: it makes many "
        "times as many confident mistakes. And since it makes many times as many, it also keeps "
        "many times as many.",
        lambda out: all(times_as_many(out, column) > 4 for column in ("sure", "stay")),
    ),
    Statement(
        "That a confident mistake *stays longer*, though, would show in their share, and there the "
        "answer is no: the published CNN keeps no clearly larger part of its confident "
        "mistakes than the corrected one.",
        lambda out: stays(out, PUBLISHED)[0] < stays(out, CORRECTED)[1],
    ),
    Statement(
        "The corrected CNN makes only a few, so its share is a rough one.",
        lambda out: (
            out.table(STAY)["sure"][CORRECTED] < 60
            and stays(out, CORRECTED)[1] - stays(out, CORRECTED)[0] > 0.2
        ),
    ),
    Statement(
        "Perhaps they are digits that any network misreads, hard or mislabelled ones. Then the "
        "two shares are of different digits, and cannot tell what the softmax does.",
        source="A guess, and said to be one.",
    ),
    # --- A lost class
    Statement(
        "If one confident mistake can stay, perhaps a thousand can.",
        lambda out: (
            out.table(STAY)["stay"][PUBLISHED] >= 1 and 800 < min(COUNTS) < max(COUNTS) < 1200
        ),
    ),
    Statement(
        "With two softmaxes its digits pull at nothing.",
        lambda out: (
            out.text(LOST).splitlines()
            == ["E CNN: class 5 hardly learns", "E CNN corrected: class 5 learns"]
        ),
    ),
    Statement(
        "We can see that, as we saw it for V1 in [02_linear_vs_relu](02_linear_vs_relu.ipynb): "
        "take a fresh network, push the bias of class 5 so far down that it is never the answer, "
        "and push class 3 up, so that all 5s are surely 3s. How strong is the gradient that five "
        "hundred 5s then send",
        does(
            LOST,
            "last.bias[5], last.bias[3] = -10, 10",
            "build_model(name, seed=0)",
            "labels == 5][:500]",
        ),
    ),
    Statement(
        "There a ReLU on the logits cut the gradient of a class whose logit was never positive.",
        source="tests/notebooks/statements/n02.py, of V1's class 3 with its bias at -100.",
    ),
    Statement(
        "Here the second softmax does it, wherever the model is sure and wrong.",
        lambda out: (
            "E CNN: class 5 hardly learns" in out.text(LOST)
            and gradients(out, "sure and wrong")[1] < 0.001
        ),
    ),
    Statement(
        "Here is the share of each class that your run of E's published CNN recognises, and below "
        "it how far apart the stored runs lie, at three rates.",
        lambda out: (
            out.table(RECOGNISED).shape == (out.table(SUMMARY)["n"][PUBLISHED], 10)
            and {*stored_runs().of(PUBLISHED)["source"]} == {"mnist"}
            and {"min", "median", "max"} <= {*out.table(SETTINGS).columns}
        ),
    ),
    Statement(
        "A lost class costs about ten points.",
        lambda out: 8 < min(COUNTS) / 100 < max(COUNTS) / 100 < 12,
    ),
    Statement(
        "At three times our rate one run of four stayed seven to nine points below the others.",
        lambda out: (
            out.table(SETTINGS)["count"]["E CNN 0.003"] == 4
            and min(gaps_to_the_lowest("E CNN 0.003")) > 7
            and max(gaps_to_the_lowest("E CNN 0.003")) < 9.1
            and lowest(out, "E CNN 0.003") < 90
        ),
    ),
    Statement(
        "The table of stored runs knows which test digits each run misread",
        lambda out: stored_runs().misread("E CNN 0.003").shape == (4, 10_000),
    ),
    Statement(
        "Seed 1 lost the 5s: it reads not one of them as a 5, and all the other classes well.",
        lambda out: (
            out.table(MISREAD).loc["1", "5"] == 0
            and out.table(MISREAD).loc["1"].drop("5").min() > 0.9
            and (out.table(MISREAD).drop("1") > 0.8).all(axis=None)
        ),
    ),
    Statement(
        "At the library's rate, 0.001, none of the ten stored runs lost a class",
        lambda out: (
            Recipe("E CNN").learning_rate == stored_runs().rate(PUBLISHED) == 0.001
            and out.table(SETTINGS)["count"][PUBLISHED] == 10
            and lowest(out, PUBLISHED) > 95
        ),
    ),
    Statement(
        "nothing that can flatten the loss belongs on the logits",
        lambda out: weakened(out, "sure and wrong") < 0.001,
    ),
    # --- What does it confuse?
    Statement(
        "E's CNN without its softmax, seed 0.",
        lambda out: (
            does(CONFUSION, f'looked_at = "{CORRECTED}"', "read(looked_at, test_images)")(out)
            and does(SURE, "def read(name, images, seed=0)")(out)
        ),
    ),
    Statement(
        "Whichever pair comes first here, it comes clearly less often than 4 as 9 did there, 51 "
        "times.",
        lambda out: (
            first_of_the_linear_model() == [4, 9, 51]
            and out.table(PAIRS)["count"].max() < 0.75 * 51
        ),
    ),
    Statement(
        "Between one and two hundred errors in ten thousand are left, spread over many pairs.",
        lambda out: 100 < errors(out) < 200 and pairs_at_least(out) > 15,
    ),
    Statement(
        "The classes differ by up to two or three points.",
        lambda out: 1.5 < range_of_classes(out) < 4,
    ),
    Statement(
        "Each has about a thousand digits and ten to twenty errors on average",
        lambda out: sum(COUNTS) == 10_000 and 10 <= errors(out) / len(out.scores(BY_CLASS)) <= 20,
    ),
    Statement(
        "so chance alone may make two classes differ by about a point",
        lambda out: 0.75 < 1.96 * math.sqrt(2 * errors(out) / 10) / 1000 * 100 < 1.3,
    ),
    Statement(
        "The 1s are easier than the 9s by more than that.",
        lambda out: of_class(out, 1) - of_class(out, 9) > 1.1,
    ),
    # --- The worst mistakes
    Statement(
        "Here are the wrong answers that the model was surest of.",
        lambda out: (
            out.alt(MISTAKES).startswith(f"Worst mistakes: 12 of {errors(out)}: 0 of 12 right")
            and len(panels(out, MISTAKES)) == 12
        ),
    ),
    Statement(
        "Five people were shown each doubtful test digit, and for fifteen of them no majority "
        "confirmed the label ([Northcutt et al., 2021](https://arxiv.org/abs/2103.14749)",
        source="Pervasive label errors in test sets, arXiv 2103.14749; "
        "tests/trust/test_disputed.py counts the fifteen.",
    ),
    Statement(
        "Perhaps large steps early on make a network sure before it is right; one run of four is "
        "no proof.",
        lambda _: (stored_runs().of("E CNN 0.003")["test_accuracy"] < 0.9).sum() == 1,
    ),
    Statement(
        "(0.001 is Adam's usual rate, `torch.optim.Adam(model.parameters(), lr=0.001)`; SGD with a "
        "rate as small would hardly move, and V2 trains with SGD at 0.1.)",
        does(RECIPES, '"optimizer": "sgd", "learning_rate": 0.1', 'Recipe("V2", epochs=epochs'),
    ),
    Statement(
        "And do not be surprised by an epoch that is worse than the one before: at a constant rate "
        "a CNN's score jumps by some tenths of a point.",
        lambda _: (np.diff(stored_runs().by_epoch("E CNN"), axis=1) < -0.001).any(),
    ),
    Statement(
        "So above 99.85 % a score measures reading and agreement with doubtful labels alike.",
        lambda out: 1 - len(DISPUTED_LABELS) / sum(COUNTS) == 0.9985,
    ),
    # --- What has it learned?
    Statement(
        "Here are the ten kernels of V2's first layer, each 3 x 3 weights (dark is high).",
        lambda out: (
            [*modules("V2", nn.Conv2d)[0].weight.shape] == [10, 1, 3, 3]
            and "(10 images)" in out.alt(KERNELS)
            and does(KERNELS, "v2.block_1[0].weight")(out)
        ),
    ),
    Statement(
        "Nine weights are hard to read. It is easier to see what they respond to: the same seven "
        "as above, after the first convolution and its ReLU, and then after the second block, "
        "where ten feature maps of 7 x 7 are left.",
        lambda out: (
            does(MAPS, "v2.block_1[:2](seven)", "v2.block_2(v2.block_1(seven))")(out)
            and does(EDGES, "seven = digits.train")(out)
            and layers(out, V2_LAYERS, "MaxPool2d")[-1] == (10, 7, 7)
            and "(20 images)" in out.alt(MAPS)
        ),
    ),
    Statement(
        "White is no response, and black the strongest of each row.",
        does(MAPS, "first / first.max()", "second / second.max()"),
    ),
    Statement(
        "Not every one. Some kernels respond to one side of a stroke, some copy the digit, and "
        "some respond to blank paper",
        lambda out: (
            any(0 < inked(each) < 0.7 * inked(seven(out)) for each in maps(out)[0])
            and any(likeness(each, seven(out)) > 0.7 for each in maps(out)[0])
            and any(paper(each) > max(0.1, 0.7 * each.max()) for each in maps(out)[0])
        ),
    ),
    Statement(
        "The last convolution's feature maps no longer look like a seven.",
        lambda out: (
            np.median([likeness(each, shrunk(seven(out), 7)) for each in maps(out)[1]]) < 0.5
            and max(likeness(each, shrunk(seven(out), 7)) for each in maps(out)[1])
            < max(likeness(each, seven(out)) for each in maps(out)[0])
        ),
    ),
    # --- Beyond: a small network, taken far
    Statement(
        "Without its second softmax E's CNN read about 98.5 % of the digits above.",
        lambda out: abs(out[f"{CORRECTED} test accuracy"] - 0.985) < 0.0035,
    ),
    Statement(
        "The best single networks that we have heard of, trained on a fixed schedule and measured "
        "once, reach 99.748 ± 0.028 % with 1.19 million weights, and 99.738 ± 0.031 % with 4.7 "
        "million. (We know of no paper for these two numbers, so take them as hearsay.",
        source="Hearsay, and said to be.",
    ),
    Statement(
        "Published records go up to 99.91 %, for several networks together: "
        "[An et al., 2020](https://arxiv.org/abs/2008.10400).",
        source="An ensemble of simple convolutional neural network models for MNIST digit "
        "recognition, arXiv 2008.10400.",
    ),
    Statement(
        "Ours is CompactCNN: six convolutions of 3 x 3. None is padded, so each takes a border "
        "off, and what is left after the last is 4 x 4.",
        lambda out: (
            [conv.kernel_size for conv in modules("CompactCNN", nn.Conv2d)] == [(3, 3)] * 6
            and {conv.padding for conv in modules("CompactCNN", nn.Conv2d)} == {(0, 0)}
            and [shape[1] for shape in layers(out, COMPACT_LAYERS, "Conv2d")]
            == [26, 24, 10, 8, 6, 4]
        ),
    ),
    Statement(
        "that is 114,618 parameters, hardly more than A's MLP has",
        lambda out: (
            parameters(out, COMPACT_LAYERS) == 114_618
            and 1 < 114_618 / sum(w.numel() for w in build_model("A baseline").parameters()) < 1.06
        ),
    ),
    Statement(
        "(These convolutions have no bias: after each comes a batch norm, which learns one for "
        "each channel, and a factor.)",
        lambda out: (
            all(conv.bias is None for conv in modules("CompactCNN", nn.Conv2d))
            and [norm.num_features for norm in modules("CompactCNN", nn.BatchNorm2d)]
            == [shape[0] for shape in layers(out, COMPACT_LAYERS, "Conv2d")]
            and all(norm.affine for norm in modules("CompactCNN", nn.BatchNorm2d))
        ),
    ),
    Statement(
        "And as a picture. Where would you look for most of its parameters?",
        lambda out: out.alt(COMPACT_DRAWN).endswith("linear 10; 114,618 parameters."),
    ),
    Statement(
        "In the later convolutions: the last two alone hold more than half of them.",
        lambda out: out.table(COMPACT_LAYERS)["parameters"].iloc[[13, 16]].sum() > 114_618 / 2,
    ),
    Statement(
        "(In another order the parts might gain more, or less.)",
        source="General: what parts gain together need not be the sum of what each gains alone.",
    ),
    Statement(
        "Its recipe has three more parts, and the table below adds them one by one.",
        lambda out: (
            [*out.table(LADDER).index[2:5]]
            == ["CompactCNN, one-cycle", "CompactCNN, affine", "CompactCNN"]
        ),
    ),
    Statement(
        "for the first fifth of the training it rises, to a rate that would be too high to end "
        "with, and then falls to nothing",
        lambda out: (
            math.isclose(max(rates()), RECIPE.learning_rate, rel_tol=1e-6)
            and abs(np.argmax(rates()) / len(rates()) - 0.2) < 0.01
            and rates()[0] < max(rates()) / 5
            and rates()[-1] < max(rates()) / 10_000
        ),
    ),
    Statement(
        "[Smith and Topin, 2017](https://arxiv.org/abs/1708.07120)",
        source="Super-convergence: very fast training of neural networks using large learning "
        "rates, arXiv 1708.07120.",
    ),
    Statement(
        "The optimiser is SGD with *momentum* (Polyak, 1964; in Nesterov's form of 1983), whose "
        "steps keep some of the direction of the steps before, and with a little weight decay "
        "(0.0005); not Adam.",
        lambda out: RECIPE.optimizer == "nesterov" and RECIPE.weight_decay == 0.0005,
    ),
    Statement(
        "takes a tenth of each label's weight and spreads it over all classes, so that the "
        "network need never be quite sure",
        lambda out: RECIPE.label_smoothing == 0.1,
    ),
    Statement(
        "A digit that is turned a little is still the same digit.",
        source="Common knowledge, and shown below.",
    ),
    Statement(
        "So every time a training digit is shown, it is turned, scaled, slanted and shifted "
        "afresh: *augmentation*.",
        lambda out: (
            RECIPE.augment.func is random_affine
            and {*RECIPE.augment.keywords} == {"degrees", "scale", "shear", "shift"}
            and min(RECIPE.augment.keywords.values()) > 0
        ),
    ),
    Statement(
        "Here is our seven, nine times.",
        lambda out: (
            len(panels(out, NINE)) == 9
            and does(NINE, "random_affine(seven.repeat(9, 1, 1, 1))")(out)
        ),
    ),
    Statement(
        "Most are plain sevens.",
        lambda out: sum(read_as(centred(panel)) == 7 for panel in panels(out, NINE)) > 9 / 2,
    ),
    Statement(
        "Where a turn, a slant and a shift come together, one or two look odd, but none has become "
        "another digit.",
        source="By eye, from the figure, which is the same on each machine.",
    ),
    Statement(
        "a six that is turned far enough is a nine, and a label that no longer fits teaches the "
        "wrong thing",
        lambda out: turned_sixes().argmax() == 9 and turned_sixes()[6] == 0,
    ),
    # --- The ladder
    Statement(
        "Rates, sizes and strengths were chosen on 10,361 validation digits, by people who "
        "wrote none of the training digits.",
        source="mnistkit/study/plan.py, of COMPACT.",
    ),
    Statement(
        "Then ten seeds were trained on all 60,000 digits, and measured on test. The steps on the "
        "way there were measured too, with five seeds each (and E's CNN with four); these chose "
        "nothing.",
        lambda out: (
            [out.table(LADDER)["n"][name] for name in out.table(LADDER).index]
            == [4, 5, 5, 5, 10, 5]
            and {*stored_runs().of("CompactCNN")["train"]} == {60_000}
        ),
    ),
    Statement(
        "All of it takes some two hours on two cores, so here are the stored runs; "
        "`mnistkit scoreboard --rerun` makes them again.",
        lambda out: 1.5 < hours_on_one_core(out) / 2 < 2.5,
    ),
    Statement(
        "Each row of the table is one step on from the row above. `gain` is the gain over that "
        "row, paired by seed, in points, with its interval.",
        lambda out: (
            [step.before for step in STEPS] == ["", *(step.name for step in STEPS[:-1])]
            and [step.name for step in STEPS] == [*out.table(LADDER).index]
            and all(
                abs(out.table(LADDER)["gain"][s.name] - stored_gain(s).mean) < 0.0006
                and abs(out.table(LADDER)["gain_low"][s.name] - stored_gain(s).low) < 0.0006
                for s in STEPS[1:]
            )
        ),
    ),
    Statement(
        "The last row is a step that was *not* taken: averaging the weights over the last few "
        "hundred batches",
        lambda out: (
            RECIPE.averaging == 0
            and out.table(LADDER)["adds"].iloc[-1] == "weights averaged (not taken)"
            and 200 < 1 / (1 - LADDER_STEPS["CompactCNN, averaging"].averaging) < 600
        ),
    ),
    Statement(
        "E's CNN without its second softmax makes some 150 errors.",
        lambda out: abs(errors_at(out, CORRECTED) - 150) < 10,
    ),
    Statement(
        "Here are the gains as a picture, with 95 % intervals: a filled mark is clear of zero.",
        does(GAINS, '"gain", "gain_low", "gain_high"', "plot_intervals("),
    ),
    Statement(
        "Three steps are clear of zero, each by itself.",
        lambda out: (
            (out.table(LADDER)["gain_low"] > 0).sum() == 3
            and not (out.table(LADDER)["gain_high"] < 0).any()
        ),
    ),
    Statement(
        "Six convolutions with batch norm, and 24 epochs, gain most of a point; momentum, "
        "weight decay and one cycle of rates together gain three tenths (but Adam's rate "
        "stayed at its default, and was not chosen on validation as SGD's was), augmentation "
        "one.",
        lambda out: (
            LADDER_STEPS["CompactCNN, Adam"].learning_rate == Recipe("V0").learning_rate
            and LADDER_STEPS["CompactCNN, Adam"].weight_decay == 0
            and LADDER_STEPS["CompactCNN, one-cycle"].weight_decay == 0.0005
            and 0.5 < step(out, "CompactCNN, Adam")["gain"] < 1
            and RECIPE.epochs == LADDER_STEPS["CompactCNN, Adam"].epochs == 24
            and round(step(out, "CompactCNN, one-cycle")["gain"], 1) == 0.3
            and round(step(out, "CompactCNN, affine")["gain"], 1) == 0.1
        ),
    ),
    Statement(
        "That last one looks small, but there are few points left to gain near the top. Count "
        "errors instead: augmentation removes ten of the forty that were left.",
        lambda out: (
            round(errors_at(out, "CompactCNN, one-cycle")) == 40
            and round(100 * step(out, "CompactCNN, affine")["gain"]) == 10
        ),
    ),
    Statement(
        "The other two are not.",
        lambda out: all(
            step(out, name)["gain_low"] <= 0 <= step(out, name)["gain_high"]
            for name in ("CompactCNN", "CompactCNN, averaging")
        ),
    ),
    Statement(
        "Smoothed labels save two errors, which these five pairs cannot tell from none.",
        lambda out: (
            round(100 * step(out, "CompactCNN")["gain"]) == 2
            and step(out, "CompactCNN")["gain_low"] < 0
            and len(stored_runs().of("CompactCNN, affine")) == 5
        ),
    ),
    Statement(
        "(All fifteen stored runs, unpaired, hint that it is more than luck, p = 0.02.",
        lambda _: (
            len(stored_runs().of("CompactCNN")) + len(stored_runs().of("CompactCNN, affine")) == 15
            and round(welch("CompactCNN", "CompactCNN, affine"), 2) == 0.02
        ),
    ),
    Statement(
        "Smoothed labels did better on the validation digits, and so they stayed.)",
        source="mnistkit/study/plan.py: all of COMPACT was chosen on validation digits.",
    ),
    Statement(
        "Averaged weights gained nothing here, perhaps because the rate falls to nothing by "
        "itself.",
        lambda out: (
            step(out, "CompactCNN, averaging")["gain"] <= 0 and rates()[-1] < max(rates()) / 10_000
        ),
    ),
    Statement(
        "Four in five of the errors are gone: 99.73 % is 27 errors in 10,000, where E's CNN "
        "without its second softmax makes 146.",
        lambda out: (
            abs(1 - errors_at(out, "CompactCNN") / errors_at(out, CORRECTED) - 4 / 5) < 0.02
            and round(step(out, "CompactCNN")["accuracy"], 2) == 99.73
            and round(errors_at(out, "CompactCNN")) == 27
            and round(errors_at(out, CORRECTED)) == 146
        ),
    ),
    Statement(
        "(That one trains for five epochs at a constant rate, as its recipe in the study says; a "
        "rate that falls might have helped it, too.)",
        lambda out: studied(CORRECTED).epochs == 5 and studied(CORRECTED).scheduler is None,
    ),
    Statement(
        "The ten runs lie close together, so the confidence interval of their mean is narrow, as "
        "the next cell shows.",
        lambda out: (
            np.ptp(out.table(TEN)["errors"]) < 10
            and len(out.table(TEN)) == 10
            and mean_of_ten(out)[2] - mean_of_ten(out)[1] < 0.05
        ),
    ),
    Statement(
        "Of the two that we have heard of, 99.748 lies above it and 99.738 inside: the means are "
        "one or two digits in ten thousand apart.",
        lambda out: (
            mean_of_ten(out)[1] < 99.738 < mean_of_ten(out)[2] < 99.748
            and [round(100 * (mean - mean_of_ten(out)[0])) for mean in HEARSAY] == [2, 1]
        ),
    ),
    Statement(
        "Those networks have ten and forty times as many weights.",
        lambda out: (
            [round(weights / parameters(out, COMPACT_LAYERS), -1) for weights in HEARSAY.values()]
            == [10, 40]
        ),
    ),
    Statement(
        "Nothing here says that ours is better, nor that it is far behind.",
        lambda out: all(0 < mean - mean_of_ten(out)[0] < 0.03 for mean in HEARSAY),
    ),
    # --- Ten seeds, one by one
    Statement(
        "All ten networks read the *same* 10,000 digits, so the standard deviation over seeds "
        "holds the luck of training as it shows on these digits, and not how hard these 10,000 "
        "happen to be.",
        lambda out: (
            stored_runs().misread("CompactCNN").shape == (10, 10_000)
            and len({*stored_runs().of("CompactCNN")["data"]}) == 1
        ),
    ),
    Statement(
        "If so, let five of them read each digit, and take the mean of their probabilities: an "
        "*ensemble*. Seeds 0 to 4 make one, seeds 5 to 9 another.",
        lambda out: (
            len(out.table(ENSEMBLE)) == 2
            and 2 * MEMBERS == len(out.table(TEN)) == 10
            and sum(w.numel() for w in build_model("CompactCNN ensemble").parameters())
            == MEMBERS * parameters(out, COMPACT_LAYERS)
        ),
    ),
    Statement(
        "The interval in this table is that of a share counted over 10,000 digits, so it holds "
        "the luck of the digits.",
        lambda out: all(
            abs(end - row[name]) < 0.0001
            for _, row in out.table(ENSEMBLE).iterrows()
            for name, end in zip(
                ("low", "high"), interval_of_share(10_000 - int(row["errors"]), 10_000), strict=True
            )
        ),
    ),
    Statement(
        "Five networks together misread 26 and 24 digits, hardly fewer than one alone.",
        lambda out: (
            out.table(ENSEMBLE)["errors"].tolist() == [26, 24]
            and 0 < out.table(TEN)["errors"].mean() - 25 < 4
        ),
    ),
    Statement(
        "So most of their errors are not the bad luck of a seed.",
        lambda out: shared_errors() > 0.5,
    ),
    Statement(
        "Seven of them are digits whose label people doubt",
        lambda out: out.table(ENSEMBLE)["disputed label"].tolist() == [7, 7],
    ),
    Statement(
        "Without them some twenty are left, two in a thousand digits.",
        lambda out: all(16 <= n <= 22 for n in out.table(ENSEMBLE)["sound label"]),
    ),
    Statement(
        "And on other digits of the same kind the share could well be a tenth of a point higher "
        "or lower: these intervals are several times as wide as that of the ten seeds.",
        lambda out: all(
            abs(width / 2 - 0.001) < 0.0003
            and 3 < 100 * width / (mean_of_ten(out)[2] - mean_of_ten(out)[1]) < 12
            for width in out.table(ENSEMBLE)["high"] - out.table(ENSEMBLE)["low"]
        ),
    ),
    # --- One that is already trained
    Statement(
        "Training it takes seven minutes or so on two cores. So the weights of one run on MNIST "
        "come with the library",
        lambda out: (
            6 <= published().measured["seconds"] / 60 < 8
            and published().machine["cores"] == 2
            and published().run.data.source == "mnist"
        ),
    ),
    Statement(
        "If there is none, for `seed=1` or for other digits, it trains one and keeps it for the "
        "next time.",
        lambda out: (published().run.seed, published().run.data.train) == (0, 60_000),
    ),
    Statement(
        "The table's seed 0 is another run, though the two agree here to a hundredth of a point. "
        "These weights were trained by two threads, and the stored run used one.",
        lambda out: (
            abs(out["CompactCNN test accuracy"] - out.table(TEN).loc["0", "accuracy"]) < 0.0001
            and {*stored_runs().of("CompactCNN")["threads"]} == {1}
            and published().machine["threads"] == 2
            and out.table(TEN).index[0] == "0"
        ),
    ),
    Statement(
        "Sums are rounded in another order, and after a few hundred steps it is another run, as if "
        "the seed were another.",
        source="Adding floats is not associative; tests/PLATFORMS.md.",
    ),
    # --- Your own digit
    Statement(
        "pictures that were all made in the same way: one digit, scaled to 20 pixels, centred by "
        "its mass in 28 x 28",
        lambda out: (
            sample_images().shape[1:] == (28, 28)
            and np.mean([size(image) == 20 for image in sample_images()]) > 0.95
            and np.max([distance_from_centre(image) for image in sample_images()]) < 1.5
        ),
    ),
    Statement(
        "(Drawing needs one more package; if it is missing the next cell says how to install it.)",
        lambda out: "pip install 'mnistkit[draw]'" in out.text(DRAWN),
    ),
    Statement(
        "Draw one below, slowly, and watch how early the network knows. Then draw one that you "
        "could mistake yourself.",
        source="An instruction.",
    ),
    Statement(
        "In a notebook that nobody is drawing in, you see an example instead.",
        lambda out: (
            "To draw digits yourself" in out.text(DRAWN)
            and out.alt(DRAWN).startswith("A digit drawn with a thick pen.")
        ),
    ),
    Statement(
        "Its 90 % is about as sure as this network gets, since smoothed labels ask for no more.",
        lambda out: (
            abs(drawn_share(out) - 90) < 2.5
            and math.isclose(1 - 0.9 * RECIPE.label_smoothing, 0.91)
        ),
    ),
    Statement(
        "It refuses what is not one digit: a blank page, two digits, noise.",
        lambda out: (
            all(refused(kind) for kind in ("blank", "two digits", "noise"))
            and not refused("one digit")
        ),
    ),
    Statement(
        "A letter is one shape, and gets an answer that means nothing.",
        source="A network of ten outputs gives one of ten answers.",
    ),
    Statement(
        "asks another network, the *reader* of [07_trust](07_trust.ipynb), which refuses most "
        "letters as well",
        lambda out: all(run["refused_letters"] > 0.8 for run in read_card()["runs"]),
    ),
    # --- Save and load
    Statement(
        "To keep a model of your own you have three ways.",
        does(SAVED, "save_model(v2", "save_state(v2", "save_checkpoint(v2"),
    ),
    Statement(
        "The whole model cannot be loaded without that. From a stranger it is an open door, so "
        "`load_model` asks whether you trust it.",
        lambda out: (
            "is a whole model, a pickle that can run code when it is loaded" in out.text(TRUSTED)
            and "loaded on trust: MNISTModelV2" in out.text(TRUSTED)
        ),
    ),
    Statement(
        "PyTorch writes all three as *pickles*, and a pickle may run any program when it is "
        "loaded.",
        source="PyTorch's page on torch.save and torch.load; Python's on pickle.",
    ),
    Statement(
        "The other two need nothing but numbers and names, so they are loaded with "
        "`torch.load(..., weights_only=True)`, which takes nothing else.",
        lambda out: (
            "['model_state_dict', 'model_architecture', 'test_accuracy']" in out.text(SAVED)
            and out.text(SAVED).count(": True\n") == 2
        ),
    ),
    # --- The verdicts
    Statement(
        "These come from stored runs on full MNIST, ten seeds each and four of B's CNN.",
        lambda out: (
            all(verdict(out, claim)[0][3] == 10 for claim in ("C3", "C7", "E2"))
            and verdict(out, "B2")[0][3] == 4
        ),
    ),
    Statement(
        "The brackets hold the 95 % prediction interval of one further run",
        lambda out: all(
            abs(end - told) < 0.006
            for claim, name in (("B2", "B CNN"), ("C3", "V2"))
            for end, told in zip(further_run(name), verdict(out, claim)[0][1:3], strict=True)
        ),
    ),
    Statement(
        "E2 is judged as published, with the softmax, and on normalised images; you have seen "
        "above what the softmax may cost.",
        lambda out: (
            studied(PUBLISHED).normalized
            and studied(PUBLISHED).model == PUBLISHED
            and "corrected minus published" in out.text(GAP)
        ),
    ),
    Statement(
        "E2 *depends on what the README does not say*.",
        lambda out: verdict(out, "E2")[1] == "depends on what the README does not say",
    ),
    Statement(
        "The stored runs do what README E says (normalised images, Adam), and at our rate of "
        "0.001, or below it, the CNN with its second softmax stays under the published 98.97 %, at "
        "0.001 by nearly a point.",
        lambda out: (
            (studied(PUBLISHED).normalized, studied(PUBLISHED).optimizer) == (True, "adam")
            and all(further_run(name)[1] < 98.97 for name in (PUBLISHED, f"{PUBLISHED} 0.0003"))
            and 0.7 < 98.97 - verdict(out, "E2")[0][0] < 1
        ),
    ),
    Statement(
        "At three times the rate a class may be lost, as you saw, and then single runs lie so far "
        "apart that their interval excludes hardly any number.",
        lambda out: (
            out.table(MISREAD).loc["1", "5"] == 0
            and further_run("E CNN 0.003")[0] < 85
            and further_run("E CNN 0.003")[1] > 100
        ),
    ),
    Statement(
        "Without the softmax we have four runs, and none of them reaches the published number. It "
        "lies inside their interval, but with so few runs that is wide: the same four seeds with "
        "the softmax let the number in as well ([06_scoreboard](06_scoreboard.ipynb) shows all "
        "of them).",
        lambda out: (
            (stored_runs().of("E CNN corrected")["test_accuracy"] < 0.9897).tolist() == [True] * 4
            and {*stored_runs().of("E CNN corrected")["seed"]} == {0, 1, 2, 3}
            and all(
                low < 98.97 < high
                for low, high in (further_run("E CNN corrected"), further_run("E CNN", 4))
            )
        ),
    ),
    Statement(
        "So perhaps the README trained at another rate or for longer, or its softmax was not in "
        "the code that it ran.",
        source="A guess, marked as one.",
    ),
    Statement(
        "C3's 98.57 % is an ordinary number for V2, and so is its loss, C7.",
        lambda out: all(
            low < published < high and said == "reproduced"
            for claim, published in (("C3", 98.57), ("C7", 0.0461))
            for (_, low, high, _), said in [verdict(out, claim)]
        ),
    ),
    # --- What we saw
    Statement(
        "A convolution uses one small kernel at every position.",
        source="The definition, as above.",
    ),
    Statement(
        "Four layers of ten kernels do better than A's, B's and E's MLPs of "
        "[03_mlp_tuning_qmnist](03_mlp_tuning_qmnist.ipynb), with a tenth of their parameters or "
        "less.",
        lambda out: all(
            stored_runs().accuracy("V2").mean > stored_runs().accuracy(name).mean
            and count_parameters(build_model(name)) >= 10 * 7740
            for name in ("A baseline", "A wide", "B MLP", "E MLP")
        ),
    ),
    Statement(
        "A softmax before cross-entropy gives the loss a floor of 1.46 and a ceiling of 2.46. Near "
        "the ceiling, where the model is sure and wrong, the gradient vanishes. The second softmax "
        "probably costs accuracy, and it leaves the model sure of many of its mistakes; that such "
        "mistakes stay longer, our runs did not show.",
        lambda out: (
            [round(math.log(1 + 9 / math.e), 2), round(math.log(9 + math.e), 2)] == [1.46, 2.46]
            and weakened(out, "sure and wrong") < 0.001
            and stored_runs().accuracy("E CNN corrected").mean
            > stored_runs().accuracy("E CNN").mean + 0.003
            and out.table(SURE)["given with over 99 %"][PUBLISHED] > 50
        ),
    ),
    Statement(
        "From E's CNN without its second softmax to CompactCNN accuracy rises from 98.5 to "
        "99.70 % by more layers, batch norm and more epochs, SGD with a rate that rises and "
        "falls once, and augmentation; smoothed labels, at 99.73 %, may have added nothing. "
        "Five networks together do hardly better.",
        lambda out: (
            [round(v, 2) for v in out.table(LADDER)["accuracy"].iloc[[0, 3, 4]]]
            == [98.54, 99.70, 99.73]
            and step(out, "CompactCNN")["gain_low"] < 0
            and 0 < out.table(TEN)["errors"].mean() - out.table(ENSEMBLE)["errors"].mean() < 4
        ),
    ),
]


def gaps_to_the_lowest(name):
    """By how many points each other stored run lies above the lowest."""
    values = sorted(100 * stored_runs().of(name)["test_accuracy"])
    return [value - values[0] for value in values[1:]]


def digits_are_not_split(out):
    return out.numbers("validation_size=0", r"([\d,]+) (?:train|v|test)") == [60_000, 0, 10_000]


def gap_is_that_of_the_stored_runs(out):
    stored = 100 * stored_runs().difference(CORRECTED, PUBLISHED)
    expected = (stored.mean, stored.low, stored.high, stored.n)
    return all(abs(a - b) < 0.006 for a, b in zip(gap(out), expected, strict=True))


def runs_beside_are_those_stored(out):
    table = out.table(GAP)
    own = 100 * out.table(SUMMARY)["mean"]
    expected = {name: 100 * accuracies(name) for name in table.index}
    return [*table.index] == ["V2", PUBLISHED, CORRECTED] and all(
        abs(table["here"][name] - own[name]) < 0.011
        and abs(table["min"][name] - runs.min()) < 0.006
        and abs(table["median"][name] - np.median(runs)) < 0.006
        and abs(table["max"][name] - runs.max()) < 0.006
        and table["count"][name] == len(runs)
        for name, runs in expected.items()
    )


def each_is_trained_once(out):
    table = out.table(SUMMARY)
    return table["n"].tolist() == [1, 1, 1, 1] and (table["worst"] == table["mean"]).all()


def wrong_answers_are_those_that_are_not_right(out):
    table = out.table(SURE)
    return bool(
        (abs(10_000 * (1 - table["right"]) - table["wrong answers"]) < 0.51).all()
        and (abs(table["right"] - out.table(SUMMARY)["mean"]) < 0.00011).all()
        and (table["given with over 99 %"] < table["wrong answers"]).all()
    )


def mistakes_that_stay_are_among_the_sure_ones(out):
    table = out.table(STAY)
    return bool(
        [*table.index] == [PUBLISHED, CORRECTED]
        and (table["stay"] <= table["sure"]).all()
        and (abs(table["stay"] / table["sure"] - table["share"]) < 0.0051).all()
    )


def classes_recognised_make_up_the_accuracies(out):
    shares = out.table(RECOGNISED).to_numpy() @ COUNTS / 10_000
    summary = out.table(SUMMARY).loc[PUBLISHED]
    return abs(shares.mean() - summary["mean"]) < 0.0005 > abs(shares.min() - summary["worst"])


def settings_are_those_of_the_stored_runs(out):
    table = out.table(SETTINGS)
    stored = {name: 100 * accuracies(name) for name in table.index}
    return all(
        len(runs) == table["count"][name]
        and abs(min(runs) - table["min"][name]) < 0.006
        and abs(np.median(runs) - table["median"][name]) < 0.006
        and abs(max(runs) - table["max"][name]) < 0.006
        for name, runs in stored.items()
    )


def confusions_are_of_one_of_the_runs_that_were_measured(out):
    mean, worst, n = out.table(SUMMARY).loc[CORRECTED, ["mean", "worst", "n"]]
    right = 1 - errors(out) / 10_000
    listed = [
        f"{t:.0f} as {p:.0f}, {count:.0f} times"
        for t, p, count in out.table(PAIRS).head(3).to_numpy()
    ]
    return (
        worst - 0.0001 < right < n * mean - (n - 1) * worst + 0.0004
        and out.alt(CONFUSION).endswith(f"most confused: {', '.join(listed)}.")
        and out.table(PAIRS)["count"].is_monotonic_decreasing
    )


def classes_make_up_the_whole(out):
    shares = [score.mean / 100 for score in out.scores(BY_CLASS).values()]
    rights = [share * count for share, count in zip(shares, COUNTS, strict=True)]
    whole = [round(right) for right in rights]
    near = all(abs(a - b) < 0.07 for a, b in zip(rights, whole, strict=True))
    return near and sum(whole) == 10_000 - errors(out)


def ladder_is_drawn_as_its_table_says(out):
    table, drawn = out.table(LADDER).iloc[1:], out.scores("plot_intervals(")
    gains = table[["gain", "gain_low", "gain_high"]].to_numpy()
    return [*drawn] == [*table["adds"]] and all(
        abs(a - b) < 0.006
        for row, score in zip(gains, drawn.values(), strict=True)
        for a, b in zip(row, score, strict=True)
    )


def numbers_recorded_are_those_measured(out):
    means = out.table(SUMMARY)["mean"]
    near = [abs(out[f"{n} test accuracy"] - mean) < 0.0001 for n, mean in means.items()]
    train, share, test = out.numbers(COMPACT, r"on ([\d,]+) digits.*: ([\d.]+%) of ([\d,]+)")
    return (
        all(near)
        and (train, test) == (60_000, 10_000)
        and abs(share - out["CompactCNN test accuracy"]) < 0.0001
        and out["CompactCNN parameters"] == parameters(out, COMPACT_LAYERS)
    )


def drawn_digit_is_told_twice(out):
    alt = out.alt("draw_digit(compact.model)")
    (digit, share), (again, same) = (
        re.search(pattern, alt).groups()
        for pattern in (r"It reads (\d) \(([\d.]+)%\)", r"most probable (\d) with ([\d.]+) %")
    )
    return (digit, share) == (again, same) and float(share) <= 92


FOLLOWS = [
    digits_are_not_split,
    gap_is_that_of_the_stored_runs,
    runs_beside_are_those_stored,
    each_is_trained_once,
    wrong_answers_are_those_that_are_not_right,
    mistakes_that_stay_are_among_the_sure_ones,
    classes_recognised_make_up_the_accuracies,
    settings_are_those_of_the_stored_runs,
    confusions_are_of_one_of_the_runs_that_were_measured,
    classes_make_up_the_whole,
    ladder_is_drawn_as_its_table_says,
    numbers_recorded_are_those_measured,
    drawn_digit_is_told_twice,
]
