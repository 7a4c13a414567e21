"""What an executed notebook recorded, printed and drew, found by a piece of its cell's source."""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

import nbformat
import pandas as pd
import PIL.Image
from nbformat import NotebookNode

from mnistkit.notebooks.records import read_records

NUMBER = r"(?<![\w.])[+-]?\d[\d,]*(?<!,)(?:\.\d+)?(?![\w.]*\w)"
SCORE = re.compile(r"(.+) ([+-]?[\d.,]+)(?: %)?(?:(?<=%)| \[([^,\]]+), ([^\]]+)\])")


class Score(NamedTuple):
    """A mean and its interval, in the unit in which it is written; NaN where there is none."""

    mean: float
    low: float = math.nan
    high: float = math.nan


class Figure(NamedTuple):
    """A figure's words: its alt text, what its file says of itself, and the caption below it."""

    alt: str
    description: str
    caption: str


class Outputs:
    """The outputs of a notebook, committed or executed just now.

    Each method takes a piece of source that one code cell alone holds, and raises LookupError
    if none or several hold it, or if what is asked for is not among the cell's outputs.
    Sources and sentences are without `mk.`, as the library itself writes its names.
    """

    def __init__(self, path: Path):
        self.name = path.stem
        self.cells = nbformat.read(path, as_version=4).cells
        for cell in self.cells:
            cell.source = re.sub(r"\bmk\.", "", cell.source)
        self.records = read_records(path)
        self.read: set[tuple[str, int]] = set()  # cell and offset of each printed number asked for

    def __getitem__(self, name: str) -> float:
        """Return a recorded number: accuracies and points as fractions."""
        found = (record.value for record in self.records if record.name == name)
        return only_first(found, f"{self.name} records no {name!r}")

    @property
    def code(self) -> list[NotebookNode]:
        return [cell for cell in self.cells if cell.cell_type == "code"]

    def cell(self, source: str) -> NotebookNode:
        found = [cell for cell in self.code if source in cell.source]
        if len(found) != 1:
            raise LookupError(f"{len(found)} cells of {self.name} hold {source!r}")
        return found[0]

    def text(self, source: str) -> str:
        """What the cell printed."""
        return printed(self.cell(source))

    def numbers(self, source: str, pattern: str = NUMBER) -> list[float]:
        """Return the numbers that a pattern finds in what was printed: its groups, or all of it.

        "60,000" is 60000. A group that ends in "%" is given as a fraction.
        """
        cell, found = self.cell(source), []
        for match in re.finditer(pattern, printed(cell), flags=re.M):
            for group in range(1, match.re.groups + 1) or [0]:
                found.append(to_number(match[group]))
                self.read.add((cell.id, match.start(group)))
        if not found:
            raise LookupError(f"{self.name} prints nothing like {pattern!r} at {source!r}")
        return found

    def number(self, source: str, pattern: str) -> float:
        """Return the only number that the pattern finds."""
        found = self.numbers(source, pattern)
        if len(found) != 1:
            raise LookupError(f"{self.name} prints {len(found)} numbers like {pattern!r}")
        return found[0]

    def table(self, source: str) -> pd.DataFrame:
        """Return the first table that the cell shows, its index as text."""
        return only_first(tables(self.cell(source)), f"no table at {source!r}")

    def figure(self, source: str) -> Figure:
        return only_first(figures(self.cell(source)), f"no figure at {source!r}")

    def alt(self, source: str) -> str:
        return self.figure(source).alt

    def scores(self, source: str) -> dict[str, Score]:
        """Return what the alt text says of each: "Title: V0 91.66 % [91.55, 91.77]; V1 ..."."""
        return scores(self.alt(source))


def only_first(found: Iterator, complaint: str):
    """Return the first there is, or raise LookupError."""
    for each in found:
        return each
    raise LookupError(complaint)


def printed(cell: NotebookNode) -> str:
    """What a cell printed, or showed as words in place of it."""
    return "".join(map(_words, cell.outputs))


def _words(output: NotebookNode) -> str:
    data = output.get("data", {})
    displayed = output.output_type == "display_data" and set(data) == {"text/plain", "text/html"}
    if displayed and "<style" not in data["text/html"]:  # which is pandas' own
        return data["text/plain"] + "\n"
    return output.text if output.get("name") == "stdout" else ""


def to_number(text: str) -> float:
    value = float(text.rstrip(" %").replace(",", "").replace("\N{MINUS SIGN}", "-"))
    return value / 100 if text.endswith("%") else value


def scores(alt: str) -> dict[str, Score]:
    """Read an alt text that names scores; empty if this one has another form."""
    parts = alt.partition(": ")[2].removesuffix(".").split("; ")
    found = [SCORE.fullmatch(part) for part in parts]
    if None in found:
        return {}
    return {m[1]: Score(*(to_number(v) for v in m.groups()[1:] if v)) for m in found}


def tables(cell: NotebookNode) -> Iterator[pd.DataFrame]:
    """Read each table that pandas drew."""
    for output in cell.outputs:
        html = output.get("data", {}).get("text/html", "")
        if "<table" in html:
            end = html.index("</table>") + len("</table>")
            yield _to_frame(ET.fromstring(html[html.index("<table") : end]))


def _to_frame(table: ET.Element) -> pd.DataFrame:
    head, *_ = table.find("thead")
    rows = [row for row in table.find("tbody")]
    index = [[cell.text or "" for cell in row.findall("th")] for row in rows]
    values = [[_cell(cell.text or "") for cell in row.findall("td")] for row in rows]
    width = len(values[0])
    columns = [cell.text or "" for cell in head][-width:]
    labels = [" ".join(words) for words in index] if index[0] else None
    return pd.DataFrame(values, index=labels, columns=columns)


def _cell(text: str) -> float | str:
    try:
        return to_number(text) if text[-1:] != "%" else text
    except ValueError:
        return text


def figures(cell: NotebookNode) -> Iterator[Figure]:
    """Read what is said of each figure, in all the places where it is said."""
    for output, after in pairwise([*cell.outputs, {}]):
        png = output.get("data", {}).get("image/png")
        if png:
            caption = after.get("data", {}).get("text/markdown", "")
            words = re.sub(r"^\*(?:Figure: )?|\*$", "", caption)
            said = PIL.Image.open(io.BytesIO(base64.b64decode(png))).text
            yield Figure(output.metadata["image/png"]["alt"], said.get("Description", ""), words)
