"""ResNets with 18 to 152 layers, their ResNeXt, wide, dilated and plain kin.

He, Zhang, Ren & Sun, "Deep residual learning for image recognition", CVPR 2016, arXiv:1512.03385.
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias, Unpack

from ..errors import OptionError, message
from ..weights import WeightsLike
from .blocks import Norm
from .options import CommonOptions, NumClasses, Positive
from .registry import Family, Recipe, makes, or_default, register
from .resnet import BasicBlock, BlockType, Bottleneck, ResNet, Shortcut, Stem, StrideIn, Style, plan_stages

# Table 1 of the paper: the block, and how many of it in conv2_x to conv5_x.
LAYERS: dict[int, tuple[BlockType, tuple[int, ...]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}


ImageNetResNet: TypeAlias = Literal["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]


class ResNetOptions(CommonOptions, total=False):
    """What every depth takes; the defaults stand in ``resnet``.

    Args:
        num_classes: Length of the logits, by default 1000 with the ImageNet stem and 10 with the CIFAR stem; 0 gives
            the pooled features.
        in_channels: Channels of the pictures.
        stem: ``"imagenet"`` is a 7x7 convolution and a max pool, each of stride 2; ``"cifar"`` a 3x3 convolution of
            stride 1 and no pool, for pictures of about 32 pixels.
        shortcut: Where the shape changes, ``"A"`` pads zero channels, ``"B"`` projects by a 1x1 convolution; ``"C"``
            projects everywhere.
        stride_in: The bottleneck's convolution that takes the stride, ``"3x3"`` (v1.5) or the first ``"1x1"`` (v1, the
            paper's); a basic block has but one place for it.
        residual: False gives the plain twin, without shortcuts.
        shortcut_bias: A bias in the projections.
        zero_init_residual: The last norm of each block starts at 0 (Goyal et al. 2017); not for plain twins.
        groups: Of the bottleneck's 3x3; with ``width_per_group``, (32, 4) is ResNeXt (Xie et al. 2017).
        width_per_group: Of the bottleneck's 3x3; 128 is the wide net (Zagoruyko & Komodakis 2016).
        dilate: For layer2, layer3 and layer4, dilation in place of the stride (Chen et al. 2017).
        norm: ``"batch"``, or ``"group"`` with gcd(32, channels) groups (Wu & He 2018).
        inplace: Let ReLUs and additions overwrite their input; turn off to hang full backward hooks on every module.
        weights: A file, a state dict or torchvision's; nothing is initialised first (see ``load_weights``). Or the name
            of a trained net of the package, whose options take the place of those at their defaults.

    Shape:
        (N, in_channels, H, W) -> (N, num_classes), any H and W; in training a batch of one must be larger than 32x32
        pixels, or batch norm has a single value per channel.

    Raises:
        ValueError: When an option is not one that can be built.
        ShapeError: When a picture of another shape comes in.
    """

    stem: Stem
    shortcut: Shortcut
    stride_in: StrideIn
    residual: bool
    shortcut_bias: bool
    zero_init_residual: bool
    groups: int
    width_per_group: int
    dilate: Sequence[bool]
    norm: Norm


@makes
def resnet(
    name: str,
    layers: tuple[BlockType, tuple[int, ...]],
    /,
    num_classes: NumClasses | None,
    in_channels: Positive,
    *,
    stem: Stem = "imagenet",
    shortcut: Shortcut = "B",
    stride_in: StrideIn = "3x3",
    residual: bool = True,
    shortcut_bias: bool = False,
    zero_init_residual: bool = False,
    groups: Positive = 1,
    width_per_group: Positive = 64,
    dilate: Sequence[bool] = (False, False, False),
    norm: Norm = "batch",
    inplace: bool = True,
    weights: WeightsLike | None = None,  # loaded by ``makes``
) -> ResNet:
    """The ResNet of a row of ``LAYERS``, its options checked."""
    block, depths = layers
    num_classes = or_default(num_classes, imagenet=stem == "imagenet")
    if block is BasicBlock and (groups, width_per_group) != (1, 64):
        expected = "groups=1 and width_per_group=64, since its blocks have no bottleneck"
        given = f"groups={groups} and width_per_group={width_per_group}"
        raise OptionError(message(name, expected, given, "Take resnet50 or deeper."))
    if not isinstance(dilate, Sequence) or [isinstance(flag, int) and flag in (0, 1) for flag in dilate] != [True] * 3:  # pyright: ignore
        advice = "One for each of layer2, layer3 and layer4."
        raise OptionError(message(name, "dilate to be three booleans", repr(dilate), advice))
    if zero_init_residual and not residual:
        expected, advice = "residual=True where zero_init_residual is set", "A plain net of zero scales never learns."
        raise OptionError(message(name, expected, "residual=False", advice))
    scale, side = 0.0 if zero_init_residual else 1.0, 224 if stem == "imagenet" else 32
    style = Style(shortcut, stride_in, residual, shortcut_bias, scale, groups, width_per_group, norm, inplace)
    return ResNet(name, block, plan_stages(64, depths), num_classes, in_channels, side, stem, style, dilate)


# Section 3.4 of the paper, with a cosine in place of its steps.
RECIPE = Recipe(epochs=90, batch_size=256, optimizer="sgd", lr=0.1, weight_decay=1e-4, schedule="cosine")
FAMILY = Family("He et al. 2016", 2016, RECIPE, input_size=(3, 224, 224), smallest=1)


@register(FAMILY, 11_689_512, 1_814_073_344, resnet)
def resnet18(num_classes: int | None = None, in_channels: int = 3, **options: Unpack[ResNetOptions]) -> ResNet:
    """ResNet-18, two basic blocks a stage: 11,689,512 parameters at 1000 classes.

    Source:
        He et al. 2016, table 1, with shortcut B. No deviations; weights are drawn as in He et al. 2015, with fan-out.

    >>> import torch
    >>> resnet18(stem="cifar")(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    return resnet("resnet18", LAYERS[18], num_classes, in_channels, **options)


@register(FAMILY, 21_797_672, 3_663_761_408, resnet)
def resnet34(num_classes: int | None = None, in_channels: int = 3, **options: Unpack[ResNetOptions]) -> ResNet:
    """ResNet-34, 3, 4, 6 and 3 basic blocks: 21,797,672 parameters at 1000 classes.

    Source:
        He et al. 2016, table 1, with shortcut B. No deviations.

    >>> import torch
    >>> with torch.device("meta"):
    ...     resnet34(residual=False).layer2[0].downsample  # the plain twin of figure 3 has no shortcuts
    """
    return resnet("resnet34", LAYERS[34], num_classes, in_channels, **options)


@register(FAMILY, 25_557_032, 4_089_184_256, resnet)
def resnet50(num_classes: int | None = None, in_channels: int = 3, **options: Unpack[ResNetOptions]) -> ResNet:
    """ResNet-50, 3, 4, 6 and 3 bottlenecks: 25,557,032 parameters at 1000 classes.

    Source:
        He et al. 2016, table 1, with shortcut B. Deviation: the stride is in the 3x3, as in
        torchvision's; ``stride_in="1x1"`` is the paper's.

    >>> import torch
    >>> with torch.device("meta"):
    ...     resnet50(groups=32, width_per_group=4).layer1[0].conv2.groups  # ResNeXt-50 32x4d
    32
    """
    return resnet("resnet50", LAYERS[50], num_classes, in_channels, **options)


@register(FAMILY, 44_549_160, 7_801_405_440, resnet)
def resnet101(num_classes: int | None = None, in_channels: int = 3, **options: Unpack[ResNetOptions]) -> ResNet:
    """ResNet-101, 3, 4, 23 and 3 bottlenecks: 44,549,160 parameters at 1000 classes.

    Source:
        He et al. 2016, table 1, with shortcut B. Deviation: as ``resnet50``.

    >>> import torch
    >>> with torch.device("meta"):
    ...     resnet101(dilate=(False, True, True)).feature_info[-1].stride
    8
    """
    return resnet("resnet101", LAYERS[101], num_classes, in_channels, **options)


@register(FAMILY, 60_192_808, 11_513_626_624, resnet)
def resnet152(num_classes: int | None = None, in_channels: int = 3, **options: Unpack[ResNetOptions]) -> ResNet:
    """ResNet-152, 3, 8, 36 and 3 bottlenecks: 60,192,808 parameters at 1000 classes.

    Source:
        He et al. 2016, table 1, with shortcut B. Deviation: as ``resnet50``.

    >>> import torch
    >>> with torch.device("meta"):
    ...     resnet152(in_channels=1).input_size
    (1, 224, 224)
    """
    return resnet("resnet152", LAYERS[152], num_classes, in_channels, **options)
