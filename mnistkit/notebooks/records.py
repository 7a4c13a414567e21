"""The numbers a notebook recorded: shown at its end, and read back from its file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from mnistkit.errors import needs_package, unknown_name

MIME_TYPE = "application/vnd.mnistkit.records+json"
UNITS = ("accuracy", "seconds", "count", "points", "number")


@dataclass(frozen=True)
class Record:
    """One number: its name, value, unit, the data it was measured on, how many runs.

    unit: "accuracy" (a fraction, shown in percent), "points" (a difference of accuracies,
    a fraction, too), "seconds", "count" or "number".
    """

    name: str
    value: float
    unit: str = "accuracy"
    source: str = ""
    n: int = 1

    def __str__(self) -> str:
        """Format the value in its unit."""
        if self.unit in ("accuracy", "points"):
            sign = "+" if self.unit == "points" else ""
            return f"{100 * self.value:{sign}.2f} {'%' if self.unit == 'accuracy' else 'points'}"
        if self.unit == "seconds":
            return f"{self.value:.1f} s"
        return f"{self.value:,.0f}" if self.unit == "count" else f"{self.value:.4g}"


def record(source: str, *, n: int = 1, **units: Mapping[str, float]) -> None:
    """Show numbers as a table and keep them in the notebook's output.

    source: the data they were measured on. n: the runs behind each. units: for each unit
    (see `Record`) the numbers by name, as in `accuracy={"V0 test accuracy": 0.918}`.
    Raises ValueError for an unknown unit or a value that is no finite number.
    """
    with needs_package("recording in a notebook", "lab"):
        from IPython.display import display

    records = []
    for unit, values in units.items():
        if unit not in UNITS:
            raise unknown_name("unit", unit, UNITS)
        records += [Record(name, float(value), unit, source, n) for name, value in values.items()]
    for entry in records:
        if not math.isfinite(entry.value):
            raise ValueError(f"{entry.name} is {entry.value}: only finite numbers are recorded")
    table = record_table(records)
    bundle = {
        MIME_TYPE: [asdict(entry) for entry in records],
        "text/html": table.to_html(index=False),
        "text/plain": table.to_string(index=False),
    }
    display(bundle, raw=True)


def record_table(records: list[Record]) -> pd.DataFrame:
    """One row a number, as text."""
    rows = [{"number": r.name, "value": str(r), "runs": r.n, "data": r.source} for r in records]
    return pd.DataFrame(rows, columns=["number", "value", "runs", "data"])


def read_records(path: str | Path) -> list[Record]:
    """Read the numbers that an executed notebook recorded, in order."""
    with needs_package("reading a notebook", "lab"):
        import nbformat
    notebook = nbformat.read(path, as_version=4)
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    found = [o["data"][MIME_TYPE] for o in outputs if MIME_TYPE in o.get("data", {})]
    return [Record(**entry) for entries in found for entry in entries]
