"""What a machine offers to compute with: a device, bfloat16, threads."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import torch

_ROUNDS = 7  # measurements of each number of threads
_SHORTEST = 0.004  # seconds; what is quicker is repeated, since a clock reading would blur it
_WORTH = 0.9  # more threads are taken if they need at most this share of the time


def choose_device(name: str = "auto") -> torch.device:
    """Return the device by name; "auto" is what `MNISTKIT_DEVICE` says, else cuda or cpu.

    Apple's mps is taken on request only: its results differ from the CPU's.
    Raises ValueError for a name that PyTorch does not know, or a device that is not here.
    """
    asked = "device"
    if name == "auto":
        asked = "MNISTKIT_DEVICE: device"
        name = os.environ.get("MNISTKIT_DEVICE") or "auto"
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(f"{asked} {name!r} is not here; use 'auto' or 'cpu' ({reason})") from error
    return device


def describe_device(device: torch.device) -> str:
    """Say in a line what is computed with: device, threads, precision."""
    words = [str(device)]
    if device.type == "cuda":
        words = [f"{device} ({torch.cuda.get_device_name(device)})"]
    elif device.type == "cpu":
        threads = torch.get_num_threads()
        words.append("1 thread" if threads == 1 else f"up to {threads} threads")
    low = supports_bfloat16(device)
    words.append("float32, convolutions in bfloat16" if low else "float32")
    if device.type == "cpu" and torch.backends.mps.is_available():
        words.append("MNISTKIT_DEVICE=mps takes the GPU, whose results differ")
    return ", ".join(words)


@cache
def announce_device() -> None:
    """Print once in a process what "auto" computes with."""
    print(f"device: {describe_device(choose_device())}", flush=True)


def supports_bfloat16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16 natively; where it does not, it only slows down.

    MNISTKIT_BFLOAT16=0 switches it off everywhere.
    """
    if os.environ.get("MNISTKIT_BFLOAT16") == "0":
        return False
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return any(has for name, has in capabilities.items() if name.endswith("bf16"))


@contextmanager
def thread_count(count: int) -> Iterator[None]:
    """Compute with so many threads, then with as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def choose_threads(step: Callable[[], object], counts: Sequence[int] | None = None) -> int:
    """Measure a step with each number of threads, in turn; return what to compute it with.

    step: is called some dozens of times, so it must bear repeating.
    counts: by default one thread and all that PyTorch uses now. More threads are chosen
        only if they save a tenth of the time: what they save little on, they disturb.
    """
    counts = sorted({1, torch.get_num_threads()} if counts is None else set(counts))
    if len(counts) == 1:
        return counts[0]
    samples: dict[int, list[float]] = {count: [] for count in counts}
    repeats = 1
    for _ in range(_ROUNDS + 1):
        for count in counts:
            with thread_count(count):
                samples[count].append(_seconds(step, repeats))
        shortest = min(times[-1] for times in samples.values())
        repeats = max(1, round(_SHORTEST / shortest))
    medians = {count: statistics.median(times[1:]) for count, times in samples.items()}
    best = counts[0]
    for count in counts[1:]:
        if medians[count] < _WORTH * medians[best]:
            best = count
    return best


def _seconds(step: Callable[[], object], repeats: int) -> float:
    started = time.perf_counter()
    for _ in range(repeats):
        step()
    return (time.perf_counter() - started) / repeats
