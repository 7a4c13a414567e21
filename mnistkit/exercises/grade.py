"""Learners' notebooks graded: each executed, and after each exercise its check asked.

Prints of a notebook are not read, so that none counts. What a state rests on is the check
itself, asked for the answer by the grader after the learner's cell has run, over a channel of
its own; a notebook that redefines something of the checks gets an *error* in place of a state.

That is no wall. A notebook's code runs in the same process as its checks, with the rights of
whoever grades: who means to can deceive them, read and delete files, or use the network. Grade
where you would run any stranger's code.
"""

from __future__ import annotations

import ast
import csv
import json
import os
import queue
import re
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import joblib
import psutil

from mnistkit.errors import NotebookError, needs_package
from mnistkit.exercises import find
from mnistkit.exercises.exercise import EXERCISES, NOT_YET, OPEN, RIGHT
from mnistkit.exercises.sealed import ERROR, one_line
from mnistkit.notebooks.execute import FIRST_LOOK, KERNEL, find_notebooks, local_transport
from mnistkit.utils.storage import data_root, write_atomically

with needs_package("grading notebooks", "lab"):
    import nbformat
    from IPython.core.inputtransformer2 import TransformerManager
    from jupyter_client import KernelManager

STATES = (RIGHT, NOT_YET, OPEN, ERROR)
LIMIT = 600  # seconds for a notebook
# What exercises need beyond a first look: sixteen digits of each class, eight seeds; and fewer
# pictures for a slow network.
OWN = {"01": {"limit": 2000}, "02": {"seeds": 8}, "05": {"limit": 50}}
# As JupyterLab, Windows and Colab call a duplicate.
_DUPLICATE = r"^(?:Copy of|Kopie von|Copie de|Copia de) | ?- ?(?:Copy|Kopie|Copie|Copia) ?\d*$"
# Their answers may say what the learner saw on more digits than a first look has.
MEASURED = {"1.5", "2.2", "2.5", "3.3", "3.4", "3.6", "4.5", "5.5", "7.2", "7.4"}
_MORE_DIGITS = "; on more digits it may be right: --full"

_MENTIONED = re.compile(r"\bcheck\(\s*(?:number\s*=\s*)?[\"']?(\d\.\d)\b")
_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_IN_A_FUNCTION = "its check is called inside a function: call it in the cell itself"
_START = """
import sys
from mnistkit.exercises import sealed
sealed.seal()
sys.path.append("")  # last, so that no file beside the notebook takes the library's place
del sys, sealed
"""
# Nothing beside the notebook is imported in the library's place, and its cells do not come up
# in the history of whoever grades.
_OPTIONS = ["--InteractiveShellApp.ignore_cwd=True", "--HistoryManager.hist_file=:memory:"]
_JUDGE = '__import__("mnistkit.exercises.sealed", fromlist=["judge"]).judge'


class Grade(NamedTuple):
    """One row: whose exercise, its state (one of `STATES`), and what the check said."""

    learner: str
    notebook: str
    exercise: str
    state: str
    said: str


@dataclass(frozen=True)
class Submission:
    """A notebook handed in.

    number: "02", or empty if it is none of the series' or cannot be read; `failure` says why.
    cells: the sources of its code cells.
    """

    path: Path
    learner: str
    number: str
    cells: tuple[str, ...] = ()
    parameters: int = -1
    failure: str = ""

    @property
    def notebook(self) -> str:
        """The series' name of it, else the file's."""
        return _titles().get(self.number, self.path.stem)

    @property
    def exercises(self) -> list[str]:
        """The numbers of its exercises."""
        return [n for n in _numbers() if self.number and n[0] == self.number[-1]]


class _StoppedError(Exception):
    """A notebook cannot go on, for this reason."""


# --- who handed in what ---------------------------------------------------------------------


def find_submissions(paths: Sequence[Path]) -> list[Submission]:
    """Read notebooks, and those in folders; a file that cannot be read is one with a failure.

    The learner is what a file's name has beside the notebook's number and title (`02_ada`), and
    where that is nothing the folder's name (`ada/02_linear_vs_relu`). Where that would name two
    files of one notebook, it is the path, from the folder that holds all.
    Raises NotebookError if a folder holds no notebook.
    """
    files = sorted({file.resolve() for path in paths for file in _files(path)})
    found = [_read(file) for file in files]
    counts = Counter((s.learner, s.number or s.path.name) for s in found)
    doubled = {learner for (learner, _), count in counts.items() if count > 1}
    root = os.path.commonpath([file.parent for file in files])
    return [
        replace(s, learner=s.path.relative_to(root).with_suffix("").as_posix())
        if s.learner in doubled
        else s
        for s in found
    ]


