"""Predictions are probabilities, in one pass, and leave the model as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mnistkit.data import load_digits
from mnistkit.metrics import accuracy
from mnistkit.models import CNN, build_model, count_operations, layer_table
from mnistkit.prediction import make_predictions
from mnistkit.training import evaluate


@pytest.fixture
def samples():
    return list(torch.rand(9, 1, 28, 28))


def test_a_list_of_samples_gives_a_row_of_probabilities_each(samples):
    probabilities = make_predictions(model=build_model("V2", seed=0), data=samples)
    assert probabilities.shape == (9, 10)
    assert torch.allclose(probabilities.sum(dim=1), torch.ones(9), atol=1e-6)
    assert probabilities.argmax(dim=1).shape == (9,)
    assert not probabilities.requires_grad


def test_samples_with_and_without_channel_and_a_tensor_give_the_same(samples):
    model = build_model("V2", seed=0)
    expected = make_predictions(model, samples)
    assert torch.equal(make_predictions(model, [s[0] for s in samples]), expected)
    assert torch.equal(make_predictions(model, torch.stack(samples)), expected)
    assert torch.equal(make_predictions(model, torch.stack(samples)[:, 0]), expected)


def test_one_pass_in_eval_mode_and_mode_restored(samples):
    class Watched(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.passes = nn.Linear(784, 10), []

        def forward(self, images):
            self.passes.append((len(images), self.training))
            return self.layer(images.flatten(1))

    model = Watched().train()
    make_predictions(model, samples)
    assert model.passes == [(9, False)]
    assert model.training


def test_softmax_is_applied_once_whatever_the_model_puts_out(samples):
    images = torch.stack(samples)
    softmaxed = CNN(softmax=True)
    bare = CNN(softmax=False)
    bare.load_state_dict(softmaxed.state_dict())
    assert torch.allclose(make_predictions(softmaxed, images), make_predictions(bare, images))
    deep = build_model("D deep", seed=0).eval()
    assert torch.allclose(make_predictions(deep, images), deep(images).exp(), atol=1e-6)


def test_many_samples_are_passed_in_parts_with_the_same_result():
    model, images = build_model("E MLP", seed=0), torch.rand(2500, 1, 28, 28)
    whole = model(images).softmax(dim=1)
    assert torch.allclose(make_predictions(model, images), whole, atol=1e-6)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "no samples were given"),
        ([torch.rand(1, 28, 28), torch.rand(28, 28)], "different shapes"),
        (torch.zeros(3, 1, 28, 28, dtype=torch.uint8), "use to_float first"),
    ],
)
def test_bad_samples_are_named(data, message):
    with pytest.raises(ValueError, match=message):
        make_predictions(build_model("V0"), data)


@pytest.mark.parametrize("paths", ["photo.png", ["photo.png"], [Path("photo.png")]])
def test_paths_are_sent_to_predict_image(paths):
    with pytest.raises(ValueError, match=r"photo\.png.*; for a photo use predict_image"):
        make_predictions(build_model("V0"), paths)


def test_a_model_of_buffers_alone_is_asked_and_measured_like_any_other():
    """The mean of each class, and which is nearest: nothing of it is trained."""

    class Nearest(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("means", torch.rand(10, 784, dtype=torch.float64))

        def forward(self, images):
            return -torch.cdist(images.flatten(1), self.means)

    digits = load_digits("sample", limit=100).test
    model = Nearest()
    said = make_predictions(model, digits.inputs())
    batches = [(images.double(), labels) for images, labels in digits.loader(50)]
    assert evaluate(model, batches).accuracy == pytest.approx(accuracy(said, digits.labels))
    assert layer_table(nn.Flatten())["parameters"].tolist() == [0]
    assert count_operations(nn.Flatten()) == 0


def test_only_what_is_as_large_as_a_digit_lacks_a_channel():
    """Rows of 28 numbers, and pictures of another size, are passed on as they are."""
    shapes = []

    class Watched(nn.Flatten):
        def forward(self, samples):
            shapes.append(tuple(samples.shape))
            return samples.flatten(1)[:, :10]

    for given in [(3, 28, 28), (3, 28, 27), (28, 28), (3, 784), (3, 1, 28, 28), (3, 28, 28, 28)]:
        make_predictions(Watched(), torch.rand(given))
    assert shapes == [(3, 1, 28, 28), (3, 28, 27), (1, 1, 28, 28), (3, 784), (3, 1, 28, 28),
                      (3, 28, 28, 28)]  # fmt: skip


def test_one_sample_without_its_axis_is_named():
    head = build_model("MobileNetV2 head")
    with pytest.raises(ValueError, match="data is a tensor, float32 1280: give a list"):
        make_predictions(head, torch.zeros(1280))


class Rows(nn.Module):
    """Reads an image row by row: N x 28 x 28."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(28, 16), nn.Linear(16, 10)

    def forward(self, images):
        return self.last(self.first(images).relu().mean(dim=1))


