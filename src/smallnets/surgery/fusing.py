"""Folding batch norms into the layers before them."""

import copy
from typing import TypeVar

import torch
from torch import nn

from ..errors import OptionError, message
from ..taps import check_module, trace

M = TypeVar("M", bound=nn.Module)
BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d
Affine = nn.Conv2d | nn.Linear


def fuse(model: M) -> M:
    """A new net, for inference, with each batch norm folded into the convolution or linear layer before it.

    Args:
        model: Any module that ``torch.fx`` can trace, every net of the zoo among them; it is left as it is.

    Returns:
        The net in eval mode, with ``Identity`` where a batch norm was folded. Norms that do not directly follow a
        convolution or linear layer stay; group norms depend on the picture and stay too.

    Raises:
        ValueError: When the module cannot be traced.

    >>> import torch
    >>> import smallnets as sn
    >>> net = sn.resnet20().eval()
    >>> x = torch.randn(1, 3, 32, 32)
    >>> torch.allclose(fuse(net)(x), net(x), atol=1e-5)
    True
    """
    check_module("fuse", model)
    fused = copy.deepcopy(model).eval()
    for before, norm in foldable(fused):
        layer, batch_norm = fused.get_submodule(before), fused.get_submodule(norm)
        assert isinstance(layer, Affine)
        assert isinstance(batch_norm, BatchNorm)
        fold(layer, batch_norm)
        fused.set_submodule(norm, nn.Identity().eval())
    return fused


def foldable(model: nn.Module) -> list[tuple[str, str]]:
    """Paths of a layer and of the batch norm that alone takes its output; each runs once."""
    try:
        tracer = trace(model)
    except Exception as error:  # whatever a forward pass does that cannot be followed
        got = f"a {type(model).__name__} that torch.fx cannot trace ({str(error).splitlines()[0]})"
        raise OptionError(message("fuse", "a traceable module", got, "Fuse its parts one by one.")) from None
    pairs: list[tuple[str, str]] = []
    for path, outputs in tracer.outputs.items():
        norm = model.get_submodule(path)
        if not isinstance(norm, BatchNorm) or len(outputs) > 1 or norm.running_mean is None:
            continue
        source = outputs[0].all_input_nodes[0]
        before = str(source.target)
        alone = len(source.users) == 1 and source.op == "call_module" and len(tracer.outputs[before]) == 1
        if alone and isinstance(model.get_submodule(before), Affine):
            pairs.append((before, path))
    return pairs


@torch.no_grad()
def fold(layer: Affine, norm: BatchNorm) -> None:
    """Scale and shift of the norm into weight and bias: (Wx + b - mean) * scale + shift, in float64."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean, variance = norm.running_mean.double(), norm.running_var.double()
    scale = (variance + norm.eps).rsqrt()
    shift = torch.zeros_like(mean)
    if norm.affine:
        scale, shift = scale * norm.weight.double(), norm.bias.double()
    bias = torch.zeros_like(mean) if layer.bias is None else layer.bias.double()
    weight = layer.weight.double() * scale.view(-1, *[1] * (layer.weight.dim() - 1))
    layer.weight = nn.Parameter(weight.to(layer.weight.dtype), layer.weight.requires_grad)
    layer.bias = nn.Parameter(((bias - mean) * scale + shift).to(layer.weight.dtype), layer.weight.requires_grad)
