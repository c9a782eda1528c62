"""Labelled pictures that stay on disk and are read as they are needed (``ImageStream``).

N pictures, C channels, H W pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Self

import torch
from torch import Tensor
from torch.utils.data import Dataset

from .augment import Augmentation, augment
from .decoding import MEND, Broken, Decoder, refuse, with_rules
from .labelled import Labelled
from .pixels import Window
from .stateless import uniforms
from .windows import Windows


@dataclass(frozen=True, eq=False, repr=False)
class ImageStream(Labelled):
    """The same face for a set that stays on disk: no ``images``; ``fit`` reads it through worker processes.

    Attributes:
        decoder: Reads the pictures; index i of it is ``rows[i]``.
    """

    decoder: Decoder = field(kw_only=True)
    rows: Tensor = field(kw_only=True)

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """(C, H, W) of every picture; None while the pictures differ in size."""
        rules = self.decoder.rules
        return None if rules.size is None else (rules.channels, *rules.size)

    def resized(self, size: tuple[int, int]) -> Self:
        """The same pictures, each scaled to cover (h, w) and cropped at the centre."""
        return replace(self, decoder=with_rules(self.decoder, size=size))

    def _take(self, index: Tensor) -> Self:
        ids = tuple(self.ids[i] for i in index.tolist())
        return replace(self, rows=self.rows[index], labels=self.labels[index], ids=ids)

    def batch(self, index: Tensor, augmentation: Augmentation | None = None, seed: int = 0, epoch: int = 0) -> Tensor:
        """As of every set; windows are taken from the pictures as they are stored."""
        epoch_of = Epoch(self, augmentation, seed, epoch)
        return torch.stack([epoch_of[row][0] for row in index.tolist()])

    def _picture(self, index: int) -> Tensor:
        return self.part(index)

    def part(self, index: int, window: Callable[[int, int], Window] | None = None) -> Tensor:
        """A picture, or the part of it as stored that ``window`` chooses when it is told (h, w), brought to size.

        Raises:
            DataError: When the picture cannot be read.
        """
        found = self.decoder.picture(int(self.rows[index]), window)
        if isinstance(found, Broken):
            advice = "Mend or remove it." if found.advice == MEND else found.advice
            raise refuse("load", self.decoder.archive, replace(found, advice=advice))
        return torch.from_numpy(found)


@dataclass(frozen=True)
class Epoch(Dataset[tuple[Tensor, int]]):
    """A stream as one epoch of training sees it: sample by sample the same, whenever and by whom it is read."""

    stream: ImageStream
    augmentation: Augmentation | None
    seed: int
    epoch: int

    def __len__(self) -> int:
        return len(self.stream)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        way, label, size = self.augmentation, int(self.stream.labels[index]), self.stream.decoder.rules.size
        row = torch.tensor([index])
        if isinstance(way, Windows) and size is not None:  # from the picture as it is stored
            draws = uniforms(self.seed, self.epoch, row, way.draws)
            return self.stream.part(index, way.of_stored(draws, size)), label
        return augment(self.stream.part(index)[None], way, self.seed, self.epoch, row)[0], label
