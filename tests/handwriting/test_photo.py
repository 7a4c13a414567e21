"""A photo becomes a picture as MNIST has them, or is refused with the reason."""

from __future__ import annotations

import contextlib
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont, ImageOps, PngImagePlugin

from mnistkit.data import load_digits, to_float
from mnistkit.errors import PictureError
from mnistkit.handwriting import photo as photos
from mnistkit.handwriting.photo import find_digit
from mnistkit.handwriting.photographs import PHOTOGRAPHS, draw_mask, on_paper, photograph
from mnistkit.handwriting.predict import predict_image
from mnistkit.handwriting.reader import load_reader
from tests.kept import assert_as_kept, rounded

WHITE, BLACK = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)


def photo(digit: int = 5, mask: dict | None = None, **paper) -> np.ndarray:
    return on_paper(draw_mask(digit, **(mask or {})), **paper)


def assert_as_in_mnist(picture: torch.Tensor) -> None:
    assert picture.shape == (28, 28)
    assert picture.dtype == torch.float32
    assert picture.min() == 0
    assert 0.8 < picture.max() <= 1
    rows, columns = (picture > 0.1).nonzero(as_tuple=True)
    box = max(rows.max() - rows.min(), columns.max() - columns.min()) + 1
    assert 18 <= box <= 20
    places = torch.arange(28.0)
    for axis in (0, 1):
        centre = (picture.sum(dim=1 - axis) * places).sum() / picture.sum()
        assert abs(centre - 14) < 1.0


@pytest.mark.parametrize("digit", range(10))
def test_every_digit_is_brought_into_mnists_form(digit):
    assert_as_in_mnist(find_digit(photo(digit)))


VARIANTS = {
    "inverted": {"paper": BLACK, "ink": WHITE},
    "red on green": {"paper": (0.5, 0.75, 0.5), "ink": (0.75, 0.2, 0.2)},
    "pencil": {"paper": (0.9, 0.9, 0.88), "ink": (0.6, 0.6, 0.6), "noise": 0.02},
    "one corner in shadow": {"light": 0.6},
    "noisy": {"noise": 0.06},
}


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("digit", [1, 4, 5, 8])
def test_colours_and_light_do_not_matter(digit, name):
    expected = find_digit(photo(digit, paper=WHITE, ink=BLACK, noise=0))
    found = find_digit(photo(digit, **VARIANTS[name]))
    assert (found - expected).abs().mean() < 0.035


@pytest.mark.parametrize(
    "where", [{"centre": (0.25, 0.3)}, {"centre": (0.7, 0.65)}, {"size": 1200}, {"height": 0.2}]
)
def test_place_and_size_do_not_matter(where):
    pen = where.get("height", 0.55) / 0.55 * 0.06
    expected = find_digit(photo(3, noise=0))
    found = find_digit(photo(3, {"width": pen} | where))
    assert (found - expected).abs().mean() < 0.035


@settings(max_examples=40, deadline=None)
@given(
    digit=st.integers(0, 9), angle=st.floats(-15, 15), height=st.floats(0.3, 0.7),
    pen=st.floats(0.02, 0.16), x=st.floats(0.4, 0.6), y=st.floats(0.4, 0.6),
    inverted=st.booleans(), light=st.floats(0, 0.5), seed=st.integers(0, 99),
)  # fmt: skip
def test_whatever_the_pen_it_is_mnists_form(digit, angle, height, pen, x, y, inverted, light, seed):
    mask = draw_mask(digit, height=height, width=pen * height, centre=(x, y), angle=angle)
    colours = {"paper": (0.05, 0.1, 0.1), "ink": WHITE} if inverted else {}
    assert_as_in_mnist(find_digit(on_paper(mask, light=light, seed=seed, **colours)))


def test_a_thin_pen_is_not_lost():
    assert find_digit(photo(2, {"width": 0.008, "size": 800})).sum() > 40


def test_an_ordinary_pen_is_left_as_it_is():
    mask = draw_mask(2, width=0.1) > 0.5
    digit = mask.astype(np.float64)
    assert photos._thickened(digit, mask) is digit


