"""Batches in a stateless order, ready on the device.

N batch, C channels, H W pixels.
"""

import contextlib
import itertools
import queue
import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from ..data.augment import Augmentation, augment, normalise
from ..data.decoding import processors
from ..data.imageset import ImageSet, ImageStream, check_labels
from ..data.stateless import key, order
from ..errors import DataError, first_line, message
from .samples import Samples, Stats
from .seeded import epoch_of


class Batch(NamedTuple):
    """What a step needs: pictures (N, C, H, W) float, labels (N,), and how many samples the global batch has."""

    images: Tensor
    labels: Tensor
    total: int
    weight: float = 1.0  # 0 for the stand-in of a process that has no sample of this batch


class Share(NamedTuple):
    """Which process of how many this is."""

    rank: int = 0
    world: int = 1


def plan_batches(count: int, batch_size: int, least: int = 1) -> list[tuple[int, int]]:
    """Where each batch starts and stops; a last one of fewer than ``least`` samples joins the one before.

    >>> plan_batches(5, 2, least=2)
    [(0, 2), (2, 5)]
    """
    starts = list(range(0, count, batch_size))
    if len(starts) > 1 and count - starts[-1] < least:
        starts.pop()
    return list(zip(starts, [*starts[1:], count], strict=True))


@dataclass
class Feed:
    """Training batches: epoch by epoch, the same whatever came before.

    The order comes from (seed, epoch), the augmentation from (seed, epoch, sample); so any step can be the first.
    """

    samples: Samples
    batches: list[tuple[int, int]]
    device: torch.device
    seed: int
    augmentation: Augmentation | None = None
    channels_last: bool = False
    workers: int = 0
    share: Share = field(default_factory=Share)
    logits: int | None = None  # of the net, to check labels that come one batch at a time
    _on_device: Tensor | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.samples.data) if self.samples.is_loader else len(self.batches)

    def epoch(self, epoch: int, first: int = 0) -> Generator[Batch, None, None]:
        """The batches of an epoch from number ``first`` on, prepared ahead where that gains anything.

        On a CPU the net has every core, and a thread beside it takes more from it than the few milliseconds that it
        saves a batch: on two cores ResNet-20 trained on 635 pictures a second with one, on 797 without. On a GPU the
        copy of the next batch runs beside the net; pictures that live on the GPU need none: their work is queued.
        """
        if self.samples.is_loader:
            return self._from_loader(epoch, first)
        shuffled = order(self.seed, epoch, self.samples.count)
        mine = [self._deal(shuffled[start:stop]) for start, stop in self.batches[first:]]
        sizes = [stop - start for start, stop in self.batches[first:]]
        if isinstance(self.samples.data, ImageSet):
            images = self._resident(self.samples.data)
            prepared = self._in_memory(self.samples.data, images, epoch, mine, sizes)
            source = images.device
        else:
            prepared = self._from_workers(epoch, mine, sizes)
            source = torch.device("cpu")
        return prepared if source.type == self.device.type else ahead(prepared)

    def _deal(self, index: Tensor) -> Tensor:
        """This process's samples of a global batch; a stand-in where there is none."""
        mine = index[self.share.rank :: self.share.world]
        return mine if len(mine) else index[:1]

    def _weight(self, size: int) -> float:
        return 1.0 if self.share.rank < size else 0.0

    def _in_memory(
        self, data: ImageSet, images: Tensor, epoch: int, mine: list[Tensor], sizes: list[int]
    ) -> Generator[Batch, None, None]:
        for index, size in zip(mine, sizes, strict=True):
            rows = index.to(images.device, non_blocking=True)
            batch = images[rows].to(self.device, non_blocking=True)
            batch = augment(batch, self.augmentation, self.seed, epoch, index)
            batch = normalise(batch, data.mean, data.std, self.channels_last)
            yield Batch(batch, data.labels[index].to(self.device, non_blocking=True), size, self._weight(size))

    def _resident(self, data: ImageSet) -> Tensor:
        """The pictures where the batches are gathered: on a GPU if they take less than half of what is free there."""
        if self.device.type != "cuda":
            return data.images
        if self._on_device is None:
            free, _ = torch.cuda.mem_get_info(self.device)
            self._on_device = data.images.to(self.device) if data.images.nbytes < free // 2 else data.images
        return self._on_device

    def _from_workers(self, epoch: int, mine: list[Tensor], sizes: list[int]) -> Generator[Batch, None, None]:
        loader = index_loader(self.samples.data, mine, self.workers, self.device, key(self.seed, epoch, 1))
        for batch, index, size in zip(loader, mine, sizes, strict=True):
            images, labels = self._checked(*pair(batch, "fit"))
            images = augment(images, self.augmentation, self.seed, epoch, index)
            images = as_floats(images, self.samples.stats, self.channels_last)
            yield Batch(images, labels, size, self._weight(size))

    def _from_loader(self, epoch: int, first: int) -> Generator[Batch, None, None]:
        if hasattr(self.samples.data.sampler, "set_epoch"):
            self.samples.data.sampler.set_epoch(epoch)
        with contextlib.closing(epoch_of(self.samples.data, key(self.seed, epoch, 0))) as batches:
            for batch in itertools.islice(batches, first, None):
                images, labels = self._checked(*pair(batch, "fit"))
                yield Batch(as_floats(images, None), labels, len(labels) * self.share.world)

    def _checked(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """On the device, after a look at the labels, where looking costs no wait for it."""
        if self.logits is not None:
            check_labels("fit", labels, self.logits)
        return images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)


