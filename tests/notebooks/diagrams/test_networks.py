"""Diagrams of networks show shapes and counts that the network really has."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mnistkit.models import build_model, count_parameters
from mnistkit.notebooks.diagrams import networks
from mnistkit.utils.figures import alt_text
from tests.figures import overlapping_texts

pytestmark = pytest.mark.usefixtures("close_figures")

ABOVE_BELOW = torch.tensor([[-1, -1, -1], [0, 0, 0], [1, 1, 1]])


def stroke() -> torch.Tensor:
    """White paper with one dark row."""
    image = torch.zeros(28, 28, dtype=torch.uint8)
    image[10, 5:20] = 200
    return image


def test_a_convolution_is_the_sum_of_nine_products():
    # above the stroke 3 x 200, below it -3 x 200, on paper nothing
    figure = networks.draw_convolution(stroke(), ABOVE_BELOW, [(9, 10), (11, 10), (20, 20)])
    assert "A +600, B -600, C 0" in alt_text(figure)
    texts = {text.get_text() for ax in figure.axes for text in ax.texts}
    assert {"+600", "-600", "0", "200"} <= texts


def test_the_response_belongs_to_the_window_and_not_to_its_neighbour():
    # columns 5 to 19 are dark: the window around column 4 holds one dark pixel, around 5 two
    figure = networks.draw_convolution(stroke(), ABOVE_BELOW, [(9, 4), (9, 5), (11, 20)])
    assert "A +200, B +400, C -200" in alt_text(figure)


def test_the_windows_show_the_pixels_under_them():
    image = torch.arange(784).remainder(251).to(torch.uint8).view(28, 28)
    figure = networks.draw_convolution(image, ABOVE_BELOW, [(1, 1), (5, 7), (26, 26)])
    tables = [ax.images[0].get_array() for ax in figure.axes if ax.images]
    patches = [table for table in tables if table.shape == (3, 3)][::2]
    assert (patches[1] == image[4:7, 6:9].numpy()).all()


def test_without_places_the_most_telling_windows_are_taken():
    # above, below the stroke in rows 9 and 11, and paper nearest to the middle
    words = alt_text(networks.draw_convolution(stroke(), ABOVE_BELOW))
    assert "A +600, B -600, C 0" in words


def test_a_float_image_is_refused():
    with pytest.raises(ValueError, match="expected one uint8 image"):
        networks.draw_convolution(torch.zeros(28, 28), ABOVE_BELOW, [(5, 5)])


def test_a_window_that_sticks_out_is_refused():
    with pytest.raises(ValueError, match="around 0, 5 sticks out"):
        networks.draw_convolution(stroke(), ABOVE_BELOW, [(0, 5)])


@pytest.mark.parametrize("name", ["V0", "V2", "E CNN", "CompactCNN", "D deep", "FastCNN"])
def test_a_network_is_drawn_with_all_its_parameters_and_readable(name):
    model = build_model(name)
    figure = networks.draw_network(model, title=name)
    assert alt_text(figure).endswith(f"; {count_parameters(model):,} parameters.")
    assert overlapping_texts(figure) == []


def test_shapes_follow_from_layer_to_layer():
    words = alt_text(networks.draw_network(build_model("E CNN")))
    assert words.startswith(
        "CNN, from image to answer: image 1 x 28 x 28; conv 32 x 28 x 28; "
        "max-pool, ReLU 32 x 14 x 14; conv 64 x 14 x 14; max-pool 64 x 7 x 7; linear, softmax 10;"
    )


def test_a_layer_without_a_short_name_is_drawn_under_its_own():
    model = nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(196, 10))
    assert "AvgPool2d 1 x 14 x 14" in alt_text(networks.draw_network(model))


class Tiny(nn.Module):
    """A network with a body and a head."""

    def __init__(self):
        super().__init__()
        self.features = nn.Conv2d(1, 4, 3)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(4, 10))

    def forward(self, images):
        return self.classifier(self.features(images).mean(dim=(2, 3)))


def test_frozen_and_learning_are_counted_apart():
    model = Tiny()
    model.features.requires_grad_(False)
    figure = networks.draw_frozen(model, input_shape=(1, 8, 8))
    assert "1 x 8 x 8 to 4 x 6 x 6 to 4 to 10; 40 parameters frozen, 50 learn" in alt_text(figure)
    assert model.training, "the model's mode is as it was"
    assert overlapping_texts(figure) == []


def test_nothing_frozen_is_said_as_well():
    assert "0 parameters frozen, 90 learn" in alt_text(
        networks.draw_frozen(Tiny(), input_shape=(1, 8, 8))
    )
