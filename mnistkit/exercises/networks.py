"""Networks that learners write: built, called, asked for gradients, and never changed.

Whatever is tried is tried on a copy. `Exercise.verdict` keeps the caller's random state.
"""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.nn.parameter import UninitializedBuffer

from mnistkit.exercises.exercise import AnswerError, NoAnswerError, same, what, wrong_if

CLASSES = 10
FAR = 100.0  # so far below the others a logit is pushed to see whether it can come back


@dataclass(frozen=True)
class Call:
    """One layer at work: its name in the network, what it was given and what it gave."""

    name: str
    layer: nn.Module
    given: Tensor
    gave: Tensor


def random_images(count: int = 32, *shape: int) -> Tensor:
    """Make float32 images, count x 1 x 28 x 28 or another shape, that differ widely."""
    draw = torch.Generator().manual_seed(0)
    images = torch.rand(count, *(shape or (1, 28, 28)), generator=draw)
    return images * (images.flatten(1)[:, :1].view(-1, *[1] * (images.ndim - 1)) > images)


# --- from an answer to a network ------------------------------------------------------------


def network(answer: object, **arguments: int) -> nn.Module:
    """Read a network, whether a class, a function that builds one, or a model: a copy of it.

    arguments: what a class is built with, by name if it has that name, else by position.
    """
    if isinstance(answer, type):
        wrong_if(
            not issubclass(answer, nn.Module),
            f"{answer.__name__} is a class, but not a module: begin it with "
            f"`class {answer.__name__}(nn.Module):`",
        )
        return _whole(_built(answer, answer.__name__, arguments))
    if not isinstance(answer, nn.Module):
        wrong_if(
            not callable(answer) or isinstance(answer, Tensor),
            f"the answer is {what(answer)}, but a network is asked for: a class or a model",
        )
        answer = _built(answer, "your function", arguments)
        wrong_if(
            not isinstance(answer, nn.Module),
            f"your function returns {what(answer)}, but a network is asked for: a class that "
            "inherits from `nn.Module`, or a model",
        )
    return _whole(answer)


def _built(build: Callable, name: str, arguments: dict[str, int]) -> object:
    given = [(tuple(arguments.values()), {}), ((), arguments)]
    names = _parameters_of(build)
    if set(arguments) <= set(names):
        given.reverse()
    for values, by_name in given:
        try:
            inspect.signature(build).bind(*values, **by_name)
        except (TypeError, ValueError):
            continue
        return _tried(build, name, values, by_name)
    wanted = ", ".join(names) or "nothing"
    called = ", ".join(f"{value}" for value in arguments.values())
    raise AnswerError(
        f"{name} cannot be built by `{name}({called})`, since its arguments are: {wanted}"
        + ("" if arguments else "; give them defaults, or hand in a model, built by you")
        if isinstance(build, type)
        else f"{name} takes other arguments; hand in a class that inherits from `nn.Module`, or "
        "a model"
    )


def _parameters_of(build: Callable) -> list[str]:
    try:
        return list(inspect.signature(build).parameters)
    except (TypeError, ValueError):
        return []


def _tried(build: Callable, name: str, values: tuple, by_name: dict) -> object:
    try:
        built = build(*values, **by_name)
    except Exception as error:
        wrong_if("before Module.__init__() call" in str(error), _NO_SUPER)
        done = "your function" if name == "your function" else f"building {name}"
        raise AnswerError(f"{done} raises {_in_short(error)}") from error
    if built is ...:
        raise NoAnswerError
    return built


_NO_SUPER = (
    "`super().__init__()` is missing, or comes after the first layer: it has to be the first "
    "line of `__init__`, with both pairs of brackets"
)


def _whole(model: nn.Module) -> nn.Module:
    """Copy a model, on the CPU and in float32; what its forward left behind is cut off."""
    wrong_if("_modules" not in vars(model), _NO_SUPER)
    left = [value for m in model.modules() for value in vars(m).values()]
    memo = {id(v): v.detach() for v in left if isinstance(v, Tensor) and not v.is_leaf}
    memo |= {id(b): UninitializedBuffer(dtype=b.dtype) for b in model.buffers()
             if isinstance(b, UninitializedBuffer)}  # fmt: skip
    model = copy.deepcopy(model, memo).to("cpu", torch.float32)
    model.zero_grad()
    return model


