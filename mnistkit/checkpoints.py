"""Save a trained model and load it again, in the three forms that the READMEs use.

Whole model: a pickle, convenient and unsafe: loading one can run any code, so it takes
an explicit `trust=True`. State dict: weights only; the architecture comes from the code.
Checkpoint: a dictionary with `model_state_dict`, `model_architecture`, `test_accuracy`.
All are written atomically: an interrupted save leaves the old file as it was.
"""

from __future__ import annotations

import os
import pickle
import warnings
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mnistkit.errors import CheckpointError, StorageError
from mnistkit.models import INPUT_SHAPE, MODELS, build_model, eval_mode
from mnistkit.utils.storage import at_home, write_atomically
from mnistkit.utils.validation import check_choice, check_module, check_number, place_of

_WRAPPERS = ("_orig_mod.", "module.")  # of torch.compile, and of DataParallel
_KEYS = ("model_state_dict", "model_architecture", "test_accuracy")


def save_model(model: nn.Module, path: str | os.PathLike) -> Path:
    """Save the whole model as a pickle, as README B's `mnist_model_full.pth`.

    Raises ValueError for a model that a pickle cannot hold: of a class within a function, or
    with a lambda in it.
    """
    try:
        return _save(check_module(model), path)
    except (AttributeError, TypeError, pickle.PicklingError) as error:
        raise ValueError(f"a pickle cannot hold this {type(model).__name__}: {error}") from error


def load_model(path: str | os.PathLike, *, trust: bool = False) -> nn.Module:
    """Load a whole model, in eval mode.

    trust: a pickle can run any code when it is loaded; say True only of a file of yours.
    Raises CheckpointError without `trust`, or if the file holds no model.
    """
    if not _path(path).exists():
        raise _absent(path)
    if not trust:
        raise CheckpointError(
            f"{Path(path).name} is a whole model, a pickle that can run code when it is loaded",
            where=Path(path).parent,
            do="pass trust=True if you made the file yourself, else ask for a state dict",
        )
    model = _load(path, weights_only=False)
    if not isinstance(model, nn.Module):
        hint = "; `load_state` reads weights, `load_checkpoint` a checkpoint"
        hint = hint if isinstance(model, dict) else ""
        raise _unfit(path, f"it holds a {type(model).__name__}, expected a whole model{hint}")
    return model.eval()


def save_state(model: nn.Module, path: str | os.PathLike) -> Path:
    """Save the weights alone, as README B's `mnist_model_state.pth`.

    Raises ValueError for weights that are no numbers, which `load_state` would refuse.
    """
    _check_numbers(check_module(model))
    return _save(model.state_dict(), path)


def load_state(model: nn.Module, path: str | os.PathLike) -> nn.Module:
    """Load weights into `model`, which must have the architecture they come from.

    Returns it, in eval mode. Raises CheckpointError, and leaves `model` as it was, if
    the file is damaged or its weights do not fit.
    """
    return _fill(check_module(model), _load(path), path)


def save_checkpoint(
    model: nn.Module,
    path: str | os.PathLike,
    *,
    architecture: str,
    test_accuracy: float,
    **extra,
) -> Path:
    """Save README D's dictionary.

    architecture: the model's name in `models.MODELS`; test_accuracy: a fraction; extra:
    further entries of plain types, such as `source="mnist"` or `options={...}`, the
    options that `build_model` was given.
    Raises UnknownNameError for another architecture, ValueError for one or options that the
    weights do not fit or with which it would answer otherwise, a share above 1 and an entry of
    another type: `load_checkpoint` would refuse the file, or give another model back.
    """
    check_choice("architecture", architecture, MODELS)
    check_module(model)
    accuracy = check_number("test_accuracy", _as_number(test_accuracy), least=0)
    if accuracy > 1:
        raise ValueError(f"test_accuracy is {test_accuracy}, expected a fraction, 0.98 and not 98")
    for name, value in extra.items():
        if name in _KEYS:
            raise ValueError(f"{name} is an entry of the checkpoint's own: name yours otherwise")
        if not _is_plain(value):
            raise ValueError(f"{name} is a {type(value).__name__}, expected plain types, such as "
                             "dict, list, float and str, and only these in it")  # fmt: skip
    if extra.get("options", {}) is None:
        del extra["options"]
    options = extra.get("options", {})
    if not isinstance(options, dict):
        raise ValueError(f"options is {options!r}, expected a dict, as build_model takes them")
    _check_numbers(model)
    state = model.state_dict()
    _check_fits(model, state, architecture, options)
    return _save(dict(zip(_KEYS, (state, architecture, accuracy), strict=True)) | extra, path)


