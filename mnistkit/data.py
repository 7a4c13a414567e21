"""Digits for training, validation and test, and the loaders that feed them to a model."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    RandomSampler,
    SequentialSampler,
    TensorDataset,
)

from mnistkit.errors import DataError, DownloadError, unknown_name
from mnistkit.utils import sources
from mnistkit.utils.devices import announce_device
from mnistkit.utils.storage import data_root
from mnistkit.utils.validation import check_whole

MNIST_MEAN = 0.1307  # of the 60,000 training images, with pixels in [0, 1]
MNIST_STD = 0.3081
CLASS_NAMES = tuple("0123456789")
SOURCES = ("mnist", "qmnist", "sample")
SAMPLE_TEST_SIZE, SAMPLE_VALIDATION_SIZE = 1000, 500
_TEST_SEED = 20190525  # the sample's test digits are the same whatever `seed` says


class Split(sources.Labelled):
    """One of train, validation and test: `images` and `labels`, and perhaps `writers`.

    images: uint8, N x 28 x 28, 0 (paper) to 255 (ink). labels: int64, N.
    """

    def dataset(self, *, normalized: bool = False) -> ImageDataset:
        """Serve these digits as the float images that a model takes."""
        return ImageDataset(self.images, self.labels, normalized=normalized)

    def loader(
        self,
        batch_size: int = 64,
        *,
        shuffle: bool = False,
        normalized: bool = False,
        seed: int = 0,
    ) -> DataLoader:
        """Batches of (float32 images N x 1 x 28 x 28, int64 labels N); see `make_loader`."""
        dataset = self.dataset(normalized=normalized)
        return make_loader(dataset, batch_size, shuffle=shuffle, seed=seed)

    def inputs(self, *, normalized: bool = False) -> Tensor:
        """All images at once as a model takes them: float32, N x 1 x 28 x 28."""
        images = to_float(self.images)
        return normalize(images) if normalized else images


@dataclass(frozen=True)
class Digits:
    """Training, validation and test digits, and the name of the source they are from.

    known_digest: `digest`, where it need not be computed again.
    """

    train: Split
    validation: Split
    test: Split
    source: str
    known_digest: str = ""

    @cached_property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that change with any pixel, any label, any split."""
        if self.known_digest:
            return self.known_digest
        digest = hashlib.sha256()
        for part in (self.train, self.validation, self.test):
            digest.update(f"{tuple(part.images.shape)} {part.images.dtype}".encode())
            digest.update(part.images.contiguous().numpy())
            digest.update(part.labels.contiguous().numpy())
        return digest.hexdigest()[:16]

    def __str__(self) -> str:
        """Name the source and the sizes: the line that every notebook prints."""
        sizes = f"{len(self.train):,} train, {len(self.validation):,} validation"
        note = "; a notebook's text is about full MNIST" if self.source == "sample" else ""
        return f"{self.source}: {sizes}, {len(self.test):,} test digits{note}"


class ImageDataset(Dataset):
    """Images kept as bytes and made float when asked for, one or a whole batch at once."""

    def __init__(self, images: Tensor, labels: Tensor, *, normalized: bool = False):
        """Take uint8 images N x 28 x 28 and int64 labels N, both kept without a copy."""
        _check_bytes(images)
        self.images, self.labels, self.normalized = images.unsqueeze(1), labels, normalized

    def to(self, device: torch.device) -> ImageDataset:
        """Serve the same images from another device's memory."""
        images, labels = self.images.squeeze(1).to(device), self.labels.to(device)
        return ImageDataset(images, labels, normalized=self.normalized)

    def __len__(self) -> int:
        """Count the images."""
        return len(self.labels)

    def __getitem__(self, index) -> tuple[Tensor, Tensor]:
        """Image(s) and label(s) at an index, or at a list of indices: one call a batch."""
        images, labels = _rows(self.images, index).float().div_(255), _rows(self.labels, index)
        if self.normalized:
            images.sub_(MNIST_MEAN).div_(MNIST_STD)  # as `normalize`, without copies
        return images, (labels.item() if labels.ndim == 0 else labels)


