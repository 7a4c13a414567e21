"""Models that need no training: they know what they answer."""

from __future__ import annotations

import torch
from torch import nn


class Four(nn.Module):
    """Answers 4 with 94.3 %, unless it is told to fail."""

    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(10))
        self.logits.data[4] = 5.0
        self.failure = None

    def forward(self, images):
        if self.failure:
            raise self.failure
        return self.logits.repeat(len(images), 1)
