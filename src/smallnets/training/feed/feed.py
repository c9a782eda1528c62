"""Training batches in a stateless order, ready on the device: read, then prepared.

N batch, C channels, H W pixels.
"""

import contextlib
import itertools
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ...data.augment import Augmentation, augment, normalise
from ...data.imageset import ImageSet, ImageStream, check_labels
from ...data.stateless import key, order
from ...data.stream import Epoch
from ...data.windows import Windows
from ..group import Group
from ..options import FitOptions, Workers
from .batches import Batch, ahead, as_floats, index_loader, pictures_and_labels, plan_batches
from .samples import Samples
from .seeded import Seeded, epoch_of

PORTION = 1 << 27  # bytes of prepared pictures that are made at once on a GPU
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class Read(NamedTuple):
    """A batch as it was read: pictures (N, C, H, W), labels (N,) and the samples' numbers, where they lie."""

    images: Tensor
    labels: Tensor
    numbers: Tensor
    total: int  # samples of the global batch
    weight: float = 1.0


class OpenEpoch:
    """An epoch whose first batch was looked at; going through it gives that batch again, and then the others."""

    def __init__(self, epoch: int, first: int, batches: Generator[Read, None, None]) -> None:
        self.at = epoch, first
        self.head = next(batches, None)
        self._rest = batches

    def __iter__(self) -> Iterator[Read]:
        if self.head is not None:
            yield self.head
        yield from self._rest

    def of(self, epoch: int, first: int) -> "OpenEpoch | None":
        """This, if it is that epoch from that batch on; it is closed where it is not."""
        if self.at == (epoch, first):
            return self
        self.close()
        return None

    def close(self) -> None:
        self.head = None
        self._rest.close()


