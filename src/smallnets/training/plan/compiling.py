"""``torch.compile``, without its chatter."""

import contextlib
import importlib
import io
import logging
from typing import Any, Literal

import torch
from torch import nn

CHATTY = "torch.utils.cpp_extension"


def compiled(model: nn.Module, how: Literal[True, "max-autotune"] = True) -> Any:
    """The net, compiled when it is first called; with ``"max-autotune"`` the compiler times its kernels.

    Torch's own CUDA graphs stay off: a whole update is captured as one (see ``captured``), which holds what they would.

    The compiler's modules say what they did not find ("No CUDA runtime is found") when they are loaded; that is of no
    use to who trains on a CPU.
    """
    logger = logging.getLogger(CHATTY)
    level = logger.level
    logger.setLevel(logging.ERROR)  # releases before print it instead
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(ImportError):
            importlib.import_module(CHATTY)
    finally:
        logger.setLevel(level)
    return torch.compile(model, mode=None if how is True else "max-autotune-no-cudagraphs")
