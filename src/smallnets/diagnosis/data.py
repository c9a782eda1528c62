"""The first few pictures and labels out of any data argument that ``fit`` takes.

N pictures, C channels, H W pixels.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..data.augment import normalise
from ..data.imageset import ImageSet, ImageStream
from ..errors import DataError, message

COUNT = 8  # pictures looked at: the runs take as many


@dataclass(frozen=True)
class Pictures:
    """A small batch, and what the set says of itself.

    Attributes:
        images: (N, C, H, W), as the net would get them.
        labels: (N,).
        all_labels: Every label of the set, where that costs nothing.
        num_classes: Of the set, where it has names for them.
    """

    images: Tensor
    labels: Tensor
    all_labels: Tensor | None = None
    num_classes: int | None = None


def first_pictures(data: object) -> Pictures:
    """The first pictures of a set, a pair, a Dataset or a DataLoader.

    Raises:
        DataError: When it is none of these, or gives something other than pictures and labels.
    """
    if isinstance(data, ImageSet | ImageStream):
        return of_set(data)
    if isinstance(data, DataLoader):
        found = next(iter(data), None)
        images, labels = pair_of(found)
        return Pictures(images[:COUNT], labels[:COUNT], labels)
    if isinstance(data, tuple | list) and len(data) == 2:
        images, labels = pair_of(data)
        spread = torch.linspace(0, len(images) - 1, min(COUNT, len(images))).long()
        return Pictures(as_fit_would(images[spread], images), labels[spread], labels)
    if isinstance(data, Dataset):
        return of_dataset(data)
    kinds = "an ImageSet, a pair of tensors or arrays, a Dataset or a DataLoader"
    raise DataError(message("diagnose", kinds, type(data).__name__))


def of_set(data: ImageSet | ImageStream) -> Pictures:
    samples = list(some(data))
    images = torch.stack([image for image, _ in samples])
    labels = torch.tensor([int(label) for _, label in samples])
    return Pictures(normalise(images, data.mean, data.std), labels, data.labels, len(data.classes))


def of_dataset(data: "Dataset[Any]") -> Pictures:
    samples = list(some(data))
    if not samples or not all(isinstance(sample, tuple | list) and len(sample) == 2 for sample in samples):
        got = f"{len(samples)} samples of {type(samples[0]).__name__}" if samples else "an empty one"
        raise DataError(message("diagnose", "a Dataset of (image tensor, label)", got))
    images, labels = pair_of(tuple(zip(*samples, strict=True)))
    classes = getattr(data, "classes", None)
    every = getattr(data, "targets", None)
    return Pictures(
        images, labels, None if every is None else torch.as_tensor(every), None if classes is None else len(classes)
    )  # fmt: skip


def some(data: Any) -> Iterator[Any]:
    """A few samples from all over a Dataset: sets are often sorted by class."""
    count = len(data) if hasattr(data, "__len__") else COUNT
    for index in torch.linspace(0, count - 1, min(COUNT, count)).tolist():
        with suppress(IndexError):
            yield data[int(index)]


def pair_of(found: Any) -> tuple[Tensor, Tensor]:
    """Pictures and whole-numbered labels as tensors."""
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise DataError(message("diagnose", "pictures and labels", type(found).__name__))
    images, labels = (tensor_of(part) for part in found)
    if images.dim() < 2 or len(images) != len(labels) or labels.is_floating_point() or labels.dim() != 1:
        got = f"{tuple(images.shape)} and {tuple(labels.shape)} of {labels.dtype}"
        raise DataError(message("diagnose", "pictures (N, C, H, W) and N whole-numbered labels", got))
    return images, labels.long()


def tensor_of(part: Any) -> Tensor:
    try:
        if isinstance(part, tuple | list) and part and isinstance(part[0], Tensor):
            return torch.stack(tuple(part))
        return torch.as_tensor(part)
    except (TypeError, ValueError, RuntimeError) as error:
        advice = "Put transforms.ToTensor() into the Dataset, or give an ImageSet."
        raise DataError(message("diagnose", "tensors or arrays of numbers", type(part).__name__, advice)) from error


def as_fit_would(images: Tensor, every: Tensor) -> Tensor:
    """uint8 normalised by the set's own statistics; floats as they are."""
    if images.dtype != torch.uint8:
        return images.float()
    dims = [dim for dim in range(every.dim()) if dim != 1]
    share = every[:1024].float() / 255
    mean, std = share.mean(dims), share.std(dims).clamp(min=1e-6)
    return normalise(images, tuple(mean.tolist()), tuple(std.tolist()))
