"""Answers that learners gave: right ones that look otherwise, and wrong ones that nearly pass."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import mnistkit as mk
from mnistkit import exercises


def verdict(number: str, *answer: object) -> str:
    return exercises.find(number).verdict(*answer)


def conv(inputs: int, outputs: int, size: int = 3) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, padding=size // 2)


def three(*between: nn.Module, last: tuple = (), size: int = 3, head: tuple = ()) -> nn.Module:
    """Three convolutions, the second and third after these layers, and a head."""
    head = head or (nn.AdaptiveAvgPool2d(7), nn.Flatten(), nn.Linear(16 * 49, 10))
    return nn.Sequential(conv(1, 8, size), *between, conv(8, 8, size), *between, conv(8, 16, size),
                         nn.ReLU(), *head, *last)  # fmt: skip


class Skips(nn.Module):
    """Two convolutions in a row that add, with an activation before them only."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = conv(1, 8), conv(8, 8), conv(8, 8)
        self.last = nn.Linear(8 * 784, 10)

    def forward(self, images):
        x = self.a(images).relu()
        x = x + self.b(x)
        x = x + self.c(x)
        return self.last(x.relu().flatten(1))


ONE_BY_ONE = (nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 10, 1), nn.Flatten())


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (three(nn.ReLU(), nn.AvgPool2d(2)), "right"),
        (three(nn.Hardsigmoid()), "right"),
        (three(nn.ReLU(), head=ONE_BY_ONE), "right"),
        (three(nn.AvgPool2d(2)), "no activation"),
        (three(nn.BatchNorm2d(8), nn.AvgPool2d(2)), "no activation"),
        (three(nn.ZeroPad2d(1)), "no activation"),
        (Skips(), "no activation"),
        (three(nn.ReLU(), size=1), "sees no neighbours"),
        (three(nn.ReLU(), last=(nn.Tanh(),)), "cannot grow"),
        (three(nn.ReLU(), last=(nn.Hardtanh(),)), "cannot grow"),
    ],
)
def test_three_convolutions(network, said):
    torch.manual_seed(0)
    found = verdict("4.1", network)
    assert said in found
    assert found.startswith("4.1 right") == (said == "right"), found


class Twenty(nn.Module):
    """Twenty blocks, put together in one of several ways."""

    def __init__(self, way: str = "right", blocks: int = 20, depth: int = 1):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last, self.way = nn.Linear(784, 64), nn.Linear(64, 10), way
        self.blocks = nn.ModuleList(
            nn.ModuleList(nn.Linear(64, 64) for _ in range(depth)) for _ in range(blocks)
        )

    def forward(self, images):
        x = start = self.first(images.flatten(1)).relu()
        for place, block in enumerate(self.blocks):
            new = x
            for layer in block:
                new = layer(new)
                if self.way not in ("no activation", "first only") or not place:
                    new = new.tanh() if self.way == "tanh" else new.relu()
            if self.way == "start":
                x = start + new
            elif self.way == "one skip":
                x = new
            elif self.way == "after":
                x = (x + new).relu()
            else:
                x = x + new
        return self.last(start + x if self.way == "one skip" else x)


@pytest.mark.parametrize("answer", [Twenty(), Twenty("tanh"), Twenty("after"), Twenty(depth=2)])
def test_twenty_blocks_may_be_written_otherwise(answer):
    assert verdict("3.2", answer).startswith("3.2 right")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Twenty("start"), "own x"),
        (Twenty("one skip"), "own x"),
        (Twenty("no activation"), "no activation"),
        (Twenty("first only"), "no activation"),
        (Twenty(blocks=10, depth=2), "own x"),
    ],
)
def test_what_is_not_twenty_times_x_and_f_of_x(answer, said):
    found = verdict("3.2", answer)
    assert said in found
    assert not found.startswith("3.2 right")


@pytest.mark.parametrize(
    ("noise", "said"),
    [
        (lambda x: mk.random_affine(x) + 0.2 * torch.randn_like(x), "right"),
        (lambda x: mk.random_affine(x) + 0.2 * (2 * torch.rand_like(x) - 1), "deviation of 0.12"),
        (lambda x: mk.random_affine(x) + 0.12 * torch.randn_like(x), "deviation of 0.12"),
        (lambda x: mk.random_affine(x) + 0.2 * torch.randn(28, 28), "on every image"),
        (lambda x: mk.random_affine(x) + 0.2 * torch.randn(len(x), 1, 1, 1), "each pixel"),
        (lambda x: x.roll((2, 3), (-1, -2)) + 0.2 * torch.randn_like(x), "moved alike"),
    ],
)
def test_noise_is_what_was_asked_for(noise, said):
    for _ in range(3):
        found = verdict("7.3", noise)
        assert said in found


@pytest.mark.parametrize(
    ("mean", "median", "better", "right"),
    [
        (0.82, 0.78, "mean", False),
        (0.82, 0.78, "not told apart", True),
        (0.82, 0.70, "mean", True),
        (0.8, 0.8, "mean", False),
        (0.8, 0.8, "not told apart", True),
    ],
)
def test_what_chance_may_do_is_not_called_better(mean, median, better, right):
    answer = {"split": "validation", "digits": 500, "mean": mean, "median": median,
              "better": better}  # fmt: skip
    found = verdict("1.5", answer)
    assert found.startswith("1.5 right") == right
    assert mean != median or right or "they are equal" in found


def test_a_tensor_may_say_whether_it_is_a_lottery():
    scores = torch.tensor([0.92, 0.91, 0.9, 0.93, 0.92, 0.91, 0.92, 0.9])
    answer = {"accuracies": scores, "lottery": scores.max() - scores.min() > 0.1}
    assert verdict("2.2", answer).startswith("2.2 right")


@pytest.mark.parametrize("guessers", [100, 1000, 20_000])
def test_the_best_of_a_thousand_is_of_a_thousand(guessers):
    def luck(n):
        torch.manual_seed(n)
        labels = torch.randint(0, 10, (n,), dtype=torch.uint8)
        parts = [(torch.randint(0, 10, (100, n), dtype=torch.uint8) == labels).float().mean(1).max()
                 for _ in range(guessers // 100)]  # fmt: skip
        return max(parts).item() - 0.1

    found = verdict("1.4", luck)
    assert found.startswith("1.4 right") == (guessers == 1000), found


def test_an_overshoot_is_called_one():
    def bicubic(images):
        grey = images.unsqueeze(1).float() / 255
        large = nn.functional.interpolate(grey, size=(224, 224), mode="bicubic")
        return large.repeat(1, 3, 1, 1)

    found = verdict("5.3", bicubic)
    assert "overshoots" in found or found.startswith("5.3 right")
    assert "divide by 255" not in found
