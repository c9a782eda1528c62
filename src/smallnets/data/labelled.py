"""Labelled pictures, wherever they are kept: labels, classes, ids, normalisation, choosing, splitting, batches, views.

N pictures, C channels, H W pixels.
"""

import operator
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Self, overload

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..errors import DataError, OptionError, PlaceError, check_int, check_number, first_line, message, shortened
from .augment import Augmentation
from .loader import Augment, Loader
from .views import figure_of, page_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Index = slice | Sequence[int] | Tensor


class Reading(NamedTuple):
    """How files became pictures, beside their channels and size; the attributes of a set by the same names."""

    white: int | None = None
    crop: float = 1.0
    exif: bool = True


@dataclass(frozen=True, eq=False, repr=False)
class Labelled(Dataset[tuple[Tensor, int]]):
    """What both kinds of set share."""

    labels: Tensor
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    source: str = field(default="", kw_only=True)
    white: int | None = field(default=None, kw_only=True)
    crop: float = field(default=1.0, kw_only=True)
    exif: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.labels):
            raise DataError(message(type(self).__name__, "one id a label", f"{len(self.ids)} and {len(self.labels)}"))
        check_labels(type(self).__name__, self.labels, len(self.classes))

    @property
    def reading(self) -> Reading:
        return Reading(self.white, self.crop, self.exif)

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        kind, shape = type(self).__name__, getattr(self, "shape", None)
        size = "x".join(map(str, shape)) if shape is not None else "mixed sizes"
        return f"{kind}({self.source!r}, {len(self)} pictures, {size}, {len(self.classes)} classes)"

    def _repr_html_(self) -> str:
        return page_of(self)

    def plot(self, path: str | os.PathLike[str] | None = None) -> "Figure":
        """Draw pictures of every class, with the classes' counts; needs matplotlib (``smallnets[plot]``).

        Args:
            path: Where to save the drawing, too.
        """
        return figure_of(self, path)

    def loader(
        self,
        batch_size: int,
        *,
        augment: Augment = "none",
        shuffle: bool = False,
        workers: int = 0,
        seed: int = 0,
        normalise: bool = True,
    ) -> Loader:
        """Batches for a training loop written by hand: the normalised floats and labels that ``fit`` would feed.

        Every pass over it is an epoch: order and augmentation come from ``seed``, the epoch and the sample alone.

        Args:
            batch_size: Pictures at a time; the last batch is what is left.
            augment: ``"auto"``, ``"crop"``, ``"crop-flip"``, ``"resized-crop-flip"``, ``"scale-jitter-flip"``,
                ``"none"``, or a function of a normalised batch.
            shuffle: Another order every epoch.
            workers: Threads that read ahead of the loop; 0 reads when a batch is asked for.
            seed: Of order and augmentation.
            normalise: False gives the pictures as they are, uint8.

        Raises:
            ValueError: When an option is not allowed, or a stream's pictures differ in size.

        >>> from smallnets.data import load
        >>> images, labels = next(iter(load("digits").loader(64, augment="crop", shuffle=True)))
        >>> images.shape, images.dtype, labels.shape
        (torch.Size([64, 1, 32, 32]), torch.float32, torch.Size([64]))
        """
        return Loader(self, batch_size, augment, shuffle, workers, seed, normalise)

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """(C, H, W) of every picture; None where they differ."""
        raise NotImplementedError

    def batch(self, index: Tensor, augmentation: Augmentation | None = None, seed: int = 0, epoch: int = 0) -> Tensor:
        """Pictures of some samples, (N, C, H, W) uint8, under the augmentation that is theirs in this epoch."""
        raise NotImplementedError

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
        place = as_place(index)
        if place is None:
            return self._take(as_rows(index, len(self)))
        if not -len(self) <= place < len(self):
            raise PlaceError(message("ImageSet", f"a place among {len(self)} pictures", place))
        return self._picture(place % len(self)), int(self.labels[place])

    def split(self, fraction: float, seed: int = 0) -> tuple[Self, Self]:
        """Split off a fraction of every class: ``rest, part = pictures.split(0.1, seed=0)``.

        Raises:
            ValueError: When ``fraction`` is not inside (0, 1), or one side would be empty.
        """
        check_number("split", "fraction", fraction, 0, below=1)
        check_int("split", "seed", seed, 0)
        chosen = stratified(self.labels.numpy(), fraction, seed)
        if not 0 < chosen.sum() < len(self):
            raise DataError(
                message("split", "a fraction that leaves pictures on both sides", f"{fraction} of {len(self)}")
            )
        return self._take(torch.from_numpy(np.flatnonzero(~chosen))), self._take(
            torch.from_numpy(np.flatnonzero(chosen))
        )


def as_place(index: object) -> int | None:
    """One place: an int, NumPy's too, or a tensor of one, as a Subset hands over; None for what may be several."""
    if getattr(index, "ndim", 0):
        return None
    try:
        return operator.index(index)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    except (TypeError, RuntimeError):
        return None


def as_rows(index: object, count: int) -> Tensor:
    """Places among ``count``, from 0 on, int64 (chosen,).

    Raises:
        OptionError: When the index is none: no slice, and no list of numbers or of as many truths.
        PlaceError: When a place is outside.
    """
    wanted, got = "a number, a slice, or a list of numbers or of truths", shortened(" ".join(repr(index).split()), 80)
    try:
        if isinstance(index, slice):
            return torch.tensor(range(count)[index], dtype=torch.int64)  # also backwards, which torch does not know
        chosen = index.cpu().numpy() if isinstance(index, Tensor) else np.asarray(index)
    except (TypeError, ValueError, RuntimeError) as error:
        raise OptionError(message("ImageSet", wanted, f"{got} ({first_line(error)})")) from error
    if chosen.ndim != 1 or (len(chosen) and chosen.dtype.kind not in "biu"):
        raise OptionError(message("ImageSet", wanted, got))
    if chosen.dtype.kind == "b":
        if len(chosen) != count:
            raise OptionError(message("ImageSet", f"a truth for each of {count} pictures", f"{len(chosen)} truths"))
        return torch.from_numpy(np.flatnonzero(chosen))
    outside = chosen[(chosen < -count) | (chosen >= count)]
    if len(outside):
        raise PlaceError(message("ImageSet", f"places among {count} pictures", outside[0]))
    rows = torch.from_numpy(chosen.astype(np.int64))
    return torch.where(rows < 0, rows + count, rows)


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
