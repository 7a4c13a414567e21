"""A member of a stack becomes what it would have become alone."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from mnistkit.errors import TrainingError
from mnistkit.experiments import stack
from mnistkit.experiments.stack import fit_stack
from mnistkit.models import build_model
from mnistkit.training import History, fit, raising_interrupts
from mnistkit.utils.devices import thread_count

OPTIONS = {"epochs": 2, "optimizer": "sgd", "learning_rate": 0.1}


def loaders(digits, batch_size=32):
    # 600 digits in batches of 32: the last batch holds 24
    return digits.train.loader(batch_size, shuffle=True), digits.validation.loader(64)


def assert_same(model, alone, tolerance=1e-5):
    for mine, other in zip(model.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=tolerance, atol=tolerance)


def without_time(history):
    return history.frame.drop(columns="seconds")


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "adam", "adamw", "rmsprop"])
def test_a_stack_of_one_equals_fit(easy_digits, optimizer):
    # A product of stacked matrices is rounded in another order than one alone, on some
    # processors. RMSprop divides a gradient by its own size, so that where it is nearly zero
    # the rounding decides the step, and steps add up: this compares after six of them.
    few = replace(easy_digits, train=easy_digits.train[:88])
    options = {"epochs": 2, "optimizer": optimizer, "learning_rate": 0.003, "weight_decay": 0.01}
    one, alone = (build_model("E MLP", seed=5) for _ in range(2))
    (history,) = fit_stack([one], *loaders(few), seeds=[7], **options)
    expected = fit(alone, *loaders(few), seed=7, device="cpu", **options)
    assert_same(one, alone)
    pd.testing.assert_frame_equal(without_time(history), without_time(expected), rtol=1e-4)


@pytest.mark.parametrize("name", ["V1", "A baseline"])
def test_each_member_equals_its_seed_trained_alone(easy_digits, name):
    models = [build_model(name, seed=seed) for seed in range(3)]
    histories = fit_stack(models, *loaders(easy_digits), seeds=range(3), **OPTIONS)
    for seed in range(3):
        alone = build_model(name, seed=seed)
        expected = fit(alone, *loaders(easy_digits), seed=seed, device="cpu", **OPTIONS)
        assert_same(models[seed], alone, 1e-4)
        assert histories[seed].last["validation_accuracy"] == expected.last["validation_accuracy"]


def test_convolutions_are_stacked_too(easy_digits):
    # Stacked convolutions run as one grouped one, which rounds in another order; over many
    # steps of a rate of 0.1 that grows, so this compares after three.
    few = replace(easy_digits, train=easy_digits.train[:96])
    options = OPTIONS | {"epochs": 1}
    models = [build_model("V2", seed=seed) for seed in range(2)]
    fit_stack(models, *loaders(few), **options)
    alone = build_model("V2", seed=1)
    fit(alone, *loaders(few), seed=1, device="cpu", precision="float32", **options)
    assert_same(models[1], alone)


def test_members_that_share_batches_see_those_of_the_first_seed(easy_digits):
    models = [build_model("V0", seed=seed) for seed in range(3)]
    fit_stack(models, *loaders(easy_digits), seeds=[9, 1, 2], share_batches=True, **OPTIONS)
    alone = build_model("V0", seed=2)
    fit(alone, *loaders(easy_digits), seed=9, device="cpu", **OPTIONS)
    assert_same(models[2], alone)


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "adam", "adamw"])
def test_each_member_may_have_its_own_rate(easy_digits, optimizer):
    rates = [0.001, 0.01]
    models = [build_model("V0", seed=0) for _ in rates]
    settings = {"epochs": 2, "optimizer": optimizer, "weight_decay": 0.1}
    histories = fit_stack(
        models, *loaders(easy_digits), learning_rate=rates, seeds=[3, 3], **settings
    )
    for model, rate, history in zip(models, rates, histories, strict=True):
        alone = build_model("V0", seed=0)
        fit(alone, *loaders(easy_digits), learning_rate=rate, seed=3, device="cpu", **settings)
        assert_same(model, alone, 1e-4)
        assert history.last["learning_rate"] == rate


def test_log_probabilities_are_trained_with_their_loss(easy_digits):
    options = OPTIONS | {"loss": "nll"}
    models = [build_model("A baseline", seed=s, log_softmax=True) for s in range(2)]
    fit_stack(models, *loaders(easy_digits), **options)
    alone = build_model("A baseline", seed=1, log_softmax=True)
    fit(alone, *loaders(easy_digits), seed=1, device="cpu", **options)
    assert_same(models[1], alone, 1e-4)


@pytest.mark.parametrize("name", ["D deep", "B MLP"])
def test_random_or_running_state_is_refused(easy_digits, name):
    with pytest.raises(ValueError, match=r"(BatchNorm1d|Dropout) has random or running state"):
        fit_stack([build_model(name)], *loaders(easy_digits))


def test_misfits_are_refused(easy_digits):
    two = [build_model("V0"), build_model("V0")]
    train, validation = loaders(easy_digits)
    for models, options, words in (
        ([], {}, "no models were given"),
        ([two[0], build_model("V1")], {}, "of one architecture"),
        ([two[0], nn.Sequential(nn.Flatten(), nn.Linear(784, 10))], {}, "of one architecture"),
        (two, {"seeds": [1]}, "1 seeds for 2 models"),
        (two, {"learning_rate": [0.1]}, "1 values of learning_rate for 2 models"),
        (two, {"learning_rate": [0.1, -1]}, "learning_rate is -1.0"),
        (two, {"epochs": 0}, "epochs is 0"),
        (two, {"optimizer": "sdg"}, "did you mean 'sgd'"),
        (two, {"loss": "cross"}, "unknown loss"),
    ):
        with pytest.raises(ValueError, match=words):
            fit_stack(models, train, validation, **options)
    with pytest.raises(ValueError, match="does not shuffle"):
        fit_stack(two, easy_digits.train.loader(32))


def test_a_member_that_diverges_is_named(easy_digits):
    models = [build_model("A baseline", seed=s) for s in range(2)]
    rates = [0.1, 1e9]
    with pytest.raises(
        TrainingError, match=r"epoch 1, batch \d+: the loss of member 1 is (nan|inf)"
    ):
        fit_stack(models, *loaders(easy_digits), optimizer="sgd", learning_rate=rates)


def test_without_validation_digits_there_are_no_such_columns(easy_digits):
    (history,) = fit_stack([build_model("V0")], loaders(easy_digits)[0], epochs=1)
    assert "validation_accuracy" not in history.frame
    assert history.last["train_accuracy"] > 0.1


def test_looking_shows_every_member_as_it_is_then_and_changes_nothing(easy_digits):
    few = replace(easy_digits, train=easy_digits.train[:88])
    train, validation = loaders(few)
    options = OPTIONS | {"epochs": 3}

    def trained(**options):
        models = [build_model("V1", seed=seed) for seed in range(2)]
        fit_stack(models, train, validation, **options)
        return [model.layers[1].weight.detach() for model in models]

    seen = []

    def look(models):
        seen.append([model.layers[1].weight.detach().clone() for model in models])

    watched = trained(look=look, look_every=len(train), **options)
    assert len(seen) == 1 + 3
    assert torch.equal(seen[0][1], build_model("V1", seed=1).layers[1].weight)
    assert torch.equal(seen[1][1], trained(**options | {"epochs": 1})[1])
    assert not torch.equal(seen[1][1], seen[2][1])
    assert all(map(torch.equal, seen[3], watched))
    assert all(map(torch.equal, watched, trained(**options)))
    counted = []
    trained(look=counted.append, look_every=2, **options)
    assert len(counted) == 1 + 3 * len(train) // 2  # through all epochs, not anew in each
    with pytest.raises(ValueError, match="look_every is 0"):
        trained(look=look, look_every=0, **options)


def test_what_is_frozen_stays_as_in_fit(easy_digits):
    models, alone = ([build_model("V0", seed=seed) for seed in range(2)] for _ in range(2))
    for model in models + alone:
        model.layers[1].requires_grad_(False)
    loader = easy_digits.train.loader(32, shuffle=True)
    before = models[0].layers[1].weight.clone()
    fit_stack(models, loader, epochs=1, progress=False)
    assert torch.equal(models[0].layers[1].weight, before)
    fit(alone[0], loader, epochs=1, seed=0, progress=False)
    assert torch.allclose(alone[0].layers[2].weight, models[0].layers[2].weight, atol=1e-5)


def slope(value: float) -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10), torch.nn.ELU(value))


def test_models_that_differ_in_a_setting_are_refused(easy_digits):
    loader = easy_digits.train.loader(32, shuffle=True)
    with pytest.raises(ValueError, match="the same settings"):
        fit_stack([slope(1.0), slope(9.0)], loader, epochs=1, progress=False)
    models = [build_model("V0", seed=seed) for seed in range(2)]
    models[1].layers[1].requires_grad_(False)
    with pytest.raises(ValueError, match="the same parts frozen"):
        fit_stack(models, loader, epochs=1, progress=False)
    for model in models:
        model.requires_grad_(False)
    with pytest.raises(ValueError, match="nothing can learn"):
        fit_stack(models, loader, epochs=1, progress=False)


def test_a_layer_may_have_any_name(easy_digits):
    class Named(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.outputs, self.p = torch.nn.Linear(784, 10), torch.nn.Identity()

        def forward(self, images):
            return self.p(self.outputs(images.flatten(1)))

    fit_stack([Named(), Named()], easy_digits.train.loader(32, shuffle=True), epochs=1,
              progress=False)  # fmt: skip


class Tied(nn.Module):
    """Two layers with the same weights."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(784, 784), nn.Linear(784, 784)
        self.second.weight = self.first.weight
        self.last = nn.Linear(784, 10)

    def forward(self, images):
        return self.last(self.second(self.first(images.flatten(1)).relu()))


