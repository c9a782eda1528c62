"""A size is one integer for both sides or an (h, w) pair; each rule is written for one side and mapped over both."""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from ..errors import ShapeError, message

Pair: TypeAlias = tuple[int, int]
Size: TypeAlias = int | Pair

T = TypeVar("T")


def per_side(rule: Callable[..., T], *sizes: Any) -> T | tuple[T, T]:
    """Apply the rule of one side: once where every size is an integer, else to heights and to widths."""
    if not any(isinstance(size, tuple | list) for size in sizes):
        return rule(*sizes)
    heights, widths = zip(*(as_pair(rule.__name__, size) for size in sizes), strict=True)
    return rule(*heights), rule(*widths)


def as_pair(who: str, size: Any) -> tuple[Any, Any]:
    """The (h, w) pair of a size; what is not a pair counts for both sides."""
    if not isinstance(size, tuple | list):
        return size, size
    if len(size) != 2:
        raise ShapeError(message(who, "an integer or an (h, w) pair", size))
    return size[0], size[1]


def check_side(who: str, name: str, value: object, least: int) -> None:
    """Refuse what is not an integer of at least ``least``.

    Raises:
        ShapeError: Naming the argument and its value.
    """
    # bool is an int to Python, and a slip to everybody else.
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ShapeError(message(who, f"{name} to be an integer of at least {least}", repr(value)))


def check_window(
    who: str, size: object, kernel_size: object, stride: object, padding: object, dilation: object
) -> None:
    """Refuse what no sliding window can have: sizes and steps are at least 1, padding at least 0."""
    check_side(who, "size", size, 1)
    check_side(who, "kernel_size", kernel_size, 1)
    check_side(who, "stride", stride, 1)
    check_side(who, "padding", padding, 0)
    check_side(who, "dilation", dilation, 1)
