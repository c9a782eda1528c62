"""Why a run gave out, in one sentence: which layer, what reached it, which size would have passed."""

import math
from collections.abc import Sequence
from typing import Any

from torch import nn

from ..errors import SmallnetsError, message
from ..models.base import Net
from ..wording import has_no_data
from .abstract import Outside, ValueNeeded
from .inputs import call_of_sizes
from .probe import PERIOD, Exhausted, Probe, differs_alike
from .record import Failure, Record
from .replica import Replica
from .row import Row, Shape
from .search import smallest

CONVOLUTIONS = (
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)
PRODUCTS = ("matmul", "bmm", "einsum", "linear")  # whose factors need not be of one size
WORTH = 3000  # calls of layers to try sizes with, before the sentence does without them


def explain(replica: Replica, record: Record, input_size: Any) -> str:
    """The sentence for ``record.failure``."""
    failure = record.failure
    assert failure is not None
    who, cause = name_of(replica), failure.cause
    if isinstance(cause, SmallnetsError):
        return str(cause)
    if isinstance(cause, Outside):
        advice = "Make what it writes to an attribute of the module."
        given = f"{cause} into a tensor from elsewhere in {failure.path or 'forward'}"
        return message(who, "a forward that writes only to what its module holds", given, advice)
    if isinstance(cause, ValueNeeded) or has_no_data(cause):
        advice = "Take the decision from sizes or from Python values, or summarise the parts by themselves."
        given = f"a value read out of a tensor in {failure.path or 'forward'}"
        return message(who, "a forward whose course follows from the sizes alone", given, advice)
    picture = as_picture(input_size)
    sentence = wrong_channels(who, failure, input_size)
    if sentence is None and picture is not None:
        sentence = wrong_size(who, replica, failure, picture)
    return sentence or wrong_layer(who, failure, cause)


def name_of(replica: Replica) -> str:
    """The builder's name of a net of the zoo, else the class."""
    module = replica.module
    return str(module.config["name"]) if isinstance(module, Net) else replica.type


def as_picture(input_size: Any) -> tuple[int, int, int] | None:
    """The (C, H, W) of a single picture."""
    if isinstance(input_size, Sequence) and len(input_size) == 3 and all(isinstance(side, int) for side in input_size):
        channels, height, width = input_size
        return channels, height, width
    return None


def place(failure: Failure) -> str:
    if not failure.path:
        return failure.type if failure.module is None else f"{failure.type}.forward"
    return f"{failure.path} ({failure.type})" if failure.module is not None else f"{failure.type} in {failure.path}"


def sides(shape: Sequence[int]) -> str:
    return "x".join(str(side) for side in shape)


def wrong_channels(who: str, failure: Failure, input_size: Any) -> str | None:
    """A convolution that gets another rank or other channels than it was built for."""
    module = failure.module
    if not isinstance(module, CONVOLUTIONS) or not failure.inputs:
        return None
    shape, count = failure.inputs[0], len(module.kernel_size)
    if len(shape) != count + 2:
        expected = f"a batch of maps (N, {module.in_channels}, {', '.join('DHW'[-count:])}) at {place(failure)}"
        advice = "Give input_size without the batch dimension, like (3, 224, 224)."
        return message(who, expected, shape, advice)
    if shape[1] != module.in_channels:
        expected = f"{module.in_channels} channels at {place(failure)}"
        return message(
            who, expected, f"{shape[1]} in {shape}", "Give an input of those channels, or rebuild the layer."
        )
    return None


def wrong_size(who: str, replica: Replica, failure: Failure, picture: tuple[int, int, int]) -> str | None:
    """A picture too small for the net, one that its fixed layers do not fit, or branches that disagree."""
    channels, *size = picture
    probe = Probe(replica, lambda height, width: call_of_sizes((channels, height, width)), strict=True)
    probe.left = WORTH
    try:
        return right_size(who, probe, failure, size)
    except Exhausted:
        return None


def right_size(who: str, probe: Probe, failure: Failure, size: Sequence[int]) -> str | None:
    """The sentence with the sizes that would pass; None where none does."""
    fitting = smallest(probe)
    if fitting is None:
        return unpadded(who, probe, failure, size)
    height, width = fitting
    probe.left = WORTH
    too_small = size[0] < height or size[1] < width
    if not too_small and (sentence := strided(who, probe, failure, size)) is not None:
        return sentence
    reached = failure.inputs[0] if failure.inputs else ()
    arrives = sides(reached[2:]) if len(reached) == 4 else str(reached)
    given = f"{sides(size)}, which is {arrives} where it reaches {place(failure)}" if reached else sides(size)
    if (why := window_words(failure, reached)) is not None:
        given += why
    near = [] if too_small or failure.module is not None else nearest_sizes(probe, size)
    if near:
        advice = f"Resize the picture to {' or '.join(sides(one) for one in near)}."
        return message(who, "an input whose sides fit", given, advice)
    at_least = "at least " if probe.runs(2 * height, 2 * width) else ""
    if too_small or not at_least:
        advice = "Enlarge the picture." if too_small else f"Resize the picture to {sides(fitting)}."
        return message(who, f"an input of {at_least}{sides(fitting)}", given, advice)
    return message(who, f"an input whose sides fit, like {sides(fitting)}", given, "Change the picture's size.")


