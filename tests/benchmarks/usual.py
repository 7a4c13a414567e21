"""The READMEs' way, written out: pictures one by one, float32, default settings.

What is compared with is what they describe: `DataLoader(MNIST, ToTensor + Normalize)`, one
model at a time, a number fetched from every batch, MobileNetV2's whole network in every
epoch. Nothing is made slower than it is there.
"""

from __future__ import annotations

import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from mnistkit import build_model, load_mobilenet
from mnistkit.data import MNIST_MEAN, MNIST_STD, Split
from mnistkit.transfer import IMAGE_SIZE, IMAGENET_MEAN, IMAGENET_STD, freeze

TO_DIGIT = transforms.Compose(
    [transforms.ToTensor(), transforms.Normalize((MNIST_MEAN,), (MNIST_STD,))]
)
TO_PHOTO = transforms.Compose(
    [
        transforms.Resize((IMAGE_SIZE, IMAGE_SIZE)),
        transforms.Grayscale(num_output_channels=3),
        transforms.ToTensor(),
        transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
    ]
)


class PictureByPicture(Dataset):
    """Digits as `torchvision.datasets.MNIST` serves them: a picture from bytes, transformed."""

    def __init__(self, split: Split, transform=TO_DIGIT):
        self.images, self.labels, self.transform = split.images, split.labels, transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        picture = Image.fromarray(self.images[index].numpy(), mode="L")
        return self.transform(picture), int(self.labels[index])


def loader(split: Split, batch_size: int, transform=TO_DIGIT) -> DataLoader:
    return DataLoader(PictureByPicture(split, transform), batch_size=batch_size, shuffle=True)


def epoch(name: str, split: Split, batch_size: int, *, sgd: float | None = None) -> None:
    """Train one epoch, from fresh weights."""
    model = build_model(name, seed=0)
    parameters = model.parameters()
    optimizer = torch.optim.SGD(parameters, lr=sgd) if sgd else torch.optim.Adam(parameters)
    _train(model, loader(split, batch_size), optimizer)


def mobilenet_epoch(split: Split) -> None:
    """Train MobileNetV2's new head, with the frozen network before it, for one epoch."""
    model, _ = load_mobilenet("random")
    freeze(model.features)
    _train(model, loader(split, 32, TO_PHOTO), torch.optim.Adam(model.classifier.parameters()))


def _train(model: nn.Module, batches: DataLoader, optimizer) -> None:
    loss_fn, total = nn.CrossEntropyLoss(), 0.0
    model.train()
    for images, labels in batches:
        optimizer.zero_grad()
        loss = loss_fn(model(images), labels)
        loss.backward()
        optimizer.step()
        total += loss.item()
