"""What 05_mobilenet_transfer states, and what follows from what it prints."""

import inspect
import math
import re
from functools import cache

import numpy as np
import torch
from torch import nn

from mnistkit import interval_of_mean, preprocess
from mnistkit.models import build_model, mobilenet
from mnistkit.study.claims import CLAIMS
from mnistkit.transfer import IMAGENET_MEAN, IMAGENET_STD, extract_features
from mnistkit.utils.fusion import fold_batch_norm
from tests.notebooks.statements import Statement
from tests.notebooks.statements.bounds import stored_runs
from tests.notebooks.statements.evidence import does, panels, sample

SPLITS, WEIGHTS, SIZE = "validation_size=2000", "= load_mobilenet()", "network = mobilenet_v2()"
LOADED, SHAPE, INPUT = "load_state_dict(state)", "inputs = preprocess(", "one = inputs[0]"
FROZEN, EQUAL, MODES = "parameter.requires_grad = False", "own, library =", "trial = copy"
LOOP, SLOW, STORED = "def one_epoch(", "slow_losses, slow_seconds =", "stored = maps.mean("
QUICK, APART, SAME_HEAD = "quick_losses, quick_seconds =", "pairs = zip(", "to a ten-thousandth"
SPEED, HEAD, SAME = "feature_seconds = count", "results = []", "model.classifier = head"
CONTROL, TABLE, VERDICTS = "control = {", "cnn = run_", "print_verdicts(["
PRETRAINED, RANDOM, PIXELS = "pretrained features", "random features", "pixels"
HEAD_SCORE, CNN_SCORE = "MobileNetV2 head test accuracy", "E CNN corrected test accuracy"
PUBLISHED, V0 = 0.9589, 0.92  # E3, and what 02 says of V0


def size(out):
    """Parameters of MobileNetV2 with a head of 10 classes, and with one of 1,000."""
    return [
        out.number(FROZEN, r"together ([\d,]+)$"),
        out.number(SIZE, r"^parameters: ([\d,]+)$"),
    ]


def trained(out):
    """Parameters that are trained, and that are frozen."""
    return out.numbers(FROZEN, r"(?:trainable|frozen) ([\d,]+)")


def losses(out):
    """Of each batch: its number, its loss on the way through the network, and on features."""
    found = out.numbers(QUICK, r"^ +(\d+) +([\d.]+) +([\d.]+)$")
    return list(zip(found[::3], found[1::3], found[2::3], strict=True))


def seconds_of_an_epoch(out):
    """Through the whole network, and on stored features."""
    return out.numbers(QUICK, r"^seconds +([\d.]+) +([\d.]+)$")


def heads_apart(out):
    """The largest difference between the two heads' weights, and their logits; in millionths."""
    return out.numbers(APART, r"by at most ([\d.]+) millionths")


def says_true(source: str, times: int):
    """A predicate: so many lines are printed, and each of them ends in True."""

    def holds(out):
        lines = out.text(source).splitlines()
        return len(lines) == times and all(line.endswith(": True") for line in lines)

    return holds


@cache
def masks(*seeds: int):
    """What dropout leaves of ones after each seed, as lists of numbers."""
    found = []
    with torch.random.fork_rng(devices=[]):
        for seed in seeds:
            torch.manual_seed(seed)
            found.append(nn.Dropout(0.2)(torch.ones(1280)).tolist())
    return found


@cache
def folding_changes() -> float:
    """By how much a batch norm worked into a convolution changes what both give together."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        images = torch.rand(8, 3, 9, 9)
    with torch.no_grad():
        layers(images)  # the averages move
        difference = layers.eval()(images) - fold_batch_norm(layers)(images)
    return difference.abs().max().item()


def features(out):
    """For how many digits features are computed to train on, and how many features each has."""
    return out.numbers(SPEED, r"training: \((\d+), (\d+)\)")


def share_of_digits(out):
    """Digits that the head is trained on, as a share of those that the CNN is."""
    return features(out)[0] / out.number(SPLITS, r"([\d,]+) train")


def head_interval(out):
    """Accuracy of the head on test with its interval, as fractions, and over how many seeds."""
    *shares, n = out.numbers(HEAD, r"on test: (.+) % \[(.+), (.+)\] \(n = (\d+)\)")
    return [share / 100 for share in shares], n


def by_epoch(out):
    """Of training and validation: accuracy after the first epoch and after the last."""
    return {
        name: (float(first), float(last))
        for name, first, last in re.findall(r"(\w+) ([\d.]+) to ([\d.]*\d)", out.alt(HEAD))
    }


def rows(out):
    """The table's rows: MobileNetV2, and the CNN."""
    return [row for _, row in out.table(TABLE).iterrows()]


