"""Where files live, and how they are written: whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def project_root() -> Path:
    """Folder of the series: the nearest one at or above the current folder that holds it.

    A notebook's working folder is `notebooks/` in JupyterLab and the caller's under
    papermill; both must find the same data and figures. Outside a checkout this is
    the current folder.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "notebooks" / "01_data.ipynb").is_file():
            return folder
    return here


def data_root(root: str | os.PathLike | None = None) -> Path:
    """The torchvision root: `root`, else `MNISTKIT_DATA`, else `data/` in the project.

    A relative path counts from the current folder where it exists there, else from
    the project, so that one setting serves JupyterLab and the command line alike.
    """
    chosen = Path(root or os.environ.get("MNISTKIT_DATA") or "data").expanduser()
    if not chosen.is_absolute() and not chosen.exists():
        return project_root() / chosen
    return chosen


def output_folder(path: str | os.PathLike) -> Path:
    """Create the folder a notebook writes to; a relative path counts from the project."""
    folder = project_root() / Path(path).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def write_atomically(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path that takes the place of `path` when the block succeeds.

    If the block raises, or the process dies, `path` is left as it was. The temporary
    file lies in the same folder, so that the final rename cannot cross file systems.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _flush_to_disk(temporary)
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


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
    with write_atomically(path) as temporary:
        temporary.write_text(new, encoding="utf-8")
    return True


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