def learner_of(path: Path) -> str:
    """Name the learner by the rule of `find_submissions`, for one file."""
    known = "|".join(re.escape(stem) for stem in _stems())
    stem = re.sub(_DUPLICATE, "", path.stem)
    rest = re.sub(rf"(?<![^\W_])(?:{known}|0?[1-7])(?![^\W_])", "", stem)
    return re.sub(r"^[\W_]+|[\W_]+$", "", rest) or path.resolve().parent.name


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = path.rglob("*.ipynb")
    inside = [file for file in found if not _is_hidden(file.relative_to(path))]
    if not inside:
        raise NotebookError(f"no notebook is in {path}", do="name the folder that holds them")
    return inside


def _is_hidden(path: Path) -> bool:
    """Whether it is no work of the learner's, such as JupyterLab's checkpoints."""
    return any(part.startswith(".") for part in path.parts)


def _read(path: Path) -> Submission:
    learner = learner_of(path)
    try:
        notebook = nbformat.read(path, as_version=4)
        texts = [cell.source for cell in notebook.cells if cell.cell_type != "code"]
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        cells = tuple(str(cell.source) for cell in code)
        tags = ["parameters" in cell.metadata.get("tags", []) for cell in code]
    except Exception:  # a damaged file can be so in as many ways as there are
        told = "cannot be read: it is damaged, or no notebook"
        return Submission(path, learner, "", failure=told)
    number = _number(path, texts, cells)
    failure = "" if number else "is no notebook of the series, or has no exercises"
    return Submission(
        path, learner, number, cells, tags.index(True) if True in tags else 0, failure
    )


def _number(path: Path, texts: Sequence[str], cells: Sequence[str]) -> str:
    """Tell by the exercises, else by the title, else by the file's name which notebook it is."""
    mentioned = Counter(n[0] for cell in cells for n in mentioned_in(cell) if n in _numbers())
    if mentioned:
        return f"0{mentioned.most_common(1)[0][0]}"
    titles = [found[1] for text in texts if (found := re.match(r"# (0\d) · ", text))]
    named = re.findall(r"(?<![^\W_])0[1-7](?![^\W_])", path.stem)
    number = (titles + named + [""])[0]
    return number if any(n[0] == number[-1:] for n in _numbers()) else ""


def _titles() -> dict[str, str]:
    return {path.stem[:2]: path.stem for path in find_notebooks()}


def _stems() -> list[str]:
    stems = list(_titles().values())
    return stems + [stem[3:] for stem in stems]


def _numbers() -> list[str]:
    find("1.1")  # registers all
    return sorted(EXERCISES)


# --- what its cells ask ---------------------------------------------------------------------


def checks_in(source: str) -> list[tuple[str, str | None]]:
    """Find the checks that a cell calls: (number, what it hands in, as code).

    None as code: the check is called inside a function, where the answer cannot be asked for.
    """
    try:
        tree = ast.parse(_plain(source))
    except (SyntaxError, ValueError):
        return []
    inside = {id(node) for function in ast.walk(tree) if isinstance(function, _FUNCTIONS)
              for node in ast.walk(function)}  # fmt: skip
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_check(node)]
    found = []
    for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        number, answers = _asked(call)
        if number in _numbers():
            found.append((number, None if id(call) in inside else answers))
    return found


def pieces_of(source: str) -> list[str]:
    """Cut a cell after each check, if it has several: each is asked about what is there then."""
    if len(checks_in(source)) < 2 or source.lstrip().startswith("%%"):
        return [source]
    plain = _plain(source)
    lines, pieces, start = plain.splitlines(keepends=True), [], 0
    for statement in ast.parse(plain).body:
        if checks_in(ast.unparse(statement)):
            pieces.append("".join(lines[start : statement.end_lineno]))
            start = statement.end_lineno
    return [*pieces, "".join(lines[start:])]


def _plain(source: str) -> str:
    """The cell as Python alone, without the line that says what to do with all of it."""
    plain = source.partition("\n")[2] if source.lstrip().startswith("%%") else source
    return TransformerManager().transform_cell(plain)


def _asked(call: ast.Call) -> tuple[str, str]:
    """The number of a check, and what it hands in, as code."""
    named = {word.arg: word.value for word in call.keywords}
    number = named.pop("number", None) or call.args[0]
    rest = call.args if "number" in {word.arg for word in call.keywords} else call.args[1:]
    return str(number.value), "".join(f"{ast.unparse(a)}, " for a in [*rest, *named.values()])


def mentioned_in(source: str) -> list[str]:
    """Find the numbers of the exercises that a cell is about, be it valid code or not."""
    return _MENTIONED.findall(source)