def test_a_digit_of_mnist_stays_what_it_is():
    """But for a shift of a pixel, where its centre of mass lies between two."""
    for image in load_digits("sample").test.images[:40]:
        found, plain = find_digit(image), to_float(image[None])[0, 0]
        alike = max(
            torch.corrcoef(torch.stack([found.roll(shift, (0, 1)).flatten(), plain.flatten()]))[
                0, 1
            ]
            for shift in [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
        )
        assert alike > 0.85


# --- what is no digit -----------------------------------------------------------------


def page(words: str, size: int = 40, shape=(600, 200)) -> Image.Image:
    image = Image.new("L", shape, 245)
    ImageDraw.Draw(image).text((30, 60), words, fill=20, font=ImageFont.load_default(size))
    return image


NOISE = np.random.default_rng(0)
LATTICE = np.full((21, 21), 255, np.uint8)  # five lines each way, and white between them
LATTICE[4:17, 4:17] = 0
for y, x in np.ndindex(4, 4):
    LATTICE[5 + 3 * y : 7 + 3 * y, 5 + 3 * x : 7 + 3 * x] = 255
LATTICE = np.kron(LATTICE, np.ones((10, 10), np.uint8))
NO_DIGITS = {
    "white": (np.full((200, 200), 255, np.uint8), "nothing is drawn on it"),
    "black": (np.zeros((200, 200), np.uint8), "nothing is drawn on it"),
    "paper": (on_paper(np.zeros((200, 200)), noise=0.02), "nothing is drawn on it"),
    "shadow": (on_paper(np.zeros((200, 200)), light=0.8), "nothing is drawn on it"),
    "noise": (NOISE.integers(0, 256, (200, 200), dtype=np.uint8), "."),
    "coarse noise": (np.kron(NOISE.integers(0, 256, (20, 20)), np.ones((10, 10))).astype(np.uint8),
                     "."),
    "two digits": (np.hstack([photo(3), photo(7)]), "2 separate shapes"),
    "three digits": (np.hstack([photo(3), photo(7), photo(1)]), "3 separate shapes"),
    "a word": (page("seven"), "wider than any digit|separate shapes"),
    "a line": (page("the quick brown fox jumps", 24), "wider than any digit|separate shapes"),
    "a page": (page("one line of text and\nanother line of text\nand a third one", 20),
               "wider than any digit|holes|separate shapes"),
    "a number": (page("2026", 60), "4 separate shapes"),
    "a lattice": (LATTICE, "the shape has 16 holes"),
    "dirt": (on_paper(draw_mask(1, height=0.01, width=0.005)), "."),
}  # fmt: skip


@pytest.mark.parametrize("name", NO_DIGITS)
def test_what_is_no_digit_is_refused_with_the_reason(name):
    picture, reason = NO_DIGITS[name]
    with pytest.raises(PictureError, match=reason):
        find_digit(picture)


# --- files and modes ------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "F",
                                  "I;16"])  # fmt: skip
def test_every_mode_is_read(mode):
    grey = Image.fromarray(photo(4)).convert("L")
    if mode == "I;16":
        image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 256)
    else:
        image = grey.convert("RGB").convert(mode) if mode in ("CMYK", "YCbCr", "P") else (
            grey.convert(mode))  # fmt: skip
    expected = find_digit(grey)
    assert (find_digit(image) - expected).abs().mean() < 0.03


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "tiff", "webp"])
def test_every_type_of_file_is_read(tmp_path, suffix):
    path = tmp_path / f"photo.{suffix}"
    Image.fromarray(photo(6)).save(path)
    assert (find_digit(path) - find_digit(photo(6))).abs().mean() < 0.03
    assert torch.equal(find_digit(str(path)), find_digit(path))


@pytest.mark.parametrize("ink", [0, 255])
def test_what_is_transparent_is_paper(ink):
    mask = draw_mask(9)
    image = np.full((*mask.shape, 4), ink, np.uint8)
    image[..., 3] = np.round(255 * mask)
    assert (find_digit(image) - find_digit(photo(9))).abs().mean() < 0.03


def test_a_camera_held_sideways_is_put_right(tmp_path):
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    Image.fromarray(photo(7)).rotate(90).save(path, exif=exif)
    assert (find_digit(path) - find_digit(photo(7))).abs().mean() < 0.03


def test_a_large_photo_is_read():
    large = Image.fromarray(photo(5)).resize((4000, 3000))
    assert_as_in_mnist(find_digit(large))


def test_a_pillow_image_that_was_closed_is_named(tmp_path):
    Image.fromarray(photo(5)).save(tmp_path / "five.png")
    with Image.open(tmp_path / "five.png") as image:
        pass
    with pytest.raises(PictureError, match="the Pillow image cannot be read"):
        find_digit(image)


