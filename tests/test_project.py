"""The three lists of packages agree, and the library keeps to its plan."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import mnistkit

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CONDA_NAMES = {"torch": "pytorch", "playwright": "playwright-python"}
REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)\s*(.*)$")


def requirements(lines) -> dict[str, str]:
    found = (REQUIREMENT.match(line).groups() for line in lines)
    return {name.lower().replace("_", "-"): versions.replace(" ", "") for name, versions in found}


def declared() -> dict[str, str]:
    extras = PROJECT["optional-dependencies"]
    return requirements(PROJECT["dependencies"] + extras["lab"] + extras["test"])


def test_conda_environment_holds_the_same_packages_and_versions():
    text = (ROOT / "environment.yml").read_text("utf-8").split("dependencies:")[1]
    conda = requirements(re.findall(r"^ +- ([a-z][^:#\n]*?)\s*(?:#.*)?$", text, flags=re.M))
    assert conda.pop("python") == PROJECT["requires-python"]
    conda.pop("pip")
    expected = {CONDA_NAMES.get(name, name): versions for name, versions in declared().items()}
    assert conda == expected


def test_constraints_name_versions_and_no_address():
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines():
        assert re.match(r"^(#.*|[a-z0-9-]+==[0-9][\w.]*( ; [\w<>=!.*'() ]+)?)?$", line), line


def test_every_name_of_the_face_exists():
    for name in mnistkit.__all__:
        assert getattr(mnistkit, name) is not None


def test_the_face_lists_public_names_and_no_modules_but_errors_and_exercises():
    assert dir(mnistkit) == sorted(mnistkit.__all__)
    assert set(dir(mnistkit)) & {name.split(".")[1] for name in modules() if "." in name} == {
        "errors", "exercises"
    }  # fmt: skip
    assert {"fit", "load_digits", "build_model", "exercises"} <= set(dir(mnistkit))


def test_help_leads_from_every_notebook_to_modules_that_exist():
    rows = re.findall(r"^ {4}(\d\d_\w+) +(.+)$", mnistkit.__doc__, flags=re.M)
    notebooks = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    assert [name for name, _ in rows] == notebooks
    for _, listed in rows:
        for name in listed.split(", "):
            path = ROOT / "mnistkit" / name
            assert path.is_dir() or path.with_suffix(".py").is_file(), name


def test_import_is_lazy():
    code = (
        "import mnistkit, sys; dir(mnistkit); "
        "loaded = [m for m in ('torch', 'torchvision', 'sklearn', 'pandas') if m in sys.modules]; "
        "sys.exit(str(loaded) if loaded else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_file_of_the_library_comes_with_it():
    """A package or a kind of file that pyproject.toml does not name is missed after installing."""
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    folders = {path.parent for path in (ROOT / "mnistkit").rglob("__init__.py")}
    assert {".".join(f.relative_to(ROOT).parts) for f in folders} == set(setup["packages"])
    kept = {path for pattern in setup["package-data"]["mnistkit"]
            for path in (ROOT / "mnistkit").glob(pattern)}  # fmt: skip
    files = {path for path in (ROOT / "mnistkit").rglob("*")
             if path.is_file() and path.suffix not in (".py", ".pyc", ".md")}  # fmt: skip
    assert files == kept


# --- the house ------------------------------------------------------------------------------


def modules() -> dict[str, Path]:
    paths = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / "mnistkit").rglob("*.py")]
    return {".".join(path.parts).removesuffix(".__init__"): path for path in paths}


def imports_of(path: Path) -> set[tuple[str, str]]:
    """What a module takes of others: (module, name)."""
    tree = ast.parse((ROOT / path).with_suffix(".py").read_text("utf-8"))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {(node.module or "", alias.name) for node in nodes for alias in node.names
            if (node.module or "").startswith("mnistkit")}  # fmt: skip


def test_imports_go_one_way():
    """The layers stand in pyproject.toml; import-linter reads them."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]


def test_the_house_has_at_most_seven_floors():
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    (floors,) = (c["layers"] for c in linter["contracts"] if c["type"] == "layers")
    assert len(floors) <= 7


def test_the_house_has_at_most_twenty_rooms():
    rooms = [path for path in (ROOT / "mnistkit").iterdir()
             if path.suffix == ".py" or (path / "__init__.py").is_file()]  # fmt: skip
    assert len(rooms) <= 20


@pytest.mark.parametrize("module", modules())
def test_a_module_takes_no_private_name_of_another(module):
    taken = imports_of(modules()[module])
    assert {name for _, name in taken if name.startswith("_") and name != "__version__"} == set()


# --- its tests ------------------------------------------------------------------------------

# Modules without a test file of their name, by pattern, and why.
TESTED_TOGETHER = {
    "exercises/n??_*": "one rule holds for all answers: tests/exercises/test_exercises.py",
}


def test_every_module_has_a_test_file_of_its_name_in_the_same_wing():
    paths = [path for path in modules().values() if path.name != "__init__"]
    rooms = {path.relative_to("mnistkit") for path in paths}
    together = {p: {room for room in rooms if room.match(p)} for p in TESTED_TOGETHER}
    assert all(together.values()), "an exception without a module"
    alone = rooms.difference(*together.values())
    files = {room: ROOT / "tests" / room.with_name(f"test_{room.name}.py") for room in alone}
    assert [str(room) for room, file in sorted(files.items()) if not file.is_file()] == []
