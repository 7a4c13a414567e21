"""A file says what to run, or is refused; a sweep that is killed goes on where it was."""

from __future__ import annotations

import itertools
import math
import os
import random
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.lr_scheduler import StepLR

from mnistkit.augmentation import random_affine
from mnistkit.cli import main
from mnistkit.errors import MnistkitError, SweepError
from mnistkit.experiments.experiment import run_grid
from mnistkit.experiments.recipe import Recipe
from mnistkit.experiments.sweep import combine, make_recipe, parse_seeds, read_sweep

BASE = {"model": "A baseline", "epochs": 1}
HANGS = 600  # seconds: what takes longer never ends, however slow the machine
COMMAND = Path(sys.executable).parent / "mnistkit"


def write(folder: Path, text: str) -> Path:
    path = folder / "plan.yaml"
    path.write_text(text)
    return path


def test_a_grid_is_all_combinations():
    sweep = combine(BASE, {"dropout": [0, 0.2], "activation": ["relu", "tanh", "sigmoid"]})
    assert list(sweep.recipes)[:2] == ["dropout 0, activation relu", "dropout 0, activation tanh"]
    assert len(sweep.recipes) == 6
    last = sweep.recipes["dropout 0.2, activation sigmoid"]
    assert last == Recipe("A baseline", {"dropout": 0.2, "activation": "sigmoid"}, epochs=1)
    assert sweep.levels.iloc[-1].tolist() == ["0.2", "sigmoid"]


def test_a_level_may_change_several_settings():
    optimizers = {"SGD": {"optimizer": "sgd", "learning_rate": 0.3}, "Adam": {}}
    widths = {"wide": {"model": "A wide", "options": {"dropout": 0.5}}}
    base = BASE | {"options": {"dropout": 0.1}}
    sweep = combine(base, {"optimizer": optimizers, "width": widths})
    assert sweep.recipes == {
        "optimizer SGD, width wide": Recipe(
            "A wide", {"dropout": 0.5}, epochs=1, optimizer="sgd", learning_rate=0.3
        ),
        "optimizer Adam, width wide": Recipe("A wide", {"dropout": 0.5}, epochs=1),
    }


def test_schedulers_and_augmentations_have_names():
    recipe = make_recipe({
        "model": "V2",
        "scheduler": {"name": "StepLR", "step_size": 2, "gamma": 0.3},
        "augment": {"name": "random_affine", "degrees": 5},
    })  # fmt: skip
    expected = Recipe("V2", scheduler=partial(StepLR, step_size=2, gamma=0.3),
                      augment=partial(random_affine, degrees=5))  # fmt: skip
    assert recipe == expected
    assert make_recipe({"model": "V2", "augment": "random_affine"}).augment.func is random_affine


def test_a_file_says_the_same_as_python(tmp_path):
    path = write(tmp_path, """
base: {model: A baseline, epochs: 1}
grid:
  learning_rate: [1e-3, 0.01]
  hidden: [[128, 64], [256, 64]]
""")  # fmt: skip
    python = combine(BASE, {"learning_rate": [0.001, 0.01], "hidden": [[128, 64], [256, 64]]})
    sweep = read_sweep(path)
    assert sweep.recipes == python.recipes
    assert list(sweep.levels["hidden"]) == ["128-64", "256-64"] * 2
    assert sweep.recipes["learning_rate 0.001, hidden 128-64"].learning_rate == 0.001


def test_a_file_may_name_its_recipes(tmp_path):
    path = write(tmp_path, """
base: {epochs: 2}
recipes:
  linear: {model: V0}
  deep: {model: D deep, loss: nll, normalized: yes}
""")  # fmt: skip
    sweep = read_sweep(path)
    assert sweep.recipes["linear"] == Recipe("V0", epochs=2)
    assert sweep.recipes["deep"] == Recipe("D deep", epochs=2, loss="nll", normalized=True)
    assert sweep.levels["recipe"].tolist() == ["linear", "deep"]


def test_recipes_may_share_what_one_of_them_says(tmp_path):
    text = "recipes:\n  a: &a {model: V0, epochs: 1}\n  b:\n    <<: *a\n    epochs: 2\n"
    recipes = read_sweep(write(tmp_path, text)).recipes
    assert [(r.model, r.epochs) for r in recipes.values()] == [("V0", 1), ("V0", 2)]