def pair(batch: Any, who: str) -> tuple[Tensor, Tensor]:
    """Pictures and labels out of what a DataLoader gives.

    Raises:
        DataError: When it gives something else.
    """
    if not isinstance(batch, tuple | list) or len(batch) != 2 or not isinstance(batch[0], Tensor):
        got = f"a {type(batch).__name__}"
        raise DataError(
            message(who, "batches of (images, labels), images as tensors", got, "Let the Dataset give tensors.")
        )
    try:
        labels = torch.as_tensor(batch[1])
    except (TypeError, ValueError, RuntimeError):
        labels = torch.empty(0, 0)
    if labels.shape != batch[0].shape[:1] or labels.dtype.is_floating_point:
        got = f"{tuple(labels.shape)} {labels.dtype}" if labels.numel() else f"a {type(batch[1]).__name__}"
        advice = "Of probabilities, take argmax(dim=1)."
        raise DataError(message(who, "a whole-numbered label a picture", got, advice))
    return batch[0], labels.long()


def together(samples: list[Any]) -> Any:
    """A batch out of samples, as torch makes it.

    Raises:
        DataError: When they do not go together.
    """
    try:
        return default_collate(samples)
    except (TypeError, RuntimeError) as error:
        advice = "Bring them to one size, and give each a number as its label."
        raise DataError(message("smallnets", "samples that make a batch", first_line(error), advice)) from error


def as_floats(images: Tensor, stats: Stats | None, channels_last: bool = False) -> Tensor:
    """What a net takes: uint8 is divided by 255 and, where mean and std are known, normalised."""
    if stats is not None and stats[0]:
        return normalise(images, *stats, channels_last)
    return images.float() / 255 if images.dtype == torch.uint8 else images.float()


def index_loader(
    data: Dataset[Any], batches: Sequence[Tensor], workers: int, device: torch.device, seed: int
) -> DataLoader[Any]:
    """A DataLoader over fixed batches of indices; each worker's generators are seeded from ``seed``."""
    return DataLoader(
        data,
        batch_sampler=[index.tolist() for index in batches],
        num_workers=workers or (processors() if isinstance(data, ImageStream) else 0),
        pin_memory=device.type == "cuda",
        generator=torch.Generator().manual_seed(seed),
        collate_fn=together,
    )


def in_order(
    samples: Samples, batches: Sequence[tuple[int, int]], device: torch.device, workers: int
) -> Iterator[Batch]:
    """Batches for measuring: no shuffle, no augmentation."""
    data = samples.data
    if isinstance(data, ImageSet):
        for start, stop in batches:
            images = data.images[start:stop].to(device, non_blocking=True)
            yield Batch(normalise(images, data.mean, data.std), data.labels[start:stop].to(device), stop - start)
        return
    rows = [torch.arange(start, stop) for start, stop in batches]
    loader = data if samples.is_loader else index_loader(data, rows, workers, device, 0)
    for batch in loader:
        if isinstance(batch, Tensor):  # pictures alone, to be predicted
            batch = (batch, torch.zeros(len(batch), dtype=torch.int64))
        images, labels = pair(batch, "evaluate")
        yield Batch(as_floats(images.to(device), samples.stats), labels.to(device), len(labels))


def ahead(batches: Iterator[Batch], depth: int = 2) -> Generator[Batch, None, None]:
    """Prepare the next batches in a thread while the caller works on this one."""
    ready: queue.Queue[Batch | BaseException | None] = queue.Queue(depth)
    stopped = threading.Event()

    def put(item: Batch | BaseException | None) -> bool:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for batch in batches:
                if not put(batch):
                    return
            put(None)
        except BaseException as error:  # handed to the caller, who raises it
            put(error)

    thread = threading.Thread(target=work, name="smallnets-feed", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()
