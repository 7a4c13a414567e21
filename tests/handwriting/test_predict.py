"""One photo is read, with the picture that the model saw, or is refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mnistkit.data import normalize
from mnistkit.errors import PictureError
from mnistkit.handwriting import predict
from mnistkit.handwriting.photographs import draw_mask, on_paper
from mnistkit.handwriting.predict import predict_image


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


def test_a_model_that_knows_its_limit_says_that_it_is_no_digit():
    model = Sure(2.0)  # 45 %
    model.least_probability = 0.4
    found = predict_image(model, on_paper(draw_mask(4)))
    assert (found.known, str(found)[:9]) == (True, "unsure, p")
    model.least_probability = 0.6
    found = predict_image(model, on_paper(draw_mask(4)))
    assert (found.known, str(found)) == (False, "no digit that I know; nearest to a 4 (45.1%)")
    assert predict_image(Sure(0.0), on_paper(draw_mask(4))).known, "others take anything"


@pytest.mark.parametrize("white_paper", [True, False])
def test_what_is_known_of_the_paper_reaches_the_finder(monkeypatch, white_paper):
    asked = []

    def find(source, **options):
        asked.append(options)
        return torch.zeros(28, 28)

    monkeypatch.setattr(predict, "find_digit", find)
    predict_image(Sure(5.0), "photo.png", white_paper=white_paper)
    assert asked == [{"white_paper": white_paper}]
