"""Pictures without labels: a file, a folder of any depth, or a zip, for ``predict``."""

import os
from pathlib import Path

import torch

from ..errors import DataError, message
from .decoding import Decoder
from .files import SUFFIXES, Archive
from .imageset import ImageStream


def unlabelled(
    path: str | os.PathLike[str],
    *,
    classes: tuple[str, ...],
    shape: tuple[int, int, int],
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> ImageStream:
    """All pictures under a path, read as they are needed and brought to (C, H, W), normalised as by the run that asks.

    Their labels are all 0 and mean nothing.

    Raises:
        DataError: When there is no picture.
    """
    place = Path(path).expanduser()
    if not place.exists():
        raise DataError(message("predict", "an existing picture, folder or zip", repr(str(path)), "Check the path."))
    if place.is_file() and place.suffix.lower() in SUFFIXES:
        archive, names = Archive(place.parent), [place.name]
    else:
        archive = Archive(place)
        names = archive.names()
    if not names:
        raise DataError(message("predict", "pictures", f"none in {place}", f"Known are {', '.join(sorted(SUFFIXES))}."))
    channels, *size = shape
    decoder = Decoder(archive, names, channels, (size[0], size[1]))
    labels, rows = torch.zeros(len(names), dtype=torch.int64), torch.arange(len(names))
    return ImageStream(labels, classes, tuple(names), mean, std, decoder=decoder, rows=rows, source=str(path))
