"""What each factor of a sweep does: shares of variance, and how factors depend on each other."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from mnistkit.metrics import interval_of_mean
from mnistkit.utils.validation import check_columns

_HIGHER, _NOISE = ROWS = "three or more together", "seeds"  # that are no factor's


def importance(
    runs: pd.DataFrame, factors: Sequence[str], value: str = "validation_accuracy"
) -> pd.DataFrame:
    """Share of the runs' variance that each factor explains, alone and in pairs.

    Analysis of variance of a complete grid (Fisher, 1925), as it is used for
    hyper-parameters by Hutter, Hoos and Leyton-Brown, 2014. The last row, "seeds", is what
    runs of one combination differ by; an effect much smaller than that is luck.

    runs: one row a run, with a column a factor, every combination equally often.
    Returns columns share (they sum to 1) and p, the probability of so much by the seeds
    alone; the largest share first, "seeds" last. With one seed its share is NaN, as is every p:
    what was not measured is not zero.

    Raises ValueError for an unknown column, runs without a value, a grid with holes.
    """
    if isinstance(factors, str):
        raise ValueError(f"factors is {factors!r}, expected a list of columns, [{factors!r}]")
    factors = list(factors)
    if len(set(factors)) < len(factors):
        raise ValueError("a factor is named twice")
    _check_complete(runs, factors, value)
    total = float(((runs[value] - runs[value].mean()) ** 2).sum())
    cells = _between(runs, factors, value)
    alone = {(factor,): _between(runs, [factor], value) for factor in factors}
    pairs = {
        pair: _between(runs, list(pair), value) - alone[pair[:1]] - alone[pair[1:]]
        for pair in itertools.combinations(factors, 2)
    }
    levels = {factor: runs[factor].nunique(dropna=False) for factor in factors}
    rows = [
        (" x ".join(effect), squares, int(np.prod([levels[factor] - 1 for factor in effect])))
        for effect, squares in (alone | pairs).items()
    ]
    if len(factors) > 2:
        rest = int(np.prod(list(levels.values()))) - 1 - sum(degrees for *_, degrees in rows)
        rows.append((_HIGHER, cells - sum(squares for _, squares, _ in rows), rest))
    freedom = len(runs) - int(np.prod(list(levels.values())))
    noise = max(total - cells, 0.0)
    rows = sorted(rows, key=lambda row: -row[1])
    table = pd.DataFrame(
        {
            name: {"share": max(squares, 0.0) / total, "p": _p(squares, degrees, noise, freedom)}
            for name, squares, degrees in rows
        }
        | {_NOISE: {"share": noise / total if freedom else np.nan, "p": np.nan}}
    ).T
    return table.rename_axis("effect")


def interaction(
    runs: pd.DataFrame, x: str, line: str, value: str = "validation_accuracy"
) -> pd.DataFrame:
    """Mean at each pair of levels of two factors, over all others; for `plot_interaction`.

    Returns columns x, line, mean, low, high: a 95 % interval over seeds, each of them
    averaged over the other factors first. Levels keep the order of the runs. Where a run
    diverged, they are NaN. Raises ValueError for a grid with holes: its means would be over
    different levels of the other factors.
    """
    check_columns(runs, [x, line, "seed", value])
    groups = runs.groupby([x, line, "seed"], sort=False, dropna=False)[value]
    sizes = groups.size()
    if sizes.nunique() > 1:
        raise ValueError(
            f"the grid has holes: {sizes.min()} to {sizes.max()} runs of a seed at a pair of "
            "levels; run what is missing"
        )
    levels = [runs[factor].drop_duplicates() for factor in (x, line)]
    seeds = sizes.groupby(level=[0, 1], dropna=False).size()
    if len(seeds) < len(levels[0]) * len(levels[1]) or seeds.nunique() > 1:
        raise ValueError(
            f"the grid has holes: {seeds.min()} to {seeds.max()} seeds at {len(seeds)} of "
            f"{len(levels[0]) * len(levels[1])} pairs of levels; run what is missing"
        )
    by_seed = groups.agg(lambda values: values.mean(skipna=False))
    rows = [
        {"x": levels[0], "line": levels[1]} | vars(interval_of_mean(values))
        for levels, values in by_seed.groupby(level=[0, 1], sort=False, dropna=False)
    ]
    return pd.DataFrame(rows)[["x", "line", "mean", "low", "high"]]


def _between(runs: pd.DataFrame, factors: list[str], value: str) -> float:
    """Sum of squares between the groups that these factors make."""
    groups = runs.groupby(factors, dropna=False)[value]
    return float((groups.size() * (groups.mean() - runs[value].mean()) ** 2).sum())


def _p(squares: float, degrees: int, noise: float, freedom: int) -> float:
    if freedom == 0 or degrees == 0:
        return float("nan")
    if noise == 0:
        return 0.0 if squares > 0 else 1.0
    return float(stats.f.sf(max(squares, 0.0) / degrees / (noise / freedom), degrees, freedom))


def _is_a_list(value: object) -> bool:
    return not isinstance(value, Hashable)


def _check_complete(runs: pd.DataFrame, factors: Sequence[str], value: str) -> None:
    if not factors:
        raise ValueError("importance needs at least one factor")
    for factor in factors:
        if factor in ROWS:
            raise ValueError(f"a factor cannot be called {factor!r}: the table of importance has "
                             "a row of that name")  # fmt: skip
    check_columns(runs, [*factors, value])
    plain = [column for column in runs if not runs[column].map(_is_a_list).any()]
    if "seed" in plain and runs.duplicated(plain).any():
        raise ValueError("a run stands in the table twice: a combination and a seed are one run")
    diverged = runs[runs[value].isna()]
    if len(diverged):
        first = ", ".join(f"{factor} {diverged.iloc[0][factor]}" for factor in factors)
        raise ValueError(
            f"{len(diverged)} runs have no {value} (they diverged), the first with {first}: "
            "leave that level out"
        )
    counts = runs.groupby(list(factors), dropna=False).size()
    combinations = int(np.prod([runs[factor].nunique(dropna=False) for factor in factors]))
    if len(counts) < combinations or counts.nunique() > 1:
        raise ValueError(
            f"the grid has holes: {len(counts)} of {combinations} combinations, "
            f"{counts.min()} to {counts.max()} runs each; run what is missing"
        )
    if not ((runs[value] - runs[value].mean()) ** 2).sum() > 0:
        raise ValueError(f"all runs have the same {value}: nothing varies")
