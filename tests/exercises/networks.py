"""Networks that learners write, right and wrong, and what is said of each wrong one."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnistkit import MNISTModelV0, MNISTModelV1, build_model, freeze
from mnistkit.models import mobilenet

# The same weights in each process. Of untrained networks as deep as some of these, one in a
# thousand gives no negative output by chance, and is told so in place of what it shows here.
torch.manual_seed(0)

Make = Callable[[], nn.Module]
Case = tuple[object, str]


class After(nn.Module):
    """A network, and what is done to its outputs."""

    def __init__(self, model: nn.Module, change: Callable[[Tensor], object]):
        super().__init__()
        self.model, self.change = model, change

    def forward(self, x):
        return self.change(self.model(x))


class Before(After):
    def forward(self, x):
        return self.model(self.change(x))


class NoGradient(After):
    def forward(self, x):
        with torch.no_grad():
            return self.model(x)


class Spare(After):
    """Has a layer that is not used."""

    def __init__(self, model: nn.Module, change: Callable[[Tensor], object] = lambda y: y):
        super().__init__(model, change)
        self.spare = nn.Linear(3, 3)


def freeze_first(model: nn.Module) -> nn.Module:
    next(model.parameters()).requires_grad = False
    return model


# --- mistakes that any network can have -----------------------------------------------------


def spoilt(make: Make) -> Iterator[Case]:
    """A right network, with one mistake each that has nothing to do with the exercise."""
    changes = [
        (lambda y: None, "is `return` missing"),
        (lambda y: (y, y), "returns a tuple, but a tensor"),
        (lambda y: [y], "returns a list, but a tensor"),
        (lambda y: y.tolist(), "returns a list"),
        (lambda y: y.sum(), "its outputs have shape"),
        (lambda y: y[1:], "its outputs have shape"),
        (lambda y: y[..., :-1], "its outputs have shape"),
        (lambda y: y.transpose(0, 1), "its outputs have shape"),
        (lambda y: y.detach().numpy() @ "x", "it raises"),
        (lambda y: y.long(), "it returns classes|the same of all"),
        (lambda y: y * float("nan"), "not numbers"),
        (lambda y: y / 0, "not numbers"),
        (lambda y: 0 * y, "the same of all images"),
        (lambda y: y + torch.randn_like(y), "two calls with the same images"),
        (lambda y: F.dropout(y, 0.5), "training=self.training"),
        (lambda y: y.flip(0), "depends on the others"),
        (lambda y: y - y.mean(dim=0), "depends on the others|the same of all"),
        (lambda y: y.softmax(dim=0), "depends on the others"),
        (lambda y: y.detach(), "no gradient comes through"),
        (lambda y: y.data, "no gradient comes through"),
        (lambda y: y + 0 * nn.Linear(2, 2).weight.sum(), "a layer is made in `forward`"),
    ]
    yield from ((After(make(), change), message) for change, message in changes)
    yield Before(make(), lambda x: x.mul_(0.5)), "changes the images"
    yield Before(make(), lambda x: 0 * x), "the same of all images|no gradient reaches"
    yield NoGradient(make(), None), "no gradient comes through"
    yield freeze(make()), "does not learn: its `requires_grad` is off"
    yield freeze_first(make()), "does not learn: its `requires_grad` is off"
    yield Spare(make()), "no gradient reaches `spare.weight`|, 3 to 3"
    yield from misbuilt(make)
    for nothing in (None, 3, "V1", True, [1], {}, object(), torch.zeros(3)):
        yield nothing, "the answer is .* but a network is asked for"
    yield len, "takes other arguments|your function raises"
    yield (lambda *_: 5), "your function returns 5"
    yield (lambda *_, **__: None), "your function returns None"
    yield int, "int is a class, but not a module"


def misbuilt(make: Make) -> Iterator[Case]:
    """Classes whose `__init__` or `forward` goes wrong."""

    class NoSuper(nn.Module):
        def __init__(self, *_):
            self.model = make()

    class NoBrackets(nn.Module):
        def __init__(self, *_):
            super().__init__  # noqa: B018
            self.model = make()

    class SuperLast(nn.Module):
        def __init__(self, *_):
            self.model = make()
            super().__init__()

    class NothingKept(nn.Module):
        def __init__(self, *_):
            pass

        def forward(self, x):
            return make()(x)

    class WithoutForward(nn.Module):
        def __init__(self, *_):
            super().__init__()
            self.model = make()

    class Misspelled(WithoutForward):
        def foward(self, x):
            return self.model(x)

    class OtherName(WithoutForward):
        def forward(self, x):
            return self.modle(x)

    class Underscores(nn.Module):
        def _init_(self):
            self.model = make()

        def forward(self, x):
            return self.model(x)

    class Listed(WithoutForward):
        def __init__(self, *_):
            super().__init__()
            self.layers, self.model = [self.model], None
            self.last = None

        def forward(self, x):
            return self.layers[0](x)

    class InForward(WithoutForward):
        def forward(self, x):
            torch.manual_seed(0)
            return make()(x)

    class WithoutSelf(WithoutForward):
        def forward(x):  # noqa: N805
            return x

    class Needy(WithoutForward):
        def __init__(self, first, second, third):
            super().__init__()

    class Plain:
        def forward(self, x):
            return make()(x)

    for kind in (NoSuper, NoBrackets, SuperLast, NothingKept):
        yield kind, r"`super\(\).__init__\(\)` is missing"
    for kind in (WithoutForward, Misspelled):
        yield kind, "no method named `forward`"
    yield OtherName, "no attribute 'modle'; is it made in `__init__`"
    yield Underscores(), "no attribute 'model'; is it made in `__init__`"
    yield Listed, "in a Python list"
    yield InForward, "a layer is made in `forward`"
    yield WithoutSelf, "raises TypeError"
    yield Needy, "since its arguments are: first, second, third"
    yield Plain, r"begin it with `class Plain\(nn.Module\):`"


def with_logits_spoilt(make: Make) -> Iterator[Case]:
    """A right network whose logits are none any more."""
    changes = [
        (lambda y: y.relu(), "ever negative: a ReLU or the like"),
        (lambda y: y.clamp(min=0), "ever negative"),
        (lambda y: y.sigmoid(), "ever negative"),
        (lambda y: F.softplus(y), "ever negative"),
        (lambda y: y.exp(), "ever negative"),
        (lambda y: y.softmax(dim=1), "ends in a softmax"),
        (lambda y: nn.Softmax(dim=-1)(y), "ends in a softmax"),
        (lambda y: y.log_softmax(dim=1), "ends in a log-softmax"),
        (lambda y: y.argmax(dim=1), "shape 32|shape 64"),
        (lambda y: y.squeeze(), "for 1 image its outputs have shape 10"),
        (lambda y: y.unsqueeze(1), "expected .* x 10: ten numbers"),
        (lambda y: y.repeat(1, 2), "x 20, expected"),
        (lambda y: y.amax(dim=1, keepdim=True), "x 1, expected"),
    ]
    yield from ((After(make(), change), message) for change, message in changes)


# --- 2.1, 2.3: V1 ---------------------------------------------------------------------------


def v1(*last: nn.Module, between: nn.Module | None = None, hidden: int = 10, wide: int = 10):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, hidden), between or nn.ReLU(), nn.Linear(hidden, wide), *last
    )


class ByHand(nn.Module):
    """V1 without any layer of PyTorch's."""

    def __init__(self, hidden=10, bound=lambda y: y):
        super().__init__()
        self.first = nn.Parameter(torch.randn(784, hidden) / 28)
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.second = nn.Parameter(torch.randn(hidden, 10) / 3)
        self.last = nn.Parameter(torch.zeros(10))
        self.bound = bound

    def forward(self, images):
        hidden = (images.flatten(1) @ self.first + self.bias).tanh()
        return self.bound(hidden @ self.second + self.last)


