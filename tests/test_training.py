"""Training learns, repeats, and says when it cannot go on."""

from __future__ import annotations

import copy
import functools
import random
import sys
from contextlib import suppress
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR, StepLR
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    RandomSampler,
    TensorDataset,
)

from mnistkit.data import make_loader
from mnistkit.errors import TrainingError
from mnistkit.models import MLP, build_model
from mnistkit.prediction import make_predictions
from mnistkit.training import (
    OPTIMIZERS,
    OUTLIER_WEIGHT,
    History,
    RunningMean,
    evaluate,
    fit,
    smooth_labels,
    train_one_epoch,
    train_step,
)


def loaders(digits, batch_size=32):
    return digits.train.loader(batch_size, shuffle=True), digits.validation.loader(64)


def fit_once(digits, seed=0, name="E MLP", **options):
    model = build_model(name, seed=seed)
    return model, fit(model, *loaders(digits), seed=seed, device="cpu", **{"epochs": 2} | options)


class Fixed(nn.Module):
    """Answers with its inputs: accuracy and loss can be worked out by hand."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, logits):
        return logits + 0 * self.unused


def test_last_short_batch_counts_by_its_size():
    # Batches of 2: right, right | wrong. 2 of 3, not the mean of 1.0 and 0.0.
    logits = torch.full((3, 10), -50.0)
    logits[[0, 1, 2], [4, 5, 6]] = 50.0
    loader = make_loader(TensorDataset(logits, torch.tensor([4, 5, 0])), 2)
    result = evaluate(Fixed(), loader)
    assert result.accuracy == pytest.approx(2 / 3)
    assert result.loss == pytest.approx(100 / 3)
    assert result.count == 3


@pytest.mark.parametrize("name", ["V0", "E MLP", "D deep", "V2", "E CNN corrected"])
def test_models_learn_easy_digits(easy_digits, name):
    loss = "nll" if name == "D deep" else "cross_entropy"
    rate = {"optimizer": "sgd", "learning_rate": 0.1} if name in ("V0", "V2") else {}
    model, history = fit_once(easy_digits, name=name, epochs=6, loss=loss, **rate)
    assert history.frame["train_loss"].iloc[-1] < history.frame["train_loss"].iloc[0]
    assert evaluate(model, easy_digits.test.loader(64), loss).accuracy > 0.95


def test_same_seed_repeats_bit_for_bit_and_another_does_not(easy_digits):
    def weights(seed):
        model, _ = fit_once(easy_digits, seed, "D deep", loss="nll")
        return model.layers[1].weight

    assert torch.equal(weights(5), weights(5))
    assert not torch.equal(weights(5), weights(6))


def test_a_used_loader_gives_the_same_run_as_a_new_one(easy_digits):
    train, validation = loaders(easy_digits)
    runs = [
        fit(build_model("E MLP", seed=1), train, validation, epochs=1, device="cpu")
        for _ in range(2)
    ]
    assert runs[0].last["train_loss"] == runs[1].last["train_loss"]


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int32, torch.uint8])
def test_labels_in_narrow_whole_numbers_are_classes_too(easy_digits, dtype):
    images, labels = easy_digits.train.inputs()[:100], easy_digits.train.labels[:100]
    found = [
        fit(build_model("V0", seed=1), DataLoader(TensorDataset(images, given), 50),
            DataLoader(TensorDataset(images, given), 50), epochs=1, device="cpu").last
        for given in (labels, labels.to(dtype))
    ]  # fmt: skip
    assert found[0] | {"seconds": 0} == found[1] | {"seconds": 0}


def test_history_has_a_row_an_epoch(easy_digits):
    _, history = fit_once(easy_digits, epochs=3)
    assert history.frame.index.tolist() == [1, 2, 3]
    assert set(history.frame.columns) == {
        "train_loss", "train_accuracy", "validation_loss", "validation_accuracy",
        "learning_rate", "seconds",
    }  # fmt: skip
    assert not history.interrupted


def test_validation_may_be_left_out(easy_digits):
    history = fit(build_model("V0"), easy_digits.train.loader(64), epochs=1)
    assert "validation_loss" not in history.frame


def test_scheduler_is_stepped_each_epoch(easy_digits):
    def halve(optimizer):
        return StepLR(optimizer, step_size=1, gamma=0.5)

    _, history = fit_once(easy_digits, epochs=3, learning_rate=0.004, scheduler=halve)
    assert history.frame["learning_rate"].tolist() == pytest.approx([0.004, 0.002, 0.001])


def test_weight_decay_reaches_the_optimizer(easy_digits):
    light, _ = fit_once(easy_digits)
    heavy, _ = fit_once(easy_digits, weight_decay=1.0)
    assert heavy.layers[1].weight.norm() < 0.8 * light.layers[1].weight.norm()


def test_log_softmax_with_nll_is_cross_entropy(easy_digits):
    _, logits = fit_once(easy_digits, name="A baseline")
    model = build_model("A baseline", seed=0, log_softmax=True)
    history = fit(model, *loaders(easy_digits), epochs=2, loss="nll", device="cpu")
    assert history.last["train_loss"] == pytest.approx(logits.last["train_loss"], rel=1e-4)


def test_loss_that_is_no_number_names_epoch_and_batch(easy_digits):
    images, labels = easy_digits.train.inputs(), easy_digits.train.labels
    images[70] = float("nan")  # in batches of 32, in order: the third
    loader = make_loader(TensorDataset(images, labels), 32)
    with pytest.raises(TrainingError, match=r"epoch 1, batch 3: the loss is nan") as caught:
        fit(build_model("V0"), loader, epochs=2)
    assert "lower the learning rate" in str(caught.value)


def test_nan_after_many_batches_is_counted_from_the_first(easy_digits):
    images, labels = easy_digits.train.inputs(), easy_digits.train.labels
    images[571] = float("inf")
    loader = make_loader(TensorDataset(images, labels), 2)
    with pytest.raises(TrainingError, match=r"epoch 1, batch 286: the loss is nan"):
        fit(build_model("V0"), loader, epochs=1)


def test_interrupting_returns_the_history_so_far_to_somebody_at_a_prompt(
    easy_digits, capsys, monkeypatch
):
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    batches = []

    def stop_in_the_third_epoch(images):  # 600 digits in batches of 32 are 19 batches
        batches.append(len(images))
        if len(batches) == 2 * 19 + 5:
            raise KeyboardInterrupt
        return images

    _, history = fit_once(easy_digits, epochs=5, augment=stop_in_the_third_epoch)
    assert history.interrupted
    assert len(history.rows) == 2
    assert "2 of 5 epochs are in the history" in capsys.readouterr().out


def test_interrupting_ends_a_script_that_would_save_half_a_model(easy_digits, monkeypatch):
    monkeypatch.delattr(sys, "ps1", raising=False)
    model = build_model("V0", seed=0)
    before = model.layers[1].weight.detach().clone()

    def stop(outputs):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(model, easy_digits.train.loader(32), epochs=2, after_epoch=stop)
    assert not torch.equal(model.layers[1].weight, before), "an epoch was trained"


def test_interrupting_before_the_first_batch_returns_an_empty_history(
    easy_digits, capsys, monkeypatch
):
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)

    def stop(*_, **__):  # making an optimiser imports more of PyTorch, which takes seconds
        raise KeyboardInterrupt

    _, history = fit_once(easy_digits, epochs=5, optimizer=stop)
    assert history.interrupted
    assert history.rows == []
    assert "0 of 5 epochs are in the history" in capsys.readouterr().out


def test_evaluate_restores_the_mode_and_changes_nothing(easy_digits):
    model = build_model("D deep", seed=0).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    evaluate(model, easy_digits.test.loader(64), "nll")
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_the_seed_decides_dropout_and_the_callers_state_does_not(easy_digits):
    def weights(seed: int, state: int) -> torch.Tensor:
        model = build_model("A baseline", seed=0, dropout=0.5)
        torch.manual_seed(state)
        fit(model, easy_digits.train.loader(50), epochs=1, seed=seed, progress=False)
        return torch.cat([value.flatten() for value in model.parameters()])

    first = weights(seed=1, state=0)
    assert torch.equal(weights(seed=1, state=5), first)
    assert not torch.equal(weights(seed=2, state=0), first)


def test_dropout_is_off_when_measured(easy_digits):
    model = MLP((50,), dropout=0.9)
    results = {evaluate(model, easy_digits.test.loader(64)).loss for _ in range(3)}
    assert len(results) == 1


def test_train_one_epoch_calls_back_after_each_batch(easy_digits):
    model = build_model("V0")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    seen = []
    result = train_one_epoch(
        model, easy_digits.train.loader(250), nn.CrossEntropyLoss(), optimizer,
        after_batch=[lambda: seen.append("first"), lambda: seen.append("then")],
    )  # fmt: skip
    assert seen == 3 * ["first", "then"]
    assert result.count == 600


def test_bfloat16_keeps_weights_in_float32(easy_digits):
    model, history = fit_once(easy_digits, name="V2", precision="bfloat16")
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert history.last["train_loss"] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adm"}, "unknown optimizer 'adm'; did you mean 'adam'"),
        ({"loss": "mse"}, "unknown loss 'mse'"),
        ({"precision": "half"}, "unknown precision 'half'"),
        ({"epochs": 0}, "epochs is 0"),
        ({"epochs": 1.5}, "epochs is 1.5"),
        ({"learning_rate": 0}, "learning_rate is 0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"averaging": 1}, "averaging is 1, expected a number at least 0 and less than 1"),
        ({"label_smoothing": -0.1}, "label_smoothing is -0.1"),
        ({"label_smoothing": 0.1, "loss": "nll"}, "goes with the loss 'cross_entropy' only"),
    ],
)
def test_bad_arguments_are_named(easy_digits, options, message):
    with pytest.raises(ValueError, match=message):
        fit_once(easy_digits, **options)


def test_empty_loader_is_named():
    with pytest.raises(ValueError, match="the loader gave no batches"):
        evaluate(build_model("V0"), [])


def test_a_scheduler_moves_on_after_each_batch_if_told(easy_digits):
    halving = partial(StepLR, step_size=1, gamma=0.5)
    rates = {}
    for step in ("epoch", "batch"):
        optimizers = []

        def schedule(optimizer, optimizers=optimizers):
            optimizers.append(optimizer)
            return halving(optimizer)

        fit_once(easy_digits, scheduler=schedule, scheduler_step=step, learning_rate=0.5)
        rates[step] = optimizers[0].param_groups[0]["lr"]
    # 600 digits in batches of 32 are 19 batches; two epochs
    assert rates == {"epoch": 0.5**3, "batch": 0.5**39}


@pytest.mark.parametrize(("step", "steps"), [("batch", 190), ("epoch", 10)])
def test_one_cycle_is_stretched_over_the_training(easy_digits, step, steps):
    made, rates = [], []

    def cycle(optimizer, max_lr=0.1, total_steps=None, epochs=None):
        made.append(OneCycleLR(optimizer, max_lr, total_steps=total_steps, epochs=epochs))
        return made[0]

    def note(images):
        rates.append(made[0].get_last_lr()[0])
        return images

    fit_once(easy_digits, scheduler=cycle, scheduler_step=step, augment=note, epochs=10)
    assert made[0].total_steps == steps
    assert rates[0] == pytest.approx(0.1 / 25)
    assert max(rates) > 0.05
    assert rates[-1] == pytest.approx(0.1 / 25e4)  # the last batch is at the cycle's end


def test_one_cycle_with_its_own_length_keeps_it(easy_digits):
    rates = []
    cycle = partial(OneCycleLR, max_lr=0.1, total_steps=1000)

    def watched(optimizer):
        rates.append(cycle(optimizer))
        return rates[0]

    fit_once(easy_digits, scheduler=watched, scheduler_step="batch")
    assert rates[0].total_steps == 1000


def test_augmenting_changes_training_batches_and_no_others(easy_digits):
    seen = []

    def blank(images):
        seen.append(tuple(images.shape))
        return torch.zeros_like(images)

    _, history = fit_once(easy_digits, augment=blank, epochs=3)
    # 600 training digits in batches of 32, three times; validation is seen as it is
    assert seen == 3 * [*18 * [(32, 1, 28, 28)], (24, 1, 28, 28)]
    assert history.last["train_accuracy"] < 0.2
    assert history.last["train_loss"] > 2.2
    _, plain = fit_once(easy_digits, augment=lambda images: images, epochs=3)
    assert plain.frame["validation_loss"].tolist() == (
        fit_once(easy_digits, epochs=3)[1].frame["validation_loss"].tolist()
    )


def test_outliers_are_held_for_any_class_and_count_in_no_mean(easy_digits):
    seen, augmented = [], []
    black = torch.ones(8, 1, 28, 28)

    def all_ink(images, labels):
        seen.append((len(images), len(labels)))
        assert images.max() == 1, "they are made of the images as they are"
        return black

    def count(images):
        augmented.append(len(images))
        return 0.9 * images

    sure, _ = fit_once(easy_digits, epochs=6)
    unsure, history = fit_once(easy_digits, epochs=6, outliers=all_ink, augment=count)
    assert seen == 6 * [*18 * [(32, 32)], (24, 24)]
    assert augmented == [many for many, _ in seen], "outliers are not augmented"
    assert history.last["train_accuracy"] > 0.95  # of the digits alone
    most = [make_predictions(model, black).max().item() for model in (sure, unsure)]
    assert most[1] < 0.15 < most[0]
    digits = easy_digits.validation.inputs()
    assert make_predictions(unsure, digits).max(dim=1).values.mean() > 0.5


def test_a_step_drives_outliers_towards_equal_probabilities():
    class Shifted(nn.Module):
        def __init__(self):
            super().__init__()
            self.bias = nn.Parameter(torch.zeros(10))

        def forward(self, logits):
            return logits + self.bias

    model, logits = Shifted(), torch.zeros(3, 10)
    logits[:, 0] = 4.0
    outputs, loss = train_step(
        model, logits[:2], torch.tensor([0, 0]), lambda outputs, _: 7 + 0 * outputs.sum(),
        torch.optim.SGD(model.parameters(), lr=1.0), torch.autocast("cpu", enabled=False),
        outliers=logits[2:],
    )  # fmt: skip
    assert (outputs.shape, loss.item()) == ((2, 10), 7.0)  # the loss is of the digits alone
    gradient = OUTLIER_WEIGHT * (logits[2].softmax(dim=0) - 0.1)
    torch.testing.assert_close(model.bias.detach(), -gradient)


def test_outliers_need_logits(easy_digits):
    with pytest.raises(ValueError, match="outliers need a model that gives logits, and this gives"):
        fit(build_model("E CNN"), *loaders(easy_digits), epochs=1, outliers=lambda x, y: x)


def test_label_smoothing_is_for_training_only():
    # A sure and right answer: its loss is 0, and with a tenth of the weight spread over ten
    # classes 0.9 of it and 0.1 x 0.9 x 100, since the nine others have logits 100 lower.
    logits = torch.full((8, 10), -50.0)
    logits[:, 3] = 50.0
    loader = make_loader(TensorDataset(logits, torch.full((8,), 3)), 4)
    history = fit(Fixed(), loader, loader, epochs=1, label_smoothing=0.1, precision="float32")
    assert history.last["train_loss"] == pytest.approx(9.0)
    assert history.last["validation_loss"] == pytest.approx(0, abs=1e-6)


def test_averaging_ends_with_the_mean_of_the_weights(easy_digits):
    steps, averaged = [], []

    def note(images):  # before each batch: what the batch before has left
        steps.append(model.layers[1].weight.detach().clone())
        return images

    model = build_model("E MLP", seed=0)
    history = fit(
        model, *loaders(easy_digits, 300), epochs=2, averaging=0.9, augment=note, device="cpu",
        after_epoch=lambda m: averaged.append(m.layers[1].weight.detach().clone()) or {},
    )  # fmt: skip
    # Of four steps: the first, then 0.2, 0.25 and 4 / 13 of the mean before.
    mean = steps[1] + (steps[2] - steps[1]) * 9 / 11
    torch.testing.assert_close(averaged[0], mean)
    torch.testing.assert_close(model.layers[1].weight.detach(), averaged[1])
    assert not torch.equal(averaged[1], steps[3])
    shown = evaluate(model, easy_digits.validation.loader(64)).loss
    assert history.last["validation_loss"] == pytest.approx(shown)


def test_an_interrupted_average_is_kept(easy_digits, monkeypatch):
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    seen = []

    def stop_at_the_end(model):
        seen.append(model.layers[1].weight.detach().clone())
        if len(seen) == 2:
            raise KeyboardInterrupt
        return {}

    model, history = fit_once(easy_digits, averaging=0.99, epochs=5, after_epoch=stop_at_the_end)
    assert history.interrupted
    assert torch.equal(model.layers[1].weight, seen[1])


def test_an_unknown_scheduler_step_is_named(easy_digits):
    with pytest.raises(ValueError, match="unknown scheduler_step 'batches'; did you mean 'batch'"):
        fit_once(easy_digits, scheduler_step="batches")


def test_what_after_epoch_returns_joins_the_row(easy_digits):
    seen = []
    _, history = fit_once(
        easy_digits, after_epoch=lambda m: {"weights": len(seen.append(m) or seen)}
    )
    assert [row["weights"] for row in history.rows] == [1, 2]
    assert isinstance(seen[0], MLP)


# --- means over samples ---------------------------------------------------------------------


def batch(size: int, loss: float, right: int):
    """Outputs of `size` samples, of which `right` are right."""
    outputs = torch.zeros(size, 10)
    outputs[:, 1] = 1
    labels = torch.full((size,), 2)
    labels[:right] = 1
    return outputs, labels, torch.tensor(loss)


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 30)), min_size=1, max_size=130))
def test_it_is_a_mean_over_samples_not_over_batches(sizes):
    mean, total, hits = RunningMean(), 0.0, 0
    for number, (size, right) in enumerate(sizes):
        mean.add(*batch(size, float(number), min(size, right)))
        total, hits = total + number * size, hits + min(size, right)
    result, count = mean.result(), sum(size for size, _ in sizes)
    assert result.count == count
    assert result.accuracy == hits / count
    assert result.loss == pytest.approx(total / count)


@pytest.mark.parametrize("lost", [1, 49, 50, 51, 120, 130])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_lost_number_is_named_by_its_batch(lost, value):
    mean = RunningMean()

    def add_all():
        for number in range(1, 131):
            mean.add(*batch(2, value if number == lost else 1.0, 1))
        mean.result()

    with pytest.raises(TrainingError, match=f"^batch {lost}: the loss is {value}"):
        add_all()


def test_it_stops_soon_after_a_lost_number():
    mean, added = RunningMean(), []

    def add_all():
        for number in range(1000):
            added.append(number)
            mean.add(*batch(2, float("nan"), 1))

    with pytest.raises(TrainingError):
        add_all()
    assert len(added) <= 50


@pytest.mark.parametrize("lost", [1, 50, 70])
def test_a_member_of_a_stack_that_lost_its_number_is_named(lost):
    mean, sound = RunningMean(), torch.ones(3)
    outputs, labels, _ = batch(2, 1.0, 1)

    def add_all():
        for number in range(1, 101):
            losses = torch.tensor([1.0, 1.0, float("nan")]) if number == lost else sound
            mean.add(outputs.expand(3, 2, 10), labels, losses)

    with pytest.raises(TrainingError, match=f"^batch {lost}: the loss of member 2 is nan"):
        add_all()


def test_members_of_a_stack_have_means_of_their_own():
    mean = RunningMean()
    for size, right in ((4, (1, 4)), (2, (2, 0))):
        parts = [batch(size, 0.5 + member, hits) for member, hits in enumerate(right)]
        mean.add(*(torch.stack(each) for each in zip(*parts, strict=True)))
    one, other = mean.results()
    assert (one.accuracy, other.accuracy) == (3 / 6, 4 / 6)
    assert (one.loss, other.loss, one.count) == (0.5, 1.5, 6)


def test_no_batches_are_named():
    with pytest.raises(ValueError, match="the loader gave no batches"):
        RunningMean().result()


# --- what callers give in its place ------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (lambda d: d.train, "a split of digits; give batches of one: digits.train.loader"),
        (lambda d: d, "digits in three splits; give batches of one: digits.train.loader"),
        (lambda d: d.train.dataset(), "ImageDataset, one sample after the other; .*DataLoader"),
        (lambda d: (d.train.inputs(), d.train.labels), "holds samples themselves; .*TensorDataset"),
        (lambda d: d.train.inputs(), "holds samples themselves; .*TensorDataset"),
        (lambda d: [d.train.inputs().numpy()], "holds samples themselves; .*TensorDataset"),
        (lambda d: iter([]), "expected a DataLoader"),
    ],
)
def test_what_is_no_loader_is_told_how_to_be_one(easy_digits, given, told):
    with pytest.raises(ValueError, match=f"train_loader (is|holds) .*{told}|train_loader {told}"):
        fit(build_model("V0"), given(easy_digits))


def test_a_list_of_batches_is_a_loader(easy_digits):
    batches = list(easy_digits.train.loader(50))
    assert len(fit(build_model("V0"), batches, epochs=1, progress=False).rows) == 1


def test_what_is_built_too_early_is_told_how_fit_builds_it(easy_digits):
    model, loader = build_model("V0"), easy_digits.train.loader(50)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with pytest.raises(ValueError, match=r"optimizer=torch\.optim\.SGD, learning_rate=0\.05"):
        fit(model, loader, optimizer=optimizer)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    with pytest.raises(ValueError, match=r"has its optimizer already; .*partial\(StepLR"):
        fit(model, loader, scheduler=schedule)
    with pytest.raises(ValueError, match=r"the class NLLLoss; give one of it: NLLLoss\(\)"):
        fit(model, loader, loss=torch.nn.NLLLoss)


def test_a_model_with_too_few_outputs_is_told_so(easy_digits):
    nine = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 9))
    for call in (fit, evaluate):
        with pytest.raises(ValueError, match="bounds; it has fewer outputs than there are classes"):
            call(nine, easy_digits.test.loader(100))


def test_optimizers_have_the_settings_that_they_are_named_for():
    weight = [torch.nn.Parameter(torch.zeros(1))]
    made = {name: build(weight, lr=0.1) for name, build in OPTIMIZERS.items()}
    assert [type(each).__name__ for each in made.values()] == [
        "SGD", "SGD", "Adam", "AdamW", "RMSprop"
    ]  # fmt: skip
    plain, nesterov = made["sgd"].defaults, made["nesterov"].defaults
    assert (plain["momentum"], plain["nesterov"]) == (0, False)
    assert (nesterov["momentum"], nesterov["nesterov"]) == (0.9, True)


class Views(torch.nn.Module):
    """As many write it: `view`, which maps that are stored channels last do not take."""

    def __init__(self):
        super().__init__()
        self.conv, self.last = torch.nn.Conv2d(1, 4, 3), torch.nn.Linear(4 * 26 * 26, 10)

    def forward(self, images):
        return self.last(self.conv(images).relu().view(len(images), -1))


@pytest.mark.parametrize("kind", ["batches", "dataloader", "list"])
def test_a_model_that_views_its_maps_is_trained_and_stays_usable(easy_digits, kind):
    loader = easy_digits.train.loader(32)
    if kind != "batches":
        loader = DataLoader(easy_digits.train.dataset(), 32)
    if kind == "list":
        loader = list(loader)
    model = Views()
    history = fit(model, loader, epochs=1, averaging=0.9, progress=False)
    assert history.last["train_accuracy"] > 0
    assert model(torch.rand(2, 1, 28, 28)).shape == (2, 10)
    other = build_model("V2", seed=0)
    fit(other, loader, epochs=1, progress=False)
    assert not other.block_1[2].weight.is_contiguous() or kind == "none"


def test_layers_in_eval_mode_stay_so(easy_digits):
    body = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.BatchNorm1d(784))
    model = torch.nn.Sequential(body, torch.nn.Linear(784, 10), torch.nn.Dropout(0.1))
    body.requires_grad_(False).eval()
    before = copy.deepcopy(body.state_dict())
    batches = easy_digits.train.loader(32)
    evaluate(model, batches)
    assert [layer.training for layer in (model, body, body[1], model[2])] == [True, False, False,
                                                                             True]  # fmt: skip
    fit(model, batches, batches, epochs=1, progress=False)
    assert all(torch.equal(before[name], value) for name, value in body.state_dict().items())
    model.eval()
    fit(model, batches, epochs=1, progress=False)
    assert body.training, "a model that is in eval mode as a whole is trained as a whole"


def test_a_loaders_own_generator_comes_back_as_it_was(easy_digits):
    generator = torch.Generator().manual_seed(42)
    loader = DataLoader(easy_digits.train.dataset(), 32, shuffle=True, generator=generator)
    before = generator.get_state()
    first = fit(build_model("V0", seed=0), loader, epochs=1, progress=False)
    assert torch.equal(generator.get_state(), before)
    torch.rand(3, generator=generator)
    again = fit(build_model("V0", seed=0), loader, epochs=1, progress=False)
    assert again.last["train_loss"] == first.last["train_loss"]


def test_what_gives_no_rows_is_named(easy_digits):
    class Pair(torch.nn.Linear):
        def forward(self, images):
            return super().forward(images.flatten(1)), images

    batches = easy_digits.train.loader(32)
    with pytest.raises(ValueError, match="the model gives a tuple, expected a tensor"):
        evaluate(Pair(784, 10), batches)
    with pytest.raises(ValueError, match="the model gives a tuple, expected a tensor"):
        make_predictions(Pair(784, 10), torch.rand(2, 1, 28, 28))
    losses = functools.partial(torch.nn.functional.cross_entropy, reduction="none")
    with pytest.raises(ValueError, match="the loss gives float32 32, expected one mean"):
        evaluate(build_model("V0"), batches, losses)
    typo = build_model("V0")
    typo.outputs = "probs"
    with pytest.raises(ValueError, match="kind of outputs 'probs'"):
        make_predictions(typo, torch.rand(2, 1, 28, 28))
    typo.outputs = torch.nn.Linear(3, 3)  # a layer of that name says nothing
    assert make_predictions(typo, torch.rand(2, 1, 28, 28)).shape == (2, 10)


def test_a_seed_may_be_numpys(easy_digits):
    batches = easy_digits.train.loader(32, shuffle=True)
    losses = [fit(build_model("V0", seed=0), batches, epochs=1, seed=seed, progress=False).last
              ["train_loss"] for seed in (3, np.int64(3))]  # fmt: skip
    assert losses[0] == losses[1]


def test_a_history_says_itself_in_a_line():
    assert repr(History()) == "<History of 0 epochs>"
    row = {"epoch": 1, "train_loss": 0.5, "seconds": 1.0}
    assert repr(History([row])) == "<History of 1 epoch: train loss 0.5000>"
    stopped = repr(History([row, row | {"epoch": 2}], interrupted=True))
    assert stopped == "<History of 2 epochs, interrupted: train loss 0.5000>"


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_of_smoothing_that_is_none_is_named(share):
    with pytest.raises(ValueError, match="label_smoothing"):
        smooth_labels("cross_entropy", share)


def test_adam_moves_all_weights_in_one_pass():
    model = build_model("V0", seed=0)
    assert OPTIMIZERS["adam"](model.parameters()).defaults["fused"] is True


class Drawing(Dataset):
    """Samples with noise of their own, from the caller's random state."""

    def __len__(self):
        return 20

    def __getitem__(self, place):
        return torch.rand(1, 28, 28), place % 10


