"""Data arguments, understood: what a user may hand over, checked against itself and against the net.

N pictures, C channels, H W pixels.
"""

import contextlib
from collections.abc import Generator, Sequence, Sized
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ...data.augment import Augmentation, choose
from ...data.imageset import ImageSet, ImageStream, check_labels
from ...data.sources import channel_stats
from ...errors import DataError, OptionError, message
from .seeded import epoch_of

Stats = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class Samples:
    """A data argument, understood: where the pictures are and how they are normalised."""

    data: Any
    count: int
    classes: tuple[str, ...] | None = None
    stats: Stats | None = None
    source: str = ""
    ids: tuple[str, ...] | None = None
    labels: Tensor | None = None

    @property
    def in_memory(self) -> bool:
        return isinstance(self.data, ImageSet)

    @property
    def is_loader(self) -> bool:
        return isinstance(self.data, DataLoader)

    def one_shape(self) -> tuple[int, ...]:
        """(C, H, W) of the first picture."""
        if isinstance(self.data, ImageSet):
            return self.data.shape
        if isinstance(self.data, DataLoader):
            with contextlib.closing(epoch_of(self.data, 0)) as batches:
                first: Any = next(batches, None)
            first = first if isinstance(first, Tensor | None) else first[0]
            return () if first is None else tuple(first.shape[1:])
        sample = self.data[0]
        first = sample[0] if isinstance(sample, tuple | list | Tensor | np.ndarray) else sample
        if not isinstance(first, Tensor | np.ndarray):
            advice = "Put transforms.ToTensor() into the Dataset, or give an ImageSet."
            raise DataError(message("smallnets", "a Dataset of (image tensor, label)", type(first).__name__, advice))
        return tuple(first.shape)

    def augmentation(self, name: str) -> Augmentation | None:
        """The augmentation of a name; ``"auto"`` leaves alone what may be anything: tensors, a Dataset.

        Raises:
            ValueError: When there is no such augmentation, or none of what is no picture.
        """
        if self.is_loader or (name == "auto" and (self.stats is None or self.source == "tensors")):
            return None
        shape = self.one_shape()
        if len(shape) != 3 and name != "none":
            raise OptionError(message("fit", f"pictures (C, H, W) for augment={name!r}", f"samples of shape {shape}"))
        return choose(name, self.source, shape[1] if len(shape) == 3 else 0)


def understand(data: object, who: str, like: Stats | None = None, size: tuple[int, int] | None = None) -> Samples:
    """Turn any data argument into ``Samples``.

    Args:
        data: An ImageSet or ImageStream, a pair of tensors or arrays, a Dataset or a DataLoader.
        who: The caller, for errors.
        like: The training set's mean and std, which a pair of uint8 tensors takes over; else it is its own.
        size: (h, w) that a stream of mixed sizes is brought to.

    Raises:
        ValueError: When it is none of these, or pictures and labels do not fit together.
    """
    if isinstance(data, ImageStream) and data.shape is None:
        if size is None:
            raise DataError(message(who, "pictures of one size", "several", "Give size= to load()."))
        data = data.resized(size)
    if isinstance(data, ImageSet | ImageStream):
        found = Samples(data, len(data), data.classes, (data.mean, data.std), data.source, data.ids, data.labels)
    elif isinstance(data, tuple | list) and len(data) == 2:
        found = from_pair(data, who, like)
    elif isinstance(data, DataLoader):
        if not hasattr(data.dataset, "__len__"):
            raise DataError(message(who, "a DataLoader over a Dataset with a length", type(data.dataset).__name__))
        found = Samples(data, len(cast(Sized, data.dataset)))
    elif isinstance(data, Dataset) and hasattr(data, "__len__"):
        found = Samples(data, len(cast(Sized, data)))
    else:
        kinds = "an ImageSet, an ImageStream, a pair of tensors or arrays, a Dataset or a DataLoader"
        raise DataError(message(who, kinds, type(data).__name__))
    if found.count == 0:
        raise DataError(message(who, "at least one sample", "none"))
    return found


def from_pair(pair: Sequence[Any], who: str, like: Stats | None) -> Samples:
    try:
        images, labels = (part if isinstance(part, Tensor) else torch.as_tensor(np.asarray(part)) for part in pair)
    except (TypeError, ValueError, RuntimeError) as error:
        got = " and ".join(f"a {type(part).__name__}" for part in pair)
        raise DataError(message(who, "images and labels, as tensors or arrays of numbers", got)) from error
    if images.dim() != 4 or labels.shape != images.shape[:1] or labels.dtype.is_floating_point:
        got = f"{tuple(images.shape)} {images.dtype} and {tuple(labels.shape)} {labels.dtype}"
        raise DataError(message(who, "images (N, C, H, W) and N whole-numbered labels", got))
    images, labels = images.cpu(), labels.cpu().long()  # fit brings them to a GPU if they fit there
    classes = tuple(str(label) for label in range(max(1, int(labels.max()) + 1 if len(labels) else 1)))
    stats: Stats = ((), ())
    if images.dtype == torch.uint8:
        stats = like if like is not None and like[0] else channel_stats(images)
    elif not images.dtype.is_floating_point:
        raise DataError(message(who, "images of uint8 or a float type", images.dtype))
    ids = tuple(str(row) for row in range(len(labels)))
    data = ImageSet(labels, classes, ids, *stats, images=images, source="tensors")
    return Samples(data, len(labels), None, stats, "tensors", ids, labels)


@contextlib.contextmanager
def workers_errors_plain() -> Generator[None, None, None]:
    """What a worker process could not read is said in one sentence, without the worker's traceback.

    Raises:
        DataError: The worker's.
    """
    try:
        yield
    except DataError as error:
        _, reported, text = str(error).rpartition("DataError: ")
        if not reported:
            raise
        raise DataError(text.strip()) from error


def check_fit(samples: Samples, model: torch.nn.Module, who: str) -> int | None:
    """Refuse pictures that the net cannot take and labels that it has no logit for; the logits' number where known.

    Raises:
        ValueError: Which of the two, and how to mend it.
    """
    net_input: Any = getattr(model, "input_size", None)
    shape = samples.one_shape()
    if isinstance(net_input, tuple) and len(net_input) == 3 and len(shape) == 3 and shape[0] != net_input[0]:
        colour = {1: "one-channel (grey)", 3: "three-channel (colour)"}
        got = f"{colour.get(shape[0], f'{shape[0]}-channel')} pictures"
        advice = f"Build the net with in_channels={shape[0]}"
        advice += f", or load the pictures with channels={net_input[0]}." if net_input[0] in (1, 3) else "."
        raise DataError(message(who, f"{net_input[0]}-channel pictures for this net", got, advice))
    classes: int | None = getattr(model, "num_classes", None)
    if classes is not None and samples.classes is not None and classes != len(samples.classes):
        advice = f"Build the net with num_classes={len(samples.classes)}."
        raise OptionError(message(who, f"{classes} classes, as the net has logits", len(samples.classes), advice))
    if classes is not None and samples.labels is not None:
        check_labels(who, samples.labels, classes)
    return classes
