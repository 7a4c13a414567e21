"""`mnistkit doctor` names what is wrong before a run would fail on it, and what to do."""

from __future__ import annotations

import json
import os
import shutil
import sys
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner

from mnistkit.cli import main
from mnistkit.notebooks import doctor
from mnistkit.notebooks.doctor import Finding, examine, would_run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch):
    monkeypatch.chdir(ROOT)


def found(topic: str) -> Finding:
    """The findings about a topic; the worst of them."""
    findings = [finding for finding in examine(network=False) if finding.topic == topic]
    return max(findings, key=lambda finding: ["good", "note", "wrong"].index(finding.state))


def test_here_everything_is_well_and_quiet_says_nothing(monkeypatch, data_folder):
    monkeypatch.setenv("MNISTKIT_DATA", str(data_folder))
    result = CliRunner().invoke(main, ["doctor", "--quiet"])
    assert (result.exit_code, result.output) == (0, "")
    assert found("mnist").text == f"verified, in {data_folder}"


def test_a_damaged_file_of_digits_is_wrong_and_quiet_says_so(monkeypatch, data_folder):
    monkeypatch.setenv("MNISTKIT_DATA", str(data_folder))
    labels = data_folder / "MNIST" / "raw" / "train-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-1] + b"\x01")
    result = CliRunner().invoke(main, ["doctor", "--quiet"])
    assert result.exit_code == 1
    assert "wrong  mnist       train-labels-idx1-ubyte is damaged: its SHA-256" in result.output
    assert f"in {labels.parent}" in result.output
    assert "do: delete that file" in result.output
    monkeypatch.setenv("MNISTKIT_SOURCE", "sample")  # then nobody reads it
    assert found("mnist").state == "note"


def test_digits_that_are_not_here_are_no_fault(monkeypatch, tmp_path):
    monkeypatch.setenv("MNISTKIT_DATA", str(tmp_path))
    finding = found("mnist")
    assert finding.state == "note"
    assert finding.text.endswith("the first run downloads 12 MB, or takes the sample")


@pytest.mark.parametrize(
    ("variable", "value", "topic", "words"),
    [
        ("MNISTKIT_SOURCE", "mnst", "digits", "MNISTKIT_SOURCE is 'mnst'"),
        ("MNISTKIT_DEVICE", "gpu", "device", "MNISTKIT_DEVICE: device 'gpu' is none that is known"),
        ("MNISTKIT_CACHE", os.devnull, "models", "nothing can be written to "),
        ("MNISTKIT_CACHE", "~nobody-of-that-name/c", "models", "~nobody-of-that-name/c begins wi"),
        ("MNISTKIT_MOBILENET", "none.pth", "weights", "there is no file of weights none.pth"),
    ],
)
def test_a_setting_that_cannot_be_followed_is_wrong(monkeypatch, variable, value, topic, words):
    monkeypatch.setenv(variable, value)
    assert found(topic).state == "wrong"
    assert found(topic).text.startswith(words)
    assert found(topic).do


def lacking(monkeypatch, *names: str, version: str | None = None) -> None:
    real = metadata.version

    def installed(name: str) -> str:
        if name in names and version is None:
            raise metadata.PackageNotFoundError(name)
        return version if name in names else real(name)

    monkeypatch.setattr(metadata, "version", installed)


def test_a_missing_package_is_wrong_only_where_the_notebooks_need_it(monkeypatch):
    lacking(monkeypatch, "papermill", "hypothesis")
    assert found("lab").text == "papermill is missing for the notebooks and the book"
    assert found("lab").state == "wrong"
    assert found("lab").do == "pip install 'mnistkit[lab]'"
    assert found("test").text == "hypothesis is missing for `mnistkit test`"
    assert found("test").state == "note"


def test_a_package_that_is_too_old_is_named_with_its_version(monkeypatch):
    lacking(monkeypatch, "papermill", version="1.0")
    assert found("lab").text.startswith("papermill is 1.0, not >=2.6")


def test_torch_and_torchvision_of_two_kinds_are_no_pair(monkeypatch):
    import torch
    import torchvision

    assert found("PyTorch").state == "good"
    monkeypatch.setattr(torch, "__version__", "2.15.0+cu132")
    monkeypatch.setattr(torchvision, "__version__", "0.29.2+cpu")
    assert found("PyTorch").text == "torch 2.15.0+cu132, torchvision 0.29.2+cpu are no pair"
    assert found("PyTorch").state == "wrong"


def test_torchvision_that_cannot_be_imported_is_wrong_and_stops_no_other_check(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert found("PyTorch").state == "wrong"
    assert found("PyTorch").do.startswith("remove .venv")
    assert found("cores").state == "good"


def test_a_full_disk_is_wrong(monkeypatch, tmp_path):
    usage = shutil.disk_usage(tmp_path)._replace(free=10**8)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert found("disk") == Finding("disk", "0.1 GB are free", "wrong", "make room for 0.5 GB")


def test_a_kernel_of_another_python_is_wrong(monkeypatch, tmp_path):
    assert found("kernel").state == "good"
    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    command = [str(tmp_path / "bin" / "python"), "-m", "ipykernel_launcher"]
    (folder / "kernel.json").write_text(json.dumps({"argv": command, "display_name": "Other"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    assert found("kernel").state == "wrong"
    assert str(tmp_path / "bin" / "python") in found("kernel").text


def test_outside_the_project_a_run_would_fail(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert found("notebooks").state == "good", "those beside the library are taken, as by run"
    monkeypatch.setattr(doctor, "series_root", lambda: None)
    assert found("notebooks").state == "wrong"
    assert not would_run(examine(network=False))


@pytest.mark.parametrize(("address", "state"), [("here", "good"), ("nowhere", "note")])
def test_the_network_is_asked_and_its_silence_is_no_fault(monkeypatch, tmp_path, address, state):
    path = tmp_path / "here"
    path.touch()
    monkeypatch.setattr(doctor, "_ASK", (tmp_path / address).as_uri())
    findings = [finding for finding in examine() if finding.topic == "network"]
    assert [finding.state for finding in findings] == [state]
    assert would_run(findings)


def test_a_check_that_fails_on_its_own_is_a_line_and_no_traceback(monkeypatch, tmp_path):
    broken = tmp_path / "kernels" / "python3" / "kernel.json"
    broken.parent.mkdir(parents=True)
    broken.write_text("{")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    assert found("kernel").state == "wrong"
    assert found("kernel").text.startswith("JSONDecodeError: Expecting property name")
