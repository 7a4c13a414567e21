"""Build the environment of the series in .venv, with the PyTorch that this machine needs.

    python install.py [--cpu | --cuda] [--newest] [--venv .venv]

`make` calls it before everything else; when all is there it says nothing. It needs nothing
but Python itself, and is written so that an older Python can still say that it is too old.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent
OLDEST = (3, 11)
STAMP = ".installed"  # written last: without it an environment is not whole
PACKAGES = ".[lab,test]"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"  # MNISTKIT_TORCH_INDEX names another
PATIENCE = 5  # seconds for the index to answer
SIZES = {  # gigabytes to download, and on disk with everything else
    "cpu": (0.4, 1.5),
    "cuda": (2.5, 6.7),
    "plain": (0.4, 1.5),
}


class SetupError(Exception):
    """The environment cannot be built; the text says why and what to do."""


@dataclass(frozen=True)
class Build:
    """Which PyTorch: "cpu" from PyTorch's own index, "cuda", or "plain", the registry's.

    On Linux the registry's has CUDA; on macOS and Windows it is the only one, and small.
    """

    kind: str
    reason: str

    @property
    def index(self) -> str | None:
        """Address to take torch and torchvision from; None for the usual registry."""
        return cpu_index() if self.kind == "cpu" else None

    def __str__(self) -> str:
        """Which, how big, and why."""
        name = {
            "cpu": "the CPU build from PyTorch's own index",
            "cuda": "the registry's build, which has CUDA",
            "plain": "the registry's build",
        }[self.kind]
        download, disk = SIZES[self.kind]
        return f"{name}, about {download} GB to download and {disk} GB on disk: {self.reason}"


def main(arguments: list[str] | None = None) -> int:
    """Build, finish or keep the environment; return the exit code."""
    options = parse(arguments)
    try:
        check_python()
        if not is_current(options):
            build_environment(options)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Build the environment of the series.")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", help="where it goes")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--cpu", dest="kind", action="store_const", const="cpu",
                      help="PyTorch's CPU build, whatever this machine has")  # fmt: skip
    kind.add_argument("--cuda", dest="kind", action="store_const", const="cuda",
                      help="the build with CUDA, whatever this machine has")  # fmt: skip
    versions = parser.add_mutually_exclusive_group()
    versions.add_argument("--newest", action="store_true",
                          help="the newest versions, untried ones among them")  # fmt: skip
    versions.add_argument("--constraints", type=Path, default=ROOT / "constraints.txt",
                          help="the exact versions")  # fmt: skip
    return parser.parse_args(arguments)


def check_python() -> None:
    """Raise SetupError if this Python is too old, or cannot make environments."""
    if sys.version_info < OLDEST:
        raise SetupError(
            f"Python 3.11 or newer is needed, and this is {platform.python_version()}: "
            "make PYTHON=python3.12 ..."
        )
    try:
        import ensurepip  # noqa: F401  (Debian takes it out of its Python)
        import venv  # noqa: F401
    except ImportError as error:
        raise SetupError(
            "Python's venv is missing; on Debian or Ubuntu: apt-get install python3-venv"
        ) from error


# --- what is there ----------------------------------------------------------------------


def is_current(options: argparse.Namespace) -> bool:
    """Whether the environment was finished, from these files, and as it is wanted now."""
    stamp = read_stamp(options.venv)
    return (
        bool(stamp)
        and stamp.get("inputs") == inputs_digest(options)
        and options.kind in (None, stamp.get("build"))
        and answers(options.venv)
    )


def read_stamp(venv: Path) -> dict:
    """Read what the environment was finished with; empty if it was not."""
    try:
        stamp = json.loads((venv / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def inputs_digest(options: argparse.Namespace) -> str:
    """Digest of what decides the environment: both lists of packages, and the Python."""
    digest = hashlib.sha256(repr((sys.version_info[:2], PACKAGES)).encode())
    digest.update((ROOT / "pyproject.toml").read_bytes())
    digest.update(b"newest" if options.newest else read_constraints(options.constraints))
    return digest.hexdigest()


def read_constraints(path: Path) -> bytes:
    """Read the list of exact versions; raise SetupError if it is not there."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise SetupError(f"{path} cannot be read: {error.strerror}") from error


def answers(venv: Path) -> bool:
    """Whether the environment's Python starts: one whose own Python is gone does not."""
    command = [python_of(venv), "-c", ""]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def python_of(venv: Path) -> str:
    """Path of the environment's Python."""
    return str(venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))


def installed_kind(venv: Path) -> str | None:
    """Which PyTorch lies in the environment already; None for none."""
    found = next(venv.glob("[Ll]ib/**/site-packages/torch-*.dist-info"), None)
    if found is None:
        return None
    return "cpu" if "+cpu" in found.name else plain_kind()


# --- which PyTorch ----------------------------------------------------------------------


def choose_build(forced: str | None, installed: str | None) -> Build:
    """Decide which PyTorch to take; raise SetupError for one that cannot be had."""
    if plain_kind() == "plain":
        return only_build(forced)
    if forced == "cuda":
        return Build("cuda", "CUDA=1 asks for it")
    if forced is None and installed:
        return Build(installed, "it is here already")
    if forced is None and has_nvidia_gpu():
        return Build("cuda", "this machine has an NVIDIA GPU (CPU_ONLY=1 takes the small one)")
    silence = why_no_cpu_index()
    if forced == "cpu" and silence:
        raise SetupError(f"CPU_ONLY=1 needs PyTorch's CPU index, and {silence}")
    if forced == "cpu":
        return Build("cpu", "CPU_ONLY=1 asks for it")
    if silence:
        return Build("cuda", f"there is no NVIDIA GPU, but {silence}")
    return Build("cpu", "there is no NVIDIA GPU (CUDA=1 takes the big one)")


