"""Digits for training, validation and test, and the loaders that feed them to a model."""

from __future__ import annotations

import copy
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset, Subset, TensorDataset

from mnistkit.errors import DataError, DownloadError
from mnistkit.utils import sources
from mnistkit.utils.devices import announce_device
from mnistkit.utils.storage import data_root
from mnistkit.utils.validation import (
    BRIGHTEST,
    check_choice,
    check_flag,
    check_number,
    check_tensor,
    check_whole,
    describe,
    in_short,
)

MNIST_MEAN = 0.1307  # of the 60,000 training images, with pixels in [0, 1]
MNIST_STD = 0.3081
CLASS_NAMES = tuple("0123456789")
SOURCES = ("mnist", "qmnist", "sample")
OTHERS = ("uci", "usps", "fashion_mnist", "kmnist")  # never taken unasked
CLOTHES = ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker",
           "bag", "ankle boot")  # fmt: skip
KUZUSHIJI = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
SAMPLE_TEST_SIZE, SAMPLE_VALIDATION_SIZE = 1000, 500
_IN_A_ROW = 10  # digits that stand for all of them
_TEST_SEED = 20190525  # the sample's test digits are the same whatever `seed` says


@dataclass(frozen=True)
class Split:
    """One of train, validation and test, with what is known of each digit.

    images: uint8, N x 28 x 28, 0 (paper) to 255 (ink).
        With an axis of channels, N x 1 x 28 x 28, they lose it.
    labels: int64, N, 0 to 9.
    writers, series: int64, N, or None where unknown. A writer is a number of NIST's;
    a series is 4 for high-school students, 0 to 3 for census employees.
    """

    images: Tensor
    labels: Tensor
    writers: Tensor | None = None
    series: Tensor | None = None

    def __post_init__(self):
        """Raise ValueError unless there is as much of each part, in tensors."""
        for name, part in zip(("images", "labels", "writers", "series"), self._parts, strict=True):
            if part is not None:
                check_tensor(f"{name} are", part)
        if self.images.dtype == torch.uint8 and self.images.ndim == 4:
            if self.images.shape[1] != 1:
                raise ValueError(f"images are {describe(self.images)}, expected grey ones, "
                                 "N x 28 x 28")  # fmt: skip
            object.__setattr__(self, "images", self.images.squeeze(1))
        sizes = {len(part) for part in self._parts if part is not None}
        if len(sizes) > 1:
            raise ValueError(
                f"{len(self.images)} images and {len(self.labels)} labels: there must be as many "
                "of each, and of what else is known"
            )

    def __len__(self) -> int:
        """Count the digits."""
        return len(self.labels)

    def __getitem__(self, index) -> Split:
        """Select digits by a slice, an index tensor or a mask, with all that is known.

        An index alone gives a split of that one digit. Raises IndexError beyond the last.
        """
        if getattr(index, "shape", None) == () and "bool" not in str(index.dtype):
            index = int(index)
        if isinstance(index, int | np.integer):
            place = range(len(self))[index]
            index = slice(place, place + 1)
        return type(self)(*(None if part is None else part[index] for part in self._parts))

    def __getitems__(self, places) -> list:
        """Raise ValueError: this is how a DataLoader asks, and it would batch no bytes."""
        raise ValueError("a split is no dataset: DataLoader(digits.train.dataset(), ...)")

    def __repr__(self) -> str:
        """One line: how many digits, of how many classes, and what is known of them."""
        known = "" if self.writers is None else f", by {len(self.writers.unique())} writers"
        shape = " x ".join(map(str, self.images.shape[1:]))
        digits = "digit" if len(self) == 1 else "digits"
        return f"<Split of {len(self):,} {digits} of {shape}{known}>"

    def _repr_html_(self) -> str:
        """The first digits as a picture, if they are pictures, and what they are."""
        from mnistkit.utils.figures import image_tag  # slow to import

        first = self[:_IN_A_ROW]
        words = f"{self!r}"[1:-1]
        if self.images.dtype != torch.uint8 or self.images.ndim != 3 or not len(self):
            return escape(words)
        row = 255 - torch.cat(list(first.images), dim=1)
        labels = ", ".join(map(str, first.labels.tolist()))
        picture = image_tag(row.numpy(), f"The first {len(first)} digits; labels {labels}.")
        return f"{picture}<br>{escape(words)}; these: {labels}"

    def __reduce__(self):
        """Travel to another process as arrays, which joblib maps into its memory uncopied."""
        return _rebuild, (type(self), *self._arrays)

    @property
    def _parts(self) -> tuple[Tensor | None, ...]:
        return self.images, self.labels, self.writers, self.series

    @cached_property  # joblib knows an array that it has mapped by its identity
    def _arrays(self) -> tuple[np.ndarray | None, ...]:
        return tuple(None if part is None else part.numpy() for part in self._parts)

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
    ) -> Batches:
        """Batches of (float32 images N x 1 x 28 x 28, int64 labels N)."""
        dataset = self.dataset(normalized=normalized)
        return Batches(dataset, batch_size, shuffle=shuffle, seed=seed)

    def inputs(self, *, normalized: bool = False) -> Tensor:
        """All images at once as a model takes them: float32, N x 1 x 28 x 28."""
        images = to_float(self.images)
        return normalize(images) if normalized else images


