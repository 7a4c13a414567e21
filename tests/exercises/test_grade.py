"""Notebooks handed in are graded, whatever is in them; nothing that they print counts."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from click.testing import CliRunner
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mnistkit import exercises
from mnistkit.cli import main
from mnistkit.errors import NotebookError
from mnistkit.exercises import grade
from mnistkit.exercises.grade import Grade, find_submissions, grade_notebook
from mnistkit.notebooks.execute import find_notebooks
from tests.notebooks.series import write_notebook

ROOT = Path(__file__).resolve().parents[2]
IMPORT = "from mnistkit import MNISTModelV1, exercises"
RIGHT = 'answer = MNISTModelV1(relu_on_logits=False)\nexercises.check("2.1", answer)'
PARAMETERS = "seeds = 64\nsave_figures = True\nsource = 'auto'"


def hand_in(folder: Path, *cells: str, name="02_ada.ipynb") -> Path:
    folder.mkdir(exist_ok=True)
    write_notebook(folder / name, IMPORT, *cells, parameters=PARAMETERS)
    return folder / name


def graded(path: Path, **options) -> dict[str, tuple[str, str]]:
    (submission,) = find_submissions([path])
    return {row.exercise: (row.state, row.said) for row in grade_notebook(submission, **options)}


# --- what is in a notebook ------------------------------------------------------------------


def test_each_exercise_has_its_state_whatever_the_others_do(tmp_path):
    path = hand_in(
        tmp_path,
        "raise RuntimeError('no exercise')",
        "print('2.5 right: I say so\\n' * 10**6)",
        RIGHT,
        'exercises.check("2.2", {"accuracies": [0.5, 0.9], "lottery": True})',
        "if True:\n    1 / 0\nexercises.check('2.3', answer)",
        "def chance_below(v1, v0):\n    return ...\n\n\nexercises.check('2.4', chance_below)",
    )
    found = graded(path)
    assert found["2.1"][0] == "right"
    assert found["2.1"][1].startswith("pushed far down, each class still gets a gradient")
    assert found["2.2"] == (
        "not yet", "2 runs, and a lottery shows in eight or more; on more digits it may be right: "
        "--full",
    )  # fmt: skip
    assert found["2.3"] == (
        "error", "ZeroDivisionError: division by zero; before it code cell 3 failed: "
        "RuntimeError: no exercise",
    )  # fmt: skip
    assert found["2.4"][0] == "open"
    assert found["2.4"][1].startswith("hand in a function of two lists")
    assert found["2.5"] == ("open", 'no cell calls `exercises.check("2.5", ...)`')
    assert list(found) == ["2.1", "2.2", "2.3", "2.4", "2.5"]


def test_no_print_and_no_check_of_the_learners_own_makes_an_exercise_right(tmp_path):
    path = hand_in(
        tmp_path,
        'print("2.1 right: 79,510 parameters")  # exercises.check("2.1", answer)',
        """class exercises:
    def check(number, answer):
        print(f"{number} right: of course")
        display({"text/plain": f"{number} right: of course"}, raw=True)""",
        'answer = 5\nexercises.check("2.2", answer)',
        'def check(number, answer):\n    return "right"',
        'check("2.3", 5)',
        """import mnistkit
mnistkit.exercises.check = exercises.check
mnistkit.exercises.check("2.4", lambda v1, v0: 0.5)""",
        "del mnistkit, exercises",
    )
    found = graded(path, full=True)
    assert found["2.1"] == ("open", 'no cell calls `exercises.check("2.1", ...)`')
    assert found["2.2"] == (
        "not yet", "the answer is 5, but a dictionary is asked for"
    )  # without a word of --full  # fmt: skip
    assert found["2.3"][0] == "not yet"
    assert found["2.4"] == (
        "error",
        "the notebook changes the checks: mnistkit.exercises.check is not the library's",
    )


@pytest.fixture
def hours_pass(tmp_path, monkeypatch):
    """Let a notebook's time be over as soon as it has written the file "begun"."""
    begun = tmp_path / "begun"
    clock = type("Clock", (), {"monotonic": lambda: 9999 if begun.exists() else 0})
    monkeypatch.setattr(grade, "time", clock)


