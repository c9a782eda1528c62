"""Watching a replica run: one row for each call of a leaf module and for each functional call in between."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ..errors import SmallnetsError
from .abstract import NoData, NoDevice, Op, undisturbed
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
    storage_id,
    tensors_of,
    type_name,
    window_of,
)
from .costs import cost, nbytes
from .field import Field, in_pixels
from .propagate import field_of, propagate, start_field, tensors_in
from .replica import Replica
from .row import Row, Shape


@dataclass(slots=True)
class Open:
    """A call in progress: what it is and takes, what its operations cost so far, its window if it has one."""

    path: str
    type: str
    kind: str
    inputs: tuple[Shape, ...]
    sources: tuple[int, ...]
    params: int = 0
    macs: int = 0
    elementwise: int = 0
    window: tuple[Any, Any, Any, Any] | None = None


@dataclass(slots=True)
class Failure:
    """The call that gave out: where, what, with which shapes, and PyTorch's or the net's own words."""

    path: str
    type: str
    module: nn.Module | None
    inputs: tuple[Shape, ...]
    cause: Exception


@dataclass(slots=True)
class Record:
    """All that a run leaves behind."""

    rows: list[Row] = field(default_factory=list)
    modules: dict[str, str] = field(default_factory=dict)
    storages: dict[int, int] = field(default_factory=dict)
    failure: Failure | None = None
    fields: list[Field | None] = field(default_factory=list)
    sources: list[tuple[int, ...]] = field(default_factory=list)


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

    def run(self, args: list[Tensor], kwargs: dict[str, Tensor]) -> Record:
        for tensor in (*args, *kwargs.values()):
            start_field(tensor)
        self._sides = tuple(next(iter((*args, *kwargs.values()))).shape[2:])
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

    def _unwrap(self) -> None:
        for module, own in self._wrapped:
            if own is None:
                module.__dict__.pop("forward", None)
            else:
                module.__dict__["forward"] = own

    def container(self, path: str, module: nn.Module, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if isinstance(module, parametrize.ParametrizationList):  # makes a weight; that is no cost of the picture's
            opened, self._open = self._open, Open(path, type_name(module), "module", (), ())
            try:
                return forward(*args, **kwargs)
            finally:
                self._open = opened
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
                return self._leaf(path, module, forward, args, kwargs)
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
        if self._open is not None:
            macs, elementwise = cost(op.name, args, out)
            self._open.macs += macs
            self._open.elementwise += elementwise
            if (window := window_of(op.name, args)) is not None:
                self._open.window = window
        propagate(op.name, op.pointwise, args, kwargs, out)

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
            self.record.failure = Failure(path, type_, module, shapes_in(given), cause)


class Ops(NoData):
    """Shows each ATen op to the recorder."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def record(self, op: Op, func: Any, args: Any, kwargs: Any) -> Any:
        args = self.recorder.before(op, args)
        out = super().record(op, func, args, kwargs)
        self.recorder.operation(op, args, kwargs, out)
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