def _is_check(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    numbers = [*(word.value for word in call.keywords if word.arg == "number"), *call.args][:1]
    return name == "check" and any(isinstance(number, ast.Constant) for number in numbers)


def _parameters(submission: Submission, source: str, full: bool, folder: str) -> dict[str, object]:
    """The values to give, of those that the notebook has."""
    first = submission.cells[submission.parameters] if submission.cells else ""
    try:
        nodes = ast.walk(ast.parse(first))
    except (SyntaxError, ValueError):
        return {}
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    models = "" if full else Path(folder) / "models"
    values = {} if full else FIRST_LOOK | OWN.get(submission.number, {})
    values |= {"source": source, "save_figures": False, "output_dir": f"{folder}/own",
               "models_dir": str(models)}  # fmt: skip
    return {name: value for name, value in values.items() if name in names}


# --- one notebook ---------------------------------------------------------------------------


def grade_notebook(
    submission: Submission,
    *,
    source: str = "sample",
    full: bool = False,
    limit: float = LIMIT,
    threads: int = 1,
    stop: threading.Event | None = None,
) -> list[Grade]:
    """Execute a notebook in a process of its own; return a row for each of its exercises.

    Where several cells check one exercise, the last that is not open counts.
    full: with the notebook's own parameters; else as a first look, on few digits.
    limit: seconds; then the process is ended, and what was not yet checked is an error.
    threads: that it may compute with. stop: set it to end the process before.
    A notebook that is none of the series' is one row, an error.
    """
    whose = submission.learner, submission.notebook
    if submission.failure:
        return [Grade(*whose, "", ERROR, submission.failure)]
    found: dict[str, tuple[str, str]] = {}
    place = 0
    try:
        with tempfile.TemporaryDirectory(prefix="mnistkit-", ignore_cleanup_errors=True) as folder:
            values = _parameters(submission, source, full, folder)
            environment = _environment(threads)
            with _Kernel(submission.path.parent, environment, limit, stop) as kernel:
                if failure := kernel.run(_START):
                    raise _StoppedError(f"the checks cannot be loaded: {failure}")
                before = ""  # what failed before the exercises, and may be why they do
                for place, cell in enumerate(submission.cells, 1):
                    for number, (state, said) in _judged(kernel, cell):
                        if state == OPEN and found.get(number, (OPEN,))[0] != OPEN:
                            continue  # the template, left below an answer
                        if number:
                            found[number] = state, said + before * (state == ERROR)
                        else:
                            before = before or f"; before it code cell {place} failed: {said}"
                    if place - 1 == submission.parameters:
                        kernel.run("\n".join(f"{name} = {v!r}" for name, v in values.items()))
    except _StoppedError as stopped:
        rest = {n for cell in submission.cells for n in mentioned_in(cell)} - set(found)
        found |= dict.fromkeys(rest, (ERROR, f"{stopped}, at code cell {place}"))
    rows = {
        number: found.get(number, (OPEN, f'no cell calls `exercises.check("{number}", ...)`'))
        for number in submission.exercises
    }
    return [
        Grade(*whose, n, state, said + _MORE_DIGITS * _may_differ(n, state, full))
        for n, (state, said) in rows.items()
    ]


def _may_differ(number: str, state: str, full: bool) -> bool:
    return number in MEASURED and state == NOT_YET and not full


def _judged(kernel: _Kernel, cell: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Run a learner's cell; yield what its checks then say, by number.

    A cell that fails and checks nothing yields its error under the number "".
    """
    for piece in pieces_of(cell):
        error = kernel.run(piece)
        if error:
            yield from ((number, (ERROR, error)) for number in mentioned_in(piece) or [""])
            return
        for number, answers in checks_in(piece):
            missing = answers is None
            yield number, (ERROR, _IN_A_FUNCTION) if missing else kernel.judge(number, answers)


def _environment(threads: int) -> dict[str, str]:
    own = {"MNISTKIT_DATA": str(data_root().resolve()), "TQDM_DISABLE": "1",
           "OMP_NUM_THREADS": str(threads)}  # fmt: skip
    return {**os.environ, **own}


class _Kernel:
    """A process that runs cells until its time is over; its prints go nowhere.

    Only replies are read, on a channel that code in the process does not print to.
    """

    def __init__(
        self, cwd: Path, env: Mapping[str, str], limit: float, stop: threading.Event | None
    ) -> None:
        self._cwd, self._env, self._limit = cwd, env, limit
        self._stop = stop or threading.Event()

    def __enter__(self) -> _Kernel:
        """Start the process."""
        self._deadline = time.monotonic() + self._limit
        self._sockets = tempfile.TemporaryDirectory(prefix="mnistkit-", ignore_cleanup_errors=True)
        self._manager = KernelManager(
            kernel_name=KERNEL, config=local_transport(self._sockets.name)
        )
        self._manager.start_kernel(
            cwd=str(self._cwd), env=dict(self._env), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, extra_arguments=_OPTIONS,
        )  # fmt: skip
        self._client = self._manager.client()
        self._client.start_channels(iopub=False, stdin=False, hb=False, control=False)
        return self

    def __exit__(self, *error: object) -> None:
        """End the process, and those that it started."""
        self._client.shell_channel.stop()
        _end_children(self._manager.provisioner.pid)
        self._manager.shutdown_kernel(now=True)
        self._sockets.cleanup()

    def run(self, code: str) -> str:
        """Run code; return the error that it raised, or an empty string."""
        reply = self._ask(code, store_history=True)
        return _error_in(reply)

    def judge(self, number: str, answers: str) -> tuple[str, str]:
        """Ask the check of an exercise; return the state and what it says."""
        call = f"{_JUDGE}({number!r}, lambda: ({answers}))"
        reply = self._ask("", silent=True, user_expressions={"found": call})
        told = reply.get("user_expressions", {}).get("found", {})
        try:
            state, said = json.loads(ast.literal_eval(told["data"]["text/plain"]))
        except (KeyError, SyntaxError, TypeError, ValueError):
            return ERROR, _error_in(told) or "the check gave no answer"
        if state not in STATES:
            return ERROR, "the check gave no answer"
        return state, one_line(said)

    def _ask(self, code: str, **options: object) -> dict:
        asked = self._client.execute(code, allow_stdin=False, stop_on_error=False, **options)
        while True:
            with suppress(queue.Empty):
                reply = self._client.get_shell_msg(timeout=0.2)
                if reply["parent_header"].get("msg_id") == asked:
                    return reply["content"]
            if self._stop.is_set():
                raise _StoppedError("stopped by hand")
            if time.monotonic() > self._deadline:
                raise _StoppedError(f"stopped after {self._limit:g} s")
            if not self._manager.is_alive():
                raise _StoppedError("the notebook's process ended")


def _error_in(reply: Mapping) -> str:
    if reply.get("status") != "error":
        return ""
    return one_line(f"{reply.get('ename')}: {reply.get('evalue')}")


def _end_children(process: int) -> None:
    """Kill what a process started; its own group jupyter_client kills, which misses some."""
    with suppress(psutil.Error):
        for child in psutil.Process(process).children(recursive=True):
            with suppress(psutil.Error):
                child.kill()


# --- a class --------------------------------------------------------------------------------


@contextmanager
def grade_all(
    submissions: Sequence[Submission], *, jobs: int | None = None, **options: object
) -> Iterator[Iterator[tuple[Submission, list[Grade]]]]:
    """Grade side by side; give an iterator of each with its rows, as they end.

    jobs: how many at a time, None for one a core; they share the cores.
    options: as of `grade_notebook`. Leaving the block early ends the notebooks' processes.
    """
    stop = threading.Event()
    cores = joblib.cpu_count()
    jobs = min(jobs or cores, len(submissions))
    options |= {"stop": stop, "threads": max(1, cores // jobs)}
    pool = ThreadPoolExecutor(jobs)
    tasks = {pool.submit(grade_notebook, one, **options): one for one in submissions}
    try:
        yield ((tasks[task], _rows(task, tasks[task])) for task in as_completed(tasks))
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def _rows(task, submission: Submission) -> list[Grade]:
    try:
        return task.result()
    except Exception as error:  # one notebook that cannot be started costs no other
        said = one_line(f"could not be graded: {type(error).__name__}: {error}")
        return [Grade(submission.learner, submission.notebook, "", ERROR, said)]


# --- the table ------------------------------------------------------------------------------


def in_order(grades: Sequence[Grade]) -> list[Grade]:
    """Sort by learner, notebook, exercise."""
    return sorted(grades, key=lambda grade: (grade.learner.casefold(), *grade))


def count_states(grades: Sequence[Grade]) -> str:
    """Count in words: "3 right, 1 open"."""
    counts = Counter(grade.state for grade in grades)
    return ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])


def to_text(grades: Sequence[Grade], longest: int = 90) -> str:
    """Show grades as a table in plain text; what the checks said is shortened."""
    rows = [Grade._fields, *([one_line(value, longest) for value in row] for row in grades)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(Grade._fields) - 1)]
    return "\n".join(
        "  ".join([*map(str.ljust, row[:-1], widths), row[-1]]).rstrip() for row in rows
    )


def write_csv(path: Path, grades: Sequence[Grade]) -> None:
    """Write grades as CSV that spreadsheets read, too; no cell of it is taken for a formula."""
    with (
        write_atomically(path) as temporary,
        open(temporary, "w", encoding="utf-8-sig", newline="") as file,
    ):
        rows = csv.writer(file)
        rows.writerow(Grade._fields)
        rows.writerows([_no_formula(value) for value in row] for row in grades)


def _no_formula(value: str) -> str:
    return f"'{value}" if value[:1] in ("=", "+", "-", "@") else value
