"""The smallest picture that a net can take, found by trying without data."""

import torch
from torch import nn

from ..errors import ShapeError, message
from ..models.base import Net
from .abstract import NoData, NoDevice, undisturbed
from .inputs import check_batch_size, make_inputs
from .replica import Replica

LARGEST = 512  # pixels; a net that needs more has a fixed size of its own


def min_input_size(model: nn.Module, *, training: bool = False, batch_size: int = 2) -> tuple[int, int]:
    """Smallest (h, w) that the model takes: the smallest square, made narrower where a side may be.

    Args:
        model: Any module over pictures (N, C, H, W); C is taken from its first convolution.
        training: Try in training mode, where batch norm refuses a single value per channel.
        batch_size: Pictures in a batch; 1 matters in training.

    Raises:
        ShapeError: When no picture up to 512x512 passes.

    >>> from smallnets import lenet5
    >>> min_input_size(lenet5())
    (32, 32)
    """
    check_batch_size("min_input_size", batch_size)
    found = Probe(Replica(model), channels_of(model), training, batch_size).smallest()
    if found is None:
        expected = f"a model that takes some picture of {channels_of(model)} channels up to {LARGEST}x{LARGEST}"
        raise ShapeError(message("min_input_size", expected, f"{type(model).__name__}, which takes none"))
    return found


class Probe:
    """Tries sizes on one replica."""

    def __init__(self, replica: Replica, channels: int, training: bool = False, batch_size: int = 1) -> None:
        self.replica, self.channels, self.training, self.batch_size = replica, channels, training, batch_size

    def runs(self, height: int, width: int) -> bool:
        """Whether the net takes a picture of that size."""
        args, _ = make_inputs((self.channels, height, width), self.batch_size, self.replica.dtype)
        module = self.replica.module
        self.replica.train(self.training)
        try:
            with undisturbed(), torch.no_grad(), NoData(), NoDevice():
                module(*args)
        except Exception:
            return False
        finally:
            self.replica.train(False)
        return True

    def smallest(self, largest: int = LARGEST) -> tuple[int, int] | None:
        """The first square side that passes, then each side alone as far down as it goes, if both may at once."""
        side = next((side for side in range(1, largest + 1) if self.runs(side, side)), None)
        if side is None:
            return None
        height = next(height for height in range(1, side + 1) if self.runs(height, side))
        width = next(width for width in range(1, side + 1) if self.runs(side, width))
        return (height, width) if self.runs(height, width) else (side, side)


def channels_of(model: nn.Module) -> int:
    """Channels of the pictures that a model takes, read off its first convolution."""
    if isinstance(model, Net):
        return model.input_size[0]
    found = (module for module in model.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d))
    return next((module.in_channels for module in found), 3)
