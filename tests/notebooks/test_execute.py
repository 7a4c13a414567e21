"""Notebooks are found, and their parameters checked before they run."""

from __future__ import annotations

import re
import signal
from concurrent.futures import ThreadPoolExecutor

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mnistkit.errors import MnistkitError, NotebookError
from mnistkit.notebooks import execute as notebooks
from mnistkit.notebooks.execute import check_parameters, find_notebooks
from mnistkit.notebooks.normalize import normalize


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
        ("source", "sample", "sample"),
        ("output_dir", "1", "1"),
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


def test_the_series_is_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert notebooks.find_notebooks(["01"])[0].name == "01_data.ipynb"


def test_a_thread_may_execute_a_notebook_and_ctrl_c_stays_as_it_was(series):
    before = signal.getsignal(signal.SIGINT)
    with ThreadPoolExecutor(1) as pool:
        (path,) = find_notebooks(["01"])
        found = pool.submit(notebooks.execute, path, {}, series / "out", progress=False).result()
    assert found.failure == ""
    assert signal.getsignal(signal.SIGINT) is before


# --- ranges and figures ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("seeds", "0", "is 0, expected 1 or more"),
        ("seeds", "-3", "is -3, expected 1 or more"),
        ("limit", "9", "is 9, expected 10 or more"),
        ("batch_size", "0", "is 0, expected 1 or more"),
        ("learning_rate", "0", "is 0.0, expected a number above 0"),
        ("learning_rate", "-0.1", "expected a number above 0"),
        ("learning_rate", "1e999", "expected a number above 0"),
        ("source", "mnst", "unknown source 'mnst'; did you mean 'mnist'"),
        ("source", "uci", "uci has test digits only"),
    ],
)
def test_what_a_notebook_could_only_fail_with_is_refused_before_it_runs(name, value, told):
    (path,) = notebooks.find_notebooks(["02"])
    with pytest.raises(MnistkitError, match=re.escape(told)):
        check_parameters([path], {name: value})


def test_every_number_among_the_parameters_has_a_least_value():
    numbers = {
        name
        for path in notebooks.find_notebooks()
        for name, value in notebooks.parameter_defaults(path).items()
        if value is None or type(value) is int
    }
    assert numbers == set(notebooks.LEAST)
    assert all(notebooks.FIRST_LOOK[n] >= notebooks.LEAST[n]
               for n in notebooks.FIRST_LOOK)  # fmt: skip


CODE = "import math\n\n# how far it is around\nprint(2 * math.pi)  # of a circle"


def with_code(*sources: str, tags: tuple[str, ...] = ()) -> nbformat.NotebookNode:
    cells = [new_code_cell(source) for source in sources]
    cells[-1].metadata["tags"] = list(tags)
    return new_notebook(cells=[new_markdown_cell("Words."), *cells])


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        (with_code(CODE.replace("# how", "# say how")), True),
        (with_code(CODE.replace("\n\n", "\n")), True),
        (with_code(*CODE.split("\n\n")), True),
        (with_code(CODE, "seed = 5", tags=("injected-parameters",)), True),
        (with_code(CODE.replace("2 *", "3 *")), False),
        (with_code(CODE.replace("print", "    print")), False),
        (with_code(CODE, "seed = 5"), False),
        (with_code(CODE, "seed = 5", tags=("parameters",)), False),
    ],
)
def test_a_notebooks_code_has_a_digest_in_which_comments_do_not_count(changed, same):
    assert (notebooks.code_digest(changed) == notebooks.code_digest(with_code(CODE))) is same


def test_a_notebook_says_which_code_was_executed(series, tmp_path):
    (path,) = find_notebooks(["01"])
    done = notebooks.execute(path, {"seeds": 2}, tmp_path, progress=False)
    executed = normalize(nbformat.read(done.path, as_version=4))
    assert executed.metadata["mnistkit"] == {"executed": notebooks.code_digest(executed)}
    assert normalize(executed).metadata == executed.metadata
    assert notebooks.code_digest(executed) == notebooks.code_digest(nbformat.read(path, 4))
