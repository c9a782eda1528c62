"""VGG: the configurations of the paper's table 1, or any list of layers, under a choice of heads.

N batch, C channels, H W pixels.

Simonyan & Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015, arXiv:1409.1556.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Literal, TypeAlias, Unpack

from torch import nn

from ..errors import OptionError, message
from ..weights import WeightsLike
from .blocks import Affine, conv2d, dropout_layer, linear, local_response_norm, no_bias, torchs_own
from .layered import LayeredNet
from .options import CommonOptions, Later, NumClasses, Positive, Probability
from .registry import Family, Recipe, makes, or_default, register
from .vgg_config import HEADS, LAYERS, HeadName, Layer, VGGConfig, VGGHead, read_head, read_layers


def normal_hundredth(layer: Affine) -> None:
    """A draw as torchvision's, of a standard deviation of 0.01 (section 3.1 has a variance of 0.01); the bias is 0."""
    nn.init.normal_(layer.weight, 0.0, 0.01)
    no_bias(layer)


class VGG(LayeredNet):
    """Convolutions and pools in one line, then linear layers: N 3 224 224 -> N 512 7 7 -> N classes."""


def make_features(layers: Sequence[Layer], batch_norm: bool, in_channels: int, inplace: bool) -> list[nn.Module]:
    """Table 1 as layers: N C H W -> N 512 H/32 W/32."""
    features: list[nn.Module] = []
    channels = in_channels
    for layer in layers:
        if isinstance(layer, str):
            features.append(nn.MaxPool2d(2) if layer == "M" else local_response_norm())
        else:
            kernel_size, width = layer if isinstance(layer, tuple) else (3, layer)
            features.append(conv2d(channels, width, kernel_size, 1, kernel_size // 2))
            features += [nn.BatchNorm2d(width), nn.ReLU(inplace)] if batch_norm else [nn.ReLU(inplace)]
            channels = width
    return features


Head: TypeAlias = HeadName | VGGHead | Mapping[str, object]


class VGGOptions(CommonOptions, total=False):
    """What every depth takes; the defaults stand in ``make_vgg``.

    Args:
        cfg: A letter of the paper's table 1 that has this depth, or a list of layers: ``64`` is a 3x3 convolution of
            that width, ``"M"`` a 2x2 max pool, ``"LRN"`` a local response normalisation, ``(1, 256)`` a 1x1
            convolution.
        batch_norm: Batch norm behind every convolution; not in the paper.
        num_classes: Length of the logits, by default 1000 with the ImageNet head and 10 with any other; 0 gives the
            vector before the last linear layer.
        in_channels: Channels of the pictures.
        head: ``"imagenet"`` (pool to 7x7, 4096, 4096, dropout), ``"wide"`` (pool to 1x1, 4096, 4096), ``"compact"``
            (1x1, dropout, 512 with batch norm, dropout), ``"linear"`` (1x1, nothing hidden), a ``VGGHead`` or its dict.
        dropout: Probability of the head's dropout; None is what ``head`` says.
        inplace: Let ReLUs overwrite their input; turn off to hang full backward hooks on every module.
        weights: A file, a state dict or torchvision's; nothing is initialised first (see ``load_weights``). Or the name
            of a trained net of the package, whose options take the place of those at their defaults.

    Shape:
        (N, in_channels, H, W) -> (N, num_classes), H and W at least 2 to the number of pools.

    Raises:
        ValueError: When ``cfg``, ``head`` or another option is not one that can be built.
        ShapeError: When a picture of another shape comes in, or one too small.
    """

    num_classes: int | None
    in_channels: int
    head: Head
    dropout: float | None


@makes
def make_vgg(
    name: str,
    letters: Sequence[str],
    /,
    cfg: VGGConfig,
    batch_norm: bool,
    *,
    num_classes: NumClasses | None = None,
    in_channels: Positive = 3,
    head: Head = "imagenet",
    dropout: Annotated[Probability, Later()] | None = None,
    inplace: bool = True,
    weights: WeightsLike | None = None,  # loaded by ``makes``
) -> VGG:
    """The net behind every VGG builder, its options checked; ``cfg`` is a list of layers or one of ``letters``."""
    layers, plan = read_layers(name, cfg, letters), read_head(name, head)
    imagenet = plan == HEADS["imagenet"]
    if dropout is not None:
        if dropout and not (plan.hidden or plan.batch_norm):
            advice = "A head without hidden layers has no dropout."
            raise OptionError(message(name, "a head with hidden layers where dropout is set", f"head={head!r}", advice))
        plan = replace(plan, dropout=dropout)
    # This draw is for the paper's own head; without the 4096s and their dropout it starts too small to learn.
    draw = normal_hundredth if imagenet else torchs_own
    features = make_features(layers, batch_norm, in_channels, inplace)
    width = [layer.out_channels for layer in features if isinstance(layer, nn.Conv2d)][-1] * plan.pool**2
    top: list[nn.Module] = [dropout_layer(plan.dropout)] if plan.batch_norm else []
    for hidden in plan.hidden:
        norms = [nn.BatchNorm1d(hidden)] if plan.batch_norm else []
        top += [linear(width, hidden, draw), *norms, nn.ReLU(inplace), dropout_layer(plan.dropout)]
        width = hidden
    num_classes = or_default(num_classes, imagenet)
    side, advice = 224 if imagenet else 32, "Enlarge the picture or leave out a pool: vgg(cfg=[...])."
    return VGG(name, features, top, width, num_classes, in_channels, side, pool=plan.pool, draw=draw, advice=advice)


# Section 3.1 of the paper, with a cosine instead of a tenth at each plateau.
RECIPE = Recipe(epochs=74, batch_size=256, optimizer="sgd", lr=0.01, weight_decay=5e-4, schedule="cosine")
FAMILY = Family("Simonyan & Zisserman 2015", 2015, RECIPE, input_size=(3, 224, 224), smallest=32)


@register(FAMILY, 132_863_336, 7_609_090_048, make_vgg)
def vgg(cfg: VGGConfig = "A", batch_norm: bool = False, **options: Unpack[VGGOptions]) -> VGG:
    """A VGG of any configuration.

    Source:
        Simonyan & Zisserman 2015, tables 1 and 2. The adaptive pool before the head is torchvision's; convolutions
        are drawn as in He et al. 2015, linear layers of the ImageNet head with a standard deviation of 0.01 as in
        torchvision (section 3.1 has a variance of 0.01, for all layers), of others as in PyTorch.

    >>> import torch
    >>> vgg([16, "M", (1, 32)], head="linear")(torch.zeros(1, 3, 8, 8)).shape
    torch.Size([1, 10])
    """
    return make_vgg("vgg", tuple(LAYERS), cfg, batch_norm, **options)


@register(FAMILY, 132_863_336, 7_609_090_048, make_vgg)
def vgg11(
    cfg: Literal["A", "A-LRN"] | Sequence[Layer] = "A", batch_norm: bool = False, **options: Unpack[VGGOptions]
) -> VGG:
    """VGG with 11 weight layers: configuration A, 132,863,336 parameters at 1000 classes.

    ``cfg`` is "A", or "A-LRN" with a local response normalisation behind the first convolution.

    Source:
        Simonyan & Zisserman 2015, tables 1 and 2; as ``vgg``.

    >>> import torch
    >>> with torch.device("meta"):
    ...     net = vgg11("A-LRN", head="linear")
    >>> len(net.features)
    22
    """
    return make_vgg("vgg11", ("A", "A-LRN"), cfg, batch_norm, **options)


@register(FAMILY, 133_047_848, 11_308_466_176, make_vgg)
def vgg13(cfg: Literal["B"] | Sequence[Layer] = "B", batch_norm: bool = False, **options: Unpack[VGGOptions]) -> VGG:
    """VGG with 13 weight layers: configuration B, 133,047,848 parameters at 1000 classes.

    Source:
        Simonyan & Zisserman 2015, tables 1 and 2; as ``vgg``.

    >>> import torch
    >>> with torch.device("meta"):
    ...     net = vgg13(batch_norm=True, head="compact")
    >>> net.num_features
    512
    """
    return make_vgg("vgg13", ("B",), cfg, batch_norm, **options)


@register(FAMILY, 138_357_544, 15_470_264_320, make_vgg)
def vgg16(
    cfg: Literal["C", "D"] | Sequence[Layer] = "D", batch_norm: bool = False, **options: Unpack[VGGOptions]
) -> VGG:
    """VGG with 16 weight layers: configuration D, 138,357,544 parameters at 1000 classes.

    ``cfg`` is "D", or "C" with three convolutions of 1x1: 133,638,952 parameters.

    Source:
        Simonyan & Zisserman 2015, tables 1 and 2; as ``vgg``.

    >>> import torch
    >>> with torch.device("meta"):
    ...     net = vgg16(head="wide", num_classes=3)
    >>> net.num_classes
    3
    """
    return make_vgg("vgg16", ("C", "D"), cfg, batch_norm, **options)


@register(FAMILY, 143_667_240, 19_632_062_464, make_vgg)
def vgg19(cfg: Literal["E"] | Sequence[Layer] = "E", batch_norm: bool = False, **options: Unpack[VGGOptions]) -> VGG:
    """VGG with 19 weight layers: configuration E, 143,667,240 parameters at 1000 classes.

    Source:
        Simonyan & Zisserman 2015, tables 1 and 2; as ``vgg``.

    >>> import torch
    >>> with torch.device("meta"):
    ...     net = vgg19(in_channels=1)
    >>> net.input_size
    (1, 224, 224)
    """
    return make_vgg("vgg19", ("E",), cfg, batch_norm, **options)
