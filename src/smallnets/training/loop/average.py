"""Averaged weights."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..preserve import state_tensors


class Average:
    """The exponential moving average of the weights; buffers that are not floats are copied."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.tensors = {name: tensor.detach().clone() for name, tensor in state_tensors(model).items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        state = model.state_dict()
        floats = [name for name, mean in self.tensors.items() if mean.is_floating_point()]
        if floats:  # in one call: a GPU would wait for the host to ask for each of hundreds
            means, values = [self.tensors[name] for name in floats], [state[name] for name in floats]
            torch._foreach_lerp_(means, values, 1 - self.decay)  # pyright: ignore[reportPrivateUsage]
        for name in self.tensors.keys() - floats:
            self.tensors[name].copy_(state[name])

    @torch.no_grad()
    def swap(self, model: nn.Module) -> None:
        """Exchange the net's values and the averages, in place; a second time gives them back."""
        state = state_tensors(model)
        kept = {name: tensor.clone() for name, tensor in state.items()}  # all first: two names may share one tensor
        for name, tensor in state.items():
            tensor.copy_(self.tensors[name])
        for name, tensor in kept.items():  # into the same memory, which a captured update writes to
            self.tensors[name].copy_(tensor)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        for name, tensor in state.items():
            self.tensors[name].copy_(tensor)