def times(out):
    """Seconds for all features, to train the head on them, and to train the CNN."""
    mobilenet, cnn = (row["seconds of training"] for row in rows(out))
    return rows(out)[0]["seconds for features, once"], mobilenet, cnn


def ratio_of_parameters(out):
    mobilenet, cnn = (row["parameters"] for row in rows(out))
    return mobilenet / cnn


def costs(out):
    """What E5 says that the CNN costs, and what MobileNetV2 does, in one unit."""
    return out.numbers(VERDICTS, r"^E5 .* ([\d.]+)(?: s)? against ([\d.]+) (?:s|trillion)")


def e3_score(out):
    return out.number(VERDICTS, r"^E3 .* %  +([\d.]+) ") / 100


def rivals():
    """Whom the claim E5 says the CNN to beat, in the order of its line."""
    (claim,) = (claim for claim in CLAIMS if claim.id == "E5")
    return [than for better, than in claim.rule.rules[0].pairs if better == "E CNN"]


@cache
def untrained_output():
    """The largest feature that random weights give for a digit, unless norms have seen digits."""
    torch.manual_seed(0)
    with torch.no_grad():
        return mobilenet(10).eval().features(preprocess(sample().test.images[:1])).max().item()


def layers(model, kind):
    return sum(isinstance(layer, kind) for layer in model.modules())


def greys():
    """What each of the three channels makes of the same grey."""
    return {(0.5 - mean) / spread for mean, spread in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)}


def interval_of_e5(out, place: int) -> list[float]:
    """The ends of one of the intervals in the line of E5, in points."""
    line = out.text(VERDICTS).splitlines()[-1]
    return [float(end) for end in re.findall(r"\[([+-][\d.]+), ([+-][\d.]+)\]", line)[place]]


