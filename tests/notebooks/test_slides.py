"""Slides show what a notebook marks for them, each of it on one screen, with nothing fetched."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from mnistkit.errors import NotebookError, UnknownNameError
from mnistkit.notebooks import reveal
from mnistkit.notebooks.execute import find_notebooks
from mnistkit.notebooks.slides import LINES, TYPES, WORDS, read_deck, sentences, write_slides
from tests.browser import NEEDS_BROWSER, violations
from tests.notebooks.series import REVEAL_FILES, stub_reveal

NOTEBOOKS = {path.stem: path for path in find_notebooks()}
DOT = (  # a PNG of 30 x 10
    "iVBORw0KGgoAAAANSUhEUgAAAB4AAAAKAQAAAACxHt1DAAAAEElEQVR42mNgYGBo+P8fTQAAQnEE/D2kVKQAAAAASUVORK5CYII="
)
by_notebook = pytest.mark.parametrize("name", NOTEBOOKS)


@pytest.fixture(scope="session")
def stub(tmp_path_factory) -> Path:
    return stub_reveal(tmp_path_factory.mktemp("reveal"))


@pytest.fixture(scope="session")
def decks(tmp_path_factory, stub) -> dict[str, BeautifulSoup]:
    folder = tmp_path_factory.mktemp("slides")
    assert write_slides(folder, reveal=stub) == folder / "index.html"
    return {path.stem: BeautifulSoup(path.read_bytes(), "html.parser") for path in folder.iterdir()}


def leaves(deck: BeautifulSoup) -> list:
    return deck.select(".slides > section > section")


# --- the series -----------------------------------------------------------------------------


def test_each_notebook_has_a_deck_and_the_index_links_to_it(decks):
    assert sorted(decks) == sorted(["index", *NOTEBOOKS])
    assert [a["href"] for a in decks["index"].select("a")] == [f"{stem}.html" for stem in NOTEBOOKS]


@by_notebook
def test_every_cell_is_marked_and_no_exercise_is_shown(name):
    cells = nbformat.read(NOTEBOOKS[name], 4).cells
    assert [cell.id for cell in cells if "slideshow" not in cell.metadata] == [], "unmarked"
    assert {cell.metadata.slideshow.slide_type for cell in cells} <= set(TYPES)
    first = next(k for k, cell in enumerate(cells) if cell.source.startswith("## Exercises"))
    assert {cell.metadata.slideshow.slide_type for cell in cells[first:]} == {"skip"}


@by_notebook
def test_a_deck_tells_the_story_in_12_to_30_slides(decks, name):
    slides = leaves(decks[name])
    assert 12 <= len(slides) <= 30
    assert slides[0].h1.get_text().startswith(name[:2])
    assert any(slide.find("h2", string="What we saw") for slide in slides)
    assert len(decks[name].select(".picture img")) >= 2
    assert len(decks[name].select(".fragment")) >= 5
    for slide in slides:
        assert slide.find(["h1", "h2", "h3"]) or slide.select_one(".where").get_text(strip=True)
        assert slide.select_one(".parts").get_text(strip=True) or slide.img


@by_notebook
def test_no_slide_holds_more_than_can_be_taken_in(decks, name):
    for slide in leaves(decks[name]):
        for part in slide.select(".words"):
            words = " ".join(p.get_text() for p in part.select("p, li")).split()
            assert len(words) <= WORDS, words
        for printed in slide.select(".sheet pre"):
            assert len(printed.get_text().strip("\n").splitlines()) <= LINES


@by_notebook
def test_a_deck_holds_all_that_it_shows(decks, name):
    soup = decks[name]
    shown = [tag["src"] for tag in soup.find_all(src=True)]
    shown += [tag["href"] for tag in soup.find_all("link")]
    assert all(address.startswith("data:") for address in shown)
    style = "".join(style.get_text() for style in soup.find_all("style"))
    assert "@import" not in style
    assert "url(" not in style
    assert all(a["href"].startswith("https://") for a in soup.find_all("a"))
    scripts = [base64.b64decode(tag["src"].partition(",")[2]) for tag in soup.find_all(src=True)
               if tag.name == "script"]  # fmt: skip
    assert [script.split()[1].decode() for script in scripts] == [*REVEAL_FILES[::2]]


@by_notebook
def test_pictures_keep_their_words(decks, name):
    outputs = [
        o for cell in nbformat.read(NOTEBOOKS[name], 4).cells for o in cell.get("outputs", [])
    ]
    alts = [o.metadata["image/png"]["alt"] for o in outputs if "image/png" in o.get("data", {})]
    shown = [image["alt"] for image in decks[name].find_all("img")]
    assert shown == [alt for alt in alts if alt in shown]


# --- from cells to slides -------------------------------------------------------------------


def text(source: str, kind: str = "", **marks):
    return new_markdown_cell(source, metadata={"slideshow": {"slide_type": kind, **marks}})


def code(source: str, *outputs, **marks):
    return new_code_cell(source, outputs=list(outputs), metadata={"slideshow": marks})


def printed(said: str):
    return new_output("stream", text=said)


def drawn():
    return new_output("display_data", {"image/png": DOT}, metadata={"image/png": {"alt": "a dot"}})


TITLE = text("# 01 · Dots\n\nOne. Two.", "slide")
READ = "Yes. It is 5.\n\nMore on that.\n\n## Next\n\nSome words. Will it be 7?"


@pytest.fixture
def deck_of(tmp_path):
    def build(*cells):
        path = tmp_path / "01_dots.ipynb"
        known = code("1 + 1", printed("2"), slide_type="skip")
        nbformat.write(new_notebook(cells=[TITLE, *cells, known]), path)
        return [
            {
                "opens": slide.opens,
                "heading": BeautifulSoup(slide.heading, "html.parser").get_text(),
                "where": slide.where,
                "parts": [BeautifulSoup(part, "html.parser").div for part in slide.parts],
                "notes": " ".join(
                    BeautifulSoup("".join(slide.notes), "html.parser").stripped_strings
                ),
                "beside": slide.beside,
            }
            for slide in read_deck(path).slides
        ]

    return build


def said(slide) -> list[tuple[str, bool]]:
    """What is on a slide, part by part, and whether it waits for a key."""
    return [
        (" ".join(part.get_text().split()), "fragment" in part["class"]) for part in slide["parts"]
    ]


def test_a_cell_answers_on_the_slide_before_and_asks_on_the_next(deck_of):
    before, after = deck_of(text(READ, "slide", answer=[1, 2], text=[-1, -1]))
    assert said(before) == [("One. Two.", False), ("Yes. It is 5.", True)]
    assert before["notes"] == ""
    assert (after["heading"], after["opens"]) == ("Next", True)
    assert said(after) == [("Will it be 7?", False)]
    assert after["notes"] == "More on that. Some words."


def test_under_a_heading_of_its_own_an_answer_is_a_slide(deck_of):
    source = "## A\n\nFirst one. Between. Last?"
    title, first, last = deck_of(text(source, "slide", answer=[1, 1], text=[3, 3]))
    assert said(title) == [("One. Two.", False)]
    assert (first["heading"], said(first), first["opens"]) == ("A", [("First one.", False)], True)
    assert (last["heading"], last["where"], last["opens"]) == ("", "A", False)
    assert (said(last), last["notes"]) == ([("Last?", False)], "Between.")


def test_skipped_cells_are_left_out_and_notes_are_the_speakers(deck_of):
    unmarked = new_markdown_cell("Unmarked.")
    (slide,) = deck_of(text("Not shown.", "skip"), unmarked, text("To be said.", "notes"))
    assert said(slide) == [("One. Two.", False)]
    assert slide["notes"] == "To be said."


def test_a_dash_goes_on_with_the_slide_and_a_fragment_waits(deck_of):
    (slide,) = deck_of(text("Here.", "-"), code("x = 1", printed("1"), slide_type="fragment"))
    assert said(slide) == [("One. Two.", False), ("Here.", False), ("x = 1 1", True)]


def test_what_is_longer_than_a_slide_goes_on_to_another(deck_of):
    long = "\n".join(f"- {'word ' * 30}{name}" for name in ("one", "two", "three"))
    _, first, second = deck_of(text("## What\n\n" + long, "slide"))
    assert [len(slide["parts"][0].find_all("li")) for slide in (first, second)] == [2, 1]
    assert (first["heading"], second["heading"], second["where"]) == ("What", "", "What")
    assert not second["opens"]


def test_a_table_stays_whole_whatever_surrounds_it(deck_of):
    table = "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |"
    _, slide = deck_of(text(f"Before.\n\n{table}\n\nAfter it.", "slide"))
    assert len(slide["parts"][0].find_all("tr")) == 3
    assert [p.get_text() for p in slide["parts"][0].find_all("p")] == ["Before.", "After it."]


@pytest.mark.parametrize(
    ("show", "pictures", "words"),
    [(None, 1, "1 is drawn"), ("output", 1, "1 is drawn"), ("picture", 1, ""),
     ("code", 0, "draw()"), ("both", 1, "draw() 1 is drawn")],
)  # fmt: skip
def test_a_cell_shows_what_it_drew_unless_marked_otherwise(deck_of, show, pictures, words):
    description = new_output("display_data", {"text/markdown": "*Figure: a dot*"})
    marks = {"slide_type": "subslide"} | ({"show": show} if show else {})
    _, slide = deck_of(code("draw()", drawn(), description, printed("1 is drawn"), **marks))
    assert len([part for part in slide["parts"] if part.img]) == pictures
    assert " ".join(part for part, _ in said(slide) if part) == words
    assert slide["beside"] == ""  # three times as wide as high


def test_long_code_is_cut_and_says_so(deck_of):
    lines = "\n".join(f"x{k} = {k}" for k in range(40))
    _, slide = deck_of(code(lines, slide_type="slide"))
    shown = slide["parts"][0].pre.get_text().strip().splitlines()
    assert len(shown) == LINES
    assert shown[-1] == "# ..."


def test_wide_gaps_in_print_close_and_columns_stay_below_one_another(deck_of):
    said_twice = f"{'C1  V0':18}{'91 %':9}yes\n{'C2  V1 longer':18}{'7 %':9}no\n"
    _, slide = deck_of(code("go()", printed(said_twice), slide_type="slide", show="output"))
    assert slide["parts"][0].pre.get_text() == "C1  V0         91 %  yes\nC2  V1 longer  7 %   no\n"


def test_a_tall_table_has_its_answer_beside_it(deck_of):
    print_ = printed("\n".join("row" for _ in range(9)) + "\n")
    _, slide = deck_of(code("go()", print_, slide_type="slide", show="output"))
    assert slide["beside"] == "beside narrow"
    assert slide["parts"][0]["class"] == ["table"]


def test_sentences_end_where_a_reader_would_say_so():
    source = "It is 0.5 (see A, 2020). *Not* so? (No.) `x` is.\n\n- an item. Yes\n- two\n\n## H"
    assert sentences(source) == ["It is 0.5 (see A, 2020).", "*Not* so?", "(No.) `x` is.",
                                 "- an item. Yes", "- two", "## H"]  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "error", "message"),
    [
        (text("Hm.", "slides"), UnknownNameError, "'slides'; did you mean 'slide'"),
        (code("x", slide_type="slide", show="all"), UnknownNameError, "part of a cell 'all'"),
        (text("Hm.", "slide", answer=[1]), NotebookError, r"is \[1\], expected \[first, last\]"),
    ],
)  # fmt: skip
def test_unknown_marks_are_named(deck_of, cell, error, message):
    with pytest.raises(error, match=message):
        deck_of(cell)


def test_a_notebook_without_slides_or_outputs_is_refused(tmp_path):
    path = tmp_path / "01_new.ipynb"
    nbformat.write(new_notebook(cells=[TITLE, new_code_cell("1 + 1")]), path)
    with pytest.raises(NotebookError, match=r"01_new\.ipynb has not been executed"):
        read_deck(path)
    cells = [text("One.", "fragment"), code("1", printed("1"), slide_type="skip")]
    nbformat.write(new_notebook(cells=cells), path)
    with pytest.raises(NotebookError, match=r"first marked cell of 01_new\.ipynb opens no slide"):
        read_deck(path)


# --- in a browser ---------------------------------------------------------------------------

# Of the slide that is shown: what sticks out of its sheet, what covers something, and small print.
FAULTS = """() => {
  const sheet = Reveal.getCurrentSlide().querySelector(".sheet"), faults = [];
  const outer = sheet.getBoundingClientRect();
  if (sheet.scrollHeight > 720 || sheet.scrollWidth > 1280) faults.push("larger than its sheet");
  const words = document.createTreeWalker(sheet, NodeFilter.SHOW_TEXT);
  while (words.nextNode()) {
    const node = words.currentNode, range = document.createRange();
    if (!node.data.trim()) continue;
    range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    if (box.right > outer.right + 1 || box.bottom > outer.bottom + 1 || box.left < outer.left)
      faults.push("sticks out: " + node.data);
    if (parseFloat(getComputedStyle(node.parentElement).fontSize) < 18)
      faults.push("small: " + node.data);
  }
  const left = sheet.querySelectorAll(".beside > :not(.words) :is(img, table, pre)");
  for (const text of sheet.querySelectorAll(".beside > .words"))
    for (const shown of left)
      if (shown.getBoundingClientRect().right > text.getBoundingClientRect().left)
        faults.push("covered: " + text.textContent);
  for (const image of sheet.querySelectorAll("img"))
    if (image.getBoundingClientRect().height < 100) faults.push("tiny: " + image.alt);
  return faults;
}"""


@pytest.fixture(scope="session")
def real(tmp_path_factory) -> Path:
    """The decks with reveal.js itself; it is not fetched for a test."""
    if not reveal.is_here():
        pytest.skip("reveal.js is not here: `mnistkit slides` fetches it, MNISTKIT_REVEAL names it")
    return write_slides(tmp_path_factory.mktemp("real")).parent


@by_notebook
class TestInABrowser:
    """Each deck, in a hall without a network."""

    pytestmark = NEEDS_BROWSER

    @pytest.fixture(params=["light", "dark"])
    def page(self, browser, real, name, request):
        context = browser.new_context(viewport={"width": 1280, "height": 720}, offline=True,
                                      color_scheme=request.param)  # fmt: skip
        page, self.heard = context.new_page(), []
        page.set_default_timeout(120_000)
        page.on("console", lambda message: self.heard.append(message.text))
        page.on("pageerror", lambda error: self.heard.append(str(error)))
        page.on("request", lambda request: self.heard.append(request.url))
        self.open(page, real, name)
        yield page
        context.close()

    @staticmethod
    def open(page, folder, name, query=""):
        page.goto((folder / f"{name}.html").as_uri() + query)
        page.wait_for_function("window.Reveal && Reveal.isReady()")

    def test_keys_lead_through_slides_that_fit_and_shut_nobody_out(self, page, real, name):
        seen, faults = 0, []
        while True:
            while page.evaluate("Reveal.availableFragments().next"):
                page.keyboard.press("Space")
            seen += 1
            faults += [f"{seen}: {fault}" for fault in page.evaluate(FAULTS)]
            if seen % 6 == 1:
                faults += [f"{seen}: {fault}" for fault in violations(page)]
            if page.evaluate("Reveal.isLastSlide()"):
                break
            page.keyboard.press("ArrowRight")
        assert faults == []
        assert seen == page.evaluate("Reveal.getTotalSlides()")
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("o")
        assert page.evaluate("Reveal.isOverview()")
        own = (real.as_uri(), "data:")
        assert [line for line in self.heard if not line.startswith(own)] == []


@NEEDS_BROWSER[0]
@NEEDS_BROWSER[1]
class TestOneDeck:
    """What is the same for all decks, on one."""

    def test_it_prints_one_slide_a_page_dark_on_white(self, browser, real):
        page = browser.new_page(color_scheme="dark")
        TestInABrowser.open(page, real, "04_cnn", "?print-pdf")
        page.wait_for_selector(".pdf-page")
        page.emulate_media(media="print")
        total = page.evaluate("Reveal.getTotalSlides()")
        assert page.locator(".pdf-page").count() == total
        printed = page.pdf(prefer_css_page_size=True, print_background=True)
        assert len(re.findall(rb"/Type\s*/Page\b", printed)) == total
        paper = "getComputedStyle(document.querySelector('.reveal-viewport')).backgroundColor"
        assert page.evaluate(paper) == "rgb(255, 255, 255)"
        page.close()

    def test_the_speaker_has_notes_in_a_window_of_their_own(self, browser, real):
        page = browser.new_page()
        TestInABrowser.open(page, real, "01_data", "#/0/1")
        with page.expect_popup() as opened:
            page.keyboard.press("s")
        opened.value.get_by_text("forms filled in by hand").wait_for()
        page.close()
