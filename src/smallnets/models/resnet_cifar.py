"""ResNets for 32x32 pictures, 20 to 1202 layers.

He, Zhang, Ren & Sun, "Deep residual learning for image recognition", CVPR 2016, section 4.2.
"""

from typing import Literal, TypeAlias, Unpack

from ..weights import WeightsLike
from .blocks import Norm
from .options import CommonOptions, NumClasses, Positive
from .registry import Family, Recipe, makes, register
from .resnet import BasicBlock, ResNet, Shortcut, Style, plan_stages

# Batch and weight decay of section 4.2; one cycle of the learning rate instead of its steps needs half the epochs.
RECIPE = Recipe(epochs=80, batch_size=128, optimizer="sgd", lr=0.1, weight_decay=5e-4, schedule="onecycle")
FAMILY = Family("He et al. 2016", 2016, RECIPE, input_size=(3, 32, 32), smallest=1)


CifarResNet: TypeAlias = Literal["resnet20", "resnet32", "resnet44", "resnet56", "resnet110", "resnet1202"]


class CifarResNetOptions(CommonOptions, total=False):
    """What every depth takes; the defaults stand in ``cifar_resnet``.

    Args:
        num_classes: Length of the logits; 0 gives the pooled features.
        in_channels: Channels of the pictures.
        shortcut: ``"A"`` (zero channels padded, the paper's), ``"B"`` (a projection where the shape changes) or ``"C"``
            (projections everywhere).
        residual: False gives the plain twin, without shortcuts.
        norm: ``"batch"``, or ``"group"`` with gcd(32, channels) groups.
        inplace: Let ReLUs and additions overwrite their input; turn off to hang full backward hooks on every module.
        weights: A file or a state dict; nothing is initialised first (see ``load_weights``). Or the name of a trained
            net of the package, whose options take the place of those at their defaults.

    Shape:
        (N, in_channels, H, W) -> (N, num_classes), any H and W; in training a batch of one must be larger than 4x4
        pixels, or batch norm has a single value per channel.

    Raises:
        ValueError: When an option is not one that can be built.
        ShapeError: When a picture of another shape comes in.
    """

    shortcut: Shortcut
    residual: bool
    norm: Norm


@makes
def cifar_resnet(
    name: str,
    depth: int,
    /,
    num_classes: NumClasses,
    in_channels: Positive,
    *,
    shortcut: Shortcut = "A",
    residual: bool = True,
    norm: Norm = "batch",
    inplace: bool = True,
    weights: WeightsLike | None = None,  # loaded by ``makes``
) -> ResNet:
    """A ResNet of 6n + 2 layers, its options checked: n basic blocks of 16, 32 and 64 maps."""
    blocks = (depth - 2) // 2
    # In eval mode an untrained batch norm holds nothing: each block adds to the map, and 600 of them overflow float32.
    scale = blocks**-0.5 if residual and norm == "batch" and blocks > 100 else 1.0
    style = Style(shortcut, residual=residual, branch_scale=scale, norm=norm, inplace=inplace)
    return ResNet(name, BasicBlock, plan_stages(16, [blocks // 3] * 3), num_classes, in_channels, 32, "cifar", style)


@register(FAMILY, 269_722, 40_551_040, cifar_resnet)
def resnet20(num_classes: int = 10, in_channels: int = 3, **options: Unpack[CifarResNetOptions]) -> ResNet:
    """ResNet-20 for CIFAR, three stages of 3 basic blocks: 269,722 parameters at 10 classes.

    Source:
        He et al. 2016, section 4.2 and table 6. The paper does not say where shortcut A pads: here half the
        channels are in front and half behind, as in the public CIFAR weights.

    >>> import torch
    >>> resnet20()(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    return cifar_resnet("resnet20", 20, num_classes, in_channels, **options)


@register(FAMILY, 464_154, 68_862_592, cifar_resnet)
def resnet32(num_classes: int = 10, in_channels: int = 3, **options: Unpack[CifarResNetOptions]) -> ResNet:
    """ResNet-32 for CIFAR, three stages of 5 basic blocks: 464,154 parameters at 10 classes.

    Source:
        He et al. 2016, section 4.2 and table 6; as ``resnet20``.

    >>> resnet32(num_classes=100).num_classes
    100
    """
    return cifar_resnet("resnet32", 32, num_classes, in_channels, **options)


@register(FAMILY, 658_586, 97_174_144, cifar_resnet)
def resnet44(num_classes: int = 10, in_channels: int = 3, **options: Unpack[CifarResNetOptions]) -> ResNet:
    """ResNet-44 for CIFAR, three stages of 7 basic blocks: 658,586 parameters at 10 classes.

    Source:
        He et al. 2016, section 4.2 and table 6; as ``resnet20``.

    >>> len(resnet44().layer3)
    7
    """
    return cifar_resnet("resnet44", 44, num_classes, in_channels, **options)


@register(FAMILY, 853_018, 125_485_696, cifar_resnet)
def resnet56(num_classes: int = 10, in_channels: int = 3, **options: Unpack[CifarResNetOptions]) -> ResNet:
    """ResNet-56 for CIFAR, three stages of 9 basic blocks: 853,018 parameters at 10 classes.

    Source:
        He et al. 2016, section 4.2 and table 6; as ``resnet20``.

    >>> resnet56(shortcut="B").num_features
    64
    """
    return cifar_resnet("resnet56", 56, num_classes, in_channels, **options)


@register(FAMILY, 1_727_962, 252_887_680, cifar_resnet)
def resnet110(num_classes: int = 10, in_channels: int = 3, **options: Unpack[CifarResNetOptions]) -> ResNet:
    """ResNet-110 for CIFAR, three stages of 18 basic blocks: 1,727,962 parameters at 10 classes.

    Source:
        He et al. 2016, section 4.2 and table 6; as ``resnet20``.

    >>> resnet110().feature_info[-1]
    Stage(name='layer3', channels=64, stride=4)
    """
    return cifar_resnet("resnet110", 110, num_classes, in_channels, **options)


@register(FAMILY, 19_421_274, 2_829_238_912, cifar_resnet)
def resnet1202(num_classes: int = 10, in_channels: int = 3, **options: Unpack[CifarResNetOptions]) -> ResNet:
    """ResNet-1202 for CIFAR, three stages of 200 basic blocks: 19,421,274 parameters at 10 classes.

    Source:
        He et al. 2016, section 4.2 and table 6; as ``resnet20``. Deviation, in this depth alone: the scale of
        each block's last batch norm starts at 1 / sqrt(600), not at 1. In eval mode untrained batch norms, with their
        running mean of 0 and variance of 1, hold nothing; each block adds to the map, and 600 of them overflow
        float32, so that the fresh net says NaN. Training mode, plain twins and ``norm="group"`` do not need it and
        loaded weights are what they are: for the paper's start set the ``bn2.weight`` of each block to 1.

    >>> import torch
    >>> with torch.device("meta"):
    ...     len(resnet1202().layer1)
    200
    """
    return cifar_resnet("resnet1202", 1202, num_classes, in_channels, **options)