def test_runs_are_labelled_with_their_levels():
    sweep = combine(BASE, {"dropout": [0, 0.2]})
    runs = pd.DataFrame({"name": ["dropout 0.2", "dropout 0"], "seed": [0, 0], "x": [1.0, 2.0]})
    table = sweep.label(runs)
    assert list(table) == ["name", "seed", "dropout", "x"]
    assert table["dropout"].tolist() == ["0.2", "0"]


# 9 to the power of 9 values, if written out: an alias bomb.
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in itertools.pairwise("abcdefghi")
)
BAD_FILES = {
    "empty": ("", "plan.yaml is empty"),
    "only a comment": ("# nothing yet", "plan.yaml is empty"),
    "no YAML": ("base: {model: V0", "plan.yaml is not YAML: while parsing"),
    "a tab": ("base:\n\tmodel: V0", "is not YAML: .*line 2"),
    "not text": ("\x00\x01", "is not YAML"),
    "code": ("base: !!python/object/apply:os.system [touch run]", "is not YAML: could not determ"),
    "a list": ("- V0\n- V1", r"plan.yaml is \['V0', 'V1'\], expected names with values"),
    "a word": ("V0", "plan.yaml is 'V0', expected names with values"),
    "a name twice": ("base: {model: V0}\nbase: {model: V1}", "'base' stands here twice"),
    "an unknown part": ("gird: {dropout: [0]}", "unknown part of a sweep 'gird'; .* 'grid'"),
    "neither grid nor recipes": ("base: {model: V0}", "either a grid or recipes"),
    "both": ("grid: {epochs: [1]}\nrecipes: {a: {model: V0}}", "either a grid or recipes"),
    "no model": ("grid: {epochs: [1, 2]}", "epochs 1: no model is named"),
    "a model of several": (
        "base: {model: [V0, V1]}\ngrid: {epochs: [1]}", r"unknown model \['V0', 'V1'\]"
    ),
    "an unknown model": ("base: {model: V9}\ngrid: {epochs: [1]}", "epochs 1: unknown model 'V9'"),
    "an unknown setting": (
        "base: {model: V0}\ngrid: {learningrate: [1]}", "did you mean 'learning_rate'"
    ),
    "an option of another model": (
        "base: {model: V2}\ngrid: {dropout: [0]}", "dropout 0: unknown setting 'dropout'"
    ),
    "a level alone": ("base: {model: V0}\ngrid: {epochs: 1}", "'epochs' is 1, expected a list"),
    "no level": ("base: {model: V0}\ngrid: {epochs: []}", "'epochs' has no levels"),
    "a level twice": ("base: {model: V0}\ngrid: {epochs: [1, 2, 1]}", "'epochs' has a level twice"),
    "a level of the wrong type": (
        "base: {model: V0}\ngrid: {epochs: [1, two]}", "epochs two: epochs is 'two', expected"
    ),
    "a rate in words": (
        "base: {model: V0}\ngrid: {learning_rate: [fast]}", "learning_rate is 'fast', expected a"
    ),
    "a level out of range": (
        "base: {model: A wide}\ngrid: {dropout: [0, 1.5]}", "dropout 1.5: dropout is 1.5, expected"
    ),
    "one setting in two factors": (
        "base: {model: V0}\ngrid: {epochs: [1], long: {yes: {epochs: 9}}}",
        "epochs is set by two factors, 'epochs' and 'long'",
    ),
    "an unknown scheduler": (
        "base: {model: V0}\ngrid: {scheduler: [{name: StepLr}]}", "did you mean 'StepLR'"
    ),
    "a scheduler without its arguments": (
        "base: {model: V0}\ngrid: {scheduler: [StepLR]}", "missing 1 required .* 'step_size'"
    ),
    "a scheduler with another's": (
        "base: {model: V0}\ngrid: {scheduler: [{name: StepLR, gama: 1}]}", "argument 'gama'"
    ),
    "a recipe of words": ("recipes: {a: V0}", "a is 'V0', expected names with values"),
    "aliases of aliases": (BOMB, "holds more than 100,000 values, written out"),
    "aliases of aliases among options": (
        "recipes:\n  a:\n    model: V0\n    options:\n"
        + "".join(f"      {line}\n" for line in BOMB.splitlines()),
        "holds more than 100,000 values, written out",
    ),
    "a recipe of itself": ("recipes: &r\n  a: *r", "holds more than 100,000 values, written out"),
    "options in options": (
        "recipes: {a: {model: A wide, options: {hidden: {a: {b: 1}}}}}", "hidden is {'a': {'b': 1}}"
    ),
    "a model without end": (
        "recipes: {a: {model: A wide, hidden: [100000000000]}}", "does not fit into the memory"
    ),
    "a merge of a list": ("<<: [1, 2]", "is not YAML: .*expected a mapping for merging"),
    "more than can be run": (
        "base: {model: V0}\ngrid:\n"
        + "".join(f"  {name}: {list(range(1, 60))}\n" for name in ("epochs", "width", "depth")),
        r"205,379 combinations, more than 100,000\n.*vary fewer",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", BAD_FILES)
def test_a_file_that_is_not_clear_is_refused(mistake, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text, message = BAD_FILES[mistake]
    path = write(tmp_path, text)
    with pytest.raises(SweepError, match=message) as caught:
        read_sweep(path)
    assert "plan.yaml" in str(caught.value)
    assert os.listdir(tmp_path) == ["plan.yaml"], "and nothing was run"


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SweepError, match=r"no\.yaml cannot be read: No such file"):
        read_sweep(tmp_path / "no.yaml")
    with pytest.raises(SweepError, match="cannot be read: Is a directory"):
        read_sweep(tmp_path)


YAML = st.sampled_from("{}[]:,-&*!|>'\"\n \tgridbasemodelV0123.e#%@`")


@given(st.text(alphabet=YAML, max_size=60))
def test_any_text_is_a_sweep_or_is_refused(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text)
    try:
        assert read_sweep(path).recipes
    except SweepError as error:
        assert "any.yaml" in str(error)  # noqa: PT017, what else is raised fails the test


FACTORS = st.sampled_from(["epochs", "batch_size", "hidden_units"])
LEVELS = st.sets(st.integers(1, 99), min_size=1, max_size=4).map(list)


@given(st.dictionaries(FACTORS, LEVELS, min_size=1))
def test_combinations_are_as_many_as_the_product_and_all_differ(grid):
    sweep = combine({"model": "V0"}, grid)
    assert len(sweep.recipes) == math.prod(len(levels) for levels in grid.values())
    assert len(set(sweep.recipes.values())) == len(sweep.recipes) == len(sweep.levels)


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("0-3", [0, 1, 2, 3]), ("0,3,7", [0, 3, 7]), ("5", [5]), (" 1 - 2 , 9", [1, 2, 9])],
)
def test_seeds_are_read(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "3-1", "1,,2", "0-9999999", "1.5", "٣"])
def test_what_is_no_list_of_seeds_is_named(text):
    with pytest.raises(SweepError, match="are no list of numbers"):
        parse_seeds(text)


