"""LeNet-5: as tabled today, as published in 1998, and the wide textbook form for cats and dogs.

N batch, C channels, H W pixels.

LeCun, Bottou, Bengio & Haffner, "Gradient-based learning applied to document recognition", Proc. IEEE 86(11), 1998.
"""

import math
from itertools import pairwise
from typing import Annotated, Literal, Unpack, overload

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import OptionError, message
from ..inputs import takes_maps, takes_pictures
from ..shapes.input_rule import InputRule, MapRule, Window
from ..weights import WeightsLike
from .base import Net, Stage
from .blocks import Affine, conv2d, linear, no_bias
from .layered import LayeredNet, windows_of
from .options import AtLeast, CommonOptions, NumClasses, Positive
from .registry import Family, Recipe, makes, register

# Widths of the two convolutions and of the hidden linear layers.
PLANS: dict[str, tuple[tuple[int, int], tuple[int, ...]]] = {
    "modern": ((6, 16), (120, 84)),
    "wide": ((16, 32), (512,)),
}

# Table I of the paper: which maps of S2 feed which map of C3, by number of connections.
C3_THREE = ((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5))
C3_FOUR = (
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
)


# Figure 3 of the paper, drawn anew: the ten +-1 codes of its output, digits 7 wide and 12 high.
DIGITS = """
....... ....... ....... ....... ....... ....... ....... ....... ....... .......
..###.. ...##.. .#####. .#####. ....##. ####### ..####. ####### .#####. .#####.
.##.##. ..###.. ##...## ##...## ...###. ##..... .##.... ##...## ##...## ##...##
##...## .####.. ##...## .....## ...###. ##..... ##..... .....## ##...## ##...##
##...## ...##.. .....## .....## ..#.##. ##..... ##..... ....##. ##...## ##...##
##...## ...##.. ....##. ..####. .##.##. ######. ##.###. ....##. .#####. ##..###
##...## ...##.. ...##.. .....## ##..##. .....## ###..## ...##.. ##...## .###.##
##...## ...##.. ..##... .....## ####### .....## ##...## ...##.. ##...## .....##
##...## ...##.. .##.... .....## ....##. .....## ##...## ..##... ##...## .....##
.##.##. ...##.. ##..... ##...## ....##. ##...## .##.##. ..##... ##...## ....##.
..###.. .###### ####### .#####. ....##. .#####. ..###.. ..##... .#####. .####..
....... ....... ....... ....... ....... ....... ....... ....... ....... .......
"""


class LeNet(LayeredNet):
    """Convolution, ReLU and max pool twice, then linear layers: N 1 32 32 -> N 16 5 5 -> N classes."""