@dataclass(frozen=True)
class Digits:
    """Training, validation and test digits, and the name of the source they are from.

    weights: of the network whose features stand in the place of images, if any.
    known_digest: `digest`, where it need not be computed again.
    """

    train: Split
    validation: Split
    test: Split
    source: str
    weights: str = ""
    known_digest: str = ""

    @property
    def class_names(self) -> tuple[str, ...]:
        """What each of the ten labels means."""
        return {"fashion_mnist": CLOTHES, "kmnist": KUZUSHIJI}.get(self.source, CLASS_NAMES)

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that change with any pixel, any label, any split.

        It is computed anew after a change of the tensors, though not after one of arrays that
        share their memory.
        """
        if self.known_digest:
            return self.known_digest
        parts = (self.train, self.validation, self.test)
        tensors = [tensor for part in parts for tensor in (part.images, part.labels)]
        if any(tensor.is_inference() for tensor in tensors):  # these do not count their changes
            return _digest(parts)
        state = [(tensor.data_ptr(), tensor._version) for tensor in tensors]
        known, digest = self.__dict__.get("_known", (None, ""))
        if known != state:
            digest = _digest(parts)
            self.__dict__["_known"] = state, digest
        return digest

    def __repr__(self) -> str:
        """One line, as `str` gives it."""
        return f"<{self}>"

    def _repr_html_(self) -> str:
        """A row a split: its digits, and how many of each class."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        classes = 1 + max((p.labels.max().item() for p in parts.values() if len(p)), default=0)
        names = [*self.class_names, *map(str, range(10, classes))]
        counts = {n: torch.bincount(p.labels, minlength=len(names)) for n, p in parts.items()}
        frame = pd.DataFrame({n: c.tolist() for n, c in counts.items()}, index=names).T
        frame.insert(0, "digits", [len(part) for part in parts.values()])
        return f"{frame.to_html(border=0)}{escape(str(self))}"

    def __str__(self) -> str:
        """Name the source and the sizes: the line that every notebook prints."""
        sizes = f"{len(self.train):,} train, {len(self.validation):,} validation"
        note = ""
        if self.source == "sample":
            note = "; a notebook's text is about full MNIST"
        elif self.source in OTHERS:
            note = "; text and verdicts are about MNIST, no claim is about these"
        source = name_source(self.source, self.weights)
        return f"{source}: {sizes}, {len(self.test):,} test digits{note}"


def _rebuild(kind: type[Split], *arrays: np.ndarray | None) -> Split:
    """A split with tensors of its own: an array that is mapped cannot be written to."""
    return kind(*(None if a is None else torch.from_numpy(np.array(a)) for a in arrays))


def name_source(source: str, weights: str) -> str:
    """Name digits by their source, and features by that and the weights that made them."""
    return f"{source}, {weights}" if weights else source


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


