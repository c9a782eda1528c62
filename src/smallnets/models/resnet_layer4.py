"""A three-stage bottleneck net for 32x32 pictures, from a public CIFAR-10 lab report."""

from dataclasses import replace
from typing import Unpack

from torch import nn

from ..weights import WeightsLike
from .blocks import Affine, Norm, no_bias
from .options import CommonOptions, NumClasses, Positive
from .registry import Family, Recipe, makes, register
from .resnet import Bottleneck, ResNet, StagePlan, Style

RECIPE = Recipe(epochs=40, batch_size=128, optimizer="sgd", lr=0.1, weight_decay=5e-4, schedule="onecycle")
FAMILY = Family("Lab report after He et al. 2016", 2020, RECIPE, input_size=(3, 32, 32), smallest=1)


def xavier_uniform(layer: Affine) -> None:
    """Glorot & Bengio 2010, equation 16; the bias is 0."""
    nn.init.xavier_uniform_(layer.weight)
    no_bias(layer)


# The report's table: here the LAST block of a stage halves the map.
LAYER4 = (
    StagePlan("layer2", 64, (1, 1, 2)),
    StagePlan("layer3", 128, (1, 1, 1, 2)),
    StagePlan("layer4", 256, (1, 1, 1, 1, 1, 1)),
)
LAYER4_STYLE = Style(
    stride_in="1x1", shortcut_bias=True, conv_bias=True, draw_conv=xavier_uniform, draw_linear=xavier_uniform
)


@makes
def make_layer4(
    name: str,
    /,
    num_classes: NumClasses,
    in_channels: Positive,
    norm: Norm,
    *,
    inplace: bool = True,
    weights: WeightsLike | None = None,  # loaded by ``makes``
) -> ResNet:
    """The net of the report, its options checked."""
    style = replace(LAYER4_STYLE, norm=norm, inplace=inplace)
    return ResNet(name, Bottleneck, LAYER4, num_classes, in_channels, 32, "imagenet", style)


@register(FAMILY, 8_898_826, 59_172_864, make_layer4)
def resnet50_layer4(
    num_classes: int = 10,
    in_channels: int = 3,
    *,
    norm: Norm = "batch",
    **options: Unpack[CommonOptions],
) -> ResNet:
    """ResNet-50 without its last stage, strides moved to the stages' ends: 8,898,826 parameters at 10 classes.

    Args:
        num_classes: Length of the logits; 0 gives the pooled features.
        in_channels: Channels of the pictures.
        norm: ``"batch"``, or ``"group"`` with gcd(32, channels) groups.
        inplace: Let ReLUs and additions overwrite their input; turn off to hang full backward hooks on every module.
        weights: A file, a state dict or torchvision's; nothing is initialised first (see ``load_weights``). Or the name
            of a trained net of the package, whose options take the place of those at their defaults.

    Shape:
        (N, in_channels, H, W) -> (N, num_classes), any H and W; in training a batch of one must be larger than 16x16
        pixels, or batch norm has a single value per channel.

    Raises:
        ValueError: When an option is not one that can be built.
        ShapeError: When a picture of another shape comes in.

    Source:
        Table of a public CIFAR-10 lab report: 32 -> 8 (stem) -> 4 -> 2 -> 2 pixels, stride on the first 1x1 of a
        stage's last block, a bias in every convolution, Xavier-uniform weights. Projections stand only where the shape
        changes. The pool is global, which at 32 pixels is the table's 2x2. The report's own code departs from its
        table (it widens inside the block and puts a ReLU on the shortcut); the table is followed here.

    >>> import torch
    >>> resnet50_layer4().forward_features(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 1024, 2, 2])
    """
    return make_layer4("resnet50_layer4", num_classes, in_channels, norm, **options)
