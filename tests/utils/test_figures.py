"""A figure is shown with its words, kept in their file, and closed."""

from __future__ import annotations

import base64
import io

import pytest
from matplotlib import pyplot as plt
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from mnistkit import charts
from mnistkit.utils import figures
from tests.figures import MATRIX

pytestmark = pytest.mark.usefixtures("close_figures")


def test_show_figure_displays_words_saves_and_closes(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda thing, **_: shown.append(thing))
    monkeypatch.chdir(tmp_path)
    ax = charts.plot_confusion_matrix(MATRIX, title="V2")
    figures.show_figure(ax, "v2.png")
    _, metadata = shown[0]._repr_mimebundle_()
    assert metadata["image/png"]["alt"].startswith("V2: 950 of 967 right")
    assert "most confused: 4 as 9" in shown[1].data
    assert Image.open(tmp_path / "figures" / "v2.png").info["Description"].startswith("V2: 950")
    assert plt.get_fignums() == []


@pytest.mark.parametrize(("inches", "on_page"), [(5, 400), (12, 700)])
def test_a_figure_has_twice_the_pixels_and_fits_the_page(monkeypatch, inches, on_page):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda thing, **_: shown.append(thing))
    ax = figures.new_axes(None, (inches, 2))
    figures.show_figure(figures.describe(ax, "A line."))
    data, metadata = shown[0]._repr_mimebundle_()
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert metadata["image/png"]["width"] == pytest.approx(on_page, abs=40)
    assert metadata["image/png"]["width"] <= 700
    assert picture.width >= 2 * metadata["image/png"]["width"]


@pytest.mark.parametrize("look", ["default", "dark_background"])
def test_a_figure_stays_on_white_paper_wherever_it_is_shown(monkeypatch, look):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda thing, **_: shown.append(thing))
    with plt.style.context(look):
        ax = figures.new_axes(None)
        figures.show_figure(figures.describe(ax, "A line."))
    data, _ = shown[0]._repr_mimebundle_()
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGBA")
    assert picture.getpixel((0, 0)) == (255, 255, 255, 255)


def test_a_figure_goes_where_the_run_says(tmp_path, monkeypatch):
    monkeypatch.setenv("MNISTKIT_FIGURES", str(tmp_path / "out" / "figures"))
    figures.show_figure(figures.describe(figures.new_axes(None), "A line."), "01_line.png")
    assert [path.name for path in (tmp_path / "out" / "figures").iterdir()] == ["01_line.png"]


def test_in_a_notebook_plots_of_ones_own_show_as_ever(tmp_path):
    """Begun in the series' style, a kernel's backend would forget to show what is plotted."""
    plot = "import matplotlib.pyplot as plt\nplt.plot([1, 2])"
    begin = "import mnistkit as mk\ndigits = mk.load_digits('sample', limit=50)"
    draw = "mk.plot_images(digits.train.images[:2])"
    show = "mk.show_figure(mk.plot_images(digits.train.images[:2]))"
    cells = [new_code_cell(source) for source in (begin, show, plot, draw, draw, plot)]
    notebook = new_notebook(cells=cells)
    NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    for cell in notebook.cells[1:]:
        kinds = [kind for output in cell.outputs for kind in output.get("data", {})]
        assert kinds.count("image/png") == 1, cell.source
