"""What a notebook recorded is shown, and read back from its file."""

from __future__ import annotations

import nbformat
import pytest

from mnistkit.notebooks.records import MIME_TYPE, Record, read_records, record, record_table


def test_numbers_are_shown_in_their_unit():
    values = {
        "accuracy": 0.91734,
        "points": -0.0021,
        "seconds": 2.54,
        "count": 54321,
        "number": 0.28671,
    }
    shown = [str(Record("x", value, unit)) for unit, value in values.items()]
    assert shown == ["91.73 %", "-0.21 points", "2.5 s", "54,321", "0.2867"]


def test_recorded_numbers_come_back_from_the_notebook(tmp_path, monkeypatch):
    bundles = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: bundles.append(bundle))
    record("mnist", n=10, accuracy={"V0 test accuracy": 0.917}, seconds={"V0 training": 2.5})
    cell = nbformat.v4.new_code_cell("record(...)")
    cell.outputs = [nbformat.v4.new_output("display_data", bundles[0])]
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "n.ipynb")
    assert read_records(tmp_path / "n.ipynb") == [
        Record("V0 test accuracy", 0.917, "accuracy", "mnist", 10),
        Record("V0 training", 2.5, "seconds", "mnist", 10),
    ]
    assert "91.70 %" in bundles[0]["text/plain"]
    assert MIME_TYPE in bundles[0]


def test_numbers_that_are_none_are_refused():
    with pytest.raises(ValueError, match="V0 is nan: only finite numbers are recorded"):
        record("mnist", accuracy={"V0": float("nan")})
    with pytest.raises(ValueError, match="unknown unit 'accuracies'; did you mean 'accuracy'"):
        record("mnist", accuracies={"V0": 0.9})


def test_table_of_nothing_is_empty():
    assert record_table([]).empty
