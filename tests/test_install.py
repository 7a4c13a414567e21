"""The set-up takes the PyTorch that a machine needs, and finishes what was interrupted.

A project of three files is installed for real, into environments of its own, from a local
index with tiny wheels: `/registry` has the build with CUDA, `/cpu` the small one.
"""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NO_GPU = pytest.mark.skipif(
    Path("/proc/driver/nvidia").exists(), reason="this machine has an NVIDIA GPU"
)
pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only on Linux are there two builds to choose from"
)

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "mnistkit"
version = "0"
optional-dependencies = {lab = [], test = []}
"""
BACKEND = """
import zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "mnistkit-0-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        info = "mnistkit-0.dist-info"
        extras = "Provides-Extra: lab\\nProvides-Extra: test\\n"
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\\nName: mnistkit\\nVersion: 0\\n{extras}")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
"""  # noqa: E501


def write_wheel(folder: Path, name: str, version: str, content: str = "") -> None:
    folder = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}/__init__.py", content or f"__version__ = {version!r}\n")
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")


class Handler(http.server.SimpleHTTPRequestHandler):
    """Lists folders as an index does; a file named in `held` is not given until it is freed."""

    held: threading.Event | None = None
    asked = threading.Event()

    def do_GET(self):
        if self.held and self.path.endswith(".whl") and "torchvision" in self.path:
            self.asked.set()
            self.held.wait(60)
        super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def index(tmp_path):
    """Serve both indexes; gives their common address."""
    for kind, mark in (("registry", ""), ("cpu", "+cpu")):
        for name, version in (("torch", "2.15.0"), ("torchvision", "0.29.2")):
            write_wheel(tmp_path / "index" / kind, name, version + mark)
    handler = functools.partial(Handler, directory=str(tmp_path / "index"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    (folder / "mnistkit").mkdir(parents=True)
    for name in ("__init__.py", "cli.py"):
        (folder / "mnistkit" / name).touch()
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "backend.py").write_text(BACKEND)
    (folder / "constraints.txt").write_text("torch==2.15.0\ntorchvision==0.29.2\n")
    shutil.copy(ROOT / "install.py", folder)
    return folder


@pytest.fixture
def machine(index, tmp_path):
    """Environment variables as on a machine with or without a GPU and the CPU index."""
    (tmp_path / "bin").mkdir()

    def variables(gpu: bool, cpu_index: bool) -> dict[str, str]:
        stub = tmp_path / "bin" / "nvidia-smi"
        stub.unlink(missing_ok=True)
        if gpu:
            stub.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA T4 (UUID: GPU-1)'\n")
            stub.chmod(0o755)
        return {
            "PATH": str(tmp_path / "bin"),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": f"{index}/registry",
            "MNISTKIT_TORCH_INDEX": f"{index}/cpu" if cpu_index else f"{index}/nothing",
            "no_proxy": "*",
        }

    return variables


def load_install(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    import install

    return install


@pytest.fixture
def setup(project, machine):
    """Run install.py for real, in the small project."""
    usual = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}

    def start(*options: str, gpu: bool = False, cpu_index: bool = True) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, str(project / "install.py"), *options], cwd=project,
            env=usual | machine(gpu, cpu_index), text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def run(*options: str, **machine: bool) -> tuple[int, str]:
        process = start(*options, **machine)
        said = process.communicate(timeout=120)[0]
        return process.returncode, said

    run.start = start
    return run


def installed(project: Path) -> list[str]:
    code = "import torch, torchvision; print(torch.__version__, torchvision.__version__)"
    python = project / ".venv" / "bin" / "python"
    return subprocess.run([python, "-c", code], capture_output=True, text=True).stdout.split()


CPU, CUDA = ["2.15.0+cpu", "0.29.2+cpu"], ["2.15.0", "0.29.2"]


@NO_GPU
def test_without_a_gpu_the_small_build_is_taken_and_a_second_call_says_nothing(setup, project):
    code, said = setup()
    assert code == 0, said
    assert "PyTorch: the CPU build from PyTorch's own index, about 0.4 GB to download" in said
    assert "there is no NVIDIA GPU (CUDA=1 takes the big one)" in said
    assert installed(project) == CPU
    assert setup() == (0, "")
    assert setup("--cpu", cpu_index=False) == (0, ""), "what is whole needs no index"


@pytest.mark.full
@NO_GPU
def test_without_the_index_the_big_one_is_taken_and_a_damaged_one_built_anew(setup, project):
    code, said = setup(cpu_index=False)
    assert code == 0, said
    assert "PyTorch: the registry's build, which has CUDA, about 2.5 GB to download" in said
    assert "there is no NVIDIA GPU, but http" in said
    assert "/nothing does not answer (File not found)" in said
    assert installed(project) == CUDA
    stamp = project / ".venv" / ".installed"
    assert json.loads(stamp.read_text())["build"] == "cuda"
    stamp.unlink()
    next(project.glob(".venv/lib/*/site-packages/torch/__init__.py")).write_text("1 +")
    code, said = setup()  # the index answers now; what is there is kept
    assert code == 0, said
    assert "it is here already" in said
    assert "what was there is damaged: building it anew" in said
    assert installed(project) == CUDA


@pytest.mark.full
def test_with_a_gpu_the_big_one_is_taken_and_later_wishes_are_followed(setup, project):
    code, said = setup(gpu=True)
    assert code == 0, said
    assert "this machine has an NVIDIA GPU" in said
    assert installed(project) == CUDA
    write_wheel(project.parent / "index" / "registry", "torchvision", "0.29.3")
    write_wheel(project.parent / "index" / "cpu", "torchvision", "0.29.3+cpu")
    (project / "constraints.txt").write_text("torch==2.15.0\ntorchvision==0.29.3\n")
    code, said = setup(gpu=True)
    assert code == 0, said
    assert "Bringing .venv up to date." in said
    assert installed(project) == ["2.15.0", "0.29.3"]
    code, said = setup("--cpu", gpu=True)
    assert code == 0, said
    assert "CPU_ONLY=1 asks for it" in said
    assert "what is there is of another kind" in said
    assert installed(project) == ["2.15.0+cpu", "0.29.3+cpu"]


@pytest.mark.parametrize(
    ("gpu", "cpu_index", "forced", "kind", "reason"),
    [
        (True, True, None, "cuda", "this machine has an NVIDIA GPU"),
        (True, False, None, "cuda", "this machine has an NVIDIA GPU"),
        pytest.param(False, True, None, "cpu", "there is no NVIDIA GPU", marks=NO_GPU),
        pytest.param(False, False, None, "cuda", "but http.* does not answer", marks=NO_GPU),
        (True, True, "cpu", "cpu", "CPU_ONLY=1 asks for it"),
        (False, True, "cuda", "cuda", "CUDA=1 asks for it"),
        (False, False, "cuda", "cuda", "CUDA=1 asks for it"),
    ],
)
def test_the_build_that_is_chosen(machine, monkeypatch, gpu, cpu_index, forced, kind, reason):
    for name, value in machine(gpu, cpu_index).items():
        monkeypatch.setenv(name, value)
    build = load_install(monkeypatch).choose_build(forced, None)
    assert build.kind == kind
    assert re.search(reason, build.reason)


def test_a_driver_that_does_not_answer_is_no_gpu(machine, monkeypatch, tmp_path):
    for name, value in machine(True, True).items():
        monkeypatch.setenv(name, value)
    stub = tmp_path / "bin" / "nvidia-smi"
    stub.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed' >&2\nexit 9\n")
    install = load_install(monkeypatch)
    assert install.has_nvidia_gpu() == Path("/proc/driver/nvidia").exists()


def test_where_there_is_one_build_no_other_is_asked_for(monkeypatch):
    install = load_install(monkeypatch)
    monkeypatch.setattr(install.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(install, "why_no_cpu_index", lambda: pytest.fail("asked in vain"))
    assert install.choose_build(None, None).kind == "plain"
    assert install.choose_build("cpu", None).kind == "plain"
    with pytest.raises(install.SetupError, match="no PyTorch with CUDA for macOS"):
        install.choose_build("cuda", None)


def test_cpu_only_without_its_index_is_refused_and_loses_nothing(setup, project):
    code, said = setup("--cpu", cpu_index=False)
    assert code == 1
    assert (
        said.strip().splitlines()[-1].startswith("CPU_ONLY=1 needs PyTorch's CPU index, and http")
    )
    assert not (project / ".venv").exists()


@NO_GPU
def test_what_was_killed_is_found_and_finished(setup, project, monkeypatch):
    held = threading.Event()
    monkeypatch.setattr(Handler, "held", held)
    process = setup.start(cpu_index=False)
    assert Handler.asked.wait(60), "torchvision was never asked for"
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    held.set()
    assert (project / ".venv").is_dir()
    assert not (project / ".venv" / ".installed").exists()
    code, said = setup(cpu_index=False)
    assert code == 0, said
    assert "Going on with .venv, which was not finished." in said
    assert installed(project) == CUDA


@pytest.mark.parametrize(
    ("variables", "option"),
    [([], ""), (["CPU_ONLY=1"], "--cpu"), (["CUDA=1"], "--cuda"), (["CONSTRAINTS="], "--newest")],
)
def test_make_hands_on_what_is_asked_for(variables, option):
    command = ["make", "-n", "setup", *variables]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "install.py" in said
    assert all((each in said) == (each == option) for each in ("--cpu", "--cuda", "--newest"))


def test_an_older_python_is_told_so():
    code = (
        "import sys; sys.version_info = (3, 9, 2); sys.argv = ['install.py']; "
        "import platform; platform.python_version = lambda: '3.9.2'; "
        "import install; sys.exit(install.main([]))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 1
    assert "Python 3.11 or newer is needed, and this is 3.9.2" in result.stderr


def test_every_python_since_3_8_can_read_it():
    import ast

    ast.parse((ROOT / "install.py").read_text(encoding="utf-8"), feature_version=(3, 8))


def test_a_full_disk_is_named_before_anything_is_downloaded(tmp_path, monkeypatch, capsys):
    install = load_install(monkeypatch)
    usage = shutil.disk_usage(tmp_path)._replace(free=3 * 10**9)
    monkeypatch.setattr(install.shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(install, "run", lambda _: pytest.fail("something was installed"))
    assert install.main(["--cuda", "--venv", str(tmp_path / "env")]) == 1
    assert "6.7 GB are needed" in capsys.readouterr().err
    assert not (tmp_path / "env").exists()
