"""Charts of reliability and of robustness say what they show, and draw where they are told."""

from __future__ import annotations

import pandas as pd
import pytest

from mnistkit.trust import plots
from tests.figures import figure_tests

pytestmark = pytest.mark.usefixtures("close_figures")

BELIEFS = pd.DataFrame(
    {"confidence": [0.5, 0.9], "accuracy": [0.6, 0.8], "low": [0.5, 0.7], "high": [0.7, 0.9],
     "count": [25, 75]}
)  # fmt: skip
HARDER = pd.DataFrame({"V0": [0.9, 0.2], "V2": [0.98, 0.5]}, index=[0, 2])
SMALLER = pd.DataFrame({"V2": [0.98, 0.7]}, index=[1, 0.5])

FIGURES = {
    "reliability": (
        lambda ax=None: plots.plot_reliability({"V2": BELIEFS}, ax=ax),
        "Reliability: V2 is on average 5.00 points more sure than right.",
    ),
    "corruption": (
        lambda ax=None: plots.plot_corruption(HARDER, xlabel="pixels", title="blur", ax=ax),
        "blur of 2: best V2 with 50 %, worst V0 with 20 %.",
    ),
    "corruptions": (
        lambda ax=None: plots.plot_corruptions(
            {"blur": HARDER, "size": SMALLER}, {"blur": "pixels", "size": "times"}, ax=ax
        ),
        "blur of 2: best V2 with 50 %, worst V0 with 20 %. "
        "size of 0.5: best V2 with 70 %, worst V2 with 70 %.",
    ),
}  # fmt: skip


(
    test_figure_says_what_it_shows,
    test_figure_is_drawn_where_it_is_told,
    test_every_plot_function_is_among_the_figures,
) = figure_tests(plots, FIGURES)
