"""The ResNet: residual blocks, stages of them as data, and the net that reads these.

N batch, C channels, H W pixels, s stride; a block turns (N, C, H, W) into (N, C', H/s, W/s), rounded up.

He, Zhang, Ren & Sun, "Deep residual learning for image recognition", CVPR 2016, arXiv:1512.03385.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from ..shapes.input_rule import InputRule
from .base import Net, Stage
from .blocks import Add, Conv2d, Norm, norm_layer

Stem = Literal["imagenet", "cifar"]
Shortcut = Literal["A", "B", "C"]
StrideIn = Literal["3x3", "1x1"]


@dataclass(frozen=True)
class Style:
    """What all blocks of a net have in common; ``resnet18`` says what each means.

    Attributes:
        branch_scale: Where the scale of a block's last norm starts; at 0 the block starts as its shortcut.
    """

    shortcut: Shortcut = "B"
    stride_in: StrideIn = "3x3"
    residual: bool = True
    shortcut_bias: bool = False
    branch_scale: float = 1.0
    groups: int = 1
    width_per_group: int = 64
    norm: Norm = "batch"
    inplace: bool = True
    conv_bias: bool = False
    conv: type[nn.Conv2d] = Conv2d
    linear: type[nn.Linear] = nn.Linear


class ZeroPadShortcut(nn.Module):
    """Option A: every s-th pixel, and channels of zeros, half of them in front and half behind."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        missing = out_channels - in_channels
        self.front, self.behind = missing // 2, missing - missing // 2

    def forward(self, x: Tensor) -> Tensor:  # N C H W -> N C' H/s W/s
        # A pool over single pixels, not x[:, :, ::s, ::s]: its side follows the convolution's formula, so that an
        # exported graph with a free height can prove that shortcut and branch agree.
        x = F.avg_pool2d(x, 1, self.stride)
        return F.pad(x, (0, 0, 0, 0, self.front, self.behind))

    def extra_repr(self) -> str:
        return f"stride={self.stride}, front={self.front}, behind={self.behind}"


def make_shortcut(in_channels: int, out_channels: int, stride: int, style: Style) -> nn.Module | None:
    """What stands beside a block's convolutions; None for nothing, which leaves the identity (or no shortcut)."""
    same = stride == 1 and in_channels == out_channels
    if not style.residual or (same and style.shortcut != "C"):
        return None
    if style.shortcut == "A":
        return ZeroPadShortcut(in_channels, out_channels, stride)
    projection = style.conv(in_channels, out_channels, 1, stride, bias=style.shortcut_bias)
    return nn.Sequential(projection, norm_layer(style.norm, out_channels))


class Block(nn.Module):
    """The end of both blocks: the branch meets the shortcut, then a ReLU."""

    expansion: ClassVar[int]  # the block's output channels over its width
    downsample: nn.Module | None

    def __init__(self, style: Style) -> None:
        super().__init__()
        self.relu = nn.ReLU(style.inplace)
        self.add = Add(style.inplace) if style.residual else None

    def join(self, branch: Tensor, x: Tensor) -> Tensor:
        if self.add is None:  # a plain twin
            return self.relu(branch)
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.relu(self.add(branch, shortcut))


class BasicBlock(Block):
    """Two 3x3 convolutions beside a shortcut (figure 5, left).

    Dilation is kept apart for what runs before and after the stride that it replaces, so that the dilated net gives
    the strided net's values at the strided net's pixels.
    """

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int, dilations: tuple[int, int], style: Style) -> None:
        super().__init__(style)
        before, after = dilations
        self.conv1 = style.conv(in_channels, width, 3, stride, before, before, bias=style.conv_bias)
        self.bn1 = norm_layer(style.norm, width)
        self.conv2 = style.conv(width, width, 3, 1, after, after, bias=style.conv_bias)
        self.bn2 = norm_layer(style.norm, width, scale=style.branch_scale)
        self.downsample = make_shortcut(in_channels, width, stride, style)

    def forward(self, x: Tensor) -> Tensor:  # N C H W
        out = self.relu(self.bn1(self.conv1(x)))  # N C' H/s W/s
        return self.join(self.bn2(self.conv2(out)), x)


