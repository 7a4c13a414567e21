"""The scoreboard says the same in a terminal, in a notebook and in the README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from mnistkit.errors import UnknownNameError
from mnistkit.handwriting.reader import read_card
from mnistkit.study import report as scoreboard
from mnistkit.study.claims import CLAIMS
from mnistkit.study.ladder import LADDER
from mnistkit.study.reader import AIMS
from mnistkit.study.table import read_table
from tests.study.lacking import without

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def published():
    return read_table()


def test_a_notebook_shows_the_verdicts_as_lines_and_as_a_table_that_agree(monkeypatch):
    said = []
    monkeypatch.setattr(scoreboard, "say", lambda text, html: said.append((text, html)))
    for source in ("mnist", "sample"):
        scoreboard.print_verdicts(["C1", "A5"], source)
        text, html = said.pop()
        rows = [[cell.get_text() for cell in row.find_all("td")]
                for row in BeautifulSoup(html, "html.parser").tbody.find_all("tr")]  # fmt: skip
        for line, row in zip(text.splitlines(), rows, strict=True):
            assert re.split(" {2,}", line) == [cell for cell in row if cell]


def test_the_board_has_a_row_a_claim(published):
    board = scoreboard.scoreboard(published)
    assert list(board.index) == [claim.id for claim in CLAIMS]
    assert board.loc["C1", "published"] == "91.94 %"
    assert re.fullmatch(r"\d\d\.\d\d \[\d\d\.\d\d, \d\d\.\d\d\] %", board.loc["C1", "here"])
    assert board.loc["C1", "n"] == 20
    assert set(board["data"]) == {"mnist", ""}


def test_a_verdict_line_names_claim_measurement_runs_and_verdict(published):
    (line,) = scoreboard.verdict_lines(["C1"], "mnist", published)
    words = r"C1  V0 reaches 91\.94 % +91\.\d\d \[91\.\d\d, 92\.\d\d\] % \(n = 20, mnist\)  \w+"
    assert re.fullmatch(words, line)


def test_on_the_sample_there_is_no_verdict():
    lines = scoreboard.verdict_lines(["C1", "A5"], "sample")
    assert [line.split() for line in lines] == [
        ["C1", "V0", "reaches", "91.94", "%", "needs", "full", "MNIST"],
        ["A5", "SGD", "beats", "Adam", "needs", "full", "MNIST"],
    ]


def test_lines_are_printed_in_the_order_asked(capsys):
    scoreboard.print_verdicts(["E4", "D2"], "mnist")
    printed = capsys.readouterr().out.splitlines()
    assert [line[:2] for line in printed] == ["E4", "D2"]
    with pytest.raises(UnknownNameError, match="unknown claim 'C8'"):
        scoreboard.print_verdicts(["C8"], "mnist")


def test_the_runs_are_described_with_data_machine_and_threads(published):
    words = scoreboard.describe(published)
    threads = "1 thread a run, features on 2"
    for part in (f"{len(published.frame)} runs on mnist", "int8 model", threads, "PyTorch 2."):
        assert part in words
    # interrupted between the heads and their features
    assert "features on" not in scoreboard.describe(without(published, "MobileNetV2 features", 0))


def test_pages_are_replaced_between_their_marks_only(published, tmp_path):
    first, library = tmp_path / "README.md", tmp_path / "mnistkit" / "README.md"
    library.parent.mkdir()
    first.write_text("before\n<!-- headline -->\nstale words\n<!-- end of headline -->\nafter\n")
    library.write_text("before\n<!-- scoreboard -->\nstale words\n<!-- end of scoreboard -->\n"
                       "<!-- beyond -->\n<!-- end of beyond -->\n"
                       "<!-- reader -->\n<!-- end of reader -->\nafter\n")  # fmt: skip
    assert scoreboard.update_pages(tmp_path, published)
    assert not scoreboard.update_pages(tmp_path, published), "a second time changes nothing"
    for page, rows in ((first, 5), (library, len(CLAIMS) + 1 + len(LADDER) + 2 + len(AIMS) + 1)):
        text = page.read_text("utf-8")
        assert text.startswith("before\n")
        assert text.endswith("\nafter\n")
        assert "stale words" not in text
        assert text.count("\n| ") == rows
    library.write_text("no marks")
    with pytest.raises(ValueError, match=r"README\.md must hold"):
        scoreboard.update_pages(tmp_path, published)
    assert library.read_text() == "no marks"


def test_the_reader_stands_on_the_scoreboard_as_on_its_card(published):
    words = scoreboard.to_text(published)
    first = read_card()["runs"]
    assert f"`make reader` trains and measures it anew\n{len(first)} runs\n" in words
    mean = sum(run["clean"] for run in first) / len(first)
    assert re.search(rf"clean test digits read +{mean:.2%}", words)


def test_the_headline_counts_every_claim_once(published):
    rows = scoreboard.headline(published).splitlines()[2:]
    counts = [int(row.split("|")[2]) for row in rows]
    ids = [name for row in rows for name in re.findall(r"[A-E]\d", row)]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) == len(ids) == len(CLAIMS)
    assert set(ids) == {claim.id for claim in CLAIMS}
    assert "| surpassed | 2 | B1, E3 |" in rows


def test_the_pages_show_the_published_runs(published, tmp_path):
    """If this fails: `mnistkit scoreboard --runs ... --publish` writes table and pages."""
    for page in ("README.md", "mnistkit/README.md"):
        (tmp_path / page).parent.mkdir(exist_ok=True)
        (tmp_path / page).write_bytes((ROOT / page).read_bytes())
    assert not scoreboard.update_pages(tmp_path, published)
