"""Any data argument as ``Samples``: what a user may hand over, checked against itself.

N pictures, C channels, H W pixels.
"""

import os
from collections.abc import Sequence, Sized
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset

from ...data.classes import class_map
from ...data.imageset import ImageSet, ImageStream
from ...data.sources import channel_stats
from ...errors import DataError, message
from ...facts import DataFacts
from .origin import Stats, origin_of
from .samples import Samples
from .suits import channels_last, natural_input


def understand(data: object, who: str, model: nn.Module | None = None, facts: DataFacts | None = None) -> Samples:
    """Turn any data argument into ``Samples``, without reading a picture.

    Args:
        data: An ImageSet or ImageStream, a pair of tensors or arrays, a Dataset or a DataLoader.
        who: The caller, for errors.
        model: The net, to whose natural size a stream of mixed sizes is brought.
        facts: What the net was, or is to be, trained on: pictures are normalised by its mean and std, and labelled by
            the names of its classes. None for the training set itself, which tells its own.

    Raises:
        ValueError: When it is none of these, or pictures and labels do not fit together.
    """
    data = whole_part(data)
    if isinstance(data, ImageStream) and data.shape is None:
        natural = None if model is None else natural_input(model)
        if natural is None:
            raise DataError(message(who, "pictures of one size", "several", "Give size= to load()."))
        data = data.resized(natural[1:])
    if isinstance(data, ImageSet | ImageStream):
        known = data.classes, (data.mean, data.std), data.reading
        found = Samples(data, len(data), data.shape, *known, data.source, data.ids, data.labels)
    elif isinstance(data, tuple | list) and len(data) == 2:
        found = from_pair(data, who, learns=facts is None)
    elif isinstance(data, DataLoader):
        if not hasattr(data.dataset, "__len__"):
            raise DataError(message(who, "a DataLoader over a Dataset with a length", type(data.dataset).__name__))
        found = Samples(data, len(cast(Sized, data.dataset)), None, *origin_of(data, who))
    elif isinstance(data, Dataset) and hasattr(data, "__len__"):
        found = Samples(data, len(cast(Sized, data)), None, *origin_of(data, who))
    else:
        kinds = "an ImageSet, an ImageStream, a pair of tensors or arrays, a Dataset or a DataLoader"
        kinds = f"a path, a picture, {kinds}" if who == "predict" else kinds
        raise DataError(message(who, kinds, type(data).__name__, meant(data, who)))
    if found.count == 0:
        raise DataError(message(who, "at least one sample", "none"))
    return found if facts is None else in_terms_of(found, facts, who)


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


def whole_part(data: object) -> object:
    """A part of one of our sets as one of our sets: it keeps names, normalisation and ids."""
    if type(data) is not Subset:  # a class of the user's own may give something else
        return data
    inner = whole_part(data.dataset)
    return inner[torch.as_tensor(data.indices)] if isinstance(inner, ImageSet | ImageStream) else data


def from_pair(pair: Sequence[Any], who: str, learns: bool) -> Samples:
    """Images and labels; of a training set, the mean and std of its uint8 pictures are measured."""
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
    stats: Stats | None = None
    if images.dtype == torch.uint8:
        if images.shape[3] in (1, 3, 4) and images.shape[1] > 4:
            raise channels_last(tuple(images.shape[1:]), who)
        stats = channel_stats(images) if learns else None
    elif not images.dtype.is_floating_point:
        raise DataError(message(who, "images of uint8 or a float type", images.dtype))
    ids = tuple(str(row) for row in range(len(labels)))
    data = ImageSet(labels, classes, ids, *(stats or ((), ())), images=images, source="tensors")
    return Samples(data, len(labels), data.shape, None, stats, None, "tensors", ids, labels)


def in_terms_of(found: Samples, facts: DataFacts, who: str) -> Samples:
    """A set as a net knows pictures and classes: normalised by its mean and std, labelled by its names.

    Raises:
        DataError: When a class of the set is none of the net's.
    """
    data = found.data
    if facts.mean:
        found = replace(found, stats=(facts.mean, facts.std))
        if isinstance(data, ImageSet | ImageStream):
            data = replace(data, mean=facts.mean, std=facts.std)
    if facts.classes and found.classes is not None and found.classes != facts.classes:
        counts = None if found.labels is None else torch.bincount(found.labels, minlength=len(found.classes)).tolist()
        whose = "the training set" if who == "fit" else "the net"
        place = torch.tensor(class_map(found.classes, facts.classes, who, whose, counts))
        found = replace(found, classes=facts.classes)
        if isinstance(data, ImageSet | ImageStream):
            data = replace(data, labels=place[data.labels], classes=facts.classes)
            found = replace(found, labels=data.labels)
        else:
            found = replace(found, relabel=place)
    return replace(found, data=data)
