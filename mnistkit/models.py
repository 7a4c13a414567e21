"""Every architecture of the series, by its published name.

Letters A to E name the five published READMEs that the series rebuilds. Models take
float32 images, N x 1 x 28 x 28, and return logits, N x 10, unless an attribute `outputs`
says "probabilities" or "log_probabilities": softmax belongs to the loss. An architecture
that was published with a softmax or a ReLU at its end exists as published, marked so,
beside the corrected one.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from threading import RLock

import pandas as pd
import torch
from torch import Tensor, nn

from mnistkit.utils.validation import (
    check_choice,
    check_flag,
    check_module,
    check_number,
    check_whole,
    explaining,
    place_of,
)

PIXELS, CLASSES = 28 * 28, 10
OUTPUTS = ("logits", "probabilities", "log_probabilities")
FEATURES = 1280  # of MobileNetV2, before its last layer
INPUT_SHAPE = (1, 28, 28)
_BUILDING = RLock()  # all threads draw from one random state

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


class MNISTModelV0(nn.Module):
    """README C's linear model: 784-10-10 with no activation between."""

    def __init__(self, hidden_units: int = 10):
        """`hidden_units` is the width of the layer between pixels and logits."""
        super().__init__()
        check_whole("hidden_units", hidden_units)
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(PIXELS, hidden_units), nn.Linear(hidden_units, CLASSES)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, N x 10."""
        return self.layers(images)


class MNISTModelV1(nn.Module):
    """README C's second model: V0 with a ReLU after each layer.

    As published, the last ReLU sits on the logits: a class whose logit is never
    positive gets no gradient and is lost. `relu_on_logits=False` takes it away.
    """

    def __init__(self, hidden_units: int = 10, *, relu_on_logits: bool = True):
        """`relu_on_logits=True` is the model as published."""
        super().__init__()
        check_whole("hidden_units", hidden_units)
        check_flag("relu_on_logits", relu_on_logits)
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(PIXELS, hidden_units),
            nn.ReLU(),
            nn.Linear(hidden_units, CLASSES),
            nn.ReLU() if relu_on_logits else nn.Identity(),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, N x 10; as published, none of them is negative."""
        return self.layers(images)