class Functional(nn.Module):
    def __init__(self, hidden_units=10):
        super().__init__()
        self.a, self.b = nn.Linear(784, hidden_units), nn.Linear(hidden_units, 10)

    def forward(self, images):
        self.seen = F.relu(self.a(images.view(-1, 784)))  # kept, as some do
        return self.b(self.seen)


class Divided(nn.Module):
    """Takes images for bytes, as beginners do."""

    def __init__(self, act=F.relu, hidden_units=10):
        super().__init__()
        self.a, self.b = nn.Linear(784, hidden_units), nn.Linear(hidden_units, 10)
        self.act = act

    def forward(self, images):
        return self.b(self.act(self.a((images / 255).flatten(1))))


def used(model: nn.Module) -> nn.Module:
    """A model that has been called, trained a step and put in eval mode."""
    F.cross_entropy(model(torch.rand(4, 1, 28, 28)), torch.tensor([0, 1, 2, 3])).backward()
    return model.eval()


FLAT = "gets no gradient: what is applied to the logits is flat there"
NO_ACTIVATION = "there is no activation"
OWN_V1 = [
    *[(v1(between=kind()), "right") for kind in (nn.ReLU, nn.Tanh, nn.GELU, nn.Sigmoid)],
    (v1(nn.LeakyReLU()), "right"),
    (v1(nn.PReLU(10)), "right"),
    (ByHand, "right"),
    (Functional, "right"),
    (used(Functional()), "right"),
    (Divided, "right"),
    (Divided(torch.tanh), "right"),
    (Divided(nn.Identity()), NO_ACTIVATION),
    (lambda: v1(), "right"),
    (nn.Sequential(nn.Conv2d(1, 10, 28), nn.Flatten(), nn.ELU(), nn.LazyLinear(10)), "right"),
    (build_model("V1 corrected").double(), "right"),
    (MNISTModelV1, "ever negative"),
    (MNISTModelV0, NO_ACTIVATION),
    (v1(nn.LeakyReLU(), between=nn.Identity()), NO_ACTIVATION),
    (v1(between=nn.Dropout(0.5)), NO_ACTIVATION),
    (nn.Sequential(nn.Flatten(), nn.ReLU(), v1(between=nn.Identity())), NO_ACTIVATION),
    *[(v1(kind()), FLAT) for kind in (nn.Tanh, nn.GELU, nn.ELU, nn.SiLU, nn.Hardtanh)],
    (lambda: ByHand(bound=torch.tanh), FLAT),
    (lambda: ByHand(bound=lambda y: y.clamp(-1, 1)), FLAT),
    (v1(nn.LeakyReLU(), nn.ReLU()), "ever negative"),
    (v1(hidden=20), "from 784 to 20, 20 to 10; expected 784 to 10, 10 to 10"),
    (nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), "from 784 to 10; expected"),
    (nn.Sequential(v1(), nn.ReLU(), nn.Linear(10, 10)), "expected 784 to 10, 10 to 10$|10; "),
    (v1(wide=9), "x 9, expected 32 x 10: ten numbers"),
    (v1(wide=784), "x 784, expected"),
    (v1()[1:], "shape mismatch: a linear layer takes 784 numbers and is given 28"),
    *spoilt(v1),
    *with_logits_spoilt(v1),
]


def built(change: Callable[[nn.Module], nn.Module]) -> Callable[[int], nn.Module]:
    """A function that builds a V1 of a width, with something done to it."""
    return lambda hidden_units: change(v1(hidden=hidden_units))


class Backwards(nn.Module):
    """Takes the width, and keeps to ten."""

    def __init__(self, hidden_units):
        super().__init__()
        self.layers = v1()

    def forward(self, images):
        return self.layers(images)


class HalfWide(Backwards):
    def __init__(self, hidden_units):
        super().__init__(hidden_units)
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(784, hidden_units), nn.ReLU(), nn.Linear(10, 10)
        )


