"""Bad calls are refused in the caller's words, and leave everything as it was."""

from __future__ import annotations

import math
import os
import re
from contextlib import suppress
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch.optim import lr_scheduler
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import ConcatDataset, DataLoader, Subset

import mnistkit as kit
from mnistkit.data import Digits
from mnistkit.models import build_model
from mnistkit.utils import validation as checks

NAN = float("nan")
STRANGE = [torch.nn.Parameter(torch.ones(1))]


def lbfgs(parameters, lr, weight_decay):
    return torch.optim.LBFGS(parameters, lr=lr)


class Bench:
    """What calls are made with: digits, a model, a batch of eight, and its probabilities."""

    def __init__(self, digits: Digits):
        self.digits = digits
        self.model = build_model("V0", seed=0)
        self.images, self.labels = digits.test.inputs()[:8], digits.test.labels[:8]
        self.probabilities = kit.make_predictions(self.model, self.images)

    def fit(self, *batch, model=None, **options):
        loader = [batch] if batch else self.digits.train.loader(32)
        options = {"epochs": 1, "progress": False, "threads": 1} | options
        return kit.fit(model or self.model, loader, **options)

    def grid(self, recipes=None, seeds=(0,), **options):
        recipes = {"V0": kit.Recipe("V0", epochs=1)} if recipes is None else recipes
        return kit.run_grid(recipes, seeds, self.digits, **({"jobs": 1} | options))


@pytest.fixture
def bench(easy_digits) -> Bench:
    return Bench(easy_digits)


def load(**options):
    return lambda _: kit.load_digits("sample", **options)


def fit(**options):
    return lambda b: b.fit(**options)


def build(name, **options):
    return lambda _: kit.build_model(name, **options)


class Pair(torch.nn.Linear):
    """A model that gives two things."""

    def __init__(self):
        super().__init__(784, 10)

    def forward(self, images):
        return super().forward(images.flatten(1)), images


def save(model, architecture="V0", test_accuracy=0.9, **extra):
    kit.save_checkpoint(model, "none.pt", architecture=architecture, test_accuracy=test_accuracy,
                        **extra)  # fmt: skip


RUNS = pd.DataFrame({"name": ["a", "b"], "seed": [0, 0], "validation_accuracy": [0.8, 0.9]})

