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


def test_the_face_lists_public_names_and_no_modules_but_the_exercises():
    assert dir(mnistkit) == sorted(mnistkit.__all__)
    assert set(dir(mnistkit)) & set(MODULES) == set()
    assert {"fit", "load_digits", "build_model", "exercises"} <= set(dir(mnistkit))


def test_help_leads_from_every_notebook_to_modules_that_exist():
    rows = re.findall(r"^ {4}(\d\d_\w+) +(.+)$", mnistkit.__doc__, flags=re.M)
    notebooks = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    assert [name for name, _ in rows] == notebooks
    for _, modules in rows:
        assert set(modules.split(", ")) <= set(MODULES)


def test_import_is_lazy():
    code = (
        "import mnistkit, sys; dir(mnistkit); "
        "loaded = [m for m in ('torch', 'torchvision', 'sklearn', 'pandas') if m in sys.modules]; "
        "sys.exit(str(loaded) if loaded else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def imports_of(module: Path) -> set[str]:
    tree = ast.parse(module.read_text("utf-8"))
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
        ("data", [*BELOW, "devices", "sources"]),
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
        ("stacked", [*BELOW, "data", "devices", "settings", "tally", "training"]),
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
                "doctor",
                "effects",
                "experiments",
                "measuring",
                "notebooks",
                "prediction",
                "records",
                "scoreboard",
                "study",
                "suite",
                "sweeps",
                "trained",
            ],
        ),
        ("doctor", [*BELOW, "devices", "sources", "transfer"]),
        ("suite", [*BELOW, "doctor"]),
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
