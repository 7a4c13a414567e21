"""Pictures of digits say in words what they show, and draw where they are told."""

from __future__ import annotations

import pytest
import torch

from mnistkit import pictures
from mnistkit.data import CLOTHES, Split
from mnistkit.utils.figures import alt_text
from tests.figures import figure_tests

pytestmark = pytest.mark.usefixtures("close_figures")

IMAGES = torch.zeros(6, 28, 28, dtype=torch.uint8)
PROBABILITIES = torch.nn.functional.one_hot(torch.tensor([1, 2, 3, 4, 5, 6]), 10).float()

FIGURES = {
    "image": (lambda ax=None: pictures.plot_image(IMAGES[0], "a seven", ax=ax), "Image: a seven."),
    "images": (
        lambda ax=None: pictures.plot_images(IMAGES, list("123456"), title="Six", ax=ax),
        "Six (6 images): 1; 2; 3; 4; 5; 6.",
    ),
    "predictions": (
        lambda ax=None: pictures.plot_predictions(IMAGES, [1, 2, 3, 4, 5, 0], range(1, 7), ax=ax),
        "Predictions: 5 of 6 right; wrong: Pred: 6 | Truth: 0.",
    ),
    "mistakes": (
        lambda ax=None: pictures.plot_mistakes(IMAGES, [1, 2, 3, 4, 5, 0], PROBABILITIES, ax=ax),
        "Worst mistakes: 1 of 1: 0 of 1 right; wrong: Pred: 6 | Truth: 0.",
    ),
}  # fmt: skip

STROKE = torch.zeros(28, 28)
STROKE[5:20, 13:16] = 1
OTHERS = {
    "colours": lambda: pictures.plot_image(torch.stack([STROKE, 0 * STROKE, STROKE]), color="red"),
    "no titles": lambda: pictures.plot_images([STROKE] * 3, columns=2),
    "two lines": lambda: pictures.plot_images(
        [STROKE] * 4, ["a\nb", *"aac"], colors=["red", "blue", "red", "red"], columns=3
    ),
    "with shares": lambda: pictures.plot_predictions(
        [STROKE] * 4, [1, 2, 3, 4], [1, 2, 3, 5], probabilities=[0.91, 0.5, 1, 0.356], columns=2
    ),
    "three of four": lambda: pictures.plot_mistakes(
        [STROKE] * 6, [2, 3, 4, 5, 5, 6], PROBABILITIES, count=3, title="Three"
    ),
}


(
    test_figure_says_what_it_shows,
    test_figure_is_drawn_where_it_is_told,
    test_every_plot_function_is_among_the_figures,
    test_figure_stays_as_it_was,
) = figure_tests(pictures, FIGURES, OTHERS)


def test_right_and_wrong_differ_in_words_and_colour():
    ax = pictures.plot_predictions(IMAGES[:2], [1, 2], [1, 3])
    right, wrong = (child.title for child in ax.child_axes)
    assert right.get_text() == "Pred: 1 | Truth: 1\nright"
    assert wrong.get_text() == "Pred: 3 | Truth: 2\nWRONG"
    assert (right.get_color(), wrong.get_color()) == (pictures.RIGHT, pictures.WRONG)


def test_classes_that_are_no_digits_have_their_names():
    ax = pictures.plot_predictions(IMAGES[:2], [9, 8], [9, 0], classes=CLOTHES)
    titles = [child.title.get_text() for child in ax.child_axes]
    assert titles[0] == "Pred: ankle boot\nTruth: ankle boot\nright"
    assert "wrong: Pred: T-shirt | Truth: bag." in alt_text(ax)
    mistakes = pictures.plot_mistakes(IMAGES, [1, 2, 3, 4, 5, 0], PROBABILITIES, classes=CLOTHES)
    assert "Truth: T-shirt" in alt_text(mistakes)


def test_mistakes_are_sorted_by_confidence():
    probabilities = torch.full((3, 10), 0.01)
    probabilities[0, 1], probabilities[1, 2], probabilities[2, 3] = 0.5, 0.9, 0.7
    probabilities /= probabilities.sum(dim=1, keepdim=True)
    ax = pictures.plot_mistakes(IMAGES[:3], [0, 0, 0], probabilities, count=2)
    assert [a.title.get_text().split(" |")[0] for a in ax.child_axes] == ["Pred: 2", "Pred: 3"]


