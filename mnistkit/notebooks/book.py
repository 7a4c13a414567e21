"""The reading edition: executed notebooks as pages that need no network, and no script to read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from mnistkit.errors import NotebookError, needs_package
from mnistkit.notebooks.execute import find_notebooks
from mnistkit.notebooks.normalize import check_finished, read_notebook
from mnistkit.utils.storage import check_own, output_folder, write_text

with needs_package("the book", "lab"):
    import nbformat
    from bs4 import BeautifulSoup
    from jinja2 import Environment, FileSystemLoader
    from nbconvert import HTMLExporter

_HERE = Path(__file__).parent
_MINUTES = re.compile(r"About (\d+ minutes?) on two processor cores")
_NUMBER = re.compile(r"[-+±]?[\d.,]+( %| s| points)?|NaN|")
_SECTION = re.compile(r"<h2>(.*?)</h2>", re.S)
_TAG = re.compile(r"<[^>]*>")
_GOAL = re.compile(r"After this notebook you can\n- (.*)")
_IMPORTS = re.compile(r"^import mnistkit as mk$", re.M)
_CAPTION = re.compile(r"^Figure: ")
_ACTIVE = ["style", "script", "iframe", "object", "embed", "form", "base", "link", "meta"]
_ACTING_ADDRESSES = ("javascript:", "vbscript:", "data:text/html", "data:image/svg")
_NOTHING: Mapping[str, str] = {}
_LINK = re.compile(r"^(\d\d_\w+|GLOSSARY)\.(?:ipynb|md)(#.*)?$")


@dataclass(frozen=True)
class Page:
    """One notebook as a page: its file's stem, title, minutes, and the HTML of its cells.

    goal: what one can do after it. cover: the picture of its cell tagged "cover", as HTML.
    """

    stem: str
    title: str
    minutes: str
    body: str
    goal: str = ""
    cover: str = ""


def write_book(
    folder: str | Path,
    notebooks: Sequence[Path] = (),
    others: Sequence[Page] = (),
    after: Mapping[str, str] = _NOTHING,
) -> Path:
    """Write the index, a page for each notebook, others and the glossary; return the index's path.

    notebooks: executed ones, by default the series' own. Each page holds its pictures and its
    style. after: HTML to stand behind the code cell that holds a piece of source.
    Raises NotebookError for a notebook that has not been executed.
    """
    pages = [_page(path, after) for path in notebooks or find_notebooks()]
    others = [*others, _glossary({page.stem for page in pages})]
    folder = output_folder(folder)
    for stem in ["index", *(page.stem for page in [*pages, *others])]:
        check_own(folder / f"{stem}.html", "mnistkit")

    def write(kind: str, page: Page | None, **neighbours: Page | None) -> Path:
        stem, title = (page.stem, page.title) if page else ("index", "mnistkit")
        text = _render(kind, title=title, pages=pages, others=others, page=page, **neighbours)
        write_text(folder / f"{stem}.html", text)
        return folder / f"{stem}.html"

    for page in others:
        write("page", page)
    for before, page, following in zip([None, *pages], pages, [*pages[1:], None], strict=False):
        write("page", page, before=before, after=following)
    return write("index", None)


def _page(path: Path, after: Mapping[str, str]) -> Page:
    notebook = read_notebook(path)
    check_finished(notebook, path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if not any(cell.outputs for cell in code):
        raise NotebookError(
            f"{path.name} has not been executed, so there is nothing to read",
            where=path.parent,
            do="execute it first: `mnistkit run`, then `mnistkit book --from runs`",
        )
    first = notebook.cells[0].source
    minutes = _MINUTES.search(first)
    known = {p.stem for p in path.parent.glob("*.ipynb")}
    marks = _mark_places(notebook, after)
    body = cells_to_html(notebook, known)
    for mark, html in marks.items():
        body = body.replace(f"<p>{mark}</p>", html)
    title, minutes = first.splitlines()[0].lstrip("# "), minutes[1] if minutes else ""
    goal = _GOAL.search(first)
    goal = goal[1].rstrip(";.").replace("`", "").replace("*", "") if goal else ""
    return Page(path.stem, title, minutes, _with_contents(body), goal, _cover(notebook))


def _cover(notebook: nbformat.NotebookNode) -> str:
    """The first picture of the cell that is tagged "cover"; empty without one."""
    tagged = [cell for cell in notebook.cells if "cover" in cell.metadata.get("tags", [])]
    for output in (output for cell in tagged for output in cell.get("outputs", [])):
        if png := output.get("data", {}).get("image/png"):
            words = output.metadata.get("image/png", {}).get("alt", "")
            return f'<img src="data:image/png;base64,{"".join(png.split())}" alt="{escape(words)}">'
    return ""


def _with_contents(body: str) -> str:
    """Put a list of a page's sections behind its title."""
    lines = []

    def mark(section: re.Match) -> str:
        place = f"section-{len(lines) + 1}"
        lines.append(f'<li><a href="#{place}">{_TAG.sub("", section[1])}</a></li>')
        return f'<h2 id="{place}">{section[1]}</h2>'

    body = _SECTION.sub(mark, body)
    contents = f"<details><summary>On this page</summary><ol>{''.join(lines)}</ol></details>"
    nav = f'<nav class="sections" aria-label="On this page">{contents}</nav>'
    return body.replace("</h1>", f"</h1>\n{nav}", 1) if lines else body