def test_a_dataset_that_draws_leaves_the_random_state_alone():
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    model = build_model("V2", seed=0)
    fit(model, DataLoader(Drawing(), batch_size=10), epochs=1, device="cpu", progress=False)
    assert torch.equal(torch.rand(1), expected)


class ViewsInTraining(nn.Module):
    """Asks for PyTorch's usual order of maps, but only while it learns."""

    def __init__(self):
        super().__init__()
        self.maps, self.last = nn.Conv2d(1, 8, 3, padding=1), nn.Linear(8 * 784, 10)

    def forward(self, images):
        maps = self.maps(images).relu()
        if self.training:
            maps = maps.view(len(maps), -1)
        return self.last(maps.flatten(1))


def test_a_model_that_views_its_maps_only_in_training_is_told_what_to_call(easy_digits):
    with pytest.raises(ValueError, match="channels last: call `reshape` where it calls `view`"):
        fit_once_with(ViewsInTraining(), easy_digits)


def fit_once_with(model, digits, **options):
    options = {"epochs": 1, "device": "cpu", "progress": False} | options
    return fit(model, digits.train.loader(32, shuffle=True), **options)


def test_what_an_epoch_gives_beside_is_by_name(easy_digits):
    loader = easy_digits.test.loader(10)
    with pytest.raises(ValueError, match=r"after_epoch gives <Evaluation.*expected a dict"):
        fit_once_with(
            build_model("V0"), easy_digits, after_epoch=lambda model: evaluate(model, loader)
        )


