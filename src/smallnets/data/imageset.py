"""Labelled pictures: in memory (``ImageSet``) or read from disk as they are needed (``ImageStream``).

N pictures, C channels, H W pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self, overload

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..errors import DataError, check_number, message
from .decoding import Broken, Decoder

Index = slice | Sequence[int] | Tensor


@dataclass(frozen=True, eq=False, repr=False)
class Labelled(Dataset[tuple[Tensor, int]]):
    """What both kinds of set share: labels, classes, ids, normalisation, choosing and splitting."""

    labels: Tensor
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    source: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.labels):
            raise DataError(message(type(self).__name__, "one id a label", f"{len(self.ids)} and {len(self.labels)}"))
        check_labels(type(self).__name__, self.labels, len(self.classes))

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        kind, shape = type(self).__name__, getattr(self, "shape", None)
        size = "x".join(map(str, shape)) if shape is not None else "mixed sizes"
        return f"{kind}({self.source!r}, {len(self)} pictures, {size}, {len(self.classes)} classes)"

    def _take(self, index: Tensor) -> Self:
        raise NotImplementedError

    def _picture(self, index: int) -> Tensor:
        raise NotImplementedError

    @overload
    def __getitem__(self, index: int) -> tuple[Tensor, int]: ...
    @overload
    def __getitem__(self, index: Index) -> Self: ...
    def __getitem__(self, index: int | Index) -> "tuple[Tensor, int] | Self":
        """One sample for an int; for a slice, a list or a tensor (of numbers or truths) a set of its own."""
        if isinstance(index, int):
            if not -len(self) <= index < len(self):
                raise IndexError(f"{type(self).__name__}: index {index} is out of range for {len(self)} pictures")
            return self._picture(index % len(self)), int(self.labels[index])
        return self._take(torch.arange(len(self))[as_index(index)])

    def split(self, fraction: float, seed: int = 0) -> tuple[Self, Self]:
        """Split off a fraction of every class: ``rest, part = pictures.split(0.1, seed=0)``.

        Raises:
            ValueError: When ``fraction`` is not inside (0, 1), or one side would be empty.
        """
        check_number("split", "fraction", fraction, 0, below=1)
        chosen = stratified(self.labels.numpy(), fraction, seed)
        if not 0 < chosen.sum() < len(self):
            raise DataError(
                message("split", "a fraction that leaves pictures on both sides", f"{fraction} of {len(self)}")
            )
        return self._take(torch.from_numpy(np.flatnonzero(~chosen))), self._take(
            torch.from_numpy(np.flatnonzero(chosen))
        )


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

    def _picture(self, index: int) -> Tensor:
        return self.images[index]


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
        return None if self.decoder.size is None else (self.decoder.channels, *self.decoder.size)

    def resized(self, size: tuple[int, int]) -> Self:
        """The same pictures, each scaled to cover (h, w) and cropped at the centre."""
        old = self.decoder
        return replace(self, decoder=Decoder(old.archive, old.names, old.channels, size))

    def _take(self, index: Tensor) -> Self:
        ids = tuple(self.ids[i] for i in index.tolist())
        return replace(self, rows=self.rows[index], labels=self.labels[index], ids=ids)

    def _picture(self, index: int) -> Tensor:
        found = self.decoder.picture(int(self.rows[index]))
        if isinstance(found, Broken):
            path = self.decoder.archive.path / found.name
            raise DataError(message("ImageStream", "a whole picture", f"{path}: {found.reason}", "Mend or remove it."))
        return torch.from_numpy(found)

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, Tensor]:
        """A batch, for a DataLoader's worker: (N, C, H, W) uint8 and labels."""
        return torch.stack([self._picture(i) for i in indices]), self.labels[torch.tensor(indices)]


def as_index(index: Index) -> "slice | Tensor":
    if isinstance(index, slice):
        return index
    if isinstance(index, Tensor):
        return index.cpu()
    chosen = torch.as_tensor(np.asarray(index))
    return chosen if len(chosen) else chosen.long()


def check_labels(who: str, labels: Tensor, classes: int) -> None:
    """Refuse labels outside the classes.

    Raises:
        DataError: Naming the first such label and its place.
    """
    outside = torch.nonzero((labels < 0) | (labels >= classes)).flatten()
    if len(outside):
        place = int(outside[0])
        got = f"{len(outside)} outside, the first {int(labels[place])} at position {place}"
        raise DataError(message(who, f"labels from 0 to {classes - 1}", got, "Check the labels or the class list."))


def stratified(labels: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Which samples belong to the fraction: of each class its rounded share, at least one, in random order."""
    chosen = np.zeros(len(labels), dtype=bool)
    random = np.random.default_rng(seed)
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        share = max(1, round(fraction * len(members))) if len(members) > 1 else 0
        chosen[members[:share]] = True
    return chosen
