"""Batches, however their samples are kept: what training and measuring share.

N batch, C channels, H W pixels.
"""

import queue
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from ...data.augment import normalise
from ...data.decoding import Broken, in_threads, processors
from ...data.depth import Pixels
from ...data.imageset import ImageSet, ImageStream, check_labels
from ...data.stream import Epoch
from ...errors import DataError, message
from ..options import Workers
from .origin import Stats
from .samples import PAIRS, Samples, picture_of
from .suits import unknown_stats
from .worker_errors import workers_errors_plain

CHUNK = 16  # pictures of a stream that a thread reads at once


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
        several = isinstance(batch, tuple | list) and len(batch) != 2
        got = f"{len(batch)} parts" if several and isinstance(batch, tuple | list) else kind_of(batch)
        raise DataError(message(who, "batches of (images, labels), images as tensors", got, PAIRS))
    try:
        labels = torch.as_tensor(batch[1])
    except (TypeError, ValueError, RuntimeError):
        labels = torch.empty(0, 0)
    if labels.shape != batch[0].shape[:1] or labels.dtype.is_floating_point:
        got = f"{tuple(labels.shape)} {labels.dtype}" if labels.numel() else kind_of(batch[1])
        advice = "Of probabilities, take argmax(dim=1)." if labels.numel() else "Give each class a number."
        raise DataError(message(who, "a whole-numbered label a picture", got, advice))
    return batch[0], labels.long()


def kind_of(given: object) -> str:
    """What something is, in words.

    >>> kind_of({"image": 0, "label": 1}), kind_of(("cat", "dog"))
    ('a dict of image, label', 'a tuple of str')
    """
    kind = f"a {type(given).__name__}"
    if isinstance(given, dict):
        return f"{kind} of {', '.join(map(str, list(given)[:5]))}"
    return f"{kind} of {type(given[0]).__name__}" if isinstance(given, tuple | list) and given else kind


def together(samples: list[object]) -> object:
    """A batch out of samples, as torch makes it; ``workers_errors_plain`` says why not."""
    picture_of(samples[0])
    return default_collate(samples)


def as_floats(images: Tensor, stats: Stats | None, channels_last: bool = False, who: str = "fit") -> Tensor:
    """What a net takes: uint8 is normalised, floats are taken as they are.

    Raises:
        DataError: When there is no mean and std for uint8.
    """
    if stats is not None and stats[0]:
        return normalise(images, *stats, channels_last)
    if images.dtype == torch.uint8:
        raise unknown_stats(who)
    return images.float()


def index_loader(
    data: Dataset[object], batches: Sequence[Tensor], workers: Workers, device: torch.device, seed: int
) -> Generator[object, None, None]:
    """The batches of ``loader_over``, as tensors."""
    return plainly(loader_over(data, batches, workers, device, seed), isinstance(data, ImageStream | Epoch))


def loader_over(
    data: Dataset[object], batches: Sequence[Tensor], workers: Workers, device: torch.device, seed: int
) -> DataLoader[object]:
    """A DataLoader over fixed batches of indices; each worker's generators are seeded from ``seed``.

    No workers read in this process; "auto" does so but for a stream, which every core decodes.
    """
    stream = isinstance(data, ImageStream | Epoch)
    if workers == "auto":
        workers = processors() if stream else 0
    return DataLoader(
        data,
        batch_sampler=[index.tolist() for index in batches],
        num_workers=workers,
        pin_memory=device.type == "cuda",
        generator=torch.Generator().manual_seed(seed),
        collate_fn=as_arrays if stream else together,
    )


def plainly(loader: DataLoader[object], stream: bool) -> Generator[object, None, None]:
    """A loader's batches; what its workers meet is said in one sentence."""
    with workers_errors_plain():
        for batch in loader:
            yield (torch.from_numpy(batch[0]), torch.from_numpy(batch[1])) if stream else batch


def as_arrays(samples: list[tuple[Tensor, int]]) -> tuple[np.ndarray, np.ndarray]:
    """A stream's batch, to go through a pipe: tensors go through shared memory, of which containers have little."""
    return torch.stack([image for image, _ in samples]).numpy(), np.array([label for _, label in samples])


def in_order(
    samples: Samples, batches: Sequence[tuple[int, int]], device: torch.device, who: str = "evaluate"
) -> Iterator[Batch]:
    """Batches for measuring: no shuffle, no augmentation; copied to a GPU while it works on the ones before.

    Apple's GPU shares the memory, and takes its work from one thread.
    """
    prepared = each_in_order(samples, batches, device, who)
    return ahead(prepared) if device.type in ("cuda", "xpu") else prepared


def each_in_order(
    samples: Samples, batches: Sequence[tuple[int, int]], device: torch.device, who: str
) -> Iterator[Batch]:
    """``in_order``, one when it is asked for."""
    data = samples.data
    if isinstance(data, ImageSet):
        for start, stop in batches:
            images, labels = data.images[start:stop], data.labels[start:stop]
            images = normalise(images.to(device, non_blocking=True), data.mean, data.std)
            yield Batch(images, labels.to(device, non_blocking=True), stop - start)
        return
    rows = [torch.arange(start, stop) for start, stop in batches]
    if isinstance(data, ImageStream) and samples.left_out is not None:
        loader: Iterable[object] = readable(data, rows, samples.left_out)
    else:
        loader = data if isinstance(data, DataLoader) else index_loader(data, rows, "auto", device, 0)
    for batch in loader:
        if isinstance(batch, Tensor):  # pictures alone, to be predicted
            batch = (batch, torch.zeros(len(batch), dtype=torch.int64))
        images, labels = pictures_and_labels(batch, who)
        if samples.relabel is not None:
            check_labels(who, labels, len(samples.relabel))
            labels = samples.relabel[labels]
        images = as_floats(images.to(device, non_blocking=True), samples.stats, who=who)
        yield Batch(images, labels.to(device, non_blocking=True), len(labels))


def readable(data: ImageStream, batches: Sequence[Tensor], left_out: dict[str, str]) -> Iterator[tuple[Tensor, Tensor]]:
    """What can be read of a stream, in batches of up to the size of the first; each picture's label is its row.

    The names of the others, with what is wrong with them, come into ``left_out``.

    Raises:
        DataError: When none can be read.
    """
    rows = torch.cat([*batches]).tolist()

    def read(row: int) -> Pixels | Broken:
        return data.decoder.picture(int(data.rows[row]))

    found = in_threads(read, rows, CHUNK)
    pictures: list[Tensor] = []
    numbers: list[int] = []
    count = 0
    for row, picture in zip(rows, found, strict=True):
        if isinstance(picture, Broken):
            left_out[data.ids[row]] = picture.reason
        else:
            pictures.append(torch.from_numpy(picture))
            numbers.append(row)
        if len(pictures) == len(batches[0]) or (row == rows[-1] and pictures):
            count += len(pictures)
            yield torch.stack(pictures), torch.tensor(numbers)
            pictures, numbers = [], []
    if not count:
        name, why = next(iter(left_out.items()))
        raise DataError(message("predict", "at least one picture that can be read", f"none: {name} is {why}"))


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
