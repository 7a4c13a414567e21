"""The copies that nbval runs hold all cells as committed, few digits, and every solution."""

from __future__ import annotations

import nbformat
import pytest

from mnistkit.notebooks.execute import FIRST_LOOK, find_notebooks, parameter_defaults
from tests.notebooks.copies import write_copies


@pytest.fixture(scope="session")
def copies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copies") / "of"
    folder.mkdir()
    (folder / "00_stale.ipynb").write_text("of another day")
    write_copies(folder)
    return folder


def test_there_is_one_of_each_notebook_and_nothing_else(copies):
    assert [p.name for p in sorted(copies.iterdir())] == [p.name for p in find_notebooks()]


@pytest.mark.parametrize("path", find_notebooks(), ids=lambda path: path.stem)
def test_a_copy_differs_by_its_parameters_and_solutions_alone(copies, path):
    own, copy = (nbformat.read(p, 4).cells for p in (path, copies / path.name))
    added = [cell for cell in copy if cell.source not in {each.source for each in own}]
    kept = [cell for cell in copy if not any(cell is each for each in added)]
    assert [(c.source, c.get("outputs")) for c in kept] == [
        (c.source, c.get("outputs")) for c in own
    ]
    exercises = [c for c in own if "exercise" in c.metadata.get("tags", [])]
    solutions = [c for c in added if "assert said.startswith(" in c.source]
    assert len(solutions) == len(exercises) >= 4
    values: dict[str, object] = {}
    for cell in added:
        if "injected-parameters" in cell.metadata.get("tags", []):
            exec(cell.source, values)
    assert len(added) == len(solutions) + 1
    assert ("limit" in values) == ("limit" in parameter_defaults(path))
    assert values.get("limit") in (None, FIRST_LOOK["limit"])
