"""AlexNet: one tower, or the two of 2012.

N batch, C channels, H W pixels.

Krizhevsky, Sutskever & Hinton, "ImageNet classification with deep convolutional neural networks", NIPS 2012.
Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014, arXiv:1404.5997 (one tower).
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from torch import Tensor, nn

from ..errors import check_choice, check_int, check_number, check_widths
from ..weights import WeightsLike
from .base import InputRule, Net, Stage, Window, classifier, smallest_side
from .blocks import dropout_layer, local_response_norm
from .registry import Family, Recipe, register


class Tower(NamedTuple):
    """Widths of the five convolutions, their groups, and whether response normalisation follows the first two."""

    widths: tuple[int, int, int, int, int]
    groups: tuple[int, int, int, int, int]
    response_norm: bool
    side: int  # of the natural picture


class StemPlan(NamedTuple):
    """Padding of the first convolution by variant, kernel of the pools, and the side of the last map."""

    padding: dict[str, int]
    pool: int
    last_side: int


TOWERS = {
    "one-tower": Tower((64, 192, 384, 256, 256), (1, 1, 1, 1, 1), response_norm=False, side=224),
    "2012": Tower((96, 256, 384, 384, 256), (1, 2, 1, 2, 2), response_norm=True, side=227),
}
STEMS = {
    "imagenet": StemPlan({"one-tower": 2, "2012": 0}, pool=3, last_side=6),
    "cifar": StemPlan({"one-tower": 5, "2012": 5}, pool=2, last_side=1),
}
KERNELS = (11, 5, 3, 3, 3)
POOL_BEHIND = (True, True, False, False, True)


class AlexNet(Net):
    """Five convolutions, three max pools, an adaptive pool, linear layers."""

    def __init__(
        self,
        variant: str,
        stem: str,
        hidden: Sequence[int],
        dropout: float,
        num_classes: int,
        in_channels: int,
        inplace: bool,
    ) -> None:
        super().__init__()
        tower, plan = TOWERS[variant], STEMS[stem]
        features: list[nn.Module] = []
        windows: list[Window] = []
        stages: list[Stage] = []
        channels, stride = in_channels, 4
        for i, (width, kernel_size, groups) in enumerate(zip(tower.widths, KERNELS, tower.groups, strict=True)):
            if i == 0:
                padding = plan.padding[variant]
                windows.append(Window("features.0", kernel_size, 4, padding))
                features.append(nn.Conv2d(channels, width, kernel_size, 4, padding))
            else:
                features.append(nn.Conv2d(channels, width, kernel_size, padding=kernel_size // 2, groups=groups))
            features.append(nn.ReLU(inplace))
            if tower.response_norm and i < 2:
                features.append(local_response_norm())
            if POOL_BEHIND[i]:
                windows.append(Window(f"the pool features.{len(features)}", plan.pool, 2))
                features.append(nn.MaxPool2d(plan.pool, stride=2))
                stride *= 2
                stages.append(Stage(f"features.{len(features) - 1}", width, stride))
            channels = width
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(plan.last_side)
        top: list[nn.Module] = []
        width = channels * plan.last_side**2
        for out in hidden:
            top += [dropout_layer(dropout), nn.Linear(width, out), nn.ReLU(inplace)]
            width = out
        self.classifier = nn.Sequential(*top, classifier(width, num_classes))

        side = tower.side if stem == "imagenet" else 32
        self.num_features = width
        self.num_classes = num_classes
        self.input_size = (in_channels, side, side)
        self.feature_info = tuple(stages)
        self._rule = InputRule(
            "alexnet", in_channels, side=None, least=smallest_side(tuple(windows)), windows=tuple(windows)
        )
        self._classifier = f"classifier.{len(top)}"

    def forward_features(self, x: Tensor) -> Tensor:  # N C 224 224 -> N 256 6 6
        return self.features(self.check(x))

    def forward_head(self, x: Tensor) -> Tensor:  # N 256 6 6 -> N classes
        return self.classifier(self.avgpool(x).flatten(1))


# Section 5 of the paper: its three steps of a tenth, here at fixed epochs.
RECIPE = Recipe(epochs=90, batch_size=128, optimizer="sgd", lr=0.01, weight_decay=5e-4, schedule="step(30, 0.1)")
FAMILY = Family("Krizhevsky et al. 2012", 2012, RECIPE, input_size=(3, 224, 224), smallest=63)


@register(FAMILY, 61_100_840, 714_188_480)
def alexnet(
    num_classes: int | None = None,
    in_channels: int = 3,
    *,
    variant: Literal["one-tower", "2012"] = "one-tower",
    stem: Literal["imagenet", "cifar"] = "imagenet",
    hidden: Sequence[int] | None = None,
    dropout: float = 0.5,
    inplace: bool = True,
    weights: WeightsLike | None = None,
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
        weights: A file, a state dict or torchvision's; nothing is initialised first (see ``load_weights``).

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
    check_choice("alexnet", "variant", variant, TOWERS)
    check_choice("alexnet", "stem", stem, STEMS)
    if num_classes is None:
        num_classes = 1000 if stem == "imagenet" else 10
    if hidden is None:
        hidden = (4096, 4096) if stem == "imagenet" else ()
    check_int("alexnet", "num_classes", num_classes, least=0)
    check_int("alexnet", "in_channels", in_channels)
    check_widths("alexnet", "hidden", hidden)
    check_number("alexnet", "dropout", dropout, 0, below=1)
    check_choice("alexnet", "inplace", inplace, (True, False))
    return AlexNet(variant, stem, hidden, dropout, num_classes, in_channels, inplace)
