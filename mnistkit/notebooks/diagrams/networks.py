"""Diagrams of what networks are made of: a convolution, layers as blocks, a frozen body."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor, nn

from mnistkit.models import INPUT_SHAPE, eval_mode, layer_table
from mnistkit.utils.figures import describe, in_style
from mnistkit.utils.validation import check_whole

WINDOWS = ("#0072B2", "#D55E00", "#009E73")
_SIDE = 3  # pixels of the kernel


def draw_convolution(
    image: Tensor, kernel: Tensor, places: Sequence[tuple[int, int]] | None = None
) -> Figure:
    """Draw how a kernel makes a picture of numbers: patch x kernel = one number.

    image: uint8, 28 x 28. kernel: 3 x 3 whole numbers. places: up to three (row, column), each
    the middle of a window that lies wholly in the image; by default where the kernel responds
    most, where least, and a spot of paper near the middle. One picture has all responses.
    Raises ValueError for an image of another type or a window that sticks out.
    """
    pixels = torch.as_tensor(image).squeeze()
    if pixels.dtype != torch.uint8 or pixels.ndim != 2:
        raise ValueError(f"expected one uint8 image of two axes, got {pixels.dtype}, "
                         f"{tuple(pixels.shape)}")  # fmt: skip
    kernel = torch.as_tensor(kernel)
    if kernel.shape != (3, 3):
        raise ValueError(f"the kernel is {tuple(kernel.shape)}, expected 3 x 3")
    responses = _responses(pixels, kernel)
    places = _telling_places(pixels, responses) if places is None else places
    height, width = pixels.shape
    for row, column in places:
        if not (1 <= row < height - 1 and 1 <= column < width - 1):
            raise ValueError(f"the window around {row}, {column} sticks out of the image")
    with in_style():
        figure = plt.figure(figsize=(7, 8.2), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1, len(places) * 0.45))
    _draw_pictures(above, pixels, responses, places)
    _draw_products(below, pixels, kernel, responses, places)
    return figure


def _responses(pixels: Tensor, kernel: Tensor) -> Tensor:
    """Return the kernel's response at every place, with paper around the image."""
    padded = nn.functional.pad(pixels.float(), (1, 1, 1, 1))
    return nn.functional.conv2d(padded[None, None], kernel.float()[None, None])[0, 0]


def _telling_places(pixels: Tensor, responses: Tensor) -> list[tuple[int, int]]:
    """Return where a response is largest, where smallest, and blank paper near the middle."""
    inner = responses[1:-1, 1:-1]
    ink = nn.functional.max_pool2d(pixels[None].float(), 3, stride=1)[0]
    rows, columns = torch.meshgrid(*map(torch.arange, ink.shape), indexing="ij")
    away = (rows - ink.shape[0] // 2) ** 2 + (columns - ink.shape[1] // 2) ** 2
    spots = (inner.argmax(), inner.argmin(), (away + 10_000 * (ink > 0)).argmin())
    return [tuple(int(at) + 1 for at in torch.unravel_index(spot, ink.shape)) for spot in spots]


def _draw_pictures(figure, pixels: Tensor, responses: Tensor, places) -> None:
    image, mapped = figure.subplots(1, 2)
    image.imshow(pixels, cmap="gray_r")
    image.set_title("an image, and three windows")
    reach = responses.abs().max().item()
    drawn = mapped.imshow(responses, cmap="PuOr_r", vmin=-reach, vmax=reach)
    mapped.set_title("the response at every place")
    figure.colorbar(drawn, ax=mapped, shrink=0.8, ticks=[-int(reach), 0, int(reach)])
    for (row, column), color, name in zip(places, WINDOWS, "ABC", strict=False):
        for ax, size in ((image, _SIDE), (mapped, 1)):
            corner = (column - size / 2, row - size / 2)
            ax.add_patch(Rectangle(corner, size, size, fill=False, edgecolor=color, linewidth=2.5))
            ax.text(column + size / 2 + 0.4, row, name, color=color, va="center", weight="bold")
    for ax in (image, mapped):
        ax.set_axis_off()
    listed = ", ".join(
        f"{name} {_signed(responses[place])}" for name, place in zip("ABC", places, strict=False)
    )
    describe(mapped, f"A kernel of 3 x 3 at three windows of an image gives one number each: "
                     f"{listed}; the map shows its response at every place.")  # fmt: skip


def _draw_products(figure, pixels: Tensor, kernel: Tensor, responses: Tensor, places) -> None:
    axes = figure.subplots(len(places), 5, width_ratios=(3, 0.6, 3, 0.6, 2), squeeze=False)
    for line, place, color, name in zip(axes, places, WINDOWS, "ABC", strict=False):
        row, column = place
        patch = pixels[row - 1 : row + 2, column - 1 : column + 2].float()
        _draw_numbers(line[0], patch, color, cmap="gray_r", low=0, high=255)
        _draw_numbers(line[2], kernel, "black", cmap="PuOr_r", low=-2, high=2)
        for ax, sign in ((line[1], "x"), (line[3], "=")):
            ax.text(0.5, 0.5, sign, ha="center", va="center", fontsize=20)
        line[4].text(0, 0.5, _signed(responses[place]), va="center", fontsize=20, color=color)
        line[0].set_title(f"window {name}", color=color, loc="left", fontsize=12)
        for ax in line:
            ax.set_axis_off()
    axes[0, 2].set_title("kernel", loc="left", fontsize=12)
    axes[0, 4].set_title("sum of the nine\nproducts", loc="left", fontsize=12)


def _signed(number: Tensor) -> str:
    return f"{number.item():+,.0f}" if number else "0"


def _draw_numbers(ax: Axes, table: Tensor, edge: str, *, cmap: str, low: float, high: float):
    """Draw a 3 x 3 table of whole numbers, each in a cell of its colour."""
    ax.imshow(table, cmap=cmap, vmin=low, vmax=high)
    for (row, column), value in np.ndenumerate(table.numpy()):
        dark = cmap == "gray_r" and value > 127
        ax.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=12,
                color="white" if dark else "black")  # fmt: skip
    ax.add_patch(Rectangle((-0.5, -0.5), _SIDE, _SIDE, fill=False, edgecolor=edge, linewidth=2.5,
                           clip_on=False))  # fmt: skip