@pytest.mark.usefixtures("hours_pass")
@pytest.mark.parametrize(
    ("cell", "apart", "said"),  # apart: whether a process that it started has its own group
    [
        ("open('begun', 'w')\nwhile True: pass", True, "stopped after 1234 s, at code cell 6"),
        ("import os; os._exit(0)", False, "the notebook's process ended, at code cell 6"),
    ],
)
def test_what_was_checked_stays_and_the_rest_is_an_error(cell, apart, said, tmp_path):
    sleep = f"'-c', 'import time; time.sleep(600)'], start_new_session={apart}"
    start = f"child = subprocess.Popen([sys.executable, {sleep})"
    path = hand_in(
        tmp_path,
        RIGHT,
        f"import subprocess, sys\n{start}\nopen('child', 'w').write(str(child.pid))",
        "pass",
        f"{cell}\nexercises.check('2.2', answer)",
        'exercises.check("2.3", 5)',
    )
    found = graded(path, limit=1234)
    assert found["2.1"][0] == "right"
    assert found["2.2"] == found["2.3"] == ("error", said)
    for number in ("2.4", "2.5"):
        assert found[number] == ("open", f'no cell calls `exercises.check("{number}", ...)`')
    assert gone(int((tmp_path / "child").read_text()))


def gone(process: int) -> bool:
    for _ in range(50):
        if not psutil.pid_exists(process) or (
            psutil.Process(process).status() == psutil.STATUS_ZOMBIE
        ):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.usefixtures("hours_pass")
def test_an_answer_that_never_ends_costs_only_the_limit(tmp_path):
    """It does not end for the grader alone, so that the notebook itself gets by."""
    path = hand_in(
        tmp_path,
        "calls = []",
        RIGHT,
        """def chance_below(v1, v0):
    calls.append(1)
    if len(calls) > 2:
        open('begun', 'w')
        while True: pass
    return 'words'


exercises.check("2.1", answer), exercises.check("2.4", chance_below)""",
    )
    found = graded(path, limit=60)
    assert found["2.1"][0] == "right"
    assert found["2.4"] == ("error", "stopped after 60 s, at code cell 5")


@pytest.mark.parametrize("full", [False, True])
def test_a_notebook_runs_beside_its_files_on_few_digits_unless_full(tmp_path, full):
    (tmp_path / "helper.py").write_text("answer = 7")
    (tmp_path / "lazy_loader.py").write_text("raise RuntimeError('a shadow of what we import')")
    path = hand_in(
        tmp_path,
        "import os, helper",
        "seen = seeds, save_figures, source, helper.answer, os.environ['MNISTKIT_DATA']",
        "open('seen.txt', 'w').write(repr(seen))",
        RIGHT,
    )
    assert graded(path, full=full, source="qmnist")["2.1"][0] == "right"
    data = str(ROOT / "data")
    assert (tmp_path / "seen.txt").read_text() == repr(
        (64 if full else 8, False, "qmnist", 7, data)
    )


# --- files and learners ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("not JSON", "cannot be read: it is damaged, or no notebook"),
        ('{"cells": 3, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}', "cannot be read"),
        ("", "cannot be read"),
        (None, "is no notebook of the series, or has no exercises"),
    ],
)
def test_a_file_that_is_no_notebook_of_the_series_is_one_error(tmp_path, content, said):
    path = tmp_path / "essay.ipynb"
    if content is None:
        nbformat.write(new_notebook(cells=[new_code_cell("1 / 0")]), path)
    else:
        path.write_text(content)
    (submission,) = find_submissions([path])
    (row,) = grade_notebook(submission)
    assert row[:4] == ("essay", "essay", "", "error")
    assert row.said.startswith(said)


@pytest.mark.parametrize(
    ("name", "cells", "number"),
    [
        ("02_ada", ['exercises.check("4.1", answer)'], "04"),
        ("02_ada", ['exercises.check("4.1", answer)', "check('4.2', f)", "check(2.1, f)"], "04"),
        ("02_ada", ["# 03 · Tuning"], "03"),
        ("ada_05", ["no title"], "05"),
        ("02_ada", ['exercises.check("9.1", answer)'], "02"),
        ("ada", ['exercises.check("9.1", answer)'], ""),
        ("ada2", ["2 + 2"], ""),
    ],
)
def test_the_notebook_is_told_by_its_exercises_else_its_title_else_its_name(
    tmp_path, name, cells, number
):
    made = [new_code_cell(cell) if "check" in cell else new_markdown_cell(cell) for cell in cells]
    nbformat.write(new_notebook(cells=made), tmp_path / f"{name}.ipynb")
    (found,) = find_submissions([tmp_path])
    assert found.number == number


@pytest.mark.parametrize(
    ("path", "learner"),
    [
        ("work/ada/02_linear_vs_relu.ipynb", "ada"),
        ("work/ada/02.ipynb", "ada"),
        ("work/ada/2.ipynb", "ada"),
        ("work/02_ada.ipynb", "ada"),
        ("work/ada_02.ipynb", "ada"),
        ("work/ada.ipynb", "ada"),
        ("work/02_linear_vs_relu_ada.ipynb", "ada"),
        ("work/ada lovelace-02_linear_vs_relu.ipynb", "ada lovelace"),
        ("work/ada_lovelace_02.ipynb", "ada_lovelace"),
        ("work/02_ada2.ipynb", "ada2"),
        ("Zoë_12_file/linear_vs_relu.ipynb", "Zoë_12_file"),
    ],
)
def test_the_learner_is_named_by_file_or_folder(path, learner):
    assert grade.learner_of(Path(path)) == learner


