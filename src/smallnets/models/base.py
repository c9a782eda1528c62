"""What every net of the zoo shares: logits out, features in between, an input check, a config that rebuilds it.

N batch, C channels, H W pixels.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from ..errors import check_int
from ..inputs import check_input, check_map
from ..shapes.input_rule import InputRule, last_side


class Stage(NamedTuple):
    """One of a net's feature maps: the layer that makes it, its channels, its stride in input pixels."""

    name: str
    channels: int
    stride: int


torch.fx.wrap("check_input")
torch.fx.wrap("check_map")


class Net(nn.Module):
    """Base of every net: ``forward`` is ``forward_features``, which checks its input, then ``forward_head``.

    Attributes:
        config: The builder's name and options, JSON-able; ``build(**net.config)`` makes the same net.
        metadata: What ``save`` kept beside the weights; empty where the net was not loaded from such a file.
        input_size: The natural input, (C, H, W).
        num_features: Length of the vector that the last linear layer takes.
        num_classes: Length of the logits; 0 where the net ends in that vector.
        feature_info: The net's stages, from the input on.
    """

    config: dict[str, Any]
    metadata: dict[str, Any]
    input_size: tuple[int, int, int]
    num_features: int
    num_classes: int
    feature_info: tuple[Stage, ...]
    _rule: InputRule
    _classifier: str  # the path of the last linear layer
    _linear: type[nn.Linear] = nn.Linear  # its class, which says how it is drawn

    def describe(self, rule: InputRule, side: int, stages: Sequence[Stage], num_features: int, last: str) -> None:
        """Note what the net takes, its natural side in pixels, its stages, and the last linear layer's path."""
        self.input_size = (rule.channels, side, side)
        self.feature_info, self.num_features = tuple(stages), num_features
        self._rule, self._classifier = rule, last
        self._first = next(self.named_parameters())[0].split(".")  # the path of the first weights
        self._map_side = None if rule.side is None else last_side(rule.windows, rule.side)

    def forward(self, x: Tensor) -> Tensor:  # N C H W -> N classes
        return self.forward_head(self.forward_features(x))

    def check(self, x: Tensor) -> Tensor:
        """Pass ``x`` on if the net can take it.

        Raises:
            ShapeError: Which net, which input, which layer gave out, the smallest side that works.
        """
        return check_input(x, self.first_weights(), self._rule, self.training)

    def check_map(self, x: Tensor) -> Tensor:
        """Pass a feature map on if the head can take it.

        Raises:
            ShapeError: Which net, which map, what shape it must have.
        """
        return check_map(x, self.first_weights(), self._rule, self.feature_info[-1].channels, self._map_side)

    def first_weights(self) -> Tensor | None:
        """The first layer's, for their dtype and device; None where another layer has taken its place."""
        found: Any = self
        for name in self._first:  # several times faster than next(self.parameters())
            found = getattr(found, name, None)
        return found

    def forward_features(self, x: Tensor) -> Tensor:
        """The last feature map: (N, C, H, W) -> (N, C', H', W')."""
        raise NotImplementedError

    def forward_head(self, x: Tensor) -> Tensor:
        """From the last feature map to the logits: (N, C', H', W') -> (N, num_classes)."""
        raise NotImplementedError

    def last_layer(self, num_classes: int) -> nn.Module:
        """A fresh last layer: linear, or nothing for 0 classes."""
        check_int(self._rule.net, "num_classes", num_classes, least=0)
        self.num_classes = num_classes
        return self._linear(self.num_features, num_classes) if num_classes else nn.Identity()

    def reset_classifier(self, num_classes: int) -> Self:
        """Replace the last linear layer by a fresh one for ``num_classes``; 0 leaves none.

        Returns:
            The net itself.

        Raises:
            ValueError: When ``num_classes`` is not an integer of at least 0.
        """
        like = next(self.parameters())
        with torch.device(like.device):
            layer = self.last_layer(num_classes).to(like.dtype)
        self.set_submodule(self._classifier, layer.train(self.training))
        self.config = {**self.config, "num_classes": num_classes}
        return self