def plain_kind() -> str:
    """Return what the registry's PyTorch is on this system."""
    return "cuda" if platform.system() == "Linux" else "plain"


def only_build(forced: str | None) -> Build:
    """Return the registry's, where it is the only one, and has no CUDA."""
    system = {"Darwin": "macOS"}.get(platform.system(), platform.system())
    if forced == "cuda":
        raise SetupError(
            f"the registry has no PyTorch with CUDA for {system}; "
            "pytorch.org/get-started says how to install one by hand"
        )
    return Build("plain", f"{system} needs no other")


def has_nvidia_gpu() -> bool:
    """Whether a driver of NVIDIA's answers."""
    if Path("/proc/driver/nvidia").exists():
        return True
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return listed.returncode == 0 and "GPU" in listed.stdout


def cpu_index() -> str:
    """Address of PyTorch's CPU index, or of a mirror of it."""
    return os.environ.get("MNISTKIT_TORCH_INDEX", CPU_INDEX).rstrip("/")


def why_no_cpu_index() -> str:
    """Ask whether PyTorch's CPU index can be used; return why not, or an empty string."""
    try:
        with urllib.request.urlopen(f"{cpu_index()}/torch/", timeout=PATIENCE) as page:
            offers = b".whl" in page.read()
    except (OSError, ValueError) as error:
        return f"{cpu_index()} does not answer ({getattr(error, 'reason', error)})"
    return "" if offers else f"{cpu_index()} has no torch"


# --- building ---------------------------------------------------------------------------


def build_environment(options: argparse.Namespace) -> None:
    """Install everything, the stamp last; what an earlier call left is gone on with."""
    venv, resumed = options.venv, options.venv.exists()
    stamp = read_stamp(venv)
    started = resumed and answers(venv) and same_python(venv)
    build = choose_build(options.kind, installed_kind(venv) if started else None)
    if started and installed_kind(venv) not in (None, build.kind):
        started = False  # the two builds share file names, and only one of them is 5 GB
    say(venv, resumed, bool(stamp), started)
    print(f"PyTorch: {build}", flush=True)
    if installed_kind(venv) is None:
        check_room(venv, build)
    (venv / STAMP).unlink(missing_ok=True)
    install(options, build, clear=not started)
    if started and not imports(venv):
        print("what was there is damaged: building it anew", flush=True)
        install(options, build, clear=True)
    if not imports(venv):
        raise SetupError(f"the environment in {venv} does not work: {import_failure(venv)}")
    content = {"build": build.kind, "inputs": inputs_digest(options)}
    unfinished = venv / f"{STAMP}.unfinished"
    unfinished.write_text(json.dumps(content), encoding="utf-8")
    os.replace(unfinished, venv / STAMP)


def say(venv: Path, there: bool, finished: bool, started: bool) -> None:
    """Say what is being done, and what was found."""
    if not there:
        print(f"Building {shown(venv)}. That takes minutes, and prints little.")
    elif not started:
        print(f"Building {shown(venv)} anew: what is there is of another kind.")
    elif finished:
        print(f"Bringing {shown(venv)} up to date.")
    else:
        print(f"Going on with {shown(venv)}, which was not finished.")


def shown(path: Path) -> str:
    """Return the path as seen from here, where it lies below."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def check_room(venv: Path, build: Build) -> None:
    """Raise SetupError where the disk will not hold it."""
    free, needed = shutil.disk_usage(venv.resolve().parent).free / 1e9, SIZES[build.kind][1]
    if free < needed:
        raise SetupError(
            f"{needed} GB are needed for {venv}, and {free:.1f} GB are free: make room, or "
            "name another place with VENV=..."
        )


def same_python(venv: Path) -> bool:
    """Whether the environment was made with this version of Python."""
    command = [python_of(venv), "-c", "import sys; print(*sys.version_info[:2])"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.split() == [str(part) for part in sys.version_info[:2]]


def install(options: argparse.Namespace, build: Build, *, clear: bool) -> None:
    """Make the environment, and install PyTorch first, then all the rest."""
    run([sys.executable, "-m", "venv", *(["--clear"] if clear else []), str(options.venv)])
    pip = [python_of(options.venv), "-m", "pip", "install", "--quiet",
           "--disable-pip-version-check"]  # fmt: skip
    if not options.newest:
        pip += ["-c", str(options.constraints)]
    pair = ["torch", "torchvision"]
    if build.index:  # it has few other packages: those come from the registry afterwards
        pair += ["--index-url", build.index, "--no-deps"]
    run([*pip, *pair])
    run([*pip, "-e", PACKAGES])


def run(command: list[str]) -> None:
    """Run a command in the project's folder; raise SetupError if it fails."""
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    if code:
        what = " ".join(Path(part).name if os.sep in part else part for part in command)
        raise SetupError(f"this failed with exit code {code}; run it again to go on:\n  {what}")


def imports(venv: Path) -> bool:
    """Whether what was installed can be imported, torch and torchvision as a pair."""
    return not import_failure(venv)


def import_failure(venv: Path) -> str:
    """Import the packages in the environment; return the error's last line, or nothing."""
    command = [python_of(venv), "-c", "import torch, torchvision, mnistkit.cli"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = result.stderr.strip().splitlines()
    return (lines[-1] if lines else "no reason given") if result.returncode else ""


if __name__ == "__main__":
    sys.exit(main())
