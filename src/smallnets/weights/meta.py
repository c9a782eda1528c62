"""Layers without memory: built without the random numbers that they are about to lose."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from ..errors import OptionError, message

ROOM = 1 << 20  # numbers that a net may have beside those in its file: tables that are made anew
MAKERS = (torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.arange)


class Uninitialised(TorchFunctionMode):
    """Inside, layers get parameters without memory and so without initial values; buffers are made as ever.

    Layers allocate what they initialise with ``torch.empty`` and fill it afterwards, which on the meta device is free
    and leaves the random numbers alone. Tables, running statistics and counters do not start empty, and so are real.

    Args:
        limit: How many numbers all of them may have: those of the file that the net is built for. A config that asks
            for more is refused before there is memory for it.
    """

    def __init__(self, limit: int | None = None) -> None:
        super().__init__()
        self.left = None if limit is None else limit + ROOM

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        options = kwargs or {}
        if func in MAKERS and self.left is not None:
            self.left -= func(*args, **{**options, "device": "meta"}).numel()
            if self.left < 0:
                got = "one that needs more numbers than the file holds"
                raise OptionError(message("load", "a net of the file's size", got))
        return func(*args, **({**options, "device": "meta"} if func is torch.empty else options))
