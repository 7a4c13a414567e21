"""Each command says what it did, refuses in a sentence, and ends with a code that tells."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from mnistkit import cli
from mnistkit.cli import main
from mnistkit.handwriting.photographs import draw_mask, on_paper
from mnistkit.handwriting.strokes import draw_strokes
from mnistkit.notebooks.execute import check_targets
from mnistkit.study import report as scoreboard
from mnistkit.study.claims import CLAIMS
from mnistkit.study.table import TABLE, read_table, write_table
from tests.notebooks.series import executed_notebook, stub_reveal, write_notebook
from tests.study.lacking import without

ROOT = Path(__file__).resolve().parents[1]


def run_cli(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


# --- run -----------------------------------------------------------------------------------


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
    assert (series / "out" / "02_fails.unfinished.ipynb").exists(), "as far as it came"


def test_a_notebook_that_was_executed_stays_when_its_next_run_fails(series):
    fine = series / "notebooks" / "03_sometimes.ipynb"
    write_notebook(fine, "print('fine')")
    assert run_cli("run", "03", "--output-dir", series / "out").exit_code == 0
    before = (series / "out" / "03_sometimes.ipynb").read_bytes()
    write_notebook(fine, "1 / 0")
    assert run_cli("run", "03", "--output-dir", series / "out").exit_code == 1
    assert (series / "out" / "03_sometimes.ipynb").read_bytes() == before
    failed = series / "out" / "03_sometimes.unfinished.ipynb"
    for command in (["normalize", failed], ["normalize", "--into", series, failed]):
        result = run_cli(*command)
        assert result.exit_code == 2
        assert "was not executed to its end" in result.output
    shown = nbformat.read(failed, 4)
    (series / "half").mkdir()
    nbformat.write(shown, series / "half" / "03_sometimes.ipynb")
    for command in ("book", "slides"):
        result = run_cli(command, "--from", series / "half", "--output-dir", series / command)
        assert result.exit_code == 2
        assert "was not executed to its end" in result.output


def test_a_notebook_that_somebody_worked_in_is_not_replaced(series):
    out, notebooks = series / "out", [series / "notebooks" / "01_data.ipynb"]
    run = ["run", "01", "--output-dir", out]
    assert run_cli(*run).exit_code == 0
    write_notebook(notebooks[0], "print('a later version')")
    check_targets(notebooks, out)  # a run of an earlier version may be replaced
    shutil.copyfile(notebooks[0], out / "01_data.ipynb")
    check_targets(notebooks, out)  # and a copy as it came
    worked_in = nbformat.read(out / "01_data.ipynb", 4)
    worked_in.cells.append(nbformat.v4.new_markdown_cell("my answer"))
    for content in (nbformat.writes(worked_in), "no notebook", "{}"):
        (out / "01_data.ipynb").write_text(content, encoding="utf-8")
        result = run_cli(*run)
        assert result.exit_code == 2
        assert "01_data.ipynb was changed since it was executed" in result.output
        assert (out / "01_data.ipynb").read_text(encoding="utf-8") == content


def test_a_parameter_that_is_given_twice_is_refused(series):
    result = run_cli("run", "01", "-p", "rate", "0.1", "-p", "rate", "0.2", "--output-dir", series)
    assert result.exit_code == 2
    assert "parameter 'rate' is given twice" in result.output


def test_what_somebody_else_wrote_is_not_replaced(tmp_path, plan):
    learner = one_notebook(tmp_path / "executed") / "01_data.ipynb"
    (tmp_path / "notes.csv").write_text("mine")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("mine")
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "runs.csv").write_text("mine")
    executed = ["--from", learner.parent, "--output-dir", tmp_path / "site"]
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for command, name in (
        (["grade", learner, "--csv", learner], learner.name),
        (["grade", learner, "--csv", tmp_path / "notes.csv"], "notes.csv"),
        (["book", *executed], "index.html"),
        (["sweep", plan, "--folder", tmp_path / "sweeps"], "runs.csv"),
    ):
        result = run_cli(*command)
        assert result.exit_code == 2, result.output
        assert f"{name} is there already, and was not written by this command" in result.output
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_no_page_of_somebody_elses_is_replaced(tmp_path):
    executed = one_notebook(tmp_path / "executed")
    reveal = stub_reveal(tmp_path / "reveal")
    for command, names in (("book", ["01_data", "draw", "glossary"]), ("slides", ["01_data"])):
        for name in names:
            folder = tmp_path / command / name
            folder.mkdir(parents=True)
            (folder / f"{name}.html").write_text("mine")
            result = CliRunner(env={"MNISTKIT_REVEAL": str(reveal)}).invoke(
                main, [command, "--from", str(executed), "--output-dir", str(folder)]
            )
            assert result.exit_code == 2, result.output
            assert f"{name}.html is there already, and was not written by this" in result.output
            assert [path.name for path in folder.iterdir()] == [f"{name}.html"], "nothing begun"


def test_own_pages_are_replaced_by_those_of_a_later_run(tmp_path):
    """All slides of the series, of which some do not speak of the library; pages of the book do."""
    reveal = stub_reveal(tmp_path / "reveal")
    small = one_notebook(tmp_path / "executed")
    for command, source in (("slides", []), ("book", ["--from", str(small)])):
        for _ in range(2):
            result = CliRunner(env={"MNISTKIT_REVEAL": str(reveal)}).invoke(
                main, [command, *source, "--output-dir", str(tmp_path / command)]
            )
            assert result.exit_code == 0, result.output


def test_normalize_refuses_folders_and_names_that_would_meet(series, tmp_path):
    result = run_cli("normalize", series / "notebooks")
    assert result.exit_code == 2
    assert "is a directory" in result.output
    (tmp_path / "other").mkdir()
    one = series / "notebooks" / "01_data.ipynb"
    two = shutil.copy(one, tmp_path / "other")
    result = run_cli("normalize", "--into", tmp_path, one, two)
    assert result.exit_code == 2
    assert "two of these have one name" in result.output


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("import os; os._exit(1)", "FAILED 03_bad: its kernel died, perhaps for want of memory"),
        ("import time; time.sleep(60)", "a cell took more than 0.05 minutes; --cell-limit allows"),
    ],
)
def test_a_kernel_that_dies_or_hangs_is_named_and_the_others_still_run(series, cell, said):
    write_notebook(series / "notebooks" / "03_bad.ipynb", cell)
    write_notebook(series / "notebooks" / "04_fine.ipynb", "1 + 1")
    result = run_cli("run", "03", "04", "--cell-limit", "0.05", "--output-dir", series / "out")
    assert result.exit_code == 1
    assert said in result.output
    assert "04_fine ... done" in result.output
    assert (series / "out" / "03_bad.unfinished.ipynb").exists(), "as far as it came"


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


@pytest.fixture
def damaged_mnist(tmp_path, monkeypatch):
    """All four files of MNIST, and nothing in them."""
    folder = tmp_path / "data" / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (folder / f"{name}-ubyte").write_bytes(b"")
    monkeypatch.setenv("MNISTKIT_DATA", str(tmp_path / "data"))


@pytest.mark.usefixtures("damaged_mnist")
def test_source_that_cannot_be_had_is_refused(series):
    result = run_cli("run", "01", "--source", "mnist")
    assert result.exit_code == 2
    assert "train-images-idx3-ubyte is damaged: 0 bytes" in result.output


# --- lab, normalize, book ------------------------------------------------------------------


@pytest.fixture
def jupyterlab(tmp_path_factory, monkeypatch) -> Path:
    """Where a JupyterLab that opens nothing notes what it was started with."""
    folder = tmp_path_factory.mktemp("stub")
    (folder / "jupyterlab.py").write_text(
        "import json, pathlib, sys\n"
        "pathlib.Path(__file__).with_name('started').write_text(json.dumps(sys.argv[1:]))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    return folder / "started"


def test_lab_opens_copies_and_overwrites_no_answer(series, jupyterlab, monkeypatch):
    (series / "notebooks" / "GLOSSARY.md").write_text("as it comes")
    (series / "work").mkdir()
    (series / "work" / "01_data.ipynb").write_text("my answers")
    monkeypatch.chdir(series / "notebooks")
    assert run_cli("lab").exit_code == 0
    assert json.loads(jupyterlab.read_text()) == [str(series / "work")]
    found = {path.name: path.read_text() for path in (series / "work").iterdir()}
    assert found.pop("01_data.ipynb") == "my answers"
    come = {name: series / "notebooks" / name for name in ("02_fails.ipynb", "GLOSSARY.md")}
    assert found == {name: path.read_text() for name, path in come.items()}


def test_lab_outside_the_project_is_refused(tmp_path, jupyterlab, monkeypatch):
    """With a library that was installed, so that the notebooks are not beside it."""
    site, here = tmp_path / "site", tmp_path / "here"
    shutil.copytree(ROOT / "mnistkit", site / "mnistkit", ignore=shutil.ignore_patterns("*.pyc"))
    here.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
    command = [sys.executable, "-c", "from mnistkit.cli import main; main(['lab'])"]
    result = subprocess.run(command, cwd=here, capture_output=True, text=True)
    assert (result.returncode, jupyterlab.exists()) == (2, False)
    assert "the series' notebooks are not here" in result.stderr
    assert list(here.iterdir()) == []


def test_what_a_code_page_lacks_is_replaced_and_stops_nothing(tmp_path):
    code = (
        "from mnistkit.cli import main; import click; main.add_command(click.Command("
        "'say', callback=lambda: click.echo('\u2588 5'))); main(['say'])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "cp1252"},
    )  # fmt: skip
    assert result.stdout.splitlines() == [b"? 5"], result.stderr


def test_normalising_into_a_folder_leaves_the_original(tmp_path):
    path, into = tmp_path / "n.ipynb", tmp_path / "into"
    into.mkdir()
    nbformat.write(executed_notebook(), path)
    before = path.read_text()
    result = run_cli("normalize", path, "--into", into)
    assert result.exit_code == 0, result.output
    assert path.read_text() == before
    assert len(nbformat.read(into / "n.ipynb", 4).cells) == 3


def one_notebook(folder: Path) -> Path:
    """A folder with one notebook of the series, for commands that take all that are there."""
    folder.mkdir()
    shutil.copy(ROOT / "notebooks" / "01_data.ipynb", folder)
    return folder


def test_the_command_says_where_the_book_is_and_refuses_an_empty_folder(tmp_path):
    (tmp_path / "empty").mkdir()
    options = ["book", "--output-dir", tmp_path / "out"]
    result = run_cli(*options, "--from", tmp_path / "empty")
    assert result.exit_code == 2
    assert "no notebook is in" in result.output
    result = run_cli(*options, "--from", one_notebook(tmp_path / "executed"))
    assert result.exit_code == 0, result.output
    assert f"open {tmp_path / 'out' / 'index.html'}" in result.output
    index = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    for page in ("draw", "convolve"):
        assert (tmp_path / "out" / f"{page}.html").stat().st_size < 1_500_000
        assert f'<p><a href="{page}.html">' in index


def test_the_command_says_where_the_slides_are_and_what_is_no_reveal(tmp_path):
    stub_reveal(tmp_path / "reveal")
    executed = one_notebook(tmp_path / "executed")
    options = ["slides", "--output-dir", tmp_path / "out", "--from", executed, "--reveal"]
    result = run_cli(*options, tmp_path / "reveal")
    assert result.exit_code == 0, result.output
    assert f"open {tmp_path / 'out' / 'index.html'}" in result.output
    result = run_cli(*options, tmp_path / "reveal" / "dist")
    assert result.exit_code == 2
    assert "no folder of reveal.js" in result.output


# --- scoreboard ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published():
    return read_table()


@pytest.fixture
def table(tmp_path, monkeypatch) -> Path:
    """A table that comes with mnistkit in the place of its own."""
    path = tmp_path / "table.csv"
    monkeypatch.setattr("mnistkit.study.table.read_table", lambda: read_table(path))
    return path


def board(*options: object):
    return run_cli("scoreboard", *options)


def test_command_prints_every_claim_with_its_verdict(published):
    result = board()
    assert result.exit_code == 0, result.output
    for line in scoreboard.verdict_lines([c.id for c in CLAIMS], "mnist", published):
        assert line in result.output
    assert re.search(r"25 claims: \d+ \w+", result.output)
    others = result.output.partition("measured beside the claims")[2]
    assert re.search(r"FastCNN +99\.\d\d ± 0\.\d\d % \(n = 10\)", others)
    assert "    V2 " not in others.replace("V2 in", "")


def test_command_prints_markdown(published):
    assert scoreboard.to_markdown(published) in board("--markdown").output


def test_command_says_what_is_missing(published, table):
    write_table(without(published, "V2", 7), table)
    result = board()
    assert result.exit_code == 1
    assert "1 runs are missing, the first: V2, seed 7" in result.output
    assert re.search(r"C3 .*undecided\n    9 of 10 runs of V2 are there", result.output)


def test_command_refuses_a_changed_table(table):
    table.write_text(TABLE.read_text().replace(",0.91", ",0.93", 1))
    result = board()
    assert result.exit_code == 2
    assert re.search(r"line \d+ of table\.csv has been changed", result.output)


def test_command_refuses_a_folder_without_results(tmp_path):
    result = board("--runs", tmp_path)
    assert result.exit_code == 2
    assert "0 of the 33 runs" in result.output
    assert "mnistkit scoreboard --rerun" in result.output


def test_nothing_is_published_while_runs_are_missing(published, table):
    write_table(without(published, "V2", 7), table)
    before = TABLE.read_bytes()
    result = board("--publish")
    assert result.exit_code == 2
    assert "runs are missing" in result.output
    assert TABLE.read_bytes() == before


def test_rerun_measures_what_is_missing_then_reads(published, tmp_path, monkeypatch):
    asked = []

    def measure(folder, source):
        asked.append((folder, source))
        yield "V0, 20 seeds"

    monkeypatch.setattr("mnistkit.study.measure.measure", measure)
    monkeypatch.setattr("mnistkit.study.table.read_folder", lambda folder: published)
    result = board("--rerun", "--runs", tmp_path)
    assert asked == [(tmp_path, "mnist")]
    assert "V0, 20 seeds" in result.output
    assert result.exit_code == 0


@pytest.mark.usefixtures("damaged_mnist")
def test_rerun_refuses_digits_that_cannot_be_had(tmp_path):
    result = board("--rerun", "--runs", tmp_path / "runs")
    assert result.exit_code == 2
    assert "train-images-idx3-ubyte is damaged" in result.output
    assert not (tmp_path / "runs").exists()


def test_adding_and_measuring_everything_exclude_each_other():
    result = board("--rerun", "--add")
    assert result.exit_code == 2
    assert "--rerun measures everything, --add the rest" in result.output


@pytest.mark.parametrize("minutes", ["nan", "inf", "0", "-1"])
def test_a_time_without_end_is_refused(minutes):
    for command in (("run", "01", "--cell-limit"), ("grade", ".", "--limit")):
        result = run_cli(*command, minutes)
        assert result.exit_code == 2
        assert "Invalid value for" in result.output


@pytest.mark.parametrize("text", ["{", "{}", "Dear reader", '{"cells": 3, "nbformat": 4}'])
def test_what_is_no_notebook_is_named(text, tmp_path):
    (tmp_path / "02_broken.ipynb").write_text(text)
    for command in (("normalize", tmp_path / "02_broken.ipynb"), ("book", "--from", tmp_path)):
        result = run_cli(*command)
        assert result.exit_code == 2, result.output
        assert "02_broken.ipynb is no notebook that can be read" in result.output


def test_a_full_disk_behind_the_output_is_a_sentence(monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mnistkit.study.report.to_text", full)
    result = run_cli("scoreboard")
    assert result.exit_code == 2
    assert "there is no room left to write to" in result.output


# --- predict -------------------------------------------------------------------------------


def test_the_command_answers_with_bars_and_names_what_it_cannot_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNISTKIT_CACHE", str(tmp_path / "cache"))
    digit, blank = tmp_path / "digit.png", tmp_path / "blank.png"
    Image.fromarray(on_paper(draw_mask(0))).save(digit)
    Image.fromarray(on_paper(draw_mask(0) * 0)).save(blank)
    result = run_cli("predict", digit, blank, "--source", "sample", "--model", "FastCNN")
    assert result.exit_code == 1
    assert "FastCNN, trained on 4,000 digits of sample" in result.output
    assert re.search(rf"{digit}: \D*\d \(\d+\.\d%\)", result.output)
    assert len(re.findall(r"^  \d  █* +\d+\.\d%$", result.output, flags=re.M)) == 10
    assert "nothing is drawn on it" in result.output
    kept = sorted(path.suffix for path in (tmp_path / "cache" / "models").iterdir())
    assert kept == [".json", ".md", ".pt"]
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"digit.png", "blank.png", "cache"}, "nothing lies among the photos"


def test_answers_and_refusals_come_in_the_order_of_the_pictures(tmp_path):
    names = ["3.png", "blank.png", "7.png", "none.png"]
    for name in names[:3]:
        ink = draw_mask(int(name[0])) if name[0].isdigit() else draw_mask(0) * 0
        Image.fromarray(on_paper(ink)).save(tmp_path / name)
    result = run_cli("predict", *(tmp_path / name for name in names))
    assert result.exit_code == 1
    places = [result.output.index(f"{tmp_path / name}: ") for name in names]
    assert places == sorted(places)


def test_the_reader_answers_without_training_and_refuses_a_letter(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    digit, letter = tmp_path / "digit.png", tmp_path / "letter.png"
    Image.fromarray(on_paper(draw_mask(3))).save(digit)
    strokes = [[(300, 800), (500, 200), (700, 800)], [(380, 600), (620, 600)]]  # an A
    Image.fromarray(draw_strokes(strokes, side=300)).save(letter)
    result = run_cli("predict", digit)
    assert result.exit_code == 0, result.output
    assert re.search(rf"{digit}: 3 \(\d+\.\d%\)", result.output)
    result = run_cli("predict", digit, letter)
    assert result.exit_code == 1
    assert "letter.png: no digit that I know; nearest to a " in result.output
    assert not (tmp_path / "runs").exists()


def test_a_picture_may_come_from_the_standard_input(tmp_path):
    digit = tmp_path / "digit.png"
    Image.fromarray(on_paper(draw_mask(3))).save(digit)
    result = CliRunner().invoke(main, ["predict", "-", str(digit)], input=digit.read_bytes())
    assert result.exit_code == 0, result.output
    (first, second) = re.findall(r": (3 \(\d+\.\d%\))", result.output)
    assert first == second
    result = CliRunner().invoke(main, ["predict", "-"], input=b"no picture")
    assert result.exit_code == 1
    assert "what comes through - is no picture that can be read" in result.output


@pytest.mark.skipif(os.name == "nt", reason="no such pipes there")
def test_a_picture_may_come_through_a_pipe(tmp_path):
    digit, pipe = tmp_path / "digit.png", tmp_path / "pipe"
    Image.fromarray(on_paper(draw_mask(3))).save(digit)
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(digit.read_bytes()), daemon=True)
    writer.start()
    result = run_cli("predict", pipe)
    assert result.exit_code == 0, result.output
    assert f"{pipe}: 3 (" in result.output
    writer.join(10)


def test_nothing_is_trained_for_what_cannot_be_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for photo in ("none.png", "."):
        result = run_cli("predict", photo, "--source", "sample", "--model", "FastCNN")
        assert result.exit_code == 1
        assert "training" not in result.output
    assert f"{tmp_path.name} is a folder, expected a picture" in result.output
    assert list(tmp_path.iterdir()) == []


# --- sweep ---------------------------------------------------------------------------------


PLAN = """
base: {model: V0, epochs: 2}
grid:
  optimizer: [sgd, adam]
  learning_rate: [0.01, 0.001]
