"""Each corruption changes what it says, grows with its strength, and repeats."""

from __future__ import annotations

import pytest
import torch

from mnistkit.data import load_digits, normalize
from mnistkit.trust.corruptions import CORRUPTIONS, HELD_BACK, corrupt
from tests.kept import assert_as_kept

ALL = CORRUPTIONS | HELD_BACK


# Mean change of a pixel of fifty digits, by strength: 07, the reader's card and the scoreboard
# hold what models make of just these corruptions. Other numbers here outdate all of them.
MEASURED_WITH = {
    "shift": [0.0, 0.0663, 0.1202, 0.1587, 0.1818, 0.1936],
    "rotation": [0.0, 0.062, 0.1044, 0.1313, 0.1488, 0.161],
    "scale": [0.0, 0.0506, 0.0894, 0.1156, 0.1289, 0.1323],
    "noise": [0.0, 0.044, 0.0862, 0.1274, 0.1668, 0.203],
    "blur": [0.0, 0.018, 0.0579, 0.0882, 0.1117, 0.1299],
    "stripes": [0.0, 0.0473, 0.0961, 0.146, 0.1971, 0.2498],
    "specks": [0.0, 0.015, 0.0299, 0.049, 0.074, 0.0991],
    "waves": [0.0, 0.021, 0.0419, 0.0607, 0.0796, 0.0952],
    "shade": [0.0, 0.061, 0.1232, 0.1861, 0.2496, 0.3139],
}  # fmt: skip


@pytest.mark.parametrize("kind", ALL)
def test_they_are_those_that_stored_numbers_were_measured_with(kind):
    images = load_digits("sample", limit=100).test.inputs()[:50]
    changes = [
        (corrupt(images, kind, strength) - images).abs().mean().item()
        for strength in ALL[kind].strengths
    ]
    assert changes == pytest.approx(MEASURED_WITH[kind], abs=1e-4)


@pytest.fixture
def images() -> torch.Tensor:
    """Eight images of a stroke in the middle."""
    images = torch.zeros(8, 1, 28, 28)
    images[:, :, 8:20, 12:15] = 1
    return images


@pytest.mark.parametrize("kind", ALL)
def test_the_first_strength_changes_nothing(images, kind):
    changed = corrupt(images, kind, ALL[kind].strengths[0])
    assert torch.equal(changed, images)
    assert changed is not images


@pytest.mark.parametrize("kind", ALL)
def test_every_step_changes_more(images, kind):
    distances = [
        (corrupt(images, kind, strength) - images).abs().sum().item()
        for strength in ALL[kind].strengths
    ]
    assert len(distances) == 6
    assert distances == sorted(distances)
    assert len(set(distances)) == 6


@pytest.mark.parametrize("kind", ALL)
def test_pixels_stay_pixels_and_the_seed_decides(images, kind):
    strength = ALL[kind].strengths[-1]
    changed = corrupt(images, kind, strength)
    assert changed.shape == images.shape
    assert changed.dtype == torch.float32
    assert changed.min() >= 0
    assert changed.max() <= 1
    state = torch.get_rng_state()
    assert torch.equal(corrupt(images, kind, strength), changed)
    assert torch.equal(torch.get_rng_state(), state), "the caller's random state is left alone"
    random = kind not in ("scale", "blur")
    assert torch.equal(corrupt(images, kind, strength, seed=1), changed) is not random


def test_a_shift_has_the_length_it_says(images):
    shifted = corrupt(images, "shift", 4)
    places = torch.arange(28.0)
    mass = images[0].sum()
    for image in shifted:
        down = ((image.sum(dim=2).squeeze() * places).sum() / mass - 13.5).item()
        right = ((image.sum(dim=1).squeeze() * places).sum() / mass - 13).item()
        assert (down**2 + right**2) ** 0.5 == pytest.approx(4, abs=0.1)


def test_half_the_size_has_a_quarter_of_the_ink(images):
    assert corrupt(images, "scale", 0.5).sum() / images.sum() == pytest.approx(0.25, abs=0.03)


def test_stripes_cover_two_of_seven_columns(images):
    covered = corrupt(torch.zeros_like(images), "stripes", 0.6)
    assert covered.max() == pytest.approx(0.6)
    assert ((covered > 0).float().mean(dim=(1, 2, 3)) == 2 / 7).all()


def test_an_unknown_corruption_is_named(images):
    with pytest.raises(ValueError, match="unknown corruption 'rotate'; did you mean 'rotation'"):
        corrupt(images, "rotate", 10)


def test_specks_are_ink_and_paper_in_equal_parts():
    grey = torch.full((50, 1, 28, 28), 0.5)
    specks = corrupt(grey, "specks", 0.2)
    assert (specks == 1).float().mean() == pytest.approx(0.1, abs=0.01)
    assert (specks == 0).float().mean() == pytest.approx(0.1, abs=0.01)
    assert (specks == 0.5).float().mean() == pytest.approx(0.8, abs=0.01)


def test_waves_push_each_row_aside_and_lose_none(images):
    pushed = corrupt(images, "waves", 2)
    rows, before = pushed.sum(dim=3)[:, 0], images.sum(dim=3)[:, 0]
    assert torch.allclose(rows, before, atol=1e-4)
    centres = (pushed[:, 0, 8:20] * torch.arange(28.0)).sum(dim=2) / 3 - 13
    assert centres.abs().max() == pytest.approx(2, abs=0.1)
    assert centres.amin(dim=1).max() < -1  # to the left and to the right in every picture
    assert centres.amax(dim=1).min() > 1


def test_shade_falls_on_one_side_and_hides_no_ink(images):
    shaded = corrupt(images, "shade", 0.6)
    assert torch.equal(shaded[images == 1], images[images == 1])
    corners = shaded[:, 0, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners.max() <= 0.6
    assert corners.amax(dim=1).min() > 0.4
    assert corners.amin(dim=1).max() < 0.2


def test_strengths_are_those_of_the_published_curves():
    said = {name: (each.strengths, each.unit) for name, each in (CORRUPTIONS | HELD_BACK).items()}
    assert_as_kept("corruptions", "\n".join(f"{name} {what}" for name, what in said.items()))


@pytest.mark.parametrize(
    "images", [normalize(torch.rand(2, 1, 28, 28)), 255 * torch.ones(2, 1, 28, 28)]
)
def test_images_that_are_not_in_zero_to_one_are_refused(images):
    with pytest.raises(ValueError, match=r"images reach from .* expected 0 to 1"):
        corrupt(images, "rotation", 20)


@pytest.mark.parametrize("kind", CORRUPTIONS | HELD_BACK)
@pytest.mark.parametrize("strength", [1e-3, 50, 1e9])
def test_any_strength_gives_a_picture(images, kind, strength):
    changed = corrupt(images[:2], kind, strength)
    assert changed.shape == images[:2].shape
    assert ((changed >= 0) & (changed <= 1)).all()


@pytest.mark.parametrize("kind", [*CORRUPTIONS, *HELD_BACK])
def test_images_keep_their_type(kind):
    images = torch.rand(2, 1, 28, 28)
    strength = (CORRUPTIONS | HELD_BACK)[kind].strengths[3]
    for dtype in (torch.float64, torch.float16):
        changed = corrupt(images.to(dtype), kind, strength)
        assert changed.dtype == dtype
