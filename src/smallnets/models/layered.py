"""The nets before the shortcut: layers in one line, whose stages and sizes can be read off them.

N batch, C channels, H W pixels.
"""

import math
from collections.abc import Sequence

from torch import Tensor, nn

from ..shapes.input_rule import ANY_SIDE, InputRule, Window, largest_side, smallest_side
from .base import Net, Stage


class LayeredNet(Net):
    """Features in one line, a pool to one size where any picture may come, then linear layers.

    A stage ends with each max pool and with the last layer.
    """

    def __init__(
        self,
        name: str,
        features: Sequence[nn.Module],
        hidden: Sequence[nn.Module],
        num_features: int,
        num_classes: int,
        in_channels: int,
        side: int,
        *,
        pool: int | None = None,
        linear: type[nn.Linear] = nn.Linear,
        advice: str = "Enlarge the picture.",
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(*features)
        self.avgpool = None if pool is None else nn.AdaptiveAvgPool2d(pool)
        stages, windows = list[Stage](), list[Window]()
        lone_side, channels = 0, in_channels
        for i, layer in enumerate(features):
            path = f"features.{i}"
            if isinstance(layer, nn.Conv2d):
                channels = layer.out_channels
                window = Window(path, layer.kernel_size[0], layer.stride[0], int(layer.padding[0]))
                if window.stride > 1 or 2 * window.padding < window.kernel_size - 1:
                    windows.append(window)
            elif isinstance(layer, nn.BatchNorm2d):
                lone_side = largest_side(tuple(windows))
            elif isinstance(layer, nn.MaxPool2d):
                assert isinstance(layer.kernel_size, int) and isinstance(layer.stride, int)
                windows.append(Window(f"the pool {path}", layer.kernel_size, layer.stride))
            if isinstance(layer, nn.MaxPool2d) or i == len(features) - 1:
                stages.append(Stage(path, channels, math.prod(window.stride for window in windows)))
        lone_side = ANY_SIDE if any(isinstance(layer, nn.BatchNorm1d) for layer in hidden) else lone_side
        least = smallest_side(tuple(windows))
        side = max(side, least)
        only = side if pool is None else None
        rule = InputRule(name, in_channels, only, least, advice, tuple(windows), lone_side)
        self.describe(rule, side, stages, num_features, f"classifier.{len(hidden)}")
        self._linear = linear
        self.classifier = nn.Sequential(*hidden, self.last_layer(num_classes))

    def forward_features(self, x: Tensor) -> Tensor:  # N C H W -> N C' H' W'
        return self.features(self.check(x))

    def forward_head(self, x: Tensor) -> Tensor:  # N C' H' W' -> N classes
        x = self.check_map(x)
        x = x if self.avgpool is None else self.avgpool(x)
        return self.classifier(x.flatten(1))
