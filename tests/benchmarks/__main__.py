"""The READMEs' way, ours, and the machine's limit, side by side in one process: `make bench`.

Repeats are interleaved and medians compared, so that what disturbs the machine disturbs
both sides: the ratios mean something, the seconds are of one machine and one day. It takes
the digits that `load_digits` finds; MNISTKIT_SOURCE=sample needs no network.
MNISTKIT_BFLOAT16=0 measures what a machine without bfloat16 would do. With --publish the
results go beside this file, and into README.md there.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import click
import torch
from torch import nn

from mnistkit import (
    Recipe,
    build_model,
    evaluate,
    extract_features,
    fit,
    fit_stack,
    load_digits,
    load_mobilenet,
    run_grid,
)
from mnistkit.data import Digits
from mnistkit.experiments.run import train_recipe
from mnistkit.study.plan import FAST, SEEDS, judging_plan
from mnistkit.transfer import FEATURES, FeatureSplit, features_path
from mnistkit.transfer import _keep_features as keep_features
from tests.benchmarks import limits, report, usual

REPEATS = 3
PICTURES = 256  # of MobileNetV2's; its time is proportional to their number
RESULTS = Path("runs") / "benchmarks.json"
STACK = 64


@dataclass(frozen=True)
class Row:
    """One comparison: median seconds of the usual way and of ours.

    wanted: the least ratio that is wanted; None where the row only informs.
    share: of the machine's limit that ours reaches, where operations can be counted.
    note: what was extrapolated.
    """

    what: str
    usual: float
    ours: float
    wanted: float | None = None
    share: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float:
        return self.usual / self.ours

    def __str__(self) -> str:
        share = f"{self.share:.0%}" if self.share else ""
        wanted = f"{self.wanted:5.1f} x" if self.wanted else " " * 7
        numbers = f"{self.usual:9.2f} s {self.ours:8.2f} s {self.ratio:7.1f} x {wanted}"
        return f"{self.what:44} {numbers} {share:>5}  {self.note}"


class Bench:
    """Digits and limits, and a method for each group of rows."""

    def __init__(self, digits: Digits, machine: dict):
        self.digits, self.machine = digits, machine
        self.count = len(digits.train)
        self.rows: list[Row] = []
        self.one_epoch = 0.0  # seconds of the usual way with E's CNN
        self.apart: dict[str, float] = {}  # seconds beside training

    def add(self, *args, **options) -> None:
        self.rows.append(Row(*args, **options))
        print(self.rows[-1], flush=True)

    def epochs(self) -> None:
        """An epoch of each kind of network, as its README trains it."""
        self.epoch("an epoch of A's MLP, batch 64", "A baseline", 64, (8.0, 7.5))
        self.epoch("an epoch of V2, batch 32", "V2", 32, (4.0, 3.0), sgd=0.1)
        self.one_epoch = self.epoch("an epoch of E's CNN, batch 64", "E CNN", 64, (3.2, 2.4))

    def epoch(self, what, name, batch_size, wanted, sgd=None, precision="auto") -> float:
        """An epoch of a model; returns the seconds of the usual way.

        wanted: with bfloat16 and without.
        """
        train, model = self.digits.train, build_model(name, seed=0)
        loader = train.loader(batch_size, shuffle=True, normalized=True)
        options = {"optimizer": "sgd", "learning_rate": sgd} if sgd else {}
        theirs, mine = interleaved(
            lambda: usual.epoch(name, train, batch_size, sgd=sgd),
            lambda: fit(model, loader, epochs=1, precision=precision, progress=False, **options),
        )
        low = precision == "auto" and name != "A baseline" and self.machine["bfloat16"]
        limit = self.machine["bfloat16_rate" if low else "float32_rate"]
        work = limits.training_operations(build_model(name), torch.rand(1, 1, 28, 28))
        least = wanted[not self.machine["bfloat16"]]
        self.add(what, theirs, mine, least, share=work * self.count / mine / limit)
        return theirs

    def threads(self) -> None:
        """An epoch on one thread, against all: why `fit` takes one for some and all for others."""
        train, every = self.digits.train[:12_000], torch.get_num_threads()
        for name, batch_size in (("V1", 32), ("A baseline", 64), ("V2", 32), ("E CNN", 64)):
            epoch = partial(self._epoch_on, name, train.loader(batch_size, shuffle=True))
            seconds = interleaved(partial(epoch, every), partial(epoch, 1))
            self.add(f"{name} on 1 thread, against {every}", *seconds, note="12,000 digits")

    def beside_a_busy_program(self) -> None:
        """The same undisturbed and beside a program that keeps one core busy."""
        few, network = self.digits.train[:12_000], load_mobilenet("random")[0]
        names = [build_model("V1", seed=seed) for seed in range(STACK)]
        loader, options = few.loader(32, shuffle=True), {"epochs": 1, "progress": False}
        sgd = {"optimizer": "sgd", "learning_rate": 0.1}
        every = torch.get_num_threads()
        work = {
            "V2": partial(self._epoch_on, "V2", loader, every),
            "V2 on 1 thread": partial(self._epoch_on, "V2", loader, 1),
            "E CNN": partial(self._epoch_on, "E CNN", few.loader(64, shuffle=True), every),
            f"{STACK} seeds of V1": lambda: fit_stack(names, loader, **options, **sgd),
            "features": lambda: extract_features(network, few.images[:PICTURES], progress=False),
        }
        for name, action in work.items():
            beside, alone = [], []
            for _ in range(REPEATS):
                with a_busy_program():
                    beside.append(limits.seconds(action))
                alone.append(limits.seconds(action))
            self.add(f"{name}, undisturbed, against beside a busy program",
                     statistics.median(beside), statistics.median(alone))  # fmt: skip

    @staticmethod
    def _epoch_on(name: str, loader, threads: int) -> None:
        fit(build_model(name, seed=0), loader, epochs=1, threads=threads, progress=False)

    def stack(self) -> None:
        """64 seeds of V1 as one stack, against the same seeds one after another."""
        loader = self.digits.train.loader(32, shuffle=True)
        options = {"epochs": 1, "optimizer": "sgd", "learning_rate": 0.1, "progress": False}
        models = [build_model("V1", seed=seed) for seed in range(STACK)]
        for shared, wanted in ((True, 8.0), (False, 4.0)):
            alone, stacked = interleaved(
                lambda: [fit(model, loader, device="cpu", **options) for model in models[:8]],
                lambda shared=shared: fit_stack(models, loader, share_batches=shared, **options),
            )
            kind = "one order of batches" if shared else "own batches"
            what = f"{STACK} seeds of V1, {kind}: stack"
            self.add(what, alone * STACK / 8, stacked, wanted,
                     note="usual: our own loader, 8 seeds times 8")  # fmt: skip

    def seeds_side_by_side(self) -> None:
        """Ten seeds of V2 in processes, against one after another with all threads."""
        few = Digits(self.digits.train[:12_000], self.digits.validation[:0],
                     self.digits.test[:1000], self.digits.source)  # fmt: skip
        recipe = Recipe("V2", epochs=1, batch_size=32, optimizer="sgd", learning_rate=0.1)
        grid = {"V2": recipe}
        run_grid(grid, range(2), few)  # starts the processes
        serial, parallel = interleaved(
            lambda: [train_recipe(recipe, few, seed, progress=False) for seed in SEEDS],
            lambda: run_grid(grid, SEEDS, few),
        )
        self.add("10 seeds of V2, 12,000 digits: processes", serial, parallel, 1.0)

    def transfer(self) -> None:
        """MobileNetV2: features, five epochs of the head, and a second visit."""
        few, model = self.digits.train[:PICTURES], load_mobilenet("random")[0]
        many = self.digits.train[: 4 * PICTURES].images
        theirs, ours, ours_in_float32 = interleaved(
            lambda: usual.mobilenet_epoch(few),
            lambda: extract_features(model, many, progress=False),
            lambda: extract_features(model, many, bfloat16=False, progress=False),
        )
        ours, ours_in_float32 = (PICTURES / len(many) * t for t in (ours, ours_in_float32))
        each = f"{PICTURES} pictures: {PICTURES / theirs:.0f} and {{:.0f}} a second"
        wanted = 12.0 if self.machine["bfloat16"] else 5.5
        self.add("MobileNetV2, features", theirs, ours, wanted, note=each.format(PICTURES / ours))
        self.add("the same in float32", theirs, ours_in_float32, 4.0,
                 note=each.format(PICTURES / ours_in_float32))  # fmt: skip
        head, visit = self._head_seconds(model)
        scale = self.count / PICTURES
        note = f"extrapolated from {PICTURES} to {self.count:,} pictures"
        self.add("5 epochs of frozen MobileNetV2, first visit", 5 * scale * theirs,
                 scale * ours + head, 50.0, note=note)  # fmt: skip
        self.add("5 epochs of frozen MobileNetV2, second visit", 5 * scale * theirs, visit + head,
                 500.0, note="usual extrapolated; ours read from disk")  # fmt: skip

    def _head_seconds(self, model: nn.Module) -> tuple[float, float]:
        """Five epochs of a head on as many features, and reading them from disk."""
        labels = self.digits.train.labels
        features = torch.rand(len(labels), FEATURES).half()
        split, empty = FeatureSplit(features, labels), self.digits.validation[:0]
        digits = Digits(split, empty, empty, "features")
        recipe = Recipe("MobileNetV2 head", epochs=5)
        head = limits.seconds(lambda: train_recipe(recipe, digits, progress=False))
        with tempfile.TemporaryDirectory() as folder:
            keep_features(features, features_path(model, self.digits.train.images, folder))
            started = time.perf_counter()
            found = extract_features(model, self.digits.train.images, folder=folder)
            read = time.perf_counter() - started
            assert torch.equal(found, features), "they were computed anew"
        return head, read

    def to_ninety_nine(self) -> None:
        """FastCNN, which reaches 99 %, against E's CNN, the usual way, as the study trains it."""
        test = self.digits.test.loader(1000, normalized=True)
        times, scores = [], []
        for seed in SEEDS:
            started = time.perf_counter()
            model, _ = train_recipe(FAST, self.digits, seed, progress=False)
            times.append(time.perf_counter() - started)
            scores.append(evaluate(model, test).accuracy)
        mean, least = statistics.mean(scores), min(scores)
        epochs = next(e.recipe.epochs for e in judging_plan({"SGD": 1, "Adam": 1})
                      if e.name == "E CNN corrected")  # fmt: skip
        one = self.one_epoch or limits.seconds(lambda: usual.epoch("E CNN", self.digits.train, 64))
        self.add("FastCNN from first to last, against E's CNN", epochs * one,
                 statistics.mean(times), 5.0,
                 note=f"FastCNN {mean:.2%}, at worst {least:.2%}, {len(scores)} seeds; "
                      f"E's: {epochs} epochs, which do not reach 99 %")  # fmt: skip

    def start_up(self) -> None:
        """Importing the library against importing torch, in fresh processes."""
        torch_seconds, ours = interleaved(
            lambda: _run("import torch"), lambda: _run("import mnistkit")
        )
        self.add("import mnistkit, against import torch", torch_seconds, ours, 1 / 1.1)
        load = "from mnistkit import load_digits; load_digits(validation_size=0)"
        self.apart = {
            "import torch and load the digits": limits.seconds(lambda: _run(load)),
            "load the digits": limits.seconds(lambda: load_digits(validation_size=0)),
        }
        full = "import torch; from mnistkit import fit, load_digits, build_model"
        torch_seconds, ours = interleaved(lambda: _run("import torch"), lambda: _run(full))
        self.add("torch and what a training needs", torch_seconds, ours, 1 / 1.1)


