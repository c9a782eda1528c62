"""Watching a replica run: one row for each call of a leaf module and for each functional call in between."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ..errors import SmallnetsError
from .abstract import NoData, NoDevice, floats_to_meta, undisturbed
from .calls import (
    SILENT,
    function_name,
    is_leaf,
    one,
    own_parameters,
    padding_name,
    rows_behind,
    set_row,
    shapes_in,
    tensors_of,
    type_name,
    window_of,
)
from .copier import storage_id
from .costs import cost, nbytes
from .field import in_pixels
from .op import Op
from .propagate import propagate
from .record import Failure, Open, Record
from .replica import Replica
from .row import Row
from .tracked import field_of, set_field, start_field, tensors_in


class Recorder:
    """Runs a replica once and fills a ``Record``."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.record = Record()
        self._open: Open | None = None
        self.path = ""  # of the module whose forward is running
        self._sides: tuple[int, ...] = ()
        # Outputs stay alive until the end, else a freed storage's number would come back as another's.
        self._alive: list[Tensor] = []
        self._wrapped: list[tuple[nn.Module, Any]] = []

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Record:
        inputs = [tensor for tensor in tensors_of((args, kwargs)) if tensor.is_meta] or tensors_of((args, kwargs))
        for tensor in inputs:
            start_field(tensor)
        pictures = [tensor for tensor in inputs if tensor.dim() > 2] or inputs
        self._sides = tuple(pictures[0].shape[2:])
        self.record.inputs = tuple(tuple(tensor.shape) for tensor in inputs)
        self.record.input_bytes = sum(nbytes(tensor) for tensor in inputs)
        module = self.replica.module
        self._wrap(module)
        try:
            with undisturbed(), torch.no_grad(), Ops(self), Calls(self):
                module(*args, **kwargs)
        except Exception as cause:
            if self.record.failure is None:
                self.record.failure = Failure("", self.replica.type, module, (), cause)
            elif isinstance(cause, SmallnetsError):  # a net of the zoo has explained what its layer said
                self.record.failure.cause = cause
        finally:
            self._unwrap()
            self._alive.clear()
        return self.record

    @property
    def busy(self) -> bool:
        """Whether a call that makes a row is in progress."""
        return self._open is not None

    def _wrap(self, root: nn.Module) -> None:
        for path, module in root.named_modules():
            leaf = is_leaf(module) and module is not root
            self._wrapped.append((module, module.__dict__.get("forward")))
            call = self.leaf if leaf else self.container
            module.__dict__["forward"] = functools.partial(call, path, module, module.forward)
            for key, hook in module.__dict__["_forward_pre_hooks"].items():
                module.__dict__["_forward_pre_hooks"][key] = functools.partial(self._quietly, hook)

    def _unwrap(self) -> None:
        for module, own in self._wrapped:
            for key, hook in module.__dict__["_forward_pre_hooks"].items():
                module.__dict__["_forward_pre_hooks"][key] = getattr(hook, "args", (hook,))[0]
            if own is None:
                module.__dict__.pop("forward", None)
            else:
                module.__dict__["forward"] = own

    def _quietly(self, run: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Something that makes a weight, which is no cost of the picture's."""
        opened, self._open = self._open, Open("", "", "module", (), ())
        try:
            return run(*args, **kwargs)
        finally:
            self._open = opened

    def container(self, path: str, module: nn.Module, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if isinstance(module, parametrize.ParametrizationList):
            return self._quietly(forward, *args, **kwargs)
        if self._open is not None:
            return forward(*args, **kwargs)
        self.record.modules.setdefault(path, type_name(module))
        outer, self.path = self.path, path
        try:
            return forward(*args, **kwargs)
        except Exception as cause:
            self._fail(path, type_name(module), module, (args, kwargs), cause)
            raise
        finally:
            self.path = outer

    def leaf(self, path: str, module: nn.Module, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self._open is not None or isinstance(module, nn.Sequential):
            return forward(*args, **kwargs)
        if type(module).__module__.startswith("torch.nn."):
            # PyTorch's own layers name no device, so that nobody has to watch their calls: most of the time saved.
            with torch._C.DisableTorchFunction():  # pyright: ignore[reportPrivateUsage]
                # A state made on the spot is taken as it would be beside the weights.
                return self._leaf(path, module, forward, floats_to_meta(args), floats_to_meta(kwargs))
        return self._leaf(path, module, forward, args, kwargs)

    def _leaf(self, path: str, module: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        given = tensors_of((args, kwargs))
        opened = self._open = Open(path, type_name(module), "module", shapes_in(given), rows_behind(given))
        opened.params = sum(parameter.numel() for parameter in own_parameters(module))
        try:
            out = forward(*args, **kwargs)
        except Exception as cause:
            self._fail(path, type_name(module), module, given, cause)
            raise
        finally:
            self._open = None
        self._emit(opened, out, padding_name(module))
        return out

    def function(self, run: Callable[..., Any], func: Any, args: Any, kwargs: Any) -> Any:
        """A functional call: a row, if it makes something new of what comes from the input."""
        everything = tensors_in((args, tuple(kwargs.values())))
        sources = [tensor for tensor in everything if field_of(tensor) is not None]
        opened = Open(self.path, function_name(func), "function", shapes_in(sources), rows_behind(sources))
        opened.params = sum(self.replica.counts.get(id(tensor), 0) for tensor in everything)
        self._open = opened
        try:
            out = run(args, kwargs)
        except Exception as cause:
            self._fail(self.path, opened.type, None, everything, cause)
            raise
        finally:
            self._open = None
        made = tensors_of(out)
        kept = len(made) == 1 and any(made[0] is tensor for tensor in sources) and not opened.type.endswith("_")
        if made and not kept and (sources or opened.macs):
            self._emit(opened, out, None)
        return out

    def before(self, op: Op, args: Any) -> Any:
        """The arguments that an op is to run with; a place for a closer look."""
        return args

    def operation(self, op: Op, args: Any, kwargs: Any, out: Any) -> None:
        """One ATen op: its cost goes to the call in progress, its field to its outputs."""
        opened = self._open or self._stray(op, args)
        macs, elementwise, counted = cost(op, args, out)
        opened.macs += macs
        opened.elementwise += elementwise
        if not counted:
            self.record.uncounted.setdefault((opened.path, op.name))
        if (window := window_of(op.name, args)) is not None:
            opened.window = window
        if not propagate(op, args, kwargs, out):
            self.record.unfollowed.setdefault((opened.path, op.name))
        if self._open is None and (opened.macs or (opened.elementwise and field_of(tensors_of(out)[0]) is not None)):
            self._emit(opened, out, None)

    def _stray(self, op: Op, args: Any) -> Open:
        """A call that PyTorch's Python face did not show, such as one inside a scripted function."""
        sources = [tensor for tensor in tensors_in(args) if field_of(tensor) is not None]
        return Open(self.path, op.name, "function", shapes_in(sources), rows_behind(sources))

    def _emit(self, opened: Open, out: Any, padding: str | None) -> None:
        outputs = tensors_of(out)
        for tensor in outputs:
            self.record.storages[storage_id(tensor)] = tensor.untyped_storage().nbytes()
            set_row(tensor, len(self.record.rows))
        self._alive += outputs
        seen = field_of(outputs[0]) if outputs else None
        window = opened.window or (None, None, None, None)
        size, jump, offset = in_pixels(seen, self._sides)
        self.record.fields.append(seen)
        self.record.sources.append(opened.sources)
        self.record.rows.append(
            Row(
                path=opened.path,
                type=opened.type,
                kind=opened.kind,
                input=one(opened.inputs),
                output=one(shapes_in(outputs)),
                kernel_size=window[0],
                stride=window[1],
                padding=padding or window[2],
                dilation=window[3],
                params=opened.params,
                macs=opened.macs,
                elementwise=opened.elementwise,
                activation_bytes=sum(nbytes(tensor) for tensor in outputs),
                receptive_field=size,
                jump=jump,
                offset=offset,
            )
        )

    def _fail(self, path: str, type_: str, module: nn.Module | None, given: Any, cause: Exception) -> None:
        # The innermost call comes first; those around it only pass the error on.
        if self.record.failure is None:
            tensors = [tensor for tensor in tensors_of(given) if field_of(tensor) is not None]
            branches = [self.record.ancestors(rows_behind([tensor])) for tensor in tensors]
            shared = set[int].intersection(*branches) if branches else set[int]()
            behind = tuple([self.record.rows[index] for index in sorted(branch - shared)] for branch in branches)
            shapes = shapes_in(tensors if module is None and tensors else given)
            self.record.failure = Failure(path, type_, module, shapes, cause, behind)


class Ops(NoData):
    """Shows each ATen op to the recorder."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder.replica.constants)
        self.recorder = recorder

    def record(self, op: Op, func: Any, args: Any, kwargs: Any) -> Any:
        if self.recorder.busy:
            return self.look(op, func, args, kwargs)
        with torch._C.DisableTorchFunction():  # pyright: ignore[reportPrivateUsage]  # else it would be seen twice
            return self.look(op, func, args, kwargs)

    def look(self, op: Op, func: Any, args: Any, kwargs: Any) -> Any:
        """Run one op and show it."""
        args = self.recorder.before(op, args)
        if op.reshapes:  # afterwards nobody could tell what the shape was
            return reshaped(self.recorder, op, super().record, func, args, kwargs)
        out = super().record(op, func, args, kwargs)
        self.recorder.operation(op, args, kwargs, out)
        return out


def reshaped(recorder: Recorder, op: Op, run: Callable[..., Any], func: Any, args: Any, kwargs: Any) -> Any:
    """One op that changes the shape of its argument in place, seen as if it made a new one."""
    x = args[0]
    before = torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device="meta")
    set_field(before, field_of(x))
    out = run(op, func, args, kwargs)
    after = torch.empty_strided(out.shape, out.stride(), dtype=out.dtype, device="meta")
    recorder.operation(op, (before, *args[1:]), kwargs, after)
    set_field(out, field_of(after))
    return out


class Calls(NoDevice):
    """Shows each call of PyTorch's Python face to the recorder."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def record(self, func: Any, args: Any, kwargs: Any) -> Any:
        # Inside a leaf a call is nothing of its own; asking for a size or a flag never is.
        if self.recorder.busy or function_name(func) in SILENT:
            return super().record(func, args, kwargs)
        return self.recorder.function(functools.partial(super().record, func), func, args, kwargs)
