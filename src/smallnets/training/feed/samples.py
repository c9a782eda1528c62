"""Data arguments, understood: what a user may hand over, checked against itself and against the net.

N pictures, C channels, H W pixels.
"""

import contextlib
import os
from collections.abc import Generator, Sequence, Sized
from dataclasses import dataclass, replace
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, default_collate

from ...data.augment import Augmentation, choose
from ...data.classes import class_map
from ...data.imageset import ImageSet, ImageStream, check_labels
from ...data.labelled import Reading
from ...data.sources import channel_stats
from ...errors import DataError, OptionError, first_line, message
from ...facts import DataFacts
from ...warn import warn
from ..preserve import lent_generators
from .origin import Stats, origin_of

Array = Tensor | npt.NDArray[np.generic]
Pair = tuple[Array, Array] | list[Tensor] | list[Array]
DataLike = Dataset[object] | DataLoader[object] | Pair  # ImageSet and ImageStream are Datasets
Shape = tuple[int, ...]
PAIRS = "Let the Dataset, or a collate_fn, give pairs of them: (image tensor, label)."
UNLIKE = (
    "stack expects each tensor",
    "default_collate: batch",
    "each element in list of batch",
    "not resizable",
)  # torch's words
FEW = 64  # pictures in memory that are looked at for their range


@dataclass(frozen=True)
class Samples:
    """A data argument, understood: where the pictures are, how they are normalised, which class a label means."""

    data: Dataset[object] | DataLoader[object]
    count: int
    shape: Shape | None = None  # (C, H, W); None where a picture has to be read to know it
    classes: tuple[str, ...] | None = None
    stats: Stats | None = None  # mean and std of uint8 pictures; None where nobody has told them
    reading: Reading | None = None  # how their files became pictures; None where nobody has told
    source: str = ""
    ids: tuple[str, ...] | None = None
    labels: Tensor | None = None
    relabel: Tensor | None = None  # the label that the net knows of each that a Dataset or DataLoader gives
    left_out: dict[str, str] | None = None  # collects pictures that cannot be read; None where one is an error

    @property
    def is_loader(self) -> bool:
        return isinstance(self.data, DataLoader)

    def augmentation(self, name: str, shape: Shape) -> Augmentation | None:
        """The augmentation of a name for samples of a shape; ``"auto"`` leaves alone what may be anything.

        Raises:
            ValueError: When there is no such augmentation, or none of what is no picture.
        """
        ours = isinstance(self.data, ImageSet | ImageStream) and self.source != "tensors"
        if self.is_loader or (name == "auto" and not ours):
            return None
        if len(shape) != 3 and name != "none":
            raise OptionError(message("fit", f"pictures (C, H, W) for augment={name!r}", f"samples of shape {shape}"))
        return choose(name, self.source, shape[1] if len(shape) == 3 else 0)

    def facts(self, shape: Shape) -> DataFacts:
        """What a net that is trained on samples of this shape has to know of them."""
        mean, std = self.stats if self.stats is not None else ((), ())
        channels, size = (shape[0], (shape[1], shape[2])) if len(shape) == 3 else (None, None)
        reading = self.reading or Reading()
        return DataFacts(self.classes or (), channels, size, tuple(mean), tuple(std), self.source, *reading)

    def learnt_from(self, images: Tensor) -> Self:
        """The training set, once its first batch is known: floats are as they are, bare uint8 is divided by 255."""
        if images.dtype != torch.uint8:
            return replace(self, stats=None)
        if self.stats is not None:
            return self
        channels = images.shape[1] if images.dim() > 1 else 1
        return replace(self, stats=((0.0,) * channels, (1.0,) * channels))


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


def first_picture(samples: Samples) -> Tensor | None:
    """The first picture (C, H, W), read if need be; None where a DataLoader makes batches in a way of its own."""
    data = samples.data
    if isinstance(data, DataLoader):
        if data.collate_fn is not default_collate or isinstance(data.dataset, IterableDataset):
            return None
        data = data.dataset
    with lent_generators():
        return torch.as_tensor(picture_of(data[0]))


