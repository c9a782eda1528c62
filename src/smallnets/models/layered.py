"""The nets before the shortcut: layers in one line, whose stages and sizes can be read off them.

N batch, C channels, H W pixels.
"""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from ..inputs import computes, is_scripting, takes_maps, takes_pictures
from ..shapes.input_rule import InputRule, MapRule, Window, smallest_side
from .base import Net, Stage
from .blocks import Draw, torchs_own

SAME_SIZE = (nn.BatchNorm2d, nn.GroupNorm, nn.LocalResponseNorm, nn.ReLU, nn.Identity, nn.Dropout)


def windows_of(features: Iterable[tuple[str, nn.Module]]) -> tuple[Window, ...] | None:
    """The layers of a line that shrink the map, by path; None where one is of a kind that cannot be read."""
    windows: list[Window] = []
    for path, layer in features:
        if isinstance(layer, nn.Conv2d):
            if layer.dilation != (1, 1) or isinstance(layer.padding, str) or len({*layer.kernel_size}) > 1:
                return None
            window = Window(path, layer.kernel_size[0], layer.stride[0], int(layer.padding[0]))
            if window.stride > 1 or 2 * window.padding != window.kernel_size - 1:
                windows.append(window)
        elif isinstance(layer, nn.MaxPool2d) and isinstance(layer.kernel_size, int) and isinstance(layer.stride, int):
            windows.append(Window(f"the pool {path}", layer.kernel_size, layer.stride))
        elif not isinstance(layer, SAME_SIZE):
            return None
    return tuple(windows)


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
        draw: Draw = torchs_own,
        advice: str = "Enlarge the picture.",
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(*features)
        self.avgpool = None if pool is None else nn.AdaptiveAvgPool2d(pool)
        named = [(f"features.{i}", layer) for i, layer in enumerate(features)]
        stages, channels = list[Stage](), in_channels
        for i, (path, layer) in enumerate(named):
            channels = layer.out_channels if isinstance(layer, nn.Conv2d) else channels
            if isinstance(layer, nn.MaxPool2d) or i == len(features) - 1:
                passed = windows_of(named[: i + 1])
                assert passed is not None
                stages.append(Stage(path, channels, math.prod(window.stride for window in passed)))
        windows = windows_of(named)
        assert windows is not None
        least = smallest_side(windows)
        side = max(side, least)
        rule = InputRule(name, in_channels, side if pool is None else None, least, advice, windows)
        self.describe(rule, side, stages, num_features, f"classifier.{len(hidden)}")
        self._draw = draw
        self.classifier = nn.Sequential(*hidden, self.last_layer(num_classes))

    @takes_pictures
    def forward_features(self, x: Tensor) -> Tensor:  # N C H W -> N C' H' W'
        if not is_scripting():  # noqa: SIM102 (a script is compiled without what is inside)
            if self.grad_checkpointing and computes(x):
                return self.recomputed(x)
        return self.features(x)

    @takes_maps
    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:  # N C' H' W' -> N classes
        if self.avgpool is not None:
            x = self.avgpool(x)
        x = torch.flatten(x, 1)
        if pre_logits:
            for i, layer in enumerate(self.classifier):
                if i < len(self.classifier) - 1:
                    x = layer(x)
            return x
        return self.classifier(x)

    def stage_layers(self) -> list[nn.Module]:
        ends = [int(stage.name.rpartition(".")[2]) + 1 for stage in self.feature_info]
        return [self.features[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    def input_rule(self) -> InputRule | None:
        windows, convolutions = self.windows(), self.convolutions()
        if windows is None or not convolutions:
            return None
        channels, least = convolutions[0].in_channels, smallest_side(windows)
        side = self._rule.side if self.avgpool is None and windows == self._rule.windows else None
        return self._rule._replace(channels=channels, side=side, least=least, windows=windows)

    def head_rule(self) -> MapRule | None:
        windows, pool, classifier = self.windows(), self.avgpool, self.layer_at("classifier")
        if windows is None or not isinstance(classifier, nn.Sequential):
            return None
        side = pixels = self._map_rule.side
        if pool is None and windows != self._rule.windows:
            return None
        if pool is not None:
            side, pixels = None, getattr(pool, "output_size", None)
        channels = [layer.out_channels for layer in self.convolutions()][-1:]
        for layer in classifier:
            if isinstance(layer, nn.Linear) and isinstance(pixels, int):
                channels = [layer.in_features // pixels**2]
                break
            if not isinstance(layer, nn.Identity | nn.Dropout):
                return None
        return MapRule(self._rule.net, channels[0], side) if channels else None

    def windows(self) -> tuple[Window, ...] | None:
        """The layers that shrink the map, as they stand; None where they cannot be read."""
        features = self.layer_at("features")
        if not isinstance(features, nn.Sequential):
            return None
        return windows_of((f"features.{name}", layer) for name, layer in features.named_children())

    def convolutions(self) -> list[nn.Conv2d]:
        """Those of the features, as they stand."""
        features = self.layer_at("features")
        return [] if features is None else [layer for layer in features.children() if isinstance(layer, nn.Conv2d)]