# --- networks as blocks -----------------------------------------------------------------


def draw_network(
    model: nn.Module, *, title: str = "", input_shape: Sequence[int] = INPUT_SHAPE, columns: int = 5
) -> Figure:
    """Draw what an image becomes on its way through a model, a block for each shape.

    Maps are squares, as large as they are and as many as there are channels (in steps);
    vectors are columns. Layers that keep the shape (ReLU, batch norm, dropout, softmax) are
    named in the block before. A blue block has parameters, their count in blue below it.
    columns: blocks in a row.
    """
    check_whole("columns", columns)
    blocks = _blocks(layer_table(model, input_shape), input_shape)
    rows = -(-len(blocks) // columns)
    with in_style():
        figure, axes = plt.subplots(rows, 1, figsize=(7, 2.5 * rows + 0.4), squeeze=False,
                                    layout="constrained")  # fmt: skip
    for ax, start in zip(axes[:, 0], range(0, len(blocks), columns), strict=True):
        ax.set(xlim=(-0.75, columns - 0.4), ylim=(-1.05, 1.05), aspect="equal")
        ax.set_axis_off()
        for place, block in enumerate(blocks[start : start + columns]):
            _draw_block(ax, place, block, largest=input_shape[-1])
    figure.suptitle(title)
    listed = "; ".join(f"{', '.join(b['layers'])} {b['shape']}" for b in blocks)
    total = sum(block["parameters"] for block in blocks)
    describe(axes[0, 0], f"{title or type(model).__name__}, from image to answer: {listed}; "
                         f"{total:,} parameters.")  # fmt: skip
    return figure


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(f"{number:,}" for number in shape)


_CHANGES = {"Conv2d": "conv", "Linear": "linear", "MaxPool2d": "max-pool"}
_KEEPS = {"ReLU": "ReLU", "LeakyReLU": "LeakyReLU", "Tanh": "tanh", "Sigmoid": "sigmoid",
          "BatchNorm2d": "batch norm", "BatchNorm1d": "batch norm", "Dropout": "dropout",
          "Softmax": "softmax", "LogSoftmax": "log-softmax"}  # fmt: skip


def _blocks(table: pd.DataFrame, input_shape: Sequence[int]) -> list[dict]:
    """Gather layers: one block for each that changes the shape or has weights of its own."""
    blocks = [{"layers": ["image"], "shape": _shape(input_shape), "parameters": 0}]
    for layer, shape, parameters in table.itertuples(index=False):
        if layer in ("Flatten", "Identity"):
            continue
        if layer in _KEEPS:
            blocks[-1]["layers"].append(_KEEPS[layer])
            blocks[-1]["parameters"] += parameters
        else:
            name = _CHANGES.get(layer, layer)
            blocks.append({"layers": [name], "shape": shape, "parameters": parameters})
    return blocks


def _draw_block(ax: Axes, place: int, block: dict, largest: int) -> None:
    shape = [int(number) for number in block["shape"].split(" x ")]
    color = WINDOWS[0] if block["parameters"] else "#BDBDBD"
    if len(shape) == 3:
        side = 0.25 + 0.45 * shape[-1] / largest
        sheets = min(5, 1 + int(np.log2(shape[0])))
        for sheet in reversed(range(sheets)):
            corner = (place - side / 2 + 0.035 * sheet, -side / 2 + 0.035 * sheet)
            ax.add_patch(Rectangle(corner, side, side, facecolor=color, edgecolor="white"))
        words = f"{shape[0]} x {shape[1]} x {shape[2]}"
    else:
        tall = 0.15 + 0.075 * np.log2(shape[0])
        ax.add_patch(Rectangle((place - 0.06, -tall / 2), 0.12, tall, facecolor=color))
        words = f"{shape[0]:,}"
    if block["layers"] != ["image"]:
        ax.annotate("", (place - 0.42, 0), (place - 0.6, 0), arrowprops={"arrowstyle": "->"})
    ax.text(place, 0.5, "\n".join(block["layers"]), ha="center", va="bottom", fontsize=11)
    ax.text(place, -0.58, words, ha="center", va="top", fontsize=11)
    if block["parameters"]:
        ax.text(place, -0.82, f"{block['parameters']:,}", ha="center", va="top", fontsize=11,
                color=color)  # fmt: skip


def draw_frozen(model: nn.Module, *, input_shape: Sequence[int], title: str = "") -> Figure:
    """Draw a pretrained network as body and head: what is frozen, what learns, to scale.

    model: with the parts `features` and `classifier`, as torchvision's MobileNetV2 has;
    between them the mean of each feature map is taken. input_shape: of one image.
    """
    if not (hasattr(model, "features") and hasattr(model, "classifier")):
        raise ValueError(f"{type(model).__name__} lacks the parts `features` and `classifier`")
    image = torch.zeros(1, *input_shape)
    with eval_mode(model), torch.no_grad():
        maps = model.features(image)
        logits = model.classifier(maps.mean(dim=(2, 3)))
    parts = {"features": "the body", "classifier": "the head"}
    counts = {part: _frozen_and_not(getattr(model, part)) for part in parts}
    with in_style():
        figure, (way, bar) = plt.subplots(2, 1, figsize=(7, 3.4), height_ratios=(3, 1),
                                          layout="constrained")  # fmt: skip
    shapes = (input_shape, maps.shape[1:], maps.shape[1:2], logits.shape[1:])
    names = (parts["features"], "mean of\neach map", parts["classifier"])
    _draw_way(way, shapes, names, (counts["features"], None, counts["classifier"]))
    frozen, learns = (sum(pair) for pair in zip(*counts.values(), strict=True))
    _draw_shares(bar, frozen, learns)
    figure.suptitle(title)
    listed = " to ".join(_shape(shape) for shape in shapes)
    describe(way, f"{title or 'Frozen body, new head'}: {listed}; {frozen:,} parameters frozen, "
                  f"{learns:,} learn.")  # fmt: skip
    return figure


def _frozen_and_not(part: nn.Module) -> tuple[int, int]:
    """Count a part's parameters: frozen, and not."""
    learns = sum(p.numel() for p in part.parameters() if p.requires_grad)
    return sum(p.numel() for p in part.parameters()) - learns, learns


def _draw_way(ax: Axes, shapes: Sequence, names: Sequence[str], counts: Sequence) -> None:
    """Draw shapes in a row, joined by arrows, and on each arrow what it passes."""
    ax.set(xlim=(-0.4, 2 * len(names) + 0.4), ylim=(-1, 1))
    ax.set_axis_off()
    for place, shape in enumerate(shapes):
        ax.text(2 * place, 0, "\nx ".join(map(str, shape)), ha="center", va="center")
    for place, (name, count) in enumerate(zip(names, counts, strict=True)):
        frozen, learns = count or (0, 0)
        color = WINDOWS[1] if learns else "#4D4D4D"
        ax.annotate("", (2 * place + 1.65, 0), (2 * place + 0.35, 0),
                    arrowprops={"arrowstyle": "->", "color": color})  # fmt: skip
        words = f"learns:\n{learns:,}" if learns else f"frozen:\n{frozen:,}" if frozen else ""
        ax.text(2 * place + 1, 0.15, name, ha="center", va="bottom", color=color)
        ax.text(2 * place + 1, -0.15, words, ha="center", va="top", color=color)


def _draw_shares(ax: Axes, frozen: int, learns: int) -> None:
    ax.barh(0, frozen, color="#BDBDBD", hatch="//", edgecolor="white")
    ax.barh(0, learns, left=frozen, color=WINDOWS[1])
    ax.set(xlim=(0, max(frozen + learns, 1)), yticks=[], xticks=[])
    ax.set_title("all parameters, to scale", loc="left", fontsize=11)
    ax.set_axis_off()