class MNISTModelV2(nn.Module):
    """README C's CNN: two blocks of (conv 3x3, ReLU, conv 3x3, ReLU, max-pool 2), then linear."""

    def __init__(self, hidden_units: int = 10):
        """`hidden_units` is the number of channels of all four convolutions."""
        super().__init__()
        check_whole("hidden_units", hidden_units)
        self.block_1 = self._block(1, hidden_units)
        self.block_2 = self._block(hidden_units, hidden_units)
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(hidden_units * 7 * 7, CLASSES))

    @staticmethod
    def _block(channels_in: int, channels: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(channels_in, channels, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, N x 10."""
        return self.classifier(self.block_2(self.block_1(images)))


class MLP(nn.Module):
    """A multi-layer perceptron that covers those of READMEs A, B, D and E.

    Each hidden layer is linear, then batch norm (if it has one), activation, dropout
    (if any). The layers are in `self.layers`, an `nn.Sequential`.
    """

    def __init__(
        self,
        hidden: Sequence[int] = (128, 64),
        activation: str = "relu",
        dropout: float = 0.0,
        batch_norm: bool | int = False,
        log_softmax: bool = False,
    ):
        """Build 784-`hidden`-10.

        Args:
            hidden: units of each hidden layer; empty for a linear classifier.
            activation: "relu", "leaky_relu", "tanh" or "sigmoid".
            dropout: probability, in [0, 1), after each hidden layer.
            batch_norm: on all hidden layers, on none, or on the first so many.
            log_softmax: end in log-probabilities, for NLL loss, instead of logits.

        Raises ValueError for an unknown activation, or units or dropout out of range.
        """
        super().__init__()
        hidden = _checked_widths("hidden", hidden)
        check_number("dropout", dropout, least=0, below=1)
        check_choice("activation", activation, ACTIVATIONS)
        check_flag("log_softmax", log_softmax)
        if not isinstance(batch_norm, bool):
            check_whole("batch_norm", batch_norm, least=0)
        normed = len(hidden) if batch_norm is True else int(batch_norm)
        if not 0 <= normed <= len(hidden):
            raise ValueError(
                f"batch_norm is {batch_norm!r}, and there are {len(hidden)} hidden layers"
            )
        self.outputs = "log_probabilities" if log_softmax else "logits"
        layers: list[nn.Module] = [nn.Flatten()]
        for depth, (units_in, units) in enumerate(zip((PIXELS, *hidden), hidden, strict=False)):
            layers.append(nn.Linear(units_in, units))
            if depth < normed:
                layers.append(nn.BatchNorm1d(units))
            layers.append(ACTIVATIONS[activation]())
            if dropout:
                layers.append(nn.Dropout(dropout))
        layers.append(nn.Linear((PIXELS, *hidden)[-1], CLASSES))
        if log_softmax:
            layers.append(nn.LogSoftmax(dim=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, N x 10, or log-probabilities if built so."""
        return self.layers(images)


class CNN(nn.Module):
    """README E's CNN: conv to 32, pool, ReLU, conv to 64, pool, linear 3136-10, softmax.

    As published it ends in softmax and is trained with cross-entropy, which applies it
    a second time. `softmax=False` returns logits, as cross-entropy expects. `dense` adds
    a hidden layer before the last, as in README B's CNN.
    """

    def __init__(self, *, softmax: bool = True, dense: int | None = None):
        """`softmax=True` without `dense` is the model as published in E."""
        super().__init__()
        check_flag("softmax", softmax)
        if dense is not None:
            check_whole("dense", dense)
        self.outputs = "probabilities" if softmax else "logits"
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, kernel_size=3, padding=1),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(32, 64, kernel_size=3, padding=1),
            nn.MaxPool2d(2),
        )
        hidden = [nn.ReLU(), nn.Linear(64 * 7 * 7, dense), nn.ReLU()] if dense else []
        last = nn.Linear(dense or 64 * 7 * 7, CLASSES)
        self.classifier = nn.Sequential(nn.Flatten(), *hidden, last)
        self.softmax = nn.Softmax(dim=1) if softmax else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, N x 10; as published, probabilities."""
        return self.softmax(self.classifier(self.features(images)))


class FastCNN(nn.Module):
    """A CNN for 99 % in about two seconds of training on two cores, by `study.plan.FAST`.

    The first convolution has a stride of 2, so that all that follows works on a fifth of
    the pixels, and none is padded: 28 x 28 to 12 x 12, 10 x 10, pooled 5 x 5, and 3 x 3.
    Takes normalised images.
    """

    def __init__(self, channels: Sequence[int] = (16, 32, 64)):
        """`channels` of the three convolutions, of 5 x 5, 3 x 3 and 3 x 3 pixels."""
        super().__init__()
        first, second, third = _checked_widths("channels", channels, count=range(3, 4))
        self.features = nn.Sequential(
            nn.Conv2d(1, first, kernel_size=5, stride=2, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(),
            nn.Conv2d(first, second, kernel_size=3, bias=False),
            nn.MaxPool2d(2),  # before batch norm and ReLU, which leaves them a quarter of the work
            nn.BatchNorm2d(second),
            nn.ReLU(),
            nn.Conv2d(second, third, kernel_size=3, bias=False),
            nn.BatchNorm2d(third),
            nn.ReLU(),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(third * 3 * 3, CLASSES))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, N x 10."""
        return self.classifier(self.features(images))


class CompactCNN(nn.Module):
    """Six convolutions, fewer than 150,000 weights: the best accuracy, by `study.plan.COMPACT`.

    None is padded: 28 x 28 to 26, 24, pooled 12, then 10, 8, 6 and 4 pixels a side. Takes
    images in [0, 1]: as the first convolution sees no padding, the batch norm behind it
    makes normalising needless.
    """

    def __init__(self, channels: Sequence[int] = (16, 32, 48, 48, 64, 64)):
        """`channels` of the convolutions, all of 3 x 3 pixels; the second is pooled."""
        super().__init__()
        widths = _checked_widths("channels", channels, count=range(2, 8))
        layers: list[nn.Module] = []
        for place, (width_in, width) in enumerate(zip((1, *widths), widths, strict=False)):
            layers.append(nn.Conv2d(width_in, width, kernel_size=3, bias=False))
            if place == 1:
                layers.append(nn.MaxPool2d(2))  # before batch norm and ReLU: a quarter of the work
            layers += [nn.BatchNorm2d(width), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        side = 12 - 2 * (len(widths) - 2)
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(widths[-1] * side * side, CLASSES))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, N x 10."""
        return self.classifier(self.features(images))


class Ensemble(nn.Module):
    """Several trained models as one: the mean of their probabilities."""

    outputs = "probabilities"

    def __init__(self, members: Sequence[nn.Module]):
        """`members` take the same images and return logits."""
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, images: Tensor) -> Tensor:
        """Return probabilities, N x 10."""
        return torch.stack([m(images).softmax(dim=1) for m in self.members]).mean(dim=0)


@dataclass(frozen=True)
class ModelEntry:
    """One line of the registry: how to build a model, where it was published, what it is."""

    build: Callable[..., nn.Module]
    readme: str
    description: str


def _mobilenet_head() -> nn.Module:
    return nn.Sequential(nn.Dropout(0.2), nn.Linear(FEATURES, CLASSES))


def _compact_ensemble(members: int = 5) -> nn.Module:
    check_whole("members", members)
    return Ensemble([CompactCNN() for _ in range(members)])


def mobilenet(classes: int = CLASSES) -> nn.Module:
    """Build torchvision's MobileNetV2, random weights, with a head of `classes`."""
    from torchvision.models import mobilenet_v2  # slow to import

    model = mobilenet_v2(weights=None)
    model.classifier[1] = nn.Linear(FEATURES, classes)
    return model