STATEMENTS = [
    # --- A borrowed network
    Statement(
        "a million photographs of a thousand kinds of things",
        source="ImageNet's challenge, 1.28 million images of 1,000 classes: "
        "Russakovsky et al., 2015, arXiv 1409.0575.",
    ),
    Statement(
        "Its last layer knows about those thousand classes.",
        lambda out: size(out)[1] - trained(out)[1] == 1280 * 1000 + 1000,
    ),
    Statement(
        "turns a photograph into 1,280 numbers",
        lambda out: features(out)[1] == 1280,
    ),
    Statement(
        "put a new last layer with ten outputs on top",
        lambda out: size(out)[0] - trained(out)[1] == 1280 * 10 + 10,
    ),
    Statement(
        "The next cell says, and every number below depends on it.",
        lambda out: out.text(WEIGHTS).removeprefix("weights: ").strip() in out.text(HEAD),
    ),
    Statement(
        '"From an int8 model" means that each weight was once rounded to 8 bits',
        lambda out: "from an int8 model" in out.text(WEIGHTS) and torch.iinfo(torch.int8).bits == 8,
    ),
    Statement(
        "`load_mobilenet` found the weights, checked them, and put them into a network with ten "
        "outputs.",
        lambda out: (
            "weights: ImageNet weights" in out.text(WEIGHTS)
            and size(out)[0] - trained(out)[1] == 1280 * 10 + 10
            and says_true(EQUAL, 4)(out)
        ),
    ),
    Statement(
        "As published it tells a thousand classes apart",
        lambda out: "out_features=1000" in out.text(SIZE),
    ),
    Statement(
        "The published size is about 3.5 million parameters.",
        lambda out: round(size(out)[1] / 1e6, 1) == 3.5,
    ),
    Statement(
        "The layer that went had 1.3 million of the 3.5 million parameters.",
        lambda out: (
            round(size(out)[1] / 1e6, 1) == 3.5 and round((1280 * 1000 + 1000) / 1e6, 1) == 1.3
        ),
    ),
    Statement(
        "It is. The network has two parts. `features` holds all the convolutions.",
        lambda out: (
            round(size(out)[1] / 1e6, 1) == 3.5
            and "parts: ['features', 'classifier']" in out.text(SIZE)
            and layers(mobilenet(10).features, nn.Conv2d) == layers(mobilenet(10), nn.Conv2d) > 0
        ),
    ),
    Statement(
        "`classifier` is dropout and one linear layer, with 1,280 x 1,000 weights and 1,000 biases",
        lambda out: (
            re.findall(r"\d\): (\w+)\(", out.text(SIZE)) == ["Dropout", "Linear"]
            and "in_features=1280, out_features=1000, bias=True" in out.text(SIZE)
            and size(out)[1] - trained(out)[1] == 1280 * 1000 + 1000
        ),
    ),
    Statement("the first thing that README E throws away", source="README E."),
    Statement(
        "Remember that a photograph has three channels.",
        lambda out: "to (6, 3, 224, 224)" in out.text(SHAPE),
    ),
    Statement(
        "32 kernels of 3 x 3, each with one layer of weights for red, one for green and one for "
        "blue.",
        lambda out: ": (32, 3, 3, 3), the first of" in out.text(LOADED),
    ),
    Statement(
        "E4 is right for the network with its thousand classes, as torchvision has it; the one "
        "that README E trains is smaller by more than a third.",
        lambda out: (
            re.search(r"^E4 .* reproduced$", out.text(VERDICTS), flags=re.M) is not None
            and 1 / 3 < 1 - size(out)[0] / size(out)[1] < 0.4
        ),
    ),
    # --- What the network expects
    Statement(
        "colour photographs of 224 x 224 pixels",
        lambda out: "to (6, 3, 224, 224)" in out.text(SHAPE),
    ),
    Statement(
        "A digit is none of that. So: enlarge it, repeat the grey channel three times, and "
        "normalise it with *ImageNet's* constants.",
        lambda out: "from (6, 28, 28) to (6, 3, 224, 224)" in out.text(SHAPE),
    ),
    Statement(
        "The three channels have different constants, so the same grey becomes three different "
        "values.",
        lambda out: len(greys()) == len({*IMAGENET_MEAN}) == len({*IMAGENET_STD}) == 3,
    ),
    Statement(
        "The last picture shows the enlarged digit as the network's first layer gets it, with its "
        "numbers squeezed into [0, 1]",
        lambda out: (
            does(INPUT, "mean, as_seen]", "(one - one.min()) / (one.max() - one.min())")(out)
            and out.alt(INPUT).endswith("; normalised.")
        ),
    ),
    Statement(
        "All three are drawn at the same size, but the second and third have sixty-four times as "
        "many pixels as the first",
        lambda out: (
            np.ptp([panel.shape for panel in panels(out, INPUT)], axis=0).max() <= 1
            and "(3 images): 28 x 28; 224 x 224; normalised." in out.alt(INPUT)
            and 224**2 == 64 * 28**2
        ),
    ),
    Statement(
        "That is where all the time will go.",
        lambda out: times(out)[0] / (times(out)[0] + times(out)[1]) > 0.9,
    ),
    Statement(
        "White is ink here: drawn in colour, 255 is white.",
        lambda out: all(panel.mean() < 128 < panel.max() for panel in panels(out, INPUT)),
    ),
    Statement(
        "The tint comes from the three constants.",
        lambda out: [len({*panel[2, 2]}) for panel in panels(out, INPUT)] == [1, 1, 3],
    ),
    # --- Freeze, and replace the last layer
    Statement(
        "We turn it off everywhere, in a loop. Then a new linear layer takes the place of the last "
        "one. Its switches are on, as in any new layer.",
        lambda out: (
            does(FROZEN, "in network.parameters():", "network.classifier[1] = nn.Linear(")(out)
            and trained(out) == [1280 * 10 + 10, size(out)[0] - (1280 * 10 + 10)]
        ),
    ),
    Statement(
        "Little more than half a percent: 1,280 weights and one bias for each of ten classes.",
        lambda out: (
            trained(out)[0] == 1280 * 10 + 10
            and 0.005 < trained(out)[0] / sum(trained(out)) < 0.006
        ),
    ),
    Statement(
        "Had we replaced the layer first, the loop would have frozen it as well.",
        lambda out: (
            does(FROZEN, "for parameter in network.parameters():")(out)
            and 0
            < out.cell(FROZEN).source.index("requires_grad = False")
            < out.cell(FROZEN).source.index("nn.Linear(1280, 10)")
        ),
    ),
    Statement(
        "Then give ours all of the library's weights, the new layer's too, and compare what the "
        "two say to the same six digits.",
        lambda out: (
            does(EQUAL, "network.load_state_dict(library)", "(inputs), model.eval()(inputs)")(out)
            and "from (6, 28, 28) to" in out.text(SHAPE)
        ),
    ),
    Statement("They are. From here on", says_true(EQUAL, 4)),
    # --- The slow way, once
    Statement("send each digit through the whole network in every epoch", source="README E."),
    Statement(
        "On the side it keeps running averages of both, to use later, when the network is "
        "measured. These averages are no parameters, and no gradient moves them.",
        lambda out: (
            {"running_mean", "running_var"} <= {*dict(nn.BatchNorm2d(1).named_buffers())}
            and {*dict(nn.BatchNorm2d(1).named_parameters())} == {"weight", "bias"}
        ),
    ),
    Statement(
        "Take a copy, show it six digits in each of its two modes, and watch the averages of its "
        "first batch norm.",
        lambda out: (
            does(MODES, "deepcopy(network)", 'in ("training", "eval")', "trial(inputs)")(out)
            and does(MODES, "norm = trial.features[0][1]")(out)
            and isinstance(mobilenet(10).features[0][1], nn.BatchNorm2d)
        ),
    ),
    Statement(
        "In the body every `requires_grad` is off, and yet in training mode the averages move, and "
        "the features with them. In eval mode they stay.",
        lambda out: (
            trained(out)[0] == 1280 * 10 + 10
            and re.findall(r"(\w+) mode: .*: (\w+)$", out.text(MODES), flags=re.M)
            == [("training", "True"), ("eval", "False")]
        ),
    ),
    Statement(
        "So the body has to be in eval mode even while we train, and only the head in training "
        "mode",
        does(SLOW, "network.eval()", "network.classifier.train()"),
    ),
    Statement(
        "Two things differ. Adam is given only those parameters whose switch is on. And a "
        "function, `inputs_of`, fetches the inputs of a batch",
        does(LOOP, "if p.requires_grad]", "Adam(learning,", "model(inputs_of(batch))"),
    ),
    Statement(
        "feed the same loop with something other than pictures",
        lambda out: (
            does(SLOW, "one_epoch(network, pictures_of)", "return preprocess(several.")(out)
            and does(QUICK, "one_epoch(quick_head, features_of)", "return stored[batch]")(out)
        ),
    ),
    Statement(
        "200 digits in batches of 20 will do.",
        lambda out: (
            does(LOOP, "digits.train[:200]", "order.split(20)")(out)
            and out.number(SLOW, r"epoch of (\d+) digits") == 200
            and len(losses(out)) == 200 / 20
        ),
    ),
    Statement(
        "Guess how long README E's way would take at that pace: five epochs, say, on 60,000 "
        "digits.",
        does(SLOW, "slow_seconds / len(several) * 5 * 60_000 / 3600"),
    ),
    Statement(
        "That is long for a linear classifier, and nearly all of the time would go into the frozen "
        "body.",
        lambda out: seconds_of_an_epoch(out)[1] < 0.1 * seconds_of_an_epoch(out)[0],
    ),
    # --- Features once
    Statement(
        "In eval mode a frozen network gives the same features for the same digit in every epoch.",
        says_true(SAME_HEAD, 3),
    ),
    Statement(
        "For each digit, `network.features` gives 1,280 feature maps of 7 x 7. The network takes "
        "the mean of each map, and these 1,280 means are what its head gets. We do the same.",
        lambda out: (
            "from (200, 1280, 7, 7) to (200, 1280) torch.float32" in out.text(STORED)
            and does(STORED, "maps.mean(dim=(2, 3))")(out)
            and says_true(SAME_HEAD, 3)(out)
        ),
    ),
    Statement("`no_grad` says that nothing will be trained here.", does(STORED, "torch.no_grad()")),
    Statement(
        "the same head as it was before, the same batches in the same order",
        lambda out: (
            0
            < out.cell(SLOW).source.index("head_before = copy.deepcopy(network.classifier)")
            < out.cell(SLOW).source.index("one_epoch(")
            and does(LOOP, "for batch in batches:")(out)
            and out.text(QUICK).count("\n") == 2 + len(losses(out))
        ),
    ),
    Statement(
        "But it switches off features at random, and what it drew would make the two heads differ. "
        "That is why `one_epoch` sets the seed: both times the same features are switched off.",
        lambda out: (
            masks(0)[0] != masks(1)[0]
            and masks(0, 0)[0] == masks(0, 0)[1]
            and does(LOOP, "torch.manual_seed(0)")(out)
            and "Dropout(p=0.2" in out.text(SIZE)
        ),
    ),
    Statement(
        "The same loss for each batch, in a moment.",
        lambda out: (
            all(abs(one - other) < 0.0002 for _, one, other in losses(out))
            and seconds_of_an_epoch(out)[1] < 1
        ),
    ),
    Statement(
        "What is left, if anything, is rounding. float32 keeps about seven digits, and a sum that "
        "is added up in another order may differ in the last of them.",
        lambda out: (
            round(-math.log10(torch.finfo(torch.float32).eps)) == 7
            and np.float32(1e8) + np.float32(1) - np.float32(1e8)
            != np.float32(1e8) - np.float32(1e8) + np.float32(1)
            and heads_apart(out)[0] < 10
            and heads_apart(out)[1] < 1000
        ),
    ),
    Statement(
        "on any machine it should be far too little to change an answer",
        says_true(SAME_HEAD, 3),
    ),
    Statement(
        "So it is one and the same training, with the frozen part done once.",
        lambda out: says_true(SAME_HEAD, 3)(out) and heads_apart(out)[0] < 10,
    ),
    Statement(
        "`extract_features` does that part for all the digits.",
        does(SPEED, "extract_features(model, part.images, folder=folder)", '"test": digits.test}'),
    ),
    Statement(
        "It works each batch norm into the convolution before it, which in eval mode changes "
        "nothing but rounding.",
        lambda out: folding_changes() < 1e-5,
    ),
    Statement(
        "It computes with 16-bit numbers where the processor is good at that, and keeps the "
        "features in 16 bits, on disk.",
        lambda out: (
            "None to do so where the machine has it" in extract_features.__doc__
            and "Returns float16, N x 1280" in extract_features.__doc__
            and torch.finfo(torch.bfloat16).bits == torch.finfo(torch.float16).bits == 16
            and does(SPEED, "folder=folder")(out)
        ),
    ),
    Statement(
        "we take only some of the training digits; `train_size = None` takes all",
        lambda out: share_of_digits(out) < 1 and does(SPEED, "digits.train[:train_size]")(out),
    ),
    Statement(
        "If the head gets past the README's number with fewer digits, we need not fear for it "
        "with all of them, and the verdict at the end, from runs on all 60,000, will tell.",
        lambda out: (
            out[HEAD_SCORE] > PUBLISHED
            and e3_score(out) > out[HEAD_SCORE]
            and {*stored_runs().of("MobileNetV2 head")["train"]} == {60_000}
        ),
    ),
    Statement(
        "The seconds are an estimate: the cell timed 320 digits and multiplied.",
        does(SPEED, "digits.train.images[:320])", "count / rate"),
    ),
    Statement(
        "only those 320 are computed; all the other features come from disk",
        lambda out: (
            re.findall(r"extract_features\((.*)\)", out.cell(SPEED).source)
            == ["model, digits.train.images[:320]", "model, part.images, folder=folder).float("]
        ),
    ),
    # --- The head
    Statement(
        "The large network is no longer needed, so an epoch takes a moment.",
        lambda out: out["head training"] / 5 < 2,
    ),
    Statement(
        "The head ends near 97 %, nearer to the CNNs than to V0, though it makes about twice as "
        "many errors as E's CNN without its second softmax in [04_cnn](04_cnn.ipynb), which had "
        "five times as many digits. (On all digits, in the stored runs, it makes about a third "
        "more.)",
        lambda out: (
            60_000 / 12_000 == 5
            and round(
                (1 - stored_runs().accuracy("MobileNetV2 head").mean)
                / (1 - stored_runs().accuracy("E CNN corrected").mean),
                1,
            )
            == 1.3
            and abs(out[HEAD_SCORE] - 0.97) < 0.005
            and 1.6
            < (1 - out[HEAD_SCORE]) / (1 - stored_runs().accuracy("E CNN corrected").mean)
            < 2.6
            and 2 * abs(out[CNN_SCORE] - out[HEAD_SCORE]) < out[HEAD_SCORE] - V0
        ),
    ),
    Statement(
        "How good it is depends on how long it is trained: on validation it begins near 94 % and "
        "ends near 97 %.",
        lambda out: (
            abs(by_epoch(out)["validation"][0] - 0.94) < 0.01
            and abs(by_epoch(out)["validation"][1] - 0.97) < 0.01
        ),
    ),
    Statement(
        "with a fifth of the digits, all of our runs lie above it, and so, most likely, would a "
        "further one",
        lambda out: head_interval(out)[0][1] > PUBLISHED and features(out)[0] / 60_000 == 0.2,
    ),
    Statement(
        "Validation is above training because dropout is active only in training",
        lambda out: (
            all(by_epoch(out)["validation"][end] > by_epoch(out)["train"][end] for end in (0, 1))
            and does(HEAD, "nn.Dropout(0.2)")(out)
        ),
    ),
    Statement(
        "These features were rounded to 16 bits, and computed in a different way from ours.",
        lambda out: (
            does(SPEED, "extract_features(")(out)
            and does(STORED, "network.features(")(out)
            and "Returns float16" in extract_features.__doc__
        ),
    ),
    Statement(
        "One answer in 32 may differ, since stored features are rounded.",
        lambda out: (
            does(SAME, '["test"][:32]', "agree >= 31")(out)
            and "features and from pictures: True" in out.text(SAME)
        ),
    ),
    # --- Did ImageNet help?
    Statement(
        "A linear classifier on 1,280 features has more numbers to work with than one on 784 "
        "pixels",
        lambda out: features(out)[1] == 1280 > 28 * 28 == 784,
    ),
    Statement(
        "a network of the same shape that has seen *nothing*, one with random weights",
        does(CONTROL, 'untrained, _ = load_mobilenet("random")'),
    ),
    Statement(
        "Its batch norms rescale each layer's numbers to mean 0 and standard deviation 1",
        source="Ioffe and Szegedy, Batch Normalization, 2015, arXiv 1502.03167.",
    ),
    Statement(
        "otherwise the digits fade away in fifty layers",
        lambda out: untrained_output() < 1e-4 and round(layers(mobilenet(10), nn.Conv2d), -1) == 50,
    ),
    Statement(
        "So we show it 128 digits, without labels.",
        does(CONTROL, "settle_batch_norms(untrained, digits.train.images[:128])"),
    ),
    Statement(
        "all contestants get the same few training digits",
        lambda out: (
            "2,000 training digits" in out.alt(CONTROL)
            and does(
                CONTROL,
                'parts["train"].images[few]',
                "digits.train[few].inputs()",
                'features["train"][few]',
                'parts["train"].labels[few]',
            )(out)
        ),
    ),
    Statement(
        "All three heads are the same kind of layer, trained in the same way.",
        lambda out: (
            len(out.scores(CONTROL)) == 3
            and out.cell(CONTROL).source.count("linear_on(") == 2
            and does(CONTROL, "linear_on(*inputs, seed)", "in contestants.items()")(out)
        ),
    ),
    Statement(
        "The second and third come from networks of the same shape, which differ in their "
        "weights, and in what their batch norms have seen.",
        lambda out: (
            [*out.scores(CONTROL)][1:] == [RANDOM, PRETRAINED]
            and does(CONTROL, 'load_mobilenet("random")')(out)
            and does(WEIGHTS, "load_mobilenet()")(out)
        ),
    ),
    Statement(
        "So most of what the pretrained one has over the random one is probably what a million "
        "photographs taught, and it carries over to ink on paper",
        lambda out: out.scores(CONTROL)[PRETRAINED].low > out.scores(CONTROL)[RANDOM].high,
    ),
    Statement(
        "In this draw the shape alone did not help: random features come out *below* the raw "
        "pixels, as if fifty layers of untrained convolutions",
        lambda out: (
            out.scores(CONTROL)[RANDOM].high < out.scores(CONTROL)[PIXELS].low
            and round(layers(mobilenet(10), nn.Conv2d), -1) == 50
        ),
    ),
    Statement(
        "The bars are 95 % confidence intervals over three heads.",
        lambda out: (
            does(CONTROL, "interval_of_mean([linear_on(*inputs, seed) for seed in range(")(out)
            and inspect.signature(interval_of_mean).parameters["level"].default == 0.95
            and head_interval(out)[1] == 3
        ),
    ),
    Statement(
        "Only one network of random weights was drawn",
        lambda out: out.cell(CONTROL).source.count("load_mobilenet(") == 1,
    ),
    Statement(
        "the second and third are two draws of the same thing",
        does(CONTROL, 'if weights != transfer.RANDOM else "random features, another draw"'),
    ),
    # --- E5: against the CNN
    Statement(
        "The last claim is about speed.",
        lambda out: re.search(r"^E5 .* slow .*\n\Z", out.text(VERDICTS), flags=re.M) is not None,
    ),
    Statement("README E runs the whole network in every epoch", source="README E."),
    Statement(
        "without its softmax, trained here once, on all training digits, for a single epoch",
        lambda out: (
            does(TABLE, '"E CNN corrected", epochs=cnn_epochs)', "digits, test=True")(out)
            and does("cnn_epochs = 1 ", "seeds = 3 ")(out)
            and layers(build_model("E CNN corrected"), nn.Softmax) == 0
        ),
    ),
    Statement(
        "The CNN is more accurate here, but it has also seen nearly five times as many training "
        "digits.",
        lambda out: out[CNN_SCORE] > out[HEAD_SCORE] and 4.5 < 1 / share_of_digits(out) < 5,
    ),
    Statement(
        "It has less than a fortieth of the parameters and never enlarges anything",
        lambda out: 40 < ratio_of_parameters(out) < 50,
    ),
    Statement(
        "The head trains in a few seconds once the features are there.",
        lambda out: 0.4 < times(out)[1] < 6,
    ),
    Statement(
        "computing the features of its 12,000 training digits, half of the seconds in the table, "
        "takes longer than an epoch of the CNN on all 58,000",
        lambda out: (
            out.number(SPLITS, r"([\d,]+) train") == 58_000
            and features(out)[0] == 12_000 == out.number(SPEED, r"s for all ([\d,]+)") / 2
            and times(out)[0] / 2 > times(out)[2]
        ),
    ),
    Statement(
        "On this task, then, the small network is the cheaper one as well.",
        lambda out: ratio_of_parameters(out) > 1 and times(out)[0] / 2 > times(out)[2],
    ),
    # --- The verdicts
    Statement(
        "ten heads on the features of all 60,000 training digits, with ImageNet weights from an "
        "int8 model, against ten of E's CNNs as published, softmax included",
        lambda out: (
            all(
                len(runs) == 10 and {*runs["train"]} == {60_000} and {*runs["source"]} == {"mnist"}
                for runs in map(stored_runs().of, ("MobileNetV2 head", "E CNN"))
            )
            and stored_runs().weights() == "ImageNet weights, from an int8 model"
            and layers(build_model("E CNN"), nn.Softmax) == 1
        ),
    ),
    Statement(
        "the first number is how much better the CNN is than E's MLP, the second how much better "
        "it is than MobileNetV2",
        lambda out: rivals() == ["E MLP", "MobileNetV2 head"],
    ),
    Statement(
        "Last comes what it costs to train the CNN, against what it costs to compute the features "
        "and train a head.",
        lambda out: len(costs(out)) == 2,
    ),
    Statement(
        "The features were computed once, for all ten heads.",
        lambda out: (
            [len(stored_runs().of(f"MobileNetV2 {part}")) for part in ("features", "head")]
            == [1, 10]
        ),
    ),
    Statement(
        "On all 60,000 digits the heads of E3 end two points above the published accuracy.",
        lambda out: abs(e3_score(out) - PUBLISHED - 0.02) < 0.005,
    ),
    Statement(
        "it names neither its learning rate nor its number of epochs",
        source="README E.",
    ),
    Statement("E5 says two things.", lambda out: "slow and worse" in out.text(VERDICTS)),
    Statement(
        'For "underperforms" look at the two intervals in its line.',
        lambda out: len(re.findall(r"\[", out.text(VERDICTS).splitlines()[-1])) == 2,
    ),
    Statement(
        "The first lies above zero: at our rate of 0.001 the CNN, softmax included, is better than "
        "E's MLP.",
        lambda out: interval_of_e5(out, 0)[0] > 0,
    ),
    Statement(
        "The second contains zero: whether at that rate it is better than MobileNetV2, these runs "
        "cannot tell.",
        lambda out: (
            interval_of_e5(out, 1)[0] < 0 < interval_of_e5(out, 1)[1]
            and {*stored_runs().of("E CNN")["learning_rate"]} == {0.001}
        ),
    ),
    Statement(
        "At a third of that rate it is, in the four runs that are stored, by about three tenths "
        "of a point (the head still at 0.001; [06_scoreboard](06_scoreboard.ipynb)), and README "
        "E names no rate.",
        lambda _: (
            len(stored_runs().of("E CNN 0.0003")) == 4
            and stored_runs().difference("E CNN 0.0003", "MobileNetV2 head", 0.975).low > 0
            and abs(stored_runs().difference("E CNN 0.0003", "MobileNetV2 head").mean - 0.003)
            < 0.0005
        ),
    ),
    Statement(
        "So E5 *depends on what the README does not say*.",
        lambda out: (
            out.text(VERDICTS)
            .splitlines()[-1]
            .endswith("  depends on what the README does not say")
        ),
    ),
    Statement(
        'For "too slow" look at the two costs.',
        lambda out: costs(out) == sorted(costs(out)),
    ),
    Statement(
        "The features make the first head expensive, and only the first: with features stored, "
        "another head trains in a moment.",
        lambda out: times(out)[1] < 5 and times(out)[1] < times(out)[0] / 10,
    ),
    # --- What we saw
    Statement(
        "reads digits well through one new linear layer, and better than the published 95.89 %",
        lambda out: head_interval(out)[0][1] > PUBLISHED and e3_score(out) > PUBLISHED,
    ),
    Statement(
        "After that, training a head takes seconds, and gives the same head.",
        lambda out: out["head training"] < 10 and says_true(SAME_HEAD, 3)(out),
    ),
    Statement(
        "A CNN of fifty thousand parameters, trained on digits alone, takes a fifth of "
        "MobileNetV2's arithmetic.",
        lambda out: (
            round(rows(out)[1]["parameters"], -3) == 50_000 and 0.17 < np.divide(*costs(out)) < 0.23
        ),
    ),
    Statement(
        "E's as published, at our rate, cannot be told apart from MobileNetV2's head in accuracy; "
        "without its second softmax it is about half a point better in the stored runs.",
        lambda out: (
            interval_of_e5(out, 1)[0] < 0 < interval_of_e5(out, 1)[1]
            and stored_runs().difference("E CNN corrected", "MobileNetV2 head").low > 0
            and 100 * stored_runs().difference("E CNN corrected", "MobileNetV2 head").mean > 0.4
            and 100 * stored_runs().difference("E CNN corrected", "MobileNetV2 head").mean < 0.6
        ),
    ),
    Statement(
        "[Yosinski et al. (2014)](https://arxiv.org/abs/1411.1792) ask how well the features "
        "of each layer carry over",
        source="How transferable are features in deep neural networks?, arXiv 1411.1792.",
    ),
]