def check_first(samples: Samples, model: nn.Module, who: str) -> None:
    """Look at what is to be measured before it is: channels, kind and range, as far as one picture tells them.

    Raises:
        DataError: When the net cannot take it, or nobody knows how it is normalised.
    """
    if isinstance(samples.data, ImageStream):
        check_pictures(samples.shape, model, who)
        check_normalised(samples, torch.uint8, who)
        return
    held = isinstance(samples.data, ImageSet)
    images = samples.data.images[:FEW] if isinstance(samples.data, ImageSet) else first_picture(samples)
    if images is None:
        return
    check_pictures(tuple(images.shape[-3:] if held else images.shape), model, who)
    check_normalised(samples, images.dtype, who)
    if images.is_floating_point() and samples.stats is not None and images.numel():
        low, high = images.min().item(), images.max().item()
        if low >= 0 and high <= 1 and samples.stats[0] != (0.0,) * len(samples.stats[0]):
            warn(
                f"{who}: floats are taken as they are, and these lie in [0, 1], while the net was trained on pictures "
                "from which the mean was subtracted; give it uint8, or normalise them by net.data_facts"
            )


def check_normalised(samples: Samples, kind: torch.dtype, who: str) -> None:
    """Refuse bare uint8 pictures of which nobody knows mean and std.

    Raises:
        DataError: With the ways out.
    """
    if kind == torch.uint8 and samples.stats is None:
        raise unknown_stats(who)
    mean, shape = samples.stats[0] if samples.stats is not None else (), samples.shape
    if mean and shape is not None and len(shape) == 3 and len(mean) != shape[0] and kind == torch.uint8:
        got = f"{shape[0]}-channel ones"
        raise DataError(message(who, f"{len(mean)}-channel pictures, as the net was trained on", got))


def unknown_stats(who: str) -> DataError:
    """With two ways out: a set that knows, or a net that does."""
    got, tell = "a net that knows none", ", tell the net (net.data_facts = DataFacts(mean=..., std=...))"
    if who == "fit":  # whose training set tells the net
        got, tell = "a training set of floats that tells none", ""
    advice = f"Give an ImageSet{tell}, or normalise them yourself and give floats."
    return DataError(message(who, "mean and std by which to normalise uint8 pictures", got, advice))


def channels_last(shape: Shape, who: str) -> DataError:
    advice = "Turn them: images.permute(0, 3, 1, 2), or transforms.ToTensor() in a Dataset."
    return DataError(message(who, "pictures (C, H, W)", f"{shape}, channels last", advice))


def picture_of(sample: object) -> Array:
    """The picture of a Dataset's sample.

    Raises:
        DataError: When it is no tensor.
    """
    first = sample[0] if isinstance(sample, tuple | list) and sample else sample
    if not isinstance(first, Tensor | np.ndarray):
        advice = "Put transforms.ToTensor() into the Dataset, or give an ImageSet."
        advice = PAIRS if isinstance(first, dict) else advice
        raise DataError(message("smallnets", "a Dataset of (image tensor, label)", type(first).__name__, advice))
    return first


@contextlib.contextmanager
def workers_errors_plain() -> Generator[None, None, None]:
    """What could not be read, or not be made a batch, is said in one sentence, without a worker's traceback.

    Raises:
        DataError: The worker's, or instead of torch's.
    """
    try:
        yield
    except DataError as error:
        _, reported, text = str(error).rpartition("DataError: ")
        if not reported:
            raise
        raise DataError(text.strip()) from error
    except (RuntimeError, TypeError) as error:
        line = next((line for line in str(error).splitlines() if any(sign in line for sign in UNLIKE)), "")
        if line:
            advice = "Bring them to one size, and give each a number as its label."
            got = line.rpartition("Error: ")[2].strip().rstrip(".")
            got = "pictures of several sizes" if "resizable" in got else got  # what a worker makes of them
            raise DataError(message("smallnets", "samples that make a batch", got, advice)) from error
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
    if shape[2] == takes[0] and shape[0] > 4:
        raise channels_last(shape, who)
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
