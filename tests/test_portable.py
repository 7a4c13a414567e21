"""What other systems have otherwise: line ends, encodings, names and lengths of files."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mnistkit.data import Digits
from mnistkit.errors import ResultError
from mnistkit.experiments.recipe import Recipe
from mnistkit.experiments.results import Result, identify, read_result, write_result
from mnistkit.experiments.sweep import read_sweep
from mnistkit.models import MODELS
from mnistkit.notebooks import book
from mnistkit.notebooks.normalize import normalize_file
from mnistkit.study.report import update_pages
from mnistkit.study.table import TABLE, read_table
from mnistkit.utils.sources import QMNIST_FILES, read_idx
from mnistkit.utils.storage import UNFINISHED
from tests.conftest import make_split

ROOT = Path(__file__).resolve().parents[1]
FORBIDDEN = r'[<>:"/\\|?*\x00-\x1f]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)'  # on Windows


def with_crlf(path: Path) -> Path:
    content = path.read_bytes()
    assert b"\n" in content
    assert b"\r\n" not in content
    path.write_bytes(content.replace(b"\n", b"\r\n"))
    return path


def copy(path: Path, folder: Path) -> Path:
    target = folder / path.name
    target.write_bytes(path.read_bytes())
    return target


# --- line ends --------------------------------------------------------------------------


def test_a_checkout_has_the_line_ends_of_the_repository():
    command = ["git", "check-attr", "text", "eol", "--", "README.md", "figures/any.png"]
    try:
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no checkout, or no git")
    assert result.stdout.splitlines() == [
        "README.md: text: auto",
        "README.md: eol: lf",
        "figures/any.png: text: unset",
        "figures/any.png: eol: lf",
    ]


def test_a_notebook_with_crlf_is_normalised_to_lf(tmp_path):
    original = next((ROOT / "notebooks").glob("06_*.ipynb"))
    path = with_crlf(copy(original, tmp_path))
    assert normalize_file(path)
    assert path.read_bytes() == original.read_bytes()
    assert not normalize_file(path)


def test_a_result_with_crlf_is_whole_and_one_that_was_changed_is_not(tmp_path, easy_digits):
    run = identify(Recipe("V0"), 0, easy_digits)
    path = with_crlf(write_result(tmp_path, Result(run, {"test_accuracy": 0.9})))
    assert read_result(path, run).measured == {"test_accuracy": 0.9}
    path.write_bytes(path.read_bytes().replace(b"0.9", b"0.8"))
    with pytest.raises(ResultError, match="has been changed"):
        read_result(path, run)


def test_the_published_runs_with_crlf_are_read_and_their_checksums_fit(tmp_path):
    table = with_crlf(copy(TABLE, tmp_path))
    assert read_table(table).frame.equals(read_table().frame)


def test_pages_with_crlf_are_up_to_date_if_their_words_are(tmp_path):
    with_crlf(copy(ROOT / "README.md", tmp_path))
    (tmp_path / "mnistkit").mkdir()
    with_crlf(copy(ROOT / "mnistkit" / "README.md", tmp_path / "mnistkit"))
    assert not update_pages(tmp_path, read_table())


def test_a_sweep_of_a_windows_editor_is_read(tmp_path):
    """CRLF, and the mark that Notepad puts first."""
    path = tmp_path / "plan.yaml"
    path.write_bytes(b"\xef\xbb\xbfbase: {model: V0}\r\ngrid:\r\n  epochs: [1, 2]\r\n")
    assert [recipe.epochs for recipe in read_sweep(path).recipes.values()] == [1, 2]


def test_a_glossary_with_crlf_is_the_same_page(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01_data.ipynb").touch()
    glossary = copy(ROOT / "notebooks" / "GLOSSARY.md", tmp_path / "notebooks")
    monkeypatch.chdir(tmp_path)
    page = re.sub(r"cell-id=\w+", "", book._glossary(set()).body)
    with_crlf(glossary)
    assert re.sub(r"cell-id=\w+", "", book._glossary(set()).body) == page


def test_a_noted_checksum_with_crlf_is_read(data_folder):
    file = QMNIST_FILES["train_labels"]
    path = data_folder / "QMNIST" / "raw" / file.name
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_name(f"{file.name}.sha256").write_bytes(f"{digest}  {file.name}\r\n".encode())
    assert read_idx(path.parent, file).shape == file.shape


WRITES = """
import os, sys, warnings
warnings.filterwarnings("error", category=EncodingWarning, module=r"mnistkit(\\.|$)")
from pathlib import Path

