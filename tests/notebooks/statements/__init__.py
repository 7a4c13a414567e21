"""Every sentence of the readings that states something, and the outputs that bear it out.

The modules n01 to n07 hold a notebook's `STATEMENTS`, and in `FOLLOWS` functions that say of
what is printed or drawn there how it follows from something else.
`python -m tests.notebooks.statements 05` lists the sentences and the printed numbers of a
notebook that nothing covers yet.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from tests.notebooks.statements.agreement import disagreements, known_elsewhere
from tests.notebooks.statements.bounds import out_of_bounds
from tests.notebooks.statements.outputs import NUMBER, Outputs, printed
from tests.notebooks.statements.sentences import (
    normalised,
    readings,
    sentences,
    states_something,
)

EXACT = "nbval-check-output"  # what these cells print is compared word by word elsewhere

Predicate = Callable[[Outputs], bool]


@dataclass(frozen=True)
class Statement:
    """Words as they stand in a notebook, and what makes them true.

    holds: takes the outputs, on full MNIST, and says whether they bear the words out.
    source: in place of it, where general knowledge is known from: a definition, a citation; or
    that the words state nothing, such as an instruction.
    """

    words: str
    holds: Predicate | None = None
    source: str = ""

    def __post_init__(self):
        if (self.holds is None) != bool(self.source.strip()):
            raise ValueError(f"{self.words!r} needs either a predicate or a source")
        if len(self.words.split()) < 3:
            raise ValueError(f"{self.words!r} could stand anywhere")


def module_of(notebook: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.n{notebook[:2]}")


def failures(outputs: Outputs) -> list[str]:
    """Say what is wrong with a notebook's outputs, committed or executed anew."""
    module = module_of(outputs.name)
    checks = [(s.words, s.holds) for s in module.STATEMENTS if s.holds]
    checks += [(follows.__name__.replace("_", " "), follows) for follows in module.FOLLOWS]
    wrong = [f"{why}: {words}" for words, holds in checks if (why := _doubt(holds, outputs))]
    return [*wrong, *out_of_bounds(outputs), *disagreements(outputs)]


def _doubt(holds: Predicate, outputs: Outputs) -> str:
    """Why a predicate does not bear its words out; empty if it does."""
    try:
        return "" if is_true(holds, outputs) else "does not hold"
    except LookupError as error:
        return f"cannot be told, for {error}"


def is_true(holds: Predicate, outputs: Outputs) -> bool:
    """Ask a predicate; one that gives no truth value, as a generator does, is a mistake."""
    answer = holds(outputs)
    if not isinstance(answer, bool | np.bool_):
        raise TypeError(f"a predicate gives {type(answer).__name__}, and not True or False")
    return bool(answer)


def not_there(outputs: Outputs) -> list[str]:
    """The statements whose words are in no text of the notebook."""
    texts = [normalised(cell.source) for cell in outputs.cells if cell.cell_type == "markdown"]
    words = [normalised(statement.words) for statement in module_of(outputs.name).STATEMENTS]
    return [each for each in words if not any(each in text for text in texts)]


def uncovered(outputs: Outputs) -> list[str]:
    """The sentences that state something, and that no statement holds or lies in."""
    words = [normalised(statement.words) for statement in module_of(outputs.name).STATEMENTS]
    stating = [
        sentence
        for text in readings(outputs.cells)
        for sentence in sentences(text)
        if states_something(sentence)
    ]
    return [s for s in stating if not any(each in s or s in each for each in words)]


def unchecked(outputs: Outputs) -> list[str]:
    """The printed numbers that no predicate has read and that stand nowhere else.

    Ask it after `failures`. A number that stands in the cell's source was not measured, nor
    was one in the line that names the device.
    """
    return [
        f"{line.strip()}: {number}"
        for cell in outputs.code
        if EXACT not in cell.metadata.get("tags", [])
        for start, number, line in _printed_numbers(cell)
        if (cell.id, start) not in outputs.read
        and number not in cell.source
        and not known_elsewhere(number, cell, outputs)
    ]


def _printed_numbers(cell) -> Iterator[tuple[int, str, str]]:
    text = printed(cell)
    for match in re.finditer(NUMBER, text):
        line = text[: match.start()].rpartition("\n")[2] + text[match.start() :].partition("\n")[0]
        if not line.startswith("device: "):
            yield match.start(), match[0], line
