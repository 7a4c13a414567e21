"""What 02_linear_vs_relu states, and what follows from what it prints."""

import json
import math
import re
from functools import cache
from pathlib import Path

import numpy as np
import torch
from scipy import stats
from torch import nn
from torch.nn import functional as F

from mnistkit import MNISTModelV0, MNISTModelV1, Recipe, build_model
from mnistkit.metrics import Interval
from mnistkit.notebooks.execute import find_notebooks
from mnistkit.study.rules import compare
from tests import benchmarks
from tests.notebooks.statements import Statement
from tests.notebooks.statements.bounds import stored_runs
from tests.notebooks.statements.evidence import does, pixels, sample
from tests.notebooks.statements.outputs import Outputs

LOADED, PARAMETERS, RECORDS = "digits = load_digits(", "seeds = 64", "result_0 = evaluate("
WRITTEN_V0, WRITTEN_V1 = "class V0(nn.Module)", "class V1(nn.Module)"
LAYERS, COUNTS, BY_HAND = "layer_table(my_v0)", 'print("V1:", count', "by_hand = V0()"
CHECKED, BY_LOOP, BY_FIT = "def check_network(", "by_loop = V0()", "by_fit = MNISTModelV0()"
TRAIN, CURVES, STACKS = (
    "history_0 = train(model_0)",
    "plot_history(",
    "models = {name: [build_model",
)
ALONE, SUMMARY, LOTTERY = "alone = build", "summary = summarize(runs", "accuracies = {name: 100"
WORST, LOST, HEAPS = "worst_v1 = models[", "which = [lost_classes", "heaps = {"
DRAWN, SOFTMAX, DOWN = "= draw_network(", "= draw_softmax(", "= draw_descent("
EPOCHS = "def share_right("
LOOKS, MAPS, FATES = "look_every=100", "figure = draw_class_maps(", "fates = {"
GRADIENT, BARS, SILENT = "last.bias[3] = -100", "ax = plot_comparison(", "silent = "
MATRIX_0, MATRIX_1 = "matrix_0 = confusion_matrix(", "matrix_1 = confusion_matrix("
NEAR, PUBLISHED_LOSS = "by_loss = near.groupby", 0.9604
UNHARMED, NINE, NINE_DRAWN = "unharmed = counted", "random.sample(", "ax = plot_predictions("
VERDICTS = "print_verdicts(["
HEAP = r"(\d) lost: (\d+) values from ([\d.]*\d) to ([\d.]*\d)"
ENDS = r"V0 (\w+) ([\d.]*\d) to ([\d.]*\d)"
PUBLISHED, NEAREST_MEAN = 73.27, 0.82  # C2, and what 01 records
V0, V1, CORRECTED = "V0", "V1", "V1 corrected"
ANSWERS = [True, False, True]  # same shapes; equal logits, before and after copying weights
RAMP = torch.arange(784.0).view(1, 1, 28, 28)


def seconds_of_64(column):
    """Of an epoch of 64 seeds of V1 with batches of their own, as the benchmark published it."""
    results = json.loads((Path(benchmarks.__file__).parent / "results.json").read_text("utf-8"))
    (row,) = (row for row in results["rows"] if row["what"].startswith("64 seeds of V1, own"))
    return row[column]


def runs_of(out):
    """Of each model: how many runs, the worst and the best in percent."""
    found = re.findall(r"([^:;]+): (\d+) values from (\S+) to ([\d.]*\d)", out.alt(LOTTERY))
    return {name.strip(): tuple(map(float, values)) for name, *values in found}


def by_hand(out):
    """Validation accuracy after each of three epochs of the loop that is written out."""
    return out.numbers(EPOCHS, r"^epoch \d: ([\d.]+%)")


def last_validation(out):
    return out.table(TRAIN)["validation_accuracy"].iloc[-1]


def descents(out):
    """Where eight steps along the slice end, by rate; and where all of them begin."""
    found = re.findall(
        r"Rate (\S+): from a loss of ([\d.]+), 8 steps, ends at ([\d.]*\d)", out.alt(DOWN)
    )
    return {float(rate): (float(start), float(end)) for rate, start, end in found}


def softmax_of(out):
    """The ten probabilities, and then that of the truth and the loss."""
    return [float(x) for x in re.findall(r"\d\.\d\d", out.alt(SOFTMAX))]


def single_runs(out):
    """In percent, the worst and the best of all runs in the picture of three models."""
    return tuple(map(float, re.search(r"from ([\d.]+) to ([\d.]+) %", out.alt(BARS)).groups()))


def extremes(out):
    """In percent, the worst and the best of all runs in the histogram."""
    each = runs_of(out).values()
    return min(worst for _, worst, _ in each), max(best for *_, best in each)


def spread(out, name):
    _, worst, best = runs_of(out)[name]
    return best - worst


def means(out):
    return out.table(SUMMARY)["mean"]


def half_widths(out):
    """Of the confidence intervals, as fractions."""
    table = out.table(SUMMARY)
    return (table["high"] - table["low"]) / 2


@cache
def class_shares():
    """In percent, the rarest class and the most common of each split, as 01 draws them."""
    (path,) = find_notebooks(["01"])
    drawn = Outputs(path).alt("plot_class_distribution(")
    return [float(share) for share in re.findall(r"\(([\d.]+) %\)", drawn)]


@cache
def text_of_03():
    """What the next notebook says and prints."""
    return find_notebooks(["03"])[0].read_text(encoding="utf-8")


def cost_of_each_lost_class(out):
    """In points: from runs that lost none to those that lost one, and so on."""
    return -100 * np.diff(out.table(LOST)["mean"])


def heaps_apart(out):
    """Whether no heap reaches into the next; the runs that lost one class and no points do."""
    table = out.table(LOST)
    overlaps = [table["max"].iloc[k + 1] >= table["min"].iloc[k] for k in range(len(table) - 1)]
    return overlaps[0] and not any(overlaps[1:])


def unharmed(out):
    return out.number(UNHARMED, r"no points: (\d+)")


def fates(out):
    """How many classes were never lost, lost for a while, lost at the end, all the time."""
    return out.table(FATES)["classes"].tolist()


def worst_model(out):
    """Of each class, in the worst run: largest own output, shares above 0 and recognised."""
    return out.table(WORST).to_numpy(float)


def hopeless(out):
    """The classes that the worst run recognises no more."""
    return np.flatnonzero(worst_model(out)[2] < 0.05).tolist()


def verdict(out, claim):
    """What a verdict line says: measured value, ends of the interval, n, and the verdict."""
    pattern = rf"^{claim} .* ([+\d.]+) \[([+\d.]+), ([+\d.]+)\].* \(n = (\d+), mnist\)  (.+)$"
    *numbers, said = re.search(pattern, out.text(VERDICTS), re.M).groups()
    return [float(number) for number in numbers], said


def reproduced(out, *claims):
    return all(verdict(out, claim)[1] == "reproduced" for claim in claims)


def _stretches(there):
    """The ends of each stretch of a row or column where something is."""
    return np.flatnonzero(np.diff([False, *there, False])).reshape(-1, 2)


def _longest(there):
    return max((np.ptp(pair) for pair in _stretches(there)), default=0)


def plots(out, source):
    """What lies between the axes of each plot in a figure, from top to bottom."""
    image = pixels(out, source, sharp=True)
    black = (image < 90).all(axis=2)
    tall = (column for column in range(black.shape[1]) if _longest(black[:, column]) > 120)
    left = next(tall, 0)
    for top, end in (pair for pair in _stretches(black[:, left]) if np.ptp(pair) > 120):
        bottom = top + black[top:end, left:].sum(axis=1).argmax()
        right = left + black[bottom, left:].argmin()
        yield image[top:bottom, left + 1 : right]