@dataclass(frozen=True)
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
    workers: Workers = "auto"
    group: Group = field(default_factory=Group)
    logits: int | None = None  # of the net, to check labels that come one batch at a time

    def __len__(self) -> int:
        return len(self.samples.data) if isinstance(self.samples.data, DataLoader) else len(self.batches)

    @property
    def windowed(self) -> bool:
        """Whether the readers take the windows, from the pictures as they are stored."""
        return isinstance(self.samples.data, ImageStream) and isinstance(self.augmentation, Windows)

    def open(self, epoch: int, first: int = 0) -> OpenEpoch:
        """An epoch from batch number ``first`` on, its first batch read."""
        return OpenEpoch(epoch, first, self.read(epoch, first))

    def epoch(self, epoch: int, first: int = 0, opened: OpenEpoch | None = None) -> Generator[Batch, None, None]:
        """The batches of an epoch from number ``first`` on, prepared ahead where that gains anything.

        On a CPU the net has every core, and a thread beside it takes more from it than the few milliseconds that it
        saves a batch: on two cores ResNet-20 trained on 635 pictures a second with one, on 797 without. On a GPU the
        copy of the next batch runs beside the net; pictures that live on the GPU need none: their work is queued.
        A DataLoader draws from the global generators, which a thread would move under the net.
        """
        data = self.samples.data
        source = data.images.device if isinstance(data, ImageSet) else torch.device("cpu")
        prepared = self._prepared(self.read(epoch, first) if opened is None else opened, epoch)
        copied = self.device.type in ("cuda", "xpu") and source.type != self.device.type
        return ahead(prepared) if copied and not isinstance(data, DataLoader) else prepared

    def read(self, epoch: int, first: int = 0) -> Generator[Read, None, None]:
        """The batches of an epoch as they are read, each when it is asked for."""
        data = self.samples.data
        if isinstance(data, DataLoader):
            yield from self._from_loader(data, epoch, first)
            return
        shuffled = order(self.seed, epoch, self.samples.count)
        mine = [self._deal(shuffled[start:stop]) for start, stop in self.batches[first:]]
        sizes = [stop - start for start, stop in self.batches[first:]]
        if isinstance(data, ImageSet):
            for index, size in zip(mine, sizes, strict=True):
                rows = index.to(data.images.device, non_blocking=True)
                yield Read(data.images[rows], data.labels[rows], index, size, self._weight(size))
            return
        if isinstance(data, ImageStream):
            source: Epoch | Seeded = Epoch(data, self.augmentation if self.windowed else None, self.seed, epoch)
        else:
            source = Seeded(data, self.seed, epoch)
        loader = index_loader(source, mine, self.workers, self.device, key(self.seed, epoch, 1))
        for batch, index, size in zip(loader, mine, sizes, strict=True):
            yield Read(*pictures_and_labels(batch, "fit"), index, size, self._weight(size))

    def _from_loader(self, loader: DataLoader[object], epoch: int, first: int) -> Generator[Read, None, None]:
        set_epoch = getattr(loader.sampler, "set_epoch", None)
        if set_epoch is not None:
            set_epoch(epoch)
        with contextlib.closing(epoch_of(loader, key(self.seed, epoch, 0))) as batches:
            for batch in itertools.islice(batches, first, None):
                images, labels = pictures_and_labels(batch, "fit")
                yield Read(images, labels, torch.empty(0), len(labels) * self.group.world)

    def _prepared(self, batches: Generator[Read, None, None] | OpenEpoch, epoch: int) -> Generator[Batch, None, None]:
        """Batch by batch on a CPU and of what is copied; of what lives on a GPU many at once, cut apart again.

        There, asking for the dozen operations that make a batch takes the host longer than a small net takes the GPU.
        """
        with contextlib.closing(batches):
            remaining = iter(batches)
            for head in remaining:
                portion = [head, *itertools.islice(remaining, batches_at_once(head.images) - 1)]
                yield from self._cut(self.prepare(joined(portion), epoch), portion)

    def _cut(self, whole: Batch, portion: list[Read]) -> Iterator[Batch]:
        """The batches that were prepared together."""
        counts = [len(batch.labels) for batch in portion]
        parts = zip(whole.images.split(counts), whole.labels.split(counts), portion, strict=True)
        return (Batch(images, labels, batch.total, batch.weight) for images, labels, batch in parts)

    def prepare(self, batch: Read, epoch: int) -> Batch:
        """What was read, on the device, augmented and normalised."""
        labels = batch.labels
        if self.logits is not None and self.samples.labels is None:  # on the host, where looking costs no wait
            check_labels("fit", labels, self.logits)
        images = batch.images.to(self.device, non_blocking=True)
        if not self.windowed:
            images = augment(images, self.augmentation, self.seed, epoch, batch.numbers)
        data, cl = self.samples.data, self.channels_last
        if isinstance(data, ImageSet):
            images = normalise(images, data.mean, data.std, cl)
        else:
            images = as_floats(images, self.samples.stats, cl)
        return Batch(images, labels.to(self.device, non_blocking=True), batch.total, batch.weight)

    def _deal(self, index: Tensor) -> Tensor:
        """This process's samples of a global batch; a stand-in where there is none."""
        mine = index[self.group.rank :: self.group.world]
        return mine if len(mine) else index[:1]

    def _weight(self, size: int) -> float:
        return 1.0 if self.group.rank < size else 0.0


def batches_at_once(images: Tensor) -> int:
    """How many batches such as this are prepared together."""
    return 1 if images.device.type == "cpu" else max(1, PORTION // max(1, 4 * images.numel()))


def joined(portion: list[Read]) -> Read:
    """Several batches as one."""
    if len(portion) == 1:
        return portion[0]
    images, labels, numbers, *_ = zip(*portion, strict=True)
    return Read(torch.cat(images), torch.cat(labels), torch.cat(numbers), 0)


def make_feed(model: nn.Module, samples: Samples, options: FitOptions, device: torch.device, group: Group) -> Feed:
    """The feed of a run, in batches that batch norms can take; augmented and checked once its first batch is known."""
    least = 2 * group.world if has_batch_norm(model) else 1
    batches = plan_batches(samples.count, options.batch_size, least)
    return Feed(resident(samples, device), batches, device, options.seed, workers=options.workers, group=group)


def has_batch_norm(model: nn.Module) -> bool:
    """Whether a layer needs two samples at least to learn."""
    return any(isinstance(module, BATCH_NORMS) for module in model.modules())


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a GPU; 0 elsewhere."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "xpu":
        return torch.xpu.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return 0


def resident(samples: Samples, device: torch.device) -> Samples:
    """The samples where their batches are gathered: on a GPU if they take less than half of what is free there."""
    data = samples.data
    if not isinstance(data, ImageSet) or data.images.nbytes >= free_memory(device) // 2:
        return samples
    return replace(samples, data=replace(data, images=data.images.to(device), labels=data.labels.to(device)))