def load_digits(
    source: str = "auto",
    *,
    root: str | os.PathLike | None = None,
    validation_size: int = 5000,
    seed: int = 0,
    limit: int | None = None,
    validation_by: str = "class",
    writers: bool = False,
    order: Sequence[str] = SOURCES,
) -> Digits:
    """Load digits from disk, from the network, or from the sample that is always there.

    The first call in a process prints what will be computed with: device, threads, precision.

    Args:
        source: "mnist", "qmnist", "sample", or "auto": what `MNISTKIT_SOURCE` says, else
            the first of `order` that can be had. Falling back prints a line that says so.
        root: folder that holds `MNIST/raw` and `QMNIST/raw`; see `storage.data_root`.
        validation_size: training digits set aside for validation, with each class in
            proportion. The sample sets aside 1,000 as test and at most 500 for validation.
        seed: which digits those are. Test digits do not depend on it.
        limit: at most this many digits in each split, classes in proportion; None for all.
        validation_by: "class", or "writer": no writer in both train and validation (their
            number is then only roughly `validation_size`).
        writers: download QMNIST's label files (1 MB) if MNIST's writers are not known yet.
        order: what "auto" tries.

    Raises:
        DataError: a file is damaged. It is never replaced by another source in silence.
        DownloadError: the source that was asked for cannot be had.
        ValueError: an unknown source, or sizes that do not fit.
    """
    source = _requested(source)
    by_writer = _check_validation_by(validation_by)
    check_whole("validation_size", validation_size, least=0)
    check_whole("seed", seed, least=0)
    if limit is not None:
        check_whole("limit", limit, least=10)  # one a class
    names = _checked_order(order) if source == "auto" else (source,)
    announce_device()
    name, parts = _first_available(names, data_root(root), writers or by_writer)
    train, test = parts if len(parts) == 2 else _split_off_sample_test(parts[0])
    if name == "sample":
        validation_size = min(validation_size, SAMPLE_VALIDATION_SIZE)
    train, validation = _split_off(train, validation_size, seed, by_writer)
    splits = [_limited(part, limit) for part in (train, validation, test)]
    return Digits(*(Split(s.images, s.labels, s.writers, s.series) for s in splits), name)


def find_source(source: str = "auto", *, root: str | os.PathLike | None = None) -> str:
    """Name the source that `load_digits` would use, downloading and verifying as it does."""
    source = _requested(source)
    return _first_available(SOURCES if source == "auto" else (source,), data_root(root), False)[0]


def _requested(source: str) -> str:
    if source not in (*SOURCES, "auto"):
        raise unknown_name("source", source, (*SOURCES, "auto"))
    if source != "auto":
        return source
    wanted = os.environ.get("MNISTKIT_SOURCE") or "auto"
    if wanted not in (*SOURCES, "auto"):
        raise unknown_name("source in MNISTKIT_SOURCE", wanted, (*SOURCES, "auto"))
    return wanted


def _checked_order(order: Sequence[str]) -> tuple[str, ...]:
    names = (order,) if isinstance(order, str) else tuple(order)
    if not names:
        raise ValueError("order is empty: name at least one source")
    for name in names:
        if name not in SOURCES:
            raise unknown_name("source in order", name, SOURCES)
    return names


def _check_validation_by(validation_by: str) -> bool:
    if validation_by not in ("class", "writer"):
        raise unknown_name("validation_by", validation_by, ("class", "writer"))
    return validation_by == "writer"


def _first_available(
    names: Sequence[str], root: os.PathLike, writers: bool
) -> tuple[str, tuple[sources.Labelled, ...]]:
    for name in names[:-1]:
        try:
            return name, _read(name, root, writers)
        except DownloadError as error:
            reason = str(error).splitlines()[0]
            print(f"{reason}\n  -> trying {names[names.index(name) + 1]} instead", flush=True)
    return names[-1], _read(names[-1], root, writers)


def _read(name: str, root: os.PathLike, writers: bool) -> tuple[sources.Labelled, ...]:
    if name == "mnist":
        return sources.read_mnist(root, writers=writers)
    if name == "qmnist":
        return sources.read_qmnist(root)
    return (sources.read_sample(),)


def _split_off_sample_test(
    sample: sources.Labelled,
) -> tuple[sources.Labelled, sources.Labelled]:
    return _split_off(sample, SAMPLE_TEST_SIZE, _TEST_SEED, by_writer=False)


def _split_off(
    digits: sources.Labelled, size: int, seed: int, by_writer: bool
) -> tuple[sources.Labelled, sources.Labelled]:
    """Divide into (rest, `size` set aside), shuffled, by class or by writer."""
    if not 0 <= size <= len(digits) - 10:
        raise ValueError(f"validation_size is {size}, but there are {len(digits):,} digits")
    if size == 0:
        return digits, digits[:0]
    split = _indices_by_writer if by_writer else _indices_by_class
    kept, aside = split(digits, size, seed)
    return digits[torch.from_numpy(kept)], digits[torch.from_numpy(aside)]


def _indices_by_class(digits: sources.Labelled, size: int, seed: int):
    from sklearn.model_selection import train_test_split

    indices = torch.arange(len(digits)).numpy()
    labels = digits.labels.numpy()
    stratify = labels if size >= 10 else None  # fewer than one a class cannot be in proportion
    return train_test_split(indices, test_size=size, random_state=seed, stratify=stratify)


