"""``torch.compile``, without its chatter."""

import contextlib
import io
from typing import Any

from torch import nn


def compiled(model: nn.Module) -> Any:
    """The net, compiled when it is first called.

    The compiler's modules print what they did not find ("No CUDA runtime is found") when they are loaded; that is of no
    use to who trains on a CPU.
    """
    import torch

    with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(ImportError):
        import torch.utils.cpp_extension
    return torch.compile(model)
