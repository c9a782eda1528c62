"""Why a run gave out, in one sentence: which layer, what reached it, which size would have passed."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from ..errors import SmallnetsError, message
from ..models.base import Net
from .abstract import ValueNeeded
from .recorder import Failure, Record
from .replica import Replica
from .row import Shape
from .search import Probe

CONVOLUTIONS = (
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)
NO_DATA = ("meta tensor", "meta device", "no data", "numpy", "unallocated storage")


def explain(replica: Replica, record: Record, input_size: Any) -> str:
    """The sentence for ``record.failure``."""
    failure = record.failure
    assert failure is not None
    who, cause = name_of(replica), failure.cause
    if isinstance(cause, SmallnetsError):
        return str(cause)
    if isinstance(cause, ValueNeeded) or any(words in str(cause) for words in NO_DATA):
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
    """A picture too small for the net, or one that its fixed layers do not fit."""
    channels, *size = picture
    probe = Probe(replica, channels)
    smallest = probe.smallest()
    if smallest is None:
        return None
    height, width = smallest
    too_small = size[0] < height or size[1] < width
    at_least = "at least " if probe.runs(2 * height, 2 * width) else ""
    reached = failure.inputs[0] if failure.inputs else ()
    arrives = sides(reached[2:]) if len(reached) == 4 else str(reached)
    given = f"{sides(size)}, which is {arrives} where it reaches {place(failure)}" if reached else sides(size)
    if (why := window_words(failure, reached)) is not None:
        given += why
    if too_small or not at_least:
        advice = "Enlarge the picture." if too_small else f"Resize the picture to {sides(smallest)}."
        return message(who, f"an input of {at_least}{sides(smallest)}", given, advice)
    return message(who, f"an input whose sides fit, like {sides(smallest)}", given, "Change the picture's size.")


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
