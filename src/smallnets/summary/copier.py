"""Copying a module with all that it leads to: tensors without their data, closures, slots, containers, objects.

The caller's module is only read. Hooks stay behind, since a hook may write into what belongs to the caller.
"""

import copy
import enum
import functools
import re
import threading
import types
import weakref
from collections import OrderedDict
from contextvars import ContextVar
from pathlib import PurePath
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from ..errors import OptionError, message
from .inputs import SMALL  # up to which constants keep their values: code reads indices and flags from them

# What a copy may share: values that nobody can change.
SHARED = frozenset(
    (
        int,
        float,
        complex,
        bool,
        str,
        bytes,
        type(None),
        type,
        torch.dtype,
        torch.device,
        torch.Size,
        torch.memory_format,
    )
)
HOOKS = frozenset(
    name for name in nn.Module().__dict__ if name.endswith(("_hooks", "_hooks_with_kwargs", "_always_called"))
)
# Objects that are what they are: sharing them shares nothing that a run could change.
ATOMS = (
    *(types.ModuleType, types.BuiltinFunctionType, types.CodeType, enum.Enum, range, slice, property),
    *(re.Pattern, weakref.ref, ContextVar, PurePath, torch.Generator, torch.jit.ScriptFunction),
)
LOCK, RLOCK = type(threading.Lock()), type(threading.RLock())
WEIGHT_HOOKS = (WeightNorm, SpectralNorm)
PLAIN = frozenset((dict, list, set, OrderedDict))


class Copier:
    """Copies what a module holds, each object once.

    Attributes:
        memo: The copies by the identity of what they are copies of.
    """

    def __init__(self) -> None:
        self.memo: dict[int, Any] = {}

    def copy(self, value: Any) -> Any:
        if type(value) in SHARED:
            return value
        key = id(value)
        if key not in self.memo:
            self.memo[key] = self._fresh(value)
        return self.memo[key]

    def _fresh(self, value: Any) -> Any:
        if isinstance(value, Tensor):  # a nested one has no shape to make another of
            return value.detach().clone() if value.is_nested else abstract(value)
        if isinstance(value, nn.Module):
            return self.module(value)
        kind = type(value)
        if kind in (list, set, frozenset):
            return kind([self.copy(item) for item in value])
        if isinstance(value, tuple):
            items = [self.copy(item) for item in value]
            return kind(*items) if hasattr(value, "_fields") else tuple(items)
        if kind in (dict, OrderedDict):
            return kind((self.copy(name), self.copy(item)) for name, item in value.items())
        if isinstance(value, types.MethodType):
            return types.MethodType(self.copy(value.__func__), self.copy(value.__self__))
        if isinstance(value, functools.partial):
            arguments = [self.copy(item) for item in value.args]
            return functools.partial(self.copy(value.func), *arguments, **self.copy(value.keywords))
        if isinstance(value, types.FunctionType):
            return self._function(value)
        return self._object(value)

    def _function(self, function: types.FunctionType) -> types.FunctionType:
        """A function with what it closes over copied, or itself where it closes over nothing that can change."""
        cells = function.__closure__ or ()
        held = (*(cell.cell_contents for cell in cells if filled(cell)), function.__defaults__, function.__kwdefaults__)
        if all(type(value) in SHARED for value in held) and not function.__dict__:
            return function
        fresh = [self.memo.setdefault(id(cell), types.CellType()) for cell in cells]
        twin = types.FunctionType(
            function.__code__, function.__globals__, function.__name__, function.__defaults__, tuple(fresh)
        )
        self.memo[id(function)] = twin
        for cell, copied in zip(cells, fresh, strict=True):
            if filled(cell) and not filled(copied):
                copied.cell_contents = self.copy(cell.cell_contents)
        twin.__defaults__, twin.__kwdefaults__ = self.copy(function.__defaults__), self.copy(function.__kwdefaults__)
        twin.__dict__.update(self.copy(function.__dict__))
        return twin

    def _object(self, value: Any) -> Any:
        """Any other object, taken apart and put together as ``copy.deepcopy`` does, by this class's rules.

        Raises:
            OptionError: When it cannot be copied, so that the run might change what belongs to the caller.
        """
        kind = type(value)
        if isinstance(value, ATOMS) or issubclass(kind, type) or is_torch_handle(kind):
            return value
        if kind.__module__ == "numpy" and hasattr(value, "copy"):
            twin = value.copy()
            if value.dtype.hasobject:
                twin.flat[:] = [self.copy(item) for item in value.flat]
            return twin
        try:
            if hasattr(kind, "__deepcopy__"):
                return copy.deepcopy(value)
            if kind in (LOCK, RLOCK):
                return threading.Lock() if kind is LOCK else threading.RLock()  # the class itself cannot be called
            reduced = value.__reduce_ex__(4)
        except Exception as error:
            expected, advice = "a module whose attributes can be copied", "Take it off while looking at the module."
            given = f"a {kind.__module__}.{kind.__qualname__}"
            raise OptionError(message("summarize", expected, given, advice)) from error
        return value if isinstance(reduced, str) else self._rebuilt(value, *reduced)

    def _rebuilt(
        self,
        value: Any,
        make: Any,
        args: Any,
        state: Any = None,
        items: Any = None,
        pairs: Any = None,
        setter: Any = None,
    ) -> Any:
        twin = make(*(item if isinstance(item, type) else self.copy(item) for item in args))
        self.memo[id(value)] = twin
        if state is not None:
            state = self.copy(state)
            if setter is not None:
                setter(twin, state)
            elif hasattr(twin, "__setstate__"):
                twin.__setstate__(state)
            else:
                fields, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
                if fields:
                    twin.__dict__.update(fields)
                for name, held in (slots or {}).items():
                    object.__setattr__(twin, name, held)
        for item in items or ():
            twin.append(self.copy(item))
        for name, item in pairs or ():
            twin[self.copy(name)] = self.copy(item)
        return twin

    def module(self, module: nn.Module) -> nn.Module:
        # Already compiled code would run on the caller's module; the copy runs what it was compiled from.
        module = unwrap(module)
        if id(module) in self.memo:
            return self.memo[id(module)]
        twin = object.__new__(type(module))
        self.memo[id(module)] = twin
        state = dict(module.__dict__)
        for name in HOOKS:
            state[name] = OrderedDict()
        # PyTorch's own that make a weight out of others, which a parametrisation does without hooks.
        for key, hook in module.__dict__["_forward_pre_hooks"].items():
            if isinstance(hook, WEIGHT_HOOKS):
                state["_forward_pre_hooks"][key] = self.copy(hook)
        state["_compiled_call_impl"] = None
        for name, value in state.items():
            if type(value) in SHARED or name in HOOKS:
                continue
            kind = type(value)
            # Most of a layer's dicts are empty; a shared identity among empty ones is nobody's.
            state[name] = kind() if kind in PLAIN and not value else self.copy(value)
        # nn.Module.__setattr__ would sort the values into its own dicts again.
        twin.__dict__.update(state)
        for name in slots_of(type(module)):  # type: ignore[arg-type]  # a class is hashable
            if hasattr(module, name):
                object.__setattr__(twin, name, self.copy(getattr(module, name)))
        # Methods that close over layers of the caller's are replaced by copies that close over the copies.
        for name, function in closing_methods(type(module)).items():
            twin.__dict__.setdefault(name, types.MethodType(self.copy(function), twin))
        return twin


