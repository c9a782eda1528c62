"""From the sizes that a user types to abstract inputs."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from ..errors import ShapeError, message, sizes_that_fit

SMALL = 4096  # elements up to which whole numbers keep their values

InputSize: TypeAlias = Sequence[int] | Sequence[Sequence[int] | Tensor] | Mapping[str, Sequence[int] | Tensor] | Tensor


def check_input_size(who: str, input_size: Any) -> None:
    """Refuse a size that no input can have, before anything runs.

    Raises:
        ShapeError: Naming the size.
    """
    for size in sizes_of(input_size):
        if isinstance(size, Tensor):
            continue
        whole = isinstance(size, Sequence) and not isinstance(size, str) and len(size) > 0
        if not whole or not all(isinstance(side, int) and not isinstance(side, bool) and side >= 1 for side in size):
            expected = "an input size of positive integers without the batch dimension, like (3, 224, 224)"
            raise ShapeError(message(who, expected, repr(input_size)))


def check_batch_size(who: str, batch_size: object) -> None:
    """Refuse a batch size that is not a positive integer."""
    if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
        raise ShapeError(message(who, "batch_size to be an integer of at least 1", repr(batch_size)))


def sizes_of(input_size: Any) -> list[Any]:
    """One size for each input of the forward."""
    if isinstance(input_size, Mapping):
        return list(input_size.values())
    if isinstance(input_size, Sequence) and input_size and not isinstance(input_size[0], int | float | str):
        return list(input_size)
    return [input_size]


class Sized(NamedTuple):
    """The size of a tensor, without the batch dimension unless ``whole``; its dtype, or None for the model's."""

    size: tuple[int, ...]
    dtype: torch.dtype | None = None
    whole: bool = False


class Call(NamedTuple):
    """What a model is called with: arguments of any structure, with a ``Sized`` in place of each tensor."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def call_of_sizes(input_size: Any) -> Call:
    """The call that an input size stands for: positional inputs, or named ones for a mapping."""

    def sized(size: Any) -> Sized:
        return Sized(tuple(size.shape), size.dtype, True) if isinstance(size, Tensor) else Sized(tuple(size))

    if isinstance(input_size, Mapping):
        return Call((), {name: sized(size) for name, size in input_size.items()})
    return Call(tuple(sized(size) for size in sizes_of(input_size)), {})


def call_of_inputs(who: str, model: nn.Module, inputs: Any) -> Call:
    """The call that ``inputs`` describes: a tuple or list is the arguments in order, a dict those by name.

    Where the forward takes no such arguments but takes one, the tuple, list or dict is that one.

    Raises:
        ShapeError: When there is no tensor among them, or the forward does not take them.
    """
    held = abstracted(inputs)
    if isinstance(held, Mapping):
        call = Call((), dict(held))
    else:
        several = isinstance(held, tuple | list) and not isinstance(held, Sized) and not hasattr(held, "_fields")
        call = Call(tuple(held) if several else (held,), {})
    if not leaves(call):
        expected = "inputs with a tensor, or with a size and its dtype like ((3, 224, 224), torch.float32)"
        raise ShapeError(message(who, expected, repr(inputs), "A size alone goes into input_size."))
    if not binds(model, call) and binds(model, Call((held,), {})):
        call = Call((held,), {})
    check_signature(who, model, call)
    return call


def abstracted(value: Any) -> Any:
    """The structure with sizes in place of tensors; lists of whole numbers, such as lengths, keep values."""
    if isinstance(value, Tensor):
        counts = value.dim() < 2 and value.device.type == "cpu" and not value.is_floating_point()
        return (
            value.detach().clone()
            if counts and value.numel() <= SMALL
            else Sized(tuple(value.shape), value.dtype, True)
        )
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], torch.dtype):
        check_input_size("summarize", value[0])
        return Sized(tuple(value[0]), value[1])
    if isinstance(value, Mapping):
        return {name: abstracted(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        items = [abstracted(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def leaves(value: Any) -> list[Any]:
    """The sizes and tensors in a structure."""
    if isinstance(value, Sized | Tensor):
        return [value]
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else ()
    return [leaf for item in items for leaf in leaves(item)]


def make_inputs(call: Call, batch_size: int, dtype: torch.dtype) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The call's arguments, meta tensors in place of the sizes, batch dimension in front."""

    def make(value: Any) -> Any:
        if isinstance(value, Sized):
            shape = value.size if value.whole else (batch_size, *value.size)
            return torch.empty(shape, dtype=value.dtype or dtype, device="meta")
        if isinstance(value, Tensor):
            return value.clone()
        if isinstance(value, Mapping):
            return {name: make(item) for name, item in value.items()}
        if isinstance(value, tuple | list):
            items = [make(item) for item in value]
            return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
        return value

    with sizes_that_fit("summarize"), torch.inference_mode(False):
        return tuple(make(value) for value in call.args), {name: make(value) for name, value in call.kwargs.items()}


def binds(model: nn.Module, call: Call) -> bool:
    """Whether the forward's signature takes the call; one that is written in C says nothing and takes all."""
    try:
        signature = inspect.signature(model.forward)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(*call.args, **call.kwargs)
    except TypeError:
        return False
    return True


def check_signature(who: str, model: nn.Module, call: Call) -> None:
    """Refuse inputs that the forward's signature does not take, naming what is missing.

    Raises:
        ShapeError: With the names of the arguments and how to give them.
    """
    if binds(model, call):
        return
    parameters = inspect.signature(model.forward).parameters.values()
    variable = ("VAR_POSITIONAL", "VAR_KEYWORD")
    needed = [one.name for one in parameters if one.default is one.empty and one.kind.name not in variable]
    expected = f"a size for each argument of {type(model).__name__}.forward ({', '.join(needed)})"
    given = f"{', '.join(call.kwargs) or len(call.args)}" + ("" if call.kwargs else " in order")
    example = "{" + ", ".join(f"{name!r}: (3, 32, 32)" for name in needed) + "}"
    raise ShapeError(message(who, expected, given, f"Name them: input_size={example}."))
