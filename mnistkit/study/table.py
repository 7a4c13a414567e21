"""The runs behind the scoreboard: collected from result files, kept as one table.

The table comes with the package, so that the scoreboard can be drawn and checked anywhere,
without data. Each of its lines ends in a checksum, and names the digest of its recipe. The
test digits that a run misread are in it as one bit a digit, compressed: see `misread`.
"""

from __future__ import annotations

import base64
import hashlib
import os
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mnistkit.errors import ResultError
from mnistkit.experiments.experiment import paired_difference
from mnistkit.experiments.recipe import recipe_digest
from mnistkit.experiments.results import Result, RunId, layers_digest, read_result
from mnistkit.metrics import Interval, interval_of_mean
from mnistkit.study.plan import STUDY, Entry, Plan, choose_rates
from mnistkit.utils.storage import write_atomically

TABLE = Path(__file__).with_name("scoreboard.csv")
COMMAND = "mnistkit scoreboard --rerun"
ADD_COMMAND = "mnistkit scoreboard --add --publish"

_NUMBERS = {
    "seed": int, "train": int, "validation": int, "learning_rate": float, "parameters": float,
    "seconds": float, "threads": int, "test_accuracy": float, "test_loss": float,
    "validation_accuracy": float,
}  # fmt: skip
_LISTS = ("test_by_epoch", "validation_by_epoch")
_COLUMNS = [
    "name", "seed", "recipe", "layers", "learning_rate", "source", "weights", "data", "train",
    "validation",
    "validation_accuracy", "test_accuracy", "test_loss", "parameters", "seconds",
    *_LISTS, "wrong", "failure", "threads", "device", "processor", "torch", "mnistkit",
]  # fmt: skip


class Runs:
    """Finished runs, one row each, asked by name.

    frame: columns name, seed, source, weights, learning_rate, test_accuracy, test_loss, seconds,
    and test_by_epoch (a sequence of accuracies, one an epoch).
    """

    def __init__(self, frame: pd.DataFrame):
        self.frame = frame

    def of(self, name: str) -> pd.DataFrame:
        """All runs of that name."""
        return self.frame[self.frame["name"] == name]

    def accuracy(self, name: str) -> Interval:
        """Accuracy on test over the seeds."""
        return interval_of_mean(self.of(name)["test_accuracy"])

    def difference(self, better: str, than: str, level: float = 0.95) -> Interval:
        """Difference of accuracies on test, paired over the seeds that both have."""
        seeds = set(self.of(better)["seed"]) & set(self.of(than)["seed"])
        pairs = self.frame[self.frame["seed"].isin(seeds)]
        return paired_difference(pairs, better, than, "test_accuracy", level)

    def misread(self, name: str, digits: int = 10_000) -> np.ndarray:
        """Which test digits each run misread: bool, runs x digits.

        Raises ResultError if that was not stored for all of these runs.
        """
        rows = self.of(name)
        wrong = np.zeros((len(rows), digits), dtype=bool)
        for row, places in zip(wrong, rows["wrong"], strict=True):
            row[places] = True
        if not np.allclose(1 - wrong.mean(axis=1), rows["test_accuracy"], atol=1e-9):
            raise ResultError(
                f"which digits were misread is not stored for all runs of {name}",
                do=f"measure them anew with `{COMMAND}`",
            )
        return wrong

    def split_spread(self, name: str) -> tuple[float, float, float]:
        """Standard deviation over seeds, what counting digits adds to it, and what is left.

        If each digit were misread in each run by chance, independently, at the rate p at which
        these runs misread it, accuracies would spread by sqrt(sum p (1 - p)) / N alone. What
        is left is a difference between the trained networks that other digits would show as
        well; 0 where none can be seen (Jordan, 2023, arXiv:2304.01910). The rates are those of
        few runs, so the second number is unbiased only as a variance.
        """
        wrong = self.misread(name)
        runs, digits = wrong.shape
        rate = wrong.mean(axis=0)
        counted = (rate * (1 - rate)).sum() * runs / (runs - 1) / digits**2
        observed = wrong.mean(axis=1).var(ddof=1)
        return observed**0.5, counted**0.5, max(observed - counted, 0.0) ** 0.5

    def by_epoch(self, name: str, column: str = "test_by_epoch") -> np.ndarray:
        """Accuracies after each epoch: runs x epochs."""
        return np.array([list(row) for row in self.of(name)[column]], dtype=float)

    def rate(self, name: str) -> float:
        """Learning rate of that experiment."""
        return float(self.of(name)["learning_rate"].iloc[0])

    def seconds(self, name: str) -> float:
        """Median seconds of training."""
        return float(self.of(name)["seconds"].median())

    def source(self, names: Sequence[str]) -> str:
        """Name the data that these runs were measured on; an empty string if there are none."""
        found = self.frame.loc[self.frame["name"].isin(names), "source"]
        return found.iloc[0] if len(found) else ""

    def weights(self) -> str:
        """Name the weights of MobileNetV2 that were used; an empty string if it was not run."""
        return max(self.frame["weights"], default="")

    @property
    def pairs(self) -> set[tuple[str, int]]:
        """Name and seed of each run."""
        return set(zip(self.frame["name"], self.frame["seed"], strict=True))


