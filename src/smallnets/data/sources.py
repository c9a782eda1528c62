"""``load``: the named data sets and image folders, as an ``ImageSet`` or, when too large, an ``ImageStream``."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, overload

from ..errors import (
    DataError,
    OptionError,
    check_choice,
    check_int,
    check_number,
    check_text,
    memory_told,
    message,
    nearest,
)
from .archive import existing
from .classes import keep_classes
from .depth import WHITES
from .folders import has_split as has_split
from .image_files import Request, from_files
from .imageset import ImageSet
from .labels import read_labels
from .named import NAMES as NAMES
from .named import Arrays, Name, digits, torchvision_set
from .names import shown
from .pixels import Rules
from .statistics import FACTS_OF, Facts, Stats
from .statistics import channel_stats as channel_stats
from .stream import ImageStream

SMALLER = "Give a smaller size=, or memory_limit= in bytes, above which they are read as they are needed."


@overload
def load(
    source: Name,
    split: Literal["train", "test"] = "train",
    *,
    classes: Sequence[str] | None = None,
    size: int | tuple[int, int] | None = None,
    root: str | os.PathLike[str] | None = None,
    download: bool = False,
    stats: Stats | None = None,
) -> ImageSet: ...
@overload
def load(
    source: str | os.PathLike[str],
    split: str = "train",
    *,
    classes: Sequence[str] | None = None,
    labels: str | os.PathLike[str] | None = None,
    size: int | tuple[int, int] | None = None,
    crop: float = 1.0,
    root: str | os.PathLike[str] | None = None,
    download: bool = False,
    on_error: Literal["raise", "skip"] = "raise",
    exif: bool = True,
    channels: Literal[1, 3] | None = None,
    white: int | None = None,
    max_pixels: int | None = None,
    memory_limit: int | None = None,
    stats: Stats | None = None,
) -> ImageSet | ImageStream: ...
def load(
    source: str | os.PathLike[str],
    split: str = "train",
    *,
    classes: Sequence[str] | None = None,
    labels: str | os.PathLike[str] | None = None,
    size: int | tuple[int, int] | None = None,
    crop: float = 1.0,
    root: str | os.PathLike[str] | None = None,
    download: bool = False,
    on_error: Literal["raise", "skip"] = "raise",
    exif: bool = True,
    channels: Literal[1, 3] | None = None,
    white: int | None = None,
    max_pixels: int | None = None,
    memory_limit: int | None = None,
    stats: Stats | None = None,
) -> ImageSet | ImageStream:
    """Load labelled pictures: JPEG, PNG, BMP, GIF, WebP, PPM and TIFF.

    Folders are taken as people have them: a folder (or two) around it all is looked through, in a zip, too;
    ``val``, ``valid``, ``validation`` and ``dev`` are one split; what file managers leave behind is no class. A class
    is its name: every split is labelled by the classes of the training split. One that a split lacks is fine; one
    that training has not is an error, or left out with a warning where ``classes`` does not name it.

    Pictures are turned upright (torchvision's ImageFolder does not), transparent pixels are laid over white, and of
    more than 8 bits a channel the upper 8 of those in use are kept: in use are 8, 10, 12, 14 or 16, the fewest that
    hold the brightest pixel of the training split. Floats in [0, 1] are multiplied by 255.

    Args:
        source: ``"digits"`` (1,797 real handwritten digits from scikit-learn, a fixed stratified fifth as "test"),
            ``"mnist"``, ``"fashion-mnist"``, ``"cifar10"``, ``"cifar100"`` (torchvision's files under ``root``), or
            the path of an image folder ``split/class/image`` or of a zip of one.
        split: ``"train"`` or ``"test"``; any sub-folder of an image folder, ``"."`` for one without splits.
        classes: Keep these classes, in this order.
        labels: Where labels are not folders: a CSV of file and label, or ``"prefix"`` for names such as cat.0.jpg.
        size: Side in pixels, or (h, w): pictures are scaled to cover it and cropped at the centre.
        crop: Share of the scaled picture that is kept: ``size=224, crop=0.875`` scales the shorter side to 256 and
            keeps the 224 pixels at the centre, as torchvision's references do for validation.
        root: Folder of torchvision's files; ``~/.cache/smallnets`` unless given.
        download: Let torchvision fetch what is missing.
        on_error: ``"skip"`` leaves out broken pictures with a warning that lists them.
        exif: Turn pictures upright by their EXIF orientation; False takes them as stored.
        channels: 1 for grey, 3 for colour; by default as the training split's files are: grey if all of them are.
        white: The value that is white in pictures of more than 8 bits: 255, 1023, 4095, 16383 or 65535.
        max_pixels: A picture's most pixels; by default Pillow's limit, 178,956,970, with a warning from half of it.
        memory_limit: Bytes of pixels to hold in memory; by default half of what is free.
        stats: Mean and std, a number a channel each, where they are known; else the training split is read for them.

    Returns:
        An ``ImageSet``; an ``ImageStream`` when the pixels pass the limit, or differ in size and no ``size`` is given.

    Raises:
        ValueError: When the source, split or a class is missing, or a picture is broken: which, and what to do.

    >>> test = load("digits", "test", classes=["3", "8"])
    >>> len(test), test.classes
    (72, ('3', '8'))
    """
    check_options(source=source, split=split, labels=labels, root=root, download=download, exif=exif)
    check_choice("load", "on_error", on_error, ("raise", "skip"))
    check_choice("load", "channels", channels, (None, 1, 3))
    check_choice("load", "white", white, (None, *WHITES))
    check_number("load", "crop", crop, 0.05, below=1.001)
    for option, limit in (("max_pixels", max_pixels), ("memory_limit", memory_limit)):
        if limit is not None:
            check_int("load", option, limit)
    check_stats(stats)
    shape = pair(size)
    if isinstance(source, str) and source in NAMES:
        check_choice("load", f"split of {source!r}", split, ("train", "test"))
        if labels is not None:
            raise OptionError(message("load", f"no labels= for {source!r}, which has its own", repr(labels)))
        with memory_told("load", f"the pictures of {source!r}", SMALLER):
            return from_arrays(source, arrays_of(source, shape, root, download), split, classes, shape, stats)
    if isinstance(source, str) and os.sep not in source and not source.startswith("~") and not os.path.exists(source):  # noqa: PTH110 for names too long, too
        hint = nearest(source[:100], NAMES) or f"The named sets are: {', '.join(NAMES)}; a path must exist."
        raise DataError(message("load", "a data set's name, a folder or a zip", repr(shown(source[:100])), hint))
    path = existing("load", source, "an existing folder or zip")
    rules = Rules(3, shape, min(crop, 1.0), exif, white, max_pixels)
    ask = Request(classes, read_labels(labels, path), rules, channels, on_error, memory_limit, stats)
    with memory_told("load", f"the pictures of {shown(str(path))}", SMALLER):
        return from_files(path, split, ask)


def check_options(**given: object) -> None:
    """Refuse paths, texts and truths that are none, as a notebook or a settings file may hand them over."""
    for option in ("download", "exif"):
        check_choice("load", option, given[option], (False, True))
    check_text("load", "split", given["split"])
    if not isinstance(given["source"], str | os.PathLike):
        got = f"a {type(given['source']).__name__}"
        raise OptionError(message("load", "source to be a data set's name, a folder or a zip", got))
    for option in ("labels", "root"):
        if given[option] is not None and not isinstance(given[option], str | os.PathLike):
            raise OptionError(message("load", f"{option} to be a path", f"a {type(given[option]).__name__}"))


def check_stats(stats: object) -> None:
    if stats is None:
        return
    parts = stats if isinstance(stats, tuple | list) and len(stats) == 2 else ((), (0,))
    numbers = [part for part in parts if isinstance(part, tuple | list)]
    fine = all(isinstance(number, int | float) for part in numbers for number in part)
    if len(numbers) != 2 or not fine or len(numbers[0]) != len(numbers[1]) or not all(std > 0 for std in numbers[1]):
        raise OptionError(message("load", "stats to be mean and std, a number a channel each", repr(stats)[:100]))


def pair(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    both = tuple(size) if isinstance(size, tuple | list) else (size, size)
    if len(both) != 2 or not all(type(side) is int and 0 < side <= 65535 for side in both):
        raise OptionError(message("load", "size to be a side or (h, w) in pixels", repr(size)))
    return both[0], both[1]


def arrays_of(
    source: str, size: tuple[int, int] | None, root: str | os.PathLike[str] | None, download: bool
) -> Callable[[str], Arrays]:
    """What reads a split of a named set."""
    if source == "digits":
        return lambda split: digits(split, size or (32, 32))
    folder = Path(root) if root is not None else Path.home() / ".cache" / "smallnets"
    return lambda split: torchvision_set(source, split, folder, download)


def from_arrays(
    source: str,
    read: Callable[[str], Arrays],
    split: str,
    classes: Sequence[str] | None,
    size: tuple[int, int] | None,
    stats: Stats | None,
) -> ImageSet:
    """An ``ImageSet`` of arrays: classes kept, resized, with the whole training split's mean and std."""
    found = read(split)
    kept = keep_classes(found.classes, classes)
    if stats is None and (source, size) not in FACTS_OF:
        images = found.images if split == "train" else read("train").images
        FACTS_OF[source, size] = Facts(channel_stats(images), images.shape[1])
    mean, std = FACTS_OF[source, size].stats if stats is None else stats
    if classes is not None:
        found = found.of(kept)
    if size is not None:
        found = found.resized(size)
    return ImageSet(found.labels, tuple(kept), tuple(found.ids), mean, std, images=found.images, source=source)