class TwoWidths(nn.Module):
    def __init__(self, units_in, units_out):
        super().__init__()


ANY_WIDTH = [
    (Functional, "right"),
    (ByHand, "right"),
    (built(lambda model: model), "right"),
    (lambda hidden: v1(hidden=hidden), "right"),
    (lambda *, hidden_units: v1(nn.LeakyReLU(), hidden=hidden_units), "right"),
    (v1(), "that is a model"),
    (Backwards, "from 784 to 10, 10 to 10; expected 784 to 3, 3 to 10"),
    (HalfWide, "takes 10 numbers and is given 3"),
    (TwoWidths, r"cannot be built by `TwoWidths\(3\)`, since its arguments are: units_in, units_"),
    (nn.Module, "building Module raises|no method named"),
    (MNISTModelV1, "ever negative"),
    (MNISTModelV0, NO_ACTIVATION),
    (lambda hidden: v1(nn.Tanh(), hidden=hidden), FLAT),
    (lambda hidden: v1(hidden=hidden + 1), "from 784 to 4, 4 to 10; expected 784 to 3"),
    (lambda hidden: v1(hidden=min(hidden, 10)), "784 to 10, 10 to 10; expected 784 to 100"),
    *[(built(lambda m, c=change.change: After(m, c)), message)
      for change, message in with_logits_spoilt(v1)],
    *[(built(lambda m, c=case: type(c)(m, c.change)), message)
      for case, message in spoilt(v1) if isinstance(case, After)],
    (built(lambda model: NoGradient(model, None)), "no gradient comes through"),
    (built(freeze), "does not learn"),
    (built(Spare), "no gradient reaches `spare.weight`|, 3 to 3"),
    *[case for case in misbuilt(v1) if isinstance(case[0], type) and case[0].__name__ != "Needy"],
]  # fmt: skip


# --- 3.1: D's network -----------------------------------------------------------------------


LOG_SOFTMAX = (nn.LogSoftmax(dim=1),)


def deep(
    act=nn.Tanh, norms=(True, True, False), drops=(0.3, 0.3, 0.3), widths=(784, 512, 256, 128, 10),
    last=LOG_SOFTMAX, order="nad",
):  # fmt: skip
    """D's network; order: of batch norm, activation and dropout after a linear layer."""
    layers = [nn.Flatten()]
    for place, (norm, drop) in enumerate(zip(norms, drops, strict=True)):
        width = widths[place + 1]
        layers.append(nn.Linear(widths[place], width))
        parts = {"n": nn.BatchNorm1d(width) if norm else None, "a": act(),
                 "d": nn.Dropout(drop) if drop else None}  # fmt: skip
        layers += [parts[name] for name in order if parts[name] is not None]
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1]), *last)


class DeepByHand(nn.Module):
    def __init__(self, drop=lambda x, training: F.dropout(x, 0.3, training)):
        super().__init__()
        self.one, self.two = nn.Linear(784, 512), nn.Linear(512, 256)
        self.three, self.four = nn.Linear(256, 128), nn.Linear(128, 10)
        self.norm_1, self.norm_2, self.drop = nn.BatchNorm1d(512), nn.BatchNorm1d(256), drop

    def forward(self, images):
        x = self.drop(torch.tanh(self.norm_1(self.one(images.flatten(1)))), self.training)
        x = self.drop(torch.tanh(self.norm_2(self.two(x))), self.training)
        x = self.drop(torch.tanh(self.three(x)), self.training)
        return F.log_softmax(self.four(x), dim=1)


def mixed(*kinds) -> Callable[[], nn.Module]:
    rest = iter(kinds)
    return lambda: next(rest)()


STILL_RELU = "many units are exactly 0, even in eval mode"
ANOTHER = [
    *[(deep(kind), "right") for kind in (nn.Tanh, nn.LeakyReLU, nn.GELU, nn.Sigmoid, nn.PReLU)],
    (deep(nn.ELU).eval(), "right"),
    (DeepByHand, "right"),
    (build_model("D deep", activation="tanh"), "right"),
    (deep, "right"),
    (deep(nn.ReLU), STILL_RELU),
    (build_model("D deep"), STILL_RELU),
    (deep(nn.ReLU6), STILL_RELU),
    (deep(nn.Hardtanh), "the activation is flat there"),
    (deep(mixed(nn.Tanh, nn.Hardtanh, nn.Tanh)), "the activation is flat there"),
    (deep(mixed(nn.Tanh, nn.ReLU, nn.Tanh)), STILL_RELU),
    (deep(mixed(nn.Tanh, nn.Tanh, nn.ReLU)), STILL_RELU),
    (deep(mixed(nn.ReLU, nn.Tanh, nn.Tanh)), STILL_RELU),
    (deep(nn.Identity), NO_ACTIVATION),
    (deep(mixed(nn.Tanh, nn.Identity, nn.Tanh)), NO_ACTIVATION),
    (deep(last=()), "not log-probabilities"),
    (deep(last=(nn.Softmax(dim=1),)), "not log-probabilities"),
    (deep(last=(nn.LogSoftmax(dim=0),)), "depends on the others"),
    (deep(last=(nn.Tanh(),)), "not log-probabilities"),
    (deep(drops=(0, 0, 0)), "no unit before `.*` is switched off"),
    (deep(drops=(0.3, 0.3, 0)), "no unit before `.*` is switched off"),
    (deep(drops=(0.3, 0, 0.3)), "no unit before `.*` is switched off"),
    (deep(drops=(0.5, 0.5, 0.5)), "50% of the units before .* and D drops 30%"),
    (deep(drops=(0.3, 0.3, 0.1)), "10% of the units before"),
    (deep(nn.Sigmoid, order="nda"), "something lies between `.*dropout goes after"),
    (deep(nn.Tanh, order="nda"), "something lies between `.*dropout goes after"),
    (deep(norms=(True, False, False)), "1 batch norms at work, and D two"),
    (deep(norms=(False, False, False)), "0 batch norms"),
    (deep(norms=(True, True, True)), "3 batch norms"),
    (deep(norms=(False, True, True)), "does not come right after `1`"),
    (deep(order="and"), "batch norm goes before the activation"),
    (deep(widths=(784, 512, 256, 128, 9)), "x 9, expected 256 x 10"),
    (deep(widths=(784, 128, 64, 32, 10)), "from 784 to 128, .*; D's from 784 to 512"),
    (build_model("D larger", activation="tanh"), "1024"),
    (build_model("A baseline", activation="tanh"), "from 784 to 128"),
    (lambda: DeepByHand(lambda x, training: F.dropout(x, 0.3)), "training=self.training"),
    (lambda: DeepByHand(lambda x, training: F.dropout(x, 0.3, not training)), "two calls"),
    (lambda: DeepByHand(lambda x, training: x), "no unit before"),
    (lambda: DeepByHand(lambda x, training: x.detach()), "no gradient reaches `one.weight`"),
    *spoilt(deep),
]