def _in_short(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


# --- what it gives --------------------------------------------------------------------------


def called(model: nn.Module, inputs: Tensor) -> Tensor:
    """Call a model; say in the learner's terms what goes wrong in its forward."""
    shape = " x ".join(map(str, inputs.shape))
    given = inputs.clone()
    with _new_parameters() as made:
        try:
            result = model(given)
        except NotImplementedError as error:
            raise AnswerError("it has no method named `forward`") from error
        except Exception as error:
            raise AnswerError(f"given {shape}, it raises {_explained(error)}") from error
    wrong_if(result is None, "its `forward` returns nothing: is `return` missing?")
    if result is ...:
        raise NoAnswerError
    wrong_if(
        made,
        "a layer is made in `forward`, so each call has new weights and nothing is learned: make "
        "layers in `__init__`",
    )
    wrong_if(
        not isinstance(result, Tensor),
        f"its `forward` returns {what(result)}, but a tensor is asked for",
    )
    wrong_if(
        not torch.equal(given, inputs),
        "it changes the images that it is given; is there an in-place operation, such as `+=` or "
        "`inplace=True`?",
    )
    return result


@contextmanager
def _new_parameters() -> Iterator[list[str]]:
    """Note the parameters that come into being, as those of a layer made in forward do."""
    made: list[str] = []
    hook = register_module_parameter_registration_hook(
        lambda module, name, parameter: made.append(name) if parameter is not None else None
    )
    try:
        yield made
    finally:
        hook.remove()


def _explained(error: Exception) -> str:
    words = _in_short(error)
    found = re.search(r"shapes cannot be multiplied \((\d+)x(\d+) and (\d+)x(\d+)\)", words)
    if found:
        return (
            f"a shape mismatch: a linear layer takes {found[3]} numbers and is given "
            f"{found[2]}; is the picture flattened first, and is the layer's width right?"
        )
    if isinstance(error, AttributeError) and "object has no attribute" in words:
        return (
            f"{words}; is it made in `__init__` (two underscores on each side), after "
            "`super().__init__()`, under this name?"
        )
    return words


def check_outputs(model: nn.Module, inputs: Tensor, columns: int | None = CLASSES) -> Tensor:
    """Check in eval mode that each input gets a row of its own, the same in each call.

    columns: how many outputs an input has; None for as many as it has inputs, in any shape.
    Returns the outputs, detached.
    """
    model.eval()
    shape = inputs.shape if columns is None else (len(inputs), columns)
    found = _checked(model, inputs, shape)
    _check_layers_found(model)
    again = _checked(model, inputs, shape)
    wrong_if(
        not same(found, again),
        "in eval mode two calls with the same images give different outputs: `F.dropout` needs "
        "`training=self.training`, and no weights may be drawn in `forward`",
    )
    alone = torch.cat([_checked(model, one, (1, *shape[1:])) for one in inputs[:3].split(1)])
    wrong_if(
        not same(alone, found[:3], within=1e-3 * (1 + found.abs().max().item())),
        "what it says of an image depends on the others in the batch: is something taken over "
        "`dim=0`, or reshaped across images?",
    )
    wrong_if(
        (found == found[:1]).all(),
        "it says the same of all images: does what `forward` returns come from its images?",
    )
    return found


def _check_layers_found(model: nn.Module) -> None:
    """Check that PyTorch finds the layers of a model; lazy ones once it has been called."""
    hidden = any(
        isinstance(part, nn.Module)
        for m in model.modules()
        for value in vars(m).values()
        if isinstance(value, list | tuple)
        for part in value
    )
    wrong_if(
        hidden,
        "it keeps layers in a Python list, where PyTorch does not find them: use `nn.ModuleList` "
        "or `nn.Sequential`",
    )
    wrong_if(
        next(model.parameters(), None) is None,
        "it has no parameters: make its layers in `__init__`, and keep them as `self.…`",
    )


def _checked(model: nn.Module, inputs: Tensor, shape: tuple[int, ...]) -> Tensor:
    found = called(model, inputs)
    expected = " x ".join(map(str, shape))
    wrong_if(
        tuple(found.shape) != tuple(shape),
        f"for {len(inputs)} image{'s' * (len(inputs) > 1)} its outputs have shape "
        f"{' x '.join(map(str, found.shape))}, expected {expected}"
        + (": ten numbers, one for each class" if shape[1:] == (CLASSES,) else ""),
    )
    wrong_if(not found.is_floating_point(), "it returns classes; return the ten logits themselves")
    wrong_if(not found.isfinite().all(), "some of its outputs are not numbers (nan or inf)")
    return found.detach()


def check_logits(model: nn.Module, inputs: Tensor) -> None:
    """Check that nothing stands after the last layer that belongs to the loss, or nowhere."""
    with torch.no_grad():
        found = called(shaken(model).eval(), inputs)
    wrong_if(
        is_log_softmax(found),
        "it ends in a log-softmax; cross-entropy has one of its own, so return logits",
    )
    wrong_if(
        _sums_to_one(found), "it ends in a softmax; that belongs to the loss, so return logits"
    )
    wrong_if(
        (found >= 0).all(),
        "none of its outputs is ever negative: a ReLU or the like is still applied to the logits",
    )


def is_log_softmax(found: Tensor) -> bool:
    """Whether these are log-probabilities, N x classes."""
    return _sums_to_one(found.exp())


def _sums_to_one(found: Tensor) -> bool:
    sums = found.sum(dim=1)
    return bool((found >= 0).all()) and same(sums, torch.ones_like(sums), within=1e-3)


# --- what it learns -------------------------------------------------------------------------


def shaken(model: nn.Module, by: float = 0.05) -> nn.Module:
    """Copy a model and move each weight a little: no gradient is zero by accident, then."""
    model = _whole(model)
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += by * torch.randn(parameter.shape, generator=draw)
    return model


def check_learns(model: nn.Module, inputs: Tensor) -> None:
    """Check in training mode that the gradient reaches every parameter.

    The model has been called before: lazy layers have their weights.
    """
    parameters = dict(model.named_parameters())
    frozen = [name for name, parameter in parameters.items() if not parameter.requires_grad]
    wrong_if(frozen, f"`{''.join(frozen[:1])}` does not learn: its `requires_grad` is off")
    trial = shaken(model).train()
    outputs = called(trial, inputs).flatten(1)
    wrong_if(
        not outputs.requires_grad,
        "no gradient comes through its `forward`: is there a `no_grad()`, a `detach()` or `.data`?",
    )
    targets = torch.arange(len(outputs)) % outputs.shape[1]
    try:
        nn.functional.cross_entropy(outputs, targets).backward()
    except RuntimeError as error:
        wrong_if(
            "inplace operation" in str(error),
            "an in-place operation, such as `+=`, changes what the gradient still needs: write "
            "`x = x + ...`",
        )
        raise AnswerError(f"its gradients cannot be computed: {_in_short(error)}") from error
    missed = [
        name
        for name, parameter in trial.named_parameters()
        if parameter.grad is None or (parameter.ndim > 1 and not parameter.grad.any())
    ]
    wrong_if(
        missed,
        f"no gradient reaches `{''.join(missed[:1])}`: is that layer used in `forward`, "
        "and nothing detached after it?",
    )


def comes_back(model: nn.Module, inputs: Tensor) -> bool:
    """Whether a class whose logit is pushed far down still gets a gradient in its own row."""
    trial = shaken(model).eval()
    found = [call for call in calls(trial, inputs) if _gives_classes(call)]
    down = torch.zeros(CLASSES)
    down[3] = FAR
    if found:
        row = found[-1].layer.weight
        found[-1].layer.register_forward_hook(lambda layer, given, gave: gave - down)
    else:  # no layer, but parameters of its own
        biases = [p for p in trial.parameters() if tuple(p.shape) == (CLASSES,)]
        if not biases:
            return True
        row = biases[-1]
        with torch.no_grad():
            row -= down
    outputs = called(trial, inputs)
    labels = torch.full((len(inputs),), 3)
    nn.functional.cross_entropy(outputs, labels).backward()
    grad = row.grad[3].abs().sum()
    return bool(grad > 1e-4 * row.grad.abs().sum(dim=tuple(range(1, row.ndim))).max() + 1e-6)


def _gives_classes(call: Call) -> bool:
    weight = getattr(call.layer, "weight", None)
    columns = call.gave.ndim == 2 and call.gave.shape[1] == CLASSES
    return columns and isinstance(weight, Tensor) and weight.ndim == 2


# --- how it is made -------------------------------------------------------------------------


def calls(
    model: nn.Module, inputs: Tensor, kind: type | tuple[type, ...] = nn.Module
) -> list[Call]:
    """Call a model as it is, and list its layers of a kind in the order in which they work."""
    found: list[Call] = []
    names = {layer: name for name, layer in model.named_modules()}

    def note(layer: nn.Module, given: tuple, gave: object) -> None:
        if given and isinstance(given[0], Tensor) and isinstance(gave, Tensor):
            found.append(
                Call(names[layer], layer, given[0].detach().clone(), gave.detach().clone())
            )

    leaves = [m for m in names if isinstance(m, kind) and not list(m.children())]
    with ExitStack() as hooks, torch.no_grad():
        for layer in leaves:
            hooks.enter_context(layer.register_forward_hook(note))
        called(model, inputs)
    return found


def is_line(before: Tensor, after: Tensor) -> bool:
    """Whether each column of the second is a straight line of the same column of the first.

    Both are N x ...; a batch norm in eval mode draws such lines, an activation bends them.
    """
    before, after = before.flatten(1), after.flatten(1)
    if before.shape != after.shape:
        return False
    before, after = before - before.mean(dim=0), after - after.mean(dim=0)
    slope = (before * after).sum(dim=0) / before.pow(2).sum(dim=0).clamp_min(1e-12)
    rest = (after - slope * before).abs().max()
    return bool(rest < 1e-3 * after.abs().max().clamp_min(1e-6))


def check_bends(model: nn.Module, inputs: Tensor, kind: type) -> None:
    """Check that an activation stands between each layer of a kind and the next."""
    for first, second in pairwise(calls(model, inputs, kind)):
        wrong_if(
            joined_by_a_line(model, inputs, first, second),
            f"between `{first.name}` and `{second.name}` there is no activation, without "
            "which two layers can do little more than one (pooling is none)",
        )


@contextmanager
def pooling_without_a_choice() -> Iterator[None]:
    """Let a model pool by one fixed pixel of each window, not the largest.

    To choose the largest bends, but is no activation.
    """
    largest, functional = torch.max_pool2d, nn.functional.max_pool2d
    adaptive = nn.functional.adaptive_max_pool2d_with_indices

    def pool(input: Tensor, *args: object, **options: object) -> Tensor:
        return _fixed_pixels(input, largest(input, *args, **options))

    def pool_with_indices(input: Tensor, *args: object, **options: object):
        found = functional(input, *args, **options)
        return (_fixed_pixels(input, found[0]), found[1]) if isinstance(found, tuple) else found

    def pool_to_a_size(input: Tensor, *args: object, **options: object):
        found, places = adaptive(input, *args, **options)
        return _fixed_pixels(input, found), places

    with (
        patch.object(torch, "max_pool2d", pool),
        patch.object(nn.functional, "max_pool2d", pool_with_indices),
        patch.object(nn.functional, "adaptive_max_pool2d_with_indices", pool_to_a_size),
    ):
        yield


def _fixed_pixels(inputs: Tensor, like: Tensor) -> Tensor:
    """So many rows and columns of the inputs as `like` has, evenly spaced."""
    rows, columns = (
        (torch.arange(count) * whole) // count
        for count, whole in zip(like.shape[-2:], inputs.shape[-2:], strict=True)
    )
    return inputs[..., rows, :][..., columns]


def joined_by_a_line(model: nn.Module, inputs: Tensor, first: Call, second: Call) -> bool:
    """Whether what a layer is given is a linear function of what an earlier one gives.

    It is tried: half-way between two outputs of the first the second is given what lies half-way
    between. Pooling by a fixed pixel, batch norm, padding and `x +` are linear, too.
    """
    works = [each.layer for each in calls(model, inputs)]
    if works.count(first.layer) > 1 or works.count(second.layer) > 1:
        return is_line(first.gave, second.given)
    draw = torch.Generator().manual_seed(0)
    one, two = (30 * torch.randn(first.gave.shape, generator=draw) for _ in range(2))
    given = [given_if(model, inputs, first, second, value) for value in (one, two, (one + two) / 2)]
    if same(given[0], given[1]):
        return False  # the second does not follow the first
    between = (given[0] + given[1]) / 2
    return same(between, given[2], within=1e-3 * (1 + between.abs().max().item()))


def given_if(model: nn.Module, inputs: Tensor, first: Call, second: Call, value: Tensor) -> Tensor:
    """What the second layer is given if the first gives a value."""
    seen: list[Tensor] = []
    with (
        first.layer.register_forward_hook(lambda *_: value.clone()),
        second.layer.register_forward_pre_hook(lambda _, given: seen.append(given[0].clone())),
        torch.no_grad(),
    ):
        called(model, inputs)
    return seen[0]


def check_grows(model: nn.Module, inputs: Tensor) -> None:
    """Check that a logit may be as large as the last layer makes it."""
    wrong_if(
        _cannot_grow(shaken(model).eval(), inputs),
        "its outputs cannot grow: a tanh, a softmax or the like is applied to the logits; "
        "return what the last layer gives",
    )


def _cannot_grow(model: nn.Module, inputs: Tensor) -> bool:
    """Whether outputs stay small however large the numbers of the last layer with weights are."""
    layers = [each for each in calls(model, inputs) if list(each.layer.parameters())]
    if not layers:
        return False
    last = layers[-1].layer
    with last.register_forward_hook(lambda layer, given, gave: 1e4 * gave), torch.no_grad():
        grown = called(model, inputs)
    return bool(layers[-1].gave.abs().max() > 1e-2 and grown.abs().max() < 20)


def shapes(model: nn.Module) -> list[tuple[int, ...]]:
    """List the shapes of its matrices and kernels, as matrices: outputs x inputs, sorted."""
    found = [tuple(p.flatten(1).shape) for p in model.parameters() if p.ndim > 1]
    return sorted(found, key=lambda shape: (-shape[1], -shape[0]))


def in_words(widths: list[tuple[int, ...]]) -> str:
    """Say from how many numbers to how many each layer leads: "784 to 10, 10 to 10"."""
    return ", ".join(f"{inputs} to {outputs}" for outputs, inputs in widths) or "none"
