"""A three-convolution classifier for 32x32 pictures, as lab courses use it for CIFAR-10.

N batch, C channels, H W pixels.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from ..errors import OptionError, check_choice, check_int, check_number, check_widths, message
from ..weights import WeightsLike
from .base import InputRule, Net, Stage, classifier
from .blocks import Norm, norm_layer
from .registry import Family, Recipe, register


class ConvNet3(Net):
    """Convolutions with norm, ReLU and a 2x2 pool each, then linear layers with dropout between."""

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        channels: Sequence[int],
        kernel_size: int,
        hidden: Sequence[int],
        dropout: float,
        input_size: int,
        norm: Norm,
        inplace: bool,
    ) -> None:
        super().__init__()
        features: list[nn.Module] = []
        stages: list[Stage] = []
        width = in_channels
        for depth, out in enumerate(channels, start=1):
            features += [
                nn.Conv2d(width, out, kernel_size, padding=kernel_size // 2),
                norm_layer(norm, out),
                nn.ReLU(inplace),
                nn.MaxPool2d(2),
            ]
            stages.append(Stage(f"features.{len(features) - 1}", out, 2**depth))
            width = out
        self.features = nn.Sequential(*features)  # N C H W -> N 128 H/8 W/8
        side = input_size // 2 ** len(channels)
        layers: list[nn.Module] = []
        features_in = width * side * side
        for out in hidden:
            layers += [nn.Linear(features_in, out), nn.ReLU(inplace), nn.Dropout(dropout)]
            features_in = out
        self.classifier = nn.Sequential(*layers, classifier(features_in, num_classes))

        self.num_features = features_in
        self.num_classes = num_classes
        self.input_size = (in_channels, input_size, input_size)
        self.feature_info = tuple(stages)
        self._rule = InputRule("convnet3", in_channels, input_size)
        self._classifier = f"classifier.{len(layers)}"

    def forward_features(self, x: Tensor) -> Tensor:  # N C H W -> N 128 H/8 W/8
        return self.features(self.check(x))

    def forward_head(self, x: Tensor) -> Tensor:  # N 128 H/8 W/8 -> N classes
        return self.classifier(x.flatten(1))


RECIPE = Recipe(epochs=30, batch_size=128, optimizer="adamw", lr=2e-3, weight_decay=0.01, schedule="onecycle")
FAMILY = Family("Three-convolution CIFAR-10 lab classifier", 2020, RECIPE, input_size=(3, 32, 32), smallest=32)


@register(FAMILY, 469_532, 28_882_300)
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
    inplace: bool = True,
    weights: WeightsLike | None = None,
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
        weights: A file, a state dict or torchvision's; nothing is initialised first (see ``load_weights``).

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
    check_int("convnet3", "num_classes", num_classes, least=0)
    check_int("convnet3", "in_channels", in_channels)
    check_widths("convnet3", "channels", channels)
    check_widths("convnet3", "hidden", hidden)
    if not channels:
        raise OptionError(message("convnet3", "at least one width in channels", channels))
    check_int("convnet3", "kernel_size", kernel_size)
    if kernel_size % 2 == 0:
        raise OptionError(message("convnet3", "an odd kernel_size", kernel_size, f"Take {kernel_size + 1}."))
    check_number("convnet3", "dropout", dropout, 0, below=1)
    check_int("convnet3", "input_size", input_size, least=2 ** len(channels))
    check_choice("convnet3", "norm", norm, ("batch", "group"))
    check_choice("convnet3", "inplace", inplace, (True, False))
    return ConvNet3(num_classes, in_channels, channels, kernel_size, hidden, dropout, input_size, norm, inplace)
