"""Training learns, repeats, and says when it cannot go on."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import TensorDataset

from mnistkit import training
from mnistkit.data import make_loader
from mnistkit.errors import TrainingError
from mnistkit.models import MLP, build_model
from mnistkit.training import evaluate, fit, train_one_epoch


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


def test_history_has_a_row_an_epoch(easy_digits):
    _, history = fit_once(easy_digits, epochs=3, log_every=5)
    assert history.frame.index.tolist() == [1, 2, 3]
    assert set(history.frame.columns) == {
        "train_loss", "train_accuracy", "validation_loss", "validation_accuracy",
        "learning_rate", "seconds",
    }  # fmt: skip
    # 600 digits in batches of 32 are 19 batches: numbers 5, 10, 15 in each epoch
    assert [(e, b) for e, b, _ in history.batches] == [
        (e, b) for e in (1, 2, 3) for b in (5, 10, 15)
    ]
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


def test_interrupting_returns_the_history_so_far(easy_digits, monkeypatch, capsys):
    real, calls = training.train_one_epoch, []

    def interrupted_in_the_third(*args, **options):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(training, "train_one_epoch", interrupted_in_the_third)
    _, history = fit_once(easy_digits, epochs=5)
    assert history.interrupted
    assert len(history.rows) == 2
    assert "2 of 5 epochs are in the history" in capsys.readouterr().out


def test_evaluate_restores_the_mode_and_changes_nothing(easy_digits):
    model = build_model("D deep", seed=0).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    evaluate(model, easy_digits.test.loader(64), "nll")
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


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
        after_batch=lambda number, loss: seen.append((number, loss.item() > 0)),
    )  # fmt: skip
    assert seen == [(1, True), (2, True), (3, True)]
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
        ({"log_every": 0}, "log_every is 0"),
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
