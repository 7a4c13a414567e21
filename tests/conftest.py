"""Small digits, and small files in the real formats, for the tests of the library."""

from __future__ import annotations

import gzip
import hashlib
import os
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import settings

from mnistkit.data import Digits, Split
from mnistkit.utils import sources
from tests.browser import LAUNCH

pytest.register_assert_rewrite("tests.figures")


def pytest_collection_modifyitems(items):
    """Begin with the longest, so that no worker waits for one at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


COUNTS = {"train": 300, "test": 100}

# How long an example takes says more of the machine, and of who else is at it, than of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _quiet_and_alone(monkeypatch, tmp_path_factory):
    """No test depends on what the machine has: not on data, weights or settings."""
    monkeypatch.setenv("MNISTKIT_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    for name in ("MNISTKIT_DATA", "MNISTKIT_DEVICE", "MNISTKIT_SOURCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MNISTKIT_MOBILENET", "random")
    monkeypatch.setenv("TQDM_DISABLE", "1")
    torch.manual_seed(0)


_STARTED = time.monotonic()


@pytest.fixture(autouse=True)
def _within_the_time_that_is_given(request):
    """Begin no test of the full set after `MNISTKIT_FULL_MINUTES`, if that is set."""
    minutes = os.environ.get("MNISTKIT_FULL_MINUTES")
    late = minutes and time.monotonic() - _STARTED > 60 * float(minutes)
    if late and request.node.get_closest_marker("full"):
        pytest.skip(f"{minutes} minutes are over, as MNISTKIT_FULL_MINUTES says")


def make_split(count: int, seed: int = 0) -> Split:
    """Easy digits: class c is a bright block at its own place, on faint noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 10
    images = torch.randint(0, 60, (count, 28, 28), generator=generator, dtype=torch.uint8)
    for image, label in zip(images, labels.tolist(), strict=True):
        row, column = 2 + 12 * (label // 5), 2 + 5 * (label % 5)
        image[row : row + 10, column : column + 4] = 255
    return Split(images, labels)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**LAUNCH)
        yield browser
        browser.close()


@pytest.fixture
def close_figures():
    """Leave no figure to the next test."""
    from matplotlib import pyplot as plt

    yield
    plt.close("all")


@pytest.fixture
def easy_digits() -> Digits:
    return Digits(make_split(600, 0), make_split(100, 1), make_split(200, 2), "easy")


def idx_bytes(file: sources.IdxFile, values: np.ndarray) -> bytes:
    return file.header + values.astype(file.dtype).tobytes()


@pytest.fixture
def small_mnist(monkeypatch):
    """MNIST's and QMNIST's files with fewer digits; the tables of facts shrink with them.

    Gives the contents by file name, uncompressed.
    """
    generator = np.random.default_rng(0)
    contents = {}
    for table, folder in ((sources.MNIST_FILES, "MNIST"), (sources.QMNIST_FILES, "QMNIST")):
        for part, file in list(table.items()):
            count = COUNTS[part.split("_")[0]]
            small = replace(file, shape=(count, *file.shape[1:]))
            contents[f"{folder}/{file.name}"] = _content(small, part, generator)
            content = idx_bytes(small, contents[f"{folder}/{file.name}"])
            contents[f"{folder}/{file.name}"] = content
            digest = hashlib.sha256(content).hexdigest() if folder == "MNIST" else None
            md5 = hashlib.md5(gzip.compress(content, mtime=0)).hexdigest()
            shrunk = replace(small, sha256=digest, gz_md5=md5 if folder == "QMNIST" else None)
            monkeypatch.setitem(table, part, shrunk)
    return contents


def _content(file: sources.IdxFile, part: str, generator) -> np.ndarray:
    count = file.shape[0]
    labels = np.arange(count) % 10
    if len(file.shape) == 3:
        return generator.integers(0, 256, file.shape)
    if len(file.shape) == 1:
        return labels
    first = 0 if part.startswith("train") else 1000
    writers = first + np.arange(count) // 10
    rows = np.zeros(file.shape, dtype=int)
    rows[:, 0], rows[:, 1], rows[:, 2] = labels, 4 * (np.arange(count) % 2), writers
    return rows


@pytest.fixture
def data_folder(tmp_path, small_mnist):
    """A torchvision root that holds all eight small files, uncompressed."""
    for name, content in small_mnist.items():
        folder, file = name.split("/")
        path = tmp_path / "data" / folder / "raw" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "data"


@pytest.fixture
def series(tmp_path, monkeypatch):
    """A small series in a folder of its own, with one notebook that fails."""
    from tests.notebooks.series import RECORD, write_notebook

    (tmp_path / "notebooks").mkdir()
    write_notebook(tmp_path / "notebooks" / "01_data.ipynb", RECORD)
    write_notebook(
        tmp_path / "notebooks" / "02_fails.ipynb", "seeds", "1 / 0", parameters="seeds = 3"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNISTKIT_SOURCE", "sample")
    return tmp_path


@pytest.fixture(scope="session")
def mobilenet():
    """Random weights, with batch norms that do something."""
    from mnistkit.transfer import load_mobilenet

    model, _ = load_mobilenet("random", seed=3)
    generator = torch.Generator().manual_seed(0)
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.uniform_(-0.1, 0.1, generator=generator)
            layer.running_var.uniform_(0.5, 1.5, generator=generator)
            torch.nn.init.uniform_(layer.bias, -0.1, 0.1, generator=generator)
    return model.eval()
