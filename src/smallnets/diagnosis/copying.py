"""A copy of the net to run, and everything that a run may still move, given back."""

import contextlib
import copy
import random
from collections.abc import Generator, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..errors import OptionError, first_line, message

HOOKS = ("_forward_hooks", "_backward_hooks", "_backward_pre_hooks", "_forward_pre_hooks")


def check_model(model: object) -> nn.Module:
    """The net that can be run as Python, out of a compiled one, too.

    Raises:
        OptionError: When it is no module, has no weights to look at, or is no longer Python.
    """
    model = getattr(model, "_orig_mod", model)
    if not isinstance(model, nn.Module):
        raise OptionError(message("diagnose", "a torch.nn.Module", type(model).__name__))
    if isinstance(model, torch.jit.ScriptModule):
        advice = "Give the module that it was made from."
        raise OptionError(message("diagnose", "a net in Python", f"a {type(model).__name__}", advice))
    if any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers())):
        advice = "Build it without torch.device('meta'): its numbers are looked at."
        raise OptionError(message("diagnose", "a net with weights", "one on the meta device", advice))
    return model


def private_copy(model: nn.Module) -> nn.Module:
    """A copy without the caller's hooks; those that make a weight of its parts stay.

    Raises:
        OptionError: When it cannot be copied, and why.
    """
    try:
        twin = copy.deepcopy(model)
    except Exception as error:  # whatever a part's own __deepcopy__ or __reduce__ raises
        advice = "Diagnose it as it is built, before its first forward pass."
        raise OptionError(
            message("diagnose", "a net that copy.deepcopy can copy", first_line(error), advice)
        ) from error
    for module in twin.modules():
        for hooks in (getattr(module, name) for name in HOOKS):
            for number, hook in list(hooks.items()):
                if not str(getattr(hook, "__module__", "")).startswith("torch.nn"):  # weight norm, lazy layers
                    del hooks[number]
    for parameter in twin.parameters():
        if not is_lazy(parameter):
            parameter.grad = None
    return twin


def tensors_of(model: nn.Module) -> Iterator[Tensor]:
    """Parameters and buffers that have numbers."""
    for tensor in (*model.parameters(), *model.buffers()):
        if not is_lazy(tensor):
            yield tensor


@contextlib.contextmanager
def untouched(model: nn.Module) -> Generator[None, None, None]:
    """Give back generators and flags, and what a copy's closures may reach in the caller's module."""
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers() if not is_lazy(buffer)]
    gradients = [(tensor, tensor.grad) for tensor in model.parameters() if not is_lazy(tensor)]
    flags = [(module, module.training) for module in model.modules()]
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    try:
        with torch.random.fork_rng(devices=list(devices)), torch.inference_mode(False), torch.enable_grad():
            for tensor, _ in gradients:
                tensor.grad = None
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        with torch.no_grad():
            for buffer, kept in buffers:
                if not torch.equal(buffer, kept):
                    buffer.copy_(kept)
        for tensor, gradient in gradients:
            tensor.grad = gradient
        for module, training in flags:
            module.training = training