def test_models_that_share_weights_within_are_refused(easy_digits):
    with pytest.raises(ValueError, match="two layers share weights"):
        fit_stack([Tied(), Tied()], easy_digits.train.loader(32, shuffle=True))


@pytest.mark.parametrize("kind", [torch.optim.Adafactor, torch.optim.ASGD])
def test_an_optimizer_that_looks_at_several_weights_at_once_is_refused(easy_digits, kind):
    models = [build_model("V0", seed=seed) for seed in range(2)]
    with pytest.raises(ValueError, match=f"{kind.__name__} may look at all members"):
        fit_stack(models, easy_digits.train.loader(32, shuffle=True), optimizer=kind)


@pytest.mark.parametrize("layer", [nn.Dropout2d, nn.AlphaDropout, nn.RReLU])
def test_other_random_layers_are_refused_too(easy_digits, layer):
    models = [nn.Sequential(nn.Flatten(), nn.Linear(784, 10), layer()) for _ in range(2)]
    with pytest.raises(ValueError, match=f"{layer.__name__} has random or running state"):
        fit_stack(models, easy_digits.train.loader(32, shuffle=True))


def test_a_stack_that_is_interrupted_returns_what_it_has(easy_digits, capsys, monkeypatch):
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    train, calls = easy_digits.train.loader(64, shuffle=True), []

    def stop_in_the_second_epoch(outputs, labels):
        calls.append(None)
        if len(calls) == 15:  # an epoch has ten batches
            raise KeyboardInterrupt
        return nn.functional.cross_entropy(outputs, labels)

    def trained(**options) -> tuple[list[nn.Module], list[History]]:
        models = [build_model("V0", seed=seed) for seed in range(2)]
        return models, fit_stack(models, train, progress=False, **options)

    once, _ = trained(epochs=1)
    models, histories = trained(epochs=3, loss=stop_in_the_second_epoch)
    assert [len(history.rows) for history in histories] == [1, 1]
    assert all(history.interrupted for history in histories)
    for model, earlier in zip(models, once, strict=True):
        assert not torch.equal(model.layers[1].weight, earlier.layers[1].weight), "four batches on"
    assert "1 of 3 epochs are in the history; the models have seen a part of the next one" in (
        capsys.readouterr().out
    )
    calls.clear()
    with pytest.raises(KeyboardInterrupt), raising_interrupts():
        trained(epochs=3, loss=stop_in_the_second_epoch)


