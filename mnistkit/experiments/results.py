"""The result of a run: one small JSON file, written whole, and checked when it is read.

A run is a recipe, a seed and some digits. Its file says which, what was measured, and on
what machine, and ends in a checksum of all that. The file's name follows from the run, so
that a run that is there need not be done again.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from mnistkit.data import Digits
from mnistkit.errors import ResultError
from mnistkit.experiments.recipe import Recipe
from mnistkit.models import build_model, describe_layers
from mnistkit.utils.storage import write_atomically

# Raised when the layout of the files changes, and when the same recipe, seed and digits no
# longer train the same model: an older result is then not taken for one of today.
FORMAT = 2
_AGAIN = "delete that file: the next run measures it again"


def identify(recipe: Recipe, seed: int, digits: Digits) -> dict:
    """Say what decides a run's numbers: recipe, seed, data, and the model's layers.

    The layers are there because a recipe only names its model: a change of the
    architecture behind the name makes it another run.
    """
    data = {"source": digits.source, "digest": digits.digest}
    data |= {part: len(getattr(digits, part)) for part in ("train", "validation", "test")}
    return {
        "recipe": recipe.to_dict(),
        "seed": int(seed),
        "data": data,
        "layers": layers_digest(recipe),
    }


def layers_digest(recipe: Recipe) -> str:
    """Twelve hexadecimal digits that change with the layers of the recipe's model."""
    return _digest(describe_layers(build_model(recipe.model, **recipe.options)))[:12]


def result_path(folder: str | os.PathLike, run: Mapping) -> Path:
    """Name the file of a run, as `identify` gives it: model, digest of the rest, seed."""
    rest = {name: run[name] for name in ("recipe", "data", "layers")}
    model = re.sub(r"[^a-z0-9]+", "-", run["recipe"]["model"].lower())
    return Path(folder) / f"{model}-{_digest(rest)[:12]}-seed{run['seed']:04d}.json"


def write_result(
    folder: str | os.PathLike, run: Mapping, measured: Mapping, machine: Mapping | None = None
) -> Path:
    """Write what was measured in a run, and on what machine: by default this one.

    Raises StorageError if the folder cannot be written to.
    """
    machine = describe_machine() if machine is None else machine
    content = {"format": FORMAT, "run": run, "measured": measured, "machine": machine}
    path = result_path(folder, run)
    text = json.dumps(content | {"sha256": _digest(content)}, indent=1)
    with write_atomically(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8", newline="\n")
    return path


def read_result(path: str | os.PathLike, run: Mapping | None = None) -> dict:
    """Read and verify a result file: a dict with run, measured and machine.

    run: what it must be the result of; by default what its name says.

    Raises ResultError for a file that is missing, no JSON, changed since it was written,
    or the result of another run or of other data.
    """
    path = Path(path)
    content = _read_json(path)
    claimed = content.pop("sha256", None)
    if claimed != _digest(content):
        raise ResultError(
            f"{path.name} has been changed since it was written: its checksum does not fit",
            where=path.parent,
            do=_AGAIN,
        )
    if content["format"] != FORMAT:
        raise ResultError(
            f"{path.name} was measured by another version of mnistkit "
            f"(results of kind {content['format']}, here {FORMAT})",
            where=path.parent,
            do=_AGAIN,
        )
    expected = content["run"] if run is None else run
    if content["run"]["data"] != expected["data"]:
        found, wanted = (_name_data(r["data"]) for r in (content["run"], expected))
        raise ResultError(
            f"{path.name} was measured on other data: {found}, expected {wanted}",
            where=path.parent,
            do=_AGAIN,
        )
    if content["run"] != expected or path.name != result_path(path.parent, expected).name:
        raise ResultError(
            f"{path.name} holds another run than its name says: "
            f"{content['run']['recipe']['model']}, seed {content['run']['seed']}",
            where=path.parent,
            do=_AGAIN,
        )
    return content


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


def _read_json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ResultError(
            f"there is no result {path.name}", where=path.parent, do="run it to measure it"
        ) from error
    except (OSError, ValueError) as error:
        raise ResultError(
            f"{path.name} is no readable result ({type(error).__name__})",
            where=path.parent,
            do=_AGAIN,
        ) from error
    if not isinstance(content, dict):
        raise ResultError(f"{path.name} is no result of a run", where=path.parent, do=_AGAIN)
    return content


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _name_data(data: Mapping) -> str:
    return f"{data['source']} ({data['train']:,} training digits, digest {data['digest']})"


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
