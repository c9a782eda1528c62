"""Pictures without labels, for ``predict``: files, folders of any depth, zips, or pictures that Pillow holds."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from PIL import Image

from ..errors import DataError, message
from .archive import SUFFIXES, Archive, existing, is_picture
from .decoding import Broken, Decoder, attempt
from .depth import Pixels
from .names import shown
from .pixels import Rules, Window, of_picture
from .stream import ImageStream

FOUND = "an existing picture, folder or zip"
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
    list of such; of several pictures and folders, the ids are those under the folder that holds them all.

    Raises:
        DataError: When there is no picture.
    """
    channels, *size = shape
    rules = Rules(channels, (size[0], size[1]), crop, exif, white, max_pixels)
    each = [source] if isinstance(source, str | os.PathLike | Image.Image) else list(source)
    if not each:
        raise DataError(message("predict", "pictures", "an empty list"))
    paths = [existing("predict", one, FOUND) for one in each if not isinstance(one, Image.Image)]
    if len(paths) == len(each):
        archive, names = pictures_of(paths[0]) if len(paths) == 1 else pictures_of_all(paths)
        ids, decoder = tuple(map(shown, names)), Decoder(archive, names, rules)
    else:
        ids, places = gathered(each)
        decoder = Several(places, ids, rules)
    if not ids:
        advice = f"Known are {', '.join(sorted(SUFFIXES))}."
        raise DataError(message("predict", "pictures", f"none in {shown(', '.join(map(str, paths)))}", advice))
    labels, rows = torch.zeros(len(ids), dtype=torch.int64), torch.arange(len(ids))
    said = shown(", ".join(map(str, paths)))[:200]
    return ImageStream(labels, classes, ids, mean, std, decoder=decoder, rows=rows, source=said)


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


def gathered(sources: Sequence[Source]) -> tuple[tuple[str, ...], list[tuple[Archive, str] | Image.Image]]:
    """A name for each picture of several sources, zips and Pillow's pictures among them, and where it lies."""
    ids: list[str] = []
    places: list[tuple[Archive, str] | Image.Image] = []
    for number, source in enumerate(sources):
        if isinstance(source, Image.Image):
            ids.append(shown(Path(getattr(source, "filename", "") or str(number)).name))
            places.append(source)
            continue
        archive, names = pictures_of(existing("predict", source, FOUND))
        ids += [shown(f"{archive.path}/{name}") for name in names]
        places += [(archive, name) for name in names]
    return tuple(ids), places
