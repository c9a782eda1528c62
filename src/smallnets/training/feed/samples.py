"""Data arguments, understood: what a user may hand over, checked against itself and against the net.

N pictures, C channels, H W pixels.
"""

import contextlib
import os
from collections.abc import Generator, Sequence, Sized
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate

from ...data.augment import Augmentation, choose
from ...data.imageset import ImageSet, ImageStream, check_labels
from ...data.sources import channel_stats
from ...errors import DataError, OptionError, first_line, message
from ...facts import DataFacts
from ..preserve import lent_generators

Array = Tensor | npt.NDArray[np.generic]
DataLike = (
    Dataset[object] | DataLoader[object] | tuple[Array, Array] | list[Array]
)  # ImageSet and ImageStream are Datasets
Shape = tuple[int, ...]
Stats = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class Samples:
    """A data argument, understood: where the pictures are and how they are normalised."""

    data: Dataset[object] | DataLoader[object]
    count: int
    shape: Shape | None = None  # (C, H, W); None where a picture has to be read to know it
    classes: tuple[str, ...] | None = None
    stats: Stats | None = None
    source: str = ""
    ids: tuple[str, ...] | None = None
    labels: Tensor | None = None

    @property
    def is_loader(self) -> bool:
        return isinstance(self.data, DataLoader)

    def augmentation(self, name: str, shape: Shape) -> Augmentation | None:
        """The augmentation of a name for samples of a shape; ``"auto"`` leaves alone what may be anything.

        Raises:
            ValueError: When there is no such augmentation, or none of what is no picture.
        """
        if self.is_loader or (name == "auto" and (self.stats is None or self.source == "tensors")):
            return None
        if len(shape) != 3 and name != "none":
            raise OptionError(message("fit", f"pictures (C, H, W) for augment={name!r}", f"samples of shape {shape}"))
        return choose(name, self.source, shape[1] if len(shape) == 3 else 0)

    def facts(self, shape: Shape) -> DataFacts:
        """What a net that is trained on samples of this shape has to know of them."""
        mean, std = self.stats if self.stats is not None else ((), ())
        channels, size = (shape[0], (shape[1], shape[2])) if len(shape) == 3 else (None, None)
        return DataFacts(self.classes or (), channels, size, tuple(mean), tuple(std), self.source)


def understand(data: object, who: str, like: Stats | None = None, model: nn.Module | None = None) -> Samples:
    """Turn any data argument into ``Samples``, without reading a picture.

    Args:
        data: An ImageSet or ImageStream, a pair of tensors or arrays, a Dataset or a DataLoader.
        who: The caller, for errors.
        like: The training set's mean and std, which a pair of uint8 tensors takes over; else it is its own.
        model: The net, to whose natural size a stream of mixed sizes is brought.

    Raises:
        ValueError: When it is none of these, or pictures and labels do not fit together.
    """
    if isinstance(data, ImageStream) and data.shape is None:
        natural = None if model is None else natural_input(model)
        if natural is None:
            raise DataError(message(who, "pictures of one size", "several", "Give size= to load()."))
        data = data.resized(natural[1:])
    if isinstance(data, ImageSet | ImageStream):
        stats = data.mean, data.std
        found = Samples(data, len(data), data.shape, data.classes, stats, data.source, data.ids, data.labels)
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
        raise DataError(message(who, kinds, type(data).__name__, meant(data, who)))
    if found.count == 0:
        raise DataError(message(who, "at least one sample", "none"))
    return found


def meant(data: object, who: str) -> str:
    """What to give instead of what is no set."""
    if isinstance(data, Tensor | np.ndarray):
        return f"Give images and labels as one pair: {who}(net, (images, labels))."
    if isinstance(data, str | os.PathLike):
        return f"Load it first: {who}(net, smallnets.data.load({os.fspath(data)[:40]!r}))."
    return "A validation set is an argument of its own." if isinstance(data, tuple | list) and who == "fit" else ""


def how_to_shape(images: Tensor, labels: Tensor) -> str:
    """How the usual other forms of images and labels become the right ones."""
    if images.dim() == 3:
        return "Give grey pictures their channel: images[:, None]."
    if labels.dim() == 2:
        return "Take labels[:, 0]." if labels.shape[1] == 1 else "Of one-hot labels take labels.argmax(1)."
    return "Convert the labels: labels.long()." if labels.dtype.is_floating_point else ""


