"""The pins hold on every Python and platform, and `python -m tests.platforms` asks rightly."""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
from itertools import pairwise

import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests import platforms
from tests.platforms import PLATFORMS, PYTHONS, pinned

LINUX, ARM, MAC, WINDOWS = PLATFORMS
CELLS = [
    pytest.param(python, platform, id=f"{python} on {platform.name}")
    for python in PYTHONS
    for platform in PLATFORMS
]

# Word for word from uv 0.13.9.
NO_WHEEL = """\
error: No solution found when resolving dependencies
  cause: Because pillow==11.3.0 has no usable wheels and mnistkit depends on pillow==11.3.0, \
we can conclude that your requirements are unsatisfiable.

hint: Wheels are required for `pillow` because building from source is disabled for all packages \
(i.e., with `--no-build`)
"""
NO_ABI = """\
error: No solution found when resolving dependencies
  cause: Because torch==2.15.0 has no wheels with a matching Python ABI tag (e.g., `cp316`) and \
mnistkit depends on torch==2.15.0, we can conclude that your requirements are unsatisfiable.
"""
TOO_OLD = """\
error: No solution found when resolving dependencies
  cause: Because the current Python version (3.11.2) does not satisfy Python>=3.11.5 and \
soupsieve==4.1.1 depends on Python>=3.11.5, we can conclude that soupsieve==4.1.1 cannot be used.
         And because beautifulsoup4>=4.15.0 depends on soupsieve==4.1.1 and mnistkit depends on \
beautifulsoup4==4.15.0, we can conclude that your requirements are unsatisfiable.
"""
NO_VERSION = """\
error: No solution found when resolving dependencies
  cause: Because there is no version of click==99 and mnistkit depends on click==99, \
we can conclude that your requirements are unsatisfiable.
"""
CLASH = """\
error: No solution found when resolving dependencies
  cause: Because ipython>=9.18.1 depends on jedi>=0.18.2 and jedi==0.10.0, \
we can conclude that ipython>=9.18.1 cannot be used.
"""
NO_REGISTRY = """\
error: Request failed after 3 retries in 4.2s
  cause: Failed to fetch: http://127.0.0.1:9/simple/playwright/
"""

# Fails where all words of a rule are among its arguments, and keeps what it was called with.
FAKE = """\
import json, os, sys
from pathlib import Path
rules, chosen, log = json.loads(open(__file__ + ".json").read())
arguments = sys.argv[1:]
if arguments == ["--version"]:
    sys.exit(print("uv 9.9.9 (a fake)"))
with open(log, "a") as file:
    file.write(json.dumps([arguments, dict(os.environ)]) + "\\n")
for words, failure in rules:
    if all(word in arguments for word in words):
        sys.exit(failure)
if "--output-file" in arguments:
    output = Path(arguments[arguments.index("--output-file") + 1])
    apart = Path(arguments[arguments.index("--constraints") + 1])
    Path(__file__ + ".apart").write_text(apart.read_text())
    kept = [line for line in output.read_text().splitlines(True) if not line.startswith("#")]
    output.write_text("".join([*kept, chosen]))
print(chosen, end="")
"""


class FakeUv:
    """A uv that chooses `chosen`, except in the cells that `fails` names."""

    def __init__(self, folder):
        self.script = folder / "fake.py"
        self.script.write_text(FAKE)
        self.log = folder / "log"
        self.rules = []
        self.choose("torch==2.15.0\nnvidia-nccl-cu13==2.30.7\n")
        if os.name == "nt":
            self.path = folder / "uv.bat"
            self.path.write_text(f'@"{sys.executable}" "{self.script}" %*\n')
        else:
            self.path = folder / "uv"
            self.path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{self.script}" "$@"\n')
            self.path.chmod(0o755)

    def choose(self, chosen):
        self.chosen = chosen
        self._keep()

    def fails(self, failure, *words):
        self.rules.append([words, failure])
        self._keep()

    def _keep(self):
        text = json.dumps([self.rules, self.chosen, str(self.log)])
        self.script.with_name("fake.py.json").write_text(text)

    def calls(self):
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture
def uv(tmp_path, monkeypatch):
    fake = FakeUv(tmp_path)
    monkeypatch.setenv("MNISTKIT_UV", str(fake.path))
    monkeypatch.setattr(platforms, "PYTHONS", ("3.11.2", "3.15.0"))
    monkeypatch.setattr(platforms, "TABLE", tmp_path / "PLATFORMS.md")
    return fake


def run(*arguments):
    return CliRunner().invoke(platforms.main, arguments)


