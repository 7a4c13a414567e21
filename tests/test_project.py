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
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA_NAMES = {"torch": "pytorch", "playwright": "playwright-python"}
REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)\s*(.*)$")


def requirements(lines) -> dict[str, str]:
    found = (REQUIREMENT.match(line).groups() for line in lines)
    return {name.lower().replace("_", "-"): versions.replace(" ", "") for name, versions in found}


def declared() -> dict[str, str]:
    return requirements(PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"])


def pinned() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return requirements(line for line in lines if line and not line.startswith("#"))


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def test_conda_environment_holds_the_same_packages_and_versions():
    text = (ROOT / "environment.yml").read_text().split("dependencies:")[1]
    conda = requirements(re.findall(r"^ +- ([a-z][^:#\n]*?)\s*(?:#.*)?$", text, flags=re.M))
    assert conda.pop("python") == PROJECT["requires-python"]
    conda.pop("pip")
    expected = {CONDA_NAMES.get(name, name): versions for name, versions in declared().items()}
    assert conda == expected


@pytest.mark.parametrize("name", sorted(declared()))
def test_every_package_is_pinned_within_its_range(name):
    least, exact = declared()[name], pinned()[name]
    assert exact.startswith("==")
    assert numbers(exact) >= numbers(least), f"{name} {exact} is below {least}"


def test_constraints_name_versions_and_no_address():
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.match(r"^(#.*|[A-Za-z0-9._-]+==[0-9][\w.]*)?$", line), line


def test_every_name_of_the_face_exists():
    for name in mnistkit.__all__:
        assert getattr(mnistkit, name) is not None


def test_import_is_lazy():
    code = (
        "import mnistkit, sys; "
        "loaded = [m for m in ('torch', 'torchvision', 'sklearn', 'pandas') if m in sys.modules]; "
        "sys.exit(str(loaded) if loaded else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def imports_of(module: Path) -> set[str]:
    tree = ast.parse(module.read_text())
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "mnistkit":
            found |= {alias.name for alias in node.names if alias.name != "__version__"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mnistkit."):
            found.add(node.module.removeprefix("mnistkit."))
    return found


MODULES = {path.stem: path for path in (ROOT / "mnistkit").glob("*.py") if path.stem != "__init__"}
BELOW = ["errors", "storage", "progress", "checks"]


@pytest.mark.parametrize(
    ("module", "may_import"),
    [
        ("errors", []),
        ("storage", ["errors"]),
        ("progress", []),
        ("checks", []),
        ("memory", []),
        ("sources", BELOW),
        ("data", [*BELOW, "sources"]),
        ("models", [*BELOW, "transfer"]),
        ("metrics", BELOW),
        ("devices", []),
        ("disputed", []),
        ("settings", BELOW),
        ("tally", BELOW),
        ("augmentation", BELOW),
        ("epoch", [*BELOW, "devices", "settings", "tally"]),
        ("training", [*BELOW, "data", "devices", "epoch", "settings"]),
        ("extractor", ["devices"]),
        ("photos", BELOW),
        ("prediction", [*BELOW, "data", "photos"]),
        ("plotting", BELOW),
        ("charts", ["metrics", "plotting"]),
        ("curves", ["plotting"]),
        ("calibration", [*BELOW, "metrics"]),
        ("corruptions", [*BELOW, "augmentation"]),
        ("strokes", BELOW),
        ("canvas", [*BELOW, "prediction", "strokes"]),
        ("draw", [*BELOW, "canvas", "plotting", "prediction", "strokes"]),
        ("checkpoints", [*BELOW, "models"]),
        ("transfer", [*BELOW, "data", "devices", "extractor", "sources"]),
        ("stacked", [*BELOW, "data", "settings", "tally", "training"]),
        ("recipes", BELOW),
        ("results", [*BELOW, "data", "models", "recipes"]),
        ("parallel", BELOW),
        (
            "runs",
            [
                *BELOW,
                "data",
                "devices",
                "epoch",
                "models",
                "recipes",
                "results",
                "settings",
                "training",
            ],
        ),
        (
            "experiments",
            [*BELOW, "data", "metrics", "parallel", "recipes", "results", "runs"],
        ),
        ("sweeps", [*BELOW, "augmentation", "experiments", "models", "recipes"]),
        ("effects", [*BELOW, "metrics"]),
        (
            "trained",
            [
                *BELOW,
                "archive",
                "calibration",
                "checkpoints",
                "data",
                "experiments",
                "metrics",
                "models",
                "prediction",
                "recipes",
                "results",
            ],
        ),
        ("study", ["augmentation", "experiments"]),
        (
            "measuring",
            [
                *BELOW,
                "data",
                "devices",
                "experiments",
                "models",
                "parallel",
                "results",
                "study",
                "trained",
                "transfer",
                "verdicts",
            ],
        ),
        ("verdicts", ["experiments", "metrics"]),
        ("claims", [*BELOW, "models", "verdicts"]),
        ("archive", [*BELOW, "recipes", "results", "study", "verdicts"]),
        ("beyond", ["disputed", "metrics", "verdicts"]),
        ("scoreboard", [*BELOW, "archive", "beyond", "claims", "study", "verdicts"]),
        ("records", BELOW),
        ("notebooks", [*BELOW, "memory", "records"]),
        ("book", [*BELOW, "notebooks"]),
        (
            "cli",
            [
                *BELOW,
                "archive",
                "book",
                "data",
                "effects",
                "experiments",
                "measuring",
                "notebooks",
                "prediction",
                "records",
                "scoreboard",
                "study",
                "sweeps",
                "trained",
            ],
        ),
    ],
)
def test_data_flows_one_way(module, may_import):
    assert imports_of(MODULES[module]) <= set(may_import)


@pytest.mark.parametrize("room", sorted((ROOT / "mnistkit" / "exercises").glob("*.py")))
def test_exercises_stand_on_the_library_and_nothing_on_them(room):
    allowed = {*BELOW, "extractor", "metrics", "models", "recipes", "training", "verdicts"}
    own = {name for name in imports_of(room) if name.split(".")[0] == "exercises"}
    assert imports_of(room) - own <= allowed
    assert own <= {"exercises.exercise"}
    assert not any("exercises" in imports_of(module) for module in MODULES.values())


def test_every_module_has_its_place_in_the_plan():
    planned = {args[0] for mark in test_data_flows_one_way.pytestmark for args in mark.args[1]}
    assert planned == set(MODULES)


def test_lab_opens_copies_and_overwrites_no_answer(tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    for name in ("01_data.ipynb", "02_linear.ipynb", "GLOSSARY.md"):
        (tmp_path / "notebooks" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "notebooks" / name).write_text("as it comes")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "01_data.ipynb").write_text("my answers")
    jupyter = tmp_path / "jupyter"
    jupyter.write_text('#!/bin/sh\necho "opened: $*"\n')
    jupyter.chmod(0o755)
    (tmp_path / "stamp").touch()
    command = ["make", "-s", "-o", "stamp", "lab", "STAMP=stamp", "BIN=."]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "opened: lab work"
    found = {path.name: path.read_text() for path in (tmp_path / "work").iterdir()}
    assert found.pop("01_data.ipynb") == "my answers"
    assert found == dict.fromkeys(["02_linear.ipynb", "GLOSSARY.md"], "as it comes")
