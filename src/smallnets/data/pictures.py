"""Pictures without labels: files, a folder of any depth, or a zip, for ``predict``."""

import os

import torch

from ..errors import DataError, message
from .archive import SUFFIXES, Archive, existing, is_picture
from .decoding import Broken, Decoder, faults
from .names import shown
from .pixels import Rules
from .stream import ImageStream


def unlabelled(
    path: str | os.PathLike[str],
    *,
    classes: tuple[str, ...],
    shape: tuple[int, int, int],
    mean: tuple[float, ...],
    std: tuple[float, ...],
    crop: float = 1.0,
    exif: bool = True,
    white: int | None = None,
    max_pixels: int | None = None,
) -> ImageStream:
    """All pictures under a path, read as they are needed and brought to (C, H, W), normalised as by the run that asks.

    Their labels are all 0 and mean nothing.

    Raises:
        DataError: When there is no picture.
    """
    place = existing("predict", path, "an existing picture, folder or zip")
    if not place.is_dir() and is_picture((place.name,)):
        archive, names = Archive(place.parent), [place.name]
    else:
        archive = Archive(place)
        names = [name for parts, name in archive.listing().files if is_picture(parts)]
    if not names:
        advice = f"Known are {', '.join(sorted(SUFFIXES))}."
        raise DataError(message("predict", "pictures", f"none in {shown(str(place))}", advice))
    channels, *size = shape
    rules = Rules(channels, (size[0], size[1]), crop, exif, white, max_pixels)
    labels, rows = torch.zeros(len(names), dtype=torch.int64), torch.arange(len(names))
    ids, decoder = tuple(map(shown, names)), Decoder(archive, names, rules)
    return ImageStream(labels, classes, ids, mean, std, decoder=decoder, rows=rows, source=shown(str(path)))


def without_broken(pictures: ImageStream) -> tuple[ImageStream, list[Broken]]:
    """The pictures that can be read, and those that cannot, each with its reason; all are read once for it."""
    found = faults(pictures.decoder, "checking")
    broken = [found[row] for row in pictures.rows.tolist() if row in found]
    good = [place for place, row in enumerate(pictures.rows.tolist()) if row not in found]
    return (pictures[good] if broken else pictures), broken
