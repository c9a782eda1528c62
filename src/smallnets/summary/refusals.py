"""What a real run refuses and the meta device lets pass."""

from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from ..errors import ShapeError
from ..shapes import conv_output_size, conv_transpose_output_size
from .inputs import SMALL
from .tracked import spread, tensors_in

PRODUCTS = frozenset(("convolution", "mm", "bmm", "mv", "addmm", "baddbmm", "addbmm", "addmv", "dot"))
NORMS = frozenset(("native_batch_norm", "native_layer_norm", "native_group_norm"))
TYPED = PRODUCTS | NORMS | {"embedding"}


def check_dtypes(name: str, args: Any) -> None:
    """Refuse kinds of numbers that a real run refuses to mix, and the meta device does not.

    Raises:
        RuntimeError: Naming both.
    """
    tensors = [value for value in args if isinstance(value, Tensor)]
    kinds = [tensor.dtype for tensor in tensors]
    if name == "embedding":
        if kinds[1] not in (torch.int32, torch.int64):
            raise RuntimeError(f"indices of {kinds[1]} instead of torch.int64")
        return
    if name in NORMS:  # halves are normed with the parameters that mixed precision keeps
        reduced = kinds[0] in (torch.float16, torch.bfloat16)
        kinds = [kind for kind in kinds if not (reduced and kind == torch.float32)]
    for kind in kinds:
        if kind != kinds[0]:
            raise RuntimeError(f"{kinds[0]} meets {kind}; both must have the same dtype")


def run_empty(func: Any, args: Any, kwargs: Any) -> None:
    """Run an op that has nothing to compute for real: it refuses there what the meta device lets pass."""
    if sum(tensor.numel() for tensor in tensors_in((args, tuple(kwargs.values())))) > SMALL:
        return
    with suppress(NotImplementedError):
        func(*to_cpu(args), **{name: to_cpu(value) for name, value in kwargs.items()})


def to_cpu(value: Any) -> Any:
    """A tensor of zeros in place of each without data."""
    if isinstance(value, Tensor):
        return torch.zeros(value.shape, dtype=value.dtype)
    if isinstance(value, torch.device):
        return torch.device("cpu")
    return type(value)(to_cpu(item) for item in value) if isinstance(value, tuple | list) else value


def check_convolution(
    x: Tensor, weight: Tensor, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool, more: Any
) -> None:
    """Refuse what a real run refuses: how much of it the meta device lets pass depends on PyTorch's release.

    Raises:
        RuntimeError: When a side of the output would be empty, or more is added to it than a stride allows.
    """
    if x.dim() != weight.dim():
        return
    sides, kernel = x.shape[2:], weight.shape[2:]
    steps = [spread(values, len(kernel)) for values in (stride, padding, *((more,) if transposed else ()), dilation)]
    rule = conv_transpose_output_size if transposed else conv_output_size
    try:
        for side in zip(sides, kernel, *steps, strict=True):
            rule(*side)
    except ShapeError as error:
        raise RuntimeError(str(error)) from error
