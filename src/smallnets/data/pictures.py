"""Pictures without labels: files, a folder of any depth, or a zip, for ``predict``."""

import os
from collections.abc import Sequence
from pathlib import Path

import torch

from ..errors import DataError, message
from .archive import SUFFIXES, Archive, existing, is_picture
from .decoding import Broken, Decoder, faults
from .names import shown
from .pixels import Rules
from .stream import ImageStream


def unlabelled(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
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

    Of several paths, pictures and folders, the ids are those under the folder that holds them all. Their labels are all
    0 and mean nothing.

    Raises:
        DataError: When there is no picture.
    """
    given = [path] if isinstance(path, str | os.PathLike) else list(path)
    places = [existing("predict", each, "an existing picture, folder or zip") for each in given]
    archive, names = pictures_of(places[0]) if len(places) == 1 else pictures_of_all(places)
    if not names:
        advice = f"Known are {', '.join(sorted(SUFFIXES))}."
        raise DataError(message("predict", "pictures", f"none in {shown(', '.join(map(str, places)))}", advice))
    channels, *size = shape
    rules = Rules(channels, (size[0], size[1]), crop, exif, white, max_pixels)
    labels, rows = torch.zeros(len(names), dtype=torch.int64), torch.arange(len(names))
    ids, decoder = tuple(map(shown, names)), Decoder(archive, names, rules)
    return ImageStream(labels, classes, ids, mean, std, decoder=decoder, rows=rows, source=shown(str(archive.path)))


def pictures_of(place: Path) -> tuple[Archive, list[str]]:
    """The names of the pictures of a folder or a zip, or of one picture in its folder."""
    if not place.is_dir() and is_picture((place.name,)):
        return Archive(place.parent), [place.name]
    archive = Archive(place)
    return archive, [name for parts, name in archive.listing().files if is_picture(parts)]


def pictures_of_all(places: Sequence[Path]) -> tuple[Archive, list[str]]:
    """The names of all pictures, once each, in the folder that holds them all.

    Raises:
        DataError: When a zip is among them.
    """
    found: dict[str, None] = {}
    whole = [place.absolute() for place in places]
    around = Path(os.path.commonpath([place if place.is_dir() else place.parent for place in whole]))
    for place in whole:
        archive, names = pictures_of(place)
        if not archive.path.is_dir():
            advice = "Ask for it by itself."
            raise DataError(message("predict", "several pictures or folders", f"the zip {shown(str(place))}", advice))
        inside = archive.path.relative_to(around)
        found |= dict.fromkeys((inside / name).as_posix() for name in names)
    return Archive(around), list(found)


def without_broken(pictures: ImageStream) -> tuple[ImageStream, list[Broken]]:
    """The pictures that can be read, and those that cannot, each with its reason; all are read once for it."""
    found = faults(pictures.decoder, "checking")
    broken = [found[row] for row in pictures.rows.tolist() if row in found]
    good = [place for place, row in enumerate(pictures.rows.tolist()) if row not in found]
    return (pictures[good] if broken else pictures), broken
