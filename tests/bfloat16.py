"""Whether this machine can convolve in bfloat16 at all, for the tests that ask it to."""

from __future__ import annotations

import pytest
import torch


def _convolves() -> bool:
    image = torch.ones(1, 3, 8, 8, dtype=torch.bfloat16)
    try:
        torch.nn.functional.conv2d(image, torch.ones(4, 3, 3, 3, dtype=torch.bfloat16))
    except RuntimeError:  # a processor without avx512bw
        return False
    return True


NEEDS_BFLOAT16 = pytest.mark.skipif(
    not _convolves(), reason="this processor cannot convolve in bfloat16"
)
