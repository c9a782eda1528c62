"""Picture files: an image folder ``split/class/image`` or a zip of one, read and decoded."""

import io
import os
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from ..errors import DataError, message, nearest

Pixels = npt.NDArray[np.uint8]

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff"})
CHUNK = 256  # pictures a worker hands over at once
SERIAL = 1000  # fewer pictures than this are decoded without worker processes


@dataclass
class Archive:
    """A folder or a zip, read by name; every process opens the zip for itself."""

    path: Path
    _open: tuple[int, zipfile.ZipFile] | None = field(default=None, repr=False)

    def _zip(self) -> zipfile.ZipFile:
        if self._open is None or self._open[0] != os.getpid():
            try:
                self._open = (os.getpid(), zipfile.ZipFile(self.path))
            except (zipfile.BadZipFile, OSError) as error:
                raise DataError(message("load", "a folder or a zip of pictures", self.path, str(error))) from error
        return self._open[1]

    def __getstate__(self) -> dict[str, object]:
        return {"path": self.path, "_open": None}

    def names(self) -> list[str]:
        """All files that look like pictures, sorted."""
        if self.path.is_dir():
            found = (
                (Path(folder) / file).relative_to(self.path).as_posix()
                for folder, _, files in os.walk(self.path, followlinks=True)
                for file in files
            )
        else:
            found = (info.filename for info in self._zip().infolist() if not info.is_dir())
        return sorted(name for name in found if is_picture(PurePosixPath(name)))

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes() if self.path.is_dir() else self._zip().read(name)


def is_picture(path: PurePosixPath) -> bool:
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return path.suffix.lower() in SUFFIXES and not hidden


def find_pictures(
    path: Path, split: str, classes: Sequence[str] | None
) -> tuple[Archive, list[str], list[int], list[str]]:
    """The files of one split: archive, names, labels, classes.

    Raises:
        DataError: When the folder, the split or a class is missing, or the layout is another.
    """
    if not path.exists():
        raise DataError(message("load", "an existing folder or zip", repr(str(path)), "Check the path."))
    archive = Archive(path)
    parts = [(PurePosixPath(name), name) for name in archive.names()]
    # A zip often holds one folder around everything.
    tops = {pure.parts[0] for pure, _ in parts}
    around = next(iter(tops)) if len(tops) == 1 and all(len(pure.parts) >= 4 for pure, _ in parts) else None
    if around is not None and around != split:
        parts = [(PurePosixPath(*pure.parts[1:]), name) for pure, name in parts]
    if split == ".":
        parts = [(PurePosixPath(".") / "all" / pure, name) for pure, name in parts]
        split = "all"
    splits = sorted({pure.parts[0] for pure, _ in parts if len(pure.parts) >= 3})
    inside = [(pure, name) for pure, name in parts if pure.parts[0] == split]
    layout = "pictures as split/class/image"
    if not parts:
        raise DataError(message("load", layout, f"no picture in {path}", "Check the path."))
    if not inside:
        hint = f"It has: {', '.join(splits)}." if splits else "For class folders without a split give split='.'."
        raise DataError(message("load", f"a folder {split!r} in {path}", "none", hint))
    found = sorted({pure.parts[1] for pure, _ in inside if len(pure.parts) >= 3})
    if not found:
        got = f"pictures right in {split!r} and no class folder"
        raise DataError(message("load", layout, got, "Make one sub-folder per class."))
    kept = keep_classes(found, classes)
    number = {name: label for label, name in enumerate(kept)}
    chosen = [
        (name, number[pure.parts[1]]) for pure, name in inside if len(pure.parts) >= 3 and pure.parts[1] in number
    ]
    return archive, [name for name, _ in chosen], [label for _, label in chosen], kept


def keep_classes(found: Sequence[str], classes: Sequence[str] | None) -> list[str]:
    """The classes to keep, in the order asked for.

    Raises:
        DataError: When one asked for is not there, or is asked for twice.
    """
    if classes is None:
        return list(found)
    if isinstance(classes, str) or not classes or len(set(classes)) != len(classes):
        raise DataError(message("load", "classes to be a list of different names", repr(classes)))
    for name in classes:
        if name not in found:
            hint = nearest(name, found) or f"It has: {', '.join(found)}."
            raise DataError(message("load", "a class of the data set", repr(name), hint))
    return list(classes)


def decode(data: bytes, channels: int, size: tuple[int, int] | None) -> Pixels:
    """Pixels of a picture, (C, H, W); with ``size`` scaled to cover it and cropped at the centre.

    Raises:
        OSError: When the bytes are no whole picture.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as file:
                picture = file.convert("L" if channels == 1 else "RGB")
                if size is not None and picture.size != (size[1], size[0]):
                    picture = cover(picture, size)
                pixels = np.asarray(picture)
    except (SyntaxError, ValueError, EOFError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise OSError(str(error)) from error  # Pillow's other ways to say that a file is broken
    return pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def cover(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Scale the shorter side to the size, keeping proportions, and crop the centre."""
    height, width = size
    scale = max(height / picture.height, width / picture.width)
    across, down = max(width, round(picture.width * scale)), max(height, round(picture.height * scale))
    left, top = (across - width) // 2, (down - height) // 2
    resized = picture.resize((across, down), Image.Resampling.BILINEAR)
    return resized.crop((left, top, left + width, top + height))


