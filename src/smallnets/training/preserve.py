"""Leaving everything as it was found: a net's device, flags and layout, and the global generators and flags."""

import contextlib
import random
from collections.abc import Generator
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn.parameter import is_lazy

from ..errors import OptionError, message


@contextlib.contextmanager
def preserved(model: nn.Module) -> Generator[None, None, None]:
    """Give the model back on its device, with its train flags and memory layout, and torch's RNG as it was."""
    check_net(model)
    flags = [(module, module.training) for module in model.modules()]
    places = {name: (tensor.device, is_channels_last(tensor)) for name, tensor in named_tensors(model)}
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices), lent_generators(), gradients_on():
        try:
            yield
        finally:
            for module, training in flags:
                module.training = training
            for name, tensor in named_tensors(model):
                device, channels_last = places.get(name, (tensor.device, is_channels_last(tensor)))
                if tensor.device != device:
                    tensor.data = tensor.data.to(device)
                if is_channels_last(tensor) != channels_last:
                    layout = torch.channels_last if channels_last else torch.contiguous_format
                    tensor.data = tensor.data.contiguous(memory_format=layout)


def check_net(model: object) -> None:
    """Refuse what is no net, and one that cannot compute: its parameters have no shape or no values yet."""
    made_from = "Give the net that it was made from."
    if not isinstance(model, nn.Module):
        advice = made_from if isinstance(model, torch.export.ExportedProgram) else ""
        raise OptionError(message("smallnets", "a net, which is an nn.Module", repr(model)[:100], advice))
    # What torch.export gives has a train() of its own, which fails; what torch.jit.freeze gives has no such flag.
    exported = isinstance(model, fx.GraphModule) and "train" in vars(model)
    if exported or not all(hasattr(module, "training") for module in model.modules()):
        got = "an exported one" if exported else "a frozen one"
        raise OptionError(message("smallnets", "a net that knows training from evaluation", got, made_from))
    if any(tensor.is_meta for _, tensor in named_tensors(model)):
        advice = "Give it memory, net.to_empty(device='cpu'), then load_weights."
        raise OptionError(message("smallnets", "a net with values", "one on the meta device", advice))
    if any(is_lazy(tensor) for _, tensor in named_tensors(model)):
        advice = "Call it once: net(pictures)."
        raise OptionError(message("smallnets", "a net with shapes", "lazy layers that saw no picture yet", advice))


@contextlib.contextmanager
def gradients_on() -> Generator[None, None, None]:
    """Gradients, also where the caller switched them off."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


def state_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The tensors of a net's state dict, where a module may keep other things, too."""
    return {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}


def named_tensors(model: nn.Module) -> list[tuple[str, Tensor]]:
    return [*model.named_parameters(), *model.named_buffers()]


def is_channels_last(tensor: Tensor) -> bool:
    """Whether a 4-d tensor lies in memory as channels_last and not as contiguous."""
    return tensor.dim() == 4 and not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last)


@contextlib.contextmanager
def deterministic_mode(wanted: bool) -> Generator[None, None, None]:
    """Torch's deterministic kernels while it lasts."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(wanted or before[0], warn_only=before[1] if before[0] else True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


@contextlib.contextmanager
def lent_generators() -> Generator[None, None, None]:
    """The global generators for a while; then they stand where they stood."""
    before = global_state()
    try:
        yield
    finally:
        set_global_state(before)


def global_state() -> tuple[Any, ...]:
    """Where torch's, Python's and NumPy's generators stand."""
    return torch.default_generator.get_state(), random.getstate(), np.random.get_state()  # noqa: NPY002


def set_global_state(state: tuple[Any, ...]) -> None:
    torch.default_generator.set_state(state[0])
    random.setstate(state[1])
    np.random.set_state(state[2])  # noqa: NPY002


def seed_everything(seed: int) -> None:
    torch.default_generator.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - the one that transforms draw from
