"""Digit classification with PyTorch: the library that the notebooks of the series import.

What a notebook uses, and where to read it, each module from its top:

    01_data                data, utils/sources, pictures, charts
    02_linear_vs_relu      models, training, metrics, experiments/stack
    03_mlp_tuning_qmnist   experiments/recipe, experiments/experiment, experiments/anova
    04_cnn                 models, augmentation, checkpoints, handwriting/draw, handwriting/photo
    05_mobilenet_transfer  transfer, prediction
    06_scoreboard          study/plan, study/claims, study/rules, study/table, study/report
    07_trust               trust/calibration, trust/corruptions, trust/disputed

`mnistkit.` and Tab lists the public names; each is loaded when it is first asked for.
"""

import lazy_loader

from mnistkit.errors import suggestion

__version__ = "0.1.0"

_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    if name.startswith("_") or name in __all__:
        return _load(name)
    raise AttributeError(f"mnistkit has no {name!r}{suggestion(name, __all__)}")
