"""The scoreboard: every claim, what was measured, the verdict, and one line why."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mnistkit.data import OTHERS, SOURCES
from mnistkit.handwriting.reader import read_card
from mnistkit.study import ladder, reader
from mnistkit.study.claims import CLAIMS, Claim, Finding, find_claims, judge
from mnistkit.study.plan import ENSEMBLE, FEATURES, full_plan
from mnistkit.study.rules import spread
from mnistkit.study.table import Runs, read_table
from mnistkit.utils.page import say, table_of_words
from mnistkit.utils.storage import replace_between_marks
from mnistkit.utils.validation import check_choice

_NEEDS = "needs full MNIST"
_WIDTH = max(len(claim.statement) for claim in CLAIMS)


def findings(runs: Runs, claims: Sequence[Claim] = CLAIMS) -> list[Finding]:
    """Judge claims, by default all, from these runs."""
    planned = {entry.name: len(entry.seeds) for entry in full_plan(runs.frame)}
    return [judge(claim, runs, planned) for claim in claims]


def scoreboard(runs: Runs | None = None) -> pd.DataFrame:
    """One row a claim: published, measured (how), here, n, data, verdict, why.

    runs: from `read_folder`; by default those that come with the package.
    """
    found = findings(read_table() if runs is None else runs)
    rows = [
        {
            "id": finding.claim.id,
            "claim": finding.claim.statement,
            "published": finding.claim.published,
            "measured": finding.claim.measured,
            "here": finding.here,
            "n": finding.n or "",
            "data": finding.data,
            "verdict": finding.verdict,
            "why": finding.why,
        }
        for finding in found
    ]
    return pd.DataFrame(rows).set_index("id")


def verdict_table(ids: Sequence[str], source: str, runs: Runs | None = None) -> pd.DataFrame:
    """One row a claim, with columns id, claim, measured and verdict.

    source: of the reader's own digits. On the sample, which has 5,000, the verdict is that the
    claim needs full MNIST. Raises UnknownNameError for an id.
    """
    claims = find_claims(ids)
    if source == "sample":
        rows = [(claim.id, claim.statement, "", _NEEDS) for claim in claims]
    else:
        found = findings(read_table() if runs is None else runs, claims)
        rows = [_cells(finding) for finding in found]
    return pd.DataFrame(rows, columns=["", "claim", "measured", "verdict"])


def verdict_lines(ids: Sequence[str], source: str, runs: Runs | None = None) -> list[str]:
    """One line a claim, of what `verdict_table` gives."""
    return _lines(verdict_table(ids, source, runs))


def print_verdicts(ids: Sequence[str], source: str) -> None:
    """Show the verdicts of the published scoreboard; see `verdict_table`."""
    if isinstance(ids, str):
        raise ValueError(f"ids are a word: give a list, [{ids!r}]")
    check_choice("source", source, (*SOURCES, *OTHERS))
    table = verdict_table(ids, source)
    say("\n".join(_lines(table)), html=table_of_words(table))


def to_text(runs: Runs) -> str:
    """The scoreboard for a terminal: two lines a claim, and a count of verdicts."""
    found = findings(runs)
    lines = [
        text for f in found for text in (_line(*_cells(f)), *([f"    {f.why}"] if f.why else []))
    ]
    counts = Counter(f.verdict for f in found)
    total = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
    verdicts = f"{len(found)} claims: {total}"
    steps = ["beyond the READMEs, step by step", ladder.to_text(runs)]
    found = _unclaimed(runs)
    width = max(map(len, found), default=0)
    beside = [f"    {name:{width}}  {shown}" for name, shown in found.items()]
    others = ["measured beside the claims", *beside]
    own = ["the reader that comes with the library; `make reader` trains and measures it anew",
           reader.to_text(read_card()["runs"])]  # fmt: skip
    return "\n".join([*lines, "", verdicts, "", *steps, "", *own, "", *others, "", describe(runs)])


def _unclaimed(runs: Runs) -> dict[str, str]:
    """Accuracy of each recipe that was measured on test and that no claim needs, by name."""
    above = {
        name for claim in CLAIMS for name in (*claim.rule.names, *claim.rule.tried, *claim.needs)
    }
    above |= {step.name for step in ladder.LADDER}
    names = [e.name for e in full_plan(runs.frame) if e.test and e.name not in above]
    found = {name: runs.accuracy(name) for name in names if len(runs.of(name))}
    return {name: f"{spread(interval)} (n = {interval.n})" for name, interval in found.items()}


def to_markdown(runs: Runs) -> str:
    """The scoreboard as a table for a page."""
    head = ["| | claim | published | here | n | verdict | why |", "|---|---|---|---|---|---|---|"]
    columns = ["claim", "published", "here", "n", "verdict", "why"]
    table = scoreboard(runs)[columns].astype(str)
    rows = [f"| {' | '.join(row)} |" for row in table.itertuples()]
    beside = "; ".join(f"{name} {shown}" for name, shown in _unclaimed(runs).items())
    return "\n".join(
        [*head, *rows, "", f"Measured beside the claims: {beside}.", "", describe(runs)]
    )


def describe(runs: Runs) -> str:
    """Say what the runs are: how many, of which data, on what machine, how long."""
    frame = runs.frame
    trained = frame[frame["name"] != ENSEMBLE.name]  # whose seconds are its members'
    machines = " and ".join(sorted(set(frame["processor"])))
    torch = ", ".join(sorted({version.partition("+")[0] for version in frame["torch"]}))
    features = f"; MobileNetV2 with {runs.weights()}" if runs.weights() else ""
    threads = trained.groupby(trained["name"] == FEATURES.name)["threads"].max().to_dict()
    on = f"{threads[False]} thread a run" + (
        f", features on {threads[True]}" if True in threads else ""
    )
    return (
        f"{len(frame)} runs on {frame['source'].iloc[0]}{features}. Measured on {machines}, "
        f"{on}, PyTorch {torch}: {trained['seconds'].sum() / 60:.0f} minutes of "
        "computing. Brackets hold 95 % intervals: after an accuracy or a loss, of one further "
        "run (for A1 to A4 with what measuring on other digits adds); after a difference, of its "
        "mean, and where a claim needs several, of all of them together. ± is the standard "
        "deviation of runs."
    )


def headline(runs: Runs) -> str:
    """How the claims came out, as the first page shows it: one row a verdict."""
    by_verdict: dict[str, list[str]] = {}
    for finding in findings(runs):
        by_verdict.setdefault(finding.verdict, []).append(finding.claim.id)
    rows = [
        f"| {verdict} | {len(ids)} | {', '.join(ids)} |"
        for verdict, ids in sorted(by_verdict.items(), key=lambda item: -len(item[1]))
    ]
    return "\n".join([f"| of {len(CLAIMS)} claims | | |", "|---|---|---|", *rows])


def update_pages(root: str | os.PathLike, runs: Runs) -> bool:
    """Put what is generated between its marks in the project's pages; whether that changed one."""
    texts = {
        "README.md": {"headline": headline(runs)},
        "mnistkit/README.md": {
            "scoreboard": to_markdown(runs),
            "beyond": ladder.to_markdown(runs),
            "reader": reader.to_markdown(read_card()["runs"]),
        },
    }
    return any([
        replace_between_marks(Path(root) / page, mark, text)
        for page, marks in texts.items()
        for mark, text in marks.items()
    ])  # fmt: skip


def _line(claim_id: str, statement: str, measured: str, verdict: str) -> str:
    return "  ".join(
        part for part in (claim_id, f"{statement:{_WIDTH}}", measured, verdict) if part
    )


def _lines(table: pd.DataFrame) -> list[str]:
    return [_line(*row) for row in table.itertuples(index=False, name=None)]


def _cells(finding: Finding) -> tuple[str, str, str, str]:
    """Id, claim, what was measured, verdict."""
    runs = f" (n = {finding.n}, {finding.data})" if finding.n else ""
    claim = finding.claim
    return claim.id, claim.statement, f"{finding.here}{runs}", finding.verdict
