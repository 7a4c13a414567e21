"""MobileNetV2 (Sandler et al., 2018): ImageNet weights, features once, a new head.

A frozen extractor gives the same features for the same image in every epoch, so they
are computed once and kept; only the head, a linear layer, is trained on them.
"""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from mnistkit.augmentation import random_strokes
from mnistkit.data import Digits, Split
from mnistkit.errors import StorageError, WeightsError
from mnistkit.models import FEATURES, mobilenet
from mnistkit.utils.devices import choose_device, supports_bfloat16, workers_of_one_thread
from mnistkit.utils.fusion import fold_batch_norm, fuse_relu6
from mnistkit.utils.progress import progress_bar
from mnistkit.utils.sources import DOWNLOAD_TIMEOUT, socket_timeout
from mnistkit.utils.storage import at_home, write_atomically
from mnistkit.utils.validation import check_module, check_tensor, check_whole, describe

RANDOM = "random weights"
_TO_SETTLE = 16  # pictures, for the statistics of random weights
IMAGE_SIZE = 224
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# First digits of the SHA-256 of files that are known, so that their numbers can say so.
KNOWN_WEIGHTS = {
    "b0353104": "ImageNet weights, torchvision IMAGENET1K_V1",
    "7ebf99e0": "ImageNet weights, torchvision IMAGENET1K_V2",
    "1b8ca069": "ImageNet weights, from an int8 model",
}


