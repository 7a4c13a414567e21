"""The notebook files: found, their parameters checked, executed, copied for a learner."""

from __future__ import annotations

import ast
import gc
import hashlib
import logging
import math
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from mnistkit.errors import NotebookError, needs_package, suggestion

with needs_package("executing notebooks", "lab"):
    import nbformat
    import papermill
    import psutil
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

from mnistkit.notebooks.memory import PeakMemory
from mnistkit.notebooks.records import Record, read_records
from mnistkit.utils.storage import series_root
from mnistkit.utils.validation import check_choice

KERNEL = "python3"
# The shortest run that shows all there is: each cell with something in it, and no number good.
FIRST_LOOK = {
    "limit": 200, "seeds": 2, "epochs": 1, "deep_epochs": 1, "cnn_epochs": 1,
    "grid_digits": 200, "grid_epochs": 1, "check_seeds": 1, "train_size": 200,
    "control_size": 100, "corrupted": 20, "mobilenet_digits": 10, "mobilenet_train": 40,
}  # fmt: skip
# The least that a parameter may be, in whichever notebook; below it a cell fails after a while.
LEAST = {
    "seed": 0, "seeds": 1, "check_seeds": 1, "epochs": 1, "deep_epochs": 1,
    "cnn_epochs": 1, "grid_epochs": 1, "batch_size": 1, "limit": 10, "grid_digits": 10,
    "train_size": 10, "control_size": 10, "corrupted": 1, "mobilenet_digits": 0,
    "mobilenet_train": 10,
}  # fmt: skip
MOST = dict.fromkeys(
    ("seeds", "check_seeds", "epochs", "deep_epochs", "cnn_epochs", "grid_epochs"), 1000
)
# A kernel is interrupted before it is asked to end, and if it was still at work complains of it.
_QUIET = "--IPKernelApp.log_level=CRITICAL"
CELL_LIMIT = 60  # minutes that a cell may take before it is taken to hang


@dataclass(frozen=True)
class Execution:
    """How one notebook's run ended: where it lies, how long it took, what it recorded.

    memory: bytes that its processes held at most.
    failure: empty, or one line that names the cell and the error.
    """

    name: str
    path: Path
    seconds: float
    failure: str = ""
    records: list[Record] = field(default_factory=list)
    memory: int = 0


def find_notebooks(names: Sequence[str] = ()) -> list[Path]:
    """Return the series' notebooks in order, or those named: "03", "3" or "03_mlp...".

    Raises NotebookError for a name that fits none, with the nearest right one.
    """
    folder = _folder()
    known = {path.stem: path for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))}
    if not names:
        return list(known.values())
    return sorted({known[_match(name, list(known))] for name in names})


def check_parameters(
    notebooks: Sequence[Path], values: Mapping[str, object]
) -> dict[Path, dict[str, object]]:
    """Give each notebook those parameters that it has, in the type that it expects.

    values: by name; text, as typed in a terminal, is read as the type of the default.

    Raises NotebookError, before anything runs, for a name that no notebook has (with the
    nearest right one), a value that cannot be read as that type, or one that is too small;
    UnknownNameError for a source that is none.
    """
    declared = {path: papermill.inspect_notebook(path) for path in notebooks}
    known = {name for found in declared.values() for name in found}
    for name in values:
        if name not in known:
            raise NotebookError(
                f"unknown parameter {name!r}{suggestion(name, known)}",
                where=", ".join(path.stem for path in notebooks),
                do=f"choose one of: {', '.join(sorted(known))}",
            )
    return {
        path: {n: _typed(n, v, found[n], path) for n, v in values.items() if n in found}
        for path, found in declared.items()
    }


def check_targets(notebooks: Sequence[Path], output_dir: Path) -> None:
    """Raise NotebookError where a run would replace a notebook that somebody has worked in.

    What a run has written, and a copy as it came, may be replaced.
    """
    for notebook in notebooks:
        path = output_dir / notebook.name
        if not path.exists():
            continue
        try:
            there = nbformat.read(path, as_version=4)
            stamp = there.metadata.get("mnistkit", {}).get("sources")
            own = sources_digest(there) in (
                stamp, sources_digest(nbformat.read(notebook, as_version=4))
            )  # fmt: skip
        except (ValueError, AttributeError, nbformat.ValidationError):
            own = False
        if not own:
            raise NotebookError(
                f"{path.name} was changed since it was executed: a run would replace it",
                where=output_dir,
                do="name another --output-dir, or move it",
            )


