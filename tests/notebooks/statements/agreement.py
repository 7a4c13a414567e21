"""What stands twice in a notebook's outputs must agree, whatever the notebook."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import pandas as pd
from nbformat import NotebookNode

from mnistkit.notebooks.records import MIME_TYPE, Record, record_table
from tests.notebooks.statements.outputs import (
    NUMBER,
    Outputs,
    figures,
    printed,
    scores,
    tables,
    to_number,
)

IN_BRACKETS = re.compile(
    rf"({NUMBER})(?: %| points)? \[({NUMBER}), ({NUMBER})\]|"
    rf"({NUMBER}) points, 95 % interval ({NUMBER}) to ({NUMBER})"
)
RIGHT = re.compile(r"([\d,]+) of ([\d,]+) right(?: \(([\d.]+) %\))?")
TIMES = re.compile(r"\d as \d, (\d+) times")


def disagreements(outputs: Outputs) -> list[str]:
    """Say what contradicts itself among a notebook's outputs."""
    rules = (_figures, _tables, _records, _intervals, _probabilities, _counts, _comparisons)
    return [complaint for rule in rules for complaint in rule(outputs)]


def known_elsewhere(number: str, cell: NotebookNode, outputs: Outputs) -> bool:
    """Whether a printed number is recorded, or stands in a table, a figure or another cell too."""
    if sum(character.isdigit() for character in number) < 3:
        return False
    mine, places = to_number(number), len(number.partition(".")[2])
    texts = [figure.alt for each in outputs.code for figure in figures(each)]
    texts += [printed(each) for each in outputs.code if each is not cell]
    found = [to_number(m) for text in texts for m in re.findall(NUMBER, text)]
    found += [v for each in outputs.code for t in tables(each) for v in t.to_numpy().flat]
    found += [record.value for record in outputs.records]
    near = [v * unit for v in found if not isinstance(v, str) for unit in (1, 100)]
    return any(abs(v - mine) <= 0.5001 * 10.0**-places for v in near)


def _figures(outputs: Outputs) -> Iterator[str]:
    """A figure's alt text is what its file says, and its caption, if it has one."""
    for figure in itertools.chain.from_iterable(map(figures, outputs.code)):
        if figure.alt != figure.description or figure.caption not in ("", figure.alt):
            yield f"a figure says different things of itself: {figure}"


def _tables(outputs: Outputs) -> Iterator[str]:
    """A table says the same as HTML and as text."""
    for output in (output for cell in outputs.code for output in cell.outputs):
        data = output.get("data", {})
        if "<table" in data.get("text/html", ""):
            html = re.sub(r"<style.*?</style>|<[^>]+>", " ", data["text/html"], flags=re.S)
            for one, other in ((html, data["text/plain"]), (data["text/plain"], html)):
                if missing := set(re.findall(NUMBER, one)) - set(re.findall(NUMBER, other)):
                    yield f"a table has {sorted(missing)} in one of its two forms only"


def _records(outputs: Outputs) -> Iterator[str]:
    """What is recorded is what the reader sees in the table of records."""
    for output in (output for cell in outputs.code for output in cell.outputs):
        if entries := output.get("data", {}).get(MIME_TYPE):
            table = record_table([Record(**entry) for entry in entries])
            shown = output.data["text/html"], output.data["text/plain"]
            if shown != (table.to_html(index=False), table.to_string(index=False)):
                yield f"a table of records does not show what was recorded:\n{table}"


def _intervals(outputs: Outputs) -> Iterator[str]:
    """An interval contains its mean, in tables, figures and printed lines."""
    for cell in outputs.code:
        for table in tables(cell):
            for low, middle, high in _ends(table):
                if not ((low <= middle) & (middle <= high) | middle.isna() | low.isna()).all():
                    yield f"an interval without its mean:\n{table}"
        for text in (printed(cell), *(figure.alt for figure in figures(cell))):
            for match in IN_BRACKETS.finditer(text):
                middle, low, high = (to_number(v) for v in match.groups() if v)
                if not low <= middle <= high:
                    yield f"an interval without its mean: {match[0]}"


def _ends(table: pd.DataFrame) -> Iterator[tuple[pd.Series, ...]]:
    """Columns named low and high, or gain_low and gain_high, with what lies between them."""
    for low in (c for c in table.columns if re.fullmatch(r"(\w+_)?low", c)):
        prefix = low.removesuffix("low")
        middles = [prefix.rstrip("_")] if prefix else ["mean", "points", "accuracy"]
        for middle in (m for m in middles if m in table.columns):
            columns = (table[low], table[middle], table[f"{prefix}high"])
            yield tuple(pd.to_numeric(column, errors="coerce") for column in columns)


def _probabilities(outputs: Outputs) -> Iterator[str]:
    """A p lies between 0 and 1, where a row has one."""
    for table in itertools.chain.from_iterable(map(tables, outputs.code)):
        if "p" in table and not pd.to_numeric(table["p"]).dropna().between(0, 1).all():
            yield f"p is no probability:\n{table}"


def _counts(outputs: Outputs) -> Iterator[str]:
    """A share is that of its counts, which leave room for the mistakes named beside them."""
    for alt in (figure.alt for cell in outputs.code for figure in figures(cell)):
        for right, total, share in RIGHT.findall(alt):
            count, of = to_number(right), to_number(total)
            mistakes = sum(map(int, TIMES.findall(alt))) + alt.count("Pred: ")
            if share and f"{100 * count / of:.2f}" != share:
                yield f"the share is not that of the counts: {alt}"
            if count + mistakes > of or (alt.count("Pred: ") and count + mistakes != of):
                yield f"more is wrong than there is: {alt}"


def _comparisons(outputs: Outputs) -> Iterator[str]:
    """What a figure says of a model is what the table with all its models says."""
    known = [t for cell in outputs.code for t in tables(cell) if {"mean", "low", "high"} <= {*t}]
    for alt in (figure.alt for cell in outputs.code for figure in figures(cell)):
        drawn = scores(alt)
        for table in (t for t in known if drawn and drawn.keys() <= {*t.index}):
            rows = table.loc[[*drawn], ["mean", "low", "high"]].astype(float).to_numpy()
            unit = 100 if rows.max() <= 1 else 1
            pairs = [
                pair
                for row, score in zip(unit * rows, drawn.values(), strict=True)
                for pair in zip(row, score, strict=True)
            ]
            if any(abs(told - shown) > 0.011 for told, shown in pairs):
                yield f"a figure differs from the table that it draws: {alt}"