def look(archive: Archive, names: Sequence[str]) -> tuple[int, tuple[int, int] | None]:
    """Channels and the common (h, w) of some pictures, by their headers; no size when they differ."""
    step = max(1, len(names) // 64)
    sizes: set[tuple[int, int]] = set()
    grey = True
    for name in names[::step]:
        try:
            with Image.open(io.BytesIO(archive.read(name))) as picture:
                sizes.add((picture.height, picture.width))
                grey = grey and picture.mode in ("1", "L", "I;16")
        except (OSError, SyntaxError, ValueError, zipfile.BadZipFile):
            continue  # reported when it is decoded
    return (1 if grey and sizes else 3), (next(iter(sizes)) if len(sizes) == 1 else None)


@dataclass
class Broken:
    """A picture that could not be read."""

    name: str
    reason: str


class Decoder(Dataset[Pixels]):
    """Decodes pictures by index, one or a list; a broken one comes as ``Broken`` in its place."""

    def __init__(self, archive: Archive, names: Sequence[str], channels: int, size: tuple[int, int] | None) -> None:
        self.archive, self.names, self.channels, self.size = archive, names, channels, size

    def picture(self, index: int) -> Pixels | Broken:
        name = self.names[index]
        try:
            return decode(self.archive.read(name), self.channels, self.size)
        except (OSError, zipfile.BadZipFile) as error:
            return Broken(name, reason(error))

    def __getitems__(self, indices: list[int]) -> list[Pixels | Broken]:
        return [self.picture(index) for index in indices]

    def __len__(self) -> int:
        return len(self.names)


def reason(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return "not a picture" if "cannot identify" in text else text.splitlines()[0]


class MixedSizes(Exception):
    """A picture of another size than the first came along."""


def stack(pictures: list[Pixels | Broken]) -> tuple[Tensor | None, list[Broken], list[bool]]:
    """The good pictures as one tensor, the broken ones, and which of all are good."""
    good = [p for p in pictures if not isinstance(p, Broken)]
    broken = [p for p in pictures if isinstance(p, Broken)]
    if any(p.shape != good[0].shape for p in good):
        return None, broken, []
    pixels = torch.from_numpy(np.stack(good)) if good else None
    return pixels, broken, [not isinstance(p, Broken) for p in pictures]


def workers_for(count: int) -> int:
    """As many worker processes as processors, none for a few pictures."""
    return len(os.sched_getaffinity(0)) if count >= SERIAL and hasattr(os, "sched_getaffinity") else 0


def decode_all(decoder: Decoder, desc: str, on_error: str) -> tuple[Tensor, list[int]]:
    """All pictures, (N, C, H, W) uint8, and the indices of those that could be read.

    Raises:
        DataError: At the first broken picture, unless ``on_error`` is "skip".
        MixedSizes: When the pictures differ in size.
    """
    total = len(decoder)
    loader: DataLoader[Pixels] = DataLoader(
        decoder, batch_size=CHUNK, num_workers=workers_for(total), collate_fn=stack, prefetch_factor=None
    )
    pixels: Tensor | None = None
    kept: list[int] = []
    broken: list[Broken] = []
    with tqdm(total=total, desc=desc, unit="img", delay=1, disable=None, leave=False) as bar:
        for number, (chunk, bad, good) in enumerate(loader):
            if bad and on_error == "raise":
                raise DataError(
                    message(
                        "load",
                        "a whole picture",
                        f"{decoder.archive.path / bad[0].name}: {bad[0].reason}",
                        "Mend or remove the file, or give on_error='skip'.",
                    )
                )
            broken += bad
            if chunk is not None:
                if pixels is None:
                    pixels = torch.empty((total, *chunk.shape[1:]), dtype=torch.uint8)
                if chunk.shape[1:] != pixels.shape[1:]:
                    raise MixedSizes
                pixels[len(kept) : len(kept) + len(chunk)] = chunk
                kept += [number * CHUNK + place for place, fine in enumerate(good) if fine]
            elif not good:
                raise MixedSizes
            bar.update(len(good))
    if pixels is None:
        raise DataError(message("load", "at least one whole picture", f"none in {decoder.archive.path}"))
    if broken:
        listed = ", ".join(f"{item.name} ({item.reason})" for item in broken)
        warnings.warn(f"load: left out {len(broken)} of {total} pictures that are broken: {listed}", stacklevel=4)
    return pixels[: len(kept)], kept