def first_look_parameters(notebooks: Sequence[Path]) -> dict[str, object]:
    """Return the values of `FIRST_LOOK` that some of the notebooks have."""
    known = {name for path in notebooks for name in parameter_defaults(path)}
    return {name: value for name, value in FIRST_LOOK.items() if name in known}


def parameter_defaults(notebook: Path) -> dict[str, object]:
    """Read the names and default values in a notebook's `parameters` cell."""
    inspected = papermill.inspect_notebook(notebook)
    return {name: ast.literal_eval(entry["default"]) for name, entry in inspected.items()}


def execute(
    notebook: Path,
    parameters: Mapping[str, object],
    output_dir: Path,
    *,
    progress: bool = True,
    cell_limit: float = CELL_LIMIT,
) -> Execution:
    """Execute a notebook with papermill into `output_dir`, with the project as its folder.

    Its own files go to a folder of its name there, saved figures to `figures/`. A failure is
    returned, not raised; the partly executed notebook is kept, beside that of an earlier call,
    as `NAME.unfinished.ipynb`. cell_limit: minutes for each cell; one that takes longer is a
    failure. Ctrl-C is raised, and leaves what was there before.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    path = output_dir / notebook.name
    unfinished = path.with_suffix(".unfinished.ipynb")
    unfinished.unlink(missing_ok=True)
    parameters = dict(parameters)
    if "output_dir" in parameter_defaults(notebook):
        parameters.setdefault("output_dir", str(output_dir / notebook.stem))
    started, failure = time.perf_counter(), ""
    try:
        with (
            _in_silence_after_ctrl_c(),
            _figures_go_to(output_dir / "figures"),
            tempfile.TemporaryDirectory(prefix="mnistkit-") as sockets,
            PeakMemory() as peak,
        ):
            papermill.execute_notebook(
                notebook,
                unfinished,
                parameters,
                kernel_name=KERNEL,
                progress_bar=progress,
                cwd=_folder().parent,
                config=local_transport(sockets),
                execution_timeout=round(60 * cell_limit),
                extra_arguments=[_QUIET],
            )
    except PapermillExecutionError as error:
        failure = f"cell In [{error.exec_count}]: {error.ename}: {error.evalue}"
    except CellTimeoutError:
        failure = f"a cell took more than {cell_limit:g} minutes; --cell-limit allows more"
    except DeadKernelError:
        failure = "its kernel died, perhaps for want of memory"
    except KeyboardInterrupt:
        unfinished.unlink(missing_ok=True)
        raise
    except Exception as error:  # a kernel can die in as many ways as there are
        failure = f"{type(error).__name__}: {error}"
    if failure:
        path = unfinished
    else:
        _stamp(unfinished)
        unfinished.replace(path)
    seconds, records = time.perf_counter() - started, [] if failure else read_records(path)
    return Execution(notebook.stem, path, seconds, failure, records, peak.bytes)


def code_digest(notebook: nbformat.NotebookNode) -> str:
    """Twelve hexadecimal digits that change with the code of a notebook.

    Lines of comments do not count, nor parameters that papermill put in. `execute` writes them
    into the metadata, as `mnistkit.executed`: they tell whether outputs are of the code above.
    """
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"
               and "injected-parameters" not in cell.metadata.get("tags", [])]  # fmt: skip
    lines = [line.rstrip() for source in sources for line in source.splitlines()]
    code = "\n".join(line for line in lines if line and not line.lstrip().startswith("#"))
    return hashlib.sha256(code.encode()).hexdigest()[:12]


def sources_digest(notebook: nbformat.NotebookNode) -> str:
    """Changes with whatever anybody writes into a cell, or with a cell more."""
    sources = [cell.source for cell in notebook.cells
               if "injected-parameters" not in cell.metadata.get("tags", [])]  # fmt: skip
    return hashlib.sha256(repr(sources).encode()).hexdigest()[:12]


def _stamp(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    digests = {"executed": code_digest(notebook), "sources": sources_digest(notebook)}
    notebook.metadata["mnistkit"] = digests
    nbformat.write(notebook, path)


@contextmanager
def _figures_go_to(folder: Path) -> Iterator[None]:
    """Let the kernels that are started here save figures there; see `show_figure`."""
    before = os.environ.get("MNISTKIT_FIGURES")
    os.environ["MNISTKIT_FIGURES"] = str(folder)
    try:
        yield
    finally:
        del os.environ["MNISTKIT_FIGURES"]
        if before is not None:
            os.environ["MNISTKIT_FIGURES"] = before


@contextmanager
def _in_silence_after_ctrl_c() -> Iterator[None]:
    """Ctrl-C ends the block, and all processes that it started, without a word of theirs."""
    older = set(psutil.Process().children(recursive=True))

    def stop(*_: object) -> None:
        logging.disable(logging.CRITICAL)  # what asyncio has to say of a kernel that is gone
        for process in set(psutil.Process().children(recursive=True)) - older:
            with suppress(psutil.NoSuchProcess):
                process.kill()  # asked to end, a kernel would complain of what it had to leave
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    mine = before is signal.default_int_handler  # leave another, and another thread, alone
    mine = mine and threading.current_thread() is threading.main_thread()
    if mine:
        signal.signal(signal.SIGINT, stop)
    try:
        yield
    except KeyboardInterrupt:
        gc.collect()  # of tasks that nobody asked, each of which would complain
        raise
    finally:
        logging.disable(logging.NOTSET)
        if mine:
            signal.signal(signal.SIGINT, before)


def local_transport(folder: str) -> Config:
    """Talk to the kernel through sockets in `folder`, which nobody else can reach."""
    if os.name == "nt":
        return Config()
    return Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/k"}})


def copy_to_work() -> Path:
    """Copy notebooks and glossary to work/ in the project; what is there already stays.

    A learner's answers belong into copies: delete one, and it is made anew. Returns work/.
    """
    source = _folder()
    work = source.parent / "work"
    work.mkdir(exist_ok=True)
    for path in [*source.glob("*.ipynb"), source / "GLOSSARY.md"]:
        if not (work / path.name).exists():
            shutil.copyfile(path, work / path.name)
    return work


def _folder() -> Path:
    if root := series_root():
        return root / "notebooks"
    raise NotebookError(
        "the series' notebooks are not here",
        where=os.getcwd(),
        do="change to the folder of the project, the one that holds notebooks/",
    )


def _match(name: str, stems: Sequence[str]) -> str:
    wanted = Path(name).name.removesuffix(".ipynb")
    for stem in stems:
        number, _, title = stem.partition("_")
        if wanted in (stem, number, title, number.lstrip("0")):
            return stem
    raise NotebookError(
        f"unknown notebook {name!r}{suggestion(wanted, stems)}",
        do=f"choose one of: {', '.join(stems)}",
    )


def _typed(name: str, value: object, declared: Mapping, notebook: Path) -> object:
    """Read a value as the type of its default; None where the comment says "None for"."""
    default = ast.literal_eval(declared["default"])
    optional = default is None or "None for" in declared["help"]
    typed_in = isinstance(value, str) and not isinstance(default, str)
    read = _literal(value) if typed_in else value
    if type(default) is float and type(read) is int:
        read = float(read)
    expected = int if default is None else type(default)
    if type(read) is not expected and not (optional and read is None):
        also = " or None" if optional else ""
        raise NotebookError(
            f"parameter {name!r} is {value!r}, expected {expected.__name__}{also}, "
            f"like {default!r}",
            where=notebook.name,
        )
    _check_range(name, read, notebook)
    return read


def _check_range(name: str, value: object, notebook: Path) -> None:
    """Refuse a value that the notebook could only fail with."""
    least = LEAST.get(name)
    if least is not None and value is not None and value < least:
        raise NotebookError(
            f"parameter {name!r} is {value}, expected {least} or more", where=notebook.name
        )
    if name in MOST and value > MOST[name]:
        raise NotebookError(
            f"parameter {name!r} is {value}, expected {MOST[name]} or less", where=notebook.name
        )
    if name == "learning_rate" and not 0 < value < math.inf:
        raise NotebookError(
            f"parameter {name!r} is {value}, expected a number above 0", where=notebook.name
        )
    if name == "source":
        from mnistkit.data import OTHERS, SOURCES  # imports torch

        check_choice(name, value, ("auto", *SOURCES, *OTHERS))
        if value == "uci":
            raise NotebookError(
                "uci has test digits only, and the notebook trains on its source",
                where=notebook.name, do="choose mnist, qmnist or sample",
            )  # fmt: skip


def _literal(text: str) -> object:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
