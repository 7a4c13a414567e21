"""The series runs headlessly with other parameters, and on full data within its bounds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest

from mnistkit import load_digits, run_grid
from mnistkit.notebooks.execute import check_parameters, execute, find_notebooks
from mnistkit.notebooks.records import read_records
from mnistkit.study.plan import full_plan
from mnistkit.study.table import read_table
from mnistkit.utils import sources
from tests.conftest import idx_bytes
from tests.notebooks import statements
from tests.notebooks.copies import short_parameters

ROOT = Path(__file__).resolve().parents[2]
MNIST = Path(os.environ.get("MNISTKIT_DATA", ROOT / "data")) / "MNIST" / "raw"
WEIGHTS = os.environ.get("MNISTKIT_MOBILENET")  # as the caller set it, before any fixture
EXACT = "nbval-check-output"
NAMES = [path.stem for path in find_notebooks()]


@pytest.mark.long
def test_it_runs_headlessly_from_its_own_folder_with_other_parameters(tmp_path, monkeypatch):
    """One of them; nbval runs all, `make run` and the full set each as it is."""
    monkeypatch.chdir(ROOT / "notebooks")
    monkeypatch.setenv("MNISTKIT_SOURCE", "sample")
    (notebook,) = find_notebooks(["01"])
    known = short_parameters(notebook, tmp_path) | {"source": "sample", "save_figures": True}
    committed = {p: p.read_bytes() for p in (ROOT / "figures").iterdir()}
    parameters = check_parameters([notebook], known)[notebook]
    result = execute(notebook, parameters, tmp_path, progress=False)
    assert result.failure == ""
    assert {record.source for record in result.records} == {"sample"}
    assert result.records == read_records(tmp_path / notebook.name)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["01_data.ipynb", "figures"]
    drawn = {path.name for path in (tmp_path / "figures").iterdir()}
    known = {path.name for path in committed if path.name.startswith("01_")}
    assert drawn == known - {"01_writers.png"}, "the sample does not know its writers"
    assert {p: p.read_bytes() for p in (ROOT / "figures").iterdir()} == committed
    assert "MNISTKIT_FIGURES" not in os.environ


@pytest.fixture(scope="module")
def clothes(tmp_path_factory) -> Path:
    """A data folder with files in Fashion-MNIST's format, of random pictures."""
    folder = tmp_path_factory.mktemp("data")
    raw, random = folder / "FashionMNIST" / "raw", np.random.default_rng(0)
    raw.mkdir(parents=True)
    for file in sources.LIKE_MNIST["fashion_mnist"].files.values():
        values = random.integers(0, 10 if len(file.shape) == 1 else 256, file.shape)
        (raw / file.name).write_bytes(idx_bytes(file, values))
    return folder


@pytest.mark.full
@pytest.mark.parametrize("name", NAMES)
def test_pictures_that_are_no_digits_will_do(name, clothes, tmp_path, monkeypatch):
    """And each notebook that reads them says that no claim is about them."""
    monkeypatch.setenv("MNISTKIT_DATA", str(clothes))
    (notebook,) = find_notebooks([name])
    known = short_parameters(notebook, tmp_path) | {"source": "fashion_mnist"}
    result = execute(notebook, check_parameters([notebook], known)[notebook], tmp_path)
    assert result.failure == ""
    printed = "\n".join(text_of(o) for c in nbformat.read(result.path, 4).cells
                        for o in c.get("outputs", ()))  # fmt: skip
    assert "no claim is about these" in printed or name == "06_scoreboard"
    assert name != "01_data" or "ankle boot" in (tmp_path / notebook.name).read_text("utf-8")


@pytest.mark.full
def test_plain_papermill_runs_it_from_its_own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT / "notebooks")
    command = [sys.executable, "-m", "papermill", "02_linear_vs_relu.ipynb", tmp_path / "out.ipynb"]
    options = ["-k", "python3", "-p", "source", "sample", "-p", "limit", "100", "-p", "seeds", "2",
               "--no-progress-bar"]  # fmt: skip
    subprocess.run([*map(str, command), *options], check=True, capture_output=True)
    assert read_records(tmp_path / "out.ipynb")


def exact_outputs(path: Path) -> list[tuple[str, str]]:
    """Source and text of the cells whose outputs are the same wherever they run."""
    cells = [c for c in nbformat.read(path, 4).cells if EXACT in c.metadata.get("tags", [])]
    return [(cell.source, "".join(text_of(output) for output in cell.outputs)) for cell in cells]


def text_of(output: nbformat.NotebookNode) -> str:
    return output.get("text") or output.get("data", {}).get("text/plain", "")


# --- with full MNIST ------------------------------------------------------------------------


@pytest.fixture
def full_environment(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("MNISTKIT_DATA", str(MNIST.parents[1].resolve()))
    monkeypatch.setenv("MNISTKIT_SOURCE", "mnist")
    monkeypatch.delenv("MNISTKIT_MOBILENET")
    if WEIGHTS:
        monkeypatch.setenv("MNISTKIT_MOBILENET", WEIGHTS)


@pytest.mark.full
@pytest.mark.skipif(not MNIST.is_dir(), reason="no full MNIST in MNISTKIT_DATA")
@pytest.mark.usefixtures("full_environment")
@pytest.mark.parametrize("name", NAMES)
def test_full_data_gives_every_number_within_its_bounds(name, tmp_path):
    """And bears out every sentence that has a statement."""
    notebook = find_notebooks([name])[0]
    result = execute(notebook, {}, tmp_path, progress=False)
    assert result.failure == ""
    assert sorted(p.name for p in tmp_path.iterdir()) in (
        [f"{name}.ipynb"],
        [name, f"{name}.ipynb"],
    )
    assert {record.source for record in result.records} == {"mnist"}
    assert exact_outputs(result.path) == exact_outputs(notebook)
    assert statements.failures(statements.Outputs(result.path)) == []


@pytest.mark.full
@pytest.mark.skipif(not MNIST.is_dir(), reason="no full MNIST in MNISTKIT_DATA")
@pytest.mark.usefixtures("full_environment")
@pytest.mark.parametrize("name", ["V0", "V1", "A baseline", "A sigmoid"])
def test_stored_runs_repeat(name):
    runs = read_table()
    recipe = {entry.name: entry.recipe for entry in full_plan(runs.frame)}[name]
    digits = load_digits("mnist", validation_size=0)
    stored = runs.of(name)
    assert set(stored["data"]) == {digits.digest}
    again = run_grid({name: recipe}, range(2), digits, test=True)
    # Bit for bit on the machine that made them; elsewhere rounding may take another path.
    for mine, theirs in zip(again["test_accuracy"], stored["test_accuracy"][:2], strict=True):
        assert mine == pytest.approx(theirs, abs=0.01)


@pytest.mark.full
@pytest.mark.skipif(not MNIST.is_dir(), reason="no full MNIST in MNISTKIT_DATA")
@pytest.mark.usefixtures("full_environment")
def test_nbval_finds_committed_outputs_on_full_data():
    # The short ones; the others' exact outputs are compared in the test above.
    short = ("01_data", "02_linear_vs_relu", "06_scoreboard")
    notebooks = [f"notebooks/{name}.ipynb" for name in short]
    options = ["--nbval-lax", "--nbval-current-env", "-p", "no:cacheprovider", "-q"]
    command = [sys.executable, "-m", "pytest", *options, *notebooks]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-3000:]