class Batches:
    """Batches of a dataset in memory, one pass after another: a DataLoader's, and quicker.

    A DataLoader asks for each sample and puts samples together; this asks the dataset once a
    batch, with a tensor of indices, so the dataset must take one (`ImageDataset` and
    `TensorDataset` do). The order is that of a DataLoader with the same generator; it is drawn
    on the CPU, so that it is the same on every device.

    generator: draws the order; `fit` seeds it anew, so that a run repeats.
    """

    def __init__(
        self, dataset: Dataset, batch_size: int = 64, *, shuffle: bool = False, seed: int = 0
    ):
        """Raises ValueError for a bad number, or a dataset that is empty."""
        check_flag("shuffle", shuffle)
        self.dataset, self.shuffle = dataset, shuffle
        if hasattr(dataset, "images") and not isinstance(dataset, Dataset):
            raise ValueError(f"{in_short(dataset)} is no dataset: take digits.train.loader(64)")
        if not hasattr(dataset, "__len__") or isinstance(dataset, str):
            raise ValueError(f"dataset is {in_short(dataset)}, expected inputs with labels, as in "
                             "TensorDataset(inputs, labels)")  # fmt: skip
        if len(dataset) == 0:
            raise ValueError(
                "the dataset is empty: there is nothing to make batches of (the source 'uci' has "
                "test digits alone)"
            )
        if isinstance(dataset, Subset) and isinstance(dataset.indices, np.ndarray):
            # An array asked for one place gives a number, and the batch would lose its axis.
            self.dataset = Subset(dataset.dataset, torch.as_tensor(dataset.indices))
        self.batch_size = min(check_whole("batch_size", batch_size), len(dataset))
        self.generator = torch.Generator().manual_seed(check_whole("seed", seed, least=0))
        self.device = torch.device("cpu")

    def __len__(self) -> int:
        """Count the batches of a pass."""
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Go through the dataset once."""
        for index in self.draw_order().to(self.device).split(self.batch_size):
            yield self.take(index)

    def take(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Samples at these places; raise ValueError where the dataset gives one at a time."""
        try:
            return self.dataset[index]
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(
                f"{type(self.dataset).__name__} gives no samples for a tensor of places, as "
                f"ImageDataset and TensorDataset do ({error}): take a DataLoader for it"
            ) from error

    def draw_order(self) -> Tensor:
        """Indices of all samples in the order of the next pass: int64, N."""
        count = len(self.dataset)
        torch.empty((), dtype=torch.int64).random_(generator=self.generator)  # as a DataLoader does
        if not self.shuffle:
            return torch.arange(count)
        order = torch.randperm(count, generator=self.generator)
        torch.randperm(count, generator=self.generator)  # a RandomSampler draws one more
        return order

    def to(self, device: torch.device) -> Batches:
        """Give the same batches, in the order of the same generator, from a device's memory.

        All samples are copied there once. A dataset that cannot be moved stays where it is.
        """
        moved = copy.copy(self)
        if isinstance(self.dataset, TensorDataset):
            moved.dataset = TensorDataset(*(tensor.to(device) for tensor in self.dataset.tensors))
        elif isinstance(self.dataset, ImageDataset):
            moved.dataset = self.dataset.to(device)
        else:
            return self
        moved.device = device
        return moved


