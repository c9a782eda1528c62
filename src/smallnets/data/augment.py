"""Augmentation of whole batches on whatever device they are, stateless: from (seed, epoch, sample index).

N batch, C channels, H W pixels; uint8 in, uint8 out (floats stay floats).
"""

import re
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import OptionError, check_choice, message
from .stateless import Uniforms, uniforms
from .windows import ResizedCropFlip as ResizedCropFlip
from .windows import ScaleJitterFlip as ScaleJitterFlip

NAMES = ("auto", "none", "crop", "crop-flip", "resized-crop-flip", "scale-jitter-flip")
PART = re.compile(r"resized-crop-flip\((\d*\.?\d+)\)")  # with the least share of the area


class Augmentation(Protocol):
    """A batch and its draws, (draws, N) numbers in [0, 1), to a batch of the same shape."""

    draws: ClassVar[int]

    def __call__(self, images: Tensor, random: Uniforms) -> Tensor: ...


@dataclass(frozen=True)
class Crop:
    """Shift by up to ``padding`` pixels each way, black beyond the edge; mirror half of them with ``flip``.

    The same pictures as torchvision's ``RandomCrop(size, padding)`` and ``RandomHorizontalFlip()`` make.
    """

    padding: int = 4
    flip: bool = False
    draws: ClassVar[int] = 3

    def __call__(self, images: Tensor, random: Uniforms) -> Tensor:
        places = beside(images, (random[:2] * (2 * self.padding + 1)).astype(np.int64))
        height, width = images.shape[2:]
        padded = F.pad(images, (self.padding,) * 4)
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # N C places places H W, without a copy
        rows = torch.arange(len(images), device=images.device)
        cropped = windows[rows, :, places[0], places[1]]
        return mirror(cropped, random[2]) if self.flip else cropped


def beside(images: Tensor, values: np.ndarray) -> Tensor:
    """Values on the pictures' device; the host does not wait for a GPU to take them."""
    return torch.from_numpy(values).to(images.device, non_blocking=True)


def mirror(images: Tensor, random: np.ndarray) -> Tensor:
    """Mirror the pictures whose number is below a half."""
    flipped = beside(images, random < 0.5)
    return torch.where(flipped[:, None, None, None], images.flip(3), images)


def choose(name: str, source: str, height: int, who: str = "fit") -> Augmentation | None:
    """The augmentation of a name; ``"auto"`` goes by the source and the height in pixels.

    Raises:
        ValueError: When there is no such augmentation.
    """
    check_name(name, who)
    if name == "auto":
        if source in ("digits", "mnist", "fashion-mnist"):
            name = "crop"
        else:
            name = "crop-flip" if height < 64 else "resized-crop-flip"
    if name == "crop":  # an eighth of the side, as 4 of 32; half of it for handwriting
        return Crop(padding=max(1, height // 16))
    if name == "crop-flip":
        return Crop(padding=max(1, height // 8), flip=True)
    if part := PART.fullmatch(name):
        return ResizedCropFlip(scale=(float(part[1]), 1.0))
    return {"resized-crop-flip": ResizedCropFlip(), "scale-jitter-flip": ScaleJitterFlip()}.get(name)


def check_name(name: str, who: str = "fit") -> None:
    """Refuse what is no augmentation's name; ``"resized-crop-flip(0.5)"`` takes at least half of the area.

    Raises:
        ValueError: Naming the nearest that there is.
    """
    if not (part := PART.fullmatch(name)):
        check_choice(who, "augment", name, NAMES)
    elif not 0 < float(part[1]) <= 1:
        raise OptionError(message(who, "a share in (0, 1] in augment='resized-crop-flip(share)'", repr(name)))


def augment(images: Tensor, augmentation: Augmentation | None, seed: int, epoch: int, index: Tensor) -> Tensor:
    """Apply an augmentation with the draws that belong to these samples in this epoch."""
    if augmentation is None:
        return images
    return augmentation(images, uniforms(seed, epoch, index, augmentation.draws))


def normalise(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...], channels_last: bool = False) -> Tensor:
    """uint8 to float: divided by 255, less the mean, over the std; floats are taken as they are.

    Raises:
        ValueError: When the set has other channels than its mean and std.
    """
    layout = torch.channels_last if channels_last else torch.contiguous_format
    if images.dtype != torch.uint8:
        return images.to(torch.float32).contiguous(memory_format=layout)
    if len(mean) != images.shape[1]:
        raise OptionError(f"normalise: expected {images.shape[1]} means, one a channel; got {len(mean)}.")
    shift = torch.tensor(mean).to(images.device, non_blocking=True)[:, None, None] * 255
    scale = 1 / (torch.tensor(std).to(images.device, non_blocking=True)[:, None, None] * 255)
    # The layout comes last: per-channel arithmetic over channels_last memory takes several times as long.
    return images.to(torch.float32).sub_(shift).mul_(scale).contiguous(memory_format=layout)