@pytest.mark.parametrize("shared", [False, True])
def test_members_become_the_same_in_any_company(easy_digits, shared):
    train, looks = easy_digits.train.loader(64, shuffle=True), []
    rates = [0.01 * (1 + member) for member in range(20)]

    def trained(cores: int, look=None) -> tuple[list[nn.Module], list[History]]:
        models = [build_model("V1", seed=seed) for seed in range(20)]
        with thread_count(cores):
            return models, fit_stack(
                models, train, epochs=2, optimizer="sgd", learning_rate=rates, look=look,
                share_batches=shared, look_every=7, progress=False,
            )  # fmt: skip

    together, histories = trained(1)
    apart, others = trained(2, look=lambda models: looks.append([*models]))
    assert len(looks) == 1 + 20 // 7
    for one, other in zip(together, apart, strict=True):
        assert torch.equal(one.layers[1].weight, other.layers[1].weight)
    for one, other in zip(histories, others, strict=True):
        scores = ["train_loss", "train_accuracy", "learning_rate"]
        assert one.frame[scores].equals(other.frame[scores])


def test_a_member_of_a_later_part_that_diverges_is_named(easy_digits):
    models = [build_model("A baseline", seed=s) for s in range(20)]
    rates = [0.1] * 17 + [1e9] + [0.1] * 2
    with thread_count(2), pytest.raises(TrainingError, match=r"epoch 1, .* member 17 is (nan|inf)"):
        fit_stack(models, loaders(easy_digits)[0], optimizer="sgd", learning_rate=rates)