MODELS: dict[str, ModelEntry] = {
    "V0": ModelEntry(MNISTModelV0, "C", "linear 784-10-10, no activation"),
    "V1": ModelEntry(MNISTModelV1, "C", "V0 with ReLU after both layers, as published"),
    "V1 corrected": ModelEntry(
        partial(MNISTModelV1, relu_on_logits=False), "C", "V1 without the ReLU on the logits"
    ),
    "V2": ModelEntry(MNISTModelV2, "C", "four convolutions of 10 channels"),
    "A baseline": ModelEntry(partial(MLP, hidden=(128, 64)), "A", "MLP 784-128-64-10"),
    "A wide": ModelEntry(partial(MLP, hidden=(256, 64)), "A", "MLP 784-256-64-10"),
    "B MLP": ModelEntry(
        partial(MLP, hidden=(256, 128), dropout=0.2), "B", "MLP 784-256-128-10, dropout 0.2"
    ),
    "B CNN": ModelEntry(
        partial(CNN, softmax=False, dense=128), "B", "convolutions to 32 and 64, dense 128"
    ),
    "D deep": ModelEntry(
        partial(MLP, hidden=(512, 256, 128), dropout=0.3, batch_norm=2, log_softmax=True),
        "D",
        "MLP 784-512-256-128-10, dropout 0.3, batch norm on two layers, log-softmax",
    ),
    "D larger": ModelEntry(
        partial(MLP, hidden=(1024, 512, 256, 128), dropout=0.4, batch_norm=True, log_softmax=True),
        "D",
        "MLP 784-1024-512-256-128-10, dropout 0.4, batch norm on all, log-softmax",
    ),
    "E MLP": ModelEntry(partial(MLP, hidden=(100,)), "E", "MLP 784-100-10"),
    "E CNN": ModelEntry(CNN, "E", "convolutions to 32 and 64, softmax, as published"),
    "E CNN corrected": ModelEntry(
        partial(CNN, softmax=False), "E", "E's CNN without the softmax: logits"
    ),
    "FastCNN": ModelEntry(FastCNN, "-", "three convolutions to 64, for 99 % in seconds"),
    "CompactCNN": ModelEntry(CompactCNN, "-", "six convolutions to 64, for the best accuracy"),
    "CompactCNN ensemble": ModelEntry(
        _compact_ensemble, "-", "five CompactCNNs, the mean of their probabilities"
    ),
    "MobileNetV2": ModelEntry(
        mobilenet, "E", "MobileNetV2 with a head of 10 classes, 3 x 224 x 224 input"
    ),
    "MobileNetV2 head": ModelEntry(
        _mobilenet_head, "E", "MobileNetV2's new last layer alone, on 1,280 stored features"
    ),
}


def build_model(name: str, *, seed: int | None = None, **options) -> nn.Module:
    """Build a model of the series by its name in `MODELS`.

    seed: fixes its initial weights without touching the caller's random state; a whole
        number of 0 or more.
    options: replace those of the registry: `build_model("A baseline", dropout=0.2)`.
    Raises UnknownNameError (a ValueError), with the nearest right name, for a model or an
    option that does not exist; ValueError for a model that is too large for the memory.
    """
    build = MODELS[check_choice("model", name, MODELS)].build
    for option in options:
        check_choice(f"option of {name}", option, inspect.signature(build).parameters)
    if seed is not None:
        check_whole("seed", seed, least=0)
    with _BUILDING, torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        return _build(name, build, options)


def _build(name: str, build: Callable[..., nn.Module], options: dict) -> nn.Module:
    try:
        return build(**options)
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, RuntimeError) and "allocate" not in str(error):
            raise
        given = ", ".join(f"{option}={value}" for option, value in options.items())
        raise ValueError(f"{name} with {given} does not fit into the memory") from error


def count_parameters(model: nn.Module, *, trainable_only: bool = False) -> int:
    """Count the numbers that a model learns, or with `trainable_only` those not frozen."""
    parameters = list(check_module(model).parameters())
    if any(isinstance(p, nn.parameter.UninitializedParameter) for p in parameters):
        raise ValueError("its lazy layers have no parameters yet: show it one input first")
    return sum(p.numel() for p in parameters if p.requires_grad or not trainable_only)


