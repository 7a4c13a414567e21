"""Predictions are probabilities, in one pass, and leave the model as it was."""

from __future__ import annotations

import re

import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import nn

from mnistkit import cli
from mnistkit.data import normalize
from mnistkit.errors import PictureError
from mnistkit.handwriting.predict import predict_image
from mnistkit.models import CNN, build_model
from mnistkit.prediction import make_predictions
from tests.handwriting.drawn_digits import draw_mask, on_paper


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
    model = build_model("E MLP", seed=0)
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


# --- one photo --------------------------------------------------------------------------


class Sure(nn.Module):
    """Answers 4 with a certainty of its choice, and remembers what it saw."""

    def __init__(self, logit: float):
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(10))
        self.logits.data[4] = logit

    def forward(self, images):
        self.seen = images
        return self.logits.repeat(len(images), 1)


def test_a_photo_is_predicted_with_the_picture_that_the_model_saw():
    model = Sure(5.0)
    found = predict_image(model, on_paper(draw_mask(4)))
    assert (found.label, found.certain) == (4, True)
    assert str(found) == "4 (94.3%)"
    assert found.probabilities.sum() == pytest.approx(1)
    assert torch.equal(model.seen, found.picture.view(1, 1, 28, 28))


def test_normalised_images_are_made_for_a_model_that_wants_them():
    model = Sure(5.0)
    found = predict_image(model, on_paper(draw_mask(4)), normalized=True)
    assert torch.equal(model.seen[0, 0], normalize(found.picture))
    assert found.picture.min() == 0


def test_doubt_is_said():
    found = predict_image(Sure(0.5), on_paper(draw_mask(4)))
    assert not found.certain
    assert str(found).startswith("unsure, perhaps 4 (")


def test_what_is_no_digit_gets_no_answer():
    with pytest.raises(PictureError, match="nothing is drawn on it"):
        predict_image(Sure(9.0), on_paper(draw_mask(4) * 0))


def test_the_command_answers_with_bars_and_names_what_it_cannot_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    digit, blank = tmp_path / "digit.png", tmp_path / "blank.png"
    Image.fromarray(on_paper(draw_mask(0))).save(digit)
    Image.fromarray(on_paper(draw_mask(0) * 0)).save(blank)
    command = ["predict", str(digit), str(blank), "--source", "sample", "--model", "FastCNN"]
    result = CliRunner().invoke(cli.main, command)
    assert result.exit_code == 1
    assert "FastCNN, trained on 4,000 digits of sample" in result.output
    assert re.search(rf"{digit}: \D*\d \(\d+\.\d%\)", result.output)
    assert len(re.findall(r"^  \d  █* +\d+\.\d%$", result.output, flags=re.M)) == 10
    assert "nothing is drawn on it" in result.output
    kept = sorted(path.suffix for path in (tmp_path / "runs" / "models").iterdir())
    assert kept == [".json", ".md", ".pt"]
