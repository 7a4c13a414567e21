"""Notebooks are found, their parameters checked before they run, and brought into one form."""

from __future__ import annotations

import nbformat
import pytest
from click.testing import CliRunner
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from mnistkit import cli
from mnistkit.errors import NotebookError
from mnistkit.notebooks import execute as notebooks
from mnistkit.notebooks.execute import check_parameters, find_notebooks, normalize, normalize_file

PARAMETERS = """\
source = "auto"  # which digits
seeds = 3  # how often
rate = 0.1  # learning rate
save_figures = False  # also to figures/
limit = None  # digits
size = 10  # digits to train on; None for all
output_dir = "runs/01"  # own files
"""
RECORD = 'from mnistkit import record; record("sample", accuracy={"score": rate})'


def write_notebook(path, *sources, parameters=PARAMETERS):
    cells = [new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    cells += [new_code_cell(source) for source in sources]
    kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    nbformat.write(new_notebook(cells=cells, metadata=kernel), path)


@pytest.fixture
def series(tmp_path, monkeypatch):
    """A small series in a folder of its own, with one notebook that fails."""
    (tmp_path / "notebooks").mkdir()
    write_notebook(tmp_path / "notebooks" / "01_data.ipynb", RECORD)
    write_notebook(
        tmp_path / "notebooks" / "02_fails.ipynb", "seeds", "1 / 0", parameters="seeds = 3"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNISTKIT_SOURCE", "sample")
    return tmp_path


def run_cli(*arguments):
    return CliRunner().invoke(cli.main, [str(a) for a in arguments])


@pytest.mark.parametrize(
    "name", ["01", "1", "data", "01_data", "01_data.ipynb", "notebooks/01_data.ipynb"]
)
def test_notebook_is_found_by_number_or_name(series, name):
    assert [path.stem for path in find_notebooks([name])] == ["01_data"]


def test_all_notebooks_come_in_order(series):
    assert [path.stem for path in find_notebooks()] == ["01_data", "02_fails"]


def test_unknown_notebook_gets_the_nearest_name(series):
    with pytest.raises(NotebookError, match="unknown notebook '01_dat'; did you mean '01_data'"):
        find_notebooks(["01_dat"])


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("seeds", "5", 5),
        ("rate", "1e-3", 0.001),
        ("rate", "1", 1.0),
        ("save_figures", "true", True),
        ("save_figures", "False", False),
        ("source", "mnist", "mnist"),
        ("source", "1", "1"),
        ("limit", "2000", 2000),
        ("limit", "None", None),
        ("size", "None", None),
        ("size", "7", 7),
    ],
)
def test_values_are_read_as_the_type_of_the_default(series, name, text, value):
    notebook = find_notebooks(["01"])[0]
    (checked,) = check_parameters([notebook], {name: text}).values()
    assert checked == {name: value}
    assert type(checked[name]) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("seed", "5", "unknown parameter 'seed'; did you mean 'seeds'"),
        ("seeds", "many", "parameter 'seeds' is 'many', expected int, like 3"),
        ("seeds", "2.5", "parameter 'seeds' is '2.5', expected int"),
        ("seeds", "True", "expected int"),
        ("rate", "fast", "expected float, like 0.1"),
        ("save_figures", "1", "expected bool"),
        ("limit", "many", "expected int or None"),
        ("seeds", "None", "expected int, like 3"),
    ],
)
def test_wrong_names_and_types_are_refused(series, name, text, message):
    with pytest.raises(NotebookError, match=message):
        check_parameters(find_notebooks(["01"]), {name: text})


def test_a_parameter_goes_to_the_notebooks_that_have_it(series):
    first, second = check_parameters(find_notebooks(), {"rate": "0.5", "seeds": "1"}).values()
    assert (first, second) == ({"rate": 0.5, "seeds": 1}, {"seeds": 1})


def test_run_executes_and_prints_what_was_recorded(series):
    result = run_cli("run", "01", "-p", "rate", "0.25", "--output-dir", series / "out")
    assert result.exit_code == 0, result.output
    assert "data: sample (5,000 digits" in result.output
    assert "[1/1] 01_data ... done in" in result.output
    assert "25.00 %" in result.output
    executed = nbformat.read(series / "out" / "01_data.ipynb", 4)
    injected = next(c.source for c in executed.cells if "injected" in str(c.metadata.get("tags")))
    assert 'source = "sample"' in injected
    assert f'output_dir = "{series / "out" / "01_data"}"' in injected