@pytest.mark.parametrize("change", ["augment", "outliers"])
def test_what_needs_paper_of_zero_is_refused_on_normalised_digits(easy_digits, change):
    loader = easy_digits.train.loader(32, shuffle=True, normalized=True)
    with pytest.raises(ValueError, match=f"{change} needs images in"):
        fit(build_model("V0"), loader, epochs=1, **{change: lambda *images: images[0]})


class Refilled:
    """Batches that are written into the same memory, one after the other."""

    def __init__(self, split, size=50):
        self.inputs, self.labels, self.size = split.inputs(), split.labels, size

    def __len__(self):
        return len(self.labels) // self.size

    def __iter__(self):
        images, labels = self.inputs[: self.size].clone(), self.labels[: self.size].clone()
        for place in range(len(self)):
            part = slice(place * self.size, (place + 1) * self.size)
            images.copy_(self.inputs[part])
            labels.copy_(self.labels[part])
            yield images, labels


def test_a_loader_may_refill_its_batches(easy_digits):
    model, _ = fit_once(easy_digits)
    whole = easy_digits.train[:198]  # six batches of 33, so that their labels differ
    assert evaluate(model, Refilled(whole, 33)) == evaluate(model, whole.loader(33))
    histories = [fit(build_model("V0", seed=0), loader, epochs=1, device="cpu").last
                 for loader in (Refilled(whole, 33), whole.loader(33))]  # fmt: skip
    assert histories[0] | {"seconds": 0} == histories[1] | {"seconds": 0}