def interleaved(*actions: Callable) -> list[float]:
    """Median seconds of each action, repeated in turn."""
    rounds = [[limits.seconds(action) for action in actions] for _ in range(REPEATS)]
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


@contextmanager
def a_busy_program() -> Iterator[None]:
    """Another process keeps a core busy meanwhile, as a browser or a video does."""
    busy = subprocess.Popen([sys.executable, "-c", "print(flush=True)\nwhile True: pass"],
                            stdout=subprocess.PIPE)  # fmt: skip
    try:
        busy.stdout.readline()  # it has begun
        yield
    finally:
        busy.kill()
        busy.communicate()


def _run(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True)


GROUPS = {
    "epochs": Bench.epochs, "threads": Bench.threads, "busy": Bench.beside_a_busy_program,
    "stack": Bench.stack, "seeds": Bench.seeds_side_by_side, "transfer": Bench.transfer,
    "ninety-nine": Bench.to_ninety_nine, "start-up": Bench.start_up,
}  # fmt: skip


@click.command()
@click.option("--publish", is_flag=True, help="Keep the results beside this file, with a page.")
@click.option("--only", type=click.Choice(list(GROUPS)), multiple=True,
              help="Measure this group of rows; published, they replace the old ones.")  # fmt: skip
def main(publish: bool, only: tuple[str, ...]) -> None:
    """Measure everything, print it, and write it to runs/benchmarks.json."""
    os.environ["TQDM_DISABLE"] = "1"
    digits = load_digits(os.environ.get("MNISTKIT_SOURCE", "auto"), validation_size=0)
    machine = limits.describe()
    bench = Bench(digits, machine)
    rates = (machine[name] / 1e9 for name in ("float32_rate", "bfloat16_rate", "copy_rate"))
    print(f"{digits}; {machine['processor']}, {machine['cores']} cores, {machine['device']}")
    print("limits: {:.0f} G operations/s float32, {:.0f} bfloat16, {:.1f} GB/s copy".format(*rates))
    if not machine["bfloat16"]:
        print("bfloat16 is not used")
    print(f"{'':44} {'READMEs':>11} {'ours':>10} {'ratio':>9} {'wanted':>7} {'limit':>5}")
    for group in only or GROUPS:
        GROUPS[group](bench)
    for what, seconds in bench.apart.items():
        print(f"apart from training: {what} {seconds:.2f} s")
    rows = [asdict(row) | {"ratio": row.ratio} for row in bench.rows]
    results = {"machine": machine, "source": digits.source, "rows": rows, "apart": bench.apart}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    print(f"also in {RESULTS}")
    if publish:
        report.publish(report.merged(results) if only else results)


if __name__ == "__main__":
    main()
