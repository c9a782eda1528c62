"""What a line of layers lets through, and the sentence for an input that it does not."""

from typing import NamedTuple

from ..errors import ShapeError, message
from .convolution import conv_output_size
from .inverse import smallest_input_size


class Window(NamedTuple):
    """A layer that shrinks the map: its path, and what PyTorch's rule for its output side takes."""

    layer: str
    kernel_size: int
    stride: int
    padding: int = 0


class InputRule(NamedTuple):
    """What a net takes.

    Attributes:
        net: The builder's name.
        channels: Channels of the pictures.
        side: The only side that fits, in pixels, or None for nets that take any from ``least`` on.
        least: The smallest side that leaves a map for every layer.
        advice: What to do about a picture that is too small.
        windows: The layers that shrink the map, to say which of them gives out.
    """

    net: str
    channels: int
    side: int | None
    least: int = 1
    advice: str = "Enlarge the picture."
    windows: tuple[Window, ...] = ()


class MapRule(NamedTuple):
    """What a net's head takes: maps of so many channels, of one side in pixels or, where that is None, of any."""

    net: str
    channels: int
    side: int | None


def wrong_shape(shape: tuple[int, ...], rule: InputRule) -> ShapeError | None:
    """The error for an input of this shape; None where the rule lets it through."""
    sides = "H, W" if rule.side is None else f"{rule.side}, {rule.side}"
    natural = f"an input of shape (N, {rule.channels}, {sides})"
    if len(shape) == 3:
        advice = "Add the batch dimension: x[None]."
    elif len(shape) != 4:
        advice = "Give a batch of pictures."
    elif shape[1] != rule.channels:
        advice = f"Build the net with in_channels={shape[1]}, or convert the pictures."
        if shape[3] == rule.channels:
            advice = "These seem to be (N, H, W, C): give x.permute(0, 3, 1, 2)."
    elif rule.side is None:
        if min(shape[2:]) >= rule.least:
            return None
        natural = f"an input of at least {rule.least}x{rule.least}"
        return ShapeError(message(rule.net, natural, where_it_ends(shape[2:], rule), rule.advice))
    elif shape[2:] != (rule.side, rule.side):
        advice = f"Its linear layers fix the size: resize the pictures to {rule.side}x{rule.side}."
    else:
        return None
    return ShapeError(message(rule.net, natural, shape, advice))


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


def lone_input(net: str, shape: tuple[int, ...], *, larger: bool, training: bool) -> ShapeError:
    """The error for a batch of one of which a norm sees single values.

    Args:
        net: Whose norm it is.
        shape: The input's.
        larger: Whether a larger picture would have more.
        training: Whether the norm minds in training mode only.
    """
    expected = "more than one value per channel for its norms"
    advice = "Give a larger batch" + (" or a larger picture" if larger else "")
    advice += ", or call eval() first." if training else "."
    return ShapeError(message(net, expected, f"a batch of one, {shape}", advice))


def wrong_map_shape(shape: tuple[int, ...], rule: MapRule) -> ShapeError | None:
    """The error for a feature map of this shape; None where the head takes it."""
    fits = len(shape) == 4 and shape[1] == rule.channels
    if fits and (shape[2:] == (rule.side, rule.side) or (rule.side is None and min(shape[2:]) >= 1)):
        return None
    sides = "H, W" if rule.side is None else f"{rule.side}, {rule.side}"
    advice = "Give what forward_features returns."
    return ShapeError(message(rule.net, f"a feature map of shape (N, {rule.channels}, {sides})", shape, advice))


def smallest_side(windows: tuple[Window, ...], output_size: int = 1) -> int:
    """The smallest input side, in pixels, that leaves ``output_size`` pixels behind the last window."""
    for window in reversed(windows):
        output_size = smallest_input_size(output_size, *window[1:])
    return output_size


def last_side(windows: tuple[Window, ...], side: int) -> int:
    """The side, in pixels, of the map behind the last window, of a picture that passes them all."""
    for window in windows:
        side = conv_output_size(side, *window[1:])
    return side