def digits_are_split(out):
    splits = out.numbers("validation_size=2000", r"([\d,]+) (?:train|valid|test)")
    return splits == [58_000, 2_000, 10_000]


def hours_follow_from_the_seconds_of_an_epoch(out):
    seconds, count = out.numbers(SLOW, r"^([\d.]+) s for one epoch of (\d+)")
    hours = out.number(SLOW, r"^([\d.]+) hours")
    told = seconds_of_an_epoch(out)[0]
    return abs(seconds - told) < 0.051 and abs(hours - told / count * 300_000 / 3600) < 0.051


def batches_are_counted_and_their_losses_begin_at_that_of_a_guesser(out):
    counts, first = [number for number, *_ in losses(out)], losses(out)[0][1]
    return counts == list(range(1, 11)) and abs(first - math.log(10)) < 0.5


def time_for_features_is_that_of_their_rate(out):
    rate, seconds, count = out.numbers(SPEED, r"([\d,]+) digits a.* ([\d,]+) s for all ([\d,]+)")
    told = out.table(TABLE)["seconds for features, once"].iloc[0]
    shape = out.numbers(SPEED, r"training: \((\d+), (\d+)\)")
    return (
        (count, shape) == (24_000, [12_000, 1280])
        and abs(count / told - rate) < 0.6
        and abs(seconds - told) < 0.6
    )


