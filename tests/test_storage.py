"""Files are written whole or not at all, and leftovers of the killed are cleared away."""

from __future__ import annotations

import errno
import os
from contextlib import suppress

import pytest

from mnistkit import storage
from mnistkit.errors import StorageError
from mnistkit.storage import output_folder, remove_leftovers, write_atomically


def test_a_block_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with suppress(KeyboardInterrupt), write_atomically(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_full_disk_is_named_and_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(storage.os, "fsync", full)
    with pytest.raises(StorageError, match=r"a\.txt cannot be written: No space left"):
        write(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def write(path, text: str) -> None:
    with write_atomically(path) as temporary:
        temporary.write_text(text)


def test_only_old_leftovers_are_removed(tmp_path):
    names = [".a.json.unfinished-1", ".b.json.unfinished-2", "a.json", ".hidden"]
    for name in names:
        (tmp_path / name).write_text("half")
    for name in (".a.json.unfinished-1", "a.json", ".hidden"):
        os.utime(tmp_path / name, (0, 0))
    remove_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".b.json.unfinished-2", ".hidden", "a.json"]
    remove_leftovers(tmp_path / "none")


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match=r"nothing can be written to .*file/out"):
        output_folder(tmp_path / "file" / "out")
