"""Training batches in a stateless order, ready on the device.

N batch, C channels, H W pixels.
"""

import contextlib
import itertools
from collections.abc import Generator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from ...data.augment import Augmentation, augment, normalise
from ...data.imageset import ImageSet, check_labels
from ...data.stateless import key, order
from ..group import Group
from ..options import FitOptions
from .batches import Batch, ahead, as_floats, index_loader, pair, plan_batches
from .samples import Samples
from .seeded import epoch_of

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


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
    group: Group = field(default_factory=Group)
    logits: int | None = None  # of the net, to check labels that come one batch at a time
    _kept: ImageSet | None = field(default=None, repr=False)

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
            data = self._resident(self.samples.data)
            prepared = self._in_memory(data, epoch, mine, sizes)
            source = data.images.device
        else:
            prepared = self._from_workers(epoch, mine, sizes)
            source = torch.device("cpu")
        return prepared if source.type == self.device.type else ahead(prepared)

    def _deal(self, index: Tensor) -> Tensor:
        """This process's samples of a global batch; a stand-in where there is none."""
        mine = index[self.group.rank :: self.group.world]
        return mine if len(mine) else index[:1]

    def _weight(self, size: int) -> float:
        return 1.0 if self.group.rank < size else 0.0

    def _in_memory(
        self, data: ImageSet, epoch: int, mine: list[Tensor], sizes: list[int]
    ) -> Generator[Batch, None, None]:
        for index, size in zip(mine, sizes, strict=True):
            rows = index.to(data.images.device, non_blocking=True)
            images = data.images[rows].to(self.device, non_blocking=True)
            images = augment(images, self.augmentation, self.seed, epoch, index)
            images = normalise(images, data.mean, data.std, self.channels_last)
            yield Batch(images, data.labels[rows].to(self.device, non_blocking=True), size, self._weight(size))

    def _resident(self, data: ImageSet) -> ImageSet:
        """The set where its batches are gathered: on a GPU if it takes less than half of what is free there."""
        if self.device.type != "cuda":
            return data
        if self._kept is None:
            free, _ = torch.cuda.mem_get_info(self.device)
            place = self.device if data.images.nbytes < free // 2 else torch.device("cpu")
            self._kept = replace(data, images=data.images.to(place), labels=data.labels.to(place))
        return self._kept

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
                yield Batch(as_floats(images, None), labels, len(labels) * self.group.world)

    def _checked(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """On the device, after a look at the labels, where looking costs no wait for it."""
        if self.logits is not None:
            check_labels("fit", labels, self.logits)
        return images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)


def make_feed(model: nn.Module, samples: Samples, options: FitOptions, device: torch.device, group: Group) -> Feed:
    """The feed of a run: batches that batch norms can take, augmented as the options and the source say."""
    normed = any(isinstance(module, BATCH_NORMS) for module in model.modules())
    batches = plan_batches(samples.count, options.batch_size, least=2 * group.world if normed else 1)
    chosen = options.augment
    augmentation = samples.augmentation(chosen) if isinstance(chosen, str) else None
    return Feed(
        samples, batches, device, options.seed, augmentation, workers=options.workers, group=group
    )  # fmt: skip