# --- 3.2: residual blocks -------------------------------------------------------------------


def plus(x, y):
    x += y
    return x


class Block(nn.Module):
    def __init__(self, f=None, join=lambda x, y: x + y, width=64):
        super().__init__()
        self.f = f or nn.Sequential(nn.Linear(width, width), nn.ReLU())
        self.join = join

    def forward(self, x):
        return self.join(x, self.f(x))


def blocks(f=None, join=lambda x, y: x + y, count=20, width=64, last=64, first=True):
    made = [Block(f() if f else None, join, width) for _ in range(count)]
    start = [nn.Flatten(), nn.Linear(784, width), nn.ReLU()] if first else [nn.Flatten()]
    return nn.Sequential(*start, *made, nn.Linear(last, 10))


def line():
    return nn.Linear(64, 64)


class Loop(nn.Module):
    """Residual blocks without a module of their own."""

    def __init__(self, count=20, keep=nn.ModuleList, skip=True):
        super().__init__()
        self.first, self.last, self.skip = nn.Linear(784, 64), nn.Linear(64, 10), skip
        self.hidden = keep([nn.Linear(64, 64) for _ in range(count)])

    def forward(self, images):
        x = self.first(images.flatten(1))
        for layer in self.hidden:
            x = x * self.skip + torch.tanh(layer(x))
        return self.last(x)


class Beside(nn.Module):
    """At the end, x and f(x) side by side."""

    def __init__(self):
        super().__init__()
        self.body, self.last = blocks()[:-1], nn.Linear(128, 10)

    def forward(self, images):
        x = self.body(images)
        return self.last(torch.cat([x, x.relu()], dim=1))


def one_plain(place: int) -> nn.Module:
    model = blocks()
    model[3 + place] = nn.Sequential(line(), nn.ReLU())
    return model


NO_SKIP = "somewhere `x \\+` is missing"
SAME_TWENTY = [Block()] * 20
RESIDUAL = [
    (blocks(), "right"),
    (Loop, "right"),
    (Loop().eval(), "right"),
    (blocks(line, lambda x, y: (x + y).relu()), "right"),
    (blocks(lambda: nn.Sequential(nn.ReLU(), line())), "right"),
    (blocks(lambda: nn.Sequential(nn.BatchNorm1d(64), nn.GELU(), line())), "right"),
    (blocks(lambda: nn.Sequential(line(), nn.ReLU(), line())), "right"),
    (blocks(lambda: nn.Sequential(line(), nn.ReLU(), nn.Dropout(0.1))), "right"),
    (blocks(join=lambda x, y: y + x), "right"),
    (blocks(join=lambda x, y: y + x, count=25), "it has 25 blocks, and twenty are asked for"),
    (blocks(join=lambda x, y: x - y), "right"),
    (blocks(join=lambda x, y: y), NO_SKIP),
    (blocks(join=lambda x, y: x * y), f"{NO_SKIP}|the same of all"),
    (blocks(join=lambda x, y: y + y), NO_SKIP),
    (blocks(join=lambda x, y: x.mean() * 0 + y), NO_SKIP),
    (Loop(skip=False), NO_SKIP),
    (Loop(skip=2), "x comes out 1e\\+06 times as large: add x itself"),
    (Loop(skip=-1.5), "x comes out 3.3e\\+03 times as large: add x itself"),
    (Loop(skip=0.9), "x comes out 0.12 times as large: add x itself"),
    (Loop(count=21, skip=-1), "x comes out -1 times as large: add x itself"),
    (one_plain(0), NO_SKIP),
    (one_plain(9), NO_SKIP),
    (one_plain(19), NO_SKIP),
    (blocks(lambda: nn.Sequential(line(), nn.ReLU()), plus), "write `x = x"),
    (blocks(join=lambda x, y: x), "no gradient reaches"),
    (blocks(join=lambda x, y: x + y.detach()), "no gradient reaches"),
    (blocks(join=lambda x, y: x.detach() + y), NO_SKIP),
    (blocks(line), "its blocks hold no activation"),
    (blocks(count=3), "3 layers lead from 64 units to 64"),
    (blocks(count=19), "19 layers lead from 64 units to 64"),
    (blocks(count=0), "no `nn.Linear` with as many outputs as inputs"),
    (blocks(width=32, last=32), r"have \[32\] units; 64"),
    (blocks(width=784, last=784, first=False), r"have \[784\] units; 64"),
    (blocks(join=lambda x, y: torch.cat([x, y], 1), count=1, last=128), "1 layers lead"),
    (Beside(), "its last layer takes 128 numbers"),
    (nn.Sequential(nn.Flatten(), nn.Linear(784, 64), *SAME_TWENTY, nn.Linear(64, 10)),
     "the same layer works 20 times"),
    (lambda: Loop(keep=list), "in a Python list"),
    (blocks(last=32), "takes 32 numbers and is given 64"),
    (build_model("A baseline"), "no `nn.Linear` with as many"),
    *spoilt(blocks),
    *with_logits_spoilt(blocks),
]  # fmt: skip


