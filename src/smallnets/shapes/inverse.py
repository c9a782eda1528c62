"""From the map that is wanted back to the input that it takes."""

from typing import Any, overload

from .pooling import check_pool
from .sides import Pair, Size, check_side, check_window, per_side


@overload
def smallest_input_size(
    output_size: int, kernel_size: int, stride: int = 1, padding: int = 0, dilation: int = 1, ceil_mode: bool = False
) -> int: ...
@overload
def smallest_input_size(
    output_size: Pair,
    kernel_size: Size,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
) -> Pair: ...
def smallest_input_size(
    output_size: Any, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> Any:
    """Smallest side that a convolution or pool turns into at least ``output_size`` pixels.

    Args:
        output_size: Side of the output in pixels, or its (h, w).
        kernel_size: Side of the kernel or window in pixels.
        stride: Step from one window to the next; a pool's is its kernel size unless it says otherwise.
        padding: Pixels added on each of both ends.
        dilation: Step from one kernel weight to the next.
        ceil_mode: A pool's; then the padding is at most half the kernel.

    Raises:
        ShapeError: When no input will do, because an argument is one that PyTorch refuses.

    >>> smallest_input_size(1, 7)
    7
    >>> smallest_input_size(7, 2, stride=2)
    14
    """
    return per_side(smallest_side, output_size, kernel_size, stride, padding, dilation, ceil_mode)


def smallest_side(output_size: int, kernel_size: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    who = "smallest_input_size"
    check_side(who, "output_size", output_size, 1)
    extent = dilation * (kernel_size - 1) + 1
    if not ceil_mode:
        check_window(who, 1, kernel_size, stride, padding, dilation)
        return max(1, (output_size - 1) * stride + extent - 2 * padding)
    check_pool(who, 1, kernel_size, stride, padding, dilation)
    reaches = (output_size - 2) * stride + extent - 2 * padding + 1  # the last window has a pixel, padding counted
    starts = (output_size - 1) * stride - padding + 1  # and starts before the padding behind the picture
    return max(1, reaches, starts)
