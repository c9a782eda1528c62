"""AlexNet: one tower, or the two of 2012.

N batch, C channels, H W pixels.

Krizhevsky, Sutskever & Hinton, "ImageNet classification with deep convolutional neural networks", NIPS 2012.
Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014, arXiv:1404.5997 (one tower).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, Unpack

from torch import nn

from ..weights import WeightsLike
from .blocks import dropout_layer, local_response_norm
from .layered import LayeredNet
from .options import CommonOptions, NumClasses, Positive, Probability, Widths
from .registry import Family, Recipe, makes, or_default, register

# Figure 2 of the 2012 paper, whose two towers are convolutions in two groups, and the one tower of 2014.
WIDTHS = {"one-tower": (64, 192, 384, 256, 256), "2012": (96, 256, 384, 384, 256)}
GROUPS = {"one-tower": (1, 1, 1, 1, 1), "2012": (1, 2, 1, 2, 2)}
KERNELS = (11, 5, 3, 3, 3)
POOL_BEHIND = (True, True, False, False, True)


class AlexNet(LayeredNet):
    """Five convolutions, three max pools, an adaptive pool, linear layers: N C 224 224 -> N 256 6 6 -> N classes."""


# Section 5 of the paper: its three steps of a tenth, here at fixed epochs.
RECIPE = Recipe(epochs=90, batch_size=128, optimizer="sgd", lr=0.01, weight_decay=5e-4, schedule="step(30, 0.1)")
FAMILY = Family("Krizhevsky et al. 2012", 2012, RECIPE, input_size=(3, 224, 224), smallest=63)


@makes
def make_alexnet(
    name: str,
    /,
    num_classes: NumClasses | None,
    in_channels: Positive,
    variant: Literal["one-tower", "2012"],
    stem: Literal["imagenet", "cifar"],
    hidden: Widths | None,
    dropout: Probability,
    *,
    inplace: bool = True,
    weights: WeightsLike | None = None,  # loaded by ``makes``
) -> AlexNet:
    """The net of a variant and a stem, its options checked."""
    published, cifar = variant == "2012", stem == "cifar"
    features, channels = list[nn.Module](), in_channels
    for i, (width, kernel_size, groups) in enumerate(zip(WIDTHS[variant], KERNELS, GROUPS[variant], strict=True)):
        stride, padding = (1, kernel_size // 2) if i else (4, 5 if cifar else 0 if published else 2)
        features += [nn.Conv2d(channels, width, kernel_size, stride, padding, groups=groups), nn.ReLU(inplace)]
        if published and i < 2:
            features.append(local_response_norm())
        if POOL_BEHIND[i]:
            features.append(nn.MaxPool2d(2 if cifar else 3, stride=2))
        channels = width
    pool, side = (1, 32) if cifar else (6, 227 if published else 224)
    if hidden is None:
        hidden = () if cifar else (4096, 4096)
    widths = (channels * pool**2, *hidden)
    top = [m for a, b in pairwise(widths) for m in (dropout_layer(dropout), nn.Linear(a, b), nn.ReLU(inplace))]
    num_classes = or_default(num_classes, imagenet=not cifar)
    return AlexNet(name, features, top, widths[-1], num_classes, in_channels, side, pool=pool)


@register(FAMILY, 61_100_840, 714_188_480, make_alexnet)
def alexnet(
    num_classes: int | None = None,
    in_channels: int = 3,
    *,
    variant: Literal["one-tower", "2012"] = "one-tower",
    stem: Literal["imagenet", "cifar"] = "imagenet",
    hidden: Sequence[int] | None = None,
    dropout: float = 0.5,
    **options: Unpack[CommonOptions],
) -> AlexNet:
    """AlexNet: 61,100,840 parameters at 1000 classes, 60,965,224 as published, 2,472,266 with the CIFAR stem.

    Args:
        num_classes: Length of the logits, by default 1000 with the ImageNet stem and 10 with the CIFAR stem; 0 gives
            the vector before the last linear layer.
        in_channels: Channels of the pictures.
        variant: ``"one-tower"`` is torchvision's; ``"2012"`` is the paper's net: its two towers are convolutions in
            two groups, and local response normalisation follows the first two.
        stem: ``"imagenet"`` for pictures of about 224 pixels (227 in 2012); ``"cifar"`` pads the first convolution by
            5, pools 2x2, and fits 32 pixels.
        hidden: Widths of the hidden linear layers; None is (4096, 4096) with the ImageNet stem and none with CIFAR's.
        dropout: Probability before each hidden linear layer.
        inplace: Let ReLUs overwrite their input; turn off to hang full backward hooks on every module.
        weights: A file, a state dict or torchvision's; nothing is initialised first (see ``load_weights``). Or the name
            of a trained net of the package, whose options take the place of those at their defaults.

    Shape:
        (N, in_channels, H, W) -> (N, num_classes), H and W at least 63 pixels (67 in 2012, 29 with the CIFAR stem).

    Raises:
        ValueError: When an option is not one that can be built.
        ShapeError: When a picture of another shape comes in, or one too small.

    Source:
        Krizhevsky et al. 2012, figure 2 and sections 3.3 to 3.5; Krizhevsky 2014 for the one tower. Deviations: an
        adaptive pool to 6x6 before the linear layers, which does nothing at the natural size and lets other sizes in;
        weights are drawn as PyTorch does, not from N(0, 0.01) with biases of 1. The CIFAR stem is that of well-known
        public CIFAR repositories.

    >>> import torch
    >>> alexnet(stem="cifar")(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    return make_alexnet("alexnet", num_classes, in_channels, variant, stem, hidden, dropout, **options)
