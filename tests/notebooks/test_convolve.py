"""The window moves over the digit, and each sum is the one that PyTorch's convolution gives."""

from __future__ import annotations

import re

import pytest
import torch

from mnistkit.data import load_digits
from mnistkit.notebooks.book import Page, write_book
from mnistkit.notebooks.convolve import convolution_page
from mnistkit.notebooks.execute import find_notebooks
from tests.browser import NEEDS_BROWSER, on_a_phone, violations

pytestmark = NEEDS_BROWSER


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("book")
    others = [Page("convolve", "Move the window", "", convolution_page())]
    write_book(folder, find_notebooks(["06"]), others=others)
    return (folder / "convolve.html").as_uri()


@pytest.fixture(params=["light", "dark"])
def page(browser, address, request):
    with on_a_phone(browser, address, request.param) as page:
        yield page


def shown_sum(page) -> float:
    words = page.locator("#sum").inner_text()
    number = words.removeprefix("Sum: ").replace("\N{MINUS SIGN}", "-")
    assert re.fullmatch(r"-?\d+\.\d\d", number), words
    return float(number)


def move_to(page, row: int, column: int) -> None:
    for name, value in (("row", row), ("column", column)):
        page.locator(f"#{name}").fill(str(value))


def test_each_sum_is_that_of_a_convolution(page):
    test = load_digits("sample").test
    seven = test.inputs()[test.labels == 7][:1]
    kernel = torch.tensor([[-1.0, 0, 1], [-1, 0, 1], [-1, 0, 1]])
    maps = torch.nn.functional.conv2d(seven, kernel.view(1, 1, 3, 3))[0, 0]
    for row, column in ((0, 0), (8, 12), (12, 14), (25, 25), (10, 15)):
        move_to(page, row, column)
        assert shown_sum(page) == pytest.approx(maps[row, column].item(), abs=0.0051)


def test_another_kernel_another_digit_and_ones_own(page):
    page.locator("#kernel").select_option("as it is")
    page.locator("#digit").select_option("a 0")
    test = load_digits("sample").test
    zero = test.inputs()[test.labels == 0][0, 0]
    move_to(page, 9, 13)
    assert shown_sum(page) == pytest.approx(zero[10, 14].item(), abs=0.0051)
    middle = page.locator("#weights input").nth(4)
    middle.fill("-2")
    assert shown_sum(page) == pytest.approx(-2 * zero[10, 14].item(), abs=0.0051)
    assert page.locator("#kernel").input_value() == "your own"
    middle.fill("")
    assert shown_sum(page) == 0
    middle.blur()
    assert middle.input_value() == "0"
    page.locator("#kernel").select_option("as it is")
    assert middle.input_value() == "1"


def test_the_mouse_moves_the_window_and_it_stays_inside(page):
    box = page.locator("#picture").bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.25 * box["height"])
    assert page.locator("#column").input_value() == "12", "only looked at"
    page.mouse.down()
    assert page.locator("#column").input_value() == "13"
    assert page.locator("#row").input_value() == "6"
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] - 2)
    assert page.locator("#row").input_value() == page.locator("#column").input_value() == "25"
    page.mouse.up()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    assert page.locator("#row").input_value() == "25", "it stays where it was put"


def test_it_shuts_nobody_out_and_fits_a_phone(page):
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
