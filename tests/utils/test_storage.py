"""Files are written whole or not at all, and leftovers of the killed are cleared away."""

from __future__ import annotations

import errno
import os
import threading
from contextlib import suppress
from pathlib import Path

import platformdirs
import pytest

from mnistkit.errors import StorageError
from mnistkit.utils import storage
from mnistkit.utils.storage import (
    at_home,
    cache_folder,
    check_own,
    data_root,
    models_folder,
    output_folder,
    remove_leftovers,
    write_atomically,
    write_text,
)

needs_unix = pytest.mark.skipif(os.name == "nt", reason="Windows has other rules for it")


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

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"a\.txt cannot be written: No space left"):
        write(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def write(path, text: str) -> None:
    with write_atomically(path) as temporary:
        temporary.write_text(text)


@needs_unix
def test_a_file_is_flushed_where_only_what_is_open_for_writing_can_be(tmp_path, monkeypatch):
    import fcntl

    flush, flushed = os.fsync, []

    def as_windows_does(handle: int) -> None:
        if fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        flush(handle)
        flushed.append(handle)

    monkeypatch.setattr(os, "fsync", as_windows_does)
    write(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "new"
    assert len(flushed) == 1


@needs_unix
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_a_file_has_the_usual_permissions(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write(tmp_path / "a.txt", "new")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == mode


def test_the_mask_of_permissions_is_left_alone(tmp_path, monkeypatch):
    """It is the whole process's: another thread would make a file that all may write to."""
    monkeypatch.setattr(os, "umask", lambda _: pytest.fail("it was changed"))
    write(tmp_path / "a.txt", "new")


@pytest.fixture
def two_pauses(monkeypatch):
    """Three tries, as on Windows there are six."""
    monkeypatch.setattr(storage, "_PAUSES", (0.01, 0.01))


@pytest.mark.usefixtures("two_pauses")
def test_a_file_that_a_reader_has_open_is_replaced_once_it_lets_go(tmp_path, monkeypatch):
    """Windows refuses until then."""
    refuse_to_replace(monkeypatch, times=2)
    write(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "new"


@pytest.mark.usefixtures("two_pauses")
def test_a_file_that_stays_open_is_named(tmp_path, monkeypatch):
    refuse_to_replace(monkeypatch, times=3)
    with pytest.raises(StorageError, match=r"a\.txt cannot be written: Permission denied"):
        write(tmp_path / "a.txt", "new")


@needs_unix
def test_what_must_not_be_replaced_is_tried_once(tmp_path, monkeypatch):
    refuse_to_replace(monkeypatch, times=1)
    with pytest.raises(StorageError, match=r"a\.txt cannot be written: Permission denied"):
        write(tmp_path / "a.txt", "new")


def refuse_to_replace(monkeypatch, times: int) -> None:
    replace, refused = os.replace, []

    def refuse(source, target):
        if len(refused) < times:
            refused.append(source)
            raise PermissionError(errno.EACCES, "Permission denied")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)


def test_a_leftover_that_is_still_open_hides_no_error(tmp_path, monkeypatch):
    """Windows does not delete what is open; it is cleared away an hour later."""

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    with pytest.raises(ValueError, match="no such digit"), write_atomically(tmp_path / "a.txt"):
        raise ValueError("no such digit")


def test_many_that_write_one_file_at_once_leave_one_whole(tmp_path):
    path, texts = tmp_path / "a.txt", [f"{number}\n" * 20_000 for number in range(8)]
    threads = [threading.Thread(target=write, args=(path, text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in texts
    assert os.listdir(tmp_path) == ["a.txt"]


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
    with pytest.raises(StorageError, match=r"nothing can be written to .*file[\\/]out"):
        output_folder(tmp_path / "file" / "out")


def test_models_are_kept_in_the_users_cache_wherever_one_works(tmp_path, monkeypatch):
    monkeypatch.setenv("MNISTKIT_CACHE", str(tmp_path / "cache"))
    for place in ("photos", "elsewhere"):
        (tmp_path / place).mkdir()
        monkeypatch.chdir(tmp_path / place)
        assert models_folder() == tmp_path / "cache" / "models"
        assert models_folder("own") == tmp_path / place / "own", "named, it is where one works"
        assert not (tmp_path / place / "runs").exists()


def test_the_cache_is_the_usual_one_of_the_system(monkeypatch):
    monkeypatch.delenv("MNISTKIT_CACHE")
    assert cache_folder() == platformdirs.user_cache_path("mnistkit", appauthor=False)
    monkeypatch.setenv("MNISTKIT_CACHE", "~/kept")
    assert cache_folder() == Path.home() / "kept"


@pytest.mark.parametrize("ask", [data_root, output_folder, models_folder])
def test_a_home_of_nobody_is_named(ask):
    with pytest.raises(StorageError, match="~nobody-of-this-name/x begins with no user"):
        ask("~nobody-of-this-name/x")


def test_digits_are_in_the_project_or_where_one_says_or_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MNISTKIT_CACHE", str(tmp_path / "cache"))
    photos, project = tmp_path / "photos", tmp_path / "project"
    photos.mkdir()
    (project / "notebooks").mkdir(parents=True)
    (project / "notebooks" / "01_data.ipynb").touch()
    monkeypatch.chdir(project / "notebooks")
    assert data_root() == project / "data"
    monkeypatch.chdir(photos)
    assert data_root() == tmp_path / "cache" / "data"
    assert data_root("own") == photos / "own"
    monkeypatch.setenv("MNISTKIT_DATA", "named")
    assert data_root() == photos / "named"
    monkeypatch.delenv("MNISTKIT_DATA")
    (photos / "data").mkdir()
    assert data_root() == Path("data"), "what is here is taken"


def test_a_file_of_somebody_elses_is_known_by_what_it_lacks(tmp_path):
    path = tmp_path / "table.csv"
    check_own(path, "name,seed")  # not there yet
    path.write_text("name,seed,value\n")
    check_own(path, "name,seed")
    path.write_bytes(b"\xff\xfe mine")
    with pytest.raises(StorageError, match=r"table\.csv is there already, and was not written by"):
        check_own(path, "name,seed")


@pytest.mark.skipif(os.name == "nt", reason="links take rights there, and modes are others")
def test_a_link_stays_one_and_who_may_read_stays_as_it_was(tmp_path):
    target, link = tmp_path / "deep" / "real.txt", tmp_path / "link.txt"
    write_text(target, "old")
    target.chmod(0o600)
    link.symlink_to(target)
    write_text(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in target.parent.iterdir()] == ["real.txt"]


def test_a_name_may_begin_with_a_tilde(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert at_home("~/a.png") == tmp_path / "a.png"
    assert at_home("~nobody-of-that-name.png") == Path("~nobody-of-that-name.png")
