"""A private copy of a module without its weights: same structure, every tensor on the meta device.

The caller's module is only read. Hooks stay behind, since a hook may write into what belongs to the caller.
"""

import copy
import functools
import types
from collections import OrderedDict
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import OptionError, ShapeError, message

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
# What every class has that does not pickle itself in a way of its own.
REDUCE: Any = object.__reduce_ex__
PLAIN = frozenset((dict, list, set, OrderedDict))
# Constants up to this many elements keep their values: code reads indices and flags from them.
SMALL = 4096


class Replica:
    """A module's copy on the meta device, in eval mode.

    Attributes:
        module: The copy.
        counts: Number of elements of each parameter of the copy, by its identity.
        dtype: The floating type of the first parameter.
    """

    def __init__(self, model: nn.Module) -> None:
        check_module(model)
        model = unwrap(model)
        check_supported(model)
        self.type = type(model).__name__
        self._memo: dict[int, Any] = {}
        with torch.inference_mode(False):  # whose tensors show ops that are not taken apart
            self.module: nn.Module = self._module(model)
        self.train(False)
        del self._memo
        parameters = list(self.module.parameters())
        self.counts = {id(parameter): parameter.numel() for parameter in parameters}
        floating = (parameter.dtype for parameter in parameters if parameter.is_floating_point())
        self.dtype = next(floating, torch.get_default_dtype())

    def train(self, mode: bool) -> None:
        """Set training mode or eval mode; an exported module knows no other than the one that it has."""
        with suppress(NotImplementedError):
            self.module.train(mode)

    def _copy(self, value: Any) -> Any:
        if type(value) in SHARED:
            return value
        key = id(value)
        if key not in self._memo:
            self._memo[key] = self._fresh(value)
        return self._memo[key]

    def _fresh(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return abstract(value)
        if isinstance(value, nn.Module):
            return self._module(value)
        kind = type(value)
        if kind in (list, set, frozenset):
            return kind([self._copy(item) for item in value])
        if isinstance(value, tuple):
            items = [self._copy(item) for item in value]
            return kind(*items) if hasattr(value, "_fields") else tuple(items)
        if kind in (dict, OrderedDict):
            return kind((self._copy(name), self._copy(item)) for name, item in value.items())
        if isinstance(value, types.MethodType):
            return types.MethodType(value.__func__, self._copy(value.__self__))
        if isinstance(value, functools.partial):
            arguments = [self._copy(item) for item in value.args]
            return functools.partial(self._copy(value.func), *arguments, **self._copy(value.keywords))
        return self._object(value)

    def _object(self, value: Any) -> Any:
        """A plain Python object may hold tensors or modules too; anything else (arrays, files, locks) is shared."""
        plain = hasattr(value, "__dict__") and getattr(type(value), "__reduce_ex__", None) is REDUCE
        if not plain or isinstance(value, types.FunctionType | types.ModuleType) or hasattr(type(value), "__slots__"):
            return value
        try:
            twin = copy.copy(value)
        except Exception:  # an object that cannot be copied can only be shared
            return value
        self._memo[id(value)] = twin
        twin.__dict__.update({name: self._copy(item) for name, item in value.__dict__.items()})
        return twin

    def _module(self, module: nn.Module) -> nn.Module:
        # Already compiled code would run on the caller's module; the copy runs what it was compiled from.
        module = unwrap(module)
        if id(module) in self._memo:
            return self._memo[id(module)]
        twin = object.__new__(type(module))
        self._memo[id(module)] = twin
        state = dict(module.__dict__)
        for name in HOOKS:
            state[name] = OrderedDict()
        state["_compiled_call_impl"] = None
        for name, value in state.items():
            if type(value) in SHARED or name in HOOKS:
                continue
            kind = type(value)
            # Most of a layer's dicts are empty; a shared identity among empty ones is nobody's.
            state[name] = kind() if kind in PLAIN and not value else self._copy(value)
        # nn.Module.__setattr__ would sort the values into its own dicts again.
        twin.__dict__.update(state)
        return twin


def check_module(model: object) -> None:
    """Refuse what is no module."""
    if not isinstance(model, nn.Module):
        raise OptionError(message("summarize", "a torch.nn.Module", type(model).__name__))


def unwrap(model: nn.Module) -> nn.Module:
    """The module inside what ``torch.compile`` or data parallelism put around it."""
    while True:
        if isinstance(compiled := getattr(model, "_orig_mod", None), nn.Module):
            model = compiled
        elif isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        else:
            return model


def check_supported(model: nn.Module) -> None:
    """Refuse what cannot be copied without its weights: scripted, quantised, not yet initialised."""
    expected = "a module whose forward PyTorch can trace abstractly"
    for name, module in model.named_modules():
        tensors = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
        where = f"{type(module).__name__} at {name!r}" if name else type(module).__name__
        if isinstance(module, torch.jit.ScriptModule):
            raise ShapeError(
                message("summarize", expected, f"a scripted {where}", "Give the module it was scripted from.")
            )
        quantised = any(tensor.is_quantized for tensor in tensors)
        if quantised or ".quantized" in type(module).__module__:
            advice = "Give the float model it was quantised from."
            raise ShapeError(message("summarize", expected, f"a quantised {where}", advice))
        if any(nn.parameter.is_lazy(tensor) for tensor in tensors):
            advice = "Run one batch through the model first."
            raise ShapeError(message("summarize", expected, f"a lazy {where} that has no shape yet", advice))


def abstract(tensor: Tensor) -> Tensor:
    """The tensor without its data; small integer constants and single numbers keep it."""
    constant = tensor.numel() == 1 or not (tensor.is_floating_point() or tensor.is_complex())
    if not isinstance(tensor, nn.Parameter) and constant and tensor.numel() <= SMALL and tensor.device.type == "cpu":
        return tensor.detach().clone()
    twin = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(twin, tensor.requires_grad)
    return twin