# --- 4.1: three convolutions ----------------------------------------------------------------


def conv(before, after, size=3, padding=1, **more):
    return nn.Conv2d(before, after, kernel_size=size, padding=padding, **more)


def convolutions(
    channels=(8, 16, 16), pools=(2, 2, 1), side=7, act=nn.ReLU, outputs=10, last=(), size=3
):
    layers, before = [], 1
    for after, pool in zip(channels, pools, strict=True):
        layers += [conv(before, after, size, size // 2), act()]
        layers += [nn.MaxPool2d(pool)] if pool > 1 else []
        before = after
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * side * side, outputs), *last)


class ConvByHand(nn.Module):
    def __init__(self, third=lambda self, x: self.c(x), act=F.relu):
        super().__init__()
        self.a, self.b, self.c = conv(1, 8, 5, 2, stride=2), conv(8, 16), conv(16, 16)
        self.last, self.third, self.act = nn.Linear(16, 10), third, act

    def forward(self, images):
        x = self.act(self.b(self.act(self.a(images))))
        return self.last(self.act(self.third(self, x)).mean(dim=(2, 3)))


class Pooled(nn.Module):
    """Three convolutions with a pooling of one's own between them, and an activation or none."""

    def __init__(self, pool, act=F.relu):
        super().__init__()
        self.a, self.b, self.c = conv(1, 8), conv(8, 8), conv(8, 8)
        self.last, self.pool, self.act = nn.Linear(8, 10), pool, act

    def forward(self, images):
        x = self.pool(self.act(self.b(self.pool(self.act(self.a(images))))))
        return self.last(self.act(self.c(x)).mean(dim=(2, 3)))


POOLINGS = [
    lambda x: F.max_pool2d(x, 2),
    lambda x: F.max_pool2d(x, kernel_size=2),
    lambda x: F.max_pool2d(input=x, kernel_size=(2, 2), stride=(2, 2)),
    lambda x: F.max_pool2d(x, 2, return_indices=True)[0],
    lambda x: F.max_pool2d(x, 3, stride=2, padding=1, ceil_mode=True),
    lambda x: torch.max_pool2d(x, 2),
    lambda x: torch.max_pool2d(x, kernel_size=2),
    lambda x: F.adaptive_max_pool2d(x, output_size=7),
    lambda x: F.adaptive_max_pool2d(x, (9, 7)),
    nn.MaxPool2d(3, 2, dilation=2),
    nn.AdaptiveMaxPool2d(6),
    nn.MaxPool2d(2, return_indices=False, ceil_mode=True),
]


def single_pixel():
    return nn.Sequential(
        conv(1, 8), nn.ReLU(), conv(8, 8), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        conv(8, 8, 1, 0), nn.ReLU(), nn.Flatten(), nn.Linear(8, 10),
    )  # fmt: skip


def thrice():
    same = conv(8, 8)
    return nn.Sequential(conv(1, 8), nn.ReLU(), same, nn.ReLU(), same, nn.ReLU(), nn.MaxPool2d(4),
                         nn.Flatten(), nn.Linear(8 * 7 * 7, 10))  # fmt: skip


THIRD = [
    (convolutions(), "right: 3 convolutions"),
    (convolutions(act=nn.Tanh), "right"),
    (ConvByHand, "right"),
    (ConvByHand(act=F.gelu).eval(), "right"),
    (build_model("V2"), "right: 4 convolutions"),
    (build_model("FastCNN"), "right"),
    (build_model("CompactCNN"), "right: 6"),
    (lambda: convolutions(size=5), "right"),
    (convolutions((8, 16, 16, 16), (2, 2, 1, 2), 3), "right"),
    *((Pooled(pool), "right") for pool in POOLINGS),
    (
        nn.Sequential(
            nn.Conv2d(1, 8, 3),
            nn.LazyBatchNorm2d(),
            nn.ReLU(),
            nn.LazyConv2d(8, 3),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3),
            nn.ReLU(),
            nn.MaxPool2d(4),
            nn.Flatten(),
            nn.LazyLinear(10),
        ),
        "right",
    ),
    *((Pooled(pool, nn.Identity()), NO_ACTIVATION) for pool in POOLINGS),
    (build_model("E CNN corrected"), "2 `nn.Conv2d` are at work"),
    (build_model("B CNN"), "at most 200,000 are allowed; `classifier.2.weight` alone has 401,408"),
    (build_model("E CNN"), "ends in a softmax"),
    (build_model("V0"), "0 `nn.Conv2d`"),
    (thrice(), "2 `nn.Conv2d`"),
    (convolutions((32, 64, 64), (1, 1, 1), 28), "at most 200,000 are allowed"),
    (convolutions((64, 128, 128), (2, 2, 1)), "at most 200,000 are allowed"),
    (single_pixel(), "sees a single pixel"),
    (convolutions((8, 8, 8), (4, 7, 1), 1), "sees a single pixel"),
    (convolutions(act=nn.Identity, pools=(4, 1, 1)), NO_ACTIVATION),
    (convolutions(act=mixed(nn.ReLU, nn.Identity, nn.ReLU), pools=(4, 1, 1)), NO_ACTIVATION),
    (convolutions(act=nn.Identity, pools=(2, 2, 2), side=3), NO_ACTIVATION),
    (ConvByHand(act=lambda x: F.max_pool2d(x, 3, 1, 1)), NO_ACTIVATION),
    (convolutions(side=3), "takes 144 numbers and is given 784"),
    (convolutions(outputs=9), "x 9, expected 32 x 10"),
    (convolutions(outputs=784), "x 784, expected"),
    (convolutions()[:-2], "its outputs have shape 32 x 16 x 7 x 7"),
    (nn.Sequential(*convolutions()[:-2], nn.Flatten(0), nn.Linear(784, 10)), "takes 784|shape"),
    (convolutions(last=(nn.ReLU(),)), "ever negative"),
    (convolutions(last=(nn.Softmax(dim=1),)), "ends in a softmax"),
    (convolutions(last=(nn.LogSoftmax(dim=1),)), "ends in a log-softmax"),
    (lambda: ConvByHand(lambda self, x: x), "no gradient reaches `c.weight`"),
    (lambda: ConvByHand(lambda self, x: x + 0 * self.c(x)), "no gradient reaches `c.weight`"),
    (lambda: ConvByHand(lambda self, x: self.c(x.detach())), "no gradient reaches `a.weight`"),
    (lambda: ConvByHand(lambda self, x: self.c(x.transpose(0, 1))), "raises RuntimeError"),
    (nn.Sequential(conv(3, 8), *convolutions()[1:]), "expected input.* to have 3 channels"),
    *spoilt(convolutions),
    *with_logits_spoilt(convolutions),
]


