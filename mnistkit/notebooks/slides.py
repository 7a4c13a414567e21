"""The lecture edition: of each notebook the cells that are marked for it, as slides.

A cell is marked as JupyterLab and nbconvert know it, by `slideshow.slide_type` in its metadata:
"slide" opens a subject and "subslide" a further slide of it, "-" goes on with the slide before,
"fragment" does so at the next key, "notes" are the speaker's, "skip" (or no mark) is left out.

Cells of text are longer than a slide. So beside `slide_type` may stand which sentences are
shown, as [first, last], counted from 1 or, with a minus, from the end; an item of a list or a
table counts as one. `text` makes the slide, under the cell's last heading. `answer` comes onto
the slide before, as a fragment; where the cell begins with a heading it is a slide of its own,
before the other. The rest is for the speaker. A code cell that draws shows what it drew, any
other one its code, too; `show`, "code", "output", "picture" or "both", has it otherwise.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, pairwise
from os import PathLike
from pathlib import Path

from mnistkit.errors import NotebookError, needs_package, unknown_name

with needs_package("the slides", "lab"):
    import nbformat
    from bs4 import BeautifulSoup
    from jinja2 import Environment, FileSystemLoader
    from nbformat import NotebookNode

from mnistkit.notebooks.book import cells_to_html
from mnistkit.notebooks.execute import find_notebooks
from mnistkit.notebooks.normalize import check_finished, read_notebook
from mnistkit.notebooks.reveal import Reveal, load_reveal
from mnistkit.utils.storage import check_own, output_folder, write_text

TYPES = ("slide", "subslide", "fragment", "-", "skip", "notes")
SHOWN = ("code", "output", "picture", "both")
LINES = 18  # of code or printed text that fit on a slide
WORDS = 65  # of a text; what is longer goes on to further slides
_NEW = ("slide", "subslide")
_WIDE = 1.9  # width by height from which a picture has its answer below, not beside it
_TALL = 7  # rows from which a table has its answer beside it
_ZOOM = 2.2  # how many times its own size a picture may be drawn
_HERE = Path(__file__).parent
_WHOLE = re.compile(r"^(#|\||[-*] |\d+\. |```|<)", re.MULTILINE)  # what has no sentences
_LIST = re.compile(r"(?:[-*]|\d+\.) ")
_ITEM = re.compile(r"\n(?=(?:[-*]|\d+\.) )")
_SENTENCE_END = re.compile(r"(?<=[.?!])\s+(?=\W*[A-Z])|(?<=[.?!][)*\"])\s+(?=\W*[A-Z])")


@dataclass
class Slide:
    """One slide, part by part, as HTML.

    opens: whether it opens a subject. where: the heading before it, shown where it has none.
    beside: how parts are set, empty where they are below one another.
    """

    opens: bool
    where: str
    heading: str = ""
    parts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    beside: str = ""


@dataclass(frozen=True)
class Deck:
    """One notebook as slides, in stacks: a subject's slides are below one another."""

    stem: str
    title: str
    slides: list[Slide]

    @property
    def stacks(self) -> list[list[Slide]]:
        """The slides by subject."""
        stacks: list[list[Slide]] = []
        for slide in self.slides:
            if slide.opens or not stacks:
                stacks.append([])
            stacks[-1].append(slide)
        return stacks


@dataclass(frozen=True)
class _Piece:
    """What is shown of a cell, and how it comes: on a new slide, as a fragment, or as notes."""

    kind: str
    cell: NotebookNode
    heading: str = ""


def write_slides(
    folder: str | Path,
    notebooks: Sequence[Path] = (),
    reveal: str | PathLike | None = None,
) -> Path:
    """Write the index and a deck for each notebook; return the index's path.

    notebooks: executed ones, by default the series' own. reveal: see `load_reveal`. Each deck
    holds all that it shows. Raises NotebookError for a notebook without slides, and
    MissingPackageError where reveal.js cannot be had.
    """
    decks = [read_deck(path) for path in notebooks or find_notebooks()]
    player = load_reveal(reveal)
    folder = output_folder(folder)
    for stem in ["index", *(deck.stem for deck in decks)]:
        check_own(folder / f"{stem}.html", "mnistkit")
    for deck in decks:
        write_text(folder / f"{deck.stem}.html", _render(deck.title, decks, player, deck))
    write_text(folder / "index.html", _render("mnistkit", decks))
    return folder / "index.html"