def test_failed_notebook_names_the_cell_and_the_others_still_run(series):
    result = run_cli("run", "02", "01", "--output-dir", series / "out")
    assert result.exit_code == 1
    assert "FAILED 02_fails: cell In [3]: ZeroDivisionError: division by zero" in result.output
    assert "01_data ... done" in result.output
    assert (series / "out" / "02_fails.ipynb").exists(), "as far as it came"


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("import os; os._exit(1)", "FAILED 03_bad: its kernel died, perhaps for want of memory"),
        ("import time; time.sleep(60)", "a cell took more than 0.1 minutes; --cell-limit allows"),
    ],
)
def test_a_kernel_that_dies_or_hangs_is_named_and_the_others_still_run(series, cell, said):
    write_notebook(series / "notebooks" / "03_bad.ipynb", cell)
    write_notebook(series / "notebooks" / "04_fine.ipynb", "1 + 1")
    result = run_cli("run", "03", "04", "--cell-limit", "0.1", "--output-dir", series / "out")
    assert result.exit_code == 1
    assert said in result.output
    assert "04_fine ... done" in result.output
    assert (series / "out" / "03_bad.ipynb").exists(), "as far as it came"


def test_the_memory_of_a_notebook_is_measured(series):
    hold = "import time; held = b'x' * 300_000_000; time.sleep(1)"
    write_notebook(series / "notebooks" / "03_big.ipynb", hold)
    small, big = (
        notebooks.execute(series / "notebooks" / name, {}, series / "out", progress=False).memory
        for name in ("01_data.ipynb", "03_big.ipynb")
    )
    assert small > 30e6
    assert 300e6 < big < 900e6


def test_an_output_folder_that_cannot_be_written_to_is_refused(series):
    (series / "file").write_text("no folder")
    result = run_cli("run", "01", "--output-dir", series / "file" / "out")
    assert result.exit_code == 2
    assert "nothing can be written to" in result.output
    assert "name another folder" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["7"], "unknown notebook '7'"),
        (["-p", "ratte", "1"], "did you mean 'rate'"),
        (["-p", "seeds", "few"], "expected int"),
        (["--source", "mnist", "-p", "source", "sample"], "the source is given twice"),
    ],
)
def test_refusals_come_before_anything_runs(series, arguments, message):
    result = run_cli("run", *arguments, "--output-dir", series / "out")
    assert result.exit_code == 2
    assert message in result.output
    assert not (series / "out").exists()


def test_source_that_cannot_be_had_is_refused(series, monkeypatch):
    monkeypatch.setenv("MNISTKIT_DATA", str(series / "data"))
    folder = series / "data" / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (folder / f"{name}-ubyte").write_bytes(b"")
    result = run_cli("run", "01", "--source", "mnist")
    assert result.exit_code == 2
    assert "train-images-idx3-ubyte is damaged: 0 bytes" in result.output


# --- one form -------------------------------------------------------------------------------


def executed_notebook():
    """What papermill leaves behind, with all that is not to be committed."""
    plot = new_output(
        "display_data",
        {"image/png": "iVBORw0KGgo="},
        metadata={"image/png": {"alt": "A plot.", "width": 5}, "needs_background": "light"},
    )
    cells = [
        new_markdown_cell("# Title", metadata={"papermill": {"duration": 1}}),
        new_code_cell(
            "x = 1", metadata={"tags": ["parameters"], "papermill": {}}, execution_count=3
        ),
        new_code_cell("x = 2", metadata={"tags": ["injected-parameters"]}, execution_count=4),
        new_code_cell(
            "plot()",
            metadata={"execution": {"iopub.execute_input": "2026"}},
            execution_count=9,
            outputs=[
                new_output("stream", name="stdout", text="one\n"),
                new_output("stream", name="stdout", text="two\n"),
                plot,
                new_output("execute_result", {"text/plain": "5"}, execution_count=9),
            ],
        ),
    ]
    metadata = {
        "papermill": {"input_path": "x"},
        "widgets": {"application/vnd.jupyter.widget-state+json": {}},
        "language_info": {"name": "python", "version": "3.11.7"},
    }
    return new_notebook(cells=cells, metadata=metadata)


def test_normalising_keeps_content_and_drops_the_rest():
    clean = normalize(executed_notebook())
    nbformat.validate(clean)
    assert [cell.id for cell in clean.cells] == ["cell-01", "cell-02", "cell-03"]
    assert [cell.metadata for cell in clean.cells] == [{}, {"tags": ["parameters"]}, {}]
    assert [cell.execution_count for cell in clean.cells[1:]] == [1, 2]
    stream, plot, result = clean.cells[2].outputs
    assert stream.text == "one\ntwo\n"
    assert plot.metadata == {"image/png": {"alt": "A plot."}}
    assert result.execution_count == 2
    assert set(clean.metadata) == {"kernelspec", "language_info"}


def test_normalising_twice_changes_nothing(tmp_path):
    path = tmp_path / "n.ipynb"
    nbformat.write(executed_notebook(), path)
    assert normalize_file(path)
    assert not normalize_file(path)


def test_normalising_into_a_folder_leaves_the_original(tmp_path):
    path, into = tmp_path / "n.ipynb", tmp_path / "into"
    into.mkdir()
    nbformat.write(executed_notebook(), path)
    before = path.read_text()
    result = run_cli("normalize", path, "--into", into)
    assert result.exit_code == 0, result.output
    assert path.read_text() == before
    assert len(nbformat.read(into / "n.ipynb", 4).cells) == 3


def test_the_series_is_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert notebooks.find_notebooks(["01"])[0].name == "01_data.ipynb"
