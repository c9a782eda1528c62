"""``receptive_field``: the input window behind one position of a map."""

from typing import NamedTuple

from torch import nn

from ..errors import ShapeError, check_text, message, nearest
from .field import Field, Number, axes_in
from .inputs import InputSize
from .row import Row
from .summarize import summarize
from .summary import Summary


class ReceptiveField(NamedTuple):
    """Position (i, j) of a map sees the input pixels from ``offset + (i, j) * jump`` on, ``size`` of them.

    Attributes:
        size: Sides of the window in input pixels, (h, w); the input's own sides where it sees all of it.
        jump: Input pixels from one position to the next, (h, w).
        offset: Where the first position's window starts, (h, w); negative inside the padding.
    """

    size: tuple[Number, ...]
    jump: tuple[Number, ...]
    offset: tuple[Number, ...]


def receptive_field(model: nn.Module, input_size: InputSize, at: str | None = None) -> ReceptiveField:
    """The receptive field behind a layer, through every branch.

    Windows are those of the recurrence: zeros of the padding count, so that a field may be larger than the picture.
    Global pooling, attention, linear layers over the whole map and group norm see all of the input.

    Args:
        model: Any module that ``summarize`` takes.
        input_size: Size of one picture, (C, H, W).
        at: Path of a module; its last output counts. None is the last feature map before global pooling.

    Raises:
        ShapeError: When there is no such layer, the model fails before it, or branches of different strides meet
            on the way to it.

    Source:
        Araujo, Norris & Sim 2019, "Computing receptive fields of convolutional neural networks", with the union of
        the windows where branches meet.

    >>> from smallnets import convnet3, receptive_field
    >>> receptive_field(convnet3(), (3, 32, 32))
    ReceptiveField(size=(36, 36), jump=(8, 8), offset=(-14, -14))
    """
    summary = summarize(model, input_size)
    if at is not None:
        check_text("receptive_field", "at", at)
    if summary.failure and at is None:
        raise ShapeError(summary.failure)
    index = last_map(summary) if at is None else last_output(summary, at)
    row, seen = summary.rows[index], summary.fields[index]
    if row.receptive_field is None or row.jump is None or row.offset is None:
        where = row.path or row.type
        if seen is not None and not seen.aligned:
            raise ShapeError(message("receptive_field", "branches of equal stride", summary.notes[0].rstrip(".")))
        raise ShapeError(message("receptive_field", f"a map that comes from the picture at {where!r}", row.output))
    return ReceptiveField(row.receptive_field, row.jump, row.offset)


def last_output(summary: Summary, at: str) -> int:
    """The last row inside the module ``at``."""
    found = [index for index, row in enumerate(summary.rows) if at in ("", row.path) or row.path.startswith(at + ".")]
    if not found:
        if summary.failure:
            raise ShapeError(summary.failure)
        known = [*summary.modules, *(row.path for row in summary.rows)]
        advice = nearest(at, known) or f"Paths are like {known[-1]!r}."
        raise ShapeError(message("receptive_field", "the path of a module that runs", repr(at), advice))
    return found[-1]


def last_map(summary: Summary) -> int:
    """The last feature map before global pooling."""
    pairs = zip(summary.rows, summary.fields, strict=True)
    found = [index for index, (row, seen) in enumerate(pairs) if is_feature_map(row, seen)]
    if not found:
        raise ShapeError(message("receptive_field", "a model with feature maps", f"{summary.model}, which has none"))
    return found[-1]


def is_feature_map(row: Row, seen: Field | None) -> bool:
    """Whether a row's output still lies over the picture, as a map or as tokens.

    The fixed grids of adaptive pools no longer count, nor do vectors that hold channels beside places.
    """
    if seen is None or not seen.axes or "adaptive" in row.type.lower():
        return False
    places = [places_of(seen, axis) for axis in range(len(seen.axes))]
    if not any(places) or any(not dims and not axis.whole for dims, axis in zip(places, seen.axes, strict=True)):
        return False
    return not any(axis.whole for axis in seen.axes) or any(row.shape[dim] > 1 for dims in places for dim in dims)


def places_of(seen: Field, axis: int) -> list[int]:
    """The dimensions that run along an axis and along nothing that is none."""
    return [
        dim
        for dim, label in enumerate(seen.labels)
        if label == axis
        or (isinstance(label, tuple) and axis in axes_in(label) and all(digit.axis is not None for digit in label))
    ]
