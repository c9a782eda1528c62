"""Evaluation that gives the same digits on any number of threads, where a CPU's libraries would not.

``torchrun`` gives each of several processes one thread, a process alone has them all. A matrix product with few rows or
columns is then cut along the sum, and its last digit goes by the number of pieces; so do convolutions of very few
pixels. Both are quick, and run in one thread here. Everything larger is cut along its output, which changes no sum.
"""

import contextlib
from collections.abc import Callable, Generator
from typing import Any

import torch
from torch import Tensor, nn

FEW_PIXELS = 1 << 14  # in a batch: sixteen pictures of 32x32
SMALL_PRODUCT = 1 << 27  # multiplications of a linear layer: about a millisecond


@contextlib.contextmanager
def steady_threads(model: nn.Module, device: torch.device) -> Generator[Callable[[Tensor], None], None, None]:
    """Yields what is to be told of each batch (N, C, H, W) before the net sees it; gives threads back at the end."""
    if device.type != "cpu":
        yield lambda images: None
        return
    threads = usual = torch.get_num_threads()

    def next_batch(images: Tensor) -> None:
        nonlocal usual
        usual = 1 if images.numel() // max(1, images.shape[1]) < FEW_PIXELS else threads
        torch.set_num_threads(usual)

    def before(layer: nn.Linear, inputs: tuple[Any, ...]) -> None:
        if inputs and inputs[0].numel() * layer.out_features <= SMALL_PRODUCT:
            torch.set_num_threads(1)

    def after(*_: Any) -> None:
        torch.set_num_threads(usual)

    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if any(hasattr(module, "_orig_mod") or module._compiled_call_impl is not None for module in model.modules()):  # pyright: ignore[reportPrivateUsage]
        layers = []  # a net that its user compiled would be compiled anew, around these hooks
    hooks = [layer.register_forward_pre_hook(before) for layer in layers]
    hooks += [layer.register_forward_hook(after) for layer in layers]
    try:
        yield next_batch
    finally:
        torch.set_num_threads(threads)
        for hook in hooks:
            hook.remove()
