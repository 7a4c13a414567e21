"""What a machine offers to compute with: a device, bfloat16, threads."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

import torch
from torch import nn

_WORTH = 1.3  # bfloat16 is taken where a product in it is so many times as fast; machines
# were seen at 0.5 and at 2 and more, so that noise does not decide
_SIZE = 512  # of the square matrices of that product
_ROUNDS = 6  # how often it is timed in each precision: ten to thirty milliseconds in all
_PRECISIONS = (torch.float32, torch.bfloat16)


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
    kind = str(name).partition(":")[0]
    if kind not in ("cpu", "cuda", "mps", "meta"):
        raise ValueError(f"{asked} {name!r} is none that is known: cpu, cuda, mps, or 'auto'")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"{asked} {name!r} is not here; use 'auto' or 'cpu'") from error
    return device


def describe_device(device: torch.device) -> str:
    """Say in a line what is computed with: device, threads, precision."""
    words = [str(device)]
    if device.type == "cuda":
        words = [f"{device} ({torch.cuda.get_device_name(device)})"]
    elif device.type == "cpu":
        threads = torch.get_num_threads()
        words.append("1 thread" if threads == 1 else f"{threads} threads for convolutions")
    low = supports_bfloat16(device)
    words.append("float32, convolutions in bfloat16" if low else "float32")
    if device.type == "cpu" and torch.backends.mps.is_available():
        words.append("MNISTKIT_DEVICE=mps takes the GPU, whose results differ")
    return ", ".join(words)


@cache
def announce_device() -> None:
    """Print once in a process what "auto" computes with."""
    print(f"device: {describe_device(choose_device())}", flush=True)


def choose_autocast(model: nn.Module, precision: str) -> torch.autocast:
    """Return the context for a forward pass in this precision; see `training.fit`."""
    device = next(model.parameters()).device
    low = precision == "bfloat16" or (
        precision == "auto" and has_convolutions(model) and supports_bfloat16(device)
    )
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=low)


def supports_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is worth while: the device has it, and multiplies in it much faster.

    Some processors have it and are slower in it than in float32, so a product is timed on
    the CPU, once in a process. MNISTKIT_BFLOAT16=0 switches it off everywhere.
    """
    if os.environ.get("MNISTKIT_BFLOAT16", "").lower() in ("0", "no", "off", "false"):
        return False
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    native = any(has for name, has in capabilities.items() if name.endswith("bf16"))
    return native and bfloat16_gain() >= _WORTH


@cache
def bfloat16_gain() -> float:
    """How many times as fast a large product is in bfloat16 as in float32, on this CPU.

    The quickest of several, in turn, so that another busy program does not decide; on one
    thread, so that their number does not either. Measured once in a process.
    """
    factors = {dtype: torch.ones(_SIZE, _SIZE, dtype=dtype) for dtype in _PRECISIONS}
    seconds = dict.fromkeys(_PRECISIONS, float("inf"))
    with thread_count(1):
        for _ in range(_ROUNDS):
            for dtype, factor in factors.items():
                started = time.perf_counter()
                factor @ factor
                seconds[dtype] = min(seconds[dtype], time.perf_counter() - started)
    return seconds[torch.float32] / seconds[torch.bfloat16]


def choose_threads(model: nn.Module) -> int:
    """How many threads to train a model with: all for convolutions, one for anything else.

    A small matrix product is no quicker on several, and with another busy program beside it
    several times slower: each operation waits for the slowest thread.
    """
    return torch.get_num_threads() if has_convolutions(model) else 1


def has_convolutions(model: nn.Module) -> bool:
    """Whether a model looks at neighbours: then threads, bfloat16 and channels last pay."""
    return any(isinstance(layer, nn.Conv2d) for layer in model.modules())


@contextmanager
def workers_of_one_thread(device: torch.device) -> Iterator[ThreadPoolExecutor]:
    """As many workers as PyTorch has threads, each of which computes on one; on a GPU, one.

    For batches that do not depend on each other: a worker goes on where another shares its
    core with a busy program, while PyTorch's threads would wait for the slowest in each
    operation. Left early, batches that have not begun are given up.
    """
    count = torch.get_num_threads() if device.type == "cpu" else 1
    with thread_count(1):
        workers = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,))
        try:
            yield workers
        finally:
            workers.shutdown(cancel_futures=True)


@contextmanager
def thread_count(count: int) -> Iterator[None]:
    """Compute with so many threads, then with as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
