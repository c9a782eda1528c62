"""Pictures without labels, for ``predict``: files, folders of any depth, zips, or pictures that Pillow holds."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from PIL import Image

from ..errors import DataError, message
from .archive import SUFFIXES, Archive, existing, is_picture
from .decoding import Broken, Decoder, attempt, faults
from .depth import Pixels
from .names import shown
from .pixels import Rules, Window, of_picture
from .stream import ImageStream

Source = str | os.PathLike[str] | Image.Image


class Several(Decoder):
    """Decodes pictures out of several places: archives, or Pillow's hands."""

    def __init__(self, places: Sequence[tuple[Archive, str] | Image.Image], names: Sequence[str], rules: Rules) -> None:
        super().__init__(Archive(Path()), names, rules)
        self.places = places

    def picture(self, index: int, window: Callable[[int, int], Window] | None = None) -> Pixels | Broken:
        """As of every decoder."""
        place = self.places[index]
        if isinstance(place, Image.Image):
            return attempt(self.names[index], lambda: of_picture(place, self.rules))
        archive, name = place
        found = Decoder(archive, [name], self.rules).picture(0, window)
        return Broken(self.names[index], found.reason, found.advice) if isinstance(found, Broken) else found


def unlabelled(
    source: Source | Sequence[Source],
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
    """All pictures of a source, read as they are needed and brought to (C, H, W), normalised as by the run that asks.

    Their labels are all 0 and mean nothing. ``source`` is a picture, a folder, a zip, a picture that Pillow holds, or a
    list of such.

    Raises:
        DataError: When there is no picture.
    """
    channels, *size = shape
    rules = Rules(channels, (size[0], size[1]), crop, exif, white, max_pixels)
    if isinstance(source, str | os.PathLike):
        archive, names = pictures_in(source)
        ids, decoder = tuple(map(shown, names)), Decoder(archive, names, rules)
    else:
        each = [source] if isinstance(source, Image.Image) else list(source)
        ids, places = gathered(each)
        decoder = Several(places, ids, rules)
    if not ids:
        raise DataError(message("predict", "pictures", "none"))
    labels, rows = torch.zeros(len(ids), dtype=torch.int64), torch.arange(len(ids))
    said = shown(str(source)) if isinstance(source, str | os.PathLike) else ""
    return ImageStream(labels, classes, ids, mean, std, decoder=decoder, rows=rows, source=said)


def pictures_in(path: str | os.PathLike[str]) -> tuple[Archive, list[str]]:
    """Where a path's pictures lie, and their names there.

    Raises:
        DataError: When there is none.
    """
    place = existing("predict", path, "an existing picture, folder or zip")
    if not place.is_dir() and is_picture((place.name,)):
        return Archive(place.parent), [place.name]
    archive = Archive(place)
    names = [name for parts, name in archive.listing().files if is_picture(parts)]
    if not names:
        advice = f"Known are {', '.join(sorted(SUFFIXES))}."
        raise DataError(message("predict", "pictures", f"none in {shown(str(place))}", advice))
    return archive, names


def gathered(sources: Sequence[Source]) -> tuple[tuple[str, ...], list[tuple[Archive, str] | Image.Image]]:
    """A name for each picture of several sources, and where it lies."""
    ids: list[str] = []
    places: list[tuple[Archive, str] | Image.Image] = []
    for number, source in enumerate(sources):
        if isinstance(source, Image.Image):
            ids.append(shown(Path(getattr(source, "filename", "") or str(number)).name))
            places.append(source)
            continue
        archive, names = pictures_in(source)
        alone = archive.path != Path(source).expanduser()  # a picture, by its own path
        ids += [shown(str(source) if alone else f"{source}/{name}") for name in names]
        places += [(archive, name) for name in names]
    return tuple(ids), places


def without_broken(pictures: ImageStream) -> tuple[ImageStream, list[Broken]]:
    """The pictures that can be read, and those that cannot, each with its reason; all are read once for it."""
    found = faults(pictures.decoder, "checking")
    broken = [found[row] for row in pictures.rows.tolist() if row in found]
    good = [place for place, row in enumerate(pictures.rows.tolist()) if row not in found]
    return (pictures[good] if broken else pictures), broken