def _check_numbers(model: nn.Module) -> None:
    learned = dict(model.named_parameters())
    for name, tensor in model.state_dict().items():
        # A buffer may hold infinities, as a mask does.
        if not (torch.isfinite(tensor) if name in learned else ~tensor.isnan()).all():
            raise ValueError(
                f"its weights {name} hold values that are no numbers: has it diverged?"
            )


def _as_number(value: object) -> object:
    """A tensor or an array of one number as that number; else what it is."""
    return value.item() if hasattr(value, "item") and np.ndim(value) == 0 else value


def _check_fits(model: nn.Module, state: dict, architecture: str, options: dict) -> None:
    twin = build_model(architecture, seed=0, **options)
    wrong = _misfit(state, twin)
    if not wrong and not _answer_alike(model, twin, state):
        wrong = "with these weights it answers otherwise; were other options given?"
    if wrong:
        raise ValueError(
            f"these are not the weights of {architecture} with options={options}: {wrong}"
        )


def _answer_alike(model: nn.Module, twin: nn.Module, state: dict) -> bool:
    """Whether two models with the same weights give the same, as far as images can tell.

    A model of other inputs is not asked.
    """
    twin.load_state_dict(state)
    images = torch.rand(4, *INPUT_SHAPE, generator=torch.Generator().manual_seed(0))
    given = []
    for each in (model, twin):
        place = place_of(each)
        try:
            with eval_mode(each), torch.random.fork_rng(devices=[]), torch.inference_mode():
                given.append(each(images.to(place.device, place.dtype)).float().cpu())
        except (RuntimeError, ValueError, IndexError, AttributeError):
            return True
    ours, theirs = given
    return ours.shape == theirs.shape and torch.allclose(ours, theirs, rtol=1e-2, atol=1e-3)


def _misfit(state: dict, model: nn.Module) -> str:
    """Name the first weights that have not the model's shape; empty if all fit."""
    wanted = {name: tensor.shape for name, tensor in model.state_dict().items()}
    for name in wanted | state:
        found = state.get(name)
        if name in state and not (isinstance(found, Tensor) and found.layout == torch.strided):
            return f"{name} is {_kind(found)}, expected a tensor that holds all its numbers"
        if wanted.get(name) != getattr(found, "shape", None):
            shapes = (_shape(getattr(found, "shape", None)), _shape(wanted.get(name)))
            return "{} is {}, expected {}".format(name, *shapes)
    return ""


def _kind(value: object) -> str:
    return "a sparse tensor" if isinstance(value, Tensor) else f"of type {type(value).__name__}"


def _is_plain(value: object) -> bool:
    """Whether a file that is read as weights may hold it."""
    if type(value) is dict:
        return all(_is_plain(part) for pair in value.items() for part in pair)
    if type(value) in (list, tuple):
        return all(map(_is_plain, value))
    return value is None or type(value) in (str, bool, int, float, torch.Tensor)


def load_checkpoint(path: str | os.PathLike) -> tuple[nn.Module, dict]:
    """Build the architecture that a checkpoint names, and load its weights.

    Returns the model, in eval mode, and the dictionary. Raises CheckpointError if the
    file is damaged, lacks an entry, or names an architecture that its weights do not fit.
    """
    checkpoint = _load(path)
    missing = [k for k in _KEYS if not isinstance(checkpoint, dict) or k not in checkpoint]
    if missing:
        raise _unfit(path, f"it lacks {', '.join(missing)}")
    try:
        options = checkpoint.get("options", {})
        model = build_model(checkpoint["model_architecture"], seed=0, **options)
    except (ValueError, TypeError) as error:
        raise _unfit(
            path,
            f"its architecture cannot be built: {error} (one of your own has to be in "
            "mnistkit.models.MODELS first)",
        ) from error
    state = checkpoint["model_state_dict"]
    kinds = {t.dtype for t in state.values() if isinstance(t, Tensor) and t.is_floating_point()}
    if len(kinds) == 1:  # a model in 16 or 64 bits comes back as one
        model.to(kinds.pop())
    return _fill(model, state, path), checkpoint


