"""What the machine can do at best: matrix products, and copying memory."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mnistkit.experiments.results import describe_machine
from mnistkit.utils.devices import choose_device, supports_bfloat16

SIZE = 2048


def seconds(action: Callable[[], object]) -> float:
    """Time an action once, waiting for the GPU if there is one."""
    _wait()
    started = time.perf_counter()
    action()
    _wait()
    return time.perf_counter() - started


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def product_rate(dtype: torch.dtype, repeats: int = 7) -> float:
    """Operations a second, multiplications and additions, of a square matrix product."""
    device = choose_device()
    a, b = (torch.randn(SIZE, SIZE, device=device).to(dtype) for _ in range(2))
    a @ b
    return 2 * SIZE**3 / statistics.median(seconds(lambda: a @ b) for _ in range(repeats))


def copy_rate(repeats: int = 7) -> float:
    """Bytes a second that are read, of a copy of 256 MB."""
    source = torch.zeros(64 * 2**20, device=choose_device())
    target = torch.empty_like(source)
    target.copy_(source)
    return source.nbytes / statistics.median(
        seconds(lambda: target.copy_(source)) for _ in range(repeats)
    )


def training_operations(model: nn.Module, inputs: torch.Tensor) -> int:
    """Operations of one forward and backward pass, counted by PyTorch."""
    with FlopCounterMode(display=False) as counter:
        model(inputs).sum().backward()
    return counter.get_total_flops()


def describe() -> dict[str, object]:
    """The machine, and its limits in operations and bytes a second."""
    machine = describe_machine() | {"system": platform.system(), "cores": os.cpu_count()}
    device = choose_device()
    if device.type == "cuda":
        machine |= {"device": torch.cuda.get_device_name()}
    return machine | {
        "bfloat16": supports_bfloat16(device),
        "float32_rate": product_rate(torch.float32),
        "bfloat16_rate": product_rate(torch.bfloat16),
        "copy_rate": copy_rate(),
    }
