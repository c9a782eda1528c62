"""From the sizes that a user types to abstract inputs."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from ..errors import ShapeError, message, sizes_that_fit

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


def make_inputs(input_size: Any, batch_size: int, dtype: torch.dtype) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Meta tensors of the sizes, batch dimension in front: positional ones, and named ones for a mapping.

    A tensor in place of a size is taken for its shape and type as it is.
    """

    def make(size: Any) -> Tensor:
        if isinstance(size, Tensor):
            return torch.empty(size.shape, dtype=size.dtype, device="meta")
        return torch.empty((batch_size, *size), dtype=dtype, device="meta")

    with sizes_that_fit("summarize"), torch.inference_mode(False):
        if isinstance(input_size, Mapping):
            return [], {name: make(size) for name, size in input_size.items()}
        return [make(size) for size in sizes_of(input_size)], {}


def check_signature(who: str, model: nn.Module, input_size: Any) -> None:
    """Refuse inputs that the forward's signature does not take, naming what is missing.

    Raises:
        ShapeError: With the names of the arguments and how to give them.
    """
    args: list[int] = [] if isinstance(input_size, Mapping) else [0] * len(sizes_of(input_size))
    kwargs: dict[str, int] = dict.fromkeys(input_size, 0) if isinstance(input_size, Mapping) else {}
    try:
        signature = inspect.signature(model.forward)
    except (TypeError, ValueError):  # a forward written in C says nothing
        return
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        needed = [name for name, value in signature.parameters.items() if value.default is value.empty]
        needed = [
            name for name in needed if signature.parameters[name].kind.name not in ("VAR_POSITIONAL", "VAR_KEYWORD")
        ]
        expected = f"a size for each argument of {type(model).__name__}.forward ({', '.join(needed)})"
        given = f"{', '.join(kwargs) or len(args)}" + ("" if kwargs else " in order")
        example = "{" + ", ".join(f"{name!r}: (3, 32, 32)" for name in needed) + "}"
        raise ShapeError(message(who, expected, given, f"Name them: input_size={example}.")) from None
