"""The sentences of a notebook's readings, and which of them state what outputs can bear out."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nbformat import NotebookNode

FENCE = re.compile(r"^ *```.*?^ *```", re.M | re.S)
BLOCK = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*+]|\d+\.)\s)")
LEFT_OUT = re.compile(r"\s*(?:#|\||<!--)")  # headings and tables
MARKER = re.compile(r"^\s*(?:[-*+]|\d+\.)\s+")
COMPARES_NOTHING = r"\b(?:at all|after all|rather than|other than)\b"
CODE, TARGET, MATH = r"`[^`]+`", r"(?<=\])\([^)]*\)", r"\$[^$]+\$"
NOTEBOOK = r"\[\d\d_\w+\]"  # its number counts nothing
CLOSING = r"""["'\u201d\u2019)*_\]]*"""
END = re.compile(rf"""[.!?]{CLOSING}\s+(?=["'\u201c\u2018(*_\[`$]*[A-Z0-9±])""")
# These end no sentence: an abbreviation, one before a number, an initial (A to E are the READMEs).
ABBREVIATION = re.compile(r"(?:^|[\s(\[*_])(?:e\.g|i\.e|cf|vs|al|approx|Dr|Prof|St|Mrs?|[F-Z])\.$")
BEFORE_NUMBER = re.compile(r"(?:^|[\s(\[*_])(?:nos?|pp?|fig|eq|sec|ch|vol)\.$", re.I)
QUESTION = re.compile(rf"\?{CLOSING}$")

COMPARISONS = """
    than most least best worst more fewer fewest less lesser half halves halved twice thrice
    double none nothing nobody all every everything everyone everybody always never only same
    equal equally larger largest smaller smallest greater greatest bigger biggest better worse
    higher highest lower lowest longer longest shorter shortest faster fastest slower slowest
    wider widest narrower narrowest deeper deepest easier easiest harder hardest cheaper
    cheapest closer closest nearer nearest earlier earliest later latest quicker steadier
    surer surest sharper sharpest rarer rarest safer dearer weaker stronger weakest strongest
    above below first second last beat beats exceed exceeds outperform outperforms surpass
    surpasses two three four five six seven eight nine ten eleven twelve thirteen fourteen
    fifteen sixteen twenty thirty forty fifty sixty seventy eighty ninety hundred hundreds
    thousand thousands million third thirds quarter quarters fourth fifth sixth eighth tenth
    tenths hundredth hundredths thousandth dozen zero
"""
STATES = re.compile(rf"(?<![A-Za-z\d_])\d|\b(?:{'|'.join(COMPARISONS.split())})\b", re.I)


def readings(cells: list[NotebookNode]) -> list[str]:
    """The texts between the title and the exercises."""
    words = [cell.source for cell in cells[1:] if cell.cell_type == "markdown"]
    whole = "\n\n\0".join(words)
    return re.split(r"^\0?## Exercises$", whole, flags=re.M)[0].split("\0")


def sentences(markdown: str) -> Iterator[str]:
    """Split a text into sentences, without headings, tables and blocks of code."""
    for block in BLOCK.split(FENCE.sub("", markdown)):
        lines = [line for line in block.splitlines() if not LEFT_OUT.match(line)]
        yield from _split(normalised(MARKER.sub("", "\n".join(lines))))


def _split(text: str) -> Iterator[str]:
    masked, start = mask(text, CODE, TARGET, MATH), 0
    for end in END.finditer(masked):
        before, after = masked[: end.start() + 1], masked[end.end() :].lstrip("([*_")
        if ABBREVIATION.search(before) or (BEFORE_NUMBER.search(before) and after[0].isdigit()):
            continue
        yield text[start : end.end()].strip()
        start = end.end()
    if text[start:]:
        yield text[start:]


def mask(text: str, *patterns: str, by: str = "X") -> str:
    """Put a letter for every character of what the patterns match."""
    for pattern in patterns:
        text = re.sub(pattern, lambda match: by * len(match[0]), text)
    return text


def states_something(sentence: str) -> bool:
    """Whether a sentence holds a number, a comparison or an order, and asks nothing."""
    bare = mask(sentence, CODE, TARGET, NOTEBOOK, COMPARES_NOTHING, by=" ")
    return not QUESTION.search(sentence) and bool(STATES.search(bare))


def normalised(text: str) -> str:
    return " ".join(text.split())
