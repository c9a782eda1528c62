"""Layers that more than one family uses: drawn once and right, normalised, added without broadcasting.

N batch, C channels, H W pixels.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from ..errors import ShapeError, message

Norm = Literal["batch", "group"]


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
