"""Batch norms whose statistics stay as they are, whatever ``train()`` says."""

from typing import Self

from torch import nn


class FrozenBatchNorm1d(nn.BatchNorm1d):
    """A batch norm that stays in eval mode."""

    def train(self, mode: bool = True) -> Self:
        return super().train(False)


class FrozenBatchNorm2d(nn.BatchNorm2d):
    """A batch norm that stays in eval mode."""

    def train(self, mode: bool = True) -> Self:
        return super().train(False)


FROZEN: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm1d: FrozenBatchNorm1d,
    nn.BatchNorm2d: FrozenBatchNorm2d,
}
THAWED = {frozen: plain for plain, frozen in FROZEN.items()}


def set_frozen(layer: nn.Module, frozen: bool) -> None:
    """Make a batch norm one that stays in eval mode, or one that follows the net again; other layers are left alone.

    The object stays the same, so that optimizers, hooks and feature pyramids which hold it see the change.
    """
    change = FROZEN if frozen else THAWED
    if type(layer) in change:
        layer.__class__ = change[type(layer)]
        layer.train(layer.training)
