"""Mean loss and accuracy over samples, counted without making a device wait."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mnistkit.errors import TrainingError

_CHECK_EVERY = 50  # batches between looks at the loss and at what was right


@dataclass(frozen=True)
class Evaluation:
    """Mean loss and accuracy (a fraction) over `count` samples."""

    loss: float
    accuracy: float
    count: int


class Tally:
    """Mean loss and accuracy over samples, worked out every so many batches.

    Until then outputs wait on the device: no batch waits for a number, and counting costs a
    batch next to nothing. On a GPU nothing is fetched before `result`: to ask for a number
    would make it stop and wait.

    guarded: raise TrainingError for a loss that is no number; on the CPU soon, elsewhere
        when the result is asked for.
    """

    def __init__(self, *, guarded: bool = False):
        self.guarded = guarded
        self.waiting: list[tuple[Tensor, Tensor, Tensor]] = []
        self.parts: list[tuple[Tensor, list[int], Tensor]] = []  # losses, sizes, how many right
        self.checked = 0  # parts

    def add(self, outputs: Tensor, labels: Tensor, mean_loss: Tensor) -> None:
        """Take in a batch: outputs N x 10, labels N, and its mean loss, a scalar."""
        self.waiting.append((outputs, labels, mean_loss))
        if len(self.waiting) == _CHECK_EVERY:
            self._work_out()
            if self.guarded and mean_loss.device.type == "cpu":
                self._check()

    def result(self) -> Evaluation:
        """Return the means over all samples.

        Raises ValueError if there was no batch, TrainingError as `guarded` says.
        """
        if self.waiting:
            self._work_out()
        if not self.parts:
            raise ValueError("the loader gave no batches: there is nothing to measure")
        if self.guarded and self.checked < len(self.parts):
            self._check()
        count = sum(sum(sizes) for _, sizes, _ in self.parts)
        loss = sum(
            sum((losses.cpu() * torch.tensor(sizes)).tolist()) for losses, sizes, _ in self.parts
        )
        right = sum(int(part) for *_, part in self.parts)
        return Evaluation(loss / count, right / count, count)

    def _work_out(self) -> None:
        outputs, labels, losses = zip(*self.waiting, strict=True)
        right = torch.cat(outputs).argmax(dim=1) == torch.cat(labels)
        sizes = [len(part) for part in labels]
        self.parts.append((torch.stack(losses), sizes, right.sum()))
        self.waiting.clear()

    def _check(self) -> None:
        before = sum(len(losses) for losses, *_ in self.parts[: self.checked])
        losses = torch.cat([losses for losses, *_ in self.parts[self.checked :]]).cpu()
        finite = torch.isfinite(losses)
        if not finite.all():
            first = int((~finite).nonzero()[0])
            raise TrainingError(
                f"batch {before + first + 1}: the loss is {losses[first].item()}.",
                do="lower the learning rate, or look for values in the inputs that are no numbers",
            )
        self.checked = len(self.parts)