# --- 4.2: a residual block ------------------------------------------------------------------


class ConvBlock(nn.Module):
    def __init__(self, channels=4, join=lambda x, y: (x + y).relu(), f=None):
        super().__init__()
        self.f = (f or two_convolutions)(channels)
        self.join = join

    def forward(self, x):
        return self.join(x, self.f(x))


def two_convolutions(n):
    return nn.Sequential(conv(n, n), nn.ReLU(), conv(n, n))


def like_resnet(n):
    return nn.Sequential(conv(n, n, bias=False), nn.BatchNorm2d(n), nn.ReLU(inplace=True),
                         conv(n, n, bias=False), nn.BatchNorm2d(n))  # fmt: skip


def starting_at_zero(n):
    f = like_resnet(n)
    nn.init.zeros_(f[-1].weight)
    return f


class Projected(ConvBlock):
    def __init__(self, channels):
        super().__init__(channels)
        self.short = conv(channels, channels, 1, 0)

    def forward(self, x):
        return self.short(x) + self.f(x)


class Fixed(ConvBlock):
    def __init__(self):
        super().__init__(16)


class InAndOut(nn.Module):
    def __init__(self, channels_in, channels_out):
        super().__init__()


class UsedTwice(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.only = conv(channels, channels)

    def forward(self, x):
        return x + self.only(self.only(x).relu())


def block_of(join=lambda x, y: x + y, f=None):
    return lambda channels: ConvBlock(channels, join, f)


MISSING = "is `x \\+` missing"
BLOCK = [
    (ConvBlock, "right"),
    (ConvBlock(16), "right"),
    (Fixed(), "right"),
    (block_of(), "right"),
    (block_of(f=like_resnet), "right"),
    (block_of(lambda x, y: F.relu(y + x), f=starting_at_zero), "right"),
    (block_of(lambda x, y: x - y), "right"),
    (block_of(f=lambda n: nn.Sequential(nn.BatchNorm2d(n), nn.ReLU(), two_convolutions(n))),
     "right"),
    (block_of(f=lambda n: nn.Sequential(two_convolutions(n), nn.ReLU())), "right"),
    (block_of(f=lambda n: nn.Sequential(conv(n, 2 * n), nn.GELU(), conv(2 * n, n))), "right"),
    (Fixed, "since its arguments are: nothing"),
    (InAndOut, "since its arguments are: channels_in, channels_out"),
    (block_of(lambda x, y: y), MISSING),
    (block_of(lambda x, y: y.relu()), MISSING),
    (block_of(lambda x, y: x * y), MISSING),
    (block_of(lambda x, y: y + y), MISSING),
    (block_of(lambda x, y: x), "no gradient comes through|no gradient reaches"),
    (block_of(lambda x, y: x + x), "no gradient comes through|no gradient reaches"),
    (block_of(lambda x, y: x.relu() + y), "is a ReLU of x: take the sum first"),
    (block_of(lambda x, y: (x.relu() + y).relu(), like_resnet), "is a ReLU of x: take the sum"),
    (block_of(lambda x, y: 2 * x + y), "yours returns 2 x"),
    (block_of(lambda x, y: (x + y) / 2), "yours returns 0.5 x"),
    (block_of(lambda x, y: (x + y).tanh()), "yours changes it"),
    (block_of(lambda x, y: (x + y).sigmoid()), "yours changes it"),
    (block_of(lambda x, y: x + y + 1), "yours changes it"),
    (block_of(lambda x, y: -x + y), "yours returns -1 x"),
    (block_of(lambda x, y: x.flip(1) + y), "yours changes it"),
    (block_of(lambda x, y: torch.cat([x, y], dim=1)), "x 8 x 7 x 7, expected 16 x 4 x 7 x 7"),
    (block_of(lambda x, y: F.max_pool2d(x + y, 2)), "expected 16 x 4 x 7 x 7"),
    (block_of(lambda x, y: x + y.mean()), "depends on the others"),
    (block_of(lambda x, y: x.detach() + y), "is x detached there"),
    (block_of(plus), "changes the images|RuntimeError"),
    (block_of(f=lambda n: nn.Sequential(nn.ReLU(inplace=True), two_convolutions(n))),
     "changes the images"),
    (Projected, "yours changes it"),
    (block_of(f=lambda n: nn.Sequential(conv(n, n), nn.ReLU())), "1 `nn.Conv2d`"),
    (block_of(f=lambda n: nn.Sequential(conv(n, n), conv(n, n))), NO_ACTIVATION),
    (block_of(f=lambda n: nn.Sequential(conv(n, n), nn.BatchNorm2d(n), conv(n, n))),
     NO_ACTIVATION),
    (block_of(f=lambda n: nn.Sequential(conv(n, n, 3, 0), nn.ReLU(), conv(n, n, 3, 0))),
     "it raises RuntimeError: The size of tensor a"),
    (block_of(f=lambda n: nn.Sequential(conv(n, n), nn.ReLU(), conv(n, n, stride=2))),
     "it raises RuntimeError|expected"),
    (block_of(f=lambda n: nn.ReLU()), "no parameters"),
    (block_of(f=lambda n: nn.Linear(7, 7)), "it raises|`nn.Conv2d`"),
    (two_convolutions(4), MISSING),
    (UsedTwice, "1 `nn.Conv2d` at work, used twice, but two are asked for"),
    *spoilt(ConvBlock),
]  # fmt: skip


# --- 5.1: a head ----------------------------------------------------------------------------


def head(drop=0.2, hidden=64, act=nn.ReLU, last=(), first=1280, outputs=10, early=True):
    layers = [nn.Linear(first, hidden), act(), nn.Dropout(drop), nn.Linear(hidden, outputs)]
    return nn.Sequential(*([nn.Dropout(drop)] if early else []), *layers, *last)


class HeadByHand(nn.Module):
    def __init__(self, drop=lambda x, training: F.dropout(x, 0.5, training)):
        super().__init__()
        self.hidden, self.last, self.drop = nn.Linear(1280, 32), nn.Linear(32, 10), drop

    def forward(self, features):
        return self.last(self.drop(self.hidden(features).relu(), self.training))


LINEAR = "1 `nn.Linear` at work, and so no hidden layer"
HEAD = [
    (head(), "right"),
    (head, "right"),
    (head(early=False), "right"),
    (head(0.5, act=nn.Tanh).eval(), "right"),
    (HeadByHand, "right"),
    (HeadByHand(), "right"),
    (nn.Sequential(nn.Linear(1280, 99), nn.BatchNorm1d(99), nn.GELU(), nn.Dropout(0.1),
                   nn.Linear(99, 50), nn.ReLU(), nn.Linear(50, 10)), "right"),
    (nn.Sequential(nn.Linear(1280, 64), nn.Dropout(0.2), nn.Sigmoid(), nn.Linear(64, 10)), "right"),
    (nn.Sequential(nn.Linear(1280, 64), nn.ReLU(), nn.Dropout(0.2), nn.BatchNorm1d(64),
                   nn.Linear(64, 10)), "right"),
    (nn.Sequential(nn.Linear(1280, 64), nn.SELU(), nn.AlphaDropout(0.2), nn.Linear(64, 10)),
     "right"),
    (head(0.01), "right"),
    (nn.Sequential(nn.LazyLinear(64), nn.LazyBatchNorm1d(), nn.ReLU(), nn.Dropout(0.2),
                   nn.LazyLinear(10)), "right"),
    (lambda: HeadByHand(lambda x, training: torch.dropout(x, 0.2, training)), "right"),
    (lambda: HeadByHand(lambda x, training: x * (torch.rand_like(x) > 0.2 * training)), "right"),
    (nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, 10)), LINEAR),
    (build_model("MobileNetV2 head"), LINEAR),
    (head(act=nn.Identity), NO_ACTIVATION),
    (head(act=lambda: nn.BatchNorm1d(64)), NO_ACTIVATION),
    (head(0.0), "in training mode two calls give the same"),
    (head(1.0), "in training mode two calls give the same|no gradient"),
    (head(0.0, last=(nn.Dropout(0.2),)), "dropout is applied to the logits"),
    (head(last=(nn.Dropout(0.2),)), "dropout is applied to the logits"),
    (lambda: HeadByHand(lambda x, training: x), "in training mode two calls give the same"),
    (lambda: HeadByHand(lambda x, training: F.dropout(x, 0.5)), "training=self.training"),
    (lambda: HeadByHand(lambda x, training: F.dropout(x, 0.5, not training)), "two calls"),
    (lambda: HeadByHand(lambda x, training: x + training * 0.1 * torch.randn_like(x)),
     "something is random in training mode, but it is not dropout"),
    (head(first=784), "takes 784 numbers and is given 1280"),
    (head(outputs=1000), "x 1000, expected 64 x 10"),
    (head(outputs=9), "x 9, expected"),
    (head(last=(nn.Softmax(dim=1),)), "ends in a softmax"),
    (head(last=(nn.LogSoftmax(dim=1),)), "ends in a log-softmax"),
    (head(last=(nn.ReLU(),)), "ever negative"),
    (nn.Sequential(conv(1280, 10), nn.ReLU()), "raises RuntimeError"),
    (head()[:-1], "x 64, expected 64 x 10"),
    (build_model("V1 corrected"), "takes 784 numbers and is given 1280"),
    *spoilt(head),
    *with_logits_spoilt(head),
]  # fmt: skip


