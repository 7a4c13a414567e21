"""Every field of a recipe, with another value than its default."""

from __future__ import annotations

from functools import partial

from torch.optim.lr_scheduler import StepLR

from mnistkit.augmentation import random_affine, random_non_digits

FALLING = partial(StepLR, step_size=1, gamma=0.9)
MOVED = partial(random_affine, degrees=20, scale=0.1, shear=0.1, shift=3)
SPOILED = partial(random_non_digits, share=0.5)

# By field of `Recipe`: what else it takes for the field to count, and another value of it.
CHANGES = {
    "model": ({}, "V1"),
    "options": ({}, {"hidden_units": 7}),
    "epochs": ({}, 3),
    "batch_size": ({}, 32),
    "optimizer": ({}, "sgd"),
    "learning_rate": ({}, 0.02),
    "weight_decay": ({}, 0.3),
    "loss": ({}, "nll"),
    "scheduler": ({}, FALLING),
    "normalized": ({}, True),
    "scheduler_step": ({"scheduler": FALLING}, "batch"),
    "precision": ({}, "bfloat16"),
    "augment": ({}, MOVED),
    "outliers": ({}, SPOILED),
    "label_smoothing": ({}, 0.2),
    "averaging": ({}, 0.8),
}