def _path(path: str | os.PathLike) -> Path:
    if not isinstance(path, str | os.PathLike) or not str(path):
        raise ValueError(f"path is {path!r}, expected that of a file")
    return at_home(path)


def _save(content: object, path: str | os.PathLike) -> Path:
    path = _path(path)
    try:
        with write_atomically(path) as temporary:
            torch.save(content, temporary)
    except RuntimeError as error:  # how PyTorch says that a disk is full
        raise StorageError(
            f"{Path(path).name} cannot be written: {error}",
            where=Path(path).parent,
            do="make room there, or name another folder",
        ) from error
    return path


def _load(path: str | os.PathLike, *, weights_only: bool = True):
    path = _path(path)
    try:
        _check_sums(path)
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # it is judged here
            return torch.load(path, map_location="cpu", weights_only=weights_only)
    except FileNotFoundError as error:
        raise _absent(path) from error
    except Exception as error:  # torch.load raises whatever the unpickler met
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        if weights_only and isinstance(error, pickle.UnpicklingError):  # advises against safety
            reason = "it is damaged, or holds other things than tensors, numbers and text"
        if "Can't get attribute" in reason:
            reason += "; define or import its class first"
        what = "safely as weights" if weights_only else "as a model"
        raise _unfit(path, f"it cannot be read {what}: {reason}") from error


def _check_sums(path: Path) -> None:
    """Raise ValueError where a part of the file is not what was written; PyTorch does not look."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as parts:
            if damaged := parts.testzip():
                raise ValueError(f"its part {damaged} is damaged")


def _fill(model: nn.Module, state: object, path: str | os.PathLike) -> nn.Module:
    if not isinstance(state, dict):
        hint = "; `load_model` reads a whole model" if isinstance(state, nn.Module) else ""
        raise _unfit(path, f"it holds a {type(state).__name__}, expected a state dict{hint}")
    if set(_KEYS) <= set(state):
        raise _unfit(path, "it is a checkpoint, which `load_checkpoint` reads")
    state = _unwrapped(state)
    if wrong := _misfit(state, model):
        raise _unfit(path, f"its weights do not fit {type(model).__name__}: {wrong}")
    learned = dict(model.named_parameters())
    for name, tensor in model.state_dict().items():
        if state[name].is_floating_point() != tensor.is_floating_point():
            found, expected = state[name].dtype, tensor.dtype
            raise _unfit(path, f"its weights {name} are {found}, expected {expected}")
        fine = torch.isfinite(state[name]) if name in learned else ~torch.isnan(state[name])
        if not fine.all():  # a mask may hold infinities
            raise _unfit(path, f"its weights {name} hold values that are no numbers")
    model.load_state_dict(state)
    return model.eval()


def _unwrapped(state: dict) -> dict:
    """Weights by the names that they have in the model itself, and not in what is around it."""
    for wrapper in _WRAPPERS:
        if state and all(str(name).startswith(wrapper) for name in state):
            return _unwrapped({name.removeprefix(wrapper): w for name, w in state.items()})
    return state


def _shape(shape) -> str:
    return "absent" if shape is None else " x ".join(map(str, shape)) or "a single number"


def _absent(path: str | os.PathLike) -> CheckpointError:
    return CheckpointError(
        f"there is no file {Path(path).name}", where=Path(path).parent, do="save one first"
    )


def _unfit(path: str | os.PathLike, found: str) -> CheckpointError:
    return CheckpointError(
        f"{Path(path).name} cannot be used: {found}.",
        where=Path(path).parent,
        do="save it again from the model it was trained with, or build the right architecture",
    )