# --- 5.2: the last block learns -------------------------------------------------------------


def switched(*on: str):
    """A function that turns on exactly the parameters whose names begin so."""

    def switch(network):
        for name, parameter in network.named_parameters():
            parameter.requires_grad = name.startswith(on)
        return network

    return switch


def by_hand(network):
    for parameter in network.parameters():
        parameter.requires_grad = False
    for part in (network.features[18], network.classifier):
        for parameter in part.parameters():
            parameter.requires_grad = True
    return network


def in_place(network):
    by_hand(network)


def only_off(network):
    for parameter in network.features[:-1].parameters():
        parameter.requires_grad = False
    return network


def only_on(network):
    network.features[-1].requires_grad_(True)
    return network


def no_switch(network):
    for layer in network.features[:-1]:
        layer.requires_grad = False  # an attribute of the layer, which nobody asks
    return network


def compared(network):
    for parameter in network.features[:-1].parameters():
        parameter.requires_grad == False  # noqa: B015, E712
    return network


def weights_only(network):
    by_hand(network)
    for name, parameter in network.named_parameters():
        if name.startswith("features.18") and name.endswith("bias"):
            parameter.requires_grad = False
    return network


def no_norms(network):
    by_hand(network)
    network.features[-1][1].requires_grad_(False)
    return network