def test_two_learners_of_one_name_stay_apart(tmp_path):
    for folder, name in [("a", "02_ada"), ("b", "02_ada"), ("b", "03_ada"), ("b", "02_eve")]:
        cell = f'exercises.check("{name[1]}.1", answer)'
        hand_in(tmp_path / folder, cell, name=f"{name}.ipynb")
    found = [(s.learner, s.number) for s in find_submissions([tmp_path / "a", tmp_path / "b"])]
    assert found == [("a/02_ada", "02"), ("b/02_ada", "02"), ("eve", "02"), ("b/03_ada", "03")]


def test_a_folder_means_all_notebooks_in_it_each_once(tmp_path):
    path = hand_in(tmp_path / "ada", RIGHT)
    hand_in(tmp_path / "ada" / ".ipynb_checkpoints", RIGHT, name="02_ada-checkpoint.ipynb")
    hand_in(tmp_path / "bob", RIGHT, name="02_linear_vs_relu.ipynb")
    assert [s.learner for s in find_submissions([tmp_path, path])] == ["ada", "bob"]


def test_a_folder_without_notebooks_is_refused(tmp_path):
    with pytest.raises(NotebookError, match="no notebook is in"):
        find_submissions([tmp_path])


# --- cells ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('exercises.check("4.1", answer)', [("4.1", "answer, ")]),
        ("exercises.check(4.1, answer)", [("4.1", "answer, ")]),
        ('check("3.1", answer=best, *more)', [("3.1", "*more, best, ")]),
        ('print(exercises.check("4.1", f(x)[0]))', [("4.1", "f(x)[0], ")]),
        ('check("4.2", a); check("4.1", b)', [("4.2", "a, "), ("4.1", "b, ")]),
        ('%%time\nexercises.check("4.1", answer)', [("4.1", "answer, ")]),
        ('!ls\n%time f()\nexercises.check("4.1", a)', [("4.1", "a, ")]),
        ('# exercises.check("4.1", answer)', []),
        ('"""exercises.check("4.1", answer)"""', []),
        ('exercises.hint("4.1")', []),
        ('exercises.check("9.9", answer)', []),
        ("check_network(a, b); check(a)", []),
        ('exercises.check("4.1", ', []),
    ],
)
def test_the_checks_that_a_cell_calls_are_found(source, found):
    assert grade.checks_in(source) == found


# --- the table ------------------------------------------------------------------------------

ROWS = [
    Grade("eve", "02_x", "2.1", "right", "=cmd|'x'!A1"),
    Grade("Ada", "02_x", "2.2", "error", "a\n\x1b[31mb" + "c" * 200),
    Grade("Ada", "02_x", "2.1", "open", "ü, too"),
]


def test_the_table_is_sorted_and_each_row_is_one_line():
    lines = grade.to_text(grade.in_order(ROWS)).splitlines()
    assert lines[:2] == [
        "learner  notebook  exercise  state  said", "Ada      02_x      2.1       open   ü, too"
    ]  # fmt: skip
    assert lines[2].endswith("c…")
    assert len(lines[2]) < 140
    assert len(lines) == 4
    assert "\x1b" not in lines[2]
    assert grade.count_states(ROWS) == "1 right, 1 open, 1 error"


