"""What is tried on a learner's network leaves it, and the caller's random state, alone."""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn

from mnistkit.exercises import networks
from mnistkit.exercises.exercise import AnswerError
from mnistkit.models import mobilenet
from tests.exercises.networks import (
    NETWORKS,
    ConvBlock,
    Functional,
    Loop,
    by_hand,
    convolutions,
    deep,
    head,
    used,
    v1,
)
from tests.exercises.verdicts import said

RIGHT = {
    "2.1": v1, "3.1": deep, "3.2": Loop, "4.1": convolutions, "4.2": ConvBlock, "5.1": head,
    "5.2": lambda: by_hand(mobilenet()),
}  # fmt: skip


def state_of(model: nn.Module) -> list:
    values = [value.clone() for value in model.state_dict().values()]
    switches = [parameter.requires_grad for parameter in model.parameters()]
    modes = [layer.training for layer in model.modules()]
    return [values, switches, modes, [parameter.grad for parameter in model.parameters()]]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("number", RIGHT)
def test_a_model_stays_as_it_is(number, training):
    model = RIGHT[number]().train(training)
    before = state_of(model)
    assert said(number, model).startswith(f"{number} right")
    after = state_of(model)
    assert all(map(torch.equal, before[0], after[0]))
    assert before[1:] == after[1:]


def test_gradients_and_what_forward_kept_stay_too():
    model = used(Functional())
    kept, slopes = model.seen, [p.grad.clone() for p in model.parameters()]
    assert said("2.1", model).startswith("2.1 right")
    assert model.seen is kept
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), slopes, strict=True))


@pytest.mark.parametrize("number", sorted(NETWORKS))
def test_the_callers_random_state_stays(number):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    for answer, _ in NETWORKS[number][:3] + NETWORKS[number][-3:]:
        said(number, answer)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_verdict_does_not_hang_on_the_callers_random_state():
    verdicts = set()
    for seed in range(5):
        torch.manual_seed(seed)
        verdicts.add(said("3.1", deep))
    assert len(verdicts) == 1


def test_it_is_asked_for_gradients_where_the_caller_wants_none():
    with torch.no_grad():
        assert said("2.1", v1).startswith("2.1 right")
        assert not torch.is_grad_enabled()


def test_no_hook_is_left_behind():
    hooks = torch.nn.modules.module._global_parameter_registration_hooks
    said("2.1", v1)
    said("2.1", Functional(3))
    assert not hooks


@pytest.mark.parametrize("number", RIGHT)
def test_a_check_takes_less_than_a_second(number):
    model, threads = RIGHT[number](), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        said(number, model)  # imports what it needs
        seconds = []
        for _ in range(3):
            started = time.perf_counter()
            said(number, model)
            seconds.append(time.perf_counter() - started)
    finally:
        torch.set_num_threads(threads)
    assert min(seconds) < 1


@pytest.mark.parametrize(
    ("number", "answer"),
    [("2.1", nn.Linear), ("2.3", nn.Linear), ("4.2", nn.Conv2d), ("5.1", nn.Linear)],
)
def test_a_class_that_needs_arguments_is_told_which(number, answer):
    assert "since its arguments are: in_" in said(number, answer)


@pytest.mark.parametrize("number", ["2.1", "2.3", "3.2", "4.1", "4.2", "5.1"])
def test_a_network_whose_forward_is_not_written_is_open(number):
    class Begun(nn.Module):
        def __init__(self, channels=4):
            super().__init__()

        def forward(self, x):
            return ...

    assert said(number, Begun).startswith(f"{number} is open: ")


def test_a_copy_may_be_changed():
    model = v1()
    trial = networks.network(model)
    with torch.no_grad():
        trial[1].weight.zero_()
    assert model[1].weight.any()


def test_trained_on_another_device_or_in_other_numbers_it_is_read_as_float32():
    assert next(networks.network(v1().double()).parameters()).dtype == torch.float32


def test_an_argument_goes_in_by_its_name_or_else_by_its_place():
    by_name = networks.network(lambda *, width: nn.Linear(width, 2), width=5)
    by_place = networks.network(lambda n: nn.Linear(n, 2), width=5)
    assert by_name.in_features == by_place.in_features == 5


def test_the_message_says_which_shapes_do_not_fit():
    with pytest.raises(AnswerError, match="a linear layer takes 784 numbers and is given 28;"):
        networks.called(nn.Linear(784, 10), torch.zeros(2, 1, 28, 28))


def test_a_line_is_one_also_after_batch_norm_and_an_activation_is_none():
    before = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    assert networks.is_line(before, 3 * before - 2)
    assert networks.is_line(before, nn.BatchNorm1d(4).eval()(before))
    for bend in (torch.relu, torch.tanh, torch.sigmoid, nn.functional.gelu):
        assert not networks.is_line(before, bend(before))
    assert not networks.is_line(before, before[:, :2])