def shortened(network):
    network.features = network.features[:-1]
    return network


def other_head(network):
    network = by_hand(network)
    network.classifier = nn.Linear(1280, 10)
    return network


def undone(network):
    by_hand(network)
    return network.requires_grad_(True)


@functools.cache
def one_mobilenet():
    return mobilenet()


def borrowed():
    """A MobileNetV2 of its own; to copy one is quicker than to make one."""
    return copy.deepcopy(one_mobilenet())


LAST, HEAD_ON = "features.18.", "classifier."
THAWED = [
    (by_hand, "right"),
    (switched(LAST, HEAD_ON), "right"),
    (in_place, "your function returns nothing"),
    (by_hand(borrowed()), "right"),
    (lambda m: freeze(m).features[-1].requires_grad_(True) and
     m.classifier.requires_grad_(True) and m, "right"),
    (lambda m: by_hand(copy.deepcopy(m)), "a copy comes back: set the switches of the network"),
    (lambda m: m, "158 of 158 tensors have `requires_grad`, and 5 should; `features.0.0.weight`"),
    (freeze, "0 of 158 tensors .* is frozen"),
    (only_off, "for a network whose switches were all off, 0 of 158 .* is frozen"),
    (only_on, "158 of 158 .*`features.0.0.weight` still learns"),
    (no_switch, "158 of 158"),
    (compared, "158 of 158"),
    (switched(HEAD_ON), "2 of 158 .*`features.18.* is frozen"),
    (switched(LAST), "3 of 158 .*`classifier.* is frozen"),
    (switched("features.17.", HEAD_ON), "`features.17.* still learns"),
    (switched("features.17.", LAST, HEAD_ON), "`features.17.* still learns"),
    (switched("features.0.", HEAD_ON), "`features.0.* still learns"),
    (switched("features.1", HEAD_ON), "`features.1.* still learns"),
    (switched("features.18.0", HEAD_ON), "`features.18.* is frozen"),
    (switched("features.18.1", HEAD_ON), "`features.18.* is frozen"),
    (switched(LAST, "classifier.1.weight"), "`classifier.1.bias` is frozen"),
    (switched(LAST, "classifier.1.bias"), "`classifier.1.weight` is frozen"),
    (switched("features."), "still learns"),
    (switched("nothing"), "0 of 158"),
    (weights_only, "`features.18.1.bias` is frozen"),
    (no_norms, "`features.18.1.bias` is frozen"),
    (undone, "158 of 158"),
    (shortened, "has other layers"),
    (other_head, "has other layers"),
    (lambda m: by_hand(m).features, "has other layers"),
    (lambda m: list(by_hand(m).parameters()), "returns a list"),
    (lambda m: True, "your function returns True"),
    (lambda m: None, "is `return` missing"),
    (lambda m: m.blocks[-1], "raises AttributeError"),
    (lambda: None, "raises TypeError"),
    (borrowed(), "158 of 158"),
    (freeze(borrowed()), "0 of 158"),
    (only_off(borrowed()).features, "has no `features` and `classifier`"),
    (v1(), "has no `features` and `classifier`"),
    (convolutions(), "has no `features` and `classifier`"),
    (5, "hand in the function itself"),
    ("features", "hand in the function itself"),
    (None, "hand in the function itself"),
]  # fmt: skip


# --- 2.2: numbers ---------------------------------------------------------------------------

EIGHT = [0.92, 0.91, 0.925, 0.93, 0.915, 0.92, 0.9, 0.91]
CALM = {"accuracies": EIGHT, "lottery": False}
WILD = {"accuracies": [0.5, 0.9] * 4, "lottery": True}
OWN_LOTTERY = [
    (CALM, "right: worst and best lie 3 points apart"),
    (WILD, "right: worst and best lie 40 points apart"),
    ({"accuracies": torch.tensor(EIGHT), "lottery": False}, "right"),
    ({"accuracies": tuple(EIGHT * 2), "lottery": False, "more": 1}, "right"),
    (CALM | {"lottery": True}, "3 points apart, and a lottery"),
    ({"accuracies": [0.09 + 0.003 * k for k in range(8)], "lottery": False}, "all of them guess"),
    (WILD | {"lottery": False}, "40 points apart, and a lottery"),
    *[(CALM | {"accuracies": EIGHT[:n]}, f"{n} runs") for n in range(8)],
    *[(CALM | {"accuracies": [value] * 8}, "its own seed") for value in (0.9, 0.0, 1.0)],
    (CALM | {"accuracies": [100 * value for value in EIGHT]}, "0.9 and not 90"),
    (CALM | {"accuracies": [-value for value in EIGHT]}, "between 0 and 1"),
    *[(CALM | {"accuracies": [bad, *EIGHT[1:]]}, "not a number") for bad in
      (float("nan"), float("inf"), "good", None)],
    *[(CALM | {"accuracies": bad}, "several numbers") for bad in (0.9, "0.9", None, {})],
    *[(CALM | {"lottery": bad}, "True or False") for bad in ("no", 0, None, 1.0)],
    (CALM | {"accuracies": [EIGHT]}, "shape"),
    ({"accuracies": EIGHT}, "lacks 'lottery'"),
    ({"lottery": True}, "lacks 'accuracies'"),
    (EIGHT, "a dictionary is asked for"),
    (max(EIGHT) - min(EIGHT), "a dictionary is asked for"),
]  # fmt: skip

NETWORKS: dict[str, list[Case]] = {
    "2.1": OWN_V1, "2.2": OWN_LOTTERY, "2.3": ANY_WIDTH, "3.1": ANOTHER, "3.2": RESIDUAL,
    "4.1": THIRD, "4.2": BLOCK, "5.1": HEAD, "5.2": THAWED,
}  # fmt: skip