def test_a_seed_named_twice_is_refused():
    with pytest.raises(SweepError, match="name one twice"):
        parse_seeds("0-3,2")


@given(st.text(alphabet="0123456789-, ", max_size=12))
def test_any_text_is_a_list_of_seeds_or_is_refused(text):
    try:
        seeds = parse_seeds(text)
    except MnistkitError:
        return
    assert seeds
    assert len(set(seeds)) == len(seeds)


# --- killed -----------------------------------------------------------------------------------

KILL_PLAN = """
base: {model: A baseline, epochs: 1}
grid: {dropout: [0, 0.1, 0.2]}
"""


def finished(folder: Path) -> dict[str, tuple[int, str]]:
    return {p.name: (p.stat().st_mtime_ns, p.read_text()) for p in folder.glob("*.json")}


@pytest.mark.long
def test_a_killed_sweep_loses_what_was_in_flight_and_repeats_nothing(tmp_path):
    """No process can tidy up. Killed alone it leaves its workers behind, as a crash would."""
    plan, folder = write(tmp_path, KILL_PLAN), tmp_path / "out"
    command = [COMMAND, "sweep", plan, "--source", "sample", "--seeds", "0-5", "--folder", folder,
               "--jobs", "2"]  # fmt: skip
    before: dict[str, tuple[int, str]] = {}
    for with_workers in (False, True):
        process = psutil.Popen(
            command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while len(finished(folder)) < len(before) + 2 and process.poll() is None:
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.2))
        workers = process.children(recursive=True)
        for victim in [process, *(workers if with_workers else ())]:
            with suppress(psutil.NoSuchProcess):
                victim.kill()
        assert process.wait() != 0
        assert psutil.wait_procs(workers, timeout=HANGS)[1] == [], "none is left to itself"
        found = finished(folder)
        assert {name: found[name] for name in before} == before
        assert len(before) + 2 <= len(found) < 18
        before = found
    again = CliRunner().invoke(main, [str(part) for part in [*command[1:-1], 1]])
    assert again.exit_code == 0, again.output
    after = finished(folder)
    assert {name: after[name] for name in before} == before
    assert len(after) == len(pd.read_csv(folder / "runs.csv")) == 18


