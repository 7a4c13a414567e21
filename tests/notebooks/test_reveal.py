"""reveal.js is fetched once, and nothing but what was published is trusted."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from mnistkit.errors import MissingPackageError
from mnistkit.notebooks import reveal
from tests.notebooks.series import REVEAL_FILES, stub_reveal


@pytest.fixture
def package(tmp_path, monkeypatch) -> bytes:
    """A package of the right form, taken for the published one; without npm and a cache."""
    content = BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name in (*REVEAL_FILES, "../../escaped"):
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(name)
            tar.addfile(member, BytesIO(name.encode()))
    digest = base64.b64encode(hashlib.sha512(content.getvalue()).digest()).decode()
    monkeypatch.setattr(reveal, "INTEGRITY", f"sha512-{digest}")
    monkeypatch.setattr(reveal, "CACHE", tmp_path / "cache")
    monkeypatch.delenv("MNISTKIT_REVEAL", raising=False)
    monkeypatch.setattr(reveal.shutil, "which", lambda name: None)
    return content.getvalue()


def npm_that_gives(content: bytes | None):
    def run(command, cwd, **options):
        assert command[1:4] == ["pack", f"reveal.js@{reveal.VERSION}", "--ignore-scripts"]
        if content is None:
            raise subprocess.CalledProcessError(1, command)
        (Path(cwd) / "reveal.js.tgz").write_bytes(content)

    return run


def test_npm_fetches_once_and_what_is_kept_is_checked_each_time(package, tmp_path, monkeypatch):
    monkeypatch.setattr(reveal.shutil, "which", lambda name: "npm")
    monkeypatch.setattr(reveal.subprocess, "run", npm_that_gives(package))
    assert reveal.load_reveal() == reveal.Reveal(*REVEAL_FILES)
    monkeypatch.setattr(reveal.subprocess, "run", npm_that_gives(None))
    assert reveal.load_reveal().style == REVEAL_FILES[1]
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(package[:-1] + b"!")
    with pytest.raises(MissingPackageError, match=r"is not reveal\.js .* as published"):
        reveal.load_reveal()


def test_a_package_that_is_another_is_neither_used_nor_kept(package, tmp_path, monkeypatch):
    monkeypatch.setattr(reveal.shutil, "which", lambda name: "npm")
    monkeypatch.setattr(reveal.subprocess, "run", npm_that_gives(package + b"!"))
    with pytest.raises(MissingPackageError, match="its SHA-512 is another"):
        reveal.load_reveal()
    assert not (tmp_path / "cache").exists()


def test_nothing_in_a_package_chooses_where_it_lands(package, tmp_path):
    place = tmp_path / "a" / "b" / "reveal.tgz"
    place.parent.mkdir(parents=True)
    place.write_bytes(package)
    assert reveal.load_reveal(place).notes == REVEAL_FILES[2]
    assert list(tmp_path.rglob("escaped")) == []


@pytest.mark.parametrize(("npm", "message"), [(None, "not installed"), ("npm", "could not fetch")])
def test_without_npm_or_network_the_error_says_what_to_do(package, monkeypatch, npm, message):
    monkeypatch.setattr(reveal.shutil, "which", lambda name: npm)
    monkeypatch.setattr(reveal.subprocess, "run", npm_that_gives(None))
    with pytest.raises(MissingPackageError, match=f"(?s){message}.*--reveal or MNISTKIT_REVEAL"):
        reveal.load_reveal()


def test_a_folder_is_taken_as_it_is_unless_it_lacks_a_file(package, tmp_path, monkeypatch):
    stub = stub_reveal(tmp_path / "reveal")
    monkeypatch.setenv("MNISTKIT_REVEAL", str(stub))
    assert "dist/reveal.css" in reveal.load_reveal().style
    with pytest.raises(MissingPackageError, match=r"lacks dist/reveal\.js, dist/reveal\.css"):
        reveal.load_reveal(stub / "plugin")
    with pytest.raises(MissingPackageError, match="cannot be read"):
        reveal.load_reveal(stub / "nowhere.tgz")
