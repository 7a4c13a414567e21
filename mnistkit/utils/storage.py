"""Where files live, and how they are written: whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from platformdirs import user_cache_path

from mnistkit.errors import StorageError

UNFINISHED = "unfinished-"  # in the name of what is being written
# Windows refuses to rename a file, or to replace one, while a reader or a virus scanner has it
# open; most let go at once. Seconds between tries.
_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8) if os.name == "nt" else ()


def project_root() -> Path:
    """Folder of the series: the nearest one at or above the current folder that holds it.

    A notebook's working folder is `notebooks/` in JupyterLab and the caller's under
    papermill; both must find the same data and figures. Outside a checkout this is
    the current folder.
    """
    here = Path.cwd()
    return next(filter(holds_series, (here, *here.parents)), here)


def series_root() -> Path | None:
    """Folder of the series: the project's, or the one that this library lies in."""
    own = Path(__file__).resolve().parents[2]
    return next(filter(holds_series, (project_root(), own)), None)


def holds_series(folder: Path) -> bool:
    """Whether a folder is that of the series: its notebooks are there."""
    return (folder / "notebooks" / "01_data.ipynb").is_file()


def data_root(root: str | os.PathLike | None = None) -> Path:
    """The torchvision root: `root`, else `MNISTKIT_DATA`, else `data/` in the project.

    A relative path counts from the current folder where it exists there, else from
    the project, so that one setting serves JupyterLab and the command line alike. Without a
    project, and without a `data/` here, it is in the user's cache.
    """
    chosen = _at_home(root or os.environ.get("MNISTKIT_DATA") or "data")
    if chosen.is_absolute() or chosen.exists():
        return chosen
    homeless = chosen == Path("data") and not holds_series(project_root())
    return (cache_folder() if homeless else project_root()) / chosen


def cache_folder() -> Path:
    """The folder of this user's that keeps what can be had again: `MNISTKIT_CACHE`, or the usual.

    On Linux that is `~/.cache/mnistkit`. It need not be there yet.
    """
    chosen = os.environ.get("MNISTKIT_CACHE")
    return _at_home(chosen) if chosen else user_cache_path("mnistkit", appauthor=False)


def models_folder(path: str | os.PathLike = "") -> Path:
    """Create the folder for trained models: by default that of the user's cache.

    There they are found again from wherever mnistkit is asked. A relative path counts from the
    project. Raises StorageError if nothing can be written to it.
    """
    return output_folder(path or cache_folder() / "models")


def output_folder(path: str | os.PathLike) -> Path:
    """Create the folder a notebook writes to; a relative path counts from the project.

    Raises StorageError if it cannot be made, or nothing can be written to it.
    """
    folder = project_root() / _at_home(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StorageError(
            f"nothing can be written to {folder}: {error.strerror}", do="name another folder"
        ) from error
    return folder


def _at_home(path: str | os.PathLike) -> Path:
    """A folder with `~` written out; raises StorageError for a home of nobody."""
    found = at_home(path)
    if str(found).startswith("~"):
        raise StorageError(f"{path} begins with no user of this machine", do="write the folder out")
    return found


def at_home(path: str | os.PathLike) -> Path:
    """With `~` written out where it stands for a user; a file may begin with it as well."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


@contextmanager
def write_atomically(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path that takes the place of `path` when the block succeeds.

    If the block raises, or the process dies, `path` is left as it was. The temporary
    file lies in the same folder, so that the final rename cannot cross file systems. A link
    stays one, and its target is written; who may read a file stays as it was.
    Raises StorageError where the disk is full or the folder cannot be written to.
    """
    path, temporary = Path(path), None
    try:
        path = path.resolve() if path.is_symlink() else path
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f".{path.name}.{UNFINISHED}{secrets.token_hex(4)}"
        temporary.touch(exist_ok=False)  # not by mkstemp, whose files only their owner can read
        yield temporary
        _flush_to_disk(temporary)
        if path.exists():
            temporary.chmod(path.stat().st_mode)
        replace_file(temporary, path)
    except OSError as error:
        raise StorageError(
            f"{path.name} cannot be written: {error.strerror or error}",
            where=path.parent,
            do="make room there, or name another folder",
        ) from error
    finally:
        if temporary is not None:
            with suppress(PermissionError):  # open, on Windows: `remove_leftovers` takes it away
                temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a whole file atomically, in UTF-8, with line ends that are the same everywhere."""
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def check_own(path: str | os.PathLike, mark: str) -> None:
    """Raise StorageError where a file is about to be replaced that is somebody else's.

    mark: what is in every file of this kind that mnistkit writes.
    """
    path = Path(path)
    if path.exists() and mark.encode() not in path.read_bytes():
        raise StorageError(
            f"{path.name} is there already, and was not written by this command",
            where=path.parent,
            do="name another place, or move it",
        )


def replace_file(source: str | os.PathLike, target: str | os.PathLike) -> None:
    """Rename a file to `target`, which it replaces; on Windows, try for more than a second."""
    for pause in _PAUSES:
        with suppress(PermissionError):
            os.replace(source, target)
            return
        time.sleep(pause)
    os.replace(source, target)


def remove_leftovers(folder: str | os.PathLike) -> None:
    """Delete what processes that were killed had begun to write, once it is an hour old."""
    if not Path(folder).is_dir():
        return
    for path in Path(folder).glob(f".*.{UNFINISHED}*"):
        with suppress(OSError):  # somebody else may be at it
            if time.time() - path.stat().st_mtime > 3600:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def replace_between_marks(path: str | os.PathLike, name: str, text: str) -> bool:
    """Put text between `<!-- name -->` and `<!-- end of name -->`; return whether it is new.

    Raises ValueError if the file does not hold each mark once.
    """
    path = Path(path)
    marks = f"<!-- {name} -->", f"<!-- end of {name} -->"
    old = path.read_text(encoding="utf-8")
    if any(old.count(mark) != 1 for mark in marks):
        raise ValueError(f"{path.name} must hold {marks[0]} and {marks[1]} once each")
    before, rest = old.split(marks[0])
    new = f"{before}{marks[0]}\n\n{text}\n\n{marks[1]}{rest.split(marks[1])[1]}"
    if new == old:
        return False
    write_text(path, new)
    return True


def _flush_to_disk(path: Path) -> None:
    with path.open("rb+") as file:  # Windows flushes only what is open for writing
        os.fsync(file.fileno())