def test_a_model_may_refill_its_outputs(easy_digits):
    class Into(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.outputs = build_model("V0", seed=0), torch.empty(50, 10)

        def forward(self, images):
            return self.outputs.copy_(self.inner(images))

    loader = easy_digits.test[:100].loader(50)
    assert evaluate(Into(), loader) == evaluate(build_model("V0", seed=0), loader)


def test_a_label_below_zero_is_named_in_whichever_batch(easy_digits):
    images, labels = easy_digits.train.inputs()[:100], easy_digits.train.labels[:100].clone()
    labels[70] = -100  # which cross-entropy leaves out without a word
    loader = DataLoader(TensorDataset(images, labels), 20)
    for use in (lambda: evaluate(build_model("V0"), loader),
                lambda: fit(build_model("V0"), loader, epochs=1)):  # fmt: skip
        with pytest.raises(ValueError, match="labels begin at -100, expected classes from 0"):
            use()


class SetByTheFirstBatch(nn.Module):
    """A scale that the first batch decides, as in ActNorm, before a convolution."""

    def __init__(self):
        super().__init__()
        self.conv, self.last, self.seen = nn.Conv2d(1, 2, 3), nn.Linear(2, 10), None

    def forward(self, images):
        if self.seen is None:
            self.seen = len(images)
        return self.last(self.conv(images).mean(dim=(2, 3)))


def test_a_model_is_not_tried_before_its_first_batch(easy_digits):
    model, calls = SetByTheFirstBatch(), []
    model.register_forward_hook(lambda *_: calls.append(1))
    fit(model, easy_digits.train[:100].loader(20), epochs=1, device="cpu")
    assert model.seen == 20
    assert len(calls) == 5


def test_looking_at_a_dataset_draws_no_number_from_it(easy_digits):
    class Drawn(Dataset):
        def __len__(self):
            return 40

        def __getitem__(self, index):
            image = easy_digits.train.inputs()[index] * np.random.random()
            return image * random.random(), easy_digits.train.labels[index]

    def first_batch():
        np.random.seed(0)
        random.seed(0)
        seen = []
        fit(build_model("V2", seed=0), DataLoader(Drawn(), 20), epochs=1, device="cpu",
            augment=lambda images: seen.append(images.clone()) or images)  # fmt: skip
        return seen[0]

    np.random.seed(0)
    random.seed(0)
    plain, _ = next(iter(DataLoader(Drawn(), 20)))
    assert torch.equal(first_batch(), plain)


def test_a_samplers_own_generator_is_seeded_too_and_comes_back(easy_digits):
    dataset = TensorDataset(easy_digits.train.inputs()[:200], easy_digits.train.labels[:200])
    generator = torch.Generator().manual_seed(1)
    loaders = [
        DataLoader(dataset, 20, sampler=RandomSampler(dataset, generator=generator)),
        DataLoader(dataset, batch_sampler=BatchSampler(
            RandomSampler(dataset, generator=generator), 20, drop_last=False)),
    ]  # fmt: skip
    for loader in loaders:
        before = generator.get_state()
        runs = [fit(build_model("V0", seed=0), loader, epochs=1, seed=7, device="cpu").last
                for _ in range(2)]  # fmt: skip
        assert runs[0]["train_loss"] == runs[1]["train_loss"]
        assert torch.equal(generator.get_state(), before)


def test_a_model_that_keeps_a_tensor_can_be_measured_and_then_trained(easy_digits):
    class Keeps(nn.Module):
        def __init__(self):
            super().__init__()
            self.last, self.scale, self.kept = (
                nn.Linear(784, 10),
                nn.Parameter(torch.ones(784)),
                None,
            )

        def forward(self, images):
            if self.kept is None:
                self.kept = torch.linspace(0.5, 1.5, 784)
            return self.last(images.flatten(1) * (self.kept * self.scale))

    for look in (lambda m: evaluate(m, easy_digits.test.loader(50)),
                 lambda m: make_predictions(m, easy_digits.test.inputs()[:3])):  # fmt: skip
        model = Keeps()
        look(model)
        assert fit(model, easy_digits.train.loader(50), epochs=1, device="cpu").rows


def test_modes_that_after_epoch_changes_come_back(easy_digits):
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(784), nn.Linear(784, 10))
    model[1].eval()  # frozen
    before = model[1].running_mean.clone()
    fit(model, easy_digits.train.loader(50), epochs=2, device="cpu",
        after_epoch=lambda m: m.eval() and {})  # fmt: skip
    assert torch.equal(model[1].running_mean, before)


