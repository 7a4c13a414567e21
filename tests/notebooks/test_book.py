"""The reading edition holds all it shows, and shuts nobody out; checked in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from mnistkit.errors import NotebookError
from mnistkit.notebooks.book import write_book
from mnistkit.notebooks.execute import find_notebooks
from tests.browser import NEEDS_BROWSER, violations

STEMS = [path.stem for path in find_notebooks()]
LIKE_OTHERS = ("01", "03", "05", "07")
PAGES = ["glossary", "index", *STEMS]


@pytest.fixture(scope="session")
def book(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("book")
    assert write_book(folder) == folder / "index.html"
    return folder


@pytest.fixture(scope="session")
def soups(book) -> dict[str, BeautifulSoup]:
    return {path.stem: BeautifulSoup(path.read_bytes(), "html.parser") for path in book.iterdir()}


def test_each_notebook_has_a_page_and_the_index_links_to_it(soups):
    assert sorted(soups) == sorted(PAGES)
    links = [a["href"] for a in soups["index"].select("main a")]
    assert links == [f"{stem}.html" for stem in [*STEMS, "glossary"]]


def test_the_index_says_how_long_each_takes(soups):
    words = [item.get_text() for item in soups["index"].select(".contents li")]
    assert len(words) == len(STEMS)
    assert all(re.search(r"\d+ minutes? to run on two processor cores", each) for each in words)


def test_the_index_shows_a_picture_of_each_and_says_what_it_is_good_for(soups):
    items = soups["index"].select(".contents li")
    pictures = [item.select_one(".cover img") for item in items]
    assert len({picture["src"] for picture in pictures}) == len(STEMS)
    assert all(len(picture["alt"]) > 20 for picture in pictures)
    assert all(re.search(r"After it you can \w[^`*]+[a-z]\.\n", item.get_text()) for item in items)


@pytest.mark.parametrize("name", STEMS)
def test_imports_are_folded_and_a_picture_is_described_once(soups, name):
    (folded,) = (d for d in soups[name].find_all("details") if "imports" in d.summary.get_text())
    assert "import mnistkit as mk" in folded.get_text()
    captions = soups[name].find_all("em", string=re.compile("^Figure: "))
    assert len(captions) >= 3
    assert all(caption["aria-hidden"] == "true" for caption in captions)
    spoken = [img["alt"] for img in soups[name].select("main img")]
    assert all(any(c.get_text() == f"Figure: {alt}" for alt in spoken) for c in captions)


def test_a_strangers_notebook_makes_the_page_do_nothing(tmp_path):
    bad = (
        '<img src="x" onerror="alert(1)"><iframe src="https://a.b"></iframe>'
        '<a href="java\tscript:alert(1)">x</a><a href=" JavaScript:alert(1)">y</a>'
        '<object data="a"></object><form action="https://a.b"><input></form>'
        '<svg onload="alert(1)"><a xlink:href="javascript:alert(1)">z</a></svg>'
        '<meta http-equiv="refresh" content="0"><base href="https://a.b/"><script>1</script>'
        '<a href="data:text/html,<script>1</script>">w</a><embed src="a"><b>kept</b>'
    )
    shown = new_output("display_data", {"text/html": bad, "text/plain": "bad"})
    cells = [new_markdown_cell(f"# 01 · New\n\n{bad}"), new_code_cell("1", outputs=[shown])]
    path = tmp_path / "01_new.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    write_book(tmp_path / "book", [path])
    page = BeautifulSoup((tmp_path / "book" / "01_new.html").read_text("utf-8"), "html.parser").main
    active = ["script", "iframe", "object", "embed", "form", "base", "meta"]
    assert page.find_all(active) == []
    for tag in page.find_all(True):
        for key, value in tag.attrs.items():
            assert not key.startswith("on"), tag
            assert "script:" not in "".join(str(value).split()).lower(), tag
            assert "data:text" not in str(value), tag
    assert len(page.find_all("b", string="kept")) == 2


def test_the_glossary_leads_to_where_a_term_is_introduced(soups):
    term = next(item for item in soups["glossary"].find_all("li") if "softmax" in item.text)
    assert term.a["href"] == "02_linear_vs_relu.html"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_holds_all_that_it_shows(soups, book, name):
    soup = soups[name]
    assert not soup.find_all(["script", "iframe", "object"])
    shown = [tag[key] for key in ("src", "srcset") for tag in soup.find_all(attrs={key: True})]
    shown += [tag["href"] for tag in soup.find_all("link")]
    assert all(address.startswith("data:") for address in shown)
    assert "@import" not in soup.style.text
    assert "url(" not in soup.style.text
    for link in soup.find_all("a"):
        place = link["href"].partition("#")[0]
        assert place.startswith("https://") or not place or (book / place).is_file(), place


@pytest.mark.parametrize("name", STEMS)
def test_what_a_notebook_shows_is_on_its_page(soups, name):
    soup = soups[name]
    notebook = nbformat.read(next(p for p in find_notebooks() if p.stem == name), 4)
    words = soup.main.get_text()
    outputs = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
    pictures = [o for o in outputs if "image/png" in o.get("data", {})]
    assert len(soup.find_all("img")) == len(pictures)
    for picture, output in zip(soup.find_all("img"), pictures, strict=True):
        assert picture["alt"] == output.metadata["image/png"]["alt"]
    for output in outputs:
        if output.output_type == "stream":
            assert output.text.strip() in words
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.source.splitlines()[-1] in words


@pytest.mark.parametrize("name", PAGES)
def test_headers_and_headings_say_what_they_are_of(soups, name):
    soup = soups[name]
    assert all(cell.get("scope") in ("col", "row") for cell in soup.find_all("th"))
    assert all(cell.get_text(strip=True) for cell in soup.find_all("th"))
    assert all(table.find("th", scope="col") for table in soup.find_all("table"))
    assert len(soup.find_all("h1")) == 1
    assert soup.html["lang"] == "en"


def test_numbers_stand_to_the_right_and_words_to_the_left(soups):
    table = next(t for t in soups["02_linear_vs_relu"].find_all("table") if "Flatten" in t.text)
    columns = zip(*([cell.get("class") for cell in row.find_all(["td", "th"])]
                    for row in table.find_all("tr")), strict=True)  # fmt: skip
    right = [set(map(str, column)) for column in columns]
    assert right == [{"['number']"}, {"None"}, {"['number']"}, {"['number']"}]


@pytest.mark.parametrize("path", find_notebooks(), ids=lambda path: path.stem)
def test_a_page_lists_its_sections_and_leads_to_each(book, path):
    page = BeautifulSoup((book / f"{path.stem}.html").read_text("utf-8"), "html.parser")
    headings = {f"#{heading['id']}": heading.get_text() for heading in page.find_all("h2")}
    links = page.select("nav.sections a")
    assert {link["href"]: link.get_text() for link in links} == headings
    assert len(links) == len(headings) > 4


def test_a_notebook_that_was_not_executed_is_refused(tmp_path):
    cells = [new_markdown_cell("# 01 · New"), new_code_cell("1 + 1")]
    path = tmp_path / "01_new.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    with pytest.raises(NotebookError, match=r"01_new\.ipynb has not been executed"):
        write_book(tmp_path / "book", [path])
    assert not (tmp_path / "book").exists()


# --- in a browser ---------------------------------------------------------------------------


# Of the notebooks' pages, which have one style sheet, some in the dark only with the full set.
DARK = [pytest.param(name, "dark", marks=pytest.mark.full if name[:2] in LIKE_OTHERS else ())
        for name in PAGES]  # fmt: skip


@pytest.mark.parametrize(("name", "scheme"), [*((name, "light") for name in PAGES), *DARK])
class TestInABrowser:
    """Each page, in both colours, on a phone; what the colours do not change is looked at once."""

    pytestmark = NEEDS_BROWSER

    @pytest.fixture
    def page(self, browser, book, name, scheme):
        context = browser.new_context(
            viewport={"width": 360, "height": 740}, color_scheme=scheme, offline=True
        )
        page, self.asked = context.new_page(), []
        page.set_default_timeout(120_000)
        page.on("request", lambda request: self.asked.append(request.url))
        page.goto((book / f"{name}.html").as_uri())
        yield page
        context.close()

    def test_it_reads_without_a_network_on_a_phone_and_shuts_nobody_out(self, page, book, scheme):
        assert violations(page, *(["color-contrast"] if scheme == "dark" else [])) == []
        assert [url for url in self.asked if not url.startswith((book.as_uri(), "data:"))] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        cut = "(boxes) => boxes.filter((box) => box.scrollWidth > box.clientWidth).length"
        assert page.locator(".highlight .wide").evaluate_all(cut) == 0, "code is cut"
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        light = sum(map(int, re.findall(r"\d+", paper)[:3])) / 3
        assert light > 240 if scheme == "light" else light < 40


@NEEDS_BROWSER[0]
@NEEDS_BROWSER[1]
def test_a_page_prints_dark_on_white_without_navigation(browser, book):
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto((book / "01_data.html").as_uri())
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("header").is_visible()
    assert len(page.pdf()) > 50_000
    context.close()
