"""reveal.js, which shows the slides: found or fetched once, and checked before it is trusted."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from mnistkit.errors import MissingPackageError
from mnistkit.utils.storage import project_root, write_atomically

VERSION = "5.2.1"
# As npm prints it: npm view reveal.js@5.2.1 dist.integrity
INTEGRITY = (
    "sha512-r7//6mIM5p34hFiDMvYfXgyjXqGRta+/psd9YtytsgRl"
    "rpRzFv4RbH76TXd2qD+7ZPZEbpBDhdRhJaFgfQ7zNQ=="
)
CACHE = Path("build") / "cache"
_FILES = {"script": "dist/reveal.js", "style": "dist/reveal.css", "notes": "plugin/notes/notes.js"}
_PATIENCE = 120  # seconds for npm
_HELP = (
    f"install npm and let it reach its registry; or fetch reveal.js {VERSION} elsewhere, by "
    f"`npm pack reveal.js@{VERSION}`, and name that file, or a folder with it unpacked, by "
    "--reveal or MNISTKIT_REVEAL"
)


@dataclass(frozen=True)
class Reveal:
    """The three files of reveal.js that a deck holds, as text."""

    script: str
    style: str
    notes: str


def load_reveal(place: str | os.PathLike | None = None) -> Reveal:
    """Read reveal.js, and have npm fetch it the first time.

    place: a folder that holds it unpacked, which is taken as it is, or npm's package, which is
    checked; by default what MNISTKIT_REVEAL names, else the package kept in build/cache.
    Raises MissingPackageError where there is none, or not the right one.
    """
    named = place or os.environ.get("MNISTKIT_REVEAL")
    if named and Path(named).is_dir():
        return _from_folder(Path(named))
    package = Path(named) if named else _cached()
    try:
        content = package.read_bytes()
    except OSError as error:
        raise MissingPackageError(
            f"reveal.js cannot be read: {error.strerror}", where=package, do=_HELP
        ) from error
    _check(content, package)
    return _from_package(content)


def is_here() -> bool:
    """Whether `load_reveal` needs no network: MNISTKIT_REVEAL names it, or it is kept."""
    return bool(os.environ.get("MNISTKIT_REVEAL")) or _kept().is_file()


def _from_folder(folder: Path) -> Reveal:
    missing = [name for name in _FILES.values() if not (folder / name).is_file()]
    if missing:
        raise MissingPackageError(
            f"this is no folder of reveal.js: it lacks {', '.join(missing)}", where=folder, do=_HELP
        )
    return Reveal(**{k: (folder / name).read_text(encoding="utf-8") for k, name in _FILES.items()})


def _from_package(content: bytes) -> Reveal:
    """Read the files from the package in memory: nothing in it gets to choose where it lands."""
    with tarfile.open(fileobj=BytesIO(content), mode="r:gz") as package:
        return Reveal(**{key: package.extractfile(f"package/{name}").read().decode("utf-8")
                         for key, name in _FILES.items()})  # fmt: skip


def _check(content: bytes, where: Path) -> None:
    found = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    if found != INTEGRITY:
        raise MissingPackageError(
            f"{where.name} is not reveal.js {VERSION} as published: its SHA-512 is another",
            where=where.parent,
            do="delete it and run again, or name another by --reveal",
        )


def _kept() -> Path:
    return project_root() / CACHE / f"reveal.js-{VERSION}.tgz"


def _cached() -> Path:
    kept = _kept()
    if not kept.is_file():
        content = _fetched()
        _check(content, kept)
        with write_atomically(kept) as temporary:
            temporary.write_bytes(content)
    return kept


def _fetched() -> bytes:
    npm = shutil.which("npm")
    if npm is None:
        raise MissingPackageError(
            f"the slides need reveal.js {VERSION}, and npm, which fetches it, is not installed",
            do=_HELP,
        )
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", f"reveal.js@{VERSION}", "--ignore-scripts", "--silent",
                   "--pack-destination", folder]  # fmt: skip
        try:
            subprocess.run(command, check=True, capture_output=True, cwd=folder, timeout=_PATIENCE)
            (package,) = Path(folder).glob("*.tgz")
        except (subprocess.SubprocessError, OSError, ValueError) as error:
            raise MissingPackageError(
                f"the slides need reveal.js {VERSION}, and npm could not fetch it", do=_HELP
            ) from error
        return package.read_bytes()
