"""``load``: the named data sets and image folders, as an ``ImageSet`` or, when too large, an ``ImageStream``."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import DataError, OptionError, check_choice, message, nearest
from .decoding import Decoder, MixedSizes, decode_all, find_broken, look
from .files import find_pictures, keep_classes
from .imageset import ImageSet, ImageStream, stratified

TORCHVISION = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST", "cifar10": "CIFAR10", "cifar100": "CIFAR100"}
NAMES = ("digits", *TORCHVISION)
STREAM_SAMPLE = 4096  # pictures whose mean and std stand for a whole stream

Stats = tuple[tuple[float, ...], tuple[float, ...]]
_stats_of: dict[tuple[object, ...], Stats] = {}  # a source's mean and std, so that "test" need not read "train" again


def load(
    source: str | os.PathLike[str],
    split: str = "train",
    *,
    classes: Sequence[str] | None = None,
    size: int | tuple[int, int] | None = None,
    root: str | os.PathLike[str] | None = None,
    download: bool = False,
    on_error: Literal["raise", "skip"] = "raise",
    channels: Literal[1, 3] | None = None,
    memory_limit: int | None = None,
    stats: Stats | None = None,
) -> ImageSet | ImageStream:
    """Load labelled pictures.

    Args:
        source: ``"digits"`` (1,797 real handwritten digits from scikit-learn, a fixed stratified fifth as "test"),
            ``"mnist"``, ``"fashion-mnist"``, ``"cifar10"``, ``"cifar100"`` (torchvision's files under ``root``), or
            the path of an image folder ``split/class/image`` or of a zip of one.
        split: ``"train"`` or ``"test"``; any sub-folder of an image folder, ``"."`` for one without splits.
        classes: Keep these classes, in this order.
        size: Side in pixels, or (h, w): pictures are scaled to cover it and cropped at the centre.
        root: Folder of torchvision's files; ``~/.cache/smallnets`` unless given.
        download: Let torchvision fetch what is missing.
        on_error: ``"skip"`` leaves out broken pictures with a warning that lists them.
        channels: 1 for grey, 3 for colour; by default as the files are.
        memory_limit: Bytes of pixels to hold in memory; by default half of what is free.
        stats: Mean and std, a number a channel each, where they are known; else the training split is read for them.

    Returns:
        An ``ImageSet``; an ``ImageStream`` when the pixels pass the limit, or differ in size and no ``size`` is given.

    Raises:
        DataError: When the source, split or a class is missing, or a picture is broken: which, and what to do.

    >>> test = load("digits", "test", classes=["3", "8"])
    >>> len(test), test.classes
    (72, ('3', '8'))
    """
    check_choice("load", "on_error", on_error, ("raise", "skip"))
    shape = pair(size)
    if isinstance(source, str) and source in NAMES:
        check_choice("load", f"split of {source!r}", split, ("train", "test"))
        if source == "digits":
            side = shape or (32, 32)
            return from_arrays(source, *digits(split, side), classes, None, stats, lambda: digits("train", side)[0])
        folder = Path(root) if root is not None else Path.home() / ".cache" / "smallnets"

        def images_of(part: str) -> tuple[Tensor, Tensor, list[str], list[str]]:
            return torchvision_set(source, part, folder, download)

        return from_arrays(source, *images_of(split), classes, shape, stats, lambda: images_of("train")[0])
    path = Path(source).expanduser()
    if isinstance(source, str) and os.sep not in source and not path.exists():
        hint = nearest(source, NAMES) or f"The named sets are: {', '.join(NAMES)}; a path must exist."
        raise DataError(message("load", "a data set's name, a folder or a zip", repr(source), hint))
    return from_files(path, split, classes, shape, on_error, channels, memory_limit, stats)


def pair(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    both = (size, size) if isinstance(size, int) else tuple(size)
    if len(both) != 2 or not all(type(side) is int and side > 0 for side in both):
        raise OptionError(message("load", "size to be a side or (h, w) in pixels", repr(size)))
    return both[0], both[1]


def digits(split: str, size: tuple[int, int]) -> tuple[Tensor, Tensor, list[str], list[str]]:
    """The 8x8 digits of scikit-learn (UCI's test set, Alpaydin & Kaynak 1998), scaled up bilinearly."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError(
            message("load", "scikit-learn for 'digits'", "none", "pip install 'smallnets[data]'.")
        ) from error
    found: Any = load_digits()
    images = torch.from_numpy(found.images / 16 * 255).float()[:, None]
    images = F.interpolate(images, size, mode="bilinear").round().to(torch.uint8)
    chosen = stratified(found.target, 0.2, seed=0) == (split == "test")
    rows = np.flatnonzero(chosen)
    ids = [f"digit-{row:04d}" for row in rows]
    return images[rows], torch.from_numpy(found.target[rows]).long(), ids, [str(digit) for digit in range(10)]


def torchvision_set(name: str, split: str, root: Path, download: bool) -> tuple[Tensor, Tensor, list[str], list[str]]:
    """Torchvision's own reader of its own files, as tensors."""
    from torchvision import datasets

    try:
        found: Any = getattr(datasets, TORCHVISION[name])(str(root), train=split == "train", download=download)
    except RuntimeError as error:
        hint = "Give download=True (--download) once, or root= (--root), the folder that holds them."
        raise DataError(message("load", f"the files of {name!r} under {root}", "none", hint)) from error
    images = torch.as_tensor(found.data)
    images = images[:, None] if images.dim() == 3 else images.permute(0, 3, 1, 2).contiguous()
    names = [str(text).split(" - ")[0] for text in found.classes]  # MNIST's "0 - zero"
    return images, torch.as_tensor(found.targets).long(), [f"{split}-{i:05d}" for i in range(len(images))], names


def from_arrays(
    source: str,
    images: Tensor,
    labels: Tensor,
    ids: list[str],
    found: list[str],
    classes: Sequence[str] | None,
    size: tuple[int, int] | None,
    stats: Stats | None,
    training_images: Callable[[], Tensor],
) -> ImageSet:
    """An ``ImageSet`` of arrays: classes kept, resized, with the whole training split's mean and std."""
    kept = keep_classes(found, classes)
    if stats is None and (source, size) not in _stats_of:
        _stats_of[source, size] = channel_stats(training_images())
    mean, std = _stats_of[source, size] if stats is None else stats
    if classes is not None:
        number = torch.full((len(found),), -1)
        number[[found.index(name) for name in kept]] = torch.arange(len(kept))
        rows = torch.nonzero(number[labels] >= 0).flatten()
        images, labels, ids = images[rows], number[labels[rows]], [ids[row] for row in rows.tolist()]
    if size is not None and images.shape[2:] != size:
        resized = [F.interpolate(part.float(), size, mode="bilinear", antialias=True) for part in images.split(1024)]
        images = torch.cat([part.round().clamp(0, 255).to(torch.uint8) for part in resized])
    return ImageSet(labels, tuple(kept), tuple(ids), mean, std, images=images, source=source)


def from_files(
    path: Path,
    split: str,
    classes: Sequence[str] | None,
    size: tuple[int, int] | None,
    on_error: str,
    channels: int | None,
    memory_limit: int | None,
    stats: Stats | None = None,
) -> ImageSet | ImageStream:
    """A folder or zip: whole into memory where it fits, else a stream."""
    archive, names, labels, kept = find_pictures(path, split, classes)
    seen_channels, seen_size = look(archive, names)
    channels = channels or seen_channels
    decoder = Decoder(archive, names, channels, size)
    shape = size or seen_size
    limit = free_memory() // 2 if memory_limit is None else memory_limit
    key = (path.resolve(), path.stat().st_mtime_ns, tuple(kept), size, channels)

    def stats_from_training(pixels: Tensor | None) -> Stats:
        """This split's numbers if it is the one to train on; else those of the training split, where none are given."""
        if stats is not None:
            return stats
        if key not in _stats_of or split == "train":
            if split == "train" or not has_split(path, "train"):
                _stats_of[key] = channel_stats(sample(decoder) if pixels is None else pixels)
            else:
                train = from_files(path, "train", kept, size, "skip", channels, memory_limit)
                _stats_of[key] = train.mean, train.std
        return _stats_of[key]

    if shape is not None and len(names) * channels * shape[0] * shape[1] <= limit:
        try:
            pixels, good = decode_all(decoder, f"reading {split}", on_error)
        except MixedSizes:
            shape = size
        else:
            ids = tuple(names[i] for i in good)
            chosen = torch.tensor([labels[i] for i in good])
            mean, std = stats_from_training(pixels)
            return ImageSet(chosen, tuple(kept), ids, mean, std, images=pixels, source=str(path))
    decoder = Decoder(archive, names, channels, shape)
    mean, std = stats_from_training(None)
    whole = ImageStream(
        torch.tensor(labels),
        tuple(kept),
        tuple(names),
        mean,
        std,
        decoder=decoder,
        rows=torch.arange(len(names)),
        source=str(path),
    )
    broken = find_broken(decoder, f"checking {split}") if on_error == "skip" else []
    return whole[sorted(set(range(len(names))) - set(broken))] if broken else whole


def has_split(path: Path, split: str) -> bool:
    try:
        find_pictures(path, split, None)
    except DataError:
        return False
    return True


def sample(decoder: Decoder) -> Tensor:
    """Evenly spaced pictures, as strips of one height, for the mean and std of a stream."""
    rows = range(0, len(decoder), max(1, len(decoder) // STREAM_SAMPLE))
    size = decoder.size or (64, 64)
    small = Decoder(decoder.archive, [decoder.names[row] for row in rows], decoder.channels, size)
    return decode_all(small, "measuring", "quiet")[0]


def channel_stats(images: Tensor) -> Stats:
    """Mean and standard deviation a channel over all pixels, in [0, 1]; a constant channel's std is 1."""
    total = torch.zeros(images.shape[1], dtype=torch.float64)
    squares = torch.zeros_like(total)
    for part in images.split(1024):
        pixels = part.transpose(0, 1).flatten(1).float()
        total += pixels.sum(dim=1, dtype=torch.float64)
        squares += pixels.square_().sum(dim=1, dtype=torch.float64)
    count = images.numel() // images.shape[1]
    mean = total / count
    std = (squares / count - mean.square()).clamp(min=0).sqrt()
    std = torch.where(std > 0, std, 255.0)
    return tuple((mean / 255).tolist()), tuple((std / 255).tolist())


def free_memory() -> int:
    """Bytes of memory that are free now, as the system says."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (OSError, ValueError, AttributeError):
        return 4 << 30
