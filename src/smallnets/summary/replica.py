"""A private copy of a module without its weights: same structure, every tensor on the meta device."""

from contextlib import suppress

import torch
from torch import Tensor, nn

from ..errors import OptionError, ShapeError, message
from .copier import Copier, unwrap


class Replica:
    """A module's copy on the meta device, in eval mode.

    Attributes:
        module: The copy.
        counts: Number of elements of each parameter of the copy, by its identity.
        constants: The tensors of the copy that have values.
        dtype: The floating type of the first parameter.
    """

    def __init__(self, model: nn.Module) -> None:
        check_module(model)
        model = unwrap(model)
        check_supported(model)
        self.type = type(model).__name__
        copier = Copier()
        with torch.inference_mode(False):  # whose tensors show ops that are not taken apart
            self.module: nn.Module = copier.module(model)
        self.train(False)
        self.constants = [twin for twin in copier.memo.values() if isinstance(twin, Tensor) and not twin.is_meta]
        parameters = list(self.module.parameters())
        self.counts = {id(parameter): parameter.numel() for parameter in parameters}
        floating = (parameter.dtype for parameter in parameters if parameter.is_floating_point())
        self.dtype = next(floating, torch.get_default_dtype())

    def train(self, mode: bool) -> None:
        """Set training mode or eval mode; an exported module knows no other than the one that it has."""
        with suppress(NotImplementedError):
            self.module.train(mode)


def check_module(model: object) -> None:
    """Refuse what is no module."""
    if not isinstance(model, nn.Module):
        raise OptionError(message("summarize", "a torch.nn.Module", type(model).__name__))


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
        floating = type(module).__name__ in ("FloatFunctional", "FXFloatFunctional")
        if quantised or (".quantized" in type(module).__module__ and not floating):
            advice = "Give the float model it was quantised from."
            raise ShapeError(message("summarize", expected, f"a quantised {where}", advice))
        if any(nn.parameter.is_lazy(tensor) for tensor in tensors):
            advice = "Run one batch through the model first."
            raise ShapeError(message("summarize", expected, f"a lazy {where} that has no shape yet", advice))
