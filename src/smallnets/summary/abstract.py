"""Running a replica without data: two torch modes keep every tensor on the meta device, whatever is asked for."""

import random
import sys
import warnings
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from .copier import storage_id
from .inputs import SMALL
from .op import Op
from .refusals import TYPED, check_convolution, check_dtypes, run_empty
from .tracked import field_of, hang, set_field, tensors_in, write


class ValueNeeded(Exception):
    """The forward reads a value out of a tensor that has none here."""


class Outside(Exception):
    """The forward writes into a tensor that neither the module nor the run owns."""


class NoData(TorchDispatchMode):
    """Every op runs on the meta device, but for small constants, which keep their values.

    FakeTensorMode would do the same and more (devices, symbols), for several times the time of an op and an import
    of seconds; it keeps no values in constants that are written to, and cannot say what a field is.
    """

    def __init__(self, owned: Iterable[Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        # Storages with values that the run may write to; kept alive, so that their numbers stay theirs.
        self.made = {storage_id(tensor): tensor for tensor in owned}
        self.blurred: dict[int, Tensor] = {}  # of these, those in which something without a value was written

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to keep the compiler away from a mode PyTorch would import it: seconds

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        op = Op.of(func)
        kwargs = kwargs or {}
        tensors = tensors_in(args)
        if kwargs:
            tensors += tensors_in(kwargs.values())
        real = [tensor for tensor in tensors if not tensor.is_meta]
        blurred = bool(self.blurred) and any(storage_id(tensor) in self.blurred for tensor in real)
        if len(real) < len(tensors) or blurred:
            if real:
                if op.writes and args and args[0] is real[0]:
                    self.own(op, real[0])
                    self.blurred[storage_id(real[0])] = real[0]
                    return self.blur(op, func, args, kwargs)
                if op.name not in COUNTED:
                    args = to_meta(args)
                kwargs = {name: to_meta(value) for name, value in kwargs.items()}
            if op.reads_values or (op.name == "index" and has_mask(args[1])):
                raise ValueNeeded
            if kwargs.get("device") is not None:
                kwargs["device"] = torch.device("meta")
            return self.record(op, func, args, kwargs)
        if op.writes and real:
            self.own(op, real[0])
        out = constant(op, func, args, kwargs) if not tensors and "device" in kwargs else func(*args, **kwargs)
        if op.view:
            hang(op, args, kwargs, tensors_in((out,)))
        if op.name == "lift_fresh" or not op.view:
            for tensor in tensors_in((out,)):
                if not tensor.is_meta:
                    self.made.setdefault(storage_id(tensor), tensor)
        return out

    def blur(self, op: Op, func: Any, args: Any, kwargs: Any) -> Any:
        """Write what has no values into a constant, which from now on has none either."""
        out = self.record(op, func, to_meta(args), {name: to_meta(value) for name, value in kwargs.items()})
        write(args[0], field_of(out))
        return args[0]

    def own(self, op: Op, tensor: Tensor) -> None:
        """Refuse to write into what is neither the copy's nor made by the run itself."""
        if storage_id(tensor) not in self.made:
            raise Outside(op.name)

    def record(self, op: Op, func: Any, args: Any, kwargs: Any) -> Any:
        """Run one op that touches the picture or the weights."""
        if op.name == "convolution":
            check_convolution(*args[:8])
        if op.name in TYPED:
            check_dtypes(op.name, args)
        # PyTorch spells these out in Python on the meta device: most of a deep net's time for shapes that are known.
        if op.name == "native_batch_norm":
            x = args[0]
            mean, deviation = (x.new_empty(x.shape[1] if args[5] else 0) for _ in range(2))
            return torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device="meta"), mean, deviation
        # The mean's shape is the sum's; its own comes through PyTorch's compiler, whose import takes seconds.
        if op.name == "mean" and not kwargs and len(args) > 1 and args[0].is_floating_point():
            return torch.ops.aten.sum.dim_IntList(*args)
        if op.name == "addmm" and not kwargs and args[0].dim() == 1:
            bias, a, b = args
            if a.dim() == b.dim() == 2 and a.shape[1] == b.shape[0] and bias.shape[0] == b.shape[1]:
                return a.new_empty(a.shape[0], b.shape[1])
        out = func(*args, **kwargs)
        if not op.view and not op.independent and any(tensor.numel() == 0 for tensor in tensors_in((args, out))):
            run_empty(func, args, kwargs)
        return out


# Lengths by the values of a tensor on the CPU, which decide the shape.
COUNTED = frozenset(("_pack_padded_sequence", "_pad_packed_sequence"))


def to_meta(value: Any) -> Any:
    """A tensor, or what a list holds of them, on the meta device."""
    if isinstance(value, Tensor):
        if value.is_meta:
            return value
        twin: Any = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
        if value.dim() == 1 and value.numel() <= SMALL and value.dtype == torch.long:
            twin._smallnets_values = value.tolist()  # of an index, which says what a field is made of
        if field_of(value) is not None:
            set_field(twin, field_of(value))
        return twin
    if isinstance(value, tuple | list):
        items = [to_meta(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def floats_to_meta(value: Any) -> Any:
    """The same structure, its floating-point tensors on the meta device."""
    if isinstance(value, Tensor):
        return to_meta(value) if value.is_floating_point() else value
    if isinstance(value, dict):
        return {name: floats_to_meta(item) for name, item in value.items()}
    if type(value) in (tuple, list):
        return type(value)(floats_to_meta(item) for item in value)
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
        if func in TOGETHER:
            args, kwargs = floats_to_meta(args), floats_to_meta(kwargs)
        if func is torch.Tensor.to:
            args = tuple(abstract_device(value) if isinstance(value, str | torch.device) else value for value in args)
        return func(*args, **kwargs)


MOVES_AWAY = frozenset((torch.Tensor.cuda, torch.Tensor.cpu))
# Refuse constants on another device before any op of theirs is seen.
TOGETHER = frozenset((torch.stft, torch.Tensor.stft))


def abstract_device(device: Any) -> Any:
    """The device that stands for a given one: constants may lie on the CPU, all else has no data."""
    return device if torch.device(device).type == "cpu" else torch.device("meta")


@contextmanager
def undisturbed() -> Generator[None]:
    """A run that neither depends on the caller's inference mode nor moves a random state, nor warns of its own."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch_state, python_state = torch.get_rng_state(), random.getstate()
    numpy = sys.modules.get("numpy")
    numpy_state = numpy.random.get_state() if numpy else None
    try:
        # What a forward warns of it says again when it really runs.
        with torch.inference_mode(False), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.backends.mha.set_fastpath_enabled(False)  # which looks at the values of masks
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        torch.set_rng_state(torch_state)
        random.setstate(python_state)
        if numpy:
            numpy.random.set_state(numpy_state)