def load_mobilenet(
    weights: str | os.PathLike = "auto", *, classes: int = 10, seed: int = 0
) -> tuple[nn.Module, str]:
    """Build MobileNetV2 with pretrained features and a new head, and say whose weights.

    Args:
        weights: a file with a state dict of torchvision's `mobilenet_v2`; "random"; or
            "auto": what `MNISTKIT_MOBILENET` says (a file or "random"), else torchvision's
            cache or download, else random weights, and a line that says so.
        classes: outputs of the new head.
        seed: of the head, and of random features.

    Returns the model, nothing frozen, and the name of its weights. Raises WeightsError
    for a file that is missing, damaged or of another architecture.
    """
    check_whole("classes", classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(check_whole("seed", seed, least=0))
        model = mobilenet(classes)
    wanted = os.environ.get("MNISTKIT_MOBILENET") or "auto" if weights == "auto" else weights
    if str(wanted) == "random":
        return _settled(model, seed), RANDOM
    state, name = _torchvision_weights() if wanted == "auto" else _weights_from(Path(wanted))
    if state is None:
        return _settled(model, seed), RANDOM
    _load_features(model, state, name)
    return model, name


def _settled(model: nn.Module, seed: int) -> nn.Module:
    """Set the statistics of batch norms by a pass of drawn pictures, as training would.

    With those of a new network, features of random weights shrink to nothing.
    """
    norms = [layer for layer in model.features.modules() if isinstance(layer, nn.BatchNorm2d)]
    before = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = None  # an average over all batches, of which there is one
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        images = (255 * random_strokes(_TO_SETTLE)).to(torch.uint8).squeeze(1)
        model.features(preprocess(images, size=96))
    for layer, momentum in zip(norms, before, strict=True):
        layer.momentum = momentum
    return model


def freeze(module: nn.Module) -> nn.Module:
    """Exclude all parameters of a module from training; returns it."""
    return check_module(module).requires_grad_(False)


def extract_features(
    model: nn.Module,
    images: Tensor,
    *,
    batch_size: int = 6,
    bfloat16: bool | None = None,
    folder: str | os.PathLike | None = None,
    progress: bool = True,
) -> Tensor:
    """Pass images through MobileNetV2's frozen features once: what its head would see.

    Args:
        model: as `load_mobilenet` gives; it is not changed.
        images: uint8, N x 28 x 28; see `preprocess`.
        batch_size: images at a time on each thread: 4 to 8 fit in the processor's cache and were
            fastest.
        bfloat16: compute in bfloat16; None to do so where the machine has it.
        folder: keep the features there, and read them from there the next time, if they are
            what was written; without room for them, a line says so.
        progress: show a bar.

    Returns float16, N x 1280, after global average pooling.
    """
    if not hasattr(model, "features"):
        raise ValueError(f"{type(model).__name__} has no features; give the network, the first of "
                         "the two that load_mobilenet gives")  # fmt: skip
    _check_width(model)
    check_tensor("images are", images)
    check_whole("batch_size", batch_size)
    bfloat16 = _choose_bfloat16(bfloat16)
    path = folder and features_path(model, images, folder, bfloat16=bfloat16)
    if path and (kept := _read_features(path, len(images))) is not None:
        return kept
    extractor = build_extractor(model.features, bfloat16)
    features = _compute_features(extractor, images, batch_size, progress)
    if path:
        _keep_features(features, path)
    return features


def _check_width(model: nn.Module) -> None:
    """Raise ValueError for a network whose features are not as many as MobileNetV2's."""
    maps = [layer for layer in model.features.modules() if isinstance(layer, nn.Conv2d)]
    if not maps or maps[-1].out_channels != FEATURES or maps[0].in_channels != 3:
        raise ValueError(f"{type(model).__name__} does not give {FEATURES} features of colour "
                         "pictures, as what load_mobilenet gives does")  # fmt: skip


def _choose_bfloat16(asked: bool | None) -> bool:
    return supports_bfloat16(choose_device()) if asked is None else asked


def _compute_features(
    extractor: nn.Module, images: Tensor, batch_size: int, progress: bool
) -> Tensor:
    device = choose_device()
    features = torch.empty(len(images), FEATURES, dtype=torch.float16)

    @torch.inference_mode()
    def compute(start: int) -> int:
        rows = extractor(images[start : start + batch_size].to(device))
        features[start : start + len(rows)] = rows.cpu()
        return len(rows)

    bar = progress_bar(len(images), "features", "image", shown=progress)
    with bar, workers_of_one_thread(device) as workers:
        for count in workers.map(compute, range(0, len(images), batch_size)):
            bar.update(count)
    return features


class FeatureSplit(Split):
    """Features in place of images: `images` is float16, N x 1280, as `extract_features` gives."""

    def dataset(self, *, normalized: bool = False) -> TensorDataset:
        """Serve (float32 features, label); features are never normalised as pixels are."""
        return TensorDataset(self.images.float(), self.labels)


def feature_digits(model: nn.Module, weights: str, digits: Digits, **options) -> Digits:
    """Digits as a head on the frozen network sees them, to train the recipe "MobileNetV2 head".

    weights: their name, as `load_mobilenet` gives it; it travels with the digits, so that no
    number is without it. options: as in `extract_features`.
    """
    named = name_features(digits, weights)
    splits = {
        part: FeatureSplit(extract_features(model, split.images, **options), split.labels)
        for part, split in (("train", digits.train), ("validation", digits.validation),
                            ("test", digits.test))
    }  # fmt: skip
    return replace(named, **splits)


def name_features(digits: Digits, weights: str) -> Digits:
    """The same digits, with the weights and the digest that their features have."""
    digest = hashlib.sha256(f"{digits.digest} {weights}".encode()).hexdigest()[:16]
    return replace(digits, weights=weights, known_digest=digest)


# --- features, fast ----------------------------------------------------------------------


def preprocess(images: Tensor, size: int = IMAGE_SIZE) -> Tensor:
    """Turn grey digits into what an ImageNet network expects.

    images: uint8, N x 28 x 28. Returns float32, N x 3 x size x size: resized bilinearly,
    the grey channel repeated, ImageNet's mean and deviation taken out per channel.
    """
    check_tensor("images are", images)
    if images.dtype != torch.uint8:
        raise ValueError(f"expected uint8 images (0-255), got {images.dtype}")
    if images.ndim != 3:
        raise ValueError(f"images are {describe(images)}, expected N x 28 x 28")
    grey = images.unsqueeze(1).float().div_(255)
    large = nn.functional.interpolate(grey, size=(size, size), mode="bilinear")
    mean, std = (
        torch.tensor(values, device=images.device).view(1, 3, 1, 1)
        for values in (IMAGENET_MEAN, IMAGENET_STD)
    )
    return (large - mean).div_(std)  # in place: a further copy takes longer


def build_extractor(features: nn.Module, bfloat16: bool) -> nn.Module:
    """Prepare MobileNetV2's features for inference, on the device that there is.

    Batch norm is folded into the convolutions, ReLU6 is applied by them, maps are laid out
    channels last and computed in bfloat16 if asked, and a batch is resized at once.

    features: as in torchvision's model; they are not changed. Returns a module that takes
    uint8 images, N x 28 x 28, and returns float16, N x 1280: the features after global
    average pooling.
    """
    device = choose_device()
    dtype = torch.bfloat16 if bfloat16 else torch.float32
    folded = fold_batch_norm(features)
    if device.type == "cpu" and torch.backends.mkldnn.is_available():
        folded = fuse_relu6(folded.to(dtype))
    return _Extractor(folded, device, dtype)


class _Extractor(nn.Module):
    """Frozen features, ready for inference: batches of bytes in, one row an image out."""

    def __init__(self, features: nn.Module, device: torch.device, dtype: torch.dtype):
        super().__init__()
        self.features = features.to(device, dtype, memory_format=torch.channels_last)
        self.device, self.dtype = device, dtype

    def forward(self, images: Tensor) -> Tensor:
        batch = preprocess(images).to(self.dtype)
        maps = self.features(batch.contiguous(memory_format=torch.channels_last))
        return maps.float().mean(dim=(2, 3)).half()


# --- weights ------------------------------------------------------------------------


def torchvision_weights_file() -> Path:
    """Where torchvision keeps its weights of MobileNetV2 once they are downloaded."""
    from torchvision.models import MobileNet_V2_Weights

    return Path(torch.hub.get_dir()) / "checkpoints" / Path(
        MobileNet_V2_Weights.IMAGENET1K_V1.url
    ).name  # fmt: skip


def _torchvision_weights() -> tuple[dict | None, str]:
    from torchvision.models import MobileNet_V2_Weights

    weights = MobileNet_V2_Weights.IMAGENET1K_V1
    try:
        with socket_timeout(DOWNLOAD_TIMEOUT):
            return weights.get_state_dict(check_hash=True), KNOWN_WEIGHTS["b0353104"]
    except (OSError, HTTPException, RuntimeError) as error:
        print(
            f"MobileNetV2's ImageNet weights (14 MB) could not be had: {error}\n"
            "  -> RANDOM WEIGHTS are used instead: nothing here was learned from ImageNet.\n"
            "  do   connect to the internet, or set MNISTKIT_MOBILENET to a file of weights",
            flush=True,
        )
        return None, RANDOM


def _weights_from(path: Path) -> tuple[dict, str]:
    path = at_home(path)
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise WeightsError(
            f"there is no file of weights {path.name}",
            where=path.parent,
            do="set MNISTKIT_MOBILENET to a file that exists, or unset it to download",
        ) from error
    except Exception as error:  # torch.load raises whatever the unpickler met
        raise WeightsError(
            f"{path.name} is no readable file of weights ({type(error).__name__})",
            where=path.parent,
            do="save one with torch.save(model.state_dict(), path)",
        ) from error
    names = [name for start, name in KNOWN_WEIGHTS.items() if digest.startswith(start)]
    return state, names[0] if names else f"weights from a file (SHA-256 {digest[:8]})"


def _load_features(model: nn.Module, state: dict, name: str) -> None:
    """Load all but the 1000-class head, which the new head replaces."""
    wanted = model.features.state_dict()
    try:
        found = {
            k.removeprefix("features."): v for k, v in state.items() if k.startswith("features.")
        }
        model.features.load_state_dict(found)
    except (AttributeError, RuntimeError) as error:
        raise WeightsError(
            f"{name}: these are not the weights of torchvision's mobilenet_v2, whose features "
            f"have {len(wanted)} tensors: {str(error).splitlines()[-1].strip()}",
            do="set MNISTKIT_MOBILENET to a state dict of mobilenet_v2",
        ) from error


# --- features on disk -----------------------------------------------------------------


def features_path(
    model: nn.Module,
    images: Tensor,
    folder: str | os.PathLike,
    *,
    bfloat16: bool | None = None,
) -> Path:
    """Name the file in which `extract_features` keeps these features: by all they depend on."""
    bfloat16 = _choose_bfloat16(bfloat16)
    digest = hashlib.sha256()
    for name, tensor in model.features.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    digest.update(images.contiguous().numpy().tobytes())
    digest.update(f"{tuple(images.shape)} {IMAGE_SIZE} bilinear bfloat16={bfloat16}".encode())
    return Path(folder) / f"mobilenet-v2-{digest.hexdigest()[:16]}.pt"


def _keep_features(features: Tensor, path: Path) -> None:
    """Write them with their SHA-256; a disk that is full costs the file and not the features."""
    content = io.BytesIO()  # torch.save into a file raises no OSError that would say why
    torch.save({"features": features, "sha256": _sha256(features)}, content)
    try:
        with write_atomically(path) as temporary:
            temporary.write_bytes(content.getbuffer())
    except StorageError as error:
        print(f"the features are not kept: {str(error).splitlines()[0]}")


def _read_features(path: Path, count: int) -> Tensor | None:
    """Read kept features; a file that is not what was written is computed again."""
    if not path.is_file():
        return None
    try:
        kept = torch.load(path, weights_only=True)
        features, claimed = kept["features"], kept["sha256"]
        if features.dtype != torch.float16 or features.shape != (count, FEATURES):
            raise ValueError("features of another kind")
        if _sha256(features) != claimed:
            raise ValueError("its SHA-256 does not fit")
    except Exception as error:  # torch.load raises whatever the unpickler met
        print(
            f"kept features {path.name} are damaged ({type(error).__name__}): computing them again"
        )
        return None
    return features


def _sha256(features: Tensor) -> str:
    return hashlib.sha256(features.numpy().tobytes()).hexdigest()
