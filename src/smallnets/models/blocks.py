"""Layers that more than one family uses: drawn once and right, normalised, added without broadcasting.

N batch, C channels, H W pixels.
"""

import math
from collections.abc import Callable
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from ..errors import ShapeError, message

Norm = Literal["batch", "group"]
M = TypeVar("M", bound=nn.Module)


class Conv2d(nn.Conv2d):
    """A convolution whose weights are drawn once, as He et al. 2015 (equation 14) say for ReLUs; its bias is 0."""

    def reset_parameters(self) -> None:
        if self.weight.is_meta:  # nothing to draw, and PyTorch's abstract draw would be most of the building time
            return
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")
        if self.bias is not None:
            nn.init.zeros_(self.bias)


def norm_layer(norm: str, channels: int, *, scale: float = 1.0) -> nn.Module:
    """A norm over ``channels`` maps, whose trainable scale starts at ``scale``."""
    layer = nn.BatchNorm2d(channels) if norm == "batch" else nn.GroupNorm(math.gcd(32, channels), channels)
    if scale != 1.0:
        nn.init.constant_(layer.weight, scale)
    return layer


def local_response_norm() -> nn.LocalResponseNorm:
    """Krizhevsky et al. 2012, section 3.3: 5 maps, alpha 1e-4 an element, which PyTorch divides by the 5 maps."""
    return nn.LocalResponseNorm(size=5, alpha=5e-4, beta=0.75, k=2.0)


def dropout_layer(probability: float) -> nn.Module:
    """Dropout, or nothing in its place, so that the layers behind keep their names."""
    return nn.Dropout(probability) if probability else nn.Identity()


class Add(nn.Module):
    """The residual addition: branch and shortcut must have one shape, PyTorch's broadcasting is refused."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, branch: Tensor, shortcut: Tensor) -> Tensor:  # N C H W twice -> N C H W
        return add(branch, shortcut, self.inplace)


def add(branch: Tensor, shortcut: Tensor, inplace: bool) -> Tensor:
    """The sum of two maps of one shape, into ``branch`` where ``inplace``.

    Raises:
        ShapeError: When the shapes differ.
    """
    if branch.shape != shortcut.shape:
        expected = f"a shortcut of the branch's shape {tuple(branch.shape)}"
        advice = "Give the shortcut the branch's stride and channels."
        raise ShapeError(message("residual addition", expected, tuple(shortcut.shape), advice))
    return branch.add_(shortcut) if inplace else branch + shortcut


torch.fx.wrap("add")


def lies_on_meta(module: nn.Module) -> bool:
    return all(tensor.is_meta for tensor in (*module.parameters(), *module.buffers()))


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