def declared() -> list[Requirement]:
    project = tomllib.loads(platforms.PYPROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    return [Requirement(text) for text in sum(extras, project["dependencies"])]


@pytest.mark.parametrize(("python", "platform"), CELLS)
def test_every_requirement_has_one_pin_within_its_range(python, platform):
    held = pinned(python, platform)
    for requirement in declared():
        if requirement.marker and not requirement.marker.evaluate(platform.environment(python)):
            continue
        versions = held.get(canonicalize_name(requirement.name), [])
        assert len(versions) == 1, f"{requirement.name}: {versions}"
        version = versions[0].removeprefix("==")
        assert requirement.specifier.contains(version), f"{requirement} is pinned to {version}"


@pytest.mark.parametrize(("python", "platform"), CELLS)
def test_no_package_has_two_pins(python, platform):
    twice = {name: found for name, found in pinned(python, platform).items() if len(found) > 1}
    assert twice == {}


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform.name)
def test_soupsieve_fits_debian_12(platform):
    # from 3.0.2 on it needs Python 3.11.5, and 3.0 and 3.0.1 were withdrawn for that reason
    (version,) = pinned("3.11.2", platform)["soupsieve"]
    assert Version(version.removeprefix("==")) < Version("3.0")
    assert pinned("3.11.5", platform)["soupsieve"] == ["==4.1.1"]


def test_what_other_systems_need_is_pinned_there():
    # JupyterLab's terminals, coloured output, and IPython's windows
    assert {"pywinpty", "colorama"} <= set(pinned("3.12.0", WINDOWS))
    assert "appnope" in pinned("3.12.0", MAC)
    assert "pexpect" in pinned("3.12.0", ARM)


def test_every_python_at_which_pins_change_is_asked_for():
    markers = " ".join(str(pin.marker or "") for pin in platforms.pins())
    edges = re.findall(r'python_(?:full_)?version [<>=!]+ "([\d.]+?)(?:\.\*)?"', markers)
    assert edges
    full = {edge if edge.count(".") == 2 else f"{edge}.0" for edge in edges}
    assert full <= set(PYTHONS)


def test_cuda_is_left_to_pytorch():
    assert [pin.name for pin in platforms.pins() if platforms.CUDA.match(pin.name)] == []


def test_kept_table_has_every_python_and_platform():
    lines = platforms.TABLE.read_text(encoding="utf-8").splitlines()
    header, _, *rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]
    assert header == ["Python", *(platform.name for platform in PLATFORMS)]
    assert [row[0] for row in rows] == list(PYTHONS)
    cells = {
        (row[0], name): text for row in rows for name, text in zip(header[1:], row[1:], strict=True)
    }
    assert platforms.surprises(cells, platforms.KNOWN) == []


@pytest.mark.parametrize(
    ("failure", "short"),
    [
        (NO_WHEEL, "pillow==11.3.0 has no wheel"),
        (NO_ABI, "torch==2.15.0 has no wheel"),
        (TOO_OLD, "soupsieve==4.1.1 needs Python>=3.11.5"),
        (NO_VERSION, "there is no click==99"),
        (CLASH, "ipython>=9.18.1 depends on jedi>=0.18.2 and jedi==0.10.0"),
        ("error: No solution found, in other words", "uv finds no solution"),
    ],
)
def test_reason_names_the_package_at_fault(failure, short):
    assert platforms.reason(failure) == short


def test_all_yes_where_everything_resolves(uv):
    result = run()
    assert result.output == (
        "| Python | Linux x86-64 | Linux arm64 | macOS 14, Apple silicon | Windows x86-64 |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| 3.11.2 | yes | yes | yes | yes |\n"
        "| 3.15.0 | yes | yes | yes | yes |\n"
    )
    assert result.exit_code == 0
    assert not platforms.TABLE.exists()


def test_unresolved_cells_say_why_and_fail(uv):
    uv.fails(TOO_OLD, "--all-extras", "3.11.2", LINUX.target)
    uv.fails(NO_WHEEL, "3.15.0", WINDOWS.target)
    result = run()
    rows = result.output.splitlines()
    assert rows[2] == (
        "| 3.11.2 | core only: soupsieve==4.1.1 needs Python>=3.11.5 | yes | yes | yes |"
    )
    assert rows[3] == "| 3.15.0 | yes | yes | yes | no: pillow==11.3.0 has no wheel |"
    assert rows[5] == (
        "not resolved: Python 3.15.0 on Windows x86-64: no: pillow==11.3.0 has no wheel"
    )
    assert result.exit_code == 1


