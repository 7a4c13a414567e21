"""Digit classification with PyTorch: the library that the notebooks of the series import."""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "checkpoints",
        "data",
        "errors",
        "experiments",
        "metrics",
        "models",
        "notebooks",
        "plotting",
        "prediction",
        "records",
        "sources",
        "storage",
        "training",
        "transfer",
    ],
    submod_attrs={
        "checkpoints": ["load_checkpoint", "load_model", "load_state", "save_checkpoint",
                        "save_model", "save_state"],
        "data": ["CLASS_NAMES", "MNIST_MEAN", "MNIST_STD", "Digits", "Split", "find_source",
                 "load_digits", "make_loader", "normalize", "to_float", "unnormalize"],
        "experiments": ["Recipe", "paired_difference", "run_experiment", "run_grid", "summarize",
                        "train_recipe"],
        "metrics": ["accuracy", "confusion_matrix", "interval_of_mean", "most_confused",
                    "per_class_accuracy"],
        "models": ["CNN", "MLP", "MODELS", "MNISTModelV0", "MNISTModelV1", "MNISTModelV2",
                   "build_model", "count_parameters", "layer_table", "model_table"],
        "plotting": ["alt_text", "plot_class_distribution", "plot_comparison",
                     "plot_confusion_matrix", "plot_histogram", "plot_history", "plot_image",
                     "plot_images", "plot_mistakes", "plot_predictions", "plot_sweep",
                     "show_figure", "use_style"],
        "prediction": ["make_predictions"],
        "records": ["record"],
        "storage": ["output_folder"],
        "training": ["evaluate", "fit", "train_one_epoch"],
        "transfer": ["extract_features", "freeze", "load_mobilenet", "preprocess"],
    },
)  # fmt: skip
