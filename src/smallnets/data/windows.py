"""Augmentation by windows: a part of a picture, scaled to size; of a batch, or of a picture as it is stored.

N batch, C channels, H W pixels.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from .pixels import Window
from .stateless import Uniforms

Boxes = npt.NDArray[np.float64]  # (4, N): left, top, right, bottom in pixels
TRIES = 10  # torchvision's, after which it takes what fits


@dataclass(frozen=True)
class Windows(ABC):
    """A random part of the picture, scaled to its size bilinearly, and mirrored half of the time."""

    draws: ClassVar[int]
    alone: ClassVar[bool]  # whether the picture is cropped before it is scaled

    @abstractmethod
    def boxes(self, random: Uniforms, height: int, width: int, size: tuple[int, int]) -> Boxes:
        """Windows in pictures of height x width that are to be scaled to (h, w)."""

    def __call__(self, images: Tensor, random: Uniforms) -> Tensor:
        height, width = images.shape[2:]
        left, top, right, bottom = self.boxes(random, height, width, (height, width))
        across, down = (right - left) / width, (bottom - top) / height
        theta = np.zeros((len(images), 2, 3), dtype=np.float32)
        theta[:, 0, 0], theta[:, 0, 2] = np.where(random[-1] < 0.5, -across, across), (left + right) / width - 1
        theta[:, 1, 1], theta[:, 1, 2] = down, (top + bottom) / height - 1
        places = torch.from_numpy(theta).to(images.device, non_blocking=True)
        grid = F.affine_grid(places, list(images.shape), align_corners=False)
        parts = F.grid_sample(images.float(), grid, padding_mode="border", align_corners=False)
        return parts.round_().to(torch.uint8) if images.dtype == torch.uint8 else parts.to(images.dtype)

    def of_stored(self, random: Uniforms, size: tuple[int, int]) -> Callable[[int, int], Window]:
        """What chooses one picture's window when its height and width are known; ``random`` is (draws, 1)."""
        return functools.partial(self._window, random, size)

    def _window(self, random: Uniforms, size: tuple[int, int], height: int, width: int) -> Window:
        left, top, right, bottom = self.boxes(random, height, width, size)[:, 0].tolist()
        return Window(left, top, right, bottom, mirrored=bool(random[-1, 0] < 0.5), alone=self.alone)


@dataclass(frozen=True)
class ResizedCropFlip(Windows):
    """A window of random area and proportions, drawn as torchvision's ``RandomResizedCrop`` draws it, and a flip.

    Attributes:
        scale: Least and largest share of the picture's area.
        ratio: Least and largest width over height.
    """

    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    draws: ClassVar[int] = 2 * TRIES + 3
    alone: ClassVar[bool] = True

    def boxes(self, random: Uniforms, height: int, width: int, size: tuple[int, int]) -> Boxes:
        area = height * width * (self.scale[0] + random[:TRIES] * (self.scale[1] - self.scale[0]))
        low, high = np.log(self.ratio)
        aspect = np.exp(low + random[TRIES : 2 * TRIES] * (high - low))
        # What fits in no try is the largest centred window of the nearest proportions; it stands as a last row.
        nearest = min(max(width / height, self.ratio[0]), self.ratio[1])
        last_across, last_down = min(width, round(height * nearest)), min(height, round(width / nearest))
        across = np.vstack([np.round(np.sqrt(area * aspect)), np.full(random.shape[1], last_across)])
        down = np.vstack([np.round(np.sqrt(area / aspect)), np.full(random.shape[1], last_down)])
        fits = (across >= 1) & (across <= width) & (down >= 1) & (down <= height)
        fits[-1] = True
        first, each = fits.argmax(axis=0), np.arange(random.shape[1])
        across, down = across[first, each], down[first, each]
        x, y = np.floor(random[-3:-1] * [width - across + 1, height - down + 1])
        x, y = np.where(first == TRIES, (width - across) // 2, x), np.where(first == TRIES, (height - down) // 2, y)
        return np.stack([x, y, x + across, y + down])


@dataclass(frozen=True)
class ScaleJitterFlip(Windows):
    """The picture scaled so that its shorter side is a random S, a random window of the net's size, and a flip.

    Attributes:
        scale: Least and largest S over the window's shorter side.

    Source:
        Simonyan & Zisserman 2015, section 3.1: S in [256, 512] for windows of 224.
    """

    scale: tuple[float, float] = (256 / 224, 512 / 224)
    draws: ClassVar[int] = 4
    alone: ClassVar[bool] = False

    def boxes(self, random: Uniforms, height: int, width: int, size: tuple[int, int]) -> Boxes:
        shorter = min(height, width)
        low, high = (round(share * min(size)) for share in self.scale)
        side = low + np.floor(random[0] * (high - low + 1))  # S in pixels
        # Sides of the scaled picture, whole pixels as torchvision's Resize(S) leaves them, at least the window's.
        across = np.maximum(np.floor(side * width / shorter), size[1])
        down = np.maximum(np.floor(side * height / shorter), size[0])
        x = np.floor(random[1] * (across - size[1] + 1))
        y = np.floor(random[2] * (down - size[0] + 1))
        right, bottom = (x + size[1]) * width / across, (y + size[0]) * height / down
        return np.stack([x * width / across, y * height / down, np.minimum(right, width), np.minimum(bottom, height)])
