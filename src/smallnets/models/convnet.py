"""A three-convolution classifier for 32x32 pictures, as lab courses use it for CIFAR-10.

N batch, C channels, H W pixels.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Unpack

from torch import nn

from ..errors import OptionError, check_int, message
from ..weights import WeightsLike
from .blocks import Norm, norm_layer
from .layered import LayeredNet
from .options import CommonOptions, NumClasses, Positive, Probability, Widths
from .registry import Family, Recipe, makes, register


class ConvNet3(LayeredNet):
    """Convolutions with norm, ReLU and a 2x2 pool each, then linear layers: N 3 32 32 -> N 128 4 4 -> N classes."""


RECIPE = Recipe(epochs=30, batch_size=128, optimizer="adamw", lr=2e-3, weight_decay=0.01, schedule="onecycle")
FAMILY = Family("Three-convolution CIFAR-10 lab classifier", 2020, RECIPE, input_size=(3, 32, 32), smallest=32)


@makes
def make_convnet(
    name: str,
    /,
    num_classes: NumClasses,
    in_channels: Positive,
    channels: Widths,
    kernel_size: Positive,
    hidden: Widths,
    dropout: Probability,
    input_size: Positive,
    norm: Norm,
    *,
    inplace: bool = True,
    weights: WeightsLike | None = None,  # loaded by ``makes``
) -> ConvNet3:
    """The net of these widths, its options checked."""
    if not channels:
        raise OptionError(message(name, "at least one width in channels", channels))
    if kernel_size % 2 == 0:
        raise OptionError(message(name, "an odd kernel_size", kernel_size, f"Take {kernel_size + 1}."))
    check_int(name, "input_size", input_size, least=2 ** len(channels))
    features: list[nn.Module] = []
    for a, b in pairwise((in_channels, *channels)):
        conv = nn.Conv2d(a, b, kernel_size, padding=kernel_size // 2)
        features += [conv, norm_layer(norm, b), nn.ReLU(inplace), nn.MaxPool2d(2)]
    last_side = input_size // 2 ** len(channels)
    widths = (channels[-1] * last_side**2, *hidden)
    top = [m for a, b in pairwise(widths) for m in (nn.Linear(a, b), nn.ReLU(inplace), nn.Dropout(dropout))]
    return ConvNet3(name, features, top, widths[-1], num_classes, in_channels, input_size)


@register(FAMILY, 469_532, 28_882_300, make_convnet)
def convnet3(
    num_classes: int = 10,
    in_channels: int = 3,
    *,
    channels: Sequence[int] = (32, 64, 128),
    kernel_size: int = 5,
    hidden: Sequence[int] = (100, 50),
    dropout: float = 0.3,
    input_size: int = 32,
    norm: Norm = "batch",
    **options: Unpack[CommonOptions],
) -> ConvNet3:
    """Three 5x5 convolutions and three linear layers: 469,532 parameters at 10 classes.

    Args:
        num_classes: Length of the logits; 0 gives the vector before the last linear layer.
        in_channels: Channels of the pictures.
        channels: Width of each convolution; as many convolutions as numbers.
        kernel_size: Side of the kernels in pixels, odd, so that padding keeps the side of the map.
        hidden: Widths of the hidden linear layers.
        dropout: Probability behind each hidden linear layer.
        input_size: Side of the pictures in pixels; every convolution is followed by a halving.
        norm: ``"batch"``, or ``"group"`` with gcd(32, channels) groups.
        inplace: Let ReLUs overwrite their input; turn off to hang full backward hooks on every module.
        weights: A file, a state dict or torchvision's; nothing is initialised first (see ``load_weights``). Or the name
            of a trained net of the package, whose options take the place of those at their defaults.

    Shape:
        (N, in_channels, input_size, input_size) -> (N, num_classes).

    Raises:
        ValueError: When an option is not one that can be built.
        ShapeError: When a picture of another shape comes in.

    Source:
        Table of a public CIFAR-10 lab report: convolutions 32-64-128, 32 -> 16 -> 8 -> 4 pixels, linear
        2048-100-50-10.

    >>> import torch
    >>> convnet3()(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    return make_convnet(
        *("convnet3", num_classes, in_channels, channels, kernel_size, hidden, dropout, input_size, norm), **options
    )
