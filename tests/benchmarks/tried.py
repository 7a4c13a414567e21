"""What was tried to make convolutions faster, and left out: `python -m tests.benchmarks.tried`.

Milliseconds of a batch of training, as it is and as it was tried, on random pictures. With
--publish the tables go into README.md.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import click
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch import multiprocessing as processes
from torch.nn.functional import cross_entropy, max_pool2d, unfold

from mnistkit import build_model
from mnistkit.utils.devices import supports_bfloat16
from mnistkit.utils.storage import replace_between_marks
from tests.benchmarks import limits

README = Path(__file__).with_name("README.md")
BATCHES = 100
REPEATS = 5
PORT = 29511
POLICIES = ("", "OMP_WAIT_POLICY=passive", "GOMP_SPINCOUNT=1000", "OMP_PROC_BIND=true",
            "OMP_NUM_THREADS=1")  # fmt: skip


class Patches(nn.Module):
    """V2's blocks with another number of channels, the first convolution a product of patches."""

    def __init__(self, channels: int, *, patches: bool):
        super().__init__()
        self.patches = patches
        self.first = nn.Linear(9, channels) if patches else nn.Conv2d(1, channels, 3, padding=1)
        self.others = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(3))
        self.last = nn.Linear(channels * 49, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits."""
        if self.patches:
            columns = self.first(unfold(images, 3, padding=1).transpose(1, 2))
            maps = columns.transpose(1, 2).reshape(len(images), -1, 28, 28).relu()
        else:
            maps = self.first(images).relu()
        second, third, fourth = self.others
        maps = max_pool2d(second(maps).relu(), 2)
        maps = max_pool2d(fourth(third(maps).relu()).relu(), 2)
        return self.last(maps.flatten(1))


def milliseconds(model: nn.Module, size: int, together: Callable[[Tensor], None] | None = None,
                 repeats: int = REPEATS) -> float:  # fmt: skip
    """Median time of a batch; together: what is done with all gradients before a step."""
    model = model.to(memory_format=torch.channels_last)
    parameters = list(model.parameters())
    gradients = torch.zeros(sum(p.numel() for p in parameters))
    for part, p in zip(gradients.split([p.numel() for p in parameters]), parameters, strict=True):
        p.grad = part.view_as(p)
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    images = torch.rand(BATCHES * size, 1, 28, 28).split(size)
    labels = torch.randint(0, 10, (BATCHES * size,)).split(size)

    low = supports_bfloat16(torch.device("cpu"))

    def epoch() -> None:
        for some, wanted in zip(images, labels, strict=True):
            gradients.zero_()
            with torch.autocast("cpu", torch.bfloat16, enabled=low):
                loss = cross_entropy(model(some), wanted)
            loss.backward()
            if together:
                together(gradients)
            optimizer.step()

    epoch()
    return 1000 * statistics.median(limits.seconds(epoch) for _ in range(repeats)) / BATCHES


# --- half batches in two processes --------------------------------------------------------------


def in_processes(name: str, size: int, count: int) -> float:
    """Milliseconds of a batch that processes share, one thread each, or that one has whole."""
    said = processes.get_context("spawn").SimpleQueue()
    processes.spawn(_one_of, (count, name, size // count, said), count)
    return said.get()


def _one_of(rank: int, count: int, name: str, size: int, said) -> None:
    torch.set_num_threads(1 if count > 1 else os.cpu_count() or 1)
    together = None
    if count > 1:
        dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{PORT}", rank=rank,
                                world_size=count)  # fmt: skip
        together = dist.all_reduce
    found = milliseconds(build_model(name, seed=0), size, together)
    if rank == 0:
        said.put(found)
    if count > 1:
        dist.barrier()  # who ends first must not take the other along
        dist.destroy_process_group()


# --- how threads wait ---------------------------------------------------------------------------

ALONE_AND_BESIDE = """
from mnistkit import build_model
from tests.benchmarks.__main__ import a_busy_program
from tests.benchmarks.tried import milliseconds
alone = milliseconds(build_model("V2", seed=0), 32)
with a_busy_program():
    print(alone, milliseconds(build_model("V2", seed=0), 32))
"""


def waiting(policy: str) -> tuple[float, float]:
    """Milliseconds undisturbed, and beside a busy program, with a setting of OpenMP's."""
    setting = dict([policy.split("=")]) if policy else {}
    done = subprocess.run([sys.executable, "-c", ALONE_AND_BESIDE], env=os.environ | setting,
                          capture_output=True, text=True, check=True)  # fmt: skip
    alone, beside = map(float, done.stdout.split())
    return alone, beside


def tables() -> str:
    """Everything that was tried, in two tables."""
    v2, rows = build_model("V2", seed=0), []
    as_it_is = milliseconds(v2, 32)
    for what, model in {
        "V2, the first convolution as a product of patches": Patches(10, patches=True),
        "V2, ten channels padded to sixteen": Patches(16, patches=False),
    }.items():
        rows.append((what, as_it_is, milliseconds(model, 32)))
    for name, size in (("V2", 32), ("E CNN", 64)):
        one, two = (in_processes(name, size, count) for count in (1, 2))
        rows.append((f"{name}, half batches in two processes that share gradients", one, two))
    policies = [(policy or "as it is", *waiting(policy)) for policy in POLICIES]
    machine, version = limits.describe(), torch.__version__.partition("+")[0]
    return "\n".join([
        f"{machine['processor']}, {machine['cores']} cores, PyTorch {version}, {date.today()}; "
        "milliseconds of a batch.", "",
        "| tried | as it is | tried |", "|---|---|---|",
        *(f"| {what} | {one:.2f} | {other:.2f} |" for what, one, other in rows), "",
        "| V2, how threads wait | undisturbed | beside a busy program |", "|---|---|---|",
        *(f"| {what} | {alone:.2f} | {beside:.2f} |" for what, alone, beside in policies),
    ])  # fmt: skip


@click.command()
@click.option("--publish", is_flag=True, help="Put the tables into README.md.")
def main(publish: bool) -> None:
    """Measure what was tried, and print it."""
    found = tables()
    print(found)
    if publish:
        replace_between_marks(README, "tried", found)


if __name__ == "__main__":
    main()