def test_what_is_no_picture_is_named(tmp_path):
    path = tmp_path / "letter.png"
    with pytest.raises(PictureError, match=r"there is no file letter\.png"):
        find_digit(path)
    path.write_text("Dear reader")
    with pytest.raises(PictureError, match=r"letter\.png is no picture that can be read"):
        find_digit(path)
    Image.fromarray(photo(5)).save(path)
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(PictureError, match=r"letter\.png is no picture that can be read"):
        find_digit(path)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((3, 40, 40)), r"an array of shape \(3, 40, 40\) is no picture"),
        (np.full((40, 40), 2.0), "floats of a picture must lie in"),
        (np.full((40, 40), np.nan), "floats of a picture must lie in"),
        (np.zeros((4, 40), np.uint8), "40 x 4 pixels: too few"),
        (np.zeros(5), r"an array of shape \(5,\) is no picture"),
    ],
)
def test_arrays_of_other_kinds_are_named(array, reason):
    with pytest.raises(PictureError, match=reason):
        find_digit(array)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(["", "png", "gif", "bmp", "tiff"]))
def test_a_damaged_file_gives_no_other_error(tmp_path_factory, content, suffix):
    path = tmp_path_factory.mktemp("fuzz") / "picture"
    if suffix:
        Image.fromarray(photo(1, {"size": 60})).save(path, format=suffix)
        whole = bytearray(path.read_bytes())
        whole[20 : 20 + len(content)] = content
        content = bytes(whole)
    path.write_bytes(content)
    with contextlib.suppress(PictureError):
        assert find_digit(path).shape == (28, 28)


@settings(max_examples=60, deadline=None)
@given(st.integers(8, 60), st.integers(8, 60), st.integers(0, 2**31), st.floats(0, 1))
def test_any_array_of_bytes_gives_a_digit_or_a_reason(height, width, seed, density):
    generator = np.random.default_rng(seed)
    array = (generator.random((height, width)) < density) * generator.integers(
        0, 256, (height, width)
    )
    try:
        picture = find_digit(array.astype(np.uint8))
    except PictureError:
        return
    assert torch.isfinite(picture).all()
    assert picture.shape == (28, 28)


def test_drawn_digits_are_recognised():
    """Twenty, drawn and lit as MNIST has none, by the reader that comes with mnistkit."""
    model, wrong = load_reader(), []
    for number, (digit, pen, paper) in enumerate(TWENTY):
        found = predict_image(model, photo(digit, pen, **paper))
        if found.label != digit or not found.known:
            wrong.append(f"{number}: {digit} taken for {found}")
    assert wrong == []


CREAM, NIGHT = (0.97, 0.93, 0.8), (0.05, 0.08, 0.15)
TWENTY = [
    (digit, pen, paper)
    for (pen, paper), digits in (
        (({"width": 0.02}, {}), (0, 4, 7)),  # thin
        (({"width": 0.1}, {}), (2, 9)),  # thick
        (({"centre": (0.3, 0.66), "height": 0.3, "width": 0.035}, {}), (3, 5)),
        (({"angle": 15}, {}), (1, 6)),
        (({"angle": -15}, {}), (8, 2)),
        (({}, {"paper": NIGHT, "ink": CREAM}), (4, 0)),
        (({}, {"paper": (0.55, 0.8, 0.6), "ink": (0.7, 0.15, 0.2)}), (5, 7)),
        (({}, {"light": 0.6}), (9, 3)),
        (({"size": 2400, "height": 0.25, "width": 0.02}, {"noise": 0.04}), (6, 1, 8)),
    )
    for digit in digits
]


# --- dense ink ------------------------------------------------------------------------------


def bold_eight(size: int, ink: int = 0, paper: int = 255) -> Image.Image:
    """An 8 so large that it leaves less and less paper in 400 x 500 pixels."""
    font = ImageFont.truetype(
        Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans-Bold.ttf", size
    )
    picture = Image.new("L", (400, 500), paper)
    ImageDraw.Draw(picture).text((200, 250), "8", fill=ink, font=font, anchor="mm")
    return picture


@pytest.mark.parametrize("size", [300, 380, 460, 500, 530, 560])
@pytest.mark.parametrize("ink_and_paper", [(0, 255), (230, 30)])
def test_ink_that_covers_up_to_nearly_half_of_it_is_read(size, ink_and_paper):
    assert predict_image(load_reader(), bold_eight(size, *ink_and_paper)).label == 8


