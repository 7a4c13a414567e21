"""Where a training step of a CNN spends its time: `python -m tests.benchmarks.operations`.

torch.profiler's own times of each operation, over the batches of one model, with maps in the
order that convolutions are fastest in (channels last) and in the usual one. The share of the
limit is what an operation computed a second, by PyTorch's count, against a large matrix product
in the same precision on the same machine. With --publish the tables go into README.md.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pandas as pd
import torch
from torch.profiler import ProfilerActivity, profile

from mnistkit import build_model, load_digits
from mnistkit.training import LOSSES, OPTIMIZERS, train_one_epoch
from mnistkit.utils.devices import choose_device, supports_bfloat16, thread_count
from mnistkit.utils.storage import replace_between_marks
from tests.benchmarks import limits

README = Path(__file__).with_name("README.md")
MODELS = {"V2": 32, "E CNN": 64}  # and the batches that they are trained with
BATCHES = 150
SHOWN = 7  # operations of each table
WORDS = {
    "aten::convolution_backward": "convolutions, backward",
    "aten::mkldnn_convolution": "convolutions, forward",
    "aten::max_pool2d_with_indices_backward": "max-pooling, backward",
    "aten::max_pool2d_with_indices": "max-pooling, forward",
    "aten::threshold_backward": "ReLU, backward",
    "aten::clamp_min": "ReLU, forward",
    "aten::relu": "ReLU, forward",
    "aten::copy_": "copies, to another type or order",
    "aten::addmm": "linear, forward",
    "aten::mm": "linear, backward",
}


def profiled(name: str, *, channels_last: bool) -> tuple[pd.DataFrame, float]:
    """Milliseconds of each operation in a batch, the largest first, and of the batch itself."""
    digits, size = load_digits("sample", validation_size=0), MODELS[name]
    model = build_model(name, seed=0)
    model.to(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    batches = list(digits.train[: size * BATCHES].loader(size))
    optimizer = OPTIMIZERS["adam"](model.parameters(), lr=1e-3)

    def step() -> None:
        train_one_epoch(model, batches, LOSSES["cross_entropy"], optimizer)

    with thread_count(os.cpu_count() or 1):
        step()  # what is done once is left out
        started = time.perf_counter()
        step()
        undisturbed = 1000 * (time.perf_counter() - started) / len(batches)
        with profile(activities=[ProfilerActivity.CPU], with_flops=True) as seen:
            step()
    rows = {
        event.key: event.self_cpu_time_total / 1000 / len(batches)
        for event in seen.key_averages()
        if event.key.startswith("aten::")
    }
    table = pd.Series(rows, name="ms").rename(
        lambda key: WORDS.get(key, key.removeprefix("aten::"))
    )
    return table.groupby(level=0).sum().sort_values(ascending=False).to_frame(), undisturbed


def share_of_limit(name: str, milliseconds: float) -> float:
    """What a batch computes a second, against a large product in the same precision."""
    model, size = build_model(name, seed=0), MODELS[name]
    images = torch.rand(size, 1, 28, 28)
    operations = limits.training_operations(model, images)
    halved = supports_bfloat16(choose_device())
    limit = limits.product_rate(torch.bfloat16 if halved else torch.float32)
    return operations / (milliseconds / 1000) / limit


def tables() -> Iterator[str]:
    """A table in Markdown for each model: both orders side by side, in milliseconds a batch."""
    for name in MODELS:
        last, batch = profiled(name, channels_last=True)
        first, usual = profiled(name, channels_last=False)
        largest = last.head(SHOWN).assign(ms_usual=first["ms"].reindex(last.index))
        lines = [
            f"{name}, batches of {MODELS[name]}: {batch:.2f} ms a batch, "
            f"{share_of_limit(name, batch):.0%} of the limit; {usual:.2f} ms in the usual order.",
            "",
            "| operation | ms | share | ms in the usual order |",
            "|---|---|---|---|",
            *(f"| {row.Index} | {row.ms:.2f} | {row.ms / last['ms'].sum():.0%} | "
              f"{row.ms_usual:.2f} |" for row in largest.itertuples()),
        ]  # fmt: skip
        yield "\n".join(lines)


@click.command(help=__doc__.partition("\n")[0])
@click.option("--publish", is_flag=True, help="Put the tables into README.md.")
def main(publish: bool) -> None:
    """Print the tables."""
    machine = limits.describe()
    found = "\n\n".join(tables())
    words = (
        f"{machine['processor']}, {machine['cores']} threads, PyTorch "
        f"{machine['torch'].partition('+')[0]}; the profiler itself slows small operations.\n\n"
        f"{found}"
    )
    click.echo(words)
    if publish:
        replace_between_marks(README, "operations", words)


if __name__ == "__main__":
    main()