def cells(plot, rows, columns, height=0.5):
    """The darkness of each field of a plot, 0 to 1, at some height in it."""
    y = ((np.arange(rows) + height) * len(plot) / rows).astype(int)
    x = ((np.arange(columns) + 0.5) * plot.shape[1] / columns).astype(int)
    return (247 - plot[y][:, x, 0].astype(float)) / 239


def maps(out):
    """The four maps: runs x classes x looks, 0 where white and 1 where dark."""
    looks = int(out.number(LOOKS, r"(\d+) looks"))
    return np.array([cells(plot, 10, looks) for plot in plots(out, MAPS)])


def matrix(out, source):
    """A confusion matrix as its colours show it, beside the numbers."""
    (plot,) = plots(out, source)
    return cells(plot, 10, 10, height=0.15)


def confused_with(out, source):
    """For what each class is mistaken most."""
    mistakes = matrix(out, source)
    np.fill_diagonal(mistakes, 0)
    return mistakes.argmax(axis=1).tolist()


def maps_are_those_of_their_words(out):
    """Whether what is white halfway and on the right is what the figure says to be near 0."""
    told = re.findall(r"halfway ([\d, ]+|none); at the end ([\d, ]+|none)", out.alt(MAPS))
    drawn = maps(out)
    places = drawn.shape[2] // 2, -1
    return len(told) == len(drawn) == 4 and all(
        re.findall(r"\d", words) == [str(c) for c in np.flatnonzero(run[:, place] < 0.05)]
        for run, both in zip(drawn, told, strict=True)
        for place, words in zip(places, both, strict=True)
    )


def returns(out):
    """Of each class that came back in the maps after batch 1,000: look, darkness before, after."""
    return [
        (k, row[k - 1], row[min(k + 1, len(row) - 1)])
        for run in maps(out)
        for row in run
        for k in range(11, len(row))
        if row[k - 1] < 0.05 <= row[k] and (row[3:k] < 0.05).all()
    ]


def curve_of_v1(out):
    """V1's accuracies: of training first and last, of validation, and where both lie between.

    The second epoch's are read from the picture: the lower end and the upper of both marks.
    """
    ends = re.findall(r"V1 \w+ ([\d.]+) to ([\d.]*\d)", out.alt(CURVES))
    training, validation = ([float(value) for value in pair] for pair in ends)
    (plot,) = plots(out, CURVES)
    orange = np.abs(plot.astype(int) - [213, 94, 0]).sum(axis=2) < 60
    width = orange.shape[1]
    middle, last = (np.flatnonzero(orange[:, int(width * x)]) for x in (1 / 2, 21 / 22))
    split = np.diff(last).argmax() + 1
    high, low = last[:split].mean(), last[split:].mean()
    unit = (validation[1] - training[1]) / (low - high)
    between = [training[1] + unit * (low - row) for row in (middle.max(), middle.min())]
    return training, validation, between


def losses_near(out):
    """Smallest and largest loss of the runs near the published one: by lost, and with the 0."""
    rows = out.table(NEAR)
    return {
        (str(int(row["lost"])), str(row["0 among them"])): (float(row["min"]), float(row["max"]))
        for _, row in rows.iterrows()
    }


@cache
def fit_32(steps):
    """Shares read of 32 digits that V0 has seen that often, and of the sample's test digits."""
    torch.manual_seed(0)
    model, test = MNISTModelV0(), sample().test
    images, labels = next(iter(sample().train.loader(32)))
    for _ in range(steps):
        gradients = torch.autograd.grad(F.cross_entropy(model(images), labels), model.parameters())
        with torch.no_grad():
            for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                parameter -= 0.1 * gradient
    return [
        (model(x).argmax(1) == y).float().mean().item()
        for x, y in ((images, labels), (test.inputs(), test.labels))
    ]


@cache
def row_moves(bias, relu_on_logits=True):
    """Whether a fresh V1's row of class 3 gets a gradient, at that bias."""
    torch.manual_seed(0)
    model = MNISTModelV1(relu_on_logits=relu_on_logits)
    with torch.no_grad():
        model.layers[3].bias[3] = bias
    F.cross_entropy(model(sample().test.inputs()), sample().test.labels).backward()
    return bool(model.layers[3].weight.grad[3].abs().sum() > 0)


def stored_seeds(name):
    return {*stored_runs().of(name)["seed"]}


def losses(out):
    return out.numbers(BY_HAND, r"loss ([\d.]+)")


def loop_losses(out):
    """Mean loss of the loop's first hundred batches, of its last hundred, and of all."""
    return out.numbers(BY_LOOP, r"(?:hundred|all) ([\d.]+)")


def answers(out, source):
    """What a comparison of two networks prints, line by line."""
    return [word == "True" for word in re.findall(r"True|False", out.text(source))]


def shapes(out, source):
    """The shape of each parameter that a comparison lists, as text."""
    return dict(re.findall(r"^(layers\S+) +\((.+?),?\)$", out.text(source), re.M))


def layers_named(out, source):
    return {name.split(".")[1] for name in shapes(out, source)}


def written_layers(out, source):
    return re.findall(r"^ +nn\.\w+\(", out.cell(source).source, re.M)


def step_is_the_rate_times_the_slope():
    weight = nn.Parameter(torch.tensor([1.0, 2.0]))
    (weight**2).sum().backward()
    torch.optim.SGD([weight], lr=0.1).step()
    return torch.allclose(weight, torch.tensor([1 - 0.1 * 2, 2 - 0.1 * 4]))


def slope_after(backwards):
    weight = nn.Parameter(torch.tensor(3.0))
    for _ in range(backwards):
        (weight * weight).backward()
    return weight.grad.item()


def mode_matters(model):
    images = sample().test.inputs()[:8]
    return not torch.equal(model.train()(images), model.eval()(images))


def intervals_are_of_the_mean(out):
    """Whether the ends are those of Student's t: 95 % of such intervals hold the mean."""
    table = out.table(SUMMARY)
    reach = table["deviation"] * stats.t.ppf(0.975, table["n"] - 1) / np.sqrt(table["n"])
    far = [(table["mean"] - reach - table["low"]).abs(), (table["mean"] + reach - table["high"])]
    return max(each.abs().max() for each in far) < 0.0002