def refusal(picture: Image.Image) -> str:
    """What is said of a picture that is not read; nothing if it is."""
    try:
        found = predict_image(load_reader(), picture)
    except PictureError as error:
        return str(error)
    return "" if found.known else str(found)


@pytest.mark.parametrize("size", [600, 640, 700, 800])
def test_more_ink_than_paper_is_no_digit_and_not_called_blank(size):
    assert refusal(bold_eight(size))
    assert "blank" not in refusal(bold_eight(size))


# --- the steps, against their definitions ---------------------------------------------------


@given(st.integers(0, 1000))
def test_otsus_threshold_is_the_best_of_all(seed):
    random = np.random.default_rng(seed)
    values = np.concatenate([random.normal(0.2, 0.1, 300), random.normal(0.8, 0.05, 100)])
    counts, edges = np.histogram(values, bins=128)
    centres = (edges[:-1] + edges[1:]) / 2

    def within(end: int) -> float:
        parts = [(counts[:end], centres[:end]), (counts[end:], centres[end:])]
        return sum(np.sum(n * (c - np.average(c, weights=n)) ** 2) for n, c in parts if n.any())

    least = min(within(end) for end in range(1, 128))
    found = photos._otsu(values)
    assert within(int(np.flatnonzero(edges == found)[0])) == pytest.approx(least)


@pytest.mark.parametrize("holes", [4, 5])
def test_a_shape_may_have_as_many_holes_as_a_hasty_eight(holes):
    ladder = np.full((300, 200), 255, dtype=np.uint8)
    ladder[40:260, 60:70] = ladder[40:260, 130:140] = 0
    for rung in range(holes + 1):
        ladder[40 + rung * 210 // holes :][:10, 60:140] = 0
    if holes == 4:
        find_digit(ladder)
    else:
        with pytest.raises(PictureError, match="5 holes, more than any digit"):
            find_digit(ladder)


def test_what_is_found_in_photographs_stays_as_it_was():
    """Ink of each column and row, for four digits, in nine kinds of photographs."""
    lines = []
    for kind in PHOTOGRAPHS:
        for digit in (0, 4, 5, 8):
            try:
                found = find_digit(photograph(digit, kind, seed=digit)).double()
                said = rounded([*found.sum(0), *found.sum(1)])
            except PictureError as refusal:
                said = str(refusal)
            lines.append(f"{kind} {digit}: {said}")
    assert_as_kept("photographs-found", "\n".join(lines))


def test_a_picture_of_too_many_pixels_is_refused_with_what_to_do(tmp_path, monkeypatch):
    Image.new("L", (100, 100), 255).save(tmp_path / "wall.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(PictureError, match=r"wall.png has more pixels .*\n.*\n.*make it smaller"):
        find_digit(tmp_path / "wall.png")


@pytest.mark.parametrize(("size", "read"), [
    ((800, 200), (100, 400, 3)), ((400, 100), (100, 400, 3)), ((50, 40), (40, 50, 3)),
])  # fmt: skip
def test_only_a_picture_that_is_larger_than_needed_is_made_smaller(size, read):
    assert photos._read_pixels(Image.new("L", size)).shape == read


def test_a_shape_of_eight_pixels_is_large_enough():
    mask = np.zeros((60, 60), dtype=bool)
    mask[20:28, 20:25] = True
    assert len(photos._shapes(mask)) == 1
    mask[27] = False
    with pytest.raises(PictureError, match="the largest shape has 7 pixels"):
        photos._shapes(mask)


def test_faint_ink_counts_unless_the_paper_is_as_dark():
    ink = np.zeros((40, 40))
    ink[10:30, 10:30] = 0.8  # 20 pixels high and wide: it is not scaled
    mask = ink > 0
    ink[18:22, 18:22] = 0.2
    quiet, noisy = (photos._as_in_mnist(ink, mask, noise)[12:16, 12:16] for noise in (0.01, 0.2))
    assert quiet == pytest.approx((0.2 - 0.16) / (0.8 - 0.16), abs=1e-4)
    assert noisy == pytest.approx(0, abs=1e-6)


def test_a_colour_that_stands_for_transparent_is_the_papers(tmp_path):
    read = 0
    for place in range(20):
        digit = 255 - load_digits("sample", limit=200).test.images[place].numpy()
        picture = Image.fromarray(digit).resize((280, 280), Image.Resampling.BICUBIC).convert("P")
        expected = find_digit(picture)
        picture.info["transparency"] = 255
        picture.save(tmp_path / "key.png")
        read += torch.allclose(find_digit(tmp_path / "key.png"), expected, atol=0.05)
    assert read == 20


def test_notes_of_a_camera_that_cannot_be_read_cost_nothing(tmp_path):
    picture = Image.fromarray(on_paper(draw_mask(4)))
    picture.save(tmp_path / "good.png")
    picture.save(tmp_path / "bad.png", exif=b"Exif\x00\x00garbagegarbage")
    assert torch.equal(find_digit(tmp_path / "bad.png"), find_digit(tmp_path / "good.png"))


@pytest.mark.parametrize("change", [
    lambda t: t.clone().requires_grad_(), lambda t: t.to(torch.bfloat16), lambda t: t.to_sparse(),
])  # fmt: skip
def test_any_kind_of_tensor_is_a_picture(change):
    picture = torch.tensor(on_paper(draw_mask(4))).float() / 255
    assert torch.allclose(find_digit(change(picture)), find_digit(picture), atol=0.1)


@pytest.mark.parametrize("kind", [np.uint8, bool, np.float32, np.int64])
def test_a_mask_of_zeros_and_ones_is_a_picture(kind):
    mask = draw_mask(4) > 0.5
    whole = find_digit(255 * mask.astype(np.uint8))
    assert torch.equal(find_digit(mask.astype(kind)), whole)


def test_a_path_of_a_picture_may_begin_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    Image.fromarray(on_paper(draw_mask(4))).save(tmp_path / "four.png")
    assert torch.equal(find_digit("~/four.png"), find_digit(tmp_path / "four.png"))


def test_dark_ink_on_a_dark_colour_that_is_transparent_is_read(tmp_path):
    mask = Image.fromarray((draw_mask(4) > 0.5).astype(np.uint8))
    palette = mask.convert("P")
    palette.putpalette([0] * 768)  # ink and what is transparent are both black
    palette.save(tmp_path / "palette.png", transparency=0)
    grey = Image.fromarray((draw_mask(4) <= 0.5).astype(np.uint8))
    grey.save(tmp_path / "grey.png", transparency=1)
    plain = find_digit(mask.point(lambda ink: 255 * (1 - ink)))
    for name in ("palette.png", "grey.png"):
        assert torch.allclose(find_digit(tmp_path / name), plain, atol=0.05)


@pytest.mark.parametrize("name", ["two.tif", "two.gif", "two.webp", "two.png"])
def test_a_file_with_several_pictures_is_refused(tmp_path, name):
    pages = [Image.fromarray(on_paper(draw_mask(digit))) for digit in (4, 7)]
    pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:])
    with pytest.raises(PictureError, match=f"{name} holds 2 pictures"):
        find_digit(tmp_path / name)
    pages[0].save(tmp_path / name)
    find_digit(tmp_path / name)


