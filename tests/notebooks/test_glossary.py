"""Terms are set in italics where they are explained, and not used before that."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import nbformat
import pytest

from mnistkit.notebooks.execute import find_notebooks

GLOSSARY = Path(__file__).resolve().parents[2] / "notebooks" / "GLOSSARY.md"
ENTRY = re.compile(r"^- \*\*(.+?)\*\*.*?: .+? \(\[(\d\d)\]\((\d\d_\w+\.ipynb)\)\)$")
ENTRIES = {
    match[1]: match[3]
    for line in GLOSSARY.read_text(encoding="utf-8").splitlines()
    if (match := ENTRY.match(line))
}


@cache
def prose(name: str) -> list[str]:
    """The texts of a notebook; the first, its announcement, may name what is to come."""
    notebook = nbformat.read(GLOSSARY.parent / name, as_version=4)
    return [cell.source for cell in notebook.cells[1:] if cell.cell_type == "markdown"]


def stem(term: str) -> str:
    """`normalise` is introduced as *Normalising*, `logits` may be used as "logit"."""
    return re.escape(re.sub(r"(?<!s)s$|e$", "", term))


def test_every_line_is_an_entry_in_order_of_the_alphabet():
    lines = [line for line in GLOSSARY.read_text().splitlines() if line.startswith("-")]
    assert len(lines) == len(ENTRIES) > 50
    assert list(ENTRIES) == sorted(ENTRIES, key=str.lower)


@pytest.mark.parametrize("term", ENTRIES)
def test_a_term_is_explained_where_the_glossary_says_and_not_used_before(term):
    forms = stem(term) + ("" if len(term) < 4 else r"[\w']*")
    explained = re.compile(rf"\*{forms}\*", re.IGNORECASE)
    used = re.compile(rf"(?<![\w`]){forms}(?!\w)", re.IGNORECASE)
    for path in find_notebooks():
        for place, text in enumerate(prose(path.name), 1):
            if explained.search(text):
                assert path.name == ENTRIES[term], f"{path.stem}, text {place} explains it first"
                return
            assert not used.search(text), f"{path.stem}, text {place} uses it: {text[:80]}"
    raise AssertionError("no notebook explains it")