from mnistkit.study.table import read_table, write_table
from mnistkit.notebooks.book import write_book
from mnistkit.experiments.experiment import run_grid
from mnistkit.notebooks.execute import find_notebooks
from mnistkit.notebooks.normalize import normalize_file
from mnistkit.experiments.recipe import Recipe
from mnistkit.study.report import update_pages
from mnistkit.experiments.sweep import read_sweep
from mnistkit.study.trained import trained_model
from mnistkit.data import Digits
from tests.conftest import make_split

out, root = Path.cwd(), Path(sys.argv[1])
digits = Digits(make_split(100, 0), make_split(50, 1), make_split(50, 2), "easy")
plan = out / "plan.yaml"
plan.write_bytes(b"base: {model: V0, epochs: 1}\\ngrid: {batch_size: [32, 64]}\\n")
recipes = read_sweep(plan).recipes
run_grid(recipes, [0], digits, folder=out / "sweep", jobs=1)
run_grid(recipes, [0], digits, folder=out / "sweep", jobs=1)
trained_model(Recipe("V0", epochs=1), digits, folder=out / "models", progress=False)
trained_model(Recipe("V0", epochs=1), digits, folder=out / "models", progress=False)
runs = read_table()
write_table(runs, out / "scoreboard.csv")
read_table(out / "scoreboard.csv")
(out / "mnistkit").mkdir()
for page in ("README.md", "mnistkit/README.md"):
    (out / page).write_bytes((root / page).read_bytes().replace(b"reproduced", b"stale"))
assert update_pages(out, runs)
notebook = find_notebooks(["06"])[0]
changed = out / notebook.name
changed.write_bytes(notebook.read_bytes().replace(b'"cell-01"', b'"another"'))
assert normalize_file(changed)
write_book(out / "book", [notebook])
"""
WINDOWS = """
import builtins, io

plain = io.open
def as_on_windows(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, **rest):
    if newline is None and set(mode) & set("wax") and "b" not in mode:
        newline = "\\r\\n"
    return plain(file, mode, buffering, encoding, errors, newline, **rest)
builtins.open = io.open = as_on_windows
"""


@pytest.fixture(scope="session")
def written(tmp_path_factory) -> Path:
    """A folder of all that the library writes, written under the rules of other systems.

    An encoding that is left to the system is an error; line ends that are left to it are CRLF.
    """
    folder = tmp_path_factory.mktemp("written")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MNISTKIT_DATA": str(folder)}
    command = [sys.executable, "-X", "warn_default_encoding", "-c", WINDOWS + WRITES, ROOT]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return folder


def test_no_encoding_is_left_to_the_system(written):
    assert {path.suffix for path in written.rglob("*.*")} == {
        ".csv", ".html", ".ipynb", ".json", ".md", ".pt", ".yaml",
    }  # fmt: skip


def test_all_that_is_written_has_lf(written):
    texts = [path for path in written.rglob("*.*") if path.suffix != ".pt"]
    assert [path.name for path in texts if b"\r" in path.read_bytes()] == []


# --- names ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a/b", "CON", "x:y", "a?", "ends in a dot.", "n" * 300, "Ж", ""])
def test_names_of_recipes_and_models_are_no_names_of_files(tmp_path, monkeypatch, name):
    plan = tmp_path / "plan.yaml"
    plan.write_text(f'recipes: {{"{name}": {{model: V0}}}}', encoding="utf-8")
    assert list(read_sweep(plan).recipes) == [name]
    monkeypatch.setitem(MODELS, name[:40], replace(MODELS["V0"]))
    digits = Digits(make_split(10), make_split(10), make_split(10), name)
    file = identify(Recipe(name[:40]), 0, digits).file_name
    assert not re.search(FORBIDDEN, file)
    assert re.fullmatch(r"[a-z0-9-]*-[0-9a-f]{12}-seed0000\.json", file)


def test_models_whose_names_differ_only_by_case_have_files_of_their_own(monkeypatch, easy_digits):
    monkeypatch.setitem(MODELS, "v0", replace(MODELS["V0"]))
    one, other = (identify(Recipe(name), 0, easy_digits).file_name for name in ("V0", "v0"))
    assert one.lower() != other.lower()


def test_paths_leave_room_for_the_folder_of_the_project(easy_digits):
    """Windows allows 260 characters in all."""
    folder = Path("runs") / "scoreboard"
    paths = [folder / identify(Recipe(name), 9999, easy_digits).file_name for name in MODELS]
    unfinished = [path.with_name(f".{path.name}.{UNFINISHED}12345678") for path in paths]
    assert max(len(str(path)) for path in unfinished) < 100
