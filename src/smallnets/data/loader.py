"""Batches for a training loop written by hand."""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import torch
from torch import Tensor

from ..errors import DataError, OptionError, check_choice, check_int, message
from .augment import Augmentation, choose, normalise
from .decoding import ahead
from .stateless import order

Augment = str | Callable[[Tensor], Tensor]


class Pictures(Protocol):
    """What a loader needs of a set."""

    @property
    def labels(self) -> Tensor: ...
    @property
    def mean(self) -> tuple[float, ...]: ...
    @property
    def std(self) -> tuple[float, ...]: ...
    @property
    def source(self) -> str: ...
    @property
    def shape(self) -> tuple[int, int, int] | None: ...
    def __len__(self) -> int: ...
    def batch(self, index: Tensor, augmentation: Augmentation | None = None, seed: int = 0, epoch: int = 0) -> Tensor:
        """The pictures of some samples, (N, C, H, W) uint8."""
        ...


class Loader:
    """Normalised batches of (images (N, C, H, W) float, labels (N,)); every pass over it is the next epoch.

    Attributes:
        epoch: The number of the next pass; set it to repeat one.
    """

    def __init__(
        self,
        pictures: Pictures,
        batch_size: int,
        augment: Augment,
        shuffle: bool,
        workers: int,
        seed: int,
        normalised: bool,
    ) -> None:
        check_int("loader", "batch_size", batch_size)
        check_int("loader", "workers", workers, 0)
        check_choice("loader", "shuffle", shuffle, (False, True))
        check_choice("loader", "normalise", normalised, (True, False))
        if pictures.shape is None:
            raise DataError(message("loader", "pictures of one size", "several", "Give size= to load()."))
        if not isinstance(augment, str) and not callable(augment):
            raise OptionError(message("loader", "augment to be a name or a function of a batch", repr(augment)[:80]))
        self.pictures, self.batch_size, self.shuffle, self.workers = pictures, batch_size, shuffle, workers
        self.seed, self.normalised, self.epoch = seed, normalised, 0
        self.function = None if isinstance(augment, str) else augment
        named = augment if isinstance(augment, str) else "none"
        self.augmentation = choose(named, pictures.source, pictures.shape[1], who="loader")

    def __len__(self) -> int:
        return math.ceil(len(self.pictures) / self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        count = len(self.pictures)
        visited = order(self.seed, epoch, count) if self.shuffle else torch.arange(count)
        batches = visited.split(min(self.batch_size, max(1, count)))
        if self.workers == 0:
            yield from (self._batch(index, epoch) for index in batches)
            return
        with ThreadPoolExecutor(self.workers, thread_name_prefix="smallnets-loader") as pool:
            try:
                yield from ahead(lambda index: pool.submit(self._batch, index, epoch), batches, self.workers + 1)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _batch(self, index: Tensor, epoch: int) -> tuple[Tensor, Tensor]:
        pictures = self.pictures
        images = pictures.batch(index, self.augmentation, self.seed, epoch)
        if self.normalised:
            images = normalise(images, pictures.mean, pictures.std)
        if self.function is not None:
            images = self.function(images)
        return images, pictures.labels[index]
