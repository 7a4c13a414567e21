"""A figure is shown with its words, kept in their file, and closed."""

from __future__ import annotations

import pytest
from matplotlib import pyplot as plt
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
