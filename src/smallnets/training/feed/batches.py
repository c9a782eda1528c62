"""Batches, however their samples are kept: what training and measuring share.

N batch, C channels, H W pixels.
"""

import queue
import threading
from collections.abc import Generator, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from ...data.augment import normalise
from ...data.decoding import processors
from ...data.imageset import ImageSet, ImageStream
from ...data.stream import Epoch
from ...errors import DataError, first_line, message
from ..options import Workers
from .samples import Samples, Stats, picture_of, workers_errors_plain


class Batch(NamedTuple):
    """What a step needs: pictures (N, C, H, W) float, labels (N,), and how many samples the global batch has."""

    images: Tensor
    labels: Tensor
    total: int
    weight: float = 1.0  # 0 for the stand-in of a process that has no sample of this batch


def plan_batches(count: int, batch_size: int, least: int = 1) -> list[tuple[int, int]]:
    """Where each batch starts and stops; a last one of fewer than ``least`` samples joins the one before.

    >>> plan_batches(5, 2, least=2)
    [(0, 2), (2, 5)]
    """
    starts = list(range(0, count, batch_size))
    if len(starts) > 1 and count - starts[-1] < least:
        starts.pop()
    return list(zip(starts, [*starts[1:], count], strict=True))


def pictures_and_labels(batch: object, who: str) -> tuple[Tensor, Tensor]:
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


def together(samples: list[object]) -> object:
    """A batch out of samples, as torch makes it.

    Raises:
        DataError: When they do not go together.
    """
    picture_of(samples[0])
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
    data: Dataset[object], batches: Sequence[Tensor], workers: Workers, device: torch.device, seed: int
) -> Generator[object, None, None]:
    """A DataLoader's batches over fixed batches of indices; each worker's generators are seeded from ``seed``.

    No workers read in this process; "auto" does so but for a stream, which every core decodes.
    """
    stream = isinstance(data, ImageStream | Epoch)
    if workers == "auto":
        workers = processors() if stream else 0
    loader: DataLoader[object] = DataLoader(
        data,
        batch_sampler=[index.tolist() for index in batches],
        num_workers=workers,
        pin_memory=device.type == "cuda",
        generator=torch.Generator().manual_seed(seed),
        collate_fn=as_arrays if stream else together,
    )
    return plainly(loader, stream)


def plainly(loader: DataLoader[object], stream: bool) -> Generator[object, None, None]:
    """A loader's batches; what its workers meet is said in one sentence."""
    with workers_errors_plain():
        for batch in loader:
            yield (torch.from_numpy(batch[0]), torch.from_numpy(batch[1])) if stream else batch


def as_arrays(samples: list[tuple[Tensor, int]]) -> tuple[np.ndarray, np.ndarray]:
    """A stream's batch, to go through a pipe: tensors go through shared memory, of which containers have little."""
    return torch.stack([image for image, _ in samples]).numpy(), np.array([label for _, label in samples])


def in_order(samples: Samples, batches: Sequence[tuple[int, int]], device: torch.device) -> Iterator[Batch]:
    """Batches for measuring: no shuffle, no augmentation; copied to a GPU while it works on the ones before.

    Apple's GPU shares the memory, and takes its work from one thread.
    """
    prepared = each_in_order(samples, batches, device)
    return ahead(prepared) if device.type in ("cuda", "xpu") else prepared


def each_in_order(samples: Samples, batches: Sequence[tuple[int, int]], device: torch.device) -> Iterator[Batch]:
    """``in_order``, one when it is asked for."""
    data = samples.data
    if isinstance(data, ImageSet):
        for start, stop in batches:
            images, labels = data.images[start:stop], data.labels[start:stop]
            images = normalise(images.to(device, non_blocking=True), data.mean, data.std)
            yield Batch(images, labels.to(device, non_blocking=True), stop - start)
        return
    rows = [torch.arange(start, stop) for start, stop in batches]
    loader = data if isinstance(data, DataLoader) else index_loader(data, rows, "auto", device, 0)
    for batch in loader:
        if isinstance(batch, Tensor):  # pictures alone, to be predicted
            batch = (batch, torch.zeros(len(batch), dtype=torch.int64))
        images, labels = pictures_and_labels(batch, "evaluate")
        images = as_floats(images.to(device, non_blocking=True), samples.stats)
        yield Batch(images, labels.to(device, non_blocking=True), len(labels))


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