STATEMENTS = [
    # --- Two models, nearly the same
    Statement(
        "V0 multiplies the 784 pixels by a matrix of *weights* to get 10 numbers, and adds one "
        "more number to each, its *bias*.",
        lambda out: (
            out.table(LAYERS)["output"].tolist()[:2] == [784, 10]
            and out.table(LAYERS)["parameters"].iloc[1] == 784 * 10 + 10
        ),
    ),
    Statement(
        "A second one turns those ten numbers into ten scores, called *logits*, one for each "
        "class.",
        lambda out: (
            out.table(LAYERS)["layer"].tolist()[1:] == ["Linear"] * 2
            and out.table(LAYERS)["parameters"].iloc[2] == 10 * 10 + 10
        ),
    ),
    Statement("The largest logit wins.", source="make_predictions and argmax, used below."),
    Statement(
        "the *parameters*, 784 x 10 + 10 = 7,850 of them in the first layer",
        lambda out: out.table(LAYERS)["parameters"].iloc[1] == 784 * 10 + 10 == 7850,
    ),
    Statement(
        "A weighted sum of weighted sums is again a weighted sum of what went in. So two linear "
        "layers in a row do no more than one could, and V0 is a linear model.",
        source="tests/test_models.py::test_v0_is_linear",
    ),
    Statement("(README C has two, so we keep two.)", source="README C."),
    Statement(
        "V1 puts a *ReLU* (a rectified linear unit; [Nair and Hinton, 2010]"
        "(https://icml.cc/Conferences/2010/papers/432.pdf)) after each layer: negative numbers "
        "become 0, positive ones stay.",
        lambda out: (
            re.findall(r"Linear|ReLU", out.text(WRITTEN_V1)) == ["Linear", "ReLU"] * 2
            and F.relu(torch.tensor([-2.0, 3.0])).tolist() == [0, 3]
        ),
    ),
    Statement("Such a function between layers, one that is not linear", source="A definition."),
    Statement(
        "The ten numbers between V1's two layers are its *hidden units*.",
        lambda out: (
            re.findall(r"(?:in|out)_features=(\d+)", out.text(WRITTEN_V1))[1:3] == ["10"] * 2
        ),
    ),
    Statement(
        "A ReLU learns nothing, so the number of parameters must be the same.",
        lambda out: (
            len({*out.numbers(COUNTS, r"V[01]: (\d+)")}) == 1 and not [*nn.ReLU().parameters()]
        ),
    ),
    Statement(
        "Give it a batch of 32 images.",
        lambda out: "images: (32, 1, 28, 28)" in out.text(WRITTEN_V0),
    ),
    Statement(
        "has nothing to do with the classes of digits",
        source="A word of Python's, and one of classification.",
    ),
    Statement("It needs two methods:", source="PyTorch: __init__ and forward of nn.Module."),
    Statement(
        "`nn.Flatten` lays the rows of an image end to end.",
        lambda out: (
            torch.equal(nn.Flatten()(RAMP)[0].view(28, 28)[1], RAMP[0, 0, 1])
            and out.table(LAYERS)["output"].iloc[0] == 784
        ),
    ),
    Statement(
        "`nn.Linear(784, 10)` is a linear layer that takes 784 numbers and gives 10.",
        lambda out: (
            does(WRITTEN_V0, "nn.Linear(784, 10)")(out)
            and out.table(LAYERS)["output"].tolist()[:2] == [784, 10]
        ),
    ),
    Statement(
        "One row of ten logits for each image.",
        lambda out: "logits: (32, 10)" in out.text(WRITTEN_V0),
    ),
    Statement(
        "The same as a picture, from the image to the ten logits, with the parameters in blue",
        lambda out: (
            out.table(LAYERS)["parameters"].iloc[1] == 7850
            and out.alt(DRAWN).endswith("linear 10; linear 10; 7,960 parameters.")
        ),
    ),
    Statement(
        "The library has a V0 of its own, `MNISTModelV0`. Is it the network that you wrote? Then "
        "its parameters must have the same names and shapes, and with equal weights it must give "
        "equal logits.",
        does(CHECKED, "check_network(my_v0, MNISTModelV0())", "shapes[0] == shapes[1]", "load_"),
    ),
    Statement(
        "Once these are copied, all the logits are equal, to the last decimal: it is the same "
        "network.",
        lambda out: answers(out, CHECKED) == ANSWERS,
    ),
    Statement(
        "Not at first, since each model drew random weights of its own.",
        lambda out: answers(out, CHECKED) == ANSWERS,
    ),
    Statement(
        "The names are paths: `layers.1.weight` is the matrix of layer 1, counted from 0. Layer "
        "0, which flattens, has no parameters. A matrix has one row for each number that comes "
        "out, hence 10 x 784.",
        lambda out: (
            shapes(out, CHECKED)["layers.1.weight"] == "10, 784"
            and {name[7] for name in shapes(out, CHECKED)} == {"1", "2"}
            and out.table(LAYERS)["layer"].iloc[0] == "Flatten"
        ),
    ),
    Statement(
        "To write it, copy V0 and add two lines.",
        lambda out: (
            len(written_layers(out, WRITTEN_V1)) - len(written_layers(out, WRITTEN_V0))
            == out.cell(WRITTEN_V1).source.count("nn.ReLU()")
            == 2
        ),
    ),
    Statement(
        "One name must change, though.",
        lambda out: len(layers_named(out, COUNTS) - layers_named(out, CHECKED)) == 1,
    ),
    Statement(
        "The second linear layer was `layers.2` and is now `layers.3`, for a ReLU has taken its "
        "place. And your V1 is the library's, too.",
        lambda out: (
            layers_named(out, CHECKED) == {"1", "2"}
            and layers_named(out, COUNTS) == {"1", "3"}
            and "(2): ReLU" in out.text(WRITTEN_V1)
            and answers(out, COUNTS) == ANSWERS
        ),
    ),
    Statement(
        "The next two sections train yours; after them we use the library's.",
        lambda out: does(BY_LOOP, "V0()")(out) and does(TRAIN, "model_0 = MNISTModelV0()")(out),
    ),
    # --- How a network learns
    Statement(
        "A new network has random weights and knows nothing.",
        lambda out: abs(losses(out)[0] + math.log(0.1)) < 0.1,
    ),
    Statement(
        "*softmax* turns the ten logits of a digit into ten probabilities that sum to 1: the "
        "larger a logit, the larger its share",
        source="The definition of softmax.",
    ),
    Statement(
        "It is 0 for a digit that is read correctly and with certainty, and grows as the true "
        "class is thought less probable",
        source="The definition of cross-entropy: -ln p is 0 at p = 1 and falls with p.",
    ),
    Statement("the *gradient* says for each parameter", source="The definition of a gradient."),
    Statement(
        "stochastic gradient descent ([Robbins and Monro, 1951]",
        source="A stochastic approximation method, Annals of Mathematical Statistics 22 (3).",
    ),
    Statement(
        "The slopes are worked out from the last layer back to the first, which is called "
        "*backpropagation*.",
        source="Rumelhart, Hinton and Williams, 1986, Nature 323.",
    ),
    Statement(
        "Do it once by hand, with the 32 digits from above.",
        lambda out: (
            does(PARAMETERS, "batch_size = 32 ")(out)
            and does(WRITTEN_V0, "next(iter(digits.train.loader(batch_size)))")(out)
            and does(BY_HAND, "cross_entropy(by_hand(some_images), some_labels)")(out)
        ),
    ),
    Statement(
        "A model that knows nothing gives each class about a tenth, so its loss should be near "
        "-ln 0.1 = 2.30.",
        lambda out: round(-math.log(0.1), 2) == 2.3 and abs(losses(out)[0] - 2.3) < 0.1,
    ),
    Statement(
        "Look at steps 1 and 2 for one of the 32 digits, the one that costs this model most.",
        does(SOFTMAX, "worst = costs.argmax()", "by_hand(some_images)"),
    ),
    Statement(
        "The ten logits become ten probabilities, and of these the loss looks at a single one, "
        "that of the true class, in orange.",
        lambda out: (
            abs(sum(softmax_of(out)[:10]) - 1) < 0.06
            and abs(-math.log(softmax_of(out)[10]) - softmax_of(out)[11]) < 0.03
        ),
    ),
    Statement(
        "This digit alone costs several times the mean.",
        lambda out: np.divide(*out.numbers(SOFTMAX, r"digit ([\d.]+), .* ([\d.]+)$")) > 3,
    ),
    Statement(
        '(`detach()` takes the logits out of what `backward()` follows, and `reduction="none"` '
        "keeps the 32 losses apart.)",
        lambda _: (
            F.cross_entropy(torch.rand(32, 10), torch.arange(32) % 10, reduction="none").shape
            == (32,)
        ),
    ),
    Statement(
        "The curve shows why the loss is a logarithm: doubt costs little, and a mistake that "
        "is made with certainty has a cost without limit.",
        source="-ln p at 1/2 is 0.7, and it has no bound as p goes to 0.",
    ),
    Statement(
        "A loss has as many directions as there are parameters, far too many to draw.",
        source="A gradient has one entry for each parameter.",
    ),
    Statement(
        "So take the one in which the first step goes, straight down the slope from a new V0, "
        "and look at the loss along this line, a *slice*.",
        does(DOWN, "draw_descent(V0(), some_images, some_labels"),
    ),
    Statement(
        "Here are eight steps on it with three rates.", lambda out: [*descents(out)] == [0.1, 1, 8]
    ),
    Statement(
        "A rate that is too large is no better than one that is too small. At 0.1 the steps on "
        "this slice are short and sure. At 1 the first step goes nearly to the bottom. At 8 the "
        "steps jump across the valley and back, and end higher than the timid ones at 0.1.",
        lambda out: (
            descents(out)[1][1] + 0.1 < descents(out)[0.1][1] < descents(out)[8][1]
            and descents(out)[8][1] < descents(out)[8][0]
        ),
    ),
    Statement(
        "Which rate is too large differs from slice to slice and from batch to batch, so in "
        "practice one tries.",
        source="Advice; 03 tries a range of rates.",
    ),
    Statement(
        "One step gains little, fifty gain much.",
        lambda out: (
            out.numbers(BY_HAND, r"after +(\d+)") == [0, 1, 50]
            and 0 < losses(out)[0] - losses(out)[1] < 0.1 * losses(out)[0]
            and losses(out)[2] < 0.2 * losses(out)[0]
        ),
    ),
    Statement(
        "But shown the same 32 digits again and again, a model soon memorises them: it reads "
        "nearly all of the 32, but only about half of any others, and further steps hardly "
        "change that.",
        lambda out: (
            fit_32(50)[0] == fit_32(500)[0] == 1
            and all(abs(fit_32(steps)[1] - 0.5) < 0.1 for steps in (50, 500))
            and abs(fit_32(500)[1] - fit_32(50)[1]) < 0.05
        ),
    ),
    # --- The loop, written out
    Statement(
        "In real training the steps go on through all the digits, and PyTorch does in one line "
        "each what we did by hand:",
        lambda out: out.number(BY_LOOP, r"([\d,]+) batches") == math.ceil(55_000 / 32),
    ),
    Statement(
        "`TensorDataset` makes a `Dataset` of two tensors, images and labels",
        does(BY_LOOP, "TensorDataset(digits.train.inputs(), digits.train.labels)"),
    ),
    Statement(
        "It is given the parameters and the learning rate, and its `step()` does what the last "
        "two lines of the cell above do.",
        lambda out: (
            does(BY_LOOP, "SGD(by_loop.parameters(), lr=learning_rate)")(out)
            and out.cell(BY_HAND).source.endswith("parameter -= learning_rate * parameter.grad")
            and step_is_the_rate_times_the_slope()
        ),
    ),
    Statement(
        'a *GPU*, `"cuda"`, which does thousands of multiplications at a time',
        source="NVIDIA's data sheets: thousands of arithmetic units on a chip.",
    ),
    Statement(
        "A model and its batches must be on the same device, so both are moved there with "
        "`.to(device)`.",
        does(BY_LOOP, "V0().to(device)", "images.to(device), labels.to(device)"),
    ),
    Statement(
        "To V0 that makes no difference, but some layers of later notebooks work differently "
        "while they are trained.",
        lambda out: (
            does(BY_LOOP, "V0()", "by_loop.train()")(out)
            and mode_matters(build_model("D deep", seed=0))
            and not mode_matters(build_model("V0", seed=0))
        ),
    ),
    Statement(
        "`backward()` *adds* to the slopes that are there, so `zero_grad()` must clear them in "
        "each step.",
        lambda out: slope_after(backwards=2) == 2 * slope_after(backwards=1) != 0,
    ),
    Statement(
        "Two things are left to chance: the initial weights, and the order in which the digits "
        "come.",
        source="V0 has no dropout, and the batches are not changed.",
    ),
    Statement(
        "A *seed*, the number from which random numbers are made, fixes them: the same seed gives "
        "the same numbers again.",
        lambda out: answers(out, BY_FIT) == [True] * 4,
    ),
    Statement("One epoch, then.", lambda out: does(BY_FIT, "epochs=1,")(out)),
    Statement(
        "Above, the loss was 2.27 at first.",
        lambda out: abs(losses(out)[0] - 2.27) < 0.0051,
    ),
    Statement(
        "(`set_num_threads(1)` keeps to one core of the processor: a network this small is not "
        "worth sharing out.)",
        source="mnistkit/utils/devices.py::choose_threads.",
    ),
    Statement(
        "The loss falls to a quarter within one epoch, and now on digits that the model had not "
        "seen before: each batch is new to it when its loss is taken.",
        lambda out: (
            abs(loop_losses(out)[1] / loop_losses(out)[0] - 0.25) < 0.04
            and out.cell(BY_LOOP).source.count("for images, labels in data_loader") == 1
            and does(BY_LOOP, "shuffle=True")(out)
        ),
    ),
    Statement(
        "The library's `fit` is this loop.",
        lambda out: answers(out, BY_FIT) == [True] * 4,
    ),
    Statement(
        "from the same seeds, and compare the weights",
        lambda out: (
            does(BY_LOOP, "torch.manual_seed(0)", "torch.Generator().manual_seed(0)")(out)
            and does(BY_FIT, "torch.manual_seed(0)", "seed=0", "torch.equal(weights")(out)
        ),
    ),
    Statement(
        "`fit` itself sees to the seed of the order (`seed=0`), so only that of the weights is "
        "set beforehand.",
        does(BY_FIT, "torch.manual_seed(0)\nby_fit = MNISTModelV0()", "seed=0"),
    ),
    Statement(
        "all 7,960 weights and biases are equal, to the last decimal",
        lambda out: (
            answers(out, BY_FIT) == [True] * 4
            and {7960} == {*out.numbers(COUNTS, r"V0: (\d+)")}
            and out.text(BY_FIT).split()[::3] == [*shapes(out, CHECKED)]
        ),
    ),
    Statement(
        "A rate belongs to its optimiser. 0.1 suits SGD here; for another optimiser, or "
        "another network, it may be a hundred times too large. If the loss stays at 2.30 from "
        "the first batch on, the model has learned nothing: try a larger rate first. If it "
        "jumps about, jumps and then stays at 2.30, or becomes `nan`, try a smaller one.",
        lambda out: (
            loop_losses(out)[1] < 0.5
            and Recipe("A baseline").optimizer == "adam"
            and Recipe("A baseline").learning_rate == 0.1 / 100
            and round(math.log(10), 2) == 2.30
        ),
    ),
    Statement(
        "(The next notebook shows two other reasons for a loss of 2.30.)",
        # A rate that is far too large, and sigmoid's gradient that vanishes.
        lambda _: all(words in text_of_03() for words in ("2.31", "and learns no more", "vanish")),
    ),
    Statement(
        "A full training run is the same loop once more for each further epoch, and after each "
        "a look at validation. The optimiser is made once, before the first.",
        does(EPOCHS, "for epoch in (2, 3):", "optimizer.step()", "share_right(by_loop)"),
    ),
    Statement(
        "To measure, call `eval()`, and compute under `torch.no_grad()`, which spares the work for "
        "slopes that nobody will ask for; the right answers are counted over digits, batch by "
        "batch.",
        does(EPOCHS, "model.eval()", "with torch.no_grad():", "right / len(checks)"),
    ),
    Statement(
        "V0 has had its first epoch. Give it two more.",
        lambda out: len(by_hand(out)) == 3,
    ),
    Statement(
        "(Run a second time, the cell would train on, and print epochs 4 and 5.",
        lambda out: does("def share_right", "for epoch in (2, 3)", "by_loop.train()")(out),
    ),
    Statement(
        "Hardly. With a fixed rate the score goes up and down from epoch to epoch, by up to a "
        "percentage *point* (from 91 to 92 %, say), and to pick the best epoch would be to "
        "pick luck.",
        lambda out: (
            by_hand(out)[2] - by_hand(out)[0] < 0.006
            and by_hand(out)[1] < by_hand(out)[0] < by_hand(out)[0] + 0.02
            and max(by_hand(out)) - min(by_hand(out)) < 0.0125
        ),
    ),
    Statement(
        "That is all a training run needs, and you can now write one for any network.",
        lambda out: abs(by_hand(out)[2] - last_validation(out)) < 0.0005,
    ),
    Statement(
        "one call of `fit` stands for it",
        lambda out: abs(loop_losses(out)[2] - out.table(TRAIN)["train_loss"].iloc[0]) < 0.001,
    ),
    Statement(
        "What it adds is a progress bar, a table of what it saw, and a message if the loss stops "
        "being a number.",
        source="mnistkit/training.py: History, TrainingError, progress_bar.",
    ),
    # --- Train V0
    Statement(
        "Three epochs of SGD, as published.",
        lambda out: (
            len(out.table(TRAIN)) == 3
            and does(TRAIN, 'optimizer="sgd"')(out)
            and does(PARAMETERS, "epochs = 3  # as published")(out)
        ),
    ),
    Statement(
        "It never sees a test digit.",
        lambda out: all("test" not in out.cell(cell).source for cell in (TRAIN, CURVES)),
    ),
    Statement(
        "The training loss of the first epoch and all three validation accuracies are your loop's, "
        "because weights and order started from the same seeds.",
        lambda out: (
            abs(loop_losses(out)[2] - out.table(TRAIN)["train_loss"].iloc[0]) < 0.001
            and np.allclose(by_hand(out), out.table(TRAIN)["validation_accuracy"], atol=0.0001)
        ),
    ),
    Statement(
        "Above 90 % on validation after one epoch: even a linear model reads most digits, and "
        "scores nearly ten percentage points more than the nearest mean digit of [01_data]",
        lambda out: (
            out.table(TRAIN)["validation_accuracy"].iloc[0] > 0.9
            and 0.09 < out["V0 test accuracy"] - NEAREST_MEAN < 0.1
        ),
    ),
    # --- Train V1
    Statement(
        "V1 has everything that V0 has, and a ReLU after each layer.",
        lambda out: (
            re.findall(r"(\d)\): (\w+)", out.text(WRITTEN_V1))
            == [*zip("01234", ["Flatten", "Linear", "ReLU", "Linear", "ReLU"], strict=True)]
            and out.table(LAYERS)["layer"].tolist() == ["Flatten", "Linear", "Linear"]
        ),
    ),
    Statement("(Many would say yes.)", source="A guess about readers."),
    Statement(
        "V1's validation accuracy lies *above* its training accuracy after the first epoch and "
        "after the last, and in between it is no more than a shade below.",
        lambda out: (
            all(v > t + 0.01 for t, v in zip(*curve_of_v1(out)[:2], strict=True))
            and np.ptp(curve_of_v1(out)[2]) < 0.015
        ),
    ),
    Statement(
        "And V1 does not climb steadily: look at its last epoch.",
        lambda out: (
            curve_of_v1(out)[1][1] - max(curve_of_v1(out)[2])
            > 3 * abs(np.mean(curve_of_v1(out)[2]) - curve_of_v1(out)[1][0])
        ),
    ),
    # --- One run is not a result
    Statement(
        "Chance decides two things here, the initial weights and the order of the digits, and in "
        "each run one seed fixes both.",
        lambda out: np.ptp(out.numbers(ALONE, r"([\d.]+%)")) < 0.003,
    ),
    Statement(
        "So train V0 and V1 again, each with 64 seeds, and a third model beside them: V1 without "
        "its *last* ReLU, the one on the logits.",
        lambda out: (
            {name: n for name, (n, *_) in runs_of(out).items()}
            == dict.fromkeys([V0, V1, CORRECTED], 64)
            and [type(layer) for layer in build_model(CORRECTED).layers[2:]]
            == [nn.ReLU, nn.Linear, nn.Identity]
        ),
    ),
    Statement(
        "That is 192 training runs.",
        lambda out: sum(out.numbers(STACKS, r"(\d+) training runs")) == 192,
    ),
    Statement(
        "One after another they would take six or seven minutes, and most of that time would "
        "go into starting operations",
        # Measured on full MNIST: an epoch of 64 seeds of V1, one after another.
        lambda out: 6 < 3 * 3 * seconds_of_64("usual") / 60 < 8 and seconds_of_64("ratio") > 4,
    ),
    Statement(
        "So `fit_stack` trains the 64 seeds of a model as one stack, cut into a part for each "
        "core.",
        lambda out: (
            {*out.numbers(STACKS, r"(\d+) training runs")} == {64}
            and does(STACKS, "for seed in range(seeds)]", "fit_stack(\n        stack,")(out)
        ),
    ),
    Statement(
        "The weights of a part lie in one tensor with one more axis, and one operation moves all "
        "of them.",
        source="mnistkit/experiments/stack.py: each parameter is stacked, members x its shape.",
    ),
    Statement(
        "The *recipe*, a model and all that its training needs, was fixed before we started: "
        "models and epochs by the README, SGD, its rate and the batch size by the course that it "
        "follows.",
        lambda out: (
            out.cell(PARAMETERS).source.count("as published") == 1
            and out.cell(PARAMETERS).source.count("course") == 2
        ),
    ),
    Statement(
        "a test that chooses nothing spoils nothing: so each run may be measured on test",
        source="01_data: a score is too good only where it was chosen by.",
    ),
    Statement(
        "Do not believe it: train one alone and compare what the two score on test.",
        does(ALONE, "fit(alone,", "evaluate(model, test_loader).accuracy for model in (alone, mod"),
    ),
    Statement(
        "For this seed the score is the same.",
        lambda out: np.ptp(out.numbers(ALONE, r"([\d.]+%)")) < 0.003,
    ),
    Statement(
        "Now measure all of them.",
        lambda out: [*out.table(SUMMARY).index] == [V0, V1, CORRECTED] == [*runs_of(out)],
    ),
    Statement("Bet on the worst and the best run of V1.", source="An instruction."),
    Statement(
        "In the table `low` and `high` are the ends of a 95 % *confidence interval* of the mean: "
        "if all of this were done again and again with other seeds, 19 of 20 such intervals would "
        "contain the mean that infinitely many seeds would give.",
        lambda out: intervals_are_of_the_mean(out) and 19 / 20 == 0.95,
    ),
    Statement(
        "It is about the mean, and says nothing about single runs.",
        lambda out: (out.table(SUMMARY)["deviation"] > 3 * half_widths(out)).all(),
    ),
    Statement(
        "V0 and the corrected V1 stay within a few points.",
        lambda out: max(spread(out, V0), spread(out, CORRECTED)) < 5,
    ),
    Statement(
        "V1 is a lottery: its runs lie tens of points apart, and not evenly spread but in heaps.",
        lambda out: spread(out, V1) > 20 and heaps_apart(out),
    ),
    Statement(
        "The published 73.27 % is one ticket. It is not wrong, but it is not typical either",
        lambda out: (
            runs_of(out)[V1][1] < PUBLISHED < runs_of(out)[V1][2]
            and reproduced(out, "C2")
            and abs(100 * out["V1 test accuracy"] - PUBLISHED) > 5
        ),
    ),
    Statement(
        'So "V1 is worse than V0" holds on average, but not because ReLUs hurt as such: with one '
        "ReLU instead of two the model is, on average, the best of the three.",
        lambda out: means(out)[V1] < means(out)[V0] and means(out).idxmax() == CORRECTED,
    ),
    # --- Why? Look at the outputs
    Statement(
        "A ReLU on the logits turns every negative logit into 0.",
        source="tests/test_models.py::test_v1_as_published_has_no_negative_output_and_corrected_has",
    ),
    Statement(
        "Take the worst V1 of all runs and look, class by class, at the validation digits *of "
        "that class*: the largest output that any of them gets, how many of them get more than "
        "0, and how many are recognised.",
        lambda out: (
            does(
                WORST,
                '["test_accuracy"].idxmin()',
                "digits.validation",
                "outputs[validation_labels == c",
            )(out)
            and [*out.table(WORST).index]
            == ["largest own output", "share above 0", "share recognised"]
        ),
    ),
    Statement(
        "A healthy model would show large numbers and shares near 1 everywhere.",
        lambda out: (
            np.delete(worst_model(out), hopeless(out), axis=1).min(axis=1) > [5, 0.9, 0.75]
        ).all(),
    ),
    Statement(
        "a model that is right little more than half of the time",
        lambda out: 0.5 < out["V1 worst run"] < 0.6,
    ),
    Statement(
        "Some good and some hopeless ones. For a hopeless class the output is 0 for (nearly) "
        "every digit of its own: the model can no longer answer with this class.",
        lambda out: (
            2 <= len(hopeless(out)) <= 8
            and worst_model(out)[1:, hopeless(out)].max() < 0.05
            and np.delete(worst_model(out), hopeless(out), axis=1)[2].min() > 0.75
        ),
    ),
    Statement(
        "Each class is about a tenth of the digits, so each lost class should cost about ten "
        "percentage points.",
        lambda out: (
            len(class_shares()) == 6
            and all(8 < share < 12 for share in class_shares())
            and abs(cost_of_each_lost_class(out).mean() - 10) < 2
        ),
    ),
    Statement(
        "Count them in every run, as those whose output is above 0 for fewer than one in twenty "
        "of their own digits",
        lambda out: (
            does(LOST, "(outputs[validation_labels == c, c] > 0)", "if alive[c] < 0.05]")(out)
            and out.table(LOST)["runs"].sum() == runs_of(out)[V1][0]
        ),
    ),
    Statement(
        "Draw the same runs of V1 once more, one colour for each number of lost classes.",
        lambda out: [n for n, *_ in re.findall(HEAP, out.alt(HEAPS))] == [*out.table(LOST).index],
    ),
    Statement(
        "the more of them, the lower the score, by roughly ten points each, and runs that lost "
        "equally many lie together",
        lambda out: (
            all(7 < cost < 13 for cost in cost_of_each_lost_class(out)) and heaps_apart(out)
        ),
    ),
    Statement(
        "Nearly all do: on full MNIST a few runs lost a class and no points",
        lambda out: (
            2 <= unharmed(out) <= 0.1 * runs_of(out)[V1][0]
            and out.table(LOST).loc["1", "max"] > out.table(LOST).loc["0", "min"]
        ),
    ),
    Statement(
        "By its accuracy, 73.27 %, the published run lies among those that lost two.",
        lambda out: (
            out.table(LOST).loc["2", "min"] <= PUBLISHED / 100 <= out.table(LOST).loc["2", "max"]
        ),
    ),
    # --- Lost, and for good?
    Statement(
        "Train the same 64 V1s once more, with the same seeds, and look at them every 100 "
        "batches: for each class, at the share of its own digits whose output is above 0.",
        lambda out: (
            does(
                LOOKS, '"V1", seed=seed) for seed in range(seeds)', "validation_labels == c, c] > 0"
            )(out)
            and out.numbers(LOOKS, r"at (\d+) runs of (\d+)") == [64, 10]
        ),
    ),
    Statement(
        "Here are the four runs in which most changed after the first 300 batches.",
        lambda out: (
            does(MAPS, "if batch > 300]", "changes.argsort(descending=True, stable=True)[:4]")(out)
            and len(maps(out)) == 4
        ),
    ),
    Statement(
        "Each row of a map is a class, from the first batch on the left to the last on the "
        "right. Dark means that nearly all of the class's digits get an output above 0; white, "
        "that none does.",
        maps_are_those_of_their_words,
    ),
    Statement(
        "These are the busiest four of 64.",
        lambda out: len(maps(out)) == 4 and out.number(LOOKS, r"(\d+) runs") == 64,
    ),
    Statement(
        "So count all 640 classes of the 64 runs.",
        lambda out: sum(fates(out)) == 640 and out.table(FATES)["runs"].max() == 64,
    ),
    Statement(
        "a class has to be lost at two looks in a row after batch 300, since in the first few "
        "hundred batches everything is still moving",
        lambda out: (
            does(FATES, "(lost[later][1:] & lost[later][:-1])")(out)
            and np.abs(np.diff(maps(out))[..., :3]).mean()
            > 5 * np.abs(np.diff(maps(out))[..., 3:]).mean()
        ),
    ),
    Statement(
        "On full MNIST every class that is lost at the end was lost all the time: at no look after "
        "batch 300 did it live.",
        lambda out: (
            fates(out)[2] == 0
            and fates(out)[3] == (out.table(LOST).index.astype(int) * out.table(LOST)["runs"]).sum()
        ),
    ),
    Statement(
        "But being lost is not the end. Of the classes that were lost at some time after "
        "batch 300, more than a third came back",
        lambda out: 1 / 3 < fates(out)[1] / sum(fates(out)[1:]) < 0.45,
    ),
    Statement(
        "some of them after thousands of batches, and then suddenly",
        lambda out: (
            sum(k > 20 and before < 0.05 and after > 0.9 for k, before, after in returns(out)) > 1
        ),
    ),
    Statement(
        "Where a ReLU's input is negative its output is flat, and the slope is zero. If a class's "
        "logit is negative for all digits, nothing can pull on its row of the last layer.",
        lambda out: not row_moves(-100),
    ),
    Statement(
        "make a fresh V1, push the bias of class 3 so far down that its logit is always negative, "
        "and ask for the gradient, first in the row of class 3, then in the hidden layer below it",
        does(GRADIENT, "bias[3] = -100", "last.weight.grad[3]", "hidden.weight.grad"),
    ),
    Statement(
        "As published, the row of a class whose output is 0 for every digit gets no "
        "gradient, whatever the loss says: on its own it cannot move. Without the last ReLU "
        "it can.",
        lambda out: (
            re.findall(r"class 3 (.+?),", out.text(GRADIENT)) == ["cannot move", "moves"]
            and (row_moves(-100), row_moves(-100, relu_on_logits=False)) == (False, True)
        ),
    ),
    Statement(
        "But the hidden layer still moves, for the sake of the other nine classes.",
        lambda out: re.findall(r"hidden layer (.+)", out.text(GRADIENT)) == ["moves"] * 2,
    ),
    Statement(
        "If that lifts it above 0 for some digits, its row gets a gradient again, and the class "
        "is back.",
        lambda out: row_moves(1) and not row_moves(-100) and len(returns(out)) > 0,
    ),
    Statement(
        "A class that has never lived depends on the same accident from the first batch on, and "
        "with a bias of -100 it would wait for ever",
        lambda out: fates(out)[3] > 0 and 2 * worst_model(out)[0].max() < 100,
    ),
    Statement(
        "(A ReLU that is stuck at 0 is called *dead*; [Lu et al., 2019]"
        "(https://arxiv.org/abs/1903.06733), ask how often networks start that way.)",
        source="Dying ReLU and initialization: theory and numerical examples.",
    ),
    Statement(
        "Two lessons. *Activations belong between layers, not on the logits.*",
        lambda out: spread(out, V1) > 5 * spread(out, CORRECTED),
    ),
    Statement(
        "whose [notebook 03](https://www.learnpytorch.io/03_pytorch_computer_vision/) ends its V1 "
        "in `nn.ReLU()`, too",
        source="FashionMNISTModelV1 in that notebook.",
    ),
    # --- The three compared
    Statement(
        "All runs of all three models in one picture: each small dot is a run, the large dot is "
        "the mean of a model's runs, and the bar through it the 95 % confidence interval of that "
        "mean.",
        lambda out: (
            intervals_are_of_the_mean(out)
            and does(BARS, "runs=by_name")(out)
            and single_runs(out) == extremes(out)
            and out.scores(BARS).keys() == {*means(out).index}
            and all(
                np.allclose(score, 100 * row.astype(float), atol=0.011)
                for score, (_, row) in zip(
                    out.scores(BARS).values(),
                    out.table(SUMMARY)[["mean", "low", "high"]].iterrows(),
                    strict=True,
                )
            )
        ),
    ),
    Statement(
        "V1's runs lie up to 39 points apart.",
        lambda out: round(spread(out, V1)) == 39,
    ),
    Statement(
        "V1's mean is known to within three points either way, though a single run of it is "
        "hardly known at all: with 64 seeds the confidence interval of the mean is far shorter "
        "than the spread of the runs.",
        lambda out: (
            0.02 < half_widths(out)[V1] < 0.03
            and 200 * half_widths(out)[V1] < spread(out, V1) / 4
            and out.table(SUMMARY).loc[V1, "n"] == 64
        ),
    ),
    # --- What do they confuse?
    Statement("on the diagonal. First V0.", lambda out: out.alt(MATRIX_0).startswith("V0 on test")),
    Statement(
        "A 4 or a 7 taken for a 9 is no surprise, handwriting being what it is.",
        lambda out: (
            {"4 as 9", "7 as 9"} <= {*re.findall(r"\d as \d", out.alt(MATRIX_0))}
            and [confused_with(out, MATRIX_0)[c] for c in (4, 7)] == [9, 9]
        ),
    ),
    Statement(
        "The 1s, 2s and 5s that are taken for an 8 may be a linear model's own weakness: it "
        "weighs every pixel alone.",
        lambda out: (
            [confused_with(out, MATRIX_0)[c] for c in (1, 2, 5)] == [8, 8, 8]
            and {*out.table(LAYERS)["layer"]} == {"Flatten", "Linear"}
        ),
    ),
    Statement(
        "Now the worst V1.",
        lambda out: (
            out.alt(MATRIX_1).startswith("The worst V1 on test")
            and f"({out['V1 worst run']:.2%}".replace("%", " %)") in out.alt(MATRIX_1)
        ),
    ),
    Statement(
        "A lost class is an empty column, or nearly, and its digits must go elsewhere. Some of "
        "that makes no sense: who would take a 1 for a 0?",
        lambda out: (
            np.flatnonzero(matrix(out, MATRIX_1).max(axis=0) < 0.1).tolist() == hopeless(out)
            and 1 in hopeless(out)
            and confused_with(out, MATRIX_1)[1] == 0
            and "1 as 0" in out.alt(MATRIX_1)
        ),
    ),
    Statement(
        "Count the digits for which *all ten* outputs are 0.",
        does(SILENT, "(worst_v1(test_images) == 0).all(dim=1)"),
    ),
    Statement(
        "Where all outputs are equal, `argmax` returns the first: class 0. The model has no "
        "opinion, and the code turns that into a zero.",
        lambda out: (
            out.numbers(SILENT, r"for them: \[(.+)\]") == [0]
            and torch.zeros(10).argmax().item() == 0
        ),
    ),
    Statement(
        "That solves the riddle above.",
        lambda out: unharmed(out) > 0 and out.numbers(UNHARMED, r"\[(.+)\]") == [0],
    ),
    Statement(
        "On full MNIST that is class 0. Most of its digits get ten zeros, and of ten equal numbers "
        "`argmax` takes the first: it says 0, which happens to be right.",
        lambda out: out.numbers(UNHARMED, r"\[(.+)\]") == out.numbers(SILENT, r"\[(.+)\]") == [0],
    ),
    Statement(
        "A bug in the model is hidden by an accident of the code, and the score alone would never "
        "have told.",
        lambda out: (
            out.table(LOST).loc["0", "min"]
            <= out.table(LOST).loc["1", "max"]
            <= out.table(LOST).loc["0", "max"]
        ),
    ),
    Statement(
        "And the published run? By its accuracy it lost two classes. But a third that is hidden "
        "like this would not show there.",
        lambda out: (
            out.table(LOST).loc["2", "min"] <= PUBLISHED / 100 <= out.table(LOST).loc["2", "max"]
        ),
    ),
    Statement(
        "It shows in the loss: ten zeros give each class a tenth, so each of those 0s costs 2.30.",
        lambda _: round(F.cross_entropy(torch.zeros(1, 10), torch.tensor([0])).item(), 2) == 2.30,
    ),
    Statement("README C prints a loss of 0.9604 (C6).", source="README C."),
    Statement(
        "It resembles a run that lost three classes, the 0 among them.",
        lambda out: any(abs(end - PUBLISHED_LOSS) < 0.08 for end in losses_near(out)["3", "True"]),
    ),
    Statement(
        "The losses of the runs that lost two are smaller by far.",
        lambda out: losses_near(out)["2", "False"][1] < PUBLISHED_LOSS - 0.15,
    ),
    Statement(
        "So the README's V1 may have lost one class more than its score tells.",
        source="A guess from one run, and said as one.",
    ),
    # --- Nine digits, as README C draws them
    Statement(
        "Take nine random test digits, predict, draw.",
        lambda out: does(NINE, "digits.test", "k=9")(out) and "of 9 right" in out.alt(NINE_DRAWN),
    ),
    Statement(
        "V0 is right nine times in ten.",
        lambda out: abs(out["V0 test accuracy"] - 0.9) < 0.03,
    ),
    Statement(
        "On full MNIST eight of the nine are right: about what nine draws at 92 % should give.",
        lambda out: (
            "8 of 9 right" in out.alt(NINE_DRAWN)
            and round(9 * 0.92) == 8
            and re.findall(r"\((\d+)\.", out.alt(MATRIX_0)) == ["92"]
        ),
    ),
    # --- What we measured
    Statement(
        "The loss of V0 is that of the run above, on test; accuracies are means over all seeds. "
        "The seconds are those of V0's first training, alone.",
        lambda out: (
            does(RECORDS, "result_0 = evaluate(model_0, test_loader)", "history_0.seconds")(out)
            and {r.n for r in out.records if r.unit in ("accuracy", "points")} == {64}
            and {r.name: r.n for r in out.records if r.n != 64}
            == {"V0 test loss": 1, "V0 training": 1}
            and all(abs(out[f"{name} test accuracy"] - m) < 1e-4 for name, m in means(out).items())
        ),
    ),
    # --- The verdicts
    Statement(
        "The brackets after an accuracy or a loss hold the answer, a 95 % *prediction "
        "interval*: a further run lies inside such an interval 19 times in 20.",
        source="tests/study/test_rules.py::test_the_interval_holds_a_further_value_19_times_in_20",
    ),
    Statement(
        "If our whole interval is better than the number, the claim is *surpassed*; if it is "
        "worse, *not reproduced*.",
        lambda out: (
            [
                compare(Interval(0.94, 0.93, 0.95, 0.005, 0.93, 9), share, share)
                for share in (0.92, 0.94, 0.96)
            ]
            == ["surpassed", "reproduced", "not reproduced"]
        ),
    ),
    Statement(
        "A direction is judged by the 95 % confidence interval of the difference, taken seed by "
        "seed: *reproduced* if all of it lies on the claimed side of zero, *not reproduced* if "
        "all of it lies on the other side, and *undecided* if it contains zero.",
        source="tests/study/test_rules.py::test_a_direction_is_paired_by_seed",
    ),
    Statement(
        "n is the number of seeds.",
        lambda out: all(
            verdict(out, claim)[0][3] == len(shared)
            for claim, shared in (
                ("C1", stored_seeds(V0)),
                ("C2", stored_seeds(V1)),
                ("C4", stored_seeds(V0) & stored_seeds(V1)),
            )
        ),
    ),
    Statement(
        "(The stored runs train on all 60,000 training digits, and yours on 55,000, so yours "
        "may lie a little lower. On full MNIST your V0s also spread more than the twenty "
        "behind C1, in part because one of them ended below 90 %. So for runs like yours C1's "
        "interval is rather too narrow.)",
        lambda out: (
            out.number(LOADED, r"([\d,]+) train") == 55_000
            and means(out)[V0] < stored_runs().of(V0)["test_accuracy"].mean()
            and out.table(SUMMARY)["worst"][V0] < 0.9 < stored_runs().of(V0)["test_accuracy"].min()
            and out.table(SUMMARY)["deviation"][V0]
            > 1.3 * stored_runs().of(V0)["test_accuracy"].std()
            and len(stored_runs().of(V0)) == 20
        ),
    ),
    Statement(
        "On full MNIST all five are reproduced, and the second is the one to remember.",
        lambda out: (
            reproduced(out, *re.findall(r"^C\d", out.text(VERDICTS), re.M))
            and re.findall(r"^C(\d)", out.text(VERDICTS), re.M) == [*"12456"]
        ),
    ),
    Statement(
        "Its interval reaches from about 62 % to beyond the best run: nearly any number that such "
        "a model gives would have been reproduced.",
        lambda out: (
            round(verdict(out, "C2")[0][1]) == 62
            and verdict(out, "C2")[0][2] > runs_of(out)[V1][2]
            and (stored_runs().of(V1)["test_accuracy"] > 0.62).mean() > 0.9
        ),
    ),
    Statement(
        "A number can be reproduced and still say next to nothing.",
        lambda out: np.ptp(verdict(out, "C2")[0][1:3]) > 30 and reproduced(out, "C2"),
    ),
    # --- What we saw
    Statement(
        "V0 does what its README says, in seconds.",
        lambda out: reproduced(out, "C1", "C5"),
    ),
    Statement(
        "V1's 73.27 % is one draw from a wide spread: *reproduced*, and not worth much.",
        lambda out: (
            spread(out, V1) > 30
            and reproduced(out, "C2")
            and runs_of(out)[V1][1] < PUBLISHED < runs_of(out)[V1][2]
        ),
    ),
    Statement(
        "Its cause is the ReLU on the logits: the row of a class whose logit is never positive "
        "gets no gradient.",
        lambda out: (
            spread(out, V1) > 5 * spread(out, CORRECTED)
            and not row_moves(-100)
            and row_moves(-100, relu_on_logits=False)
        ),
    ),
    Statement(
        "The class is lost until the hidden layer happens to lift it, and within three epochs most "
        "are not.",
        lambda out: fates(out)[1] > 0 and sum(fates(out)[2:]) > sum(fates(out)[1:]) / 2,
    ),
    Statement(
        "Without that one ReLU the model is reliable, and on average better than V0.",
        lambda out: (
            spread(out, CORRECTED) < 5
            and out.table(SUMMARY).loc[CORRECTED, "low"] > out.table(SUMMARY).loc[V0, "high"]
            and out["V1 corrected minus V0"] > 0
        ),
    ),
]


