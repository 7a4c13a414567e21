"""The checks of the project, as `mnistkit test` runs them on any system.

Without a network and on the sample; what reads full MNIST is `--full`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mnistkit.errors import MissingPackageError, NotebookError
from mnistkit.notebooks.doctor import missing_packages
from mnistkit.utils.storage import data_root, project_root

# Digits and weights that need no network. Two checks run at a time, so none starts further
# processes unless that is what it tests.
OFFLINE = {
    "MNISTKIT_SOURCE": "sample",
    "MNISTKIT_MOBILENET": "random",
    "TQDM_DISABLE": "1",
    "OMP_NUM_THREADS": "1",
    "LOKY_MAX_CPU_COUNT": "1",
}
# What nbval runs: on few digits, and with the exercises solved. `make run` executes the notebooks
# as they are.
COPIES = "build/checked"
NBVAL = ["--nbval-lax", "--nbval-current-env", "--nbval-kernel-startup-timeout", "120",
         "--nbval-sanitize-with", "tests/notebooks/sample.cfg", "-p", "no:cacheprovider",
         "--dist", "loadscope", "--no-loadscope-reorder",
         f"{COPIES}/05_mobilenet_transfer.ipynb", COPIES]  # fmt: skip
# Should nbval break one day, its successor is at hand: SAME_CELLS in place of NBVAL.
SAME_CELLS = ["-p", "no:cacheprovider", "tests/notebooks/outputs.py"]
PYTEST = ["pytest", "-n", "2"]

STEPS = {
    "lint": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "."],
    "tests": [*PYTEST, "--dist", "worksteal", "-m", "not full and not browser"],
    "browser": [*PYTEST, "-rs", "--dist", "loadfile", "-m", "browser and not full",
                "tests/handwriting/test_browser.py", "tests/handwriting/test_page.py",
                "tests/notebooks/test_book.py", "tests/notebooks/test_convolve.py",
                "tests/notebooks/test_slides.py"],
    "copies of the notebooks": ["tests.notebooks.copies", COPIES],
    "outputs of the notebooks": [*PYTEST, *NBVAL],
}  # fmt: skip
FULL_STEPS = {
    "tests on full MNIST": ["pytest", "-rs", "-m", "full and not grading", "--durations=10"]
}


def run_suite(*, full: bool = False) -> str:
    """Run the checks in turn up to the first that fails; return its name, or an empty string.

    full: those that need full MNIST in `MNISTKIT_DATA`, instead of the others.

    Raises NotebookError outside the project's folder or without full MNIST,
    MissingPackageError where a package of the tests is missing.
    """
    root = project_root()
    _check_folder(root, full)
    environment = os.environ | ({"TQDM_DISABLE": "1"} if full else OFFLINE)
    for name, command in (FULL_STEPS if full else STEPS).items():
        print(f"--- {name}", flush=True)
        step = [sys.executable, "-m", *command]
        if subprocess.run(step, cwd=root, env=environment, check=False).returncode:
            return name
    return ""


def _check_folder(root: Path, full: bool) -> None:
    if not (root / "tests").is_dir():
        raise NotebookError(
            "the project's tests are not here",
            where=root,
            do="change to the project's folder, the one that holds tests/",
        )
    for extra in ("lab", "test"):
        if missing := missing_packages(extra):
            raise MissingPackageError(
                f"{', '.join(missing)}", do="pip install -c constraints.txt -e .[lab,test]"
            )
    digits = data_root() / "MNIST" / "raw"
    if full and not digits.is_dir():
        raise NotebookError(
            "full MNIST is not here", where=digits, do="set MNISTKIT_DATA to where it is"
        )