# name of the mistake: the call, and what is said
BAD_CALLS = {
    # digits
    "a fraction to validate on": (load(validation_size=0.1), "validation_size is 0.1, expected a"),
    "a text for a size": (load(validation_size="10"), "validation_size is '10', expected a whole"),
    "fewer than none to validate on": (load(validation_size=-1), "validation_size is -1"),
    "a text for a limit": (load(limit="100"), "limit is '100', expected a whole number of 10"),
    "a limit below one a class": (load(limit=9), "limit is 9, expected a whole number of 10"),
    "True for a limit": (load(limit=True), "limit is True, expected"),
    "a text for a seed": (load(seed="a"), "seed is 'a', expected a whole number of 0 or more"),
    "no source": (lambda _: kit.load_digits(None), "unknown source None"),
    "an unknown source in order": (lambda _: kit.load_digits("auto", order=["foo"]), "order 'foo'"),
    "no source in order": (lambda _: kit.load_digits("auto", order=()), "order is empty"),
    "half a digit in a batch": (lambda b: b.digits.train.loader(0.5), "batch_size is 0.5"),
    "a split of other labels": (
        lambda b: kit.Split(b.digits.test.images, b.labels[:3]), "images and 3 labels: there must"
    ),
    "bytes normalised": (lambda b: kit.normalize(b.digits.test.images), "use to_float first"),
    "bytes made float": (lambda b: kit.normalize(255 * b.images), "use to_float on bytes"),
    "floats scaled again": (lambda b: kit.to_float(b.images), "expected uint8 images"),
    # training
    "no epoch": (fit(epochs=0), "epochs is 0, expected a whole number of 1 or more"),
    "half an epoch": (fit(epochs=1.5), "epochs is 1.5"),
    "a rate that is no number": (fit(learning_rate=NAN), "learning_rate is nan, expected a number"),
    "a rate without end": (fit(learning_rate=math.inf), "learning_rate is inf, expected a number"),
    "a rate in quotes": (fit(learning_rate="0.1"), "learning_rate is '0.1', expected a number"),
    "a penalty below 0": (fit(weight_decay=-1), "weight_decay is -1, expected a number at least 0"),
    "no loss": (fit(loss=None), "unknown loss None"),
    "smoothed labels with NLL": (fit(loss="nll", label_smoothing=0.1), "loss 'cross_entropy' only"),
    "a scheduler by name": (fit(scheduler="StepLR"), "scheduler is 'StepLR', expected a class"),
    "a scheduler that lacks something": (fit(scheduler=lr_scheduler.StepLR), "'step_size'"),
    "a scheduler that waits for a loss": (
        fit(scheduler=lr_scheduler.ReduceLROnPlateau), "waits for a loss"
    ),
    "a schedule that waits for a loss": (
        fit(scheduler=lambda o: lr_scheduler.ReduceLROnPlateau(o)), "waits for a loss"
    ),
    "a function that gives no schedule": (fit(scheduler=lambda o: None), "scheduler gives None"),
    "a schedule that ends too early": (
        fit(scheduler=lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=1),
            scheduler_step="batch"), "the scheduler ends after 1 of"
    ),
    "a loss that adds up": (
        fit(loss=torch.nn.CrossEntropyLoss(reduction="sum")), "reduction='sum', expected the mean"
    ),
    "a loss that gives a number": (fit(loss=lambda o, y: 1.0), "the loss gives a float, expected"),
    "an optimizer that wants to be asked": (fit(optimizer=torch.optim.LBFGS), "weight_decay"),
    "an augmentation of nothing": (fit(augment=lambda i: None), "augment gives a NoneType"),
    "a seed of more than 64 bits": (fit(seed=2**70), "expected a number of less than 64 bits"),
    "a model that gives two": (fit(model=Pair()), "the model gives a tuple, expected a tensor"),
    "a frozen model": (
        fit(model=kit.freeze(kit.build_model("V0"))), "all parameters of MNISTModelV0 are frozen"
    ),
    "an unknown device": (fit(device="quantum"), "device 'quantum' is none that is known"),
    "an unknown precision": (fit(precision="float16"), "did you mean 'bfloat16'"),
    "a seed below 0": (fit(seed=-1), "seed is -1, expected a whole number of 0 or more"),
    "an augmentation by name": (fit(augment="rotate"), "augment is 'rotate', expected a function"),
    "an augmentation that cuts": (fit(augment=lambda i: i[:, :, :9]), r"float32 32 x 1 x 9 x 28"),
    "no model": (lambda b: kit.fit(None, b.digits.train.loader()), "model is None, expected a tor"),
    "a model with nothing to learn": (fit(model=torch.nn.Flatten()), "Flatten has no parameters"),
    "a split for its batches": (
        lambda b: kit.fit(b.model, b.digits.train), "digits.train.loader"
    ),
    "a generator": (lambda b: kit.fit(b.model, (x for x in [1])), "train_loader is a generator"),
    "no batch": (lambda b: kit.fit(b.model, [], progress=False), "the loader gave no batches"),
    # batches
    "images without labels": (lambda b: b.fit(b.images), r"a batch is \(Tensor\), expected two"),
    "arrays": (
        lambda b: b.fit(b.images.numpy(), b.labels.numpy()), r"a batch is \(ndarray, ndarray\)"
    ),
    "bytes": (lambda b: b.fit((255 * b.images).byte(), b.labels), "inputs are bytes"),
    "floats to 255": (lambda b: b.fit(255 * b.images, b.labels), "images hold values up to 255"),
    "float64": (lambda b: b.fit(b.images.double(), b.labels), "inputs are float64, expected float"),
    "pixels that are no numbers": (lambda b: b.fit(NAN * b.images, b.labels), "are no numbers"),
    "pixels without end": (lambda b: b.fit(b.images + math.inf, b.labels), "are no numbers"),
    "a strip of an image": (
        lambda b: b.fit(b.images[:, :, :20], b.labels), "cannot compute with inputs float32 8 x 1"
    ),
    "three colours": (
        lambda b: b.fit(b.images.expand(-1, 3, -1, -1), b.labels, model=build_model("V2")),
        "MNISTModelV2 cannot compute with inputs float32 8 x 3 x 28 x 28",
    ),
    "a label too few": (lambda b: b.fit(b.images, b.labels[:7]), "8 inputs and 7 labels"),
    "labels with a point": (lambda b: b.fit(b.images, b.labels.float()), "labels are float32 8"),
    "one-hot labels": (
        lambda b: b.fit(b.images, torch.eye(10)[b.labels].long()), "labels are int64 8 x 10"
    ),
    "a label of ten": (
        lambda b: b.fit(b.images, torch.full((8,), 10)), "labels int64 8 from 10 to 10"
    ),
    "a label below 0": (lambda b: b.fit(b.images, b.labels - 100), "labels begin at -"),
    "one sample for batch norm": (
        lambda b: b.fit(b.images[:1], b.labels[:1], model=build_model("D deep"), loss="nll"),
        "batch norm needs two samples: choose another batch size",
    ),
    "a split to measure": (lambda b: kit.evaluate(b.model, b.digits.test), "come one by one: give"),
    "nothing to measure": (lambda b: kit.evaluate(b.model, []), "there is nothing to measure"),
    # predictions
    "a photo among samples": (
        lambda b: kit.make_predictions(b.model, "photo.png"), "for a photo use predict_image"
    ),
    "samples that are none": (lambda b: kit.make_predictions(b.model, None), "data is None"),
    "no samples": (lambda b: kit.make_predictions(b.model, []), "no samples were given"),
    "a name for a model": (lambda b: kit.make_predictions("V0", b.images), "model is 'V0'"),
    "samples with their labels": (
        lambda b: kit.make_predictions(b.model, [(b.images[0], 1)]), "give the images alone"
    ),
    "samples of two shapes": (
        lambda b: kit.make_predictions(b.model, [b.images[0], b.images[0, :, :20]]),
        "samples have different shapes",
    ),
    "samples that are no numbers": (
        lambda b: kit.make_predictions(b.model, NAN * b.images), "are no numbers"
    ),
    "samples to 255": (
        lambda b: kit.make_predictions(b.model, 255 * b.images), "images hold values up to 255"
    ),
    "samples too small": (
        lambda b: kit.make_predictions(b.model, b.images[:, :, :27, :27]), "8 x 1 x 27 x 27"
    ),
    # measures
    "labels too few": (lambda b: kit.accuracy(b.probabilities, b.labels[:3]), "8 predictions for"),
    "labels of other classes": (
        lambda b: kit.accuracy(b.probabilities, b.labels + 10), r"run from 1\d to 1\d, expected 0"
    ),
    "labels between classes": (
        lambda b: kit.accuracy(b.probabilities, b.labels + 0.5), "expected whole numbers"
    ),
    "predictions that are no numbers": (
        lambda b: kit.accuracy(NAN * b.probabilities, b.labels), "10 finite numbers a sample"
    ),
    "predictions of three classes": (
        lambda b: kit.confusion_matrix(b.probabilities[:, :3], b.labels), "float32 8 x 3"
    ),
    "a table that is not square": (lambda _: kit.most_confused(torch.ones(3, 4)), "3 x 4"),
    "fewer than none": (lambda _: kit.most_confused(torch.eye(10), top=-1), "top is -1"),
    "a level of 95": (lambda _: kit.interval_of_mean([0.1, 0.2], 95), "level is 95, expected"),
    "logits for probabilities": (
        lambda b: kit.reliability(b.probabilities.log(), b.labels), "are they logits"
    ),
    "probabilities too few": (
        lambda b: kit.calibration_table({"V0": b.probabilities[:3]}, b.labels), "each of 8 labels"
    ),
    "a column that is not there": (
        lambda _: kit.summarize(pd.DataFrame({"name": ["a"]})), "no column 'validation_accuracy'"
    ),
    # models
    "an option that is none": (build("A baseline", droput=0.2), "did you mean 'dropout'"),
    "a layer of nothing": (build("E MLP", hidden=(0,)), r"hidden is \(0,\), expected whole"),
    "one width without a list": (build("E MLP", hidden=12), "hidden is 12, expected whole numbers"),
    "dropout of all": (build("E MLP", dropout=1), "dropout is 1, expected a number at least 0 and"),
    "dropout in quotes": (build("E MLP", dropout="0.1"), "dropout is '0.1', expected a number"),
    "batch norm on layers that are none": (build("E MLP", batch_norm=9), "there are 1 hidden lay"),
    "no channels": (build("V2", hidden_units=0), "hidden_units is 0, expected a whole number"),
    "no dense unit": (build("E CNN", dense=0), "dense is 0, expected a whole number of 1 or more"),
    "two channels of three": (build("FastCNN", channels=(1, 2)), "expected 3 of them"),
    "convolutions beyond the picture": (build("CompactCNN", channels=[1] * 8), "expected 2 to 7"),
    "an ensemble of none": (build("CompactCNN ensemble", members=0), "members is 0"),
    "an unknown model in a table": (lambda _: kit.model_table(["V9"]), "did you mean 'V2'"),
    "a picture that does not fit": (
        lambda b: kit.layer_table(b.model, (1, 20, 20)), "float32 1 x 1 x 20 x 20"
    ),
    # changed images
    "a strength below 0": (lambda b: kit.corrupt(b.images, "noise", -1), "strength is -1, exp"),
    "a strength that is no number": (lambda b: kit.corrupt(b.images, "blur", NAN), "is nan, exp"),
    "bytes corrupted": (
        lambda b: kit.corrupt(b.digits.test.images[:3], "noise", 0.1), "expected float images"
    ),
    "an angle for each of others": (
        lambda b: kit.affine(b.images, degrees=torch.zeros(3)), "3 settings for 8 images"
    ),
    "an angle that is no number": (lambda b: kit.affine(b.images, degrees=NAN), "a setting is nan"),
    "a range below 0": (lambda b: kit.random_affine(b.images, degrees=-5), "degrees is -5, expect"),
    # grids
    "a seed twice": (lambda b: b.grid(seeds=[0, 0]), "seed 0 is there twice"),
    "seeds as a text": (lambda b: b.grid(seeds="01"), "seeds is '01', expected whole numbers"),
    "how many seeds": (lambda b: b.grid(seeds=3), "seeds is 3, expected whole numbers, such as"),
    "half a seed": (lambda b: b.grid(seeds=[0.5]), "a seed is 0.5"),
    "recipes without names": (lambda b: b.grid([kit.Recipe("V0")]), "recipes is a list, expected"),
    "a name for a recipe": (lambda b: b.grid({"a": "V0"}), "'a' is 'V0', expected a Recipe"),
    "no processes": (lambda b: b.grid(jobs=0), "jobs is 0, expected 1 or more, or -1"),
    "a typing error in the last recipe": (
        lambda b: b.grid({"a": kit.Recipe("V0"), "b": kit.Recipe("V0", optimizer="adm")}),
        "b: unknown optimizer 'adm'; did you mean 'adam'",
    ),
    "a name for digits": (
        lambda _: kit.run_grid({"a": kit.Recipe("V0")}, [0], "mnist"), "digits is 'mnist'"
    ),
    "features where images are": (
        lambda b: b.grid({"head": kit.Recipe("MobileNetV2 head", epochs=1)}),
        "cannot compute with inputs float32 64 x 1 x 28 x 28",
    ),
    "options in a row": (lambda _: kit.Recipe("V0", options=[1]), r"options is \[1\], expected"),
    "stacked nothing": (lambda b: kit.fit_stack([], b.digits.train.loader()), "no models were"),
    "a stack of names": (lambda b: kit.fit_stack(["V0"], b.digits.train.loader()), "model is 'V"),
    "a model twice in a stack": (
        lambda b: kit.fit_stack([b.model, b.model], b.digits.train.loader()), "in the list twice"
    ),
    "a stack of one": (lambda b: kit.fit_stack(b.model, b.digits.train.loader()), "is one model"),
    "a name for a recipe to repeat": (
        lambda b: kit.run_experiment("V0", [0], b.digits), "recipe is 'V0', expected a Recipe"
    ),
    "a split for digits": (
        lambda b: kit.trained_model(kit.Recipe("V0"), b.digits.train), "expected what load_digits"
    ),
    "runs against themselves": (
        lambda b: kit.paired_difference(RUNS, "a", "a"), "'a' is compared with itself"
    ),
    "runs compared by their names": (
        lambda b: kit.paired_difference(RUNS, "a", "b", "name"), "column 'name' holds no numbers"
    ),
    "an experiment without digits to measure on": (
        lambda b: kit.run_experiment(kit.Recipe("V0", epochs=10**9), range(9),
                                     replace(b.digits, validation=b.digits.validation[:0])),
        "there are no validation digits to measure on: give test=True",
    ),
    "so many threads": (
        lambda b: b.fit(b.images, b.labels, threads=200_000), "threads is 200000, expected 1 to "
    ),
    "a reliability without names": (
        lambda b: kit.plot_reliability(pd.DataFrame({"accuracy": [1.0]})),
        "by their model: ",
    ),
    "probabilities in a reliability's place": (
        lambda b: kit.plot_reliability({"a": torch.rand(8, 10)}), "is no table, expected a DataFr"
    ),
    "weights from nowhere": (
        lambda b: kit.load_state(b.model, None), "path is None, expected that of a file"
    ),
    "a model from nowhere": (
        lambda _: kit.load_model(None, trust=True), "path is None, expected that of a file"
    ),
    "a checkpoint of five": (lambda _: kit.load_checkpoint(5), "path is 5, expected that of a"),
    "words about three": (lambda _: kit.alt_text(3), "3 is no figure: give what a function"),
    "a photo to draw": (
        lambda _: kit.plot_image("d3.png"), "image is 'd3.png', .* a photo is read by find_digit"
    ),
    "rows to draw": (
        lambda _: kit.plot_images(torch.rand(3, 784)), r"rows of 784 numbers: give images.reshape"
    ),
    "disputed digits": (
        lambda b: kit.split_off_disputed(b.digits), "expected places of digits, such as"
    ),
    "counts that are none": (
        lambda _: kit.most_confused([[1.0, float("nan")], [3.0, 4.0]]), "the matrix holds nan"
    ),
    "a mean of names": (
        lambda b: kit.summarize(RUNS, "name"), "column 'name' holds no numbers"
    ),
    "a run twice in a table": (
        lambda b: kit.paired_difference(pd.concat([RUNS, RUNS]), "a", "b"), "stands in the table tw"
    ),
    "values of two axes": (lambda _: kit.interval_of_mean(np.eye(2)), "values have 2 axes"),
    "a deviation of nothing": (lambda b: kit.normalize(b.images, 0.0, 0.0), "std is 0.0, expected"),
    "a class to count": (lambda _: kit.count_parameters(kit.MNISTModelV0), "expected a torch.nn.M"),
    "a class to list": (lambda _: kit.layer_table(kit.MNISTModelV0), "expected a torch.nn.Module"),
    "a class to reckon": (lambda _: kit.count_operations(kit.MNISTModelV0), "expected a torch.nn"),
    "no classes for a head": (lambda _: kit.load_mobilenet("random", classes=0), "classes is 0"),
    "features of another": (lambda b: kit.extract_features(b.model, b.images), "has no features"),
    "a loader to predict": (
        lambda b: kit.make_predictions(b.model, b.digits.test.loader()), "loop over its batches"
    ),
    "a split for a DataLoader": (
        lambda b: next(iter(DataLoader(b.digits.test, 8))), r"DataLoader\(digits.train.dataset"
    ),
    "a split for a loader": (lambda b: kit.make_loader(b.digits.test), "take digits.train.loader"),
    "three splits for a loader": (lambda b: kit.make_loader(b.digits), "expected inputs with labe"),
    "a name for a loader": (lambda _: kit.make_loader("mnist"), "dataset is 'mnist', expected inp"),
    "datasets in a row": (
        lambda b: kit.make_loader(ConcatDataset([b.digits.test.dataset()] * 2)),
        "ConcatDataset gives no samples .* take a DataLoader for it",
    ),
    "a part of a dataset": (
        lambda b: kit.make_loader(Subset(b.digits.test.dataset(), [1, 2])), "Subset gives no sampl"
    ),
    "a column for `fit`'s own": (
        lambda b: b.fit(model=build_model("V0"), after_epoch=lambda _: {"train_loss": 0}),
        "which `fit` measures itself",
    ),
    "an optimizer of another": (
        lambda b: b.fit(optimizer=lambda p, lr, weight_decay: torch.optim.SGD(STRANGE, lr=lr)),
        "the optimizer holds none of the parameters of MNISTModelV0",
    ),
    "an optimizer that asks again": (lambda b: b.fit(optimizer=lbfgs), "LBFGS computes a loss sev"),
    "a schedule of another": (
        lambda b: b.fit(scheduler=lambda _: StepLR(torch.optim.SGD(STRANGE, lr=0.1), 1)),
        "changes the rates of another optimizer",
    ),
    "a loss without a gradient": (
        lambda b: b.fit(b.images, b.labels, loss=lambda o, y: o.detach().mean()),
        "is the output or the loss detached, or made a number",
    ),
    "training without gradients": (
        lambda b: torch.no_grad()(lambda: b.fit(b.images, b.labels))(), "train outside of `torch.no"
    ),
    "augmentation of normalised images": (
        lambda b: b.fit(kit.normalize(b.images), b.labels, augment=kit.random_affine),
        "augment and outliers need images in .* begin at -0.42: normalise afterwards",
    ),
    "a device that is not here": (lambda b: b.fit(device="mps"), "^device 'mps' is not here; use"),
    "rates of an array": (
        lambda b: kit.fit_stack([b.model], b.digits.train.loader(32, shuffle=True),
                                learning_rate=np.array([0.1, 0.2])), "2 values of learning_rate fo"
    ),
    "one number to shift by": (lambda b: kit.affine(b.images, shift=3), "shift is 3, expected two"),
    "labels too few for non-digits": (
        lambda b: kit.random_non_digits(b.images, b.labels[:3]), "8 images and 3 labels"
    ),
    "calibration of nothing": (lambda b: kit.calibration_table({}, b.labels), "by its name"),
    "a list of recipes": (
        lambda b: kit.trained_models([kit.Recipe("V0")], b.digits), "give them by name"
    ),
    "images in a list": (lambda _: kit.to_float([1, 2]), "images are a list, expected a tensor"),
    "lists to enlarge": (lambda _: kit.preprocess([1]), "images are a list, expected a tensor"),
    "lists to move": (lambda _: kit.random_affine([1]), "images are a list, expected a tensor"),
    "a list to undo": (lambda _: kit.unnormalize([1]), "images are a list, expected a tensor"),
    "one image to move": (lambda b: kit.random_affine(b.images[0]), "one image alone is a batch"),
    "lists for a split": (lambda b: kit.Split([[1]], b.labels[:1]), "images are a list, expected"),
    "arrays for a split": (
        lambda b: kit.Split(b.images.numpy(), b.labels), "images are a ndarray, expected a tensor"
    ),
    "a word for shuffle": (lambda b: b.digits.train.loader(8, shuffle="no"), "shuffle is 'no'"),
    "nothing to show": (lambda _: kit.show_figure(None), "None is no figure"),
    "one number of a mean": (lambda _: kit.interval_of_mean(0.9), "values are 0.9, expect"),
    "a word for values": (lambda _: kit.interval_of_mean("56"), "values are '56', expected a num"),
    "a missing value": (lambda _: kit.interval_of_mean([0.9, None]), "expected a number a run"),
    "a run counted twice": (lambda _: kit.summarize(pd.concat([RUNS] * 2)), "stands in the"),
    "predictions with a point": (
        lambda _: kit.accuracy(torch.tensor([1.0]), torch.tensor([1])), "predictions are float32 1"
    ),
    "yes and no for classes": (
        lambda _: kit.confusion_matrix([True], [False]), "labels are bool 1, expected whole"
    ),
    "a claim for claims": (lambda _: kit.print_verdicts("C1", "mnist"), r"a word: give a li"),
    "verdicts of nowhere": (lambda _: kit.print_verdicts(["C1"], "foo"), "unknown source 'foo'"),
    "a validation split": (
        lambda b: kit.fit(b.model, b.digits.train.loader(8), b.digits.validation),
        r"digits.validation.loader\(1000\)",
    ),
    "a history without epochs": (
        lambda b: kit.plot_history(pd.DataFrame({"train_loss": []})), "no epoch was finished"
    ),
    "a value misspelt": (
        lambda b: kit.plot_history(pd.DataFrame({"train_accuracy": [0.5]}), "acuracy"),
        "unknown value of a history 'acuracy'; did you mean 'accuracy'",
    ),
    "a number for a history": (lambda _: kit.plot_history(5), "5 is no history"),
    "a dict for scores": (lambda _: kit.plot_comparison({"a": 0.9}), "there are no scores to co"),
    "a label of no logit": (lambda _: kit.draw_softmax([1, 2, 3], 5), "label is 5, and there"),
    "one rate": (
        lambda b: kit.draw_descent(b.model, b.images, b.labels, rates=0.1), r"in a list, \[0.1\]"
    ),
    "an unknown activation": (lambda _: kit.draw_activations(["gelu"]), "unknown activation 'gel"),
    "no head to freeze": (
        lambda b: kit.draw_frozen(b.model, input_shape=(1, 28, 28)), "lacks the parts `features`"
    ),
    "classes of eleven": (
        lambda _: kit.plot_class_distribution({"a": [10, 11]}), "labels of 'a' run from 10 to 11"
    ),
    "values beyond the bins": (
        lambda _: kit.plot_histogram({"a": [1, 2, 50]}, xlabel="x", bins=[0, 1, 3]),
        "1 values lie outside of the bins, 0 to 3",
    ),
    "a number for images": (lambda _: kit.plot_images(7), "images is 7, expected images"),
    "a number to freeze": (lambda _: kit.freeze("x"), "model is 'x', expected a torch.nn.Module"),
    "no file of a model": (lambda _: kit.load_model("nope.pth"), "there is no file nope.pth"),
    "a photo among samples, opened": (
        lambda b: kit.make_predictions(b.model, [Image.new("L", (28, 28))]), "is read by predict_i"
    ),
    "a table of samples": (
        lambda b: kit.make_predictions(b.model, pd.DataFrame([[0.0]])), "data is a table"
    ),
    "calibration without names": (
        lambda b: kit.calibration_table(b.probabilities, b.labels), "of each model by its name"
    ),
    # saved
    "weights of another architecture": (
        lambda b: save(kit.build_model("V2", hidden_units=20), architecture="V2"),
        "not the weights of V2 .* is 20 x 1 x 3 x 3, expected 10 x 1 x 3 x 3",
    ),
    "an accuracy in percent": (lambda b: save(b.model, test_accuracy=98.0), "0.98 and not 98"),
    "a table in a checkpoint": (lambda b: save(b.model, runs=RUNS), "runs is a DataFrame, expect"),
    # pictures
    "no pixels": (lambda _: kit.find_digit(np.zeros((0, 0))), r"shape \(0,\)|shape \(0, 0\)"),
    "words for pixels": (lambda _: kit.find_digit(np.full((9, 9), "a")), "holds no pixels"),
    "bytes for a picture": (lambda _: kit.find_digit(b"x" * 9999), "a bytes of 9999 is no pict"),
    "nothing to draw": (lambda _: kit.plot_images([]), "no images were given to draw"),
    "titles too few": (lambda b: kit.plot_images(b.images, ["a"]), "1 titles for 8 images"),
    "a small matrix": (lambda _: kit.plot_confusion_matrix(np.eye(3)), "expected 10 x 10"),
    "no scores": (lambda _: kit.plot_comparison(pd.DataFrame()), "there are no scores to compare"),
    "no values": (lambda _: kit.plot_histogram({"a": []}, xlabel="x"), "'a' has no values to draw"),
    "no digits": (lambda _: kit.plot_class_distribution({"a": []}), "'a' has no labels to draw"),
    "a history of nothing": (lambda _: kit.plot_history(pd.DataFrame()), "the history is empty"),
    "labels too few to draw": (
        lambda b: kit.plot_predictions(b.images, b.labels[:3], b.labels), "8 images, 3 labels, 8 pr"
    ),
    "no picture": (lambda _: kit.find_digit(None), "None is no picture; give a file"),
    "a number that is none": (lambda _: kit.record("mnist", accuracy={"x": NAN}), "x is nan"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", BAD_CALLS)
def test_a_bad_call_is_named_and_changes_nothing(mistake, bench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call, message = BAD_CALLS[mistake]
    before = {name: weights.clone() for name, weights in bench.model.state_dict().items()}
    digest, threads = digest_of(bench.digits), torch.get_num_threads()
    with pytest.raises((ValueError, kit.errors.MnistkitError), match=message):
        call(bench)
    assert all(torch.equal(before[name], w) for name, w in bench.model.state_dict().items())
    assert bench.model.training
    assert torch.get_num_threads() == threads
    assert digest_of(bench.digits) == digest
    assert os.listdir(tmp_path) == []


def digest_of(digits: Digits) -> str:
    return Digits(digits.train, digits.validation, digits.test, digits.source).digest


@pytest.mark.parametrize(
    "kind",
    ["tensor", "list", "array", "one", "one without channel", "float64", "float16", "nested list"],
)
def test_samples_of_any_kind_give_the_same_answer(bench, kind):
    images = bench.images
    given = {
        "tensor": images,
        "list": list(images),
        "array": images.numpy(),
        "one": images[0],
        "one without channel": images[0, 0],
        "float64": images.double(),
        "float16": images.half(),
        "nested list": images[0].tolist(),
    }[kind]
    answer = kit.make_predictions(bench.model, given)
    tolerance = 1e-3 if kind == "float16" else 1e-6
    assert torch.allclose(answer, bench.probabilities[: len(answer)], atol=tolerance)
    assert len(answer) == (1 if kind.startswith(("one", "nested")) else 8)


def test_a_batch_larger_than_the_data_is_one_batch(bench):
    history = kit.fit(bench.model, bench.digits.train.loader(10**6), epochs=1)
    assert len(history.rows) == 1


def test_one_sample_can_be_learned(bench):
    history = bench.fit(bench.images[:1], bench.labels[:1], epochs=30, learning_rate=0.01)
    assert history.last["train_accuracy"] == 1.0


def test_a_model_that_has_diverged_is_not_measured(bench):
    with torch.no_grad():
        bench.model.layers[1].weight.fill_(NAN)
    with pytest.raises(kit.errors.TrainingError, match="batch 1: the loss is nan"):
        kit.evaluate(bench.model, bench.digits.test.loader(64))


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just([]),
    st.integers(2**63 - 2, 2**64), st.complex_numbers(), st.binary(max_size=3),
    st.just(np.int64(3)), st.just(np.float32(0.5)),
)  # fmt: skip


@given(ANYTHING, st.integers(-3, 20))
def test_a_whole_number_is_one_or_is_refused(value, least):
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if whole and least <= value < 2**63:
        checked = checks.check_whole("x", value, least)
        assert (type(checked), checked) == (int, value)
    else:
        wanted = "a number of less than 64 bits" if whole and value > least else "a whole number"
        with pytest.raises(ValueError, match=re.escape(f"x is {value!r}, expected {wanted}")):
            checks.check_whole("x", value, least)


@given(ANYTHING, st.floats(-2, 2), st.floats(-2, 2))
def test_a_number_lies_within_its_bounds_or_is_refused(value, least, below):
    real = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if real and math.isfinite(value) and least <= value < below:
        assert checks.check_number("x", value, least=least, below=below) == value
    else:
        with pytest.raises(ValueError, match=re.escape(f"x is {value!r}, expected a number")):
            checks.check_number("x", value, least=least, below=below)


_FEW = kit.load_digits("sample", limit=20)
TINY = Digits(_FEW.train, _FEW.validation, _FEW.test, "tiny")


@given(
    st.sampled_from(["epochs", "batch_size", "learning_rate", "weight_decay", "averaging",
                     "label_smoothing", "optimizer", "loss", "scheduler", "scheduler_step",
                     "precision", "normalized", "model", "options", "augment"]),
    ANYTHING,
)  # fmt: skip
def test_a_recipe_with_anything_in_it_is_checked_or_refused(field, value):
    """What is not refused at once can be trained: nothing is left to fail in the middle."""
    try:
        recipe = kit.Recipe(**({"model": "V0", "epochs": 1, "batch_size": 10} | {field: value}))
        recipe.check()
    except ValueError:  # UnknownNameError is one, too
        return
    if recipe.epochs <= 3:
        with suppress(kit.errors.TrainingError):  # it diverges, and says so
            _, history = kit.train_recipe(recipe, TINY, device="cpu", progress=False, threads=1)
            assert len(history.rows) == recipe.epochs


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.booleans())
def test_any_shape_is_computed_or_explained(shape, double):
    images = torch.zeros(*shape, dtype=torch.float64 if double else torch.float32)
    told = "MNISTModelV0 cannot compute with inputs float32|give a list, also of one sample"
    with pytest.raises(ValueError, match=told):
        kit.make_predictions(build_model("V0", seed=0), images)


def test_partial_schedulers_are_taken(bench):
    bench.fit(scheduler=partial(lr_scheduler.StepLR, step_size=1))