def test_known_cells_pass_for_their_own_reason_only(uv, monkeypatch):
    uv.fails(NO_WHEEL, "3.15.0", WINDOWS.target)
    key = ("3.15.0", WINDOWS.name)
    monkeypatch.setattr(platforms, "KNOWN", {key: "no: pillow==11.3.0 has no wheel"})
    assert run().exit_code == 0
    monkeypatch.setattr(platforms, "KNOWN", {key: "no: torch==2.15.0 has no wheel"})
    assert run().exit_code == 1


def test_packages_without_a_pin_are_named(uv):
    uv.choose("torch==2.15.0\nleft-out==1.0\nnvidia-nccl-cu13==2.30.7\ntriton==3.9.0\n")
    result = run()
    assert "| 3.11.2 | no: left-out not pinned |" in result.output
    assert result.exit_code == 1


def test_every_cell_is_asked_for_wheels_alone(uv):
    run()
    asked = {
        (python, target, extras): 0
        for python in ("3.11.2", "3.15.0")
        for target in (platform.target for platform in PLATFORMS)
        for extras in (True, False)
    }
    for arguments, _ in uv.calls():
        after = dict(pairwise(arguments))
        extras = "--all-extras" in arguments
        asked[after["--python-version"], after["--python-platform"], extras] += 1
        assert after["--only-binary"] == ":all:"
        assert after["--constraints"] == str(platforms.CONSTRAINTS)
    assert set(asked.values()) == {1}


def test_settings_of_this_machine_do_not_count(uv, monkeypatch):
    for name in ("PIP_INDEX_URL", "PIP_FIND_LINKS", "UV_EXTRA_INDEX_URL", "UV_CONSTRAINT"):
        monkeypatch.setenv(name, "/of/this/machine")
    monkeypatch.setenv("MACOSX_DEPLOYMENT_TARGET", "11.0")
    run()
    for arguments, environment in uv.calls():
        assert "/of/this/machine" not in environment.values()
        assert "--no-config" in arguments
        assert environment["MACOSX_DEPLOYMENT_TARGET"] == "14.0"


def test_silent_registry_is_no_answer(uv):
    uv.fails(NO_REGISTRY, "3.15.0", WINDOWS.target)
    result = run("--write")
    assert "uv could not ask the registry: error: Request failed" in result.output
    assert result.exit_code == 1
    assert not platforms.TABLE.exists()


def test_write_keeps_the_table_its_date_and_its_uv(uv):
    uv.fails(NO_WHEEL, "3.15.0", WINDOWS.target)
    run("--write")
    page = platforms.TABLE.read_text(encoding="utf-8")
    assert re.search(r"^Asked on 20\d\d-\d\d-\d\d with uv 9\.9\.9:", page, flags=re.M)
    assert re.search(r"within the 1\d\d packages\b", page)
    assert page.endswith("| 3.15.0 | yes | yes | yes | no: pillow==11.3.0 has no wheel |\n")


def test_pin_keeps_what_is_there_and_leaves_cuda_out(uv, tmp_path, monkeypatch):
    constraints = tmp_path / "constraints.txt"
    old = """\
# An old header.
click==8.5.1
numpy==2.4.6 ; python_full_version < "3.15"
numpy==2.5.5 ; python_full_version >= "3.15"
"""
    constraints.write_text(old)
    monkeypatch.setattr(platforms, "CONSTRAINTS", constraints)
    uv.choose("cuda-toolkit==13.2.2\nnvidia-nccl-cu13==2.30.7\ntorch==2.15.0\ntriton==3.9.0\n")
    run("--pin")
    kept = "".join(old.splitlines(keepends=True)[1:])
    assert constraints.read_text() == f"{platforms.HEADER}{kept}torch==2.15.0\n"
    apart = uv.script.with_name("fake.py.apart").read_text().splitlines()
    assert 'scipy>=1.18 ; python_version >= "3.15"' in apart
    assert 'numpy==2.5.5; python_full_version >= "3.15"' in apart  # or it would spread to 3.11
    assert 'numpy==2.4.6; python_full_version < "3.15"' in apart
    assert not [line for line in apart if line.startswith("click")]
    first, _ = uv.calls()[0]
    assert {"--universal", "3.11.2", "--all-extras", "--only-binary"} <= set(first)


@pytest.mark.parametrize("named", [None, "/no/such/uv"])
def test_missing_uv_is_one_line_that_says_what_to_install(monkeypatch, tmp_path, named):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("MNISTKIT_UV", raising=False)
    if named:
        monkeypatch.setenv("MNISTKIT_UV", named)
    result = run()
    assert result.exit_code == 1
    assert result.output == (
        f"Error: {named or 'uv'} is not there: pip install uv, or name its path in MNISTKIT_UV\n"
    )
