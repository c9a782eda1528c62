"""Dimensions that views fold into one another and cut into blocks, and what it means to mix along them."""

import math
from collections.abc import Callable, Iterable
from fractions import Fraction

from .field import Axis, Digit, Field, Label, axes_in, everything, mix, plain


def refold(field: Field, shape: tuple[int, ...], new_shape: tuple[int, ...]) -> Field:
    """The field behind a view: the digits of the old dimensions, dealt out again to the new ones."""
    if shape == new_shape or 0 in shape:
        return field if shape == new_shape else everything(field, (None,) * len(new_shape))
    # A dimension that tokens of another kind were laid on has no digits to be cut by: it moves whole, or is lost.
    opaque = {
        -1 - dim: label
        for dim, (size, label) in enumerate(zip(shape, field.labels, strict=True))
        if isinstance(label, tuple) and size != math.prod(digit.size for digit in label)
    }
    old = [-1 - dim if -1 - dim in opaque else label for dim, label in enumerate(field.labels)]
    digits = [digit for size, label in zip(shape, old, strict=True) for digit in digits_of(size, label)]
    labels: list[Label] = []
    for size in new_shape:
        label, digits, fits = deal(size, digits)
        if not fits:
            return everything(field, (None,) * len(new_shape))
        labels.append(label)
    gone: set[int] = set()
    for place, label in enumerate(labels):
        stands = opaque.get(label[0].axis or 0) if isinstance(label, tuple) and len(label) == 1 else None
        if stands is not None:
            labels[place] = stands
        elif any(axis < 0 for axis in axes_in(label)):
            gone |= {axis for mark in axes_in(label) if mark < 0 for axis in axes_in(opaque[mark])}
            labels[place] = None
    return settle(mix(field, tuple(labels), gone))


def digits_of(size: int, label: Label) -> tuple[Digit, ...]:
    """A dimension's digits; those of one position come and go."""
    if isinstance(label, tuple):
        return label
    return (Digit(size, label),) if size > 1 else ()


def deal(size: int, digits: list[Digit]) -> tuple[Label, list[Digit], bool]:
    """(label, digits left, whether it comes out even) of a new dimension of ``size`` positions."""
    taken: list[Digit] = []
    while size > 1:
        if not digits:  # positions were laid on, such as a class token
            return None, digits, False
        first = digits[0]
        if size % first.size == 0:
            taken.append(first)
            digits = digits[1:]
            size //= first.size
        elif first.size % size == 0:  # cut into blocks
            inner = first.size // size
            taken.append(Digit(size, first.axis, first.step * inner))
            digits = [Digit(inner, first.axis, first.step), *digits[1:]]
            size = 1
        else:
            return None, digits, False
    return label_of(taken), digits, True


def label_of(digits: Iterable[Digit]) -> Label:
    """The label of these digits, where neighbours that count on from one another are one."""
    merged: list[Digit] = []
    for digit in digits:
        last = merged[-1] if merged else None
        if last is not None and last.axis == digit.axis and (last.axis is None or last.step == digit.step * digit.size):
            merged[-1] = Digit(last.size * digit.size, digit.axis, digit.step)
        else:
            merged.append(digit)
    return tuple(merged) if any(digit.axis is not None for digit in merged) else None


def settle(field: Field) -> Field:
    """The field in which an axis that is one digit of one dimension is that dimension's, its step in the jump."""
    labels, axes = list(field.labels), list(field.axes)
    for dim, label in enumerate(labels):
        if not isinstance(label, tuple) or len(label) != 1:
            continue
        (digit,) = label
        if digit.axis is not None and holders(field.labels, digit.axis) == 1:
            labels[dim] = digit.axis
            axes[digit.axis] = stretched(axes[digit.axis], digit.step)
    return field._replace(labels=tuple(labels), axes=tuple(axes))