def test_stopped_after_an_epoch_it_has_seen_no_part_of_the_next(easy_digits, capsys, monkeypatch):
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)

    def stop(_):
        raise KeyboardInterrupt

    fit(build_model("V0"), easy_digits.train.loader(50), epochs=3, device="cpu", after_epoch=stop)
    assert capsys.readouterr().out.strip().endswith("1 of 3 epochs are in the history")


def test_weights_are_averaged_whatever_ends_the_training(easy_digits):
    def end(_):
        raise StopIteration

    models = [build_model("V0", seed=0) for _ in range(2)]
    for model, after in zip(models, (None, end), strict=True):
        with suppress(StopIteration):
            fit(model, easy_digits.train.loader(50), epochs=1, device="cpu", averaging=0.9,
                after_epoch=after)  # fmt: skip
    assert all(map(torch.equal, models[0].parameters(), models[1].parameters()))


def test_a_schedule_that_cannot_know_its_steps_is_told_how(easy_digits):
    with pytest.raises(ValueError, match=r"partial\(OneCycleLR, max_lr=...\) is told how many"):
        fit(build_model("V0"), easy_digits.train.loader(50), epochs=1, scheduler_step="batch",
            scheduler=lambda optimizer: OneCycleLR(optimizer, max_lr=0.1))  # fmt: skip


def test_samples_in_the_place_of_batches_are_named(easy_digits):
    with pytest.raises(ValueError, match="this is one sample of a dataset: give a loader"):
        evaluate(build_model("V0"), easy_digits.test.dataset())
