"""What every net of the zoo shares: logits out, features in between, an input check, a config that rebuilds it.

N batch, C channels, H W pixels.
"""

from typing import Any, NamedTuple, NoReturn, Self

import torch
from torch import Tensor, nn

from ..errors import ShapeError, check_int, message


class Stage(NamedTuple):
    """One of a net's feature maps: the layer that makes it, its channels, its stride in input pixels."""

    name: str
    channels: int
    stride: int


class InputRule(NamedTuple):
    """What a net takes: plain values, so that the check stays one node of a traced graph."""

    net: str
    channels: int
    height: int
    width: int


def check_input(x: Tensor, rule: InputRule) -> Tensor:
    """Pass ``x`` on, or say in one sentence why the net cannot take it."""
    if x.dim() != 4 or x.shape[1] != rule.channels or x.shape[2] != rule.height or x.shape[3] != rule.width:
        refuse_input(tuple(x.shape), rule)
    return x


torch.fx.wrap("check_input")


def refuse_input(shape: tuple[int, ...], rule: InputRule) -> NoReturn:
    """Raise the error that fits the input."""
    natural = f"an input of shape (N, {rule.channels}, {rule.height}, {rule.width})"
    if len(shape) == 3:
        advice = "Add the batch dimension: x[None]."
    elif len(shape) != 4:
        advice = "Give a batch of pictures."
    elif shape[1] != rule.channels:
        advice = f"Build the net with in_channels={shape[1]}, or convert the pictures."
    else:
        advice = f"Its linear layers fix the size: resize the pictures to {rule.height}x{rule.width}."
    raise ShapeError(message(rule.net, natural, shape, advice))


class Net(nn.Module):
    """Base of every net: ``forward`` is the input check, then ``forward_features``, then ``forward_head``.

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

    def forward(self, x: Tensor) -> Tensor:  # N C H W -> N classes
        return self.forward_head(self.forward_features(check_input(x, self._rule)))

    def forward_features(self, x: Tensor) -> Tensor:
        """The last feature map: (N, C, H, W) -> (N, C', H', W')."""
        raise NotImplementedError

    def forward_head(self, x: Tensor) -> Tensor:
        """From the last feature map to the logits: (N, C', H', W') -> (N, num_classes)."""
        raise NotImplementedError

    def reset_classifier(self, num_classes: int) -> Self:
        """Replace the last linear layer by a fresh one for ``num_classes``; 0 leaves none.

        Returns:
            The net itself.

        Raises:
            ValueError: When ``num_classes`` is not an integer of at least 0.
        """
        check_int(type(self).__name__, "num_classes", num_classes, least=0)
        like = next(self.parameters())
        layer = classifier(self.num_features, num_classes).to(like.device, like.dtype)
        self.set_submodule(self._classifier, layer.train(self.training))
        self.num_classes = num_classes
        self.config = {**self.config, "num_classes": num_classes}
        return self


def classifier(num_features: int, num_classes: int) -> nn.Module:
    """The last layer: linear, or nothing for 0 classes."""
    return nn.Linear(num_features, num_classes) if num_classes else nn.Identity()
