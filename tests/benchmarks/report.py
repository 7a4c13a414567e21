"""The published results of the benchmark, as README.md beside this file shows them."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from mnistkit.utils.storage import replace_between_marks

HERE = Path(__file__).parent
README = HERE / "README.md"
# With bfloat16 and without: two runs on one machine.
PUBLISHED = {True: HERE / "results.json", False: HERE / "results_float32.json"}


def publish(results: dict) -> None:
    """Keep results beside this file, and show them in README.md once both are there.

    Raises ValueError for results of anything but full MNIST.
    """
    if results["source"] != "mnist":
        raise ValueError(f"results on {results['source']} are not published: use full MNIST")
    path = PUBLISHED[results["machine"]["bfloat16"]]
    path.write_text(json.dumps(results | {"date": str(date.today())}, indent=1) + "\n")
    if all(path.exists() for path in PUBLISHED.values()):
        replace_between_marks(README, "speed", to_markdown(*read()))


def merged(results: dict) -> dict:
    """Published results, in which rows that were measured again take the place of the old ones.

    Raises ValueError if these are of another processor.
    """
    published = json.loads(PUBLISHED[results["machine"]["bfloat16"]].read_text())
    names = [each["machine"]["processor"] for each in (published, results)]
    if names[0] != names[1]:
        raise ValueError(f"published rows are of {names[0]}, these of {names[1]}: measure all")
    rows = {row["what"]: row for row in [*published["rows"], *results["rows"]]}
    apart = published["apart"] | results["apart"]
    return published | {"source": results["source"], "rows": list(rows.values()), "apart": apart}


def read() -> tuple[dict, dict]:
    """The published results with bfloat16 and without."""
    with_bfloat16, without = (json.loads(path.read_text()) for path in PUBLISHED.values())
    return with_bfloat16, without


def to_markdown(results: dict, without: dict) -> str:
    """One row a comparison: seconds, ratio, aim, share of the machine's limit; so without bfloat16.

    The limit is what a large product reached, in the type that the row computes in.
    """
    others = {row["what"]: row for row in without["rows"]}
    rows = [
        f"| {_name(row)} | {_seconds(row['usual'])} | {_seconds(row['ours'])} "
        f"| {_times_and_share(row)} | {_times_and_share(others.get(row['what']))} |"
        for row in results["rows"]
    ]
    head = ["| | compared with | here | times as fast | without bfloat16 |",
            "|---|---|---|---|---|"]  # fmt: skip
    return "\n".join([*head, *rows, "", _describe(results, without)])


def _name(row: dict) -> str:
    return f"{row['what']} ({row['note']})" if row["note"] else row["what"]


def _describe(results: dict, without: dict) -> str:
    machine = results["machine"]
    limits = (
        f"{machine['float32_rate'] / 1e9:.0f} G operations/s in float32, "
        f"{machine['bfloat16_rate'] / 1e9:.0f} in bfloat16, "
        f"copies of {machine['copy_rate'] / 1e9:.0f} GB/s"
    )
    apart = ", ".join(f"to {what} {seconds:.1f} s" for what, seconds in results["apart"].items())
    days = " and ".join(sorted({results["date"], without["date"]}))
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['device']}, "
        f"PyTorch {machine['torch'].partition('+')[0]}, {days}; a large matrix product reached "
        f"{limits}. Apart from training: {apart}."
    )


def _seconds(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f} s"
    return f"{value:.1f} s" if value >= 1 else f"{value:.2f} s"


def _times_and_share(row: dict | None) -> str:
    if row is None:
        return ""
    said = [f"aim {_times(row['wanted'])}"] if row.get("wanted") else []
    said += [f"{row['share']:.0%} of the limit"] if row.get("share") else []
    return _times(row["ratio"]) + (f" ({', '.join(said)})" if said else "")


def _times(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
