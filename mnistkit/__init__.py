"""Digit classification with PyTorch: the library that the notebooks of the series import.

What a notebook uses, and where to read it, each module from its top:

    01_data                data, sources, plotting
    02_linear_vs_relu      models, training, epoch, stacked, metrics
    03_mlp_tuning_qmnist   recipes, experiments, sweeps, effects
    04_cnn                 models, augmentation, checkpoints, trained, draw, photos
    05_mobilenet_transfer  transfer, extractor
    06_scoreboard          claims, verdicts, study, archive, scoreboard, beyond
    07_trust               calibration, corruptions, disputed

`mnistkit.` and Tab lists the public names; each is loaded when it is first asked for.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