def read_deck(path: Path) -> Deck:
    """Make slides of the marked cells. Raises NotebookError where none is, or not executed."""
    notebook = read_notebook(path)
    check_finished(notebook, path)
    if not any(cell.get("outputs") for cell in notebook.cells):
        raise NotebookError(f"{path.name} has not been executed, so there is nothing to show",
                            where=path.parent, do="execute it first: `mnistkit run`")  # fmt: skip
    pieces = [piece for cell in notebook.cells for piece in _pieces(cell)]
    if not pieces or pieces[0].kind != "slide":
        raise NotebookError(
            f"the first marked cell of {path.name} opens no slide",
            where=path.parent,
            do='set its slide type to "slide": in JupyterLab, Property Inspector, Common Tools',
        )
    title = notebook.cells[0].source.splitlines()[0].lstrip("# ")
    return Deck(path.stem, title, _slides(pieces, title))


def sentences(text: str) -> list[str]:
    """Split Markdown into sentences, and what has none (a heading, an item, a table), in order."""
    found = []
    for block in re.split(r"\n\s*\n", text.strip()):
        for part in _ITEM.split(block):
            found += [part] if _WHOLE.search(part) else _SENTENCE_END.split(part)
    return found


# --- from cells to pieces -------------------------------------------------------------------


def _pieces(cell: NotebookNode) -> Iterator[_Piece]:
    marks = cell.metadata.get("slideshow", {})
    kind = marks.get("slide_type", "skip")
    if kind not in TYPES:
        raise unknown_name("slide type", kind, TYPES)
    if kind == "skip":
        return
    if cell.cell_type == "code":
        yield _Piece(kind, _shown_code(cell, marks.get("show")))
    else:
        yield from _shown_text(cell.source, kind, marks)


def _shown_text(text: str, kind: str, marks: Mapping) -> Iterator[_Piece]:
    """Cut a cell of text into what answers, what makes a slide, and the speaker's part."""
    headings = [this for this in sentences(text) if this.startswith("#")]
    said = [this for this in sentences(text) if not this.startswith("#")]
    answer, shown = _cut_out(said, marks.get("answer")), _cut_out(said, marks.get("text"))
    if not answer and not shown and kind != "notes":
        shown = said
    rest = [this for this in said if this not in answer and this not in shown]
    if answer and text.lstrip().startswith("#"):
        yield from _texts(kind, answer, headings[0])
        kind, headings = "subslide", headings[1:]
    elif answer:
        yield from _texts("fragment", answer)
    if shown or (headings and kind in _NEW and not answer):
        yield from _texts(kind, shown, "".join(headings[-1:]) if kind in _NEW else "")
    if rest:
        yield _Piece("notes", nbformat.v4.new_markdown_cell(_join(rest)))


def _cut_out(said: Sequence[str], span: Sequence[int] | None) -> Sequence[str]:
    if span is None:
        return []
    if len(span) != 2:
        raise NotebookError(f"a mark is {span}, expected [first, last], such as [1, 2]")
    first, last = (place - 1 if place > 0 else len(said) + place for place in span)
    return said[max(first, 0) : last + 1]


def _texts(kind: str, said: Sequence[str], heading: str = "") -> Iterator[_Piece]:
    """Make pieces of some sentences, none of more than `WORDS` unless one sentence is."""
    groups: list[list[str]] = [[]]
    for this in said:
        words = sum(len(other.split()) for other in groups[-1] if not other.startswith("|"))
        if groups[-1] and not this.startswith("|") and words + len(this.split()) > WORDS:
            groups.append([])
        groups[-1].append(this)
    for number, group in enumerate(groups):
        source = "\n\n".join(filter(None, ["" if number else heading, _join(group)]))
        yield _Piece("subslide" if number and kind in _NEW else kind,
                     nbformat.v4.new_markdown_cell(source), "" if number else heading)  # fmt: skip


def _join(said: Sequence[str]) -> str:
    """Make Markdown of sentences again: items on lines of their own, a table after an empty one."""
    text = ""
    for before, this in pairwise(["", *said]):
        item, after_item = _LIST.match(this), _LIST.match(before)
        apart = item or after_item or this.startswith("|") or before.startswith("|")
        gap = "\n" if item and after_item else "\n\n" if apart else " "
        text += gap + this
    return text.strip()


def _shown_code(cell: NotebookNode, show: str | None) -> NotebookNode:
    draws = any(map(_is_picture, cell.outputs))
    show = show or ("output" if draws else "both")
    if show not in SHOWN:
        raise unknown_name("part of a cell", show, SHOWN)
    # A figure's description follows it for those who cannot see it: on a slide it is the alt text.
    outputs = [output for output in cell.outputs if "text/markdown" not in output.get("data", {})]
    if show == "picture":
        outputs = [output for output in outputs if _is_picture(output)]
    shown = nbformat.from_dict(dict(cell))
    shown.source = _cut(cell.source, "# ...") if show in ("code", "both") else ""
    shown.outputs = [] if show == "code" else [_shown_output(output) for output in outputs]
    return shown


