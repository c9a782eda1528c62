"""Sides of the maps that convolutions leave, forwards and transposed.

Dumoulin & Visin 2016, "A guide to convolution arithmetic for deep learning", relations 6, 14 and 15.
"""

from typing import Any, Literal, TypeAlias, overload

from ..errors import ShapeError, message
from .sides import Pair, Size, check_side, check_window, per_side

Padding: TypeAlias = Size | Literal["same", "valid"]


@overload
def conv_output_size(
    size: int, kernel_size: int, stride: int = 1, padding: int | Literal["same", "valid"] = 0, dilation: int = 1
) -> int: ...
@overload
def conv_output_size(
    size: Pair, kernel_size: Size, stride: Size = 1, padding: Padding = 0, dilation: Size = 1
) -> Pair: ...
def conv_output_size(size: Any, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1) -> Any:
    """Side of the map that a convolution leaves: floor((n + 2p - d(k - 1) - 1) / s) + 1.

    Args:
        size: Side of the input in pixels, or its (h, w).
        kernel_size: Side of the kernel in pixels.
        stride: Step from one window to the next.
        padding: Zeros on each of both ends, or ``"same"`` or ``"valid"``.
        dilation: Step from one kernel weight to the next.

    Raises:
        ShapeError: Where PyTorch refuses too: the kernel is larger than the padded input, ``"same"`` with a stride.

    Source:
        Dumoulin & Visin 2016, relation 15.

    >>> conv_output_size(224, 7, stride=2, padding=3)
    112
    >>> conv_output_size((227, 32), 11, stride=4)
    (55, 6)
    """
    return per_side(conv_side, size, kernel_size, stride, padding, dilation)


def conv_side(size: int, kernel_size: int, stride: int, padding: int | str, dilation: int) -> int:
    who = "conv_output_size"
    if padding == "same":
        check_window(who, size, kernel_size, stride, 0, dilation)
        if stride != 1:
            advice = "Give the padding as a number of pixels."
            raise ShapeError(message(who, "a stride of 1 with padding 'same'", stride, advice))
        return size
    if padding == "valid":
        padding = 0
    check_window(who, size, kernel_size, stride, padding, dilation)
    assert isinstance(padding, int)
    return window_count(who, size, kernel_size, stride, padding, dilation)


def window_count(who: str, size: int, kernel_size: int, stride: int, padding: int, dilation: int) -> int:
    """Number of windows that lie wholly inside the padded input; at least one."""
    extent = dilation * (kernel_size - 1) + 1
    padded = size + 2 * padding
    if padded < extent:
        expected = f"at least {extent} pixels, padding included, for kernel_size {kernel_size} at dilation {dilation}"
        given = f"{padded}, which is {size} with padding {padding}"
        raise ShapeError(message(who, expected, given, "Enlarge the input or pad more."))
    return (padded - extent) // stride + 1


@overload
def conv_transpose_output_size(
    size: int, kernel_size: int, stride: int = 1, padding: int = 0, output_padding: int = 0, dilation: int = 1
) -> int: ...
@overload
def conv_transpose_output_size(
    size: Pair, kernel_size: Size, stride: Size = 1, padding: Size = 0, output_padding: Size = 0, dilation: Size = 1
) -> Pair: ...
def conv_transpose_output_size(
    size: Any, kernel_size: Any, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, dilation: Any = 1
) -> Any:
    """Side of the map that a transposed convolution leaves: (n - 1)s - 2p + d(k - 1) + q + 1.

    Args:
        size: Side of the input in pixels, or its (h, w).
        kernel_size: Side of the kernel in pixels.
        stride: Step, in pixels of the output, from one input pixel's patch to the next.
        padding: Pixels cut off at both ends of the output.
        output_padding: q, pixels added at the far end; smaller than stride or dilation.
        dilation: Step from one kernel weight to the next.

    Raises:
        ShapeError: Where PyTorch refuses too: nothing is left after the cut, or ``output_padding`` is too large.

    Source:
        Dumoulin & Visin 2016, relation 14, with dilation and output padding as PyTorch has them.

    >>> conv_transpose_output_size(7, 4, stride=2, padding=1)
    14
    """
    return per_side(conv_transpose_side, size, kernel_size, stride, padding, output_padding, dilation)


def conv_transpose_side(
    size: int, kernel_size: int, stride: int, padding: int, output_padding: int, dilation: int
) -> int:
    who = "conv_transpose_output_size"
    check_window(who, size, kernel_size, stride, padding, dilation)
    check_side(who, "output_padding", output_padding, 0)
    if output_padding >= max(stride, dilation):
        expected = f"output_padding below the stride {stride} or the dilation {dilation}"
        raise ShapeError(message(who, expected, output_padding))
    side = (size - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1
    if side < 1:
        raise ShapeError(message(who, "an output of at least 1 pixel", side, "Enlarge the input or pad less."))
    return side


@overload
def same_padding(kernel_size: int, dilation: int = 1) -> Pair: ...
@overload
def same_padding(kernel_size: Pair, dilation: Size = 1) -> tuple[Pair, Pair]: ...
def same_padding(kernel_size: Any, dilation: Any = 1) -> Any:
    """Zeros (before, after) that ``padding="same"`` adds on a side; an odd one goes behind.

    Args:
        kernel_size: Side of the kernel in pixels, or its (h, w), which gives a pair of pairs.
        dilation: Step from one kernel weight to the next.

    Raises:
        ShapeError: When an argument is not an integer of at least 1.

    >>> same_padding(3), same_padding(4)
    ((1, 1), (1, 2))
    """
    return per_side(same_padding_side, kernel_size, dilation)


def same_padding_side(kernel_size: int, dilation: int) -> Pair:
    check_side("same_padding", "kernel_size", kernel_size, 1)
    check_side("same_padding", "dilation", dilation, 1)
    total = dilation * (kernel_size - 1)
    return total // 2, total - total // 2
