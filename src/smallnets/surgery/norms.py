"""Norms whose statistics stay as they are, whatever ``train()`` says."""

import functools

from torch import nn


def has_statistics(layer: nn.Module) -> bool:
    """Whether a layer keeps running statistics: a batch norm of any kind, some instance norms, somebody's own norm."""
    return "running_mean" in dict(layer.named_buffers(recurse=False))


def set_frozen(layer: nn.Module, frozen: bool) -> None:
    """Make a norm stay in eval mode, or follow the net again; other layers are left alone.

    Its class and the object stay: quantisers and fusers look at the one, optimizers and hooks at the other.
    """
    if not has_statistics(layer):
        return
    if frozen:
        layer.__dict__["train"] = functools.partial(stay, layer)
    else:
        layer.__dict__.pop("train", None)
    layer.train(layer.training)


def stay(layer: nn.Module, mode: bool = True) -> nn.Module:
    """``train`` of a frozen layer, which a copy or a pickle takes along."""
    return type(layer).train(layer, False)
