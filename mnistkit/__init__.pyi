# The public names, for editors, type checkers and mnistkit/__init__.py, which loads each
# module when one of its names is first asked for.

from . import errors as errors, exercises as exercises
from .augmentation import (
    affine as affine,
    random_affine as random_affine,
    random_non_digits as random_non_digits,
    random_photo as random_photo,
)
from .trust.calibration import calibration_table as calibration_table, reliability as reliability
from .charts import (
    plot_class_distribution as plot_class_distribution,
    plot_comparison as plot_comparison,
    plot_confusion_matrix as plot_confusion_matrix,
    plot_curves as plot_curves,
    plot_histogram as plot_histogram,
    plot_history as plot_history,
    plot_intervals as plot_intervals,
)
from .checkpoints import (
    load_checkpoint as load_checkpoint,
    load_model as load_model,
    load_state as load_state,
    save_checkpoint as save_checkpoint,
    save_model as save_model,
    save_state as save_state,
)
from .trust.corruptions import CORRUPTIONS as CORRUPTIONS, corrupt as corrupt
from .data import (
    CLASS_NAMES as CLASS_NAMES,
    Digits as Digits,
    MNIST_MEAN as MNIST_MEAN,
    MNIST_STD as MNIST_STD,
    Split as Split,
    find_source as find_source,
    load_digits as load_digits,
    make_loader as make_loader,
    normalize as normalize,
    to_float as to_float,
    unnormalize as unnormalize,
)
from .trust.disputed import (
    DISPUTED_LABELS as DISPUTED_LABELS,
    split_off_disputed as split_off_disputed,
)
from .notebooks.diagrams.learning import (
    draw_activations as draw_activations,
    draw_descent as draw_descent,
    draw_softmax as draw_softmax,
    draw_splits as draw_splits,
)
from .notebooks.diagrams.networks import (
    draw_convolution as draw_convolution,
    draw_frozen as draw_frozen,
    draw_network as draw_network,
)
from .handwriting.draw import draw_digit as draw_digit
from .experiments.recipe import Recipe as Recipe
from .experiments.run import train_recipe as train_recipe
from .experiments.anova import importance as importance, interaction as interaction
from .experiments.experiment import (
    paired_difference as paired_difference,
    run_experiment as run_experiment,
    run_grid as run_grid,
    summarize as summarize,
)
from .metrics import (
    accuracy as accuracy,
    confusion_matrix as confusion_matrix,
    interval_of_mean as interval_of_mean,
    mcnemar as mcnemar,
    most_confused as most_confused,
    per_class_accuracy as per_class_accuracy,
    prediction_interval as prediction_interval,
)
from .models import (
    CNN as CNN,
    MLP as MLP,
    MNISTModelV0 as MNISTModelV0,
    MNISTModelV1 as MNISTModelV1,
    MNISTModelV2 as MNISTModelV2,
    MODELS as MODELS,
    build_model as build_model,
    count_operations as count_operations,
    count_parameters as count_parameters,
    layer_table as layer_table,
    model_table as model_table,
)
from .handwriting.photo import find_digit as find_digit
from .pictures import (
    plot_image as plot_image,
    plot_images as plot_images,
    plot_mistakes as plot_mistakes,
    plot_predictions as plot_predictions,
)
from .utils.figures import (
    alt_text as alt_text,
    show_figure as show_figure,
    use_style as use_style,
)
from .prediction import make_predictions as make_predictions
from .handwriting.predict import predict_image as predict_image
from .handwriting.reader import load_reader as load_reader
from .experiments.plots import (
    draw_class_maps as draw_class_maps,
    plot_heatmap as plot_heatmap,
    plot_interaction as plot_interaction,
    plot_sweep as plot_sweep,
)
from .study.plots import (
    draw_published as draw_published,
    plot_tradeoff as plot_tradeoff,
)
from .trust.plots import (
    plot_corruptions as plot_corruptions,
    plot_reliability as plot_reliability,
)
from .notebooks.records import record as record
from .study.report import print_verdicts as print_verdicts
from .experiments.stack import fit_stack as fit_stack
from .utils.storage import models_folder as models_folder, output_folder as output_folder
from .experiments.sweep import combine as combine, read_sweep as read_sweep
from .study.trained import trained_model as trained_model, trained_models as trained_models
from .training import (
    History as History,
    LOSSES as LOSSES,
    OPTIMIZERS as OPTIMIZERS,
    evaluate as evaluate,
    fit as fit,
    train_one_epoch as train_one_epoch,
)
from .transfer import (
    extract_features as extract_features,
    freeze as freeze,
    load_mobilenet as load_mobilenet,
    preprocess as preprocess,
)

__version__: str
