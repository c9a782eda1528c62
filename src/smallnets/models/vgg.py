"""VGG: the configurations of the paper's table 1, or any list of layers, under a choice of heads.

N batch, C channels, H W pixels.

Simonyan & Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015, arXiv:1409.1556.
"""

from collections.abc import Mapping, Sequence
from typing import TypedDict, Unpack

from torch import Tensor, nn

from ..errors import check_choice, check_int
from ..weights import WeightsLike
from .base import ANY_SIDE, InputRule, Net, Stage, Window, classifier, largest_side, smallest_side
from .blocks import Conv2d, dropout_layer, local_response_norm
from .registry import Family, Recipe, register
from .vgg_config import HEADS, LAYERS, HeadName, Layer, VGGConfig, VGGHead, read_head, read_layers

ADVICE = "Enlarge the picture or leave out a pool: vgg(cfg=[...])."


class PaperLinear(nn.Linear):
    """A linear layer drawn as the paper's section 3.1 says, N(0, 0.01), with bias 0."""

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, 0.0, 0.01)
        nn.init.zeros_(self.bias)


class VGG(Net):
    """Convolutions and pools in one line, then linear layers."""

    def __init__(
        self,
        name: str,
        layers: Sequence[Layer],
        batch_norm: bool,
        head: VGGHead,
        num_classes: int,
        in_channels: int,
        side: int,
        inplace: bool,
    ) -> None:
        super().__init__()
        features: list[nn.Module] = []
        windows: list[Window] = []
        stages: list[Stage] = []
        normed: tuple[Window, ...] = ()  # the windows up to the last batch norm
        channels, stride = in_channels, 1
        for layer in layers:
            if layer == "M":
                windows.append(Window(f"the pool features.{len(features)}", 2, 2))
                features.append(nn.MaxPool2d(2))
                stride *= 2
                stages.append(Stage(f"features.{len(features) - 1}", channels, stride))
            elif layer == "LRN":
                features.append(local_response_norm())
            else:
                kernel_size, width = layer if isinstance(layer, tuple) else (3, layer)
                features.append(Conv2d(channels, width, kernel_size, padding=kernel_size // 2))
                if batch_norm:
                    features.append(nn.BatchNorm2d(width))
                    normed = tuple(windows)
                features.append(nn.ReLU(inplace))
                channels = width
        if layers[-1] != "M":  # no pool closes the last stage
            stages.append(Stage(f"features.{len(features) - 1}", channels, stride))
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(head.pool)

        # The paper's draw is for its own head; without the 4096s and their dropout it starts too small to learn.
        linear = PaperLinear if head == HEADS["imagenet"] else nn.Linear
        top: list[nn.Module] = [dropout_layer(head.dropout)] if head.batch_norm else []
        width = channels * head.pool**2
        for hidden in head.hidden:
            top.append(linear(width, hidden))
            if head.batch_norm:
                top.append(nn.BatchNorm1d(hidden))
            top += [nn.ReLU(inplace), dropout_layer(head.dropout)]
            width = hidden
        self.classifier = nn.Sequential(*top, classifier(width, num_classes, linear))

        self.num_features = width
        self.num_classes = num_classes
        self.feature_info = tuple(stages)
        lone_side = ANY_SIDE if head.batch_norm and head.hidden else largest_side(normed) if batch_norm else 0
        least = smallest_side(tuple(windows))
        self.input_size = (in_channels, max(side, least), max(side, least))
        self._rule = InputRule(name, in_channels, None, least, ADVICE, tuple(windows), lone_side)
        self._classifier = f"classifier.{len(top)}"
        self._linear = linear

    def forward_features(self, x: Tensor) -> Tensor:  # N C H W -> N 512 H/32 W/32
        return self.features(self.check(x))

    def forward_head(self, x: Tensor) -> Tensor:  # N 512 H/32 W/32 -> N classes
        return self.classifier(self.avgpool(x).flatten(1))


def make_vgg(
    name: str,
    letters: Sequence[str],
    cfg: object,
    batch_norm: bool,
    num_classes: int | None = None,
    in_channels: int = 3,
    head: object = "imagenet",
    inplace: bool = True,
    weights: WeightsLike | None = None,  # loaded where the builder is registered
) -> VGG:
    """The net behind every VGG builder, its options checked."""
    layers = read_layers(name, cfg, letters)
    plan = read_head(name, head)
    imagenet = plan == HEADS["imagenet"]
    if num_classes is None:
        num_classes = 1000 if imagenet else 10
    check_int(name, "num_classes", num_classes, least=0)
    check_int(name, "in_channels", in_channels)
    check_choice(name, "batch_norm", batch_norm, (True, False))
    check_choice(name, "inplace", inplace, (True, False))
    return VGG(name, layers, batch_norm, plan, num_classes, in_channels, 224 if imagenet else 32, inplace)


class VGGOptions(TypedDict, total=False):
    """The options that all VGG builders share; ``vgg`` has their defaults."""

    num_classes: int | None
    in_channels: int
    head: HeadName | VGGHead | Mapping[str, object]
    inplace: bool
    weights: WeightsLike | None


# Section 3.1 of the paper, with a cosine instead of a tenth at each plateau.
RECIPE = Recipe(epochs=74, batch_size=256, optimizer="sgd", lr=0.01, weight_decay=5e-4, schedule="cosine")
FAMILY = Family("Simonyan & Zisserman 2015", 2015, RECIPE, input_size=(3, 224, 224), smallest=32)


@register(FAMILY, 132_863_336, 7_609_090_048)
def vgg(
    cfg: VGGConfig = "A",
    batch_norm: bool = False,
    *,
    num_classes: int | None = None,
    in_channels: int = 3,
    head: HeadName | VGGHead | Mapping[str, object] = "imagenet",
    inplace: bool = True,
    weights: WeightsLike | None = None,
) -> VGG:
    """A VGG of any configuration.

    Args:
        cfg: A letter of the paper's table 1, or a list of layers: ``64`` is a 3x3 convolution of that width, ``"M"`` a
            2x2 max pool, ``"LRN"`` a local response normalisation, ``(1, 256)`` a 1x1 convolution.
        batch_norm: Batch norm behind every convolution; not in the paper.
        num_classes: Length of the logits, by default 1000 with the ImageNet head and 10 with any other; 0 gives the
            vector before the last linear layer.
        in_channels: Channels of the pictures.
        head: ``"imagenet"`` (pool to 7x7, 4096, 4096, dropout), ``"wide"`` (pool to 1x1, 4096, 4096), ``"compact"``
            (1x1, dropout, 512 with batch norm, dropout), ``"linear"`` (1x1, nothing hidden), a ``VGGHead`` or its dict.
        inplace: Let ReLUs overwrite their input; turn off to hang full backward hooks on every module.
        weights: A file, a state dict or torchvision's; nothing is initialised first (see ``load_weights``).

    Shape:
        (N, in_channels, H, W) -> (N, num_classes), H and W at least 2 to the number of pools.

    Raises:
        ValueError: When ``cfg``, ``head`` or another option is not one that can be built.
        ShapeError: When a picture of another shape comes in, or one too small.

    Source:
        Simonyan & Zisserman 2015, tables 1 and 2. The adaptive pool before the head is torchvision's; convolutions
        are drawn as in He et al. 2015, linear layers of the ImageNet head from N(0, 0.01), of others as in PyTorch.

    >>> import torch
    >>> vgg([16, "M", (1, 32)], head="linear")(torch.zeros(1, 3, 8, 8)).shape
    torch.Size([1, 10])
    """
    return make_vgg("vgg", tuple(LAYERS), cfg, batch_norm, num_classes, in_channels, head, inplace)


@register(FAMILY, 132_863_336, 7_609_090_048, shared=vgg)
def vgg11(cfg: VGGConfig = "A", batch_norm: bool = False, **options: Unpack[VGGOptions]) -> VGG:
    """VGG with 11 weight layers: configuration A, 132,863,336 parameters at 1000 classes.

    Args:
        cfg: "A" or "A-LRN" (local response normalisation behind the first convolution), or a list of layers.
        batch_norm: Batch norm behind every convolution; not in the paper.
        **options: As for ``vgg``.

    Shape:
        (N, in_channels, H, W) -> (N, num_classes), H and W at least 32 pixels.

    Raises:
        ValueError: When ``cfg``, ``head`` or another option is not one that can be built.
        ShapeError: When a picture of another shape comes in, or one too small.

    Source:
        Simonyan & Zisserman 2015, tables 1 and 2; as ``vgg``.

    >>> import torch
    >>> with torch.device("meta"):
    ...     net = vgg11("A-LRN", head="linear")
    >>> len(net.features)
    22
    """
    return make_vgg("vgg11", ("A", "A-LRN"), cfg, batch_norm, **options)


@register(FAMILY, 133_047_848, 11_308_466_176, shared=vgg)
def vgg13(cfg: VGGConfig = "B", batch_norm: bool = False, **options: Unpack[VGGOptions]) -> VGG:
    """VGG with 13 weight layers: configuration B, 133,047,848 parameters at 1000 classes.

    Args:
        cfg: "B", or a list of layers.
        batch_norm: Batch norm behind every convolution; not in the paper.
        **options: As for ``vgg``.

    Shape:
        (N, in_channels, H, W) -> (N, num_classes), H and W at least 32 pixels.

    Raises:
        ValueError: When ``cfg``, ``head`` or another option is not one that can be built.
        ShapeError: When a picture of another shape comes in, or one too small.

    Source:
        Simonyan & Zisserman 2015, tables 1 and 2; as ``vgg``.

    >>> import torch
    >>> with torch.device("meta"):
    ...     net = vgg13(batch_norm=True, head="compact")
    >>> net.num_features
    512
    """
    return make_vgg("vgg13", ("B",), cfg, batch_norm, **options)


@register(FAMILY, 138_357_544, 15_470_264_320, shared=vgg)
def vgg16(cfg: VGGConfig = "D", batch_norm: bool = False, **options: Unpack[VGGOptions]) -> VGG:
    """VGG with 16 weight layers: configuration D, 138,357,544 parameters at 1000 classes.

    Args:
        cfg: "D", or "C" (three 1x1 convolutions; 133,638,952 parameters), or a list of layers.
        batch_norm: Batch norm behind every convolution; not in the paper.
        **options: As for ``vgg``.

    Shape:
        (N, in_channels, H, W) -> (N, num_classes), H and W at least 32 pixels.

    Raises:
        ValueError: When ``cfg``, ``head`` or another option is not one that can be built.
        ShapeError: When a picture of another shape comes in, or one too small.

    Source:
        Simonyan & Zisserman 2015, tables 1 and 2; as ``vgg``.

    >>> import torch
    >>> with torch.device("meta"):
    ...     net = vgg16(head="wide", num_classes=3)
    >>> net.num_classes
    3
    """
    return make_vgg("vgg16", ("C", "D"), cfg, batch_norm, **options)


@register(FAMILY, 143_667_240, 19_632_062_464, shared=vgg)
def vgg19(cfg: VGGConfig = "E", batch_norm: bool = False, **options: Unpack[VGGOptions]) -> VGG:
    """VGG with 19 weight layers: configuration E, 143,667,240 parameters at 1000 classes.

    Args:
        cfg: "E", or a list of layers.
        batch_norm: Batch norm behind every convolution; not in the paper.
        **options: As for ``vgg``.

    Shape:
        (N, in_channels, H, W) -> (N, num_classes), H and W at least 32 pixels.

    Raises:
        ValueError: When ``cfg``, ``head`` or another option is not one that can be built.
        ShapeError: When a picture of another shape comes in, or one too small.

    Source:
        Simonyan & Zisserman 2015, tables 1 and 2; as ``vgg``.

    >>> import torch
    >>> with torch.device("meta"):
    ...     net = vgg19(in_channels=1)
    >>> net.input_size
    (1, 224, 224)
    """
    return make_vgg("vgg19", ("E",), cfg, batch_norm, **options)
