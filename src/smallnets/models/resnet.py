"""The ResNet: residual blocks, stages of them as data, and the net that reads these.

The builders are in ``resnet_imagenet`` (ResNet-18 to 152), ``resnet_cifar`` (20 to 1202) and ``resnet_layer4``.

N batch, C channels, H W pixels, s stride; a block turns (N, C, H, W) into (N, C', H/s, W/s), rounded up.

He, Zhang, Ren & Sun, "Deep residual learning for image recognition", CVPR 2016, arXiv:1512.03385.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..inputs import computes, is_scripting, takes_maps, takes_pictures
from ..shapes.input_rule import InputRule, MapRule
from .base import Net, Stage
from .blocks import Draw, Norm, add, conv2d, he_normal, norm_layer, torchs_own

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
    draw_conv: Draw = he_normal
    draw_linear: Draw = torchs_own

    def conv(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
    ) -> nn.Conv2d:
        """A convolution as those of the net's branches are."""
        sizes = (in_channels, out_channels, kernel_size, stride, padding, dilation, groups)
        return conv2d(*sizes, self.conv_bias, self.draw_conv)


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
    projection = conv2d(in_channels, out_channels, 1, stride, bias=style.shortcut_bias, draw=style.draw_conv)
    return nn.Sequential(projection, norm_layer(style.norm, out_channels))


class Block(nn.Module):
    """The end of both blocks: the branch meets the shortcut, then a ReLU."""

    expansion: ClassVar[int]  # the block's output channels over its width

    def __init__(self, style: Style) -> None:
        super().__init__()
        self.relu: nn.Module  # declared here: what a class annotates, torch.jit.script reads
        self.downsample: nn.Module | None
        self.residual, self.inplace = style.residual, style.inplace

    def join(self, branch: Tensor, x: Tensor) -> Tensor:
        if self.downsample is not None:
            x = self.downsample(x)
        if self.residual:
            branch = add(branch, x, self.inplace)
        return self.relu(branch)


class BasicBlock(Block):
    """Two 3x3 convolutions beside a shortcut (figure 5, left).

    Dilation is kept apart for what runs before and after the stride that it replaces, so that the dilated net gives
    the strided net's values at the strided net's pixels.
    """

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int, dilations: tuple[int, int], style: Style) -> None:
        super().__init__(style)
        before, after = dilations
        self.conv1 = style.conv(in_channels, width, 3, stride, before, before)
        self.bn1 = norm_layer(style.norm, width)
        self.relu = nn.ReLU(style.inplace)
        self.conv2 = style.conv(width, width, 3, 1, after, after)
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
        self.conv1 = style.conv(in_channels, inner, 1, stride1)
        self.bn1 = norm_layer(style.norm, inner)
        self.conv2 = style.conv(inner, inner, 3, stride2, dilation, dilation, style.groups)
        self.bn2 = norm_layer(style.norm, inner)
        self.conv3 = style.conv(inner, out_channels, 1)
        self.bn3 = norm_layer(style.norm, out_channels, scale=style.branch_scale)
        self.relu = nn.ReLU(style.inplace)
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
        self.layer1: nn.Sequential  # there are those that the plan has
        self.layer2: nn.Sequential
        self.layer3: nn.Sequential
        self.layer4: nn.Sequential
        kernel, stride = (7, 2) if stem == "imagenet" else (3, 1)
        self.conv1 = style.conv(in_channels, channels, kernel, stride, kernel // 2)
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
        self.inplanes = channels  # torchvision's name for what the stages lead to
        # Every layer rounds up, so any side passes.
        rule = InputRule(name, in_channels, side=None)
        self.describe(rule, side, info, num_features=channels, last="fc")
        self._draw = style.draw_linear
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = self.last_layer(num_classes)

    @takes_pictures
    def forward_features(self, x: Tensor) -> Tensor:  # N C H W -> N C' H/32 W/32
        x = self.relu(self.bn1(self.conv1(x)))
        if self.maxpool is not None:
            x = self.maxpool(x)
        if not is_scripting():
            return self.staged(x)
        if hasattr(self, "layer1"):  # a script looks up no names
            x = self.layer1(x)
        if hasattr(self, "layer2"):
            x = self.layer2(x)
        if hasattr(self, "layer3"):
            x = self.layer3(x)
        if hasattr(self, "layer4"):
            x = self.layer4(x)
        return x

    def staged(self, x: Tensor) -> Tensor:  # N C H W -> N C' H/32 W/32
        if self.grad_checkpointing and computes(x):
            return self.recomputed(x)
        for stage in self.feature_info:
            x = getattr(self, stage.name)(x)
        return x

    @takes_maps
    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:  # N C' H/32 W/32 -> N classes
        x = torch.flatten(self.avgpool(x), 1)
        return x if pre_logits else self.fc(x)

    def stage_layers(self) -> list[nn.Module]:
        return [self.get_submodule(stage.name) for stage in self.feature_info]

    def input_rule(self) -> InputRule | None:
        first = self.layer_at("conv1")
        return self._rule._replace(channels=first.in_channels) if isinstance(first, nn.Conv2d) else None

    def head_rule(self) -> MapRule | None:
        pool, fc, last = self.layer_at("avgpool"), self.layer_at("fc"), self.layer_at(self.feature_info[-1].name)
        if not isinstance(pool, nn.AdaptiveAvgPool2d):
            return None
        if isinstance(fc, nn.Linear):
            return self._map_rule._replace(channels=fc.in_features)
        ends_as_built = isinstance(fc, nn.Identity) and isinstance(last, nn.Sequential) and isinstance(last[-1], Block)
        return self._map_rule if ends_as_built else None
