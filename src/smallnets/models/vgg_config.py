"""What VGG builders take: the configurations of the paper's table 1, lists of layers, heads; and how they are read."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Literal, TypeAlias

from ..errors import OptionError, check_choice, check_int, message, nearest
from .options import ListOf, Positive, Probability, check_options

Layer: TypeAlias = int | Literal["M", "LRN"] | tuple[int, int]
VGGConfig: TypeAlias = Literal["A", "A-LRN", "B", "C", "D", "E"] | Sequence[Layer]
HeadName = Literal["imagenet", "wide", "compact", "linear"]

# Table 1: a number is a 3x3 convolution of that width, "M" a 2x2 max pool, (1, width) a 1x1 convolution.
LAYERS: dict[str, tuple[Layer, ...]] = {
    "A": (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"),
    "A-LRN": (64, "LRN", "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"),
    "B": (64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"),
    "C": (64, 64, "M", 128, 128, "M", 256, 256, (1, 256), "M", 512, 512, (1, 512), "M", 512, 512, (1, 512), "M"),
    "D": (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"),
    "E": (64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M", 512, 512, 512, 512, "M", 512, 512, 512, 512, "M"),
}


@dataclass(frozen=True)
class VGGHead:
    """What stands on the features: a pool, then linear layers.

    Attributes:
        pool: Side in pixels of the map that adaptive pooling leaves.
        hidden: Widths of the hidden linear layers, each followed by a ReLU.
        batch_norm: Batch norm before each of these ReLUs.
        dropout: Probability of dropout behind each hidden layer and, under batch norm, before the first.

    >>> VGGHead(hidden=(512,)).pool
    1
    """

    pool: Positive = 1
    hidden: Annotated[tuple[int, ...], ListOf("width")] = (512, 512)
    batch_norm: bool = False
    dropout: Probability = 0.5


HEADS: dict[str, VGGHead] = {
    "imagenet": VGGHead(pool=7, hidden=(4096, 4096)),
    "wide": VGGHead(hidden=(4096, 4096), dropout=0.0),
    "compact": VGGHead(hidden=(512,), batch_norm=True),
    "linear": VGGHead(hidden=()),
}


def read_layers(name: str, cfg: object, letters: Sequence[str]) -> tuple[Layer, ...]:
    """The layers that ``cfg`` names or lists.

    Raises:
        ValueError: When it is a letter of another depth, or not a list of layers with a convolution in it.
    """
    if isinstance(cfg, str):
        if cfg in letters:
            return LAYERS[cfg]
        expected, advice = f"cfg to be one of {', '.join(letters)}, or a list of layers", nearest(cfg, letters)
        if cfg in LAYERS:
            right = {"A": "vgg11", "A-LRN": "vgg11", "B": "vgg13", "C": "vgg16", "D": "vgg16", "E": "vgg19"}[cfg]
            expected, advice = expected.removesuffix(", or a list of layers"), f"Take {right}."
        raise OptionError(message(name, expected, repr(cfg), advice))
    if isinstance(cfg, bytes) or not isinstance(cfg, Sequence):
        raise OptionError(message(name, "cfg to be a letter or a list of layers", repr(cfg)))
    layers: tuple[Layer, ...] = tuple(read_layer(name, layer) for layer in cfg)
    if not any(isinstance(layer, int | tuple) for layer in layers):
        raise OptionError(message(name, "at least one convolution in cfg", repr(cfg), "Add its width, such as 64."))
    return layers


def read_layer(name: str, layer: object) -> Layer:
    """One layer of a list, checked; JSON gives pairs back as lists."""
    if isinstance(layer, str) and layer in ("M", "LRN"):
        return "M" if layer == "M" else "LRN"
    if isinstance(layer, int) and not isinstance(layer, bool) and layer >= 1:
        return layer
    if isinstance(layer, tuple | list) and len(layer) == 2:
        kernel_size, width = layer
        check_int(name, "the width in cfg's pair", width)
        check_int(name, "the kernel size in cfg's pair", kernel_size)
        if kernel_size % 2:
            return (kernel_size, width)
        advice = "An odd kernel keeps the side of the map."
        raise OptionError(message(name, "an odd kernel size in cfg's pair", repr(layer), advice))
    advice = "A layer is a width, 'M', 'LRN' or (kernel size, width)."
    raise OptionError(message(name, "layers in cfg", repr(layer), advice))


def read_head(name: str, head: object) -> VGGHead:
    """The head that is named, given, or given as its dict.

    Raises:
        ValueError: When it is none of these, or its values cannot be built.
    """
    if isinstance(head, Mapping):
        allowed = [field.name for field in fields(VGGHead)]
        for key in head:
            check_choice(name, "a key of head", key, allowed)
        head = VGGHead(**head)
    elif not isinstance(head, VGGHead):
        check_choice(name, "head", head, HEADS)
        return HEADS[str(head)]
    check_options(name, inspect.signature(VGGHead), vars(head), of="head.")
    return VGGHead(head.pool, tuple(head.hidden), head.batch_norm, head.dropout)