def head_is_as_good_as_recorded(out):
    mean, low, high, n = out.numbers(HEAD, r"on test: (.+) % \[(.+), (.+)\] \(n = (\d+)\)")
    drawn = out.alt(HEAD)
    return (
        n == 3
        and abs(mean - 100 * out["MobileNetV2 head test accuracy"]) < 0.006
        and abs(mean - out.table(TABLE)["test accuracy in %"].iloc[0]) < 0.006
        and abs(low + high - 2 * mean) < 0.02
        and drawn.startswith("The head, epoch by epoch: train 0.8")
    )


def control_is_drawn_as_recorded(out):
    drawn = out.scores(CONTROL)
    return len(drawn) == 3 and all(
        abs(score.mean - 100 * out[f"linear on {name}"]) < 0.006
        and math.isclose(score.low + score.high, 2 * score.mean, abs_tol=0.02)
        for name, score in drawn.items()
    )


def table_shows_what_was_recorded_and_counted(out):
    mobilenet, cnn = (row for _, row in out.table(TABLE).iterrows())
    return (
        abs(cnn["test accuracy in %"] - 100 * out["E CNN corrected test accuracy"]) < 0.006
        and abs(mobilenet["seconds of training"] - out["head training"]) < 0.006
        and abs(cnn["seconds of training"] - out["E CNN corrected training"]) < 0.006
        and mobilenet["parameters"] == size(out)[0]
        and mobilenet["of those trained"] == out.number(FROZEN, r"trainable ([\d,]+)")
        and cnn["of those trained"] == cnn["parameters"] == 50_186
    )


FOLLOWS = [
    digits_are_split,
    hours_follow_from_the_seconds_of_an_epoch,
    batches_are_counted_and_their_losses_begin_at_that_of_a_guesser,
    time_for_features_is_that_of_their_rate,
    head_is_as_good_as_recorded,
    control_is_drawn_as_recorded,
    table_shows_what_was_recorded_and_counted,
]
