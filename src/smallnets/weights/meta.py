"""Layers without memory: built without the random numbers they are about to lose, and copied on the meta device."""

from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

P = ParamSpec("P")
M = TypeVar("M", bound=nn.Module)


class Uninitialised(TorchFunctionMode):
    """Inside, layers get parameters without memory and so without initial values; buffers are made as ever.

    Layers allocate what they initialise with ``torch.empty`` and fill it afterwards, which on the meta device is free
    and leaves the random numbers alone. Tables, running statistics and counters do not start empty, and so are real.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        options = kwargs or {}
        return func(*args, **({**options, "device": "meta"} if func is torch.empty else options))


def copied_on_meta(make: Callable[P, M]) -> Callable[P, M]:
    """``make``, which on the meta device copies what it made before from equal arguments."""
    copiers: dict[object, Callable[[], M]] = {}

    def make_or_copy(*args: P.args, **kwargs: P.kwargs) -> M:
        key = (args, tuple(kwargs.items()))
        if key in copiers:
            return copiers[key]()
        module = make(*args, **kwargs)
        if all(tensor.is_meta for tensor in (*module.parameters(), *module.buffers())):
            copiers[key] = meta_copier(module)
        return module

    return make_or_copy


def meta_copier(module: M) -> Callable[[], M]:
    """A function that copies a module on the meta device, several times faster than building it again.

    What is read of the tensors is read once: under ``torch.device("meta")`` each look at a shape is dear.
    """
    # A fresh module's dicts and sets, the hooks above all, are empty but for those filled below.
    plain = {key: value for key, value in vars(module).items() if not isinstance(value, dict | set)}
    empty = [(key, type(value)) for key, value in vars(module).items() if isinstance(value, dict | set)]
    names = list(vars(module)["_parameters"])
    parameters = [(name, tensor.shape, tensor.dtype) for name, tensor in module.named_parameters(recurse=False)]
    buffers = [(name, tensor.shape, tensor.dtype) for name, tensor in module.named_buffers(recurse=False)]
    children = [(name, meta_copier(child)) for name, child in module.named_children()]

    def copy() -> M:
        twin = module.__new__(type(module))
        state = vars(twin)
        state.update(plain)
        for key, kind in empty:
            state[key] = kind()
        state["_parameters"] = dict.fromkeys(names)  # what is None, a missing bias, stays so
        for name, shape, dtype in parameters:
            state["_parameters"][name] = nn.Parameter(torch.empty(shape, dtype=dtype, device="meta"))
        for name, shape, dtype in buffers:
            state["_buffers"][name] = torch.empty(shape, dtype=dtype, device="meta")
        for name, copy_child in children:
            state["_modules"][name] = copy_child()
        return twin

    return copy