@pytest.mark.parametrize(("members", "cores", "sizes"), [
    (64, 2, [32, 32]), (20, 2, [10, 10]), (15, 2, [15]), (1, 8, [1]), (64, 3, [21, 21, 22]),
    (16, 8, [8, 8]), (64, 1, [64]),
])  # fmt: skip
def test_each_core_gets_as_many_members(members, cores, sizes):
    parts = stack._divide(members, cores)
    assert [part.stop - part.start for part in parts] == sizes
    assert (parts[0].start, parts[-1].stop) == (0, members)


def test_a_stack_in_parts_that_is_interrupted_keeps_what_all_have(easy_digits, monkeypatch):
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    models = [build_model("V0", seed=seed) for seed in range(16)]
    before = [model.layers[1].weight.clone() for model in models]

    def stop(_models):
        if stopping:
            raise KeyboardInterrupt
        stopping.append(True)

    stopping = []
    with thread_count(2):
        histories = fit_stack(models, easy_digits.train.loader(64, shuffle=True), epochs=2,
                              look=stop, look_every=4, progress=False)  # fmt: skip
    assert all(history.interrupted and not history.rows for history in histories)
    for model, weight in zip(models, before, strict=True):
        assert not torch.equal(model.layers[1].weight, weight)


class WithFunction(nn.Module):
    def __init__(self, act=torch.relu, scale=None, config=None):
        super().__init__()
        self.act, self.scale, self.config = act, scale, config
        self.first, self.last = nn.Linear(784, 4), nn.Linear(4, 10)

    def forward(self, images):
        return self.last(self.act(self.first(images.flatten(1))))


class Config:
    def __init__(self, width):
        self.width = width


@pytest.mark.parametrize("pair", [
    {"act": (torch.relu, torch.tanh)},
    {"act": (partial(nn.functional.leaky_relu, negative_slope=0.1),
             partial(nn.functional.leaky_relu, negative_slope=0.2))},
    {"act": (lambda x: x.relu(), lambda x: x.tanh())},
    {"scale": (torch.tensor(1.0), torch.tensor(3.0))},
    {"scale": (np.ones(3), np.zeros(3))},
    {"config": ([1, 2], [1, 3])},
    {"config": ({"a": 1}, {"a": 2})},
    {"config": (Config(1), Config(2))},
])  # fmt: skip
def test_what_models_do_beside_their_layers_has_to_be_alike(easy_digits, pair):
    ((name, values),) = pair.items()
    models = [WithFunction(**{name: value}) for value in values]
    with pytest.raises(ValueError, match="must have the same settings"):
        fit_stack(models, easy_digits.train.loader(50, shuffle=True), epochs=1)


def test_models_that_are_built_alike_are_alike(easy_digits):
    def build():
        slope = 0.1
        act = lambda x: nn.functional.leaky_relu(x, slope)  # noqa: E731
        return WithFunction(act, torch.ones(2), {"a": Config(3), "b": np.ones(2)})

    histories = fit_stack([build(), build()], easy_digits.train.loader(50, shuffle=True), epochs=1)
    assert len(histories) == 2


@pytest.mark.parametrize("forward", [
    lambda self, x: nn.functional.dropout(self.last(x.flatten(1)), 0.5, self.training),
    lambda self, x: self.last(x.flatten(1)) if x.max() > 0 else x.flatten(1)[:, :10],
])  # fmt: skip
def test_a_forward_that_differs_from_member_to_member_is_named(easy_digits, forward):
    kind = type("Odd", (nn.Module,), {"forward": forward})
    models = [kind(), kind()]
    for model in models:
        model.last = nn.Linear(784, 10)
    with pytest.raises(ValueError, match=r"cannot be stacked, .* from member to member"):
        fit_stack(models, easy_digits.train.loader(50, shuffle=True), epochs=1)
