"""`mnistkit test` and `mnistkit lab` do on any system what `make` does where there is one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from mnistkit.cli import main
from mnistkit.notebooks import suite
from mnistkit.notebooks.suite import FULL_STEPS, STEPS

ROOT = Path(__file__).resolve().parents[2]
OFFLINE = {"MNISTKIT_SOURCE": "sample", "MNISTKIT_MOBILENET": "random", "OMP_NUM_THREADS": "1"}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder that looks like the project, with notebooks, and nothing to check."""
    for name in ("01_data.ipynb", "02_linear.ipynb", "GLOSSARY.md"):
        (tmp_path / "notebooks" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "notebooks" / name).write_text("as it comes")
    (tmp_path / "tests").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    return tmp_path


@pytest.fixture
def started(monkeypatch):
    """Commands that were started, each with its folder and environment; none runs."""
    calls = []

    def start(command, *, cwd=None, env=None, check):
        calls.append((command, cwd, env))
        return subprocess.CompletedProcess(command, "format" in command)

    monkeypatch.setattr(subprocess, "run", start)
    return calls


def test_the_first_step_that_fails_is_named_and_is_the_last(project, started):
    result = CliRunner().invoke(main, ["test"])
    assert result.exit_code == 1
    assert result.output.splitlines()[-1] == "FAILED: format"
    assert [command for command, *_ in started] == [
        [sys.executable, "-m", *STEPS[name]] for name in ("lint", "format")
    ]
    for _, folder, environment in started:
        assert folder == project
        assert environment.items() >= OFFLINE.items()


def test_when_all_pass_it_says_so_and_full_runs_the_full_set(project, started, monkeypatch):
    monkeypatch.setitem(STEPS, "format", ["ruff"])
    result = CliRunner().invoke(main, ["test"])
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "All checks passed.")
    assert len(started) == len(STEPS)
    started.clear()
    monkeypatch.setenv("MNISTKIT_DATA", str(project))
    refused = CliRunner().invoke(main, ["test", "--full"])
    assert (refused.exit_code, started) == (2, [])
    assert "full MNIST is not here" in refused.output
    (project / "MNIST" / "raw").mkdir(parents=True)
    assert CliRunner().invoke(main, ["test", "--full"]).exit_code == 0
    ((command, _, environment),) = started
    assert command == [sys.executable, "-m", *FULL_STEPS["tests on full MNIST"]]
    assert "MNISTKIT_SOURCE" not in environment


def test_outside_the_project_it_is_refused(tmp_path, monkeypatch, started):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["test"])
    assert (result.exit_code, started) == (2, [])
    assert "change to the project's folder" in result.output


def test_what_is_missing_for_the_tests_is_named_before_any_runs(project, started, monkeypatch):
    installed = project / "mnistkit-0.1.0.dist-info" / "METADATA"
    installed.parent.mkdir()
    installed.write_text("Name: mnistkit\nRequires-Dist: not-to-be-had; extra == 'test'\n")
    monkeypatch.syspath_prepend(project)
    result = CliRunner().invoke(main, ["test"])
    assert (result.exit_code, started) == (2, [])
    assert "not-to-be-had is missing" in result.output


def test_every_step_is_there_and_covers_the_notebooks():
    """The commands are real: each tool is a module that Python can run, each path exists."""
    for command in (*STEPS.values(), *FULL_STEPS.values(), suite.SAME_CELLS):
        for word in command:
            if "/" in word and suite.COPIES not in word:
                assert (ROOT / word).exists(), word
    assert suite.COPIES in STEPS["outputs of the notebooks"]
    assert "--nbval-lax" in STEPS["outputs of the notebooks"]


@pytest.mark.skipif(not shutil.which("make"), reason="there is no make")
@pytest.mark.parametrize("target", ["run", "test"])
def test_make_examines_the_machine_first_and_then_calls_the_command(target):
    said = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
    lines = [line.split("bin/mnistkit ")[1] for line in said.stdout.splitlines() if "bin/m" in line]
    assert lines == ["doctor --quiet", target]
