"""Layers that more than one family uses: drawn once and right, normalised, added without broadcasting.

Each is of PyTorch's own type, which quantisers, counters, fusers and tracers look for.

N batch, C channels, H W pixels.
"""

import math
from collections.abc import Callable
from typing import Literal, TypeAlias, TypeVar

from torch import Tensor, nn

from ..errors import ShapeError, message
from ..inputs import is_scripting, is_tracing

Norm = Literal["batch", "group"]
Affine: TypeAlias = nn.Conv2d | nn.Linear
Draw: TypeAlias = Callable[[Affine], None]
L = TypeVar("L", nn.Conv2d, nn.Linear)


def he_normal(layer: Affine) -> None:
    """He et al. 2015, equation 14, for the ReLU behind the layer; its bias is 0."""
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    no_bias(layer)


def torchs_own(layer: Affine) -> None:
    """What PyTorch draws."""
    layer.reset_parameters()


def no_bias(layer: Affine) -> None:
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class UndrawnConv2d(nn.Conv2d):
    """A convolution whose weights are as they were allocated."""

    def reset_parameters(self) -> None:
        pass


class UndrawnLinear(nn.Linear):
    """A linear layer whose weights are as they were allocated."""

    def reset_parameters(self) -> None:
        pass


def conv2d(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
    bias: bool = True,
    draw: Draw = he_normal,
) -> nn.Conv2d:
    """A convolution, drawn once: as ``draw`` says."""
    sizes = (in_channels, out_channels, kernel_size, stride, padding, dilation, groups)
    return drawn(UndrawnConv2d(*sizes, bias), nn.Conv2d, draw)


def linear(in_features: int, out_features: int, draw: Draw = torchs_own) -> nn.Linear:
    """A linear layer, drawn once: as ``draw`` says."""
    return drawn(UndrawnLinear(in_features, out_features), nn.Linear, draw)


def drawn(layer: L, kind: type[L], draw: Draw) -> L:
    """The layer as PyTorch's own kind, its weights drawn; on meta, where PyTorch's draw is dear, there are none."""
    layer.__class__ = kind  # pyright: ignore[reportAttributeAccessIssue]
    if not layer.weight.is_meta:
        draw(layer)
    return layer


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


def add(branch: Tensor, shortcut: Tensor, inplace: bool) -> Tensor:
    """The residual addition, into ``branch`` where ``inplace``: two maps of one shape, N C H W each.

    Tracers go through the look at the shapes and see an addition.

    Raises:
        ShapeError: When the shapes differ, where PyTorch might broadcast.
    """
    if not is_scripting():
        refuse_unlike(branch, shortcut)
    if inplace:
        branch += shortcut
        return branch
    return branch + shortcut


def refuse_unlike(branch: object, shortcut: object) -> None:
    # In a traced graph these are no tensors; under jit.trace a look at their shapes would be traced.
    if not isinstance(branch, Tensor) or not isinstance(shortcut, Tensor) or is_tracing():
        return
    if branch.shape != shortcut.shape:
        expected = f"a shortcut of the branch's shape {tuple(branch.shape)}"
        advice = "Give the shortcut the branch's stride and channels."
        raise ShapeError(message("residual addition", expected, tuple(shortcut.shape), advice))
