"""Labelled pictures in memory.

N pictures, C channels, H W pixels.
"""

from dataclasses import dataclass, field, replace
from typing import Self

from torch import Tensor

from ..errors import DataError, message
from .augment import Augmentation, augment
from .labelled import Labelled
from .labelled import check_labels as check_labels
from .stream import ImageStream as ImageStream


@dataclass(frozen=True, eq=False, repr=False)
class ImageSet(Labelled):
    """Labelled pictures in memory.

    Attributes:
        images: (N, C, H, W) uint8.
        labels: (N,) int64, positions in ``classes``.
        classes: Names of the classes.
        ids: A name for each picture.
        mean: A number a channel, in [0, 1]: the training split's.
        std: Likewise.
        source: Where they come from.
        white: The value that was white in pictures of more than 8 bits a channel; None where there were none.
        crop: Share of the scaled pictures that was kept, as ``load`` was asked; 1 where they were taken as they are.
        exif: Whether pictures were turned upright.

    >>> from smallnets.data import load
    >>> digits = load("digits")
    >>> digits.images.shape, digits[:100].images.shape
    (torch.Size([1438, 1, 32, 32]), torch.Size([100, 1, 32, 32]))
    """

    images: Tensor = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.images.dim() != 4 or len(self.images) != len(self.labels):
            got = f"images {tuple(self.images.shape)} and {len(self.labels)} labels"
            raise DataError(message("ImageSet", "images (N, C, H, W) and N labels", got))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every picture."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    def _take(self, index: Tensor) -> Self:
        ids = tuple(self.ids[i] for i in index.tolist())
        return replace(self, images=self.images[index], labels=self.labels[index], ids=ids)

    def batch(self, index: Tensor, augmentation: Augmentation | None = None, seed: int = 0, epoch: int = 0) -> Tensor:
        """As of every set."""
        return augment(self.images[index], augmentation, seed, epoch, index)

    def _picture(self, index: int) -> Tensor:
        return self.images[index]
