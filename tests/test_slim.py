"""The core works where only its own packages are installed: no notebook server, no kernel.

Its packages, and those that they need in turn, are linked into a folder that is all that a
Python sees; what the core uses and does not declare is missing there.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
LAB = ["jupyterlab", "ipykernel", "papermill", "nbconvert", "nbformat", "bs4", "IPython"]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")


def packages_of_the_core() -> set[str]:
    found, waiting = set(), [("mnistkit", "")]
    while waiting:
        name, extra = waiting.pop()
        for line in metadata.requires(name) or []:
            needed = Requirement(line)
            applies = not needed.marker or needed.marker.evaluate({"extra": extra})
            if applies and needed.name.lower() not in found:
                found.add(needed.name.lower())
                waiting += [(needed.name, each) for each in ("", *needed.extras)]
    return found


@pytest.fixture(scope="session")
def python(tmp_path_factory):
    """Run code, or the command `mnistkit`, with the core's packages only."""
    site = tmp_path_factory.mktemp("site")
    for name in packages_of_the_core():
        for file in metadata.files(name) or []:
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (site / top).exists():
                (site / top).symlink_to(Path(metadata.distribution(name).locate_file(top)))
    (site / "mnistkit").symlink_to(ROOT / "mnistkit")

    def run(code: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess:
        start = f"import sys; sys.path.insert(0, {str(site)!r})\n{code}"
        command = [sys.executable, "-I", "-S", "-c", start, *arguments]
        environment = {"PATH": "", "MNISTKIT_SOURCE": "sample", "OMP_NUM_THREADS": "1",
                       "TQDM_DISABLE": "1", "HOME": str(folder)}  # fmt: skip
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)

    return run


COMMAND = "from mnistkit.cli import main; main(prog_name='mnistkit')"
WORK = """
import torch
from mnistkit import (Recipe, build_model, confusion_matrix, evaluate, fit, load_checkpoint,
    load_digits, load_reader, make_predictions, plot_confusion_matrix, predict_image, run_grid,
    save_checkpoint, summarize)
from PIL import Image
digits = load_digits(limit=200)
model = build_model("V0", seed=0)
fit(model, digits.train.loader(32, shuffle=True), digits.validation.loader(100), epochs=2)
assert 0.2 < evaluate(model, digits.test.loader(100)).accuracy <= 1
assert make_predictions(model, list(digits.test.inputs()[:3])).shape == (3, 10)
Image.fromarray(255 - digits.test.images[0].numpy()).resize((200, 200)).save("photo.png")
assert predict_image(model, "photo.png").probabilities.shape == (10,)
assert predict_image(load_reader(), "photo.png").label == digits.test.labels[0]
save_checkpoint(model, "v0.pth", architecture="V0", test_accuracy=0.5)
assert load_checkpoint("v0.pth")
plot_confusion_matrix(confusion_matrix(torch.tensor([0, 1]), torch.tensor([0, 1])))
runs = run_grid({"V0": Recipe("V0", epochs=1)}, range(2), digits, test=True, folder="runs", jobs=1)
assert summarize(runs, "test_accuracy")["n"].tolist() == [2]
from mnistkit.cli import main
open("plan.yaml", "w").write("base: {model: V0, epochs: 1}\\ngrid: {learning_rate: [0.1, 0.2]}")
main("sweep plan.yaml --seeds 0-1 --limit 100 --jobs 1".split(), standalone_mode=False)
assert open("runs/sweeps/plan/runs.csv").read().count("\\n") == 5
try:
    main(["doctor", "--quiet"])
except SystemExit as end:
    assert end.code == 1
loaded = [name for name in sys.modules if name.split(".")[0] in LAB]
assert not loaded, loaded
print("all done")
"""


def test_the_packages_of_the_lab_are_not_there(python, tmp_path):
    for name in LAB:
        result = python(f"import {name}", folder=tmp_path)
        assert f"No module named '{name}'" in result.stderr


def test_it_imports_trains_predicts_saves_sweeps_and_knows_what_is_missing(python, tmp_path):
    result = python(f"LAB = {LAB}\n{WORK}", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "wrong  packages" in result.stdout, "none is installed here"
    low, high = map(
        float, re.findall(r"learning_rate 0\.1 +[\d.]+ +(\S+) +(\S+)", result.stdout)[0]
    )
    assert 0 <= low < high <= 100, "of two runs the interval is wide, but no share is above 100 %"
    assert result.stdout.splitlines()[-1] == "all done"


@pytest.mark.parametrize("command", ["run", "book", "normalize notebook.ipynb", "lab"])
def test_a_command_for_notebooks_says_what_to_install(python, tmp_path, command):
    (tmp_path / "notebook.ipynb").write_text("{}")
    result = python(COMMAND, *command.split(), folder=tmp_path)
    assert result.returncode == 2
    assert re.search(r"needs (nbformat|papermill), which is not installed", result.stderr)
    assert "pip install 'mnistkit[lab]'" in result.stderr
    assert "Traceback" not in result.stderr