def count_operations(
    model: nn.Module, input_shape: Sequence[int] = INPUT_SHAPE, *, training: bool = False
) -> int:
    """Count the multiplications and additions that one image costs, with PyTorch's counter.

    Of matrix products and convolutions only, which are nearly all of them. input_shape: of
    one image, without the batch axis. training: backward, too, as far as parameters are
    not frozen. It is the same on every machine; seconds are not.
    """
    place = place_of(model)
    from torch.utils.flop_counter import FlopCounterMode  # slow to import

    image = torch.zeros(1, *input_shape, dtype=place.dtype, device=place.device)
    gradients = [p.grad for p in model.parameters()]
    counter = FlopCounterMode(display=False)
    with (
        eval_mode(model), torch.set_grad_enabled(training), explaining(model, image),
        _step_by_step(model), counter,
    ):  # fmt: skip
        outputs = model(image)
        if training:
            outputs.sum().backward()
    for p, gradient in zip(model.parameters(), gradients, strict=True):
        p.grad = gradient
    return counter.get_total_flops()


@contextmanager
def _step_by_step(model: nn.Module) -> Iterator[None]:
    """Let PyTorch compute attention and LSTMs by products that its counter sees."""
    quick = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    recurrent = any(isinstance(layer, nn.RNNBase) for layer in model.modules())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of an Intel GPU that is not there
            with torch.backends.mkldnn.flags(enabled=False) if recurrent else nullcontext():
                yield
    finally:
        torch.backends.mha.set_fastpath_enabled(quick)


def model_table(names: Sequence[str] | None = None) -> pd.DataFrame:
    """List models of the registry: README, parameters, what each is."""
    rows, names = [], [names] if isinstance(names, str) else names
    for name in MODELS if names is None else names:
        parameters = count_parameters(build_model(name, seed=0))
        readme, description = MODELS[name].readme, MODELS[name].description
        rows.append(
            {"model": name, "README": readme, "parameters": parameters, "description": description}
        )
    return pd.DataFrame(rows).set_index("model")


def layer_table(model: nn.Module, input_shape: Sequence[int] = INPUT_SHAPE) -> pd.DataFrame:
    """List the layers that one image passes: kind, output shape, parameters.

    input_shape: of one image, without the batch axis. The model's mode is restored. Parameters
    that another row has counted are left out: a layer that is used again has 0.
    """
    rows: list[dict] = []
    counted: set[nn.Parameter] = set()

    def note(layer: nn.Module, _inputs, output: object) -> None:
        while isinstance(output, tuple | list) and output:
            output = output[0]  # an LSTM gives its states as well
        shape = " x ".join(str(n) for n in getattr(output, "shape", ())[1:])
        new = set(layer.parameters()) - counted
        counted.update(new)
        count = sum(p.numel() for p in new)
        rows.append({"layer": type(layer).__name__, "output": shape, "parameters": count})

    place = place_of(model)
    leaves = [layer for layer in model.modules() if not list(layer.children())]
    hooks = [layer.register_forward_hook(note) for layer in leaves]
    image = torch.zeros(1, *input_shape, dtype=place.dtype, device=place.device)
    try:
        with eval_mode(model), torch.no_grad(), explaining(model, image):
            model(image)
    finally:
        for hook in hooks:
            hook.remove()
    return pd.DataFrame(rows)


def outputs_of(model: nn.Module) -> str:
    """What a model says that it gives: "logits" unless its attribute `outputs` says otherwise.

    Raises UnknownNameError for an attribute of no known kind. A layer of that name is none.
    """
    kind = getattr(model, "outputs", "logits")
    return check_choice("kind of outputs", kind, OUTPUTS) if isinstance(kind, str) else "logits"


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Put a model in eval mode (dropout off, batch norm fixed), then each layer back as it was."""
    with keep_modes(model):
        model.eval()
        yield


@contextmanager
def keep_modes(model: nn.Module) -> Iterator[None]:
    """Give each layer the mode back that it has now."""
    were_training = {layer: layer.training for layer in model.modules()}
    try:
        yield
    finally:
        for layer, training in were_training.items():
            layer.training = training


def _checked_widths(
    name: str, values: Sequence[int], count: range | None = None
) -> tuple[int, ...]:
    """Return widths of layers; raise ValueError for what is none, or not so many as `count`."""
    widths = tuple(values) if hasattr(values, "__iter__") else (None,)
    if any(isinstance(w, bool) or not isinstance(w, int) or w < 1 for w in widths):
        raise ValueError(f"{name} is {values!r}, expected whole numbers of 1 or more")
    if count is not None and len(widths) not in count:
        least, most = count[0], count[-1]
        many = f"{least}" if least == most else f"{least} to {most}"
        raise ValueError(f"{name} is {values!r}, expected {many} of them")
    return widths