def _indices_by_writer(digits: sources.Labelled, size: int, seed: int):
    from sklearn.model_selection import GroupShuffleSplit

    if digits.writers is None:
        raise DataError(
            "who wrote these digits is not known, so validation cannot be by writer",
            do="use source 'mnist' or 'qmnist', or validation_by='class'",
        )
    splitter = GroupShuffleSplit(1, test_size=size / len(digits), random_state=seed)
    return next(splitter.split(digits.labels, groups=digits.writers.numpy()))


def _limited(digits: sources.Labelled, limit: int | None) -> sources.Labelled:
    if limit is None or len(digits) <= limit:
        return digits
    if len(digits) - limit < 10:
        return digits[:limit]
    return _split_off(digits, limit, seed=0, by_writer=False)[1]


# --- from bytes to batches ----------------------------------------------------------


def to_float(images: Tensor) -> Tensor:
    """Scale bytes to [0, 1] and add the channel axis, as torchvision's `ToTensor` does.

    images: uint8, N x 28 x 28. Returns float32, N x 1 x 28 x 28.
    Raises ValueError on another dtype: scaling twice would be silent.
    """
    _check_bytes(images)
    return images.unsqueeze(-3).float().div_(255)


def normalize(images: Tensor, mean: float = MNIST_MEAN, std: float = MNIST_STD) -> Tensor:
    """Shift and scale float images so that MNIST's pixels have mean 0 and deviation 1."""
    if not images.is_floating_point():
        raise ValueError(f"expected float images in [0, 1], got {images.dtype}; use to_float first")
    return (images - mean) / std


def unnormalize(images: Tensor, mean: float = MNIST_MEAN, std: float = MNIST_STD) -> Tensor:
    """Undo `normalize`, for drawing: float images back to [0, 1]."""
    return (images * std + mean).clamp(0, 1)


def make_loader(
    dataset: Dataset, batch_size: int = 64, *, shuffle: bool = False, seed: int = 0
) -> DataLoader:
    """Batch a dataset in memory: an ordinary DataLoader that asks for a batch in one call.

    The sampler hands out tensors of indices and `batch_size=None` passes each to the
    dataset as it is, so the dataset must accept one (`ImageDataset` and `TensorDataset`
    do). Worker processes would cost more than they save.

    seed: fixes the order; `fit` sets it anew at its start, so that a run repeats.
    """
    batch_size = check_whole("batch_size", batch_size)
    check_whole("seed", seed, least=0)
    if len(dataset) == 0:
        raise ValueError("the dataset is empty: there is nothing to make batches of")
    generator = torch.Generator().manual_seed(seed)
    order = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
    batches = _TensorBatches(order, batch_size, drop_last=False)
    return DataLoader(dataset, sampler=batches, batch_size=None, generator=generator)


def move_loader(loader: DataLoader, device: torch.device) -> DataLoader:
    """Give the same batches from a device's memory, where all digits are copied once.

    The order is drawn as before, from the same generator. A loader on the CPU, and any that
    `make_loader` did not make, is returned as it is: its batches are then moved one by one.
    """
    batches, dataset = getattr(loader, "sampler", None), getattr(loader, "dataset", None)
    if device.type == "cpu" or not isinstance(batches, _TensorBatches):
        return loader
    if isinstance(dataset, TensorDataset):
        moved = TensorDataset(*(tensor.to(device) for tensor in dataset.tensors))
    elif isinstance(dataset, ImageDataset):
        moved = dataset.to(device)
    else:
        return loader
    sampler = _TensorBatches(batches.sampler, batches.batch_size, drop_last=False)
    sampler.device = device
    return DataLoader(moved, sampler=sampler, batch_size=None, generator=loader.generator)


def _rows(values: Tensor, index) -> Tensor:
    """`values[index]`; for a tensor of places `index_select`, which copies row by row."""
    if isinstance(index, Tensor) and index.dtype == torch.int64 and index.ndim:
        rows = values.index_select(0, index.flatten())
        return rows.view(*index.shape, *values.shape[1:])
    return values[index]


class _TensorBatches(BatchSampler):
    """Batches of places as tensors: a list of numbers costs more to index with than a batch.

    The order is that of an ordinary loader with the same generator. It is drawn on the CPU,
    so that it is the same everywhere, and moved once an epoch to the device of the digits.
    """

    device = torch.device("cpu")

    def __iter__(self) -> Iterator[Tensor]:
        count, shuffled = len(self.sampler), isinstance(self.sampler, RandomSampler)
        generator = self.sampler.generator if shuffled else None
        order = torch.randperm(count, generator=generator) if shuffled else torch.arange(count)
        yield from order.to(self.device).split(self.batch_size)
        if shuffled:
            torch.randperm(count, generator=generator)  # RandomSampler draws one more at its end


def _check_bytes(images: Tensor) -> None:
    if images.dtype != torch.uint8:
        raise ValueError(f"expected uint8 images (0-255), got {images.dtype}")