class ScaledTanh(nn.Module):
    """The paper's squashing function, 1.7159 tanh(2/3 a) (appendix A)."""

    def forward(self, x: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(x * (2 / 3))


class Subsampling(nn.Module):
    """The sum of each 2x2 window times one trainable weight a map, plus one trainable bias a map (S2, S4)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # A weight of 1/4 averages; the paper draws from +-2.4 / fan-in.
        self.weight = nn.Parameter(torch.full((channels,), 0.25))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:  # N C H W -> N C H/2 W/2
        total = F.avg_pool2d(x, 2) * 4
        return total * self.weight[:, None, None] + self.bias[:, None, None]


class SparseConvolution(nn.Module):
    """C3: 16 maps that see 3, 4 or all 6 of the maps below, as table I of the paper says: 1,516 parameters.

    Each group of maps with equally many inputs is one grouped convolution over the maps it takes, in order.
    """

    three_of: Tensor
    four_of: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.three = conv2d(18, 6, 5, 1, 0, 1, 6, draw=uniform_by_fan_in)  # 6 groups
        self.four = conv2d(36, 9, 5, 1, 0, 1, 9, draw=uniform_by_fan_in)  # 9 groups
        self.six = conv2d(6, 1, 5, draw=uniform_by_fan_in)
        self.register_buffer("three_of", torch.tensor(C3_THREE).flatten())
        self.register_buffer("four_of", torch.tensor(C3_FOUR).flatten())

    def forward(self, x: Tensor) -> Tensor:  # N 6 H W -> N 16 H-4 W-4
        maps = (self.three(x[:, self.three_of]), self.four(x[:, self.four_of]), self.six(x))
        return torch.cat(maps, dim=1)


class RBFOutput(nn.Module):
    """Logits are minus the squared distances to the fixed codes; the least distant class wins (equation 7).

    A code is +1 where its digit is black and -1 elsewhere, row by row.
    """

    codes: Tensor

    def __init__(self) -> None:
        super().__init__()
        bitmaps = zip(*(line.split() for line in DIGITS.split("\n") if line), strict=True)  # by digit, rows in order
        codes = [[1.0 if pixel == "#" else -1.0 for pixel in "".join(rows)] for rows in bitmaps]
        self.register_buffer("codes", torch.tensor(codes))  # 10 84

    def forward(self, x: Tensor) -> Tensor:  # N 84 -> N 10
        return -(x[:, None] - self.codes).square().sum(dim=2)


def uniform_by_fan_in(layer: Affine) -> None:
    """Section III-B of the paper: uniform in +-2.4 / fan-in; the bias is 0."""
    bound = 2.4 / math.prod(layer.weight.shape[1:])
    nn.init.uniform_(layer.weight, -bound, bound)
    no_bias(layer)


class LeNet1998(Net):
    """LeNet-5 as published: C1, S2, C3, S4, C5, F6 and the radial-basis output."""

    def __init__(self, num_classes: int, in_channels: int) -> None:
        Net.__init__(self)
        self.c1 = conv2d(in_channels, 6, 5, draw=uniform_by_fan_in)
        self.s2 = Subsampling(6)
        self.c3 = SparseConvolution()
        self.s4 = Subsampling(16)
        self.c5 = conv2d(16, 120, 5, draw=uniform_by_fan_in)
        self.f6 = linear(120, 84, uniform_by_fan_in)
        self.squash = ScaledTanh()
        stages = (Stage("s2", 6, 2), Stage("s4", 16, 4))
        windows = (Window("c1", 5, 1), Window("s2", 2, 2), Window("c3", 5, 1), Window("s4", 2, 2))
        self.describe(InputRule("lenet5", in_channels, 32, windows=windows), 32, stages, num_features=84, last="output")
        self.output = self.last_layer(num_classes)

    @takes_pictures
    def forward_features(self, x: Tensor) -> Tensor:  # N C 32 32 -> N 16 5 5
        x = self.squash(self.s2(self.squash(self.c1(x))))  # N 6 14 14
        return self.squash(self.s4(self.squash(self.c3(x))))

    @takes_maps
    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:  # N 16 5 5 -> N classes
        x = torch.flatten(self.squash(self.c5(x)), 1)  # N 120
        x = self.squash(self.f6(x))
        return x if pre_logits else self.output(x)

    def input_rule(self) -> InputRule | None:
        return self._rule._replace(channels=self.c1.in_channels) if self.is_as_built() else None

    def head_rule(self) -> MapRule | None:
        return self._map_rule if self.is_as_built() else None

    def is_as_built(self) -> bool:
        """Whether every layer is still of its kind, and PyTorch's own of the paper's geometry."""
        kinds = {"c1": nn.Conv2d, "s2": Subsampling, "c3": SparseConvolution, "s4": Subsampling, "c5": nn.Conv2d}
        layers = {path: self.layer_at(path) for path in kinds}
        if not all(isinstance(layers[path], kind) for path, kind in kinds.items()):
            return False
        return windows_of([("c1", self.c1), ("c5", self.c5)]) == (Window("c1", 5, 1), Window("c5", 5, 1))

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        if enable:
            advice = "Its maps are a few kilobytes a picture."
            raise OptionError(message("lenet5 of 1998", "no gradient checkpointing", "enable=True", advice))

    def last_layer(self, num_classes: int) -> nn.Module:
        """The fixed codes are those of the ten digits, so ``num_classes`` is 10 or 0."""
        if isinstance(num_classes, bool) or num_classes not in (0, 10):
            advice = "Its output codes are those of the ten digits; for other classes take variant='modern'."
            raise OptionError(message("lenet5 of 1998", "num_classes of 10 or 0", repr(num_classes), advice))
        self.num_classes = num_classes
        return RBFOutput() if num_classes else nn.Identity()


# With smoothed labels the validation loss, which is reported without, is lowest before the net is at its best.
RECIPE = Recipe(20, 32, "adamw", 8e-3, 0.01, "onecycle", label_smoothing=0.1, restore_best=False)
FAMILY = Family("LeCun et al. 1998", 1998, RECIPE, input_size=(1, 32, 32), smallest=32)


@makes
def make_lenet(
    name: str,
    /,
    num_classes: NumClasses,
    in_channels: Positive,
    variant: Literal["modern", "1998", "wide"],
    input_size: Annotated[int, AtLeast(16)],
    *,
    inplace: bool = True,
    weights: WeightsLike | None = None,  # loaded by ``makes``
) -> LeNet | LeNet1998:
    """The net of a variant, its options checked."""
    if variant == "1998":
        if input_size != 32:
            raise OptionError(message("lenet5 of 1998", "input_size 32", input_size, "Resize the pictures."))
        return LeNet1998(num_classes, in_channels)
    (width1, width2), hidden = PLANS[variant]
    features = [
        *(nn.Conv2d(in_channels, width1, 5), nn.ReLU(inplace), nn.MaxPool2d(2)),  # 32 -> 28 -> 14
        *(nn.Conv2d(width1, width2, 5), nn.ReLU(inplace), nn.MaxPool2d(2)),  # 14 -> 10 -> 5
    ]
    last_side = ((input_size - 4) // 2 - 4) // 2
    widths = (width2 * last_side**2, *hidden)
    top = [m for a, b in pairwise(widths) for m in (nn.Linear(a, b), nn.ReLU(inplace))]
    return LeNet(name, features, top, widths[-1], num_classes, in_channels, input_size)


@overload
def lenet5(
    num_classes: int = 10,
    in_channels: int = 1,
    *,
    variant: Literal["modern", "wide"] = "modern",
    input_size: int = 32,
    inplace: bool = True,
    weights: WeightsLike | None = None,
) -> LeNet: ...
@overload
def lenet5(
    num_classes: int = 10,
    in_channels: int = 1,
    *,
    variant: Literal["1998"],
    input_size: int = 32,
    inplace: bool = True,
    weights: WeightsLike | None = None,
) -> LeNet1998: ...
@register(FAMILY, 61_706, 416_520, make_lenet)
def lenet5(
    num_classes: int = 10,
    in_channels: int = 1,
    *,
    variant: Literal["modern", "1998", "wide"] = "modern",
    input_size: int = 32,
    **options: Unpack[CommonOptions],
) -> LeNet | LeNet1998:
    """LeNet-5: 61,706 parameters as tabled today, 60,000 as published, 46,038,242 as the wide cats-and-dogs net.

    Args:
        num_classes: Length of the logits; 0 gives the vector before the last layer (84 numbers, 512 for "wide").
        in_channels: Channels of the pictures.
        variant: ``"modern"`` has ReLU, max pools and a full C3; ``"1998"`` is the paper's net; ``"wide"`` has 16 and
            32 maps and one hidden linear layer of 512.
        input_size: Side of the pictures in pixels: 224 in the textbook's "wide", 32 for "1998".
        inplace: Let ReLUs overwrite their input; turn off to hang full backward hooks on every module.
        weights: A file, a state dict or torchvision's; nothing is initialised first (see ``load_weights``). Or the name
            of a trained net of the package, whose options take the place of those at their defaults.

    Shape:
        (N, in_channels, input_size, input_size) -> (N, num_classes).

    Raises:
        ValueError: When an option is not one that can be built.
        ShapeError: When a picture of another shape comes in.

    Source:
        LeCun et al. 1998, figure 2, tables I and appendix A; logits, not a softmax, come out. The codes of the "1998"
        output are drawn after the paper's figure 3 (7x12 bitmaps), its pixels are not copied; the paper trains with
        its equations 8 and 9, here cross entropy over minus the distances, which is equation 9 without its constant.

    >>> import torch
    >>> lenet5()(torch.zeros(2, 1, 32, 32)).shape
    torch.Size([2, 10])
    """
    return make_lenet("lenet5", num_classes, in_channels, variant, input_size, **options)
