"""Charts of sweeps say in words what they show, and draw where they are told."""

from __future__ import annotations

import pandas as pd
import pytest

from mnistkit.experiments import plots
from tests.figures import figure_tests

pytestmark = pytest.mark.usefixtures("close_figures")

SWEEP = pd.DataFrame(
    {"x": [0.1, 0.01], "line": ["SGD", "SGD"], "mean": [0.97, 0.9], "low": [0.96, 0.89],
     "high": [0.98, 0.91]}
)  # fmt: skip

FIGURES = {
    "sweep": (
        lambda ax=None: plots.plot_sweep(SWEEP, xlabel="rate", log=True, ax=ax),
        "rate: SGD best at 0.1 with 97.00 %.",
    ),
    "interaction": (
        lambda ax=None: plots.plot_interaction(
            SWEEP.assign(x=["tanh", "relu"]), xlabel="activation", line="optimizer", ax=ax
        ),
        "activation, mean validation accuracy in %: optimizer SGD: 97.00 at tanh, 90.00 at relu.",
    ),
}  # fmt: skip


(
    test_figure_says_what_it_shows,
    test_figure_is_drawn_where_it_is_told,
    test_every_plot_function_is_among_the_figures,
) = figure_tests(plots, FIGURES)
