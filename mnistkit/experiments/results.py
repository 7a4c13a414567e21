"""The result of a run: one small JSON file, written whole, and checked when it is read.

A run is a recipe, a seed and some digits. Its file says which, what was measured, and on
what machine, and ends in a checksum of all that. The file's name follows from the run, so
that a run that is there need not be done again.
"""

from __future__ import annotations

import json
import os
import platform
import re
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from torch import nn

from mnistkit.data import Digits, name_source
from mnistkit.errors import ResultError
from mnistkit.experiments.recipe import Recipe, check_recipe, digest_of
from mnistkit.models import build_model
from mnistkit.utils.storage import write_text

# Raised when the layout of the files changes, and when the same recipe, seed and digits no
# longer train the same model: an older result is then not taken for one of today.
FORMAT = 2


@dataclass(frozen=True)
class DataId:
    """Which digits a run saw: their source, their digest, how many in each split.

    weights: of the network whose features stand in the place of images, if any.
    """

    source: str
    digest: str
    train: int
    validation: int
    test: int
    weights: str = ""

    def __str__(self) -> str:
        """Say it in a message."""
        source = name_source(self.source, self.weights)
        return f"{source} ({self.train:,} training digits, digest {self.digest})"


@dataclass(frozen=True)
class RunId:
    """What decides a run's numbers: recipe, seed, data, and the model's layers.

    recipe: as `Recipe.to_dict` gives. layers: digest of them; a recipe only names its model,
    so that a change of the architecture behind the name makes it another run.
    """

    recipe: dict
    seed: int
    data: DataId
    layers: str

    @property
    def file_name(self) -> str:
        """Model, digest of all but the seed, seed."""
        rest = asdict(self)
        seed = rest.pop("seed")
        model = re.sub(r"[^a-z0-9]+", "-", self.recipe["model"].lower())
        return f"{model}-{digest_of(rest)[:12]}-seed{seed:04d}.json"

    @classmethod
    def from_dict(cls, content: dict) -> RunId:
        """Make it of what `dataclasses.asdict` gave."""
        return cls(**content | {"data": DataId(**content["data"])})


def describe_machine(device: str = "cpu") -> dict[str, object]:
    """Say what a number may depend on beside its recipe: versions, threads, processor."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "mnistkit": _own_version(),
        "threads": torch.get_num_threads(),
        "device": device,
        "processor": _processor(),
        "cores": os.cpu_count(),
    }


@dataclass(frozen=True)
class Result:
    """What was measured in a run, and on what machine: by default this one, as it is now."""

    run: RunId
    measured: dict
    machine: dict = field(default_factory=describe_machine)


def identify(recipe: Recipe, seed: int, digits: Digits) -> RunId:
    """Name the run of a recipe with a seed on some digits."""
    sizes = {part: len(getattr(digits, part)) for part in ("train", "validation", "test")}
    data = DataId(digits.source, digits.digest, **sizes, weights=digits.weights)
    return RunId(check_recipe(recipe).to_dict(), int(seed), data, layers_digest(recipe))


# What decides a layer's outputs beside its weights, by PyTorch's names and our own.
_SETTINGS = (
    "in_features", "out_features", "in_channels", "out_channels", "kernel_size", "stride",
    "padding", "padding_mode", "dilation", "groups", "ceil_mode", "num_features", "eps",
    "momentum", "affine", "track_running_stats", "p", "negative_slope", "min_val", "max_val",
    "dim", "start_dim", "end_dim", "outputs",
)  # fmt: skip


def describe_layers(model: nn.Module) -> list[dict]:
    """Say of each layer where it is, its class, its settings, and the shapes of its weights.

    It is what tells one architecture from another, and not `str(model)`, whose form is
    PyTorch's and may change with its version. What a `forward` does with the layers is not in it.
    """
    return [
        {
            "name": name,
            "class": type(layer).__name__,
            "settings": {
                s: getattr(layer, s)
                for s in _SETTINGS
                if not isinstance(getattr(layer, s, layer), nn.Module)
            },
            "shapes": {
                key: list(tensor.shape)
                for held in (layer.named_parameters, layer.named_buffers)
                for key, tensor in held(recurse=False)
            },
        }
        for name, layer in model.named_modules()
    ]


def layers_digest(recipe: Recipe) -> str:
    """Twelve hexadecimal digits that change with the layers of the recipe's model."""
    return digest_of(describe_layers(build_model(recipe.model, seed=0, **recipe.options)))[:12]


def write_result(folder: str | os.PathLike, result: Result) -> Path:
    """Write a result as a file of its own; returns its path.

    Raises StorageError if the folder cannot be written to.
    """
    content = {"format": FORMAT, **asdict(result)}
    path = Path(folder) / result.run.file_name
    write_text(path, json.dumps(content | {"sha256": digest_of(content)}, indent=1) + "\n")
    return path


def read_result(path: str | os.PathLike, run: RunId | None = None) -> Result:
    """Read and verify a result file.

    run: what it must be the result of; by default what its name says.

    Raises ResultError for a file that is missing, no JSON, changed since it was written,
    or the result of another run or of other data.
    """
    path = Path(path)
    content = _read_json(path)
    claimed = content.pop("sha256", None)
    if claimed != digest_of(content):
        raise _unfit(path, "has been changed since it was written: its checksum does not fit")
    if (kind := content.pop("format", None)) != FORMAT:
        kinds = f"results of kind {kind}, here {FORMAT}"
        raise _unfit(path, f"was measured by another version of mnistkit ({kinds})")
    try:
        found = Result(**content | {"run": RunId.from_dict(content["run"])})
        name = found.run.file_name
    except (AttributeError, KeyError, TypeError) as error:
        raise _unfit(path, f"is no result of a run: {error}") from error
    expected = found.run if run is None else run
    if found.run.data != expected.data:
        raise _unfit(
            path, f"was measured on other data: {found.run.data}, expected {expected.data}"
        )
    if found.run != expected or path.name != name:
        model, seed = found.run.recipe["model"], found.run.seed
        raise _unfit(path, f"holds another run than its name says: {model}, seed {seed}")
    return found


def stored_result(folder: str | os.PathLike, run: RunId) -> Result | None:
    """Read the result of a run, if the folder has it; raises as `read_result` does."""
    path = Path(folder) / run.file_name
    return read_result(path, run) if path.exists() else None


def _read_json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ResultError(
            f"there is no result {path.name}", where=path.parent, do="run it to measure it"
        ) from error
    except (OSError, ValueError) as error:
        raise _unfit(path, f"is no readable result ({type(error).__name__})") from error
    if not isinstance(content, dict):
        raise _unfit(path, "is no result of a run")
    return content


def _unfit(path: Path, found: str) -> ResultError:
    return ResultError(
        f"{path.name} {found}",
        where=path.parent,
        do="delete that file: the next run measures it again",
    )


def _own_version() -> str:
    try:
        return version("mnistkit")
    except PackageNotFoundError:  # used from a folder, not installed
        return "unknown"


def _processor() -> str:
    """Name the processor; Linux says it only in a file."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, flags=re.M)
    return found.group(1).strip() if found else platform.machine()
