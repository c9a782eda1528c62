"""Weight gradients as one matrix product over unfolded maps, where that is faster than the library's convolution.

On maps of a few pixels and many channels a convolution's weight gradient is a short sum of large outer products, which
kernels made for large maps handle badly; unfolding such maps first (Chellapilla et al. 2006, "High performance
convolutional neural networks for document processing") costs little. Which layers gain is measured; the net, its
weights and its forward pass stay as they are. What it alone gives to ``fit`` (bf16, batch 128, two cores of an AMD EPYC
without AMX, in turn with the same plan without it, n = 3): vgg16 325 pictures a second over 288, 1.13 times as many;
resnet18 206 over 201, 1.02 times.

N batch, C channels in, K channels out, H W pixels of the input, h w of the output, R S of the kernel.
"""

import functools
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.nn.grad import conv2d_input

SMALL = 64  # pixels of the largest output map worth trying
FASTER = 1.2  # how much faster a layer's gradient must be: noise must not decide
CLOSE = 0.02  # of the largest entry, by which two bf16 gradients may differ; fp32's are far nearer

Pair = tuple[int, int]


def unfold(x: Tensor, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Tensor:
    """(N, C, H, W) to (N h w, R S C): what the kernel sees at each place, a row.

    >>> unfold(torch.zeros(2, 3, 4, 4), (3, 3), (1, 1), (1, 1), (1, 1)).shape
    torch.Size([32, 27])
    """
    padded = F.pad(x, (padding[1], padding[1], padding[0], padding[0])).permute(0, 2, 3, 1).contiguous()
    n, height, width, channels = padded.shape
    spans = [dilation[axis] * (kernel[axis] - 1) for axis in (0, 1)]
    h, w = (height - spans[0] - 1) // stride[0] + 1, (width - spans[1] - 1) // stride[1] + 1
    of_n, of_row, of_column, _ = padded.stride()
    strides = (of_n, of_row * stride[0], of_column * stride[1], of_row * dilation[0], of_column * dilation[1], 1)
    return padded.as_strided((n, h, w, *kernel, channels), strides).reshape(n * h * w, -1)


def weight_gradient(x: Tensor, grad: Tensor, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Tensor:
    """The gradient of the weights (K, C, R, S) from the input (N, C, H, W) and the output's gradient (N, K, h, w)."""
    rows = grad.permute(0, 2, 3, 1).reshape(-1, grad.shape[1])
    product = rows.t() @ unfold(x, kernel, stride, padding, dilation)
    return product.view(grad.shape[1], *kernel, x.shape[1]).permute(0, 3, 1, 2)


class UnfoldedConv2d(torch.autograd.Function):
    """``F.conv2d`` whose weight gradient is ``weight_gradient``; everything else is the library's."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: Pair, padding: Pair, dilation: Pair
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.where = (stride, padding, dilation)
        return F.conv2d(x, weight, bias, stride, padding, dilation)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, weight = ctx.saved_tensors
        stride, padding, dilation = ctx.where
        wanted = ctx.needs_input_grad
        of_x = conv2d_input(x.shape, weight, grad, stride, padding, dilation) if wanted[0] else None
        of_weight = weight_gradient(x, grad, weight.shape[2:], stride, padding, dilation) if wanted[1] else None
        of_bias = grad.sum(dim=(0, 2, 3)) if wanted[2] else None
        return of_x, of_weight, of_bias, None, None, None


def forward(layer: nn.Conv2d, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """In place of ``layer._conv_forward``, with autocast's casts."""
    if torch.is_autocast_enabled(x.device.type):
        low = torch.get_autocast_dtype(x.device.type)
        x, weight, bias = x.to(low), weight.to(low), None if bias is None else bias.to(low)
    with torch.autocast(x.device.type, enabled=False):
        result: Tensor = UnfoldedConv2d.apply(x, weight, bias, layer.stride, layer.padding, layer.dilation)
    return result


def use_unfolded(model: nn.Module, names: Iterable[str]) -> None:
    """Let these convolutions take their weight gradients so; nothing that is saved of them changes."""
    for name in names:
        layer: Any = model.get_submodule(name)
        layer._conv_forward = functools.partial(forward, layer)


def use_library(model: nn.Module, names: Iterable[str]) -> None:
    """Undo ``use_unfolded``."""
    for name in names:
        vars(model.get_submodule(name)).pop("_conv_forward", None)


def layers_that_gain(model: nn.Module, images: Tensor, autocast: Callable[[], Any]) -> tuple[str, ...]:
    """The convolutions with small maps whose weight gradient is faster unfolded, and the same; by timing each shape.

    Args:
        model: The net, in its memory layout.
        images: A batch in that layout, (N, C, H, W).
        autocast: The precision to run in.
    """
    inputs: dict[str, Tensor] = {}
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d) and eligible(layer)}

    def note(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
            if output.dim() == 4 and output.shape[2] * output.shape[3] <= SMALL:
                inputs[name] = arguments[0].to(output.dtype)

        return hook

    hooks = [layer.register_forward_hook(note(name)) for name, layer in layers.items()]
    try:
        with torch.no_grad(), autocast():
            model(images)
    finally:
        for hook in hooks:
            hook.remove()
    gains: dict[Any, bool] = {}

    def gain(layer: nn.Conv2d, x: Tensor) -> bool:
        shape = (x.shape, layer.weight.shape, layer.stride, layer.padding, layer.dilation)
        if shape not in gains:
            gains[shape] = is_faster(layer, x)
        return gains[shape]

    return tuple(name for name, x in inputs.items() if gain(layers[name], x))


def eligible(layer: nn.Conv2d) -> bool:
    """Whether the rewrite computes what the layer does: torch's forward, one group, zeros around, a weight to train."""
    kind = type(layer)
    torchs = kind.forward is nn.Conv2d.forward and kind._conv_forward is nn.Conv2d._conv_forward  # pyright: ignore[reportPrivateUsage]
    plain = torchs and layer.groups == 1 and layer.padding_mode == "zeros" and isinstance(layer.padding, tuple)
    return plain and layer.weight.requires_grad and layer.weight.device.type == "cpu"


def is_faster(layer: nn.Conv2d, x: Tensor) -> bool:
    """Whether the layer's weight gradient for this input is clearly faster unfolded, and the same."""
    weight = layer.weight.detach().to(x.dtype).requires_grad_()
    where: Any = (layer.stride, layer.padding, layer.dilation)
    output = F.conv2d(x, weight, None, *where)
    grad = output.detach()
    kernel = (weight.shape[2], weight.shape[3])

    def library() -> Tensor:
        return torch.autograd.grad(output, weight, grad, retain_graph=True)[0]

    def unfolded() -> Tensor:
        return weight_gradient(x, grad, kernel, *where)

    expected, found = library(), unfolded()
    if not bool((expected - found).abs().max() <= CLOSE * expected.abs().max()):
        return False
    return shortest(unfolded, 2) * FASTER < shortest(library, 2)


def shortest(call: Callable[[], Tensor], calls: int = 3) -> float:
    """Seconds of the fastest of some calls."""
    seconds: list[float] = []
    for _ in range(calls):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return min(seconds)