def nearest_sizes(probe: Probe, size: Sequence[int]) -> list[tuple[int, int]]:
    """The next smaller and the next larger picture that pass, for branches that halve and double."""
    around = [around_side(probe, side) for side in size]
    pairs = dict.fromkeys(zip(*around, strict=True))
    return [(h, w) for h, w in pairs if h is not None and w is not None and probe.runs(h, w)]


def around_side(probe: Probe, side: int) -> tuple[int | None, int | None]:
    """The nearest sides below and above that pass as squares; itself, where it passes."""
    if probe.runs(side, side):
        return side, side
    for step in (2, 4, 8, 16, 32, PERIOD):
        below = side // step * step
        if below and probe.runs(below, below) and probe.runs(below + step, below + step):
            return below, below + step
    smaller, larger = range(side - 1, max(0, side - PERIOD), -1), range(side + 1, side + PERIOD)
    lower, upper = (next((near for near in sides if probe.runs(near, near)), None) for sides in (smaller, larger))
    return lower, upper


def unpadded(who: str, probe: Probe, failure: Failure, size: Sequence[int]) -> str | None:
    """Branches that differ by as much at every picture size: a layer of one of them loses the border."""
    other = other_shapes(probe, failure, size)
    shapes = failure.inputs
    if other is None or not differs_alike(shapes, other):
        return None
    widths = [shape[1] for shape in shapes]
    if failure.type != "cat" and widths[0] != widths[1] and 1 not in widths:
        given = f"{widths[0]} in {sides(shapes[0])} and {widths[1]} in {sides(shapes[1])}"
        advice = "Make the layers in front of it as wide as each other."
        return message(who, f"branches of as many channels at {place(failure)}", given, advice)
    small = min(range(2), key=lambda branch: math.prod(shapes[branch]))
    layers = [row for row in failure.behind[small] if loses_border(row)] if len(failure.behind) == 2 else []
    expected = f"branches of one size at {place(failure)}"
    given = f"{sides(shapes[0])} and {sides(shapes[1])}, as far apart at every picture size"
    pads = [f"{row.path or row.type} padding={border(row)}" for row in layers]
    advice = f"Give {' and '.join(pads)}." if pads else "Pad the layers of the smaller one."
    return message(who, expected, given, advice)


def strided(who: str, probe: Probe, failure: Failure, size: Sequence[int]) -> str | None:
    """Branches of which one is so many times the other's size at every picture size: they have other strides."""
    other = other_shapes(probe, failure, size)
    times = [ratios(shapes) for shapes in (failure.inputs, other or ())]
    if other is None or times[0] != times[1] or not any(ratio not in (0, 1) for ratio in times[0]):
        return None
    given = f"{sides(failure.inputs[0])} and {sides(failure.inputs[1])}, as many times the size at every picture size"
    advice = "Give both the same strides, or enlarge the smaller one first."
    return message(who, f"branches of one stride at {place(failure)}", given, advice)


def other_shapes(probe: Probe, failure: Failure, size: Sequence[int]) -> tuple[Shape, ...] | None:
    """What reaches a place where two maps meet with a larger picture; None where no two maps meet, or they pass."""
    maps = len(failure.inputs) == 2 and all(len(shape) == 4 for shape in failure.inputs)
    if failure.module is not None or not maps or failure.type in PRODUCTS:
        return None
    other = probe.failure(size[0] + PERIOD, size[1] + PERIOD)
    return None if other is None or len(other.failure.inputs) != 2 else other.failure.inputs


def ratios(shapes: Sequence[Shape]) -> list[int]:
    """How many times the larger of two maps is the smaller one, by side, to within one stride; else 0."""
    pairs = [(max(pair), max(1, min(pair))) for pair in zip(*(shape[2:] for shape in shapes), strict=False)]
    times = [(large, small, -(-large // small)) for large, small in pairs]
    return [ratio if large > (small - 1) * ratio else 0 for large, small, ratio in times]


def border(row: Row) -> int:
    """The padding that keeps a map's size."""
    return row.dilation[0] * (row.kernel_size[0] - 1) // 2 if row.kernel_size and row.dilation else 0


def loses_border(row: Row) -> bool:
    """Whether a convolution or pool of stride 1 makes its map smaller for want of padding."""
    if not row.kernel_size or not row.stride or not row.dilation or isinstance(row.padding, str) or row.padding is None:
        return False
    windows = zip(row.kernel_size, row.stride, row.padding, row.dilation, strict=True)
    return all(s == 1 and 2 * p < d * (k - 1) for k, s, p, d in windows)


def window_words(failure: Failure, shape: Shape) -> str | None:
    """How a layer's own size compares to what reached it."""
    module = failure.module
    if isinstance(module, nn.Linear) and shape:
        return f", {shape[-1]} features instead of {module.in_features}"
    kernel = getattr(module, "kernel_size", None)
    if kernel is None:
        return None
    window = sides(kernel) if isinstance(kernel, tuple) else sides((kernel, kernel))
    return f", too small for its {window} window"


def wrong_layer(who: str, failure: Failure, cause: Exception) -> str:
    """Any other refusal, with the first line of what was said."""
    words = (str(cause).strip() or type(cause).__name__).splitlines()[0].rstrip(".")
    if isinstance(failure.module, nn.Linear) and failure.inputs:
        shape = failure.inputs[0]
        if shape[-1:] != (failure.module.in_features,):
            return message(who, f"{failure.module.in_features} features at {place(failure)}", f"{shape[-1]} in {shape}")
    shapes = " and ".join(str(shape) for shape in failure.inputs) or "its input"
    return message(who, f"{place(failure)} to take {shapes}", f"a refusal: {words}")
