"""The ResNet: stages of residual blocks as data, and the net that reads them.

N batch, C channels, H W pixels.

He, Zhang, Ren & Sun, "Deep residual learning for image recognition", CVPR 2016, arXiv:1512.03385.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from torch import Tensor, nn

from ..errors import check_choice, check_int
from .base import InputRule, Net, Stage, classifier
from .blocks import lies_on_meta, meta_copier, norm_layer
from .resnet_blocks import BasicBlock, Bottleneck, Style

Stem = Literal["imagenet", "cifar"]
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
        *,
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
            previous = copy = None
            for step in plan.strides:
                before = dilation
                if dilated:
                    dilation, step = dilation * step, 1
                shape = (channels, plan.width, step, (before, dilation))
                if shape == previous and copy is not None:
                    blocks.append(copy())
                else:
                    blocks.append(block(*shape, style))
                    copy = meta_copier(blocks[-1]) if lies_on_meta(blocks[-1]) else None
                channels, previous = plan.width * block.expansion, shape
                jump *= step
            self.add_module(plan.name, nn.Sequential(*blocks))
            info.append(Stage(plan.name, channels, jump))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = classifier(channels, num_classes, style.linear)

        self.num_features = channels
        self.num_classes = num_classes
        self.input_size = (in_channels, side, side)
        self.feature_info = tuple(info)
        # Every layer rounds up, so any side passes, and the last map is one pixel up to a side of its stride.
        lone_side = jump if style.norm == "batch" else lone_group_side(self)
        lone_mode = "train" if style.norm == "batch" else "eval"
        self._rule = InputRule(name, in_channels, side=None, lone_side=lone_side, lone_mode=lone_mode)
        self._classifier = "fc"
        self._linear = style.linear

    def forward_features(self, x: Tensor) -> Tensor:  # N C H W -> N C' H/32 W/32
        x = self.relu(self.bn1(self.conv1(self.check(x))))
        if self.maxpool is not None:
            x = self.maxpool(x)
        for stage in self.feature_info:
            x = getattr(self, stage.name)(x)
        return x

    def forward_head(self, x: Tensor) -> Tensor:  # N C' H/32 W/32 -> N classes
        return self.fc(self.avgpool(x).flatten(1))


def lone_group_side(net: ResNet) -> int:
    """The largest side at which a group norm with one channel a group sees a single pixel; 0 without such a norm."""
    norms = [(net.conv1.stride[0], net.bn1)]
    norms += [(stage.stride, norm) for stage in net.feature_info for norm in net.get_submodule(stage.name).modules()]
    strides = [
        stride for stride, norm in norms if isinstance(norm, nn.GroupNorm) and norm.num_groups == norm.num_channels
    ]
    return max(strides, default=0)


def check_common(name: str, num_classes: int, in_channels: int, shortcut: str, norm: str) -> None:
    """Refuse what no ResNet can be built with."""
    check_int(name, "num_classes", num_classes, least=0)
    check_int(name, "in_channels", in_channels)
    check_choice(name, "shortcut", shortcut, ("A", "B", "C"))
    check_choice(name, "norm", norm, ("batch", "group"))
