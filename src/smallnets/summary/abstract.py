"""Running a replica without data: two torch modes keep every tensor on the meta device, whatever is asked for."""

import random
import sys
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from ..errors import ShapeError
from ..shapes import conv_output_size, conv_transpose_output_size
from .propagate import spread, tensors_in
from .replica import SMALL

VALUE_TAGS = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}


class ValueNeeded(Exception):
    """The forward reads a value out of a tensor that has none here."""


class Op:
    """What is worth knowing of an ATen overload, looked up once."""

    __slots__ = ("name", "pointwise", "random", "reads_values")

    def __init__(self, func: Any) -> None:
        tags = set(func.tags)
        self.name: str = func.overloadpacket.__name__
        self.pointwise = torch.Tag.pointwise in tags
        self.random = torch.Tag.nondeterministic_seeded in tags
        # Indexing has the tag for its masks; whole numbers as indices leave the shape known.
        self.reads_values = bool(tags & VALUE_TAGS) and self.name not in ("index", "index_put", "index_put_")


OPS: dict[Any, Op] = {}


class NoData(TorchDispatchMode):
    """Every op runs on the meta device, but for small constants, which keep their values."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        op = OPS.get(func) or OPS.setdefault(func, Op(func))
        kwargs = kwargs or {}
        tensors = tensors_in(args)
        if kwargs:
            tensors += tensors_in(kwargs.values())
        if any(tensor.is_meta for tensor in tensors):
            if not all(tensor.is_meta for tensor in tensors):
                args, kwargs = to_meta(args), {name: to_meta(value) for name, value in kwargs.items()}
            if op.reads_values or (op.name == "index" and has_mask(args[1])):
                raise ValueNeeded
            if kwargs.get("device") is not None:
                kwargs["device"] = torch.device("meta")
            return self.record(op, func, args, kwargs)
        if not tensors and "device" in kwargs:
            return constant(op, func, args, kwargs)
        return func(*args, **kwargs)

    def record(self, op: Op, func: Any, args: Any, kwargs: Any) -> Any:
        """Run one op that touches the picture or the weights."""
        if op.name == "convolution":
            check_convolution(*args[:8])
        # PyTorch spells these out in Python on the meta device: most of a deep net's time for shapes that are known.
        if op.name == "native_batch_norm":
            x = args[0]
            mean, deviation = (x.new_empty(x.shape[1] if args[5] else 0) for _ in range(2))
            return torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device="meta"), mean, deviation
        if op.name == "addmm" and not kwargs and args[0].dim() == 1:
            bias, a, b = args
            if a.dim() == b.dim() == 2 and a.shape[1] == b.shape[0] and bias.shape[0] == b.shape[1]:
                return a.new_empty(a.shape[0], b.shape[1])
        return func(*args, **kwargs)


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


def to_meta(value: Any) -> Any:
    """A tensor, or what a list holds of them, on the meta device."""
    if isinstance(value, Tensor):
        if value.is_meta:
            return value
        return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
    if isinstance(value, tuple | list):
        return type(value)(to_meta(item) for item in value)
    return value


def has_mask(indices: Any) -> bool:
    return any(tensor.dtype in (torch.bool, torch.uint8) for tensor in tensors_in(indices))


def constant(op: Op, func: Any, args: Any, kwargs: Any) -> Any:
    """A tensor that the forward makes from nothing: without data where it is large or random."""
    asked = kwargs["device"]
    out = func(*args, **{**kwargs, "device": torch.device("meta")})
    small = isinstance(out, Tensor) and out.numel() <= SMALL
    if not small or op.random or (asked is not None and asked.type == "meta"):
        return out
    return func(*args, **{**kwargs, "device": torch.device("cpu")})


class NoDevice(TorchFunctionMode):
    """Calls that name a device are turned to the meta device, so that a forward written for a GPU runs anywhere."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if kwargs and kwargs.get("device") is not None:
            kwargs = {**kwargs, "device": abstract_device(kwargs["device"])}
        return self.record(func, args, kwargs or {})

    def record(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Run one call of PyTorch's Python face."""
        if func in MOVES_AWAY:
            return args[0]
        if func is torch.Tensor.to:
            args = tuple(abstract_device(value) if isinstance(value, str | torch.device) else value for value in args)
        return func(*args, **kwargs)


MOVES_AWAY = frozenset((torch.Tensor.cuda, torch.Tensor.cpu))


def abstract_device(device: Any) -> Any:
    """The device that stands for a given one: constants may lie on the CPU, all else has no data."""
    return device if torch.device(device).type == "cpu" else torch.device("meta")


@contextmanager
def undisturbed() -> Generator[None]:
    """A run that neither depends on the caller's inference mode nor moves a random state, nor warns of its own."""
    torch_state, python_state = torch.get_rng_state(), random.getstate()
    numpy = sys.modules.get("numpy")
    numpy_state = numpy.random.get_state() if numpy else None
    try:
        # What a forward warns of it says again when it really runs.
        with torch.inference_mode(False), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_rng_state(torch_state)
        random.setstate(python_state)
        if numpy:
            numpy.random.set_state(numpy_state)
