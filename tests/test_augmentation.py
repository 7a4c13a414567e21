"""Moving images: each setting does what its name says, for each image on its own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistkit.augmentation import affine, random_affine


def dot(row: int, column: int) -> torch.Tensor:
    """One image with a spot of 3 x 3 pixels around a place."""
    image = torch.zeros(1, 1, 28, 28)
    image[0, 0, row - 1 : row + 2, column - 1 : column + 2] = 1
    return image


def place(image: torch.Tensor) -> tuple[float, float]:
    """Row and column of the centre of mass."""
    mass = image.sum()
    rows, columns = torch.arange(28.0), torch.arange(28.0)
    return (
        ((image.sum(dim=3).squeeze() * rows).sum() / mass).item(),
        ((image.sum(dim=2).squeeze() * columns).sum() / mass).item(),
    )


@pytest.mark.parametrize(
    ("setting", "row", "column"),
    [
        # The spot is 5 pixels above the centre of the picture, which is at 13.5, 13.5.
        ({}, 8.5, 13.5),
        ({"shift": (3, 2)}, 10.5, 16.5),  # right, down
        ({"degrees": 90.0}, 13.5, 8.5),  # counter-clockwise: from the top to the left
        ({"degrees": -90.0}, 13.5, 18.5),
        ({"scale": 1.5}, 6.0, 13.5),  # half as far again from the centre
        ({"scale": 0.5}, 11.0, 13.5),
        ({"shear": 0.4}, 8.5, 15.5),  # 0.4 pixels to the right for each of 5 upwards
        ({"degrees": 90.0, "shift": (3, 2)}, 15.5, 11.5),  # turned first, then shifted
        ({"scale": 0.5, "shift": (3, 2)}, 13.0, 16.5),
        ({"shear": 0.4, "degrees": 90.0}, 11.5, 8.5),  # slanted first, then turned
    ],
)
def test_a_spot_goes_where_it_should(setting, row, column):
    image = torch.zeros(1, 1, 28, 28)
    image[0, 0, 7:11, 12:16] = 1
    assert place(affine(image, **setting)) == pytest.approx((row, column), abs=0.06)


def test_each_image_has_its_own_setting():
    images = dot(8, 13).repeat(3, 1, 1, 1)
    moved = affine(images, shift=(torch.tensor([0.0, 2.0, -3.0]), 0.0))
    assert [round(place(image[None])[1], 2) for image in moved] == [13, 15, 10]
    assert torch.equal(moved[:1], affine(images[:1]))


def test_nothing_asked_is_nothing_changed():
    images = torch.rand(4, 1, 28, 28)
    torch.testing.assert_close(affine(images), images, atol=1e-5, rtol=0)


def test_paper_comes_in_from_outside():
    assert affine(torch.ones(1, 1, 28, 28), shift=(5, 0))[0, 0, :, :5].max() < 1e-5


@settings(max_examples=30, deadline=None)
@given(
    degrees=st.floats(0, 45),
    scale=st.floats(0, 0.5),
    shear=st.floats(0, 0.5),
    shift=st.floats(0, 6),
)
def test_random_images_stay_within_their_range(degrees, scale, shear, shift):
    torch.manual_seed(0)
    images = torch.rand(16, 1, 28, 28)
    moved = random_affine(images, degrees=degrees, scale=scale, shear=shear, shift=shift)
    assert moved.shape == images.shape
    assert moved.dtype == torch.float32
    assert moved.min() >= 0
    assert moved.max() <= 1 + 1e-5


def test_random_settings_fill_their_range_on_both_sides():
    torch.manual_seed(0)
    images = dot(13, 13).repeat(500, 1, 1, 1)
    still = {"degrees": 0, "scale": 0, "shear": 0}
    columns = torch.tensor(
        [place(image[None])[1] for image in random_affine(images, shift=3, **still)]
    )
    assert 9.9 < columns.min() < 10.3
    assert 15.7 < columns.max() < 16.1
    assert abs(columns.mean() - 13) < 0.3


def test_random_sizes_are_as_often_smaller_as_larger():
    torch.manual_seed(0)
    distance = torch.arange(28.0) - 13.5
    spot = (-(distance.square() + distance.square().unsqueeze(1)) / 18).exp()  # soft edges
    images = spot.repeat(2000, 1, 1, 1)
    still = {"degrees": 0, "shear": 0, "shift": 0}
    sizes = (random_affine(images, scale=0.2, **still).sum(dim=(1, 2, 3)) / spot.sum()).log() / 2
    assert sizes.min() == pytest.approx(-0.2, abs=0.01)
    assert sizes.max() == pytest.approx(0.2, abs=0.01)
    assert sizes.mean() == pytest.approx(0, abs=0.01)


def test_the_same_seed_draws_the_same():
    images = torch.rand(4, 1, 28, 28)
    torch.manual_seed(1)
    first = random_affine(images)
    assert not torch.equal(random_affine(images), first)
    torch.manual_seed(1)
    assert torch.equal(random_affine(images), first)


@pytest.mark.parametrize(
    "images", [torch.zeros(2, 1, 28, 28, dtype=torch.uint8), torch.zeros(2, 28, 28)]
)
def test_what_is_no_batch_of_float_images_is_refused(images):
    with pytest.raises(ValueError, match="expected float images, N x 1 x H x W"):
        random_affine(images)


def test_a_scale_of_nothing_is_refused():
    with pytest.raises(ValueError, match="scale must be above 0"):
        affine(torch.zeros(1, 1, 28, 28), scale=0.0)