def test_a_blot_is_no_digit():
    y, x = np.mgrid[:200, :200]
    for blot in ((x - 100) ** 2 + (y - 100) ** 2 < 50**2, (abs(x - 100) < 40) & (abs(y - 90) < 45)):
        with pytest.raises(PictureError, match="one blot, without strokes"):
            find_digit(blot.astype(float))


def test_whatever_a_damaged_file_raises_in_its_decoder_is_a_reason(tmp_path, monkeypatch):
    path = tmp_path / "d.png"
    Image.fromarray(np.uint8(255 * photo())).save(path)

    def broken(*_):
        raise RuntimeError("Failed to decode frame 0")

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", broken)
    with pytest.raises(PictureError, match=r"d\.png is no picture that can be read \(RuntimeError"):
        find_digit(path)


def test_a_palette_that_is_transparent_is_read():
    picture = Image.new("RGBA", (80, 80), (0, 0, 0, 0))
    ImageDraw.Draw(picture).line([(40, 12), (40, 68)], fill=(0, 0, 0, 255), width=7)
    assert find_digit(picture.quantize(8)).shape == find_digit(picture).shape == (28, 28)


def test_more_bits_make_faint_ink_no_darker():
    pixels = np.full((60, 60), 60_000, dtype=np.uint16)
    pixels[10:50, 28:33] = 59_745  # a line that nobody would see
    with pytest.raises(PictureError, match="blank"):
        find_digit(Image.fromarray(pixels))
    pixels[10:50, 28:33] = 20_000
    assert find_digit(Image.fromarray(pixels)).max() > 0.5
    assert find_digit(Image.fromarray(pixels // 64)).max() > 0.5  # ten bits of sixteen


# --- what lies around the paper, and beside the digit ---------------------------------------

DESKS = {"dark": 30, "brown": 95, "grey": 128, "lighter than the paper": 255}


def on_desk(digit: np.ndarray, desk: int, turn: float = 0.0) -> np.ndarray:
    """A sheet with a digit on it, in the middle of a desk, turned by so many degrees."""
    sheet = Image.fromarray(np.uint8(255 * (digit if desk < 255 else 0.7 * digit)))
    side = 2 * max(sheet.size)
    photo_of = Image.new("L", (side, side), desk)
    turned = sheet.convert("LA").rotate(turn, expand=True, resample=Image.Resampling.BICUBIC)
    place = tuple((side - length) // 2 for length in turned.size)
    photo_of.paste(turned.convert("L"), place, turned.getchannel("A"))
    return np.asarray(photo_of)


@pytest.mark.parametrize("desk", DESKS.values(), ids=DESKS.keys())
@pytest.mark.parametrize("turn", [0, 8])
def test_a_digit_on_a_sheet_on_a_desk_is_found_on_the_sheet(desk, turn):
    digit = Image.fromarray(np.uint8(255 * photo(3))).resize((300, 300))
    alone = find_digit(np.asarray(digit.rotate(turn, expand=False, fillcolor=255)))
    found = find_digit(on_desk(np.asarray(digit) / 255, desk, turn))
    assert (found - alone).abs().mean() < 0.03


def test_a_sheet_on_which_nothing_is_written_is_said_to_be_blank_or_a_blot():
    with pytest.raises(PictureError, match=r"nothing is drawn|one blot|too few|more ink"):
        find_digit(on_desk(np.ones((200, 200)), 40))


@pytest.mark.parametrize("where", [np.s_[:, :20], np.s_[-20:], np.s_[:12, :]])
@pytest.mark.parametrize("shade", [0.1, 0.55])
def test_a_table_or_a_shadow_along_the_border_is_left_out(where, shade):
    paper = np.ones((200, 200))
    small = Image.fromarray(np.uint8(255 * photo(3))).convert("L").resize((100, 100))
    paper[50:150, 50:150] = np.asarray(small) / 255
    clean = find_digit(paper)
    shaded = paper.copy()
    shaded[where] *= shade
    assert (find_digit(shaded) - clean).abs().mean() < 0.03


def test_what_reaches_the_border_itself_is_kept_whole():
    bar = np.zeros((100, 60))  # a 5 cut so tightly that its bar runs along the upper border
    bar[:12], bar[:50, :12], bar[45:57], bar[45:, -12:], bar[-12:] = 1, 1, 1, 1, 1
    whole = find_digit(np.pad(1 - bar, 20, constant_values=1))
    assert (find_digit(1 - np.pad(bar, ((0, 0), (30, 30)))) - whole).abs().mean() < 0.05


@pytest.mark.parametrize(("gap", "shapes"), [(0.02, 1), (0.15, 2), (0.24, 2)])
def test_digits_one_above_the_other_are_two_and_a_broken_stroke_is_one(gap, shapes):
    upper = np.zeros((100, 60))
    upper[:, 24:36] = 1
    space = np.zeros((round(100 * gap), 60))
    drawn = 1 - np.pad(np.vstack([upper, space, upper]), 40)
    if shapes == 1:
        assert find_digit(drawn).shape == (28, 28)
    else:
        with pytest.raises(PictureError, match="2 separate shapes"):
            find_digit(drawn)


@pytest.mark.parametrize("digit", range(10))
def test_a_digit_that_is_cut_out_tightly_is_read(digit):
    drawn = draw_mask(digit)
    rows, columns = np.nonzero(drawn > 0.3)
    tight = 1 - drawn[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    picture = ImageOps.scale(Image.fromarray(np.uint8(255 * tight)), 200 / len(tight))
    assert predict_image(load_reader(), picture).label == digit


def test_bold_digits_that_fill_their_picture_are_found():
    """Drawn to its edges they reach all sides, and hold pieces that reach none."""
    test = load_digits("sample").test.images
    for place in (46, 84, 251, 412, 427, 483, 540, 611, 654, 787, 918, 985):
        rows, columns = torch.nonzero(test[place] > 60, as_tuple=True)
        cut = 255 - test[place][rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        picture = Image.fromarray(cut.numpy()).resize((200, 200))
        assert_as_in_mnist(find_digit(np.asarray(picture)))