def _is_picture(output: NotebookNode) -> bool:
    return "image/png" in output.get("data", {})


def _shown_output(output: NotebookNode) -> NotebookNode:
    if output.output_type == "stream":
        output = nbformat.from_dict({**output, "text": _narrowed(_cut(output.text, "..."))})
    return output


def _narrowed(text: str) -> str:
    """Leave two of the spaces where all lines have more of them, one below another."""
    lines = text.splitlines()
    width = max(map(len, lines), default=0)
    columns = [
        "".join(column) for column in zip(*(line.ljust(width) for line in lines), strict=True)
    ]
    kept = [column for place, column in enumerate(columns)
            if column.strip() or "".join(columns[max(place - 2, 0) : place]).strip()]  # fmt: skip
    return "\n".join("".join(row).rstrip() for row in zip(*kept, strict=True)) + "\n"


def _cut(text: str, mark: str) -> str:
    lines = text.splitlines()
    return text if len(lines) <= LINES else "\n".join([*lines[: LINES - 1], mark])


# --- from pieces to slides ------------------------------------------------------------------


def _slides(pieces: Sequence[_Piece], title: str) -> list[Slide]:
    slides: list[Slide] = []
    where = title
    for piece, html in zip(pieces, _html(pieces), strict=True):
        if piece.kind in _NEW:
            heading = html.find(["h1", "h2", "h3"])
            slides.append(
                Slide(piece.kind == "slide", where, str(heading.extract() if heading else ""))
            )
            where = piece.heading.lstrip("# ").replace("`", "") or where
        if piece.kind == "notes":
            slides[-1].notes.append(html.decode_contents())
        else:
            _add(slides[-1], html, fragment=piece.kind == "fragment")
    return slides


def _add(slide: Slide, html, *, fragment: bool) -> None:
    """Put a piece on a slide: its pictures, then its words, tables and code."""
    pictures = [picture.extract() for picture in html.find_all("img")]
    for picture in pictures:
        width, height = _size(picture["src"])
        picture["style"] = f"max-width: {_ZOOM * width}px; max-height: {_ZOOM * height}px"
    if len(pictures) == 1 and width < _WIDE * height:
        slide.beside = "beside"
    if pictures:
        slide.parts.append(_part("picture", "".join(map(str, pictures)), fragment))
    if not html.get_text(strip=True):
        return
    tall = _is_tall(html)
    slide.beside = slide.beside or ("beside narrow" if tall else "")
    slide.parts.append(_part("table" if tall else "words", html.decode_contents(), fragment))


def _part(kind: str, html: str, fragment: bool) -> str:
    return f'<div class="{kind}{" fragment" if fragment else ""}">{html}</div>'


def _is_tall(html) -> bool:
    """Whether a table or what was printed is so tall that its answer belongs beside it."""
    printed = [text.get_text().count("\n") for text in html.select(".output pre")]
    return max([len(html.select("tbody tr")), *printed]) >= _TALL


def _size(source: str) -> tuple[int, int]:
    """Width and height of a picture, from the head of its PNG."""
    head = base64.b64decode(source.partition("base64,")[2][:44])
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def _html(pieces: Sequence[_Piece]) -> list:
    """Render all pieces in one go, and take them apart again."""
    for number, piece in zip(count(), pieces):
        piece.cell["id"] = f"piece-{number}"
    notebook = nbformat.v4.new_notebook(cells=[piece.cell for piece in pieces])
    soup = BeautifulSoup(cells_to_html(notebook, set()), "html.parser")
    for link in soup.find_all("a"):
        if not link["href"].startswith("https://"):  # to a page that is no deck
            link.unwrap()
    for empty in soup.select("div.input"):
        if not empty.get_text(strip=True):
            empty.decompose()
    for box in soup.select(".wide"):  # on a slide nothing scrolls
        box.attrs = {"class": "wide"}
    return [soup.find(id=f"cell-id=piece-{number}") for number in range(len(pieces))]


def _render(
    title: str, decks: Sequence[Deck], reveal: Reveal | None = None, deck: Deck | None = None
) -> str:
    rooms = Environment(loader=FileSystemLoader(_HERE), autoescape=True, trim_blocks=True)
    rooms.filters["address"] = _address
    styles = [(_HERE / name).read_text(encoding="utf-8") for name in ("book.css", "slides.css")]
    return rooms.get_template("slides.html.j2").render(
        title=title, decks=decks, deck=deck, reveal=reveal, styles=styles
    )


def _address(script: str) -> str:
    """A script as its own address: so no mark within it can end the element that holds it."""
    return "data:text/javascript;base64," + base64.b64encode(script.encode()).decode()