def holders(labels: Iterable[Label], axis: int) -> int:
    """How many digits an axis is spread over."""
    digits = (digit.axis for label in labels for digit in (label if isinstance(label, tuple) else (Digit(0, label),)))
    return sum(held == axis for held in digits)


def stretched(axis: Axis, step: object) -> Axis:
    return axis._replace(jump=plain(axis.jump * step))  # type: ignore[operator]


def smooth(field: Field, dim: int) -> Field:
    """The field in which positions that were repeated along a dimension lie closer together, as an upsampling's do."""
    label = field.labels[dim]
    if not isinstance(label, tuple) or len(label) < 2:
        return field
    first, *copies = label
    if first.axis is None or any(digit.axis is not None for digit in copies):
        return field
    times = 1
    for digit in copies:
        times *= digit.size
    labels = list(field.labels)
    labels[dim] = (Digit(first.size * times, first.axis, plain(Fraction(first.step) / times)),)
    return settle(field._replace(labels=tuple(labels)))


def consume(field: Field, dims: Iterable[int]) -> Field:
    """The field where what lies along ``dims`` was summed over: blocks widen the window, a whole axis is all of it."""
    dims = set(dims)
    labels = tuple(None if dim in dims else label for dim, label in enumerate(field.labels))
    axes = list(field.axes)
    for dim in dims:
        label = field.labels[dim]
        for axis in axes_in(label):
            if isinstance(label, int) or not holders(labels, axis):
                axes[axis] = axes[axis]._replace(whole=True)
            else:
                assert label is not None
                reach = sum(((digit.size - 1) * digit.step for digit in label if digit.axis == axis), Fraction(1))
                axes[axis] = axes[axis].window(plain(reach))
    return settle(Field(labels, tuple(axes), field.aligned))


def through(field: Field, dim: int, before: int, after: int) -> Field:
    """The field behind a linear map along a dimension; one that mixes all positions leaves as many, if their count."""
    seen = consume(field, [dim])
    label = field.labels[dim]
    digits = label if isinstance(label, tuple) else ()
    if before != after or label is None or any(digit.axis is None for digit in digits):
        return seen
    if not all(seen.axes[axis].whole and not holders(seen.labels, axis) for axis in axes_in(label)):
        return seen
    return seen._replace(labels=(*seen.labels[:dim], label, *seen.labels[dim + 1 :]))


def mixed_along(field: Field, dims: Iterable[int]) -> Field:
    """The field where every position along ``dims`` came to depend on all of them, and stays."""
    dims = set(dims)
    seen = consume(field, dims)
    kept = tuple(
        label if dim in dims and isinstance(label, int) else seen.labels[dim] for dim, label in enumerate(field.labels)
    )
    return seen._replace(labels=kept)


def along(
    field: Field, dims: list[int], shape: tuple[int, ...], change: Callable[[int, Axis], Axis], narrow: bool
) -> Field:
    """Apply ``change(place, axis)`` to the axes that lie along ``dims``; ``narrow`` if nothing is mixed by it.

    ``shape`` is the output's, whose sizes the digits take.
    """
    for dim in dims:
        field = smooth(field, dim)
    labels, axes = list(field.labels), list(field.axes)
    wide: set[int] = set()
    for place, dim in enumerate(dims):
        label = labels[dim]
        if isinstance(label, int):
            axes[label] = change(place, axes[label])
        elif label is not None and len(label) == 1 and label[0].axis is not None:  # within a block of the axis
            _, axis, step = label[0]
            assert axis is not None
            inner = change(place, stretched(axes[axis], step))
            labels[dim] = (Digit(shape[dim], axis, plain(Fraction(inner.jump) / axes[axis].jump)),)
            axes[axis] = inner._replace(jump=axes[axis].jump)
        elif label is not None and not narrow:
            wide |= axes_in(label)
    axes = [axis._replace(whole=True) if index in wide else axis for index, axis in enumerate(axes)]
    return Field(tuple(labels), tuple(axes), field.aligned)