class Bottleneck(Block):
    """A 1x1, a 3x3 and a 1x1 convolution beside a shortcut (figure 5, right).

    The paper's stride is in the first 1x1 (v1); in the 3x3 (v1.5, Goyal et al. 2017) it is a little more accurate.
    """

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int, dilations: tuple[int, int], style: Style) -> None:
        super().__init__(style)
        inner = width * style.width_per_group // 64 * style.groups
        out_channels = width * self.expansion
        stride1, stride2 = (1, stride) if style.stride_in == "3x3" else (stride, 1)
        dilation = dilations[0] if style.stride_in == "3x3" else dilations[1]
        self.conv1 = style.conv(in_channels, inner, 1, stride1, bias=style.conv_bias)
        self.bn1 = norm_layer(style.norm, inner)
        self.conv2 = style.conv(inner, inner, 3, stride2, dilation, dilation, style.groups, style.conv_bias)
        self.bn2 = norm_layer(style.norm, inner)
        self.conv3 = style.conv(inner, out_channels, 1, bias=style.conv_bias)
        self.bn3 = norm_layer(style.norm, out_channels, scale=style.branch_scale)
        self.downsample = make_shortcut(in_channels, out_channels, stride, style)

    def forward(self, x: Tensor) -> Tensor:  # N C H W
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))  # N C'/4 H/s W/s
        return self.join(self.bn3(self.conv3(out)), x)  # N C' H/s W/s


BlockType = type[BasicBlock] | type[Bottleneck]


class StagePlan(NamedTuple):
    """A run of blocks of one width: its name in the net, and the stride of each block."""

    name: str
    width: int
    strides: tuple[int, ...]


def plan_stages(width: int, depths: Sequence[int]) -> tuple[StagePlan, ...]:
    """The paper's stages: each halves the map in its first block and doubles the width, but for the first."""
    return tuple(
        StagePlan(f"layer{i + 1}", width * 2**i, (2 if i else 1, *[1] * (depth - 1))) for i, depth in enumerate(depths)
    )


class ResNet(Net):
    """A stem, stages of residual blocks, global average pooling and one linear layer."""

    def __init__(
        self,
        name: str,
        block: BlockType,
        stages: Sequence[StagePlan],
        num_classes: int,
        in_channels: int,
        side: int,
        stem: Stem,
        style: Style,
        dilate: Sequence[bool] = (),
    ) -> None:
        super().__init__()
        channels = stages[0].width
        kernel, stride = (7, 2) if stem == "imagenet" else (3, 1)
        self.conv1 = style.conv(in_channels, channels, kernel, stride, kernel // 2, bias=style.conv_bias)
        self.bn1 = norm_layer(style.norm, channels)
        self.relu = nn.ReLU(style.inplace)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if stem == "imagenet" else None
        jump = 4 if stem == "imagenet" else 1  # input pixels from one pixel of the map to the next
        dilation = 1
        info: list[Stage] = []
        for plan, dilated in zip(stages, (False, *dilate, *[False] * len(stages)), strict=False):
            blocks: list[nn.Module] = []
            for step in plan.strides:
                before = dilation
                if dilated:
                    dilation, step = dilation * step, 1
                blocks.append(block(channels, plan.width, step, (before, dilation), style))
                channels = plan.width * block.expansion
                jump *= step
            self.add_module(plan.name, nn.Sequential(*blocks))
            info.append(Stage(plan.name, channels, jump))
        # Every layer rounds up, so any side passes, and the last map is one pixel up to a side of its stride.
        lone_side, lone_mode = (jump, "train") if style.norm == "batch" else (self.lone_group_side(info), "eval")
        rule = InputRule(name, in_channels, side=None, lone_side=lone_side, lone_mode=lone_mode)
        self.describe(rule, side, info, num_features=channels, last="fc")
        self._linear = style.linear
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = self.last_layer(num_classes)

    def forward_features(self, x: Tensor) -> Tensor:  # N C H W -> N C' H/32 W/32
        x = self.relu(self.bn1(self.conv1(self.check(x))))
        if self.maxpool is not None:
            x = self.maxpool(x)
        for stage in self.feature_info:
            x = getattr(self, stage.name)(x)
        return x

    def forward_head(self, x: Tensor) -> Tensor:  # N C' H/32 W/32 -> N classes
        return self.fc(self.avgpool(self.check_map(x)).flatten(1))

    def lone_group_side(self, stages: Sequence[Stage]) -> int:
        """The largest side at which a group norm with one channel a group sees a single pixel; 0 without such a norm.

        All norms of a stage count as behind its stride, which the first ones are not.
        """
        strides = {"bn1": self.conv1.stride[0]} | {stage.name: stage.stride for stage in stages}
        norms = [(stride, norm) for name, stride in strides.items() for norm in self.get_submodule(name).modules()]
        return max((s for s, n in norms if isinstance(n, nn.GroupNorm) and n.num_groups == n.num_channels), default=0)
