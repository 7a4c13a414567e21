"""The series runs headlessly with other parameters, and on full data within its bounds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from mnistkit import exercises, load_digits, run_grid
from mnistkit.notebooks.execute import (
    FIRST_LOOK,
    check_parameters,
    execute,
    find_notebooks,
    parameter_defaults,
)
from mnistkit.notebooks.records import Record, read_records
from mnistkit.study.plan import full_plan
from mnistkit.study.table import read_table
from tests.notebooks import statements

ROOT = Path(__file__).resolve().parents[2]
MNIST = Path(os.environ.get("MNISTKIT_DATA", ROOT / "data")) / "MNIST" / "raw"
WEIGHTS = os.environ.get("MNISTKIT_MOBILENET")  # as the caller set it, before any fixture
EXACT = "nbval-check-output"
NAMES = [path.stem for path in find_notebooks()]

SHORT = FIRST_LOOK
# What an exercise asks for beyond that: eight seeds, or fewer pictures for a slow network.
SHORT_OWN = {"02_linear_vs_relu": {"seeds": 8}, "05_mobilenet_transfer": {"limit": 50}}


def run_short(notebook: Path, folder: Path, **more) -> list[Record]:
    name = notebook.stem
    values = SHORT | {"models_dir": str(folder / name / "models")} | more | SHORT_OWN.get(name, {})
    known = {n: v for n, v in values.items() if n in parameter_defaults(notebook)}
    parameters = check_parameters([notebook], known)[notebook]
    result = execute(notebook, parameters, folder, progress=False)
    assert result.failure == ""
    return result.records


def exercise_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [c for c in nbformat.read(path, 4).cells if "exercise" in c.metadata.get("tags", [])]


def solve(path: Path, folder: Path) -> Path:
    """Write the notebook with each exercise's solution in its place."""
    notebook = nbformat.read(path, 4)
    for cell in notebook.cells:
        if "exercise" in cell.metadata.get("tags", []):
            check = cell.source[cell.source.index("exercises.check(") :]
            number = re.match(r'exercises.check\("(\d\.\d)"', check)[1]
            cell.source = f"{exercises.find(number).solution.removesuffix(check)}\n{check}"
    nbformat.write(notebook, folder / path.name)
    return folder / path.name


@pytest.mark.parametrize("name", NAMES)
def test_runs_on_a_small_sample_with_other_parameters(
    name, tmp_path, tmp_path_factory, monkeypatch
):
    """With all exercises solved, from the root or its own folder; nbval runs them untouched."""
    monkeypatch.chdir(ROOT / "notebooks" if name == "02_linear_vs_relu" else ROOT)
    notebook = solve(find_notebooks([name])[0], tmp_path_factory.mktemp("solved"))
    recorded = run_short(notebook, tmp_path, source="sample")
    for cell in exercise_cells(tmp_path / notebook.name):
        last = "\n".join(map(text_of, cell.outputs)).strip().splitlines()[-1]
        assert re.match(r"\d\.\d right: ", last), last
    stored = name == "06_scoreboard"  # shows runs that come with the library, whatever digits
    assert {record.source for record in recorded} == {"mnist" if stored else "sample"}
    assert recorded
    assert sorted(p.name for p in tmp_path.iterdir()) in (
        [f"{name}.ipynb"],
        [name, f"{name}.ipynb"],
    )


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
