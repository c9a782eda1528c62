"""What a line of layers lets through, and the sentence for an input that it does not."""

import sys
from typing import NamedTuple, NoReturn

from ..errors import OptionError, ShapeError, message
from .convolution import conv_output_size
from .inverse import smallest_input_size


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


def refuse_input(shape: tuple[int, ...], wrong_dtype: object, rule: InputRule) -> NoReturn:
    """Raise the error that fits an input of this shape; ``wrong_dtype`` is None for one of floating point."""
    sides = "H, W" if rule.side is None else f"{rule.side}, {rule.side}"
    natural = f"an input of shape (N, {rule.channels}, {sides})"
    if len(shape) == 3:
        advice = "Add the batch dimension: x[None]."
    elif len(shape) != 4:
        advice = "Give a batch of pictures."
    elif shape[1] != rule.channels:
        advice = f"Build the net with in_channels={shape[1]}, or convert the pictures."
    elif wrong_dtype is not None:
        advice = "Convert the pictures: x.float() / 255."
        raise OptionError(message(rule.net, "floating-point pictures", wrong_dtype, advice))
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


def refuse_lone_input(shape: tuple[int, ...], rule: InputRule) -> NoReturn:
    """Raise the error for a batch of one whose last maps are single pixels."""
    expected = "more than one value per channel for its norms"
    advice = "Give a larger batch" + ("" if rule.lone_side == ANY_SIDE else " or a larger picture")
    advice += ", or call eval() first." if rule.lone_mode == "train" else "."
    raise ShapeError(message(rule.net, expected, f"a batch of one, {shape}", advice))


def refuse_map(shape: tuple[int, ...], net: str, channels: int, side: int | None) -> NoReturn:
    """Raise the error for a feature map that the head of a net cannot take."""
    sides = "H, W" if side is None else f"{side}, {side}"
    advice = "Give what forward_features returns."
    raise ShapeError(message(net, f"a feature map of shape (N, {channels}, {sides})", shape, advice))


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


def largest_side(windows: tuple[Window, ...]) -> int:
    """The largest input side, in pixels, that leaves a single pixel behind the last window."""
    return smallest_side(windows, 2) - 1
