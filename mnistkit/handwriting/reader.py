"""The reader that comes with mnistkit: one network, trained beforehand, that reads at once.

`study.reader` trains, measures and publishes it; its card says how good it is.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from torch import nn

from mnistkit.checkpoints import load_state
from mnistkit.errors import CheckpointError
from mnistkit.models import build_model

WEIGHTS = Path(__file__).with_name("reader.pt")
CARD = Path(__file__).with_name("reader.json")
_RESTORE = "install mnistkit anew, or restore both files"


def load_reader() -> nn.Module:
    """Return the network that comes with mnistkit, in eval mode; no data, no training.

    It takes float images in [0, 1], N x 1 x 28 x 28, and gives logits, N x 10. The most
    probable class has to reach its attribute `least_probability`; otherwise the picture shows
    no digit that it knows: see `predict.ImagePrediction`.

    MNIST's test digits are new to it. The sample's are not: they are from MNIST's training
    digits, of which it has seen nearly all.

    Raises CheckpointError if its weights or its card are damaged.
    """
    card = read_card()
    model = build_model(card["model"], seed=0, **card["options"])
    load_state(model, WEIGHTS)
    if hashlib.sha256(WEIGHTS.read_bytes()).hexdigest() != card["sha256"]:
        raise _damaged(WEIGHTS, "its SHA-256 is not what the card says")
    model.least_probability = card["least_probability"]
    return model.eval()


def read_card() -> dict:
    """What made the reader, and how good it is: plain JSON.

    model, options, recipe (its digest), seed, sha256 of the weights, least_probability;
    runs: a dict for each run of the recipe, the published one first.
    Raises CheckpointError if the card cannot be read.
    """
    try:
        return json.loads(CARD.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(CARD, f"it cannot be read ({error})") from error


def _damaged(path: Path, found: str) -> CheckpointError:
    return CheckpointError(f"{path.name} is damaged: {found}", where=path.parent, do=_RESTORE)