def from_pair(pair: Sequence[Any], who: str, like: Stats | None) -> Samples:
    try:
        images, labels = (part if isinstance(part, Tensor) else torch.as_tensor(np.asarray(part)) for part in pair)
    except (TypeError, ValueError, RuntimeError) as error:
        got = " and ".join(f"a {type(part).__name__}" for part in pair)
        raise DataError(message(who, "images and labels, as tensors or arrays of numbers", got)) from error
    if images.dim() != 4 or labels.shape != images.shape[:1] or labels.dtype.is_floating_point:
        got = f"{tuple(images.shape)} {images.dtype} and {tuple(labels.shape)} {labels.dtype}"
        wanted = "images (N, C, H, W) and N whole-numbered labels"
        raise DataError(message(who, wanted, got, how_to_shape(images, labels)))
    images, labels = images.cpu(), labels.cpu().long()  # fit brings them to a GPU if they fit there
    classes = tuple(str(label) for label in range(max(1, int(labels.max()) + 1 if len(labels) else 1)))
    stats: Stats = ((), ())
    if images.dtype == torch.uint8:
        stats = like if like is not None and like[0] else channel_stats(images)
    elif not images.dtype.is_floating_point:
        raise DataError(message(who, "images of uint8 or a float type", images.dtype))
    ids = tuple(str(row) for row in range(len(labels)))
    data = ImageSet(labels, classes, ids, *stats, images=images, source="tensors")
    return Samples(data, len(labels), data.shape, None, stats, "tensors", ids, labels)


def shape_of(samples: Samples) -> Shape | None:
    """(C, H, W) of the first picture, read if need be; None where a DataLoader makes batches in a way of its own."""
    data = samples.data
    if samples.shape is not None:
        return samples.shape
    if isinstance(data, DataLoader):
        if data.collate_fn is not default_collate or isinstance(data.dataset, IterableDataset):
            return None
        data = data.dataset
    with lent_generators():
        return tuple(picture_of(data[0]).shape)


def picture_of(sample: object) -> Array:
    """The picture of a Dataset's sample.

    Raises:
        DataError: When it is no tensor.
    """
    first = sample[0] if isinstance(sample, tuple | list) and sample else sample
    if not isinstance(first, Tensor | np.ndarray):
        advice = "Put transforms.ToTensor() into the Dataset, or give an ImageSet."
        raise DataError(message("smallnets", "a Dataset of (image tensor, label)", type(first).__name__, advice))
    return first


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
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        advice = "Memory may have run out: take fewer workers=, or none."
        got = first_line(error).partition("(")[0].strip() + " that died"
        raise DataError(message("smallnets", "worker processes that read to the end", got, advice)) from error


def natural_input(model: nn.Module) -> tuple[int, int, int] | None:
    """(C, H, W) that the net names as its own, if it does."""
    size: object = getattr(model, "input_size", None)
    if not isinstance(size, tuple) or len(size) != 3:
        return None
    channels, height, width = size
    return int(channels), int(height), int(width)


def check_pictures(shape: Shape | None, model: nn.Module, who: str) -> None:
    """Refuse pictures of other channels than the net takes, where both are known.

    Raises:
        ValueError: How to mend it.
    """
    takes = natural_input(model)
    if takes is None or shape is None or len(shape) != 3 or shape[0] == takes[0]:
        return
    colour = {1: "one-channel (grey)", 3: "three-channel (colour)"}
    got = f"{colour.get(shape[0], f'{shape[0]}-channel')} pictures"
    advice = f"Build the net with in_channels={shape[0]}"
    advice += f", or load the pictures with channels={takes[0]}." if takes[0] in (1, 3) else "."
    raise DataError(message(who, f"{takes[0]}-channel pictures for this net", got, advice))


def check_classes(samples: Samples, model: nn.Module, who: str) -> None:
    """Refuse labels that the net has no logit for, where both are known.

    Raises:
        ValueError: How to mend it.
    """
    classes: int | None = getattr(model, "num_classes", None)
    if classes is None:
        return
    if samples.classes is not None and classes != len(samples.classes):
        advice = f"Build the net with num_classes={len(samples.classes)}."
        raise OptionError(message(who, f"{classes} classes, as the net has logits", len(samples.classes), advice))
    if samples.labels is not None:
        check_labels(who, samples.labels, classes)
