"""How a sweep grows: what a run costs, and what it costs to send it away, on this machine.

`python -m tests.benchmarks.scaling` measures, with nothing else running, and prints a table
of what 1,000 and 100,000 runs would take; with `--publish` it also goes into mnistkit/README.md.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mnistkit import Recipe, load_digits, run_grid
from mnistkit.data import Digits
from mnistkit.experiments.experiment import count_stored
from mnistkit.experiments.parallel import run_in_parallel
from mnistkit.experiments.results import describe_machine
from mnistkit.utils.storage import replace_between_marks

STORED = Path(__file__).with_name("growth.json")
README = Path(__file__).resolve().parents[2] / "mnistkit" / "README.md"
MARK = "growth"
CALLS = 2000  # of nothing, to see what a call costs
RUN = Recipe("A baseline", epochs=5)
SIZES = (1_000, 100_000)  # runs
CORES = (2, 64, 1024)


@dataclass(frozen=True)
class Costs:
    """Seconds, unless it says otherwise, as medians where something was repeated.

    run: README A's baseline, 5 epochs on one thread, with all cores at it.
    send_near, send_far: what a call costs the caller, in processes and on a Dask cluster.
    start_far: until a worker of the cluster has the digits and all packages.
    read: one stored result. size: of it, in bytes. digits: their size in bytes.
    machine: what measured it.
    """

    run: float
    send_near: float
    send_far: float
    start_far: float
    read: float
    size: int
    digits: int
    machine: str


def nothing(_shared: object, number: int) -> int:
    """A call that costs what calling costs."""
    return number


def timed(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def measure(digits: Digits, calls: int = CALLS, recipe: Recipe = RUN, seeds: int = 4) -> Costs:
    """Measure all of it; some two minutes on full MNIST."""
    from distributed import LocalCluster

    rows = [(number,) for number in range(calls)]

    def send(scheduler: str | None = None) -> float:
        list(run_in_parallel(nothing, rows[:10], None, scheduler=scheduler))  # all have started
        return (
            timed(lambda: list(run_in_parallel(nothing, rows, None, scheduler=scheduler))) / calls
        )

    options = {"processes": True, "threads_per_worker": 1, "dashboard_address": None}
    with tempfile.TemporaryDirectory() as folder:
        runs = run_grid({"A": recipe}, range(seeds), digits, folder=folder)
        paths = list(Path(folder).glob("*.json"))
        read = timed(lambda: run_grid({"A": recipe}, range(seeds), digits, folder=folder)) / seeds
        assert count_stored({"A": recipe}, range(seeds), digits, folder) == len(paths) == seeds
        size = round(statistics.median(path.stat().st_size for path in paths))
        near = send()
    with LocalCluster(n_workers=os.cpu_count(), **options) as cluster:
        one = {"A": replace(recipe, epochs=1)}
        address = cluster.scheduler_address
        warm = timed(lambda: run_grid(one, range(2), digits, scheduler=address))
        again = timed(lambda: run_grid(one, range(2), digits, scheduler=address))
        far = send(address)
    held = sum(part.images.numel() for part in (digits.train, digits.validation, digits.test))
    machine = describe_machine()
    words = f"{machine['cores']} cores of {machine['processor']}"
    median = float(runs["seconds"].median())
    return Costs(median, near, far, max(warm - again, 0), read, size, held, words)


def to_markdown(costs: Costs) -> str:
    """The measured costs in words, and what follows from them."""
    useful = round(costs.run / costs.send_far)
    head = (
        f"Measured on {costs.machine}: a run (A's baseline, 5 "
        f"epochs on 60,000 digits, one thread) {costs.run:.1f} s; to send it and to take its "
        f"result back {1000 * costs.send_far:.1f} ms of the caller's time on a cluster, "
        f"{1000 * costs.send_near:.1f} ms with processes of one machine; until a worker has the "
        f"{costs.digits / 1e6:.0f} MB of digits and all packages {costs.start_far:.0f} s, once; a "
        f"stored result {costs.size / 1000:.1f} kB, read back and verified in "
        f"{1000 * costs.read:.1f} ms."
    )
    lines = ["| runs | " + " | ".join(f"{cores:,} cores" for cores in CORES)
             + " | sent in | read back in | results |",
             "|---" * (len(CORES) + 4) + "|"]  # fmt: skip
    for runs in SIZES:
        times = (_until_the_last(runs, cores, costs) for cores in CORES)
        cells = [*(_duration(t) for t in times), _duration(runs * costs.send_far),
                 _duration(runs * costs.read), f"{runs * costs.size / 1e6:,.0f} MB"]  # fmt: skip
        lines.append(f"| {runs:,} | " + " | ".join(cells) + " |")
    tail = (
        f"One caller keeps about {useful:,} cores busy with runs of {costs.run:.1f} s, and more "
        "with longer ones: beyond that it cannot send fast enough. None of these sweeps was run: "
        "the table is arithmetic."
    )
    return "\n".join([head, "", *lines, "", tail])


def _until_the_last(runs: int, cores: int, costs: Costs) -> float:
    """Seconds until the last result: cores work in rounds, and the last run is sent last."""
    rounds = -(-runs // cores)
    return costs.start_far + max(rounds * costs.run, runs * costs.send_far + costs.run)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


if __name__ == "__main__":
    os.environ["TQDM_DISABLE"] = "1"
    costs = measure(load_digits(validation_size=0))
    print(to_markdown(costs))
    if "--publish" in sys.argv[1:]:
        STORED.write_text(json.dumps(asdict(costs), indent=1) + "\n")
        replace_between_marks(README, MARK, to_markdown(costs))