def read_folder(folder: str | os.PathLike, plan: Plan = STUDY) -> Runs:
    """Collect the study's runs from result files, each verified.

    Raises ResultError for a file that was changed, results of several kinds of data, or
    results that are missing where a choice depends on them.
    """
    files = {path: read_result(path) for path in sorted(Path(folder).glob("*.json"))}
    _check_one_data(files)
    results = {_key(result.run): result for result in files.values()}
    rows = _rows_of(plan.tuning(), results)
    planned = sum(len(entry.seeds) for entry in plan.tuning())
    if len(rows) < planned:
        raise ResultError(
            f"{len(rows)} of the {planned} runs that choose learning rates are there",
            where=folder,
            do=f"`{COMMAND}` measures what is missing",
        )
    rates = choose_rates(pd.DataFrame(rows))
    rows += _rows_of(plan.at(rates), results)
    return Runs(_with_numbers(pd.DataFrame(rows, columns=_COLUMNS)))


def join_folder(runs: Runs, folder: str | os.PathLike, plan: Plan = STUDY) -> Runs:
    """Add to these runs what the plan holds beside them and has a result in the folder.

    Results of other digits, or of layers that have changed since, stay where they are.
    """
    entries, known = plan.whole(runs.frame), set(runs.frame["data"])
    found = [read_result(path) for path in sorted(Path(folder).glob("*.json"))]
    results = {_key(r.run): r for r in found if r.run.data.digest in known}
    rows = [r for r in _rows_of(entries, results) if (r["name"], r["seed"]) not in runs.pairs]
    if not rows:
        return runs
    both = pd.concat([runs.frame, _with_numbers(pd.DataFrame(rows, columns=_COLUMNS))])
    places = {entry.name: place for place, entry in enumerate(entries)}
    in_order = both.sort_values("name", key=lambda names: names.map(places), kind="stable")
    return Runs(in_order.reset_index(drop=True))


def write_table(runs: Runs, path: str | os.PathLike = TABLE) -> None:
    """Write runs as a table of one line each; its last column is a checksum of the line."""
    text = runs.frame[_COLUMNS].copy()
    for column in _LISTS:
        text[column] = text[column].map(lambda values: " ".join(f"{v:.4f}" for v in values))
    text["wrong"] = text["wrong"].map(_pack)
    text = text.map(_cell)
    text["check"] = [_check(row) for row in text.to_numpy()]
    with write_atomically(path) as temporary:
        text.to_csv(temporary, index=False, lineterminator="\n")


def read_table(
    path: str | os.PathLike = TABLE, *, drop_outdated: bool = False, plan: Plan = STUDY
) -> Runs:
    """Read and verify the runs behind the published scoreboard.

    drop_outdated: leave out runs of another recipe or architecture than their name stands
    for now, so that they can be measured anew.
    Raises ResultError for a line that was changed, and, unless they are left out, for such runs;
    for those that choose learning rates in any case, since all others rest on them.
    """
    frame = _read_lines(Path(path))
    outdated = _outdated(frame, plan)
    tuning = frame["name"].isin([entry.name for entry in plan.tuning()])
    for row in frame[outdated & (tuning | (not drop_outdated))].itertuples():
        raise ResultError(
            f"{row.name}, seed {row.seed}, was measured with another recipe than that "
            "name stands for now",
            do=f"measure anew with `{COMMAND if tuning[row.Index] else ADD_COMMAND}`",
        )
    return Runs(frame[~outdated].reset_index(drop=True))


def published_accuracy(recipe: str, data: str) -> list[float]:
    """Accuracies on test of the published runs of a recipe on some data, both by digest."""
    frame = _read_lines(TABLE)
    return frame[(frame["recipe"] == recipe) & (frame["data"] == data)]["test_accuracy"].tolist()