def test_killed_sweeps_give_the_rows_of_one_that_was_not(tmp_path, easy_digits):
    """Cut short after every run, and started again: the same frame, bit for bit."""
    recipes = combine({"model": "V0", "epochs": 1}, {"optimizer": ["sgd", "adam"]}).recipes
    whole = run_grid(recipes, range(2), easy_digits, jobs=1)
    for stop in range(4):
        run_grid(dict(list(recipes.items())[: stop // 2 + 1]), range(stop % 2 + 1), easy_digits,
                 folder=tmp_path, jobs=1)  # fmt: skip
    pieces = run_grid(recipes, range(2), easy_digits, folder=tmp_path, jobs=1)
    pd.testing.assert_frame_equal(whole.drop(columns="seconds"), pieces.drop(columns="seconds"))


@pytest.mark.parametrize(("grid", "complaint"), {
    "options": ({"dropout": [0, 0.5], "options": [{"dropout": 0.1}, {"activation": "tanh"}]},
                "dropout is set by two factors"),
    "a column's name": ({"seed": {"a": {"epochs": 1}, "b": {"epochs": 2}}}, "cannot be called"),
    "one name twice": ({"how": {1: {"epochs": 1}, "1": {"epochs": 2}}}, "has a name twice"),
}.values())  # fmt: skip
def test_factors_that_would_hide_each_other_are_refused(grid, complaint):
    with pytest.raises(SweepError, match=complaint):
        combine({"model": "A baseline"}, grid)


def test_recipes_that_would_hide_each_other_are_refused(tmp_path):
    path = write(tmp_path, "recipes: {1: {model: V0}, '1': {model: V1}}")
    with pytest.raises(SweepError, match="recipes has a name twice"):
        read_sweep(path)


@pytest.mark.parametrize("change", [
    {"scheduler": {"name": "StepLR", "step_size": "1"}},
    {"scheduler": {"name": "CosineAnnealingLR", "T_max": 0}},
    {"scheduler": {"name": "StepLR", "step_size": 1, "gamma": float("nan")}},
    {"augment": {"name": "random_affine", "degrees": "abc"}},
], ids=str)  # fmt: skip
def test_what_would_stop_a_run_later_is_refused_now(change):
    with pytest.raises(SweepError, match=r"the scheduler|augment cannot change images"):
        make_recipe({"model": "V0", **change})


def test_runs_that_have_a_column_of_a_factors_name_are_not_labelled():
    plan = combine({"epochs": 1}, {"model": ["V0", "A baseline"]})
    runs = pd.DataFrame({"name": list(plan.recipes), "seed": 0, "validation_accuracy": 0.9})
    labelled = plan.label(runs)
    assert labelled["model"].tolist() == ["V0", "A baseline"]
    for again in (labelled, runs.assign(model=None)):
        with pytest.raises(ValueError, match="the runs have a column 'model' already"):
            plan.label(again)
    with pytest.raises(ValueError, match="'x' is none of the recipes of this sweep"):
        plan.label(runs.assign(name="x"))


def test_levels_may_be_an_array_and_a_model_misspelt_is_named():
    assert len(combine({"model": "V0"}, {"learning_rate": np.logspace(-3, -1, 3)}).recipes) == 3
    with pytest.raises(SweepError, match="unknown setting 'modle'; did you mean 'model'"):
        combine({"modle": "V0"}, {"optimizer": ["sgd"]})
