"""The tool that counts what tests notice makes one change at a time, and knows a killed one."""

from __future__ import annotations

import ast
import random

import pytest

from tests import mutants
from tests.mutants import Mutant, find_mutants, mutated, source_of

EVERY = [name if room == "core" else f"{room}/{name}"
         for room, names in mutants.ROOMS.items() for name in names]  # fmt: skip


def changed_in(source: str) -> set[str]:
    """Every change of a piece of code, as the code is with it."""
    found = set()
    for place in range(len(list(mutants.changes(ast.parse(source))))):
        tree = ast.parse(source)
        list(mutants.changes(tree))[place][2]()
        found.add(ast.unparse(ast.fix_missing_locations(tree)))
    return found


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", {"a <= b"}),
        ("a < b < c", {"a <= b < c", "a < b <= c"}),
        ("a + 2 * b", {"a - 2 * b", "a + 2 / b", "a + 3 * b"}),
        ("not a", {"a"}),
        ("f(x, y=True)", {"None", "f(x)", "f(x, y=False)"}),
        ("x = f(y=z)", {"x = f()"}),
        ("def f(a: Array[3]) -> Tuple[4]:\n    return a",
         {"def f(a: Array[3]) -> Tuple[4]:\n    return"}),
        ("if a and b:\n    pass", {"if not (a and b):\n    pass", "if a or b:\n    pass"}),
        ("'words' in names", {"'words' not in names"}),
        ("if TYPE_CHECKING:\n    x = 1", set()),
        ("x += 1", {"x -= 1", "x += 2"}),
    ],
)  # fmt: skip
def test_one_thing_is_changed_at_a_time(source, expected):
    assert changed_in(source) == expected


@pytest.mark.parametrize("module", EVERY)
def test_a_mutant_is_another_program_and_has_tests(module):
    found = find_mutants(module)
    source = (mutants.ROOT / source_of(module)).read_text("utf-8")
    own = ast.unparse(ast.parse(source))
    for mutant in random.Random(module).sample(found, 1):
        assert mutated(mutant, source) != own
        compile(mutated(mutant, source), module, "exec")
        assert 0 < mutant.line <= len(own.splitlines()) * 3
        for path in mutant.tests:
            assert (mutants.ROOT / path).is_file()


@pytest.mark.long
def test_what_tests_notice_is_killed_and_what_changes_nothing_survives(tmp_path, monkeypatch):
    for folder in ("mnistkit", "tests"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
    (tmp_path / "mnistkit" / "own.py").write_text(
        "LEAST = 5\n\n\ndef rest(number):\n    while number > 9:\n        number -= 9\n"
        "    return number\n"
    )
    (tmp_path / "tests" / "test_own.py").write_text(
        "from mnistkit.own import rest\n\n\ndef test_rest():\n    assert rest(20) == 2\n"
    )
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    monkeypatch.setattr(mutants, "LONGEST", 5.0)
    monkeypatch.setattr(mutants, "EVERYWHERE", [])
    (tmp_path / "build").mkdir()
    killed = {m.change: dead for m, dead in mutants.run(find_mutants("own"), jobs=2)}
    assert killed.pop("5 to 6") is False, "nobody asks for it"
    assert killed.pop("Gt to GtE") is False, "20 and 11 are no 9"
    assert all(killed.values()), killed
    assert len(killed) == 4  # there are two of `9 to 10`; the sum never ends, which is noticed
    kept = tmp_path / "build" / "mutants" / "0" / "mnistkit" / "own.py"
    assert kept.read_text() == (tmp_path / "mnistkit" / "own.py").read_text(), "as it was"
    assert Mutant("a/b", 0, 1, "").tests == ["tests/a/test_b.py"]


def test_what_survived_can_be_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    for folder in ("mnistkit", "build"):
        (tmp_path / folder).mkdir()
    for name in ("own", "other"):
        (tmp_path / "mnistkit" / f"{name}.py").write_text("LEAST = 5\nMOST = 7\n")
    tried = [(mutant, bool(mutant.place)) for name in ("own", "other")
             for mutant in find_mutants(name)]  # fmt: skip
    mutants.write_tried(tried)
    assert mutants.read_tried() == tried
    words = (tmp_path / "build" / "mutants.txt").read_text()
    assert words == "other.py:1: 5 to 6: LEAST = 5\nown.py:1: 5 to 6: LEAST = 5\n"
    (tmp_path / "mnistkit" / "own.py").write_text("FEW = 1\nMOST = 7\n")
    moved = Mutant("own", 1, 2, "7 to 8")
    assert mutants.read_tried() == [(moved, False), *tried[2:]], "LEAST is no more"
