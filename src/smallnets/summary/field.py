"""The input window behind each position of a map, one axis at a time.

Position i of an axis sees the input pixels [start + i * jump, start + i * jump + size), zeros of the padding counted.

Source: Araujo, Norris & Sim 2019, "Computing receptive fields of convolutional neural networks", sections 2 and 3.
"""

from fractions import Fraction
from typing import NamedTuple, TypeAlias

from ..shapes import adaptive_pool_windows

Number: TypeAlias = int | Fraction


class Digit(NamedTuple):
    """Part of a dimension: ``size`` positions, ``step`` of which lie between two along ``axis``; None is no axis.

    An axis that a view cuts into blocks has a digit for the block and one for the place inside it.
    """

    size: int
    axis: int | None
    step: Number = 1


# What a dimension of a tensor runs along: no axis of the input, all of one, or digits, the slowest first.
Label: TypeAlias = int | tuple[Digit, ...] | None


class Axis(NamedTuple):
    """One axis of a map in pixels of the input; ``whole`` when every position sees all of the input."""

    size: Number
    jump: Number
    start: Number
    whole: bool = False

    def window(self, extent: Number, stride: Number = 1, before: Number = 0) -> "Axis":
        """Behind a window of ``extent`` positions that starts ``before`` positions early and steps by ``stride``."""
        if self.whole:
            return self._replace(jump=plain(self.jump * stride))
        size = self.size + (extent - 1) * self.jump
        return Axis(plain(size), plain(self.jump * stride), plain(self.start - before * self.jump))

    def shift(self, positions: Number) -> "Axis":
        """The same windows, counted from a later position on."""
        return self.window(1, before=-positions)

    def adaptive(self, positions: int, output: int) -> "Axis":
        """Behind an adaptive pool; the widest of its windows counts."""
        widest = max(end - start for start, end in adaptive_pool_windows(positions, output))
        return self.window(widest, Fraction(positions, output))

    def transposed(self, kernel: int, stride: int, padding: int, dilation: int) -> "Axis":
        """Behind a transposed convolution: output i sees input j wherever i = j * stride - padding + t * dilation."""
        taps: dict[int, list[int]] = {phase: [] for phase in range(stride)}
        for tap in range(kernel):
            phase = tap * dilation % stride
            taps[phase].append((phase - tap * dilation) // stride)
        # Phases differ in how many inputs they see; the widest counts, as for every window.
        widest = max((max(seen) - min(seen) + 1 for seen in taps.values() if seen), default=1)
        first = [padding // stride + seen for seen in taps[padding % stride]]
        return self.window(widest, Fraction(1, stride), -min(first, default=0))

    def upsampled(self, ratio: Number, neighbours: int, aligned_corners: bool = False) -> "Axis":
        """Behind an interpolation that reads ``neighbours`` input pixels, ``ratio`` of them to an output pixel."""
        if neighbours == 1:
            return self.window(1, ratio)
        half_pixel = 0 if aligned_corners else (1 - Fraction(ratio)) / 2
        return self.window(neighbours, ratio, half_pixel + (neighbours - 2) // 2)


class Field(NamedTuple):
    """What a tensor keeps of the input's axes: a label for each dimension, a window for each axis.

    ``aligned`` turns false where branches of unequal jumps met, since then no one window fits all positions.
    """

    labels: tuple[Label, ...]
    axes: tuple[Axis, ...]
    aligned: bool = True


def plain(number: Number) -> Number:
    """A whole fraction as an integer."""
    return int(number) if isinstance(number, Fraction) and number.denominator == 1 else number


def input_field(rank: int) -> Field:
    """The field of an input (N, C, *axes), or of one without axes."""
    axes = max(0, rank - 2)
    return Field((None,) * (rank - axes) + tuple(range(axes)), (Axis(1, 1, 0),) * axes)


def axes_in(label: Label) -> set[int]:
    """The axes that a label holds."""
    if isinstance(label, tuple):
        return {digit.axis for digit in label if digit.axis is not None}
    return set() if label is None else {label}


def mix(field: Field, labels: tuple[Label, ...], mixed: set[int]) -> Field:
    """The field with new labels, where every position now sees all along the axes ``mixed``."""
    axes = tuple(axis._replace(whole=True) if index in mixed else axis for index, axis in enumerate(field.axes))
    return Field(labels, axes, field.aligned)


def everything(field: Field, labels: tuple[Label, ...] | None = None) -> Field:
    """The field whose positions see all of the input."""
    return mix(field, field.labels if labels is None else labels, set(range(len(field.axes))))


def join(fields: list[Field], labels: tuple[Label, ...]) -> Field:
    """Where branches meet: the union of their windows; equal jumps, or the result is not aligned."""
    first, *others = fields
    axes, aligned = list(first.axes), first.aligned
    for other in others:
        aligned = aligned and other.aligned
        for index, (a, b) in enumerate(zip(axes, other.axes, strict=False)):
            if a == b:
                continue
            if a.whole or b.whole:
                # The jump is that of the branch that still has positions along the axis.
                axes[index] = (b if a.whole else a)._replace(whole=True)
                continue
            aligned = aligned and a.jump == b.jump
            start, end = min(a.start, b.start), max(a.start + a.size, b.start + b.size)
            axes[index] = Axis(plain(end - start), max(a.jump, b.jump), start)
    return Field(labels, tuple(axes), aligned)


def in_pixels(
    field: Field | None, sides: tuple[int, ...]
) -> tuple[tuple[Number, ...] | None, tuple[Number, ...] | None, tuple[Number, ...] | None]:
    """(size, jump, offset) along every axis of an input with these sides; None where there is no one window."""
    if field is None or not field.axes or not field.aligned or len(field.axes) != len(sides):
        return None, None, None
    axes = [
        axis._replace(size=side, start=0) if axis.whole else axis for axis, side in zip(field.axes, sides, strict=True)
    ]
    return tuple(axis.size for axis in axes), tuple(axis.jump for axis in axes), tuple(axis.start for axis in axes)