def test_a_model_of_rows_is_given_rows():
    model, images = Rows(), torch.rand(5, 28, 28)
    expected = model(images).softmax(dim=1)
    torch.testing.assert_close(make_predictions(model, images), expected.detach())
    torch.testing.assert_close(make_predictions(model, images[0]), expected[:1].detach())


@pytest.mark.parametrize("given", [(5, 28, 28), (5, 1, 28, 28)])
def test_images_have_a_channel_for_all_others(given):
    model, images = build_model("V2", seed=0).eval(), torch.rand(given)
    expected = model(images.view(5, 1, 28, 28)).softmax(dim=1)
    torch.testing.assert_close(make_predictions(model, images), expected.detach())


@pytest.mark.parametrize("model", [
    nn.Sequential(nn.Flatten(), nn.Linear(784, 1)),
    nn.Sequential(nn.Flatten(0), nn.Linear(784, 10)),
])  # fmt: skip
def test_what_is_no_row_of_classes_for_each_sample_is_named(model):
    with pytest.raises(ValueError, match="expected a row of two classes or more for each"):
        make_predictions(model, torch.rand(1, 1, 28, 28))
    batch = [(torch.rand(4, 1, 28, 28), torch.tensor([0, 1, 1, 0]))]
    with pytest.raises(ValueError, match=r"expected|cannot compute"):
        evaluate(model, batch, lambda outputs, labels: outputs.mean())


def test_a_model_that_diverged_names_no_digit():
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    nn.init.constant_(model[1].weight, float("nan"))
    with pytest.raises(ValueError, match="gives values that are no numbers: it diverged"):
        make_predictions(model, torch.rand(2, 1, 28, 28))


def test_mirrored_arrays_are_samples():
    arrays = np.random.default_rng(0).random((3, 28, 28), dtype=np.float32)
    model = build_model("V0", seed=0)
    expected = make_predictions(model, torch.from_numpy(arrays[:, :, ::-1].copy()))
    assert torch.equal(make_predictions(model, arrays[:, :, ::-1]), expected)


def test_probabilities_that_are_none_are_named():
    class Sigmoid(nn.Module):
        outputs = "probabilities"

        def __init__(self):
            super().__init__()
            self.last = nn.Linear(784, 10)

        def forward(self, images):
            return self.last(images.flatten(1)).sigmoid()

    with pytest.raises(ValueError, match="gives probabilities, and these do not sum to 1"):
        make_predictions(Sigmoid(), torch.rand(2, 1, 28, 28))


def test_a_model_that_gives_probabilities_unannounced_is_believed():
    class Ensemble(nn.Module):
        def __init__(self, *members):
            super().__init__()
            self.members = nn.ModuleList(members)

        def forward(self, images):
            return torch.stack([m(images).softmax(dim=1) for m in self.members]).mean(dim=0)

    images = torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    members = [build_model("A baseline", seed=seed) for seed in range(2)]
    mean = torch.stack([make_predictions(member, images) for member in members]).mean(dim=0)
    torch.testing.assert_close(make_predictions(Ensemble(*members), images), mean)
    wrapped = nn.Sequential(build_model("E CNN", seed=0))
    torch.testing.assert_close(
        make_predictions(wrapped, images), make_predictions(wrapped[0], images)
    )


@pytest.mark.parametrize("row", [[0.2, 0.3, 0.4], [0.5, 0.7, -0.2], [0.0, 0.0, 0.0]])
def test_logits_that_are_no_probabilities_get_a_softmax(row):
    class Constant(nn.Module):
        def forward(self, images):
            return torch.tensor([row, [0.2, 0.3, 0.5]]).expand(len(images) // 2, 2, 3).flatten(0, 1)

    said = make_predictions(Constant(), torch.zeros(4, 1, 28, 28))
    torch.testing.assert_close(said[1], torch.tensor([0.2, 0.3, 0.5]).softmax(dim=0))