def first_training_is_drawn_and_timed_as_its_table_says(out):
    table = out.table(TRAIN)
    drawn = re.findall(ENDS, out.alt(CURVES))
    near = [
        abs(table[f"{part}_accuracy"].iloc[place] - float(value)) < 0.0006
        for part, *ends in drawn
        for place, value in zip((0, -1), ends, strict=True)
    ]
    return len(near) == 4 and all(near) and abs(table["seconds"].sum() - out["V0 training"]) < 0.001


def numbers_recorded_are_those_of_the_summary(out):
    table = out.table(SUMMARY)
    near = [
        abs(out[f"{name} test accuracy"] - row["mean"]) < 0.0001 for name, row in table.iterrows()
    ]
    near += [
        abs(out[f"{name} minus V0"] - (out[f"{name} test accuracy"] - out["V0 test accuracy"]))
        < 1e-6
        for name in ("V1", "V1 corrected")
    ]
    return all(near) and abs(out["V1 worst run"] - table.loc["V1", "worst"]) < 0.0001


def lost_classes_divide_the_runs_of_v1(out):
    table, summary = out.table(LOST), out.table(SUMMARY)
    heaps = [[float(v) for v in heap] for heap in re.findall(HEAP, out.alt(HEAPS))]
    drawn = [[int(lost), runs, low / 100, high / 100] for lost, runs, low, high in heaps]
    rows = [[int(lost), row["runs"], row["min"], row["max"]] for lost, row in table.iterrows()]
    near = all(
        abs(a - b) < 0.0006
        for heap, row in zip(drawn, rows, strict=True)
        for a, b in zip(heap, row, strict=True)
    )
    mean = (table["runs"] * table["mean"]).sum() / table["runs"].sum()
    v1 = summary.loc["V1"]
    return near and table["runs"].sum() == v1["n"] and abs(mean - v1["mean"]) < 0.001