def _mark_places(notebook: nbformat.NotebookNode, after: Mapping[str, str]) -> dict[str, str]:
    """Put a cell with a mark behind each place that gets HTML; return the HTML by its mark."""
    marks = {}
    for number, (source, html) in enumerate(after.items()):
        mark = f"mnistkit-inset-{number}"
        for place, cell in enumerate(notebook.cells):
            if cell.cell_type == "code" and source in cell.source:
                marks[mark] = html
                notebook.cells.insert(place + 1, nbformat.v4.new_markdown_cell(mark, id=mark))
                break
    return marks


def _glossary(known: set[str]) -> Page:
    words = (find_notebooks()[0].parent / "GLOSSARY.md").read_text(encoding="utf-8")
    cell = nbformat.v4.new_markdown_cell(words, id="glossary")  # else a random one
    notebook = nbformat.v4.new_notebook(cells=[cell])
    return Page("glossary", "Glossary", "", cells_to_html(notebook, known))


def cells_to_html(notebook: nbformat.NotebookNode, known: set[str]) -> str:
    """Return the notebook's cells as HTML, with nbconvert, and made fit for all readers.

    known: stems of the notebooks that are pages; links to others stay as they are.
    """
    exporter = HTMLExporter(template_name="basic", exclude_input_prompt=True,
                            exclude_output_prompt=True, exclude_anchor_links=True)  # fmt: skip
    soup = BeautifulSoup(exporter.from_notebook_node(notebook)[0], "html.parser")
    _mend_tables(soup)
    _mend_regions(soup)
    for link in soup.find_all("a", href=_LINK):
        stem, place = _LINK.match(link["href"]).groups()
        if stem in known | {"GLOSSARY"}:
            link["href"] = f"{stem.lower()}.html{place or ''}"
    _fold_imports(soup)
    _remove_what_acts(soup)
    for caption in soup.find_all("em", string=_CAPTION):
        caption["aria-hidden"] = "true"  # the picture above says the same to a screen reader
    return str(soup)


def _fold_imports(soup) -> None:
    """Close the cell that imports mnistkit: it is long, and says little to readers."""
    for code in soup.select(".highlight"):
        if _IMPORTS.search(code.get_text()):
            details, summary = soup.new_tag("details"), soup.new_tag("summary")
            summary.string = "What this notebook imports"
            code.wrap(details)
            details.insert(0, summary)


def _remove_what_acts(soup) -> None:
    """Take out all that a notebook of somebody else's could make this page do."""
    for tag in soup.find_all(_ACTIVE):
        tag.decompose()
    for tag in soup.find_all(True):
        for name, value in list(tag.attrs.items()):
            address = re.sub(r"[\s\x00-\x1f]", "", str(value)).lower()
            if name.startswith("on") or address.startswith(_ACTING_ADDRESSES):
                del tag[name]


def _mend_tables(soup) -> None:
    """Say which cells are headers, and of what; an empty header is no header."""
    for table in soup.find_all("table"):
        del table["border"]
        for cell in table.find_all("th"):
            if not cell.get_text(strip=True):
                cell.name = "td"
            else:
                cell["scope"] = "col" if cell.find_parent("thead") else "row"
        for style in table.find_all(style=True):
            del style["style"]
        _align(table)


def _align(table) -> None:
    """Mark the columns that hold numbers: these stand to the right, words to the left."""
    rows = [row.find_all(["td", "th"]) for row in table.find_all("tr")]
    body = [row for row in rows if row and row[0].find_parent("tbody")]
    for place in range(max(map(len, rows), default=0)):
        cells = [row[place].get_text(strip=True) for row in body if place < len(row)]
        if cells and all(_NUMBER.fullmatch(text) for text in cells):
            for row in rows:
                if place < len(row):
                    row[place]["class"] = "number"


def _mend_regions(soup) -> None:
    """Let keys scroll what is wider than the page."""
    for number, wide in enumerate(soup.find_all(["pre", "table"]), 1):
        words = "code or its output" if wide.name == "pre" else "table"
        box = soup.new_tag("div", attrs={"class": "wide", "tabindex": "0", "role": "region",
                                         "aria-label": f"{words}, {number}"})  # fmt: skip
        wide.wrap(box)


def _render(template: str, **values: object) -> str:
    rooms = Environment(loader=FileSystemLoader(_HERE), autoescape=True, trim_blocks=True)
    style = (_HERE / "book.css").read_text(encoding="utf-8")
    return rooms.get_template("book.html.j2").render(kind=template, style=style, **values)