def _digest(parts: Iterable[Split]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{tuple(part.images.shape)} {part.images.dtype}".encode())
        digest.update(part.images.contiguous().numpy())
        digest.update(part.labels.contiguous().numpy())
    return digest.hexdigest()[:16]


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
            "sample" are 5,000 of MNIST's training digits, which the networks that come with
            the library have seen.
            "uci" are 1,797 digits of other people in MNIST's form, all of them test; "usps"
            9,298 of envelopes; "fashion_mnist" and "kmnist" clothes and Japanese letters.
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
    by_writer = check_choice("validation_by", validation_by, ("class", "writer")) == "writer"
    check_whole("validation_size", validation_size, least=0)
    check_number("seed", check_whole("seed", seed, least=0), below=2**32)  # sklearn's limit
    if limit is not None:
        check_whole("limit", limit, least=10)  # one a class
    names = _checked_order(order) if source == "auto" else (source,)
    announce_device()
    name, parts = _first_available(names, data_root(root), writers or by_writer)
    if name == "uci":
        (test,) = parts
        return Digits(test[:0], test[:0], _limited(test, limit), name)
    train, test = (
        parts
        if len(parts) == 2
        else _split_off(parts[0], SAMPLE_TEST_SIZE, _TEST_SEED, by_writer=False)
    )
    if name == "sample":
        validation_size = min(validation_size, SAMPLE_VALIDATION_SIZE)
    train, validation = _split_off(train, validation_size, seed, by_writer)
    splits = [_limited(part, limit) for part in (train, validation, test)]
    return Digits(*splits, name)


def find_source(source: str = "auto", *, root: str | os.PathLike | None = None) -> str:
    """Name the source that `load_digits` would use, downloading and verifying as it does."""
    source = _requested(source)
    return _first_available(SOURCES if source == "auto" else (source,), data_root(root), False)[0]


def _requested(source: str) -> str:
    if check_choice("source", source, (*SOURCES, *OTHERS, "auto")) != "auto":
        return source
    wanted = os.environ.get("MNISTKIT_SOURCE") or "auto"
    return check_choice("source in MNISTKIT_SOURCE", wanted, (*SOURCES, *OTHERS, "auto"))


def _checked_order(order: Sequence[str]) -> tuple[str, ...]:
    names = (order,) if isinstance(order, str) else tuple(order)
    if not names:
        raise ValueError("order is empty: name at least one source")
    return tuple(check_choice("source in order", name, SOURCES) for name in names)


def _first_available(
    names: Sequence[str], root: os.PathLike, writers: bool
) -> tuple[str, tuple[Split, ...]]:
    for name in names[:-1]:
        try:
            return name, _read(name, root, writers)
        except DownloadError as error:
            reason = str(error).splitlines()[0]
            print(f"{reason}\n  -> trying {names[names.index(name) + 1]} instead", flush=True)
    return names[-1], _read(names[-1], root, writers)


def _read(name: str, root: os.PathLike, writers: bool) -> tuple[Split, ...]:
    read = {
        "mnist": lambda: sources.read_mnist(root, writers=writers),
        "qmnist": lambda: sources.read_qmnist(root),
        "usps": lambda: sources.read_usps(root),
        "sample": lambda: (sources.read_sample(),),
        "uci": lambda: (sources.read_uci(),),
    }
    rows = read[name]() if name in read else sources.read_like_mnist(name, root)
    return tuple(Split(*parts) for parts in rows)


def _split_off(digits: Split, size: int, seed: int, by_writer: bool) -> tuple[Split, Split]:
    """Divide into (rest, `size` set aside), shuffled, by class or by writer."""
    if not 0 <= size <= len(digits) - 10:
        raise ValueError(f"validation_size is {size}, but there are {len(digits):,} digits")
    if size == 0:
        return digits, digits[:0]
    split = _indices_by_writer if by_writer else _indices_by_class
    kept, aside = split(digits, size, seed)
    return digits[torch.from_numpy(kept)], digits[torch.from_numpy(aside)]


def _indices_by_class(digits: Split, size: int, seed: int):
    from sklearn.model_selection import train_test_split

    indices = torch.arange(len(digits)).numpy()
    labels = digits.labels.numpy()
    stratify = labels if size >= 10 else None  # fewer than one a class cannot be in proportion
    return train_test_split(indices, test_size=size, random_state=seed, stratify=stratify)


def _indices_by_writer(digits: Split, size: int, seed: int):
    from sklearn.model_selection import GroupShuffleSplit

    if digits.writers is None:
        raise DataError(
            "who wrote these digits is not known, so validation cannot be by writer",
            do="use source 'mnist' or 'qmnist', or validation_by='class'",
        )
    splitter = GroupShuffleSplit(1, test_size=size / len(digits), random_state=seed)
    return next(splitter.split(digits.labels, groups=digits.writers.numpy()))


def _limited(digits: Split, limit: int | None) -> Split:
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
    check_tensor("images is", images)
    if not images.is_floating_point():
        raise ValueError(f"expected float images in [0, 1], got {images.dtype}; use to_float first")
    check_number("std", std, above=0)
    if images.device.type == "cpu" and images.numel() and images.max() > BRIGHTEST:
        raise ValueError(
            f"images reach to {images.max():g}, expected [0, 1]: use to_float on bytes"
        )
    return (images - mean) / std


def unnormalize(images: Tensor, mean: float = MNIST_MEAN, std: float = MNIST_STD) -> Tensor:
    """Undo `normalize`, for drawing: float images back to [0, 1]."""
    check_tensor("images are", images)
    return (images * std + mean).clamp(0, 1)


def make_loader(
    dataset: Dataset, batch_size: int = 64, *, shuffle: bool = False, seed: int = 0
) -> Batches:
    """Batch a dataset in memory, in the place of a DataLoader; see `Batches`."""
    batches = Batches(dataset, batch_size, shuffle=shuffle, seed=seed)
    for places in ([0, len(dataset) - 1], [0]):  # refused now, and not amid a training
        batches.take(torch.tensor(places))
    return batches


def _rows(values: Tensor, index) -> Tensor:
    """`values[index]`; for a tensor of places `index_select`, which copies row by row."""
    if isinstance(index, Tensor) and index.dtype == torch.int64 and index.ndim:
        rows = values.index_select(0, index.flatten())
        return rows.view(*index.shape, *values.shape[1:])
    return values[index]


def _check_bytes(images: Tensor) -> None:
    check_tensor("images are", images)
    if images.dtype != torch.uint8:
        raise ValueError(f"expected uint8 images (0-255), got {images.dtype}")