def seeds_are_as_many_as_in_the_summary(out):
    trainings = out.numbers(STACKS, r"(\d+) training runs in (\d+) s")
    return trainings[::2] == out.table(SUMMARY)["n"].tolist() and all(
        0 < seconds < 600 for seconds in trainings[1::2]
    )


def steps_by_hand_start_at_chance_and_learn(out):
    losses = out.numbers(BY_HAND, r"loss ([\d.]+)")
    return losses == sorted(losses, reverse=True) and 2.2 < losses[0] < 2.4 and losses[-1] < 0.4


def loop_sees_each_training_digit_once(out):
    batches, size = out.numbers(BY_LOOP, r"([\d,]+) batches of at most (\d+) digits")
    return batches == math.ceil(55_000 / size)


def digits_are_split_as_everywhere(out):
    splits = out.numbers(LOADED, r"([\d,]+) (?:train|valid|test)")
    return splits == [55_000, 5_000, 10_000] and out.number(LOADED, r"(\d+) threads?") >= 1


def looks_are_every_100_batches(out):
    """Of three epochs, the first look before any batch."""
    looks, runs, classes = out.numbers(LOOKS, r"\d+")
    return [looks, runs, classes] == [3 * math.ceil(55_000 / 32) // 100 + 1, 64, 10]


def unharmed_runs_lost_one_class_the_first(out):
    lost_one = out.table(LOST).loc["1", "runs"]
    count = out.number(UNHARMED, r"no points: (\d+)")
    classes = out.numbers(UNHARMED, r"\[(\d)\]")
    return 0 < count < lost_one and classes == [0]


def digits_with_ten_zeros_are_read_as_0(out):
    """No fewer than those of classes that no answer is left for, but for the 0s."""
    silent, digits = out.numbers(SILENT, r"([\d,]+) of ([\d,]+)")
    as_zero = map(int, re.findall(r"\d as 0, (\d+) times", out.alt(MATRIX_1)))
    return digits == 10_000 and sum(as_zero) < silent < digits * (1 - out["V1 worst run"])


FOLLOWS = [
    digits_are_split_as_everywhere,
    loop_sees_each_training_digit_once,
    looks_are_every_100_batches,
    steps_by_hand_start_at_chance_and_learn,
    unharmed_runs_lost_one_class_the_first,
    digits_with_ten_zeros_are_read_as_0,
    first_training_is_drawn_and_timed_as_its_table_says,
    numbers_recorded_are_those_of_the_summary,
    lost_classes_divide_the_runs_of_v1,
    seeds_are_as_many_as_in_the_summary,
]