def _read_lines(path: Path) -> pd.DataFrame:
    """Read the table, each line verified by its checksum."""
    text = pd.read_csv(path, dtype=str, keep_default_na=False)
    for line, row in enumerate(text.to_numpy(), start=2):
        if list(text.columns) != [*_COLUMNS, "check"] or row[-1] != _check(row[:-1]):
            raise ResultError(
                f"line {line} of {path.name} has been changed: its checksum does not fit",
                do=f"restore it, or measure anew with `{COMMAND}`",
            )
    if text.duplicated().any():
        raise ResultError(
            f"line {text.duplicated().idxmax() + 2} of {path.name} stands there twice",
            do="leave one of the two out",
        )
    frame = _with_numbers(text[_COLUMNS])
    for column in _LISTS:
        frame[column] = frame[column].map(lambda words: [float(word) for word in words.split()])
    frame["wrong"] = frame["wrong"].map(_unpack)
    return frame


def missing_runs(runs: Runs, plan: Plan = STUDY) -> list[str]:
    """Name the runs of the plan that are not there: "A wide, seed 3"."""
    return [
        f"{entry.name}, seed {seed}"
        for entry in plan.whole(runs.frame)
        for seed in entry.seeds
        if (entry.name, seed) not in runs.pairs
    ]


def _with_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn the columns of numbers into numbers; what is missing becomes NaN."""
    numbers = {name: pd.to_numeric(frame[name]).astype(kind) for name, kind in _NUMBERS.items()}
    return frame.assign(**numbers)


def _rows_of(entries: Sequence[Entry], results: dict[tuple, Result]) -> list[dict]:
    rows = []
    for entry in entries:
        made_of = _made_of(entry)
        keys = [(*made_of, entry.data, seed) for seed in entry.seeds]
        rows += [_to_row(entry.name, results[key]) for key in keys if key in results]
    return rows


def _to_row(name: str, result: Result) -> dict:
    run, measured, data = result.run, result.measured, result.run.data
    epochs = measured.get("epochs", [])
    row = dict.fromkeys(_COLUMNS) | result.machine | measured
    row |= {"name": name, "seed": run.seed, "layers": run.layers, "data": data.digest}
    row |= {"recipe": recipe_digest(run.recipe), "learning_rate": run.recipe["learning_rate"]}
    row |= {key: getattr(data, key) for key in ("source", "weights", "train", "validation")}
    row |= {"failure": measured.get("failure", ""), "wrong": measured.get("test_wrong", [])}
    for part in ("test", "validation"):
        row[f"{part}_by_epoch"] = [e[f"{part}_accuracy"] for e in epochs if f"{part}_accuracy" in e]
    return {key: row[key] for key in _COLUMNS}


def _key(run: RunId) -> tuple[str, str, str, int]:
    """What the plan knows of a run: recipe, layers, kind of data, seed."""
    return recipe_digest(run.recipe), run.layers, _kind(run), run.seed


def _kind(run: RunId) -> str:
    """Name the kind of data, as an entry of the plan does."""
    if run.data.weights:
        return "features"
    return "split" if run.data.validation else "whole"


def _check_one_data(files: dict[Path, Result]) -> None:
    """All results of one kind must be of the same digits."""
    runs = {path: result.run for path, result in files.items()}
    digests = {path: (_kind(run), run.data.digest) for path, run in runs.items()}
    sources = {path: ("source", run.data.source) for path, run in runs.items()}
    for found in (digests, sources):
        counts = Counter(found.values())
        for path, (kind, value) in found.items():
            rivals = [c for (k, v), c in counts.items() if k == kind and v != value]
            if any(count >= counts[kind, value] for count in rivals):
                raise ResultError(
                    f"{path.name} was measured on other data than most results beside it",
                    where=path.parent,
                    do="keep results of one kind of data in a folder: move this one elsewhere",
                )


def _outdated(frame: pd.DataFrame, plan: Plan) -> pd.Series:
    """Which rows are of another recipe or of other layers than their name stands for now."""
    now = {entry.name: _made_of(entry) for entry in plan.whole(frame)}
    kept = [(row.recipe, row.layers) == now.get(row.name) for row in frame.itertuples()]
    return ~pd.Series(kept, index=frame.index, dtype=bool)


def _made_of(entry: Entry) -> tuple[str, str]:
    return entry.recipe.digest, layers_digest(entry.recipe)


def _cell(value: object) -> str:
    missing = value is None or (isinstance(value, float) and value != value)
    return "" if missing else str(value)


def _pack(wrong: Sequence[int]) -> str:
    """Indices as text: a bit for each digit up to the last, compressed; "" for none.

    A list of 8,000 indices would take 40,000 letters; this takes less than 2,000.
    """
    if not len(wrong):
        return ""
    bits = np.zeros(max(wrong) + 1, dtype=bool)
    bits[list(wrong)] = True
    return base64.b64encode(zlib.compress(np.packbits(bits).tobytes(), 9)).decode()


def _unpack(text: str) -> list[int]:
    if not text:
        return []
    packed = np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=np.uint8)
    return np.unpackbits(packed).nonzero()[0].tolist()


def _check(cells: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(cells).encode()).hexdigest()[:8]
