"""The READMEs' way against ours, side by side in one process: `make bench`.

Each row is the median of interleaved repeats on the same digits. Only the ratios mean
something: the machines that run this are shared. It takes the digits that `load_digits`
finds; MNISTKIT_SOURCE=sample needs no network.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable

import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from mnistkit import build_model, extract_features, fit, load_digits, load_mobilenet, preprocess
from mnistkit.data import MNIST_MEAN, MNIST_STD

REPEATS = 3
PICTURES = 64  # for MobileNetV2, which needs no more to show its rate


class PictureByPicture(Dataset):
    """Digits as torchvision's MNIST serves them, one picture at a time."""

    def __init__(self, split):
        self.images, self.labels = split.images, split.labels
        self.transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize((MNIST_MEAN,), (MNIST_STD,))]
        )

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.transform(Image.fromarray(self.images[index].numpy())), int(self.labels[index])


def plain_epoch(model: nn.Module, loader, optimizer) -> None:
    """The loop of the READMEs: float32, a number fetched from every batch."""
    total = 0.0
    model.train()
    for images, labels in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        total += loss.item()


def epoch_pair(split, name: str, batch_size: int) -> tuple[Callable, Callable]:
    usual_loader = DataLoader(PictureByPicture(split), batch_size=batch_size, shuffle=True)
    fast_loader = split.loader(batch_size, shuffle=True, normalized=True)
    usual_model, our_model = build_model(name, seed=0), build_model(name, seed=0)
    optimizer = torch.optim.Adam(usual_model.parameters())
    return (
        lambda: plain_epoch(usual_model, usual_loader, optimizer),
        lambda: fit(our_model, fast_loader, epochs=1, device="cpu", progress=False),
    )


def feature_pair(images) -> tuple[Callable, Callable]:
    model, _ = load_mobilenet("random")
    model.eval()

    def usual():
        with torch.no_grad():
            for batch in images.split(32):
                model.features(preprocess(batch)).mean(dim=(2, 3))

    return usual, lambda: extract_features(model, images, progress=False)


def seconds(action: Callable) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def compare(name: str, usual: Callable, ours: Callable) -> dict:
    pairs = [(seconds(usual), seconds(ours)) for _ in range(REPEATS)]
    theirs, mine = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"{name:32} {theirs:8.2f} s {mine:8.2f} s {theirs / mine:8.1f} x", flush=True)
    return {"what": name, "readmes_seconds": theirs, "our_seconds": mine, "ratio": theirs / mine}


def main() -> None:
    digits = load_digits(os.environ.get("MNISTKIT_SOURCE", "auto"), limit=10_000)
    split = digits.train
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
    print(f"{len(split):,} {digits.source} digits; torch {torch.__version__}; {machine}")
    print(f"{'':32} {'READMEs':>10} {'ours':>10} {'ratio':>10}")
    usual_loader = DataLoader(PictureByPicture(split), batch_size=64)
    fast_loader = split.loader(64, normalized=True)
    rows = [
        compare("a pass of the loader", lambda: list(usual_loader), lambda: list(fast_loader)),
        compare("an epoch of A's MLP, batch 64", *epoch_pair(split, "A baseline", 64)),
        compare("an epoch of V2, batch 32", *epoch_pair(split, "V2", 32)),
        compare("an epoch of E's CNN, batch 64", *epoch_pair(split, "E CNN corrected", 64)),
        compare(f"MobileNetV2, {PICTURES} pictures", *feature_pair(split.images[:PICTURES])),
    ]
    print(json.dumps({"machine": machine, "source": digits.source, "rows": rows}))


if __name__ == "__main__":
    main()
