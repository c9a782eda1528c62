"""What every net of the zoo shares: logits out, features in between, an input check, a config that rebuilds it.

N batch, C channels, H W pixels.
"""

import sys
from typing import Any, NamedTuple, NoReturn, Self

import torch
from torch import Tensor, nn

from ..errors import OptionError, ShapeError, check_int, message
from ..shapes import conv_output_size, smallest_input_size


class Stage(NamedTuple):
    """One of a net's feature maps: the layer that makes it, its channels, its stride in input pixels."""

    name: str
    channels: int
    stride: int


class Window(NamedTuple):
    """A layer that shrinks the map: its path, and what PyTorch's rule for its output side takes."""

    layer: str
    kernel_size: int
    stride: int
    padding: int = 0


class InputRule(NamedTuple):
    """What a net takes: plain values, so that the check stays one node of a traced graph.

    Attributes:
        net: The builder's name.
        channels: Channels of the pictures.
        side: The only side that fits, in pixels, or None for nets that take any from ``least`` on.
        least: The smallest side that leaves a map for every layer.
        advice: What to do about a picture that is too small.
        windows: The layers that shrink the map, to say which of them gives out.
        lone_side: Up to this side, a batch of one leaves some norm a single value per channel, which is no spread
            to divide by; 0 where there is no such norm.
        lone_mode: Whether that norm minds in ``"train"`` only (batch norm) or also in ``"eval"`` (group norm).
    """

    net: str
    channels: int
    side: int | None
    least: int = 1
    advice: str = "Enlarge the picture."
    windows: tuple[Window, ...] = ()
    lone_side: int = 0
    lone_mode: str = "train"


ANY_SIDE = sys.maxsize  # as ``lone_side``: the norm is behind a pool to 1x1, so that no picture is large enough


def check_input(x: Tensor, rule: InputRule, training: bool) -> Tensor:
    """Pass ``x`` on, or say in one sentence why the net cannot take it."""
    if x.dim() != 4 or x.shape[1] != rule.channels or not x.is_floating_point():
        refuse_input(x, rule)
    height, width = x.shape[2], x.shape[3]
    if rule.side is None:
        if height < rule.least or width < rule.least:
            refuse_input(x, rule)
    elif height != rule.side or width != rule.side:
        refuse_input(x, rule)
    if (
        rule.lone_side
        and (training or rule.lone_mode == "eval")
        and x.shape[0] == 1
        and height <= rule.lone_side
        and width <= rule.lone_side
    ):
        refuse_lone_input(x, rule)
    return x


torch.fx.wrap("check_input")


def refuse_input(x: Tensor, rule: InputRule) -> NoReturn:
    """Raise the error that fits the input."""
    shape = tuple(x.shape)
    if rule.side is None:
        natural = f"an input of shape (N, {rule.channels}, H, W)"
    else:
        natural = f"an input of shape (N, {rule.channels}, {rule.side}, {rule.side})"
    if len(shape) == 3:
        advice = "Add the batch dimension: x[None]."
    elif len(shape) != 4:
        advice = "Give a batch of pictures."
    elif shape[1] != rule.channels:
        advice = f"Build the net with in_channels={shape[1]}, or convert the pictures."
    elif not x.is_floating_point():
        advice = "Convert the pictures: x.float() / 255."
        raise OptionError(message(rule.net, "floating-point pictures", x.dtype, advice))
    elif rule.side is not None:
        advice = f"Its linear layers fix the size: resize the pictures to {rule.side}x{rule.side}."
    else:
        natural = f"an input of at least {rule.least}x{rule.least}"
        raise ShapeError(message(rule.net, natural, where_it_ends(shape[2:], rule), rule.advice))
    raise ShapeError(message(rule.net, natural, shape, advice))


def where_it_ends(size: tuple[int, ...], rule: InputRule) -> str:
    """The size, and the layer that it does not pass with what still comes out of the layer before."""
    sides, previous = size, "the input"
    for window in rule.windows:
        geometry = window[1:]
        if min(sides) < smallest_input_size(1, *geometry):
            left = "" if previous == "the input" else f"{sides[0]}x{sides[1]} after {previous} and "
            return f"{size[0]}x{size[1]}, which is {left}nothing after {window.layer}"
        sides, previous = tuple(conv_output_size(side, *geometry) for side in sides), window.layer
    return f"{size[0]}x{size[1]}"


def refuse_lone_input(x: Tensor, rule: InputRule) -> NoReturn:
    """Raise the error for a batch of one whose last maps are single pixels."""
    expected = "more than one value per channel for its norms"
    advice = "Give a larger batch" + ("" if rule.lone_side == ANY_SIDE else " or a larger picture")
    advice += ", or call eval() first." if rule.lone_mode == "train" else "."
    raise ShapeError(message(rule.net, expected, f"a batch of one, {tuple(x.shape)}", advice))


def smallest_side(windows: tuple[Window, ...], output_size: int = 1) -> int:
    """The smallest input side, in pixels, that leaves ``output_size`` pixels behind the last window."""
    for window in reversed(windows):
        output_size = smallest_input_size(output_size, *window[1:])
    return output_size


def largest_side(windows: tuple[Window, ...]) -> int:
    """The largest input side, in pixels, that leaves a single pixel behind the last window."""
    return smallest_side(windows, 2) - 1


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

    def forward(self, x: Tensor) -> Tensor:  # N C H W -> N classes
        return self.forward_head(self.forward_features(x))

    def check(self, x: Tensor) -> Tensor:
        """Pass ``x`` on if the net can take it.

        Raises:
            ShapeError: Which net, which input, which layer gave out, the smallest side that works.
        """
        return check_input(x, self._rule, self.training)

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
        check_int(self._rule.net, "num_classes", num_classes, least=0)
        like = next(self.parameters())
        with torch.device(like.device):
            layer = classifier(self.num_features, num_classes, self._linear).to(like.dtype)
        self.set_submodule(self._classifier, layer.train(self.training))
        self.num_classes = num_classes
        self.config = {**self.config, "num_classes": num_classes}
        return self


def classifier(num_features: int, num_classes: int, linear: type[nn.Linear] = nn.Linear) -> nn.Module:
    """The last layer: linear, or nothing for 0 classes."""
    return linear(num_features, num_classes) if num_classes else nn.Identity()