def filled(cell: types.CellType) -> bool:
    """Whether a closure's variable has a value by now."""
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


@functools.cache
def slots_of(kind: type) -> tuple[str, ...]:
    """The names of a class's slots."""
    found = [base.__dict__.get("__slots__", ()) for base in kind.__mro__]
    names = [name for slots in found for name in ([slots] if isinstance(slots, str) else slots)]
    return tuple(name for name in names if name not in ("__dict__", "__weakref__"))


def closing_methods(kind: type) -> dict[str, types.FunctionType]:
    """The methods of a module's class that close over a module or a tensor."""
    found: dict[str, types.FunctionType] = {}
    for base in kind.__mro__[: kind.__mro__.index(nn.Module)]:
        for name, value in vars(base).items():
            cells = (value.__closure__ or ()) if isinstance(value, types.FunctionType) else ()
            if any(filled(cell) and isinstance(cell.cell_contents, nn.Module | Tensor) for cell in cells):
                found.setdefault(name, value)
    return found


def is_torch_handle(kind: type) -> bool:
    """Whether objects of a class are PyTorch's machinery, such as graphs, scripted functions and process groups."""
    root, _, rest = kind.__module__.partition(".")
    return root == "torch" and rest.partition(".")[0] not in ("nn", "distributions")


def unwrap(model: nn.Module) -> nn.Module:
    """The module inside what ``torch.compile`` or data parallelism put around it."""
    while True:
        if isinstance(compiled := getattr(model, "_orig_mod", None), nn.Module):
            model = compiled
        elif isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        else:
            return model


def abstract(tensor: Tensor) -> Tensor:
    """The tensor without its data; small integer constants and single numbers keep it."""
    if tensor.layout != torch.strided:  # the meta device has sums and products of dense ones alone
        return torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
    constant = tensor.numel() == 1 or not (tensor.is_floating_point() or tensor.is_complex())
    if not isinstance(tensor, nn.Parameter) and constant and tensor.numel() <= SMALL and tensor.device.type == "cpu":
        return tensor.detach().clone()
    twin = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(twin, tensor.requires_grad)
    return twin


def storage_id(tensor: Tensor) -> int:
    """What tells storages apart on the meta device, where all addresses are 0; only while the tensor lives."""
    return tensor.untyped_storage()._cdata  # pyright: ignore[reportPrivateUsage]