def test_colour_images_are_drawn_in_colour():
    ax = pictures.plot_image(torch.rand(3, 8, 8))
    assert ax.images[0].get_array().shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: pictures.plot_images([]), "no images were given"),
        (lambda: pictures.plot_images(IMAGES, ["one"]), "1 titles for 6 images"),
        (lambda: pictures.plot_image(torch.rand(784)), "expected one image"),
        (lambda: pictures.plot_predictions(IMAGES[:1], [0], [0], classes="ab"), "2 names of"),
        (
            lambda: pictures.plot_mistakes(IMAGES, [1, 2, 3, 4, 5, 6], PROBABILITIES),
            "every prediction is right",
        ),
    ],
)
def test_bad_arguments_are_named(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


def test_labels_may_be_titles():
    ax = pictures.plot_images(IMAGES, torch.arange(6))
    assert [child.title.get_text() for child in ax.child_axes] == list("012345")
    assert "3; 4" in alt_text(pictures.plot_images(IMAGES, range(6)))


@pytest.mark.parametrize("shape", [(3, 28, 28), (28, 28, 3)])
def test_bytes_of_colour_count_to_255(shape):
    ax = pictures.plot_image(torch.full(shape, 51, dtype=torch.uint8))
    assert ax.images[0].get_array().shape == (28, 28, 3)
    assert ax.images[0].get_array().max() == pytest.approx(0.2)
    same = pictures.plot_image(torch.full(shape, 0.2))
    assert same.images[0].get_array().max() == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: pictures.plot_images(IMAGES[0]), "one image: give several"),
        (lambda: pictures.plot_images(IMAGES, colors=["red"]), "1 colors for 6 images"),
        (lambda: pictures.plot_images(IMAGES, columns=0), "columns is 0"),
        (lambda: pictures.plot_predictions(IMAGES[:1], [-1], [9]), "label -1 is no class"),
        (lambda: pictures.plot_predictions(IMAGES[:1], [1], [12]), "prediction 12 is no class"),
        (lambda: pictures.plot_predictions(IMAGES[:2], [1, 2], [1, 2], probabilities=[1]),
         "1 probabilities for 2 images"),
        (lambda: pictures.plot_predictions(IMAGES[:2], [1, 2], [1, 2], columns=0), "columns is 0"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_pictures_is_named(call, complaint):
    with pytest.raises(ValueError, match=complaint):
        call()


@pytest.mark.parametrize(("draw", "complaint"), {
    "logits": (lambda i, y: pictures.plot_mistakes(i, y, 9 * torch.eye(10)[y]), "do not sum to 1"),
    "digits": (lambda i, y: pictures.plot_images(Split(i, y)), "digits with labels"),
    "rows": (
        lambda i, y: pictures.plot_predictions(i, y, torch.eye(10)[y]), "a row of numbers, expected"
    ),
    "count": (
        lambda i, y: pictures.plot_mistakes(i, y, torch.eye(10)[y], count=-1), "count is -1"
    ),
}.values())  # fmt: skip
def test_what_is_no_picture_and_no_class_is_named(draw, complaint):
    images, labels = torch.zeros(3, 28, 28, dtype=torch.uint8), torch.tensor([1, 2, 3])
    with pytest.raises(ValueError, match=complaint):
        draw(images, labels)


SCALES = {
    "nothing": (torch.zeros(9, 9), (0, 1)),
    "faint floats": (0.1 * torch.eye(9), (0, 1)),
    "faint bytes": (torch.full((9, 9), 20, dtype=torch.uint8), (0, 1)),
    "a mask of bytes": (torch.eye(9, dtype=torch.uint8), (0, 1)),
    "a mask": (torch.eye(9, dtype=torch.bool), (0, 1)),
    "rounded": (torch.eye(9) + 1e-5, (0, 1)),
    "a kernel": (torch.linspace(-3, 2, 9).view(3, 3), (-3, 2)),
    "responses": (torch.linspace(0, 4, 9).view(3, 3), (0, 4)),
}


@pytest.mark.parametrize("name", SCALES)
def test_ink_is_drawn_as_dark_as_it_is(name):
    image, reach = SCALES[name]
    drawn = pictures.plot_image(image).images[0]
    assert drawn.get_clim() == pytest.approx(reach)
    assert drawn.get_array().max() <= drawn.get_clim()[1] + 1e-4
    if name == "a mask of bytes":
        assert drawn.get_array().max() == 1
    if name == "faint bytes":
        assert drawn.get_array().max() == pytest.approx(20 / 255)


def test_pictures_of_a_grid_have_one_scale():
    strong = pictures.plot_images([torch.zeros(3, 3), -torch.eye(3), 3 * torch.eye(3)])
    assert {child.images[0].get_clim() for child in strong.child_axes} == {(-1, 3)}
    faint = [255 * torch.eye(3, dtype=torch.uint8), torch.eye(3, dtype=torch.uint8)]
    drawn = [child.images[0].get_array().max() for child in pictures.plot_images(faint).child_axes]
    assert drawn == pytest.approx([1, 1 / 255]), "beside a picture of bytes, no mask"
    digits = pictures.plot_images([torch.eye(3), 255 * torch.eye(3, dtype=torch.uint8)])
    assert {child.images[0].get_clim() for child in digits.child_axes} == {(0, 1)}


def test_three_digits_are_no_picture_in_colour():
    with pytest.raises(ValueError, match=r"expected one image, .* got shape \(3, 1, 28, 28\)"):
        pictures.plot_image(torch.rand(3, 1, 28, 28))
    assert pictures.plot_image(torch.rand(1, 3, 28, 28)).images[0].get_array().shape[-1] == 3
    assert pictures.plot_image(torch.rand(1, 1, 28, 28)).images[0].get_array().shape == (28, 28)


@pytest.mark.parametrize(("labels", "said", "probabilities", "complaint"), [
    ([1.9, 2], [1, 2], None, "a label is 1.9, expected a class"),
    ([1, 2], [1.2, 2], None, "a prediction is 1.2, expected a class"),
    ([1, 2], [1, 2], [97, 98], "a probability is 97, expected"),
    ([1, 2], [1, 2], [float("nan"), 0.5], "a probability is nan, expected"),
    ([1, 2], [1, 2], torch.rand(2, 10), "expected that of the predicted class"),
])  # fmt: skip
def test_what_would_be_drawn_as_something_else_is_refused(labels, said, probabilities, complaint):
    with pytest.raises(ValueError, match=complaint):
        pictures.plot_predictions(IMAGES[:2], labels, said, probabilities=probabilities)


def test_digits_and_pairs_are_no_images(easy_digits):
    with pytest.raises(ValueError, match="image is digits with labels"):
        pictures.plot_image(easy_digits.test[0])
    with pytest.raises(ValueError, match=r"images are pairs \(image, label\)"):
        pictures.plot_images([easy_digits.test.dataset()[place] for place in range(3)])
