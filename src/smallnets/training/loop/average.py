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
        for name, mean in self.tensors.items():
            if mean.is_floating_point():
                mean.lerp_(state[name], 1 - self.decay)
            else:
                mean.copy_(state[name])

    @torch.no_grad()
    def swap(self, model: nn.Module) -> None:
        """Exchange the net's values and the averages, in place; a second time gives them back."""
        state = state_tensors(model)
        kept = {name: tensor.clone() for name, tensor in state.items()}  # all first: two names may share one tensor
        for name, tensor in state.items():
            tensor.copy_(self.tensors[name])
        self.tensors = kept

    def restore(self, state: Mapping[str, Tensor]) -> None:
        for name, tensor in state.items():
            self.tensors[name].copy_(tensor)