"""


@pytest.fixture
def plan(tmp_path) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN)
    return path


def sweep(plan: Path, *options: object):
    return run_cli("sweep", plan, "--source", "sample", *options)


def test_the_command_prints_means_and_importance_and_keeps_all_runs(plan, tmp_path):
    folder = tmp_path / "out"
    result = sweep(plan, "--seeds", "0-2", "--limit", "200", "--folder", folder)
    assert result.exit_code == 0, result.output
    assert "4 recipes x 3 seeds = 12 runs; 0 are in" in result.output
    assert "share of the variance" in result.output
    assert "optimizer x learning_rate" in result.output
    table = pd.read_csv(folder / "runs.csv")
    assert list(table)[:5] == ["name", "seed", "optimizer", "learning_rate", "validation_accuracy"]
    assert len(table) == 12
    again = sweep(plan, "--seeds", "0-3", "--limit", "200", "--folder", folder)
    assert "= 16 runs; 12 are in" in again.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seeds", "x"], "the seeds 'x' are no list of numbers"),
        (["--limit", "3"], "3 is not in the range x>=20"),
        (["--jobs", "0"], "jobs is 0, expected 1 or more"),
        (["--scheduler", "nowhere"], "'nowhere' is no address of a scheduler"),
        (["--folder", "/proc/nothing"], "cannot be written|nothing can be written"),
    ],
)
def test_the_command_refuses_before_anything_runs(options, message, plan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = sweep(plan, *options)
    assert result.exit_code == 2
    assert pd.Series([result.output]).str.contains(message).all(), result.output
    assert list(tmp_path.rglob("*.json")) == []


# --- in a terminal -------------------------------------------------------------------------


def test_each_command_stands_whole_in_the_help_of_80_columns():
    lines = run_cli("--help").output.partition("Commands:")[2].splitlines()[1:]
    assert len(lines) == len(main.commands)
    assert [line for line in lines if len(line) > 80 or not line.endswith(".")] == []
    assert [line for line in lines if line.endswith("...")] == []


@pytest.mark.parametrize("name", sorted(main.commands))
def test_help_fits_80_columns(name):
    said = CliRunner().invoke(main, [name, "--help"], terminal_width=80).output
    assert [line for line in said.splitlines() if len(line) > 80] == []


def test_the_scoreboard_is_broken_at_words_in_a_terminal_and_nowhere_else(monkeypatch):
    whole = scoreboard.to_text(read_table())
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((80, 24)))
    assert cli._fitted(whole) == whole
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    fitted = cli._fitted(whole, indent=19)
    assert any(line.startswith(" " * 19) for line in fitted.splitlines())
    assert max(map(len, fitted.splitlines())) <= 80
    assert fitted.split() == whole.split()


# What a script starts in the background is deaf to Ctrl-C, and so is all that it starts.
HEARING = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "


@pytest.mark.skipif(os.name == "nt", reason="sends the signal of Ctrl-C")
@pytest.mark.long
def test_ctrl_c_ends_a_run_in_one_line_and_leaves_no_half_notebook(series):
    endless = "open('begun', 'w').close()\nwhile True: pass"
    write_notebook(series / "notebooks" / "03_endless.ipynb", endless)
    running = subprocess.Popen(
        [sys.executable, "-c", f"{HEARING}from mnistkit.cli import main; main()",
         "run", "01", "03", "--output-dir", "out"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=series,
        start_new_session=True,
    )  # fmt: skip
    while not (series / "begun").exists():
        assert running.poll() is None, running.communicate()
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGINT)
    said, other = running.communicate(timeout=200)
    assert running.returncode == 130
    lines = [line for line in other.splitlines() if line.strip()]
    assert lines == [
        f"stopped in 03_endless, which is not kept; finished: out{os.sep}01_data.ipynb"
    ]
    assert "10.00 %" in said, "what was recorded before is printed"
    assert sorted(path.name for path in (series / "out").glob("*.ipynb")) == ["01_data.ipynb"]


@pytest.mark.skipif(os.name == "nt", reason="sends signals")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_any_other_command_in_one_line(monkeypatch, sent):
    def stopped(*_, **__):
        signal.raise_signal(sent)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("signal.getsignal", lambda _: signal.SIG_DFL)
    monkeypatch.setattr("mnistkit.notebooks.book.write_book", stopped)
    try:
        result = run_cli("book")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert result.exit_code == 130
    assert result.output.endswith("\nstopped; `mnistkit book` did not finish\n")
