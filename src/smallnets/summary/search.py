"""The smallest picture that a net can take, found by trying without data."""

from collections.abc import Callable, Iterator

from torch import Tensor, nn

from ..errors import OptionError, ShapeError, check_choice, message
from ..models.base import Net
from .inputs import Call, Sized, abstracted, call_of_inputs, call_of_sizes, check_batch_size, leaves
from .probe import LARGEST, Probe, first_that_passes
from .replica import Replica


def min_input_size(
    model: nn.Module,
    *,
    training: bool = False,
    batch_size: int = 2,
    channels: int | None = None,
    input: Tensor | Callable[[int, int], object] | None = None,  # what it is called
) -> tuple[int, int]:
    """Smallest (h, w) that the model takes: the smallest square, made narrower where a side may be.

    Args:
        model: Any module over pictures (N, C, H, W).
        training: Try in training mode, where batch norm refuses a single value per channel.
        batch_size: Pictures in a batch; 1 matters in training.
        channels: C. By default that which some picture passes with: the first convolution's, 3, 1, or another's.
        input: What the model is called with where that is not one picture of floats: a tensor (N, C, H, W), for its
            channels and its type, or a function of (h, w) that returns what ``summarize`` takes as ``inputs``.

    Raises:
        ShapeError: When no picture up to 512x512 passes.

    >>> from smallnets import lenet5
    >>> min_input_size(lenet5())
    (32, 32)
    """
    check_batch_size("min_input_size", batch_size)
    check_choice("min_input_size", "training", training, (True, False))
    training, replica = bool(training), Replica(model)
    tried: list[str] = []
    for words, make in pictures(replica, model, channels, input):
        probe = Probe(replica, make, training, batch_size)
        found = smallest(probe)
        if found is not None:
            return found
        tried.append(words)
    expected = f"a model that takes some picture{' of ' * any(tried)}{' or '.join(tried)} up to {LARGEST}x{LARGEST}"
    advice = "" if channels or input is not None else "Say what its pictures are with channels= or input=."
    raise ShapeError(message("min_input_size", expected, f"{type(model).__name__}, which takes none", advice))


def pictures(
    replica: Replica, model: nn.Module, channels: int | None, given: object
) -> Iterator[tuple[str, Callable[[int, int], Call]]]:
    """The kinds of picture to try: (words for them, the call for an (h, w))."""
    if callable(given) and not isinstance(given, Tensor):
        yield "", lambda h, w: call_of_inputs("min_input_size", replica.module, given(h, w))
        return
    if given is not None:
        if not isinstance(given, Tensor) or given.dim() < 3 or channels is not None:
            expected = "input to be a tensor (N, C, H, W) or a function of (h, w), without channels"
            raise OptionError(message("min_input_size", expected, type(given).__name__))
        (size,) = leaves(abstracted(given))
        yield "", lambda h, w: Call((Sized((*size.size[1:-2], h, w), size.dtype),), {})
        return
    for count in [channels] if channels is not None else channels_of(model):
        check_count("channels", count)
        yield f"{count} channels", lambda h, w, count=count: call_of_sizes((count, h, w))  # type: ignore[misc]


def check_count(name: str, value: object) -> None:
    """Refuse what is no count."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ShapeError(message("min_input_size", f"{name} to be an integer of at least 1", repr(value)))


def channels_of(model: nn.Module) -> list[int]:
    """Channels that the pictures of a model may have, the likeliest first."""
    if isinstance(model, Net):
        return [model.input_size[0]]
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)]
    first = [module.in_channels for module in convolutions[:1]]
    return list(dict.fromkeys((*first, 3, 1, *(module.in_channels for module in convolutions))))


def smallest(probe: Probe) -> tuple[int, int] | None:
    """The first square side that passes, then each side alone as far down as it goes, if both may at once."""
    side = first_that_passes(lambda side: probe.failure(side, side))
    if side is None:
        return None
    height = first_that_passes(lambda height: probe.failure(height, side), side) or side
    width = first_that_passes(lambda width: probe.failure(side, width), side) or side
    return (height, width) if probe.runs(height, width) else (side, side)
