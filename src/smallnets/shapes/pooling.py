"""Sides of the maps that pools leave, and the windows of the adaptive ones."""

from typing import Any, overload

from ..errors import ShapeError, message
from .convolution import window_count
from .sides import Pair, Size, check_side, check_window, per_side


@overload
def pool_output_size(
    size: int, kernel_size: int, stride: int | None = None, padding: int = 0, dilation: int = 1, ceil_mode: bool = False
) -> int: ...
@overload
def pool_output_size(
    size: Pair,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
) -> Pair: ...
def pool_output_size(
    size: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> Any:
    """Side of the map that a max or average pool leaves.

    Args:
        size: Side of the input in pixels, or its (h, w).
        kernel_size: Side of the window in pixels.
        stride: Step from one window to the next; ``None`` is ``kernel_size``.
        padding: Pixels added on each of both ends, at most half the kernel.
        dilation: Step from one pixel of a window to the next.
        ceil_mode: Keep a last window that reaches over the end, if it starts before the end.

    Raises:
        ShapeError: Where PyTorch refuses too: no window fits, or the padding is over half the kernel.

    Source:
        PyTorch's ``pooling_output_shape``; its documentation leaves the last rule of ``ceil_mode`` out.

    >>> pool_output_size(112, 3, stride=2, padding=1)
    56
    >>> pool_output_size(32, 3, stride=2), pool_output_size(32, 3, stride=2, ceil_mode=True)
    (15, 16)
    """
    stride = kernel_size if stride is None else stride
    return per_side(pool_side, size, kernel_size, stride, padding, dilation, ceil_mode)


def pool_side(size: int, kernel_size: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    who = "pool_output_size"
    check_pool(who, size, kernel_size, stride, padding, dilation)
    if not ceil_mode:
        return window_count(who, size, kernel_size, stride, padding, dilation)
    extent = dilation * (kernel_size - 1) + 1
    count = (size + 2 * padding - extent + stride - 1) // stride + 1
    # A window that starts in the padding behind the picture is dropped.
    if (count - 1) * stride >= size + padding:
        count -= 1
    if count < 1:
        expected = f"at least one window of kernel_size {kernel_size} at dilation {dilation}"
        given = f"{size} pixels with padding {padding}"
        raise ShapeError(message(who, expected, given, "Enlarge the input."))
    return count


def check_pool(who: str, size: int, kernel_size: int, stride: int, padding: int, dilation: int) -> None:
    check_window(who, size, kernel_size, stride, padding, dilation)
    if padding > kernel_size // 2:
        raise ShapeError(message(who, f"padding of at most half of kernel_size {kernel_size}", padding))


@overload
def adaptive_pool_windows(size: int, output_size: int) -> tuple[Pair, ...]: ...
@overload
def adaptive_pool_windows(size: Pair, output_size: Size) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]: ...
def adaptive_pool_windows(size: Any, output_size: Any) -> Any:
    """The window [start, end) behind each output pixel of an adaptive pool: floor(in/o) to ceil((i + 1)n/o).

    Args:
        size: Side n of the input in pixels, or its (h, w), which gives the windows of both sides.
        output_size: Side o of the output.

    Raises:
        ShapeError: When ``size`` is below 1 or ``output_size`` below 0.

    Source:
        PyTorch's ``start_index`` and ``end_index``; neighbouring windows overlap where o does not divide n.

    >>> adaptive_pool_windows(7, 3)
    ((0, 3), (2, 5), (4, 7))
    """
    return per_side(adaptive_side, size, output_size)


def adaptive_side(size: int, output_size: int) -> tuple[Pair, ...]:
    check_side("adaptive_pool_windows", "size", size, 1)
    check_side("adaptive_pool_windows", "output_size", output_size, 0)
    ends = (-(-(index + 1) * size // output_size) for index in range(output_size))
    return tuple((index * size // output_size, end) for index, end in enumerate(ends))
