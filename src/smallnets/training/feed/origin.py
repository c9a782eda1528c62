"""What a user's Dataset says of its samples: names of its classes, labels, and how their pictures are normalised.

It may be wrapped: a DataLoader, a Subset and a ConcatDataset are looked through.
"""

import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import ConcatDataset, DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from ...data.imageset import ImageSet, ImageStream
from ...data.labelled import Reading
from ...data.names import class_name, listed
from ...errors import DataError, message
from .seeded import Seeded

Stats = tuple[tuple[float, ...], tuple[float, ...]]

KNOWN_BY = 32  # samples by which a Dataset is known again


class Origin(NamedTuple):
    """What lies beneath a Dataset knows: names of its classes; mean and std, and more, where it is a set of ours."""

    classes: tuple[str, ...] | None = None
    stats: Stats | None = None
    reading: Reading | None = None


def origin_of(data: object, who: str) -> Origin:
    """What a Dataset or DataLoader knows of its samples.

    Raises:
        DataError: When it is put together from parts whose labels mean different classes.
    """
    own = Origin(names_of(data))
    if isinstance(data, ImageSet | ImageStream):
        return Origin(data.classes, (data.mean, data.std), data.reading)
    if isinstance(data, DataLoader | Subset):
        inner = origin_of(data.dataset, who)
        return inner._replace(classes=own.classes or inner.classes)
    if isinstance(data, ConcatDataset):
        parts = [origin_of(part, who) for part in data.datasets]
        names = {part.classes for part in parts}
        if own.classes is None and len(names - {None}) > 1:
            lists = listed([str(part.classes)[:100] for part in parts], 2)
            advice = "The same label would mean other classes; load all parts with one class list."
            raise DataError(message(who, "a ConcatDataset of parts with the same classes", lists, advice))
        stats, readings = {part.stats for part in parts}, {part.reading for part in parts}
        return Origin(
            own.classes or (names.pop() if len(names) == 1 else None),
            stats.pop() if len(stats) == 1 else None,
            readings.pop() if len(readings) == 1 else None,
        )
    return own


def names_of(data: object) -> tuple[str, ...] | None:
    """Its ``.classes``, by label, where they are names, and no ``target_transform`` gives labels another meaning."""
    found: object = getattr(data, "classes", None)
    if isinstance(found, np.ndarray):
        found = found.tolist()
    if not isinstance(found, list | tuple) or getattr(data, "target_transform", None) is not None:
        return None
    names: list[str] = []
    for name in found:
        words = name if isinstance(name, tuple | list) else (name,)  # ImageNet's are tuples of synonyms
        if not words or not all(isinstance(word, str) for word in words):
            return None
        names.append(class_name(", ".join(map(str, words))))
    numbered = [name.split(" - ")[0] for name in names]
    if numbered == [str(number) for number in range(len(names))]:  # MNIST's "0 - zero"
        names = numbered
    return tuple(names) if names and len(set(names)) == len(names) else None


def labels_of(data: object) -> Tensor | None:
    """All labels of a Dataset, where they are known without reading its samples."""
    if isinstance(data, DataLoader):
        return labels_of(data.dataset)
    if isinstance(data, ImageSet | ImageStream):
        return data.labels
    if isinstance(data, Subset):
        whole = labels_of(data.dataset)
        return None if whole is None else whole[torch.as_tensor(data.indices)]
    if isinstance(data, ConcatDataset):
        parts = [labels_of(part) for part in data.datasets]
        return None if any(part is None for part in parts) else torch.cat([part for part in parts if part is not None])
    if getattr(data, "target_transform", None) is not None:
        return None
    if isinstance(data, TensorDataset):
        return whole_numbers(data.tensors[1], data) if len(data.tensors) == 2 else None
    return whole_numbers(getattr(data, "targets", getattr(data, "labels", None)), data)


def whole_numbers(found: object, data: object) -> Tensor | None:
    """Labels as a tensor, if they are whole numbers, one a sample."""
    try:
        labels = found if isinstance(found, Tensor) else torch.as_tensor(np.asarray(found))
        fine = labels.shape == (len(data),) and not labels.dtype.is_floating_point  # type: ignore[arg-type]  # pyright: ignore
    except (TypeError, ValueError, RuntimeError):
        return None
    return labels.cpu().long() if fine else None


def checksum_of(data: object) -> int:
    """A number by which a user's Dataset is known again: of evenly spaced samples, the first and the last among them.

    They are read twice with the same draws: what a transform makes anew each time, from a generator of its own, tells
    nothing of the data. 0 where there is nothing to read by its number.
    """
    data = data.dataset if isinstance(data, DataLoader) else data
    if not isinstance(data, Dataset) or isinstance(data, IterableDataset):
        return 0
    count = len(data)  # type: ignore[arg-type]  # pyright: ignore
    rows = sorted({round(place) for place in np.linspace(0, count - 1, min(KNOWN_BY, count))})
    seeded = Seeded(data, 0)
    found = 1
    for row in rows:
        first, second = (parts_of(seeded[row]) for _ in range(2))
        for part, again in zip(first, second, strict=False):
            if part == again:
                found = zlib.crc32(part, found)
    return found


def parts_of(sample: Any) -> list[bytes]:
    """The bytes of what a sample holds, its parts one after the other."""
    if isinstance(sample, Tensor):
        sample = sample.detach().cpu()
        return [
            str((sample.dtype, tuple(sample.shape))).encode()
            + sample.contiguous().flatten().view(torch.uint8).numpy().tobytes()
        ]
    if isinstance(sample, np.ndarray):
        return [str((sample.dtype, sample.shape)).encode() + sample.tobytes()]
    if isinstance(sample, Image.Image):
        return [f"{sample.mode} {sample.size}".encode() + sample.tobytes()]
    if isinstance(sample, dict):
        return [part for name in sample for part in (str(name).encode(), *parts_of(sample[name]))]
    if isinstance(sample, Sequence) and not isinstance(sample, str | bytes):
        return [part for item in sample for part in parts_of(item)]
    return [repr(sample).encode()] if isinstance(sample, str | bytes | int | float | bool | np.generic) else []