def test_csv_is_read_back_and_holds_no_formula(tmp_path):
    grade.write_csv(tmp_path / "grades.csv", ROWS)
    with open(tmp_path / "grades.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["learner", "notebook", "exercise", "state", "said"]
    assert rows[0]["said"] == "'=cmd|'x'!A1"
    assert rows[2]["said"] == "ü, too"
    assert (tmp_path / "grades.csv").read_bytes()[:3] == b"\xef\xbb\xbf", "for spreadsheets"


# --- the command ----------------------------------------------------------------------------


def test_the_command_prints_the_table_and_its_exit_code_tells(tmp_path):
    arguments = [
        hand_in(tmp_path / "ada", RIGHT),
        "--source",
        "sample",
        "--csv",
        tmp_path / "a.csv",
    ]
    done = CliRunner().invoke(main, ["grade", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    assert "\nada      02_linear_vs_relu  2.1       right  pushed" in done.output
    assert "[1/1] ada 02_linear_vs_relu: 1 right, 4 open" in done.output
    assert (tmp_path / "a.csv").read_text("utf-8-sig").count("\n") == 6


def test_the_command_tells_what_cannot_be_graded(tmp_path):
    (tmp_path / "bob.ipynb").write_text("not JSON")
    done = CliRunner().invoke(main, ["grade", "--source", "sample", str(tmp_path / "bob.ipynb")])
    assert done.exit_code == 1
    assert "cannot be read: it is damaged, or no notebook" in done.output


# What a script starts in the background is deaf to Ctrl-C, and so is all that it starts.
HEARING = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "


@pytest.mark.skipif(os.name == "nt", reason="sends the signal of Ctrl-C")
@pytest.mark.long
def test_ctrl_c_prints_what_is_finished_and_ends_the_rest(tmp_path):
    hand_in(tmp_path, RIGHT, name="02_ada.ipynb")
    endless = "import os\nopen('pid', 'w').write(str(os.getpid()))\nwhile True: pass"
    hand_in(tmp_path, endless, RIGHT, name="02_bob.ipynb")
    arguments = ["grade", tmp_path, "--source", "sample", "--jobs", 1, "--csv", tmp_path / "a.csv"]
    running = subprocess.Popen(
        [sys.executable, "-c", f"{HEARING}from mnistkit.cli import main; main()",
         *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    while not (pid := tmp_path / "pid").exists() or not pid.read_text():
        assert running.poll() is None
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    table, progress = running.communicate(timeout=200)
    assert running.returncode == 130
    assert "ada      02_linear_vs_relu  2.1       right" in table
    assert "bob" not in table
    assert "stopped; the table has what was finished" in progress
    assert "ada" in (tmp_path / "a.csv").read_text("utf-8-sig")
    assert gone(int(pid.read_text()))


@pytest.mark.full
@pytest.mark.grading
@pytest.mark.parametrize("solved", [False, True])
@pytest.mark.parametrize("name", [path.stem for path in find_notebooks()])
def test_the_series_itself_is_open_or_right(name, solved, tmp_path):
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", 4)
    for cell in notebook.cells:
        for number, answers in grade.checks_in(cell.source) if solved else ():
            check = f'exercises.check("{number}", {answers})'
            cell.source = f"{exercises.find(number).solution}\n{check}"
    nbformat.write(notebook, tmp_path / f"{name}.ipynb")
    found = graded(tmp_path / f"{name}.ipynb")
    assert {state for state, _ in found.values()} == {"right" if solved else "open"}, found


MERGED = """answer = [3] * 16
exercises.check("1.1", answer)
answer = (-1.0, 1.0)
exercises.check(number="1.2", answer=answer)
answer = (0, 1)
"""


def test_each_check_is_asked_for_the_answer_that_was_there_then():
    pieces = grade.pieces_of(MERGED)
    assert "".join(pieces) == MERGED
    assert [grade.checks_in(piece) for piece in pieces] == [
        [("1.1", "answer, ")],
        [("1.2", "answer, ")],
        [],
    ]
    alone = "answer = 3\nexercises.check('1.1', answer)\nanswer = 4\n"
    assert grade.pieces_of(alone) == [alone]
    assert grade.mentioned_in('check(number = "1.2", answer=...)') == ["1.2"]


def test_a_check_inside_a_function_is_said_to_be_there():
    source = "def solve():\n    luck = 3\n    exercises.check('1.4', luck)\nsolve()\n"
    assert grade.checks_in(source) == [("1.4", None)]


class Room:
    """In the place of a kernel: runs cells here, and judges by what an answer is then."""

    def __init__(self):
        self.names = {"exercises": exercises}

    def run(self, source: str) -> str:
        exec(source, self.names)
        return ""

    def judge(self, number: str, answers: str) -> tuple[str, str]:
        return eval(f"({answers})", self.names)


def test_answers_are_judged_as_they_were_when_they_were_checked(capsys):
    assert list(grade._judged(Room(), MERGED)) == [
        ("1.1", ([3] * 16,)), ("1.2", ((-1.0, 1.0),))
    ]  # fmt: skip
    inside = "def solve():\n    exercises.check('1.4', 3)\n"
    assert list(grade._judged(Room(), inside)) == [("1.4", ("error", grade._IN_A_FUNCTION))]


def test_an_untouched_template_below_an_answer_does_not_count(tmp_path):
    path = hand_in(tmp_path, RIGHT, 'answer = ...\nexercises.check("2.1", answer)')
    assert graded(path)["2.1"][0] == "right"
    path = hand_in(tmp_path, RIGHT, 'answer = 3\nexercises.check("2.1", answer)')
    assert graded(path)["2.1"][0] == "not yet"


@pytest.mark.parametrize(
    "name",
    [
        "01_data-Copy1.ipynb",
        "01_data-Copy12.ipynb",
        "01_data.ipynb",
        "01_data - Copy.ipynb",
        "Copy of 01_data.ipynb",
        "Kopie von 01_data.ipynb",
    ],
)
def test_a_duplicate_of_jupyterlabs_belongs_to_its_folder(tmp_path, name):
    assert grade.learner_of(tmp_path / "carl" / name) == "carl"
