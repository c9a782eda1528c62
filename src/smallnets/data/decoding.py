"""Pictures out of files: decoded, brought to one size, many at once in worker processes.

N pictures, C channels, H W pixels.
"""

import io
import os
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from ..errors import DataError, message
from .files import Archive

Pixels = npt.NDArray[np.uint8]

# The ways in which Pillow and zipfile say that a file is broken, beside OSError.
BROKEN = (
    SyntaxError,
    ValueError,
    EOFError,
    RuntimeError,
    zlib.error,
    zipfile.BadZipFile,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
CHUNK = 256  # pictures a worker hands over at once
SERIAL = 1000  # fewer pictures than this are decoded without worker processes


def decode(data: bytes, channels: int, size: tuple[int, int] | None) -> Pixels:
    """Pixels of a picture, (C, H, W); with ``size`` scaled to cover it and cropped at the centre.

    Raises:
        OSError: When the bytes are no whole picture.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as file:
                deep = file.mode.startswith("I")  # 16 bits a pixel, of which "L" would keep none but the brightest
                whole = Image.fromarray((np.asarray(file) >> 8).clip(0, 255).astype(np.uint8)) if deep else file
                picture = whole.convert("L" if channels == 1 else "RGB")
                if size is not None and picture.size != (size[1], size[0]):
                    picture = cover(picture, size)
                pixels = np.asarray(picture)
    except BROKEN as error:
        raise OSError(str(error)) from error  # Pillow's other ways to say that a file is broken
    # Copies: Pillow's own memory is not to be written to, which torch minds.
    return pixels[None].copy() if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


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
                grey = grey and picture.mode in ("1", "L", "I", "I;16", "I;16B")
        except (OSError, *BROKEN):
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
        except (OSError, *BROKEN) as error:
            return Broken(name, reason(error))

    def __getitems__(self, indices: list[int]) -> list[Pixels | Broken]:
        return [self.picture(index) for index in indices]

    def __len__(self) -> int:
        return len(self.names)


def reason(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return "not a picture" if "cannot identify" in text else text.splitlines()[0]


def find_broken(decoder: Decoder, desc: str) -> list[int]:
    """Indices of the pictures that cannot be read, with a warning that lists them; all are decoded, none is kept."""
    loader: DataLoader[Pixels] = DataLoader(
        decoder, batch_size=CHUNK, num_workers=workers_for(len(decoder)), collate_fn=only_broken
    )
    found: list[int] = []
    broken: list[Broken] = []
    for number, places in enumerate(tqdm(loader, desc=desc, unit="chunk", delay=1, disable=None, leave=False)):
        found += [number * CHUNK + place for place, _ in places]
        broken += [item for _, item in places]
    warn_of(broken, len(decoder))
    return found


def only_broken(pictures: list[Pixels | Broken]) -> list[tuple[int, Broken]]:
    return [(place, item) for place, item in enumerate(pictures) if isinstance(item, Broken)]


def warn_of(broken: list[Broken], total: int) -> None:
    if broken:
        listed = ", ".join(f"{item.name} ({item.reason})" for item in broken)
        warnings.warn(f"load: left out {len(broken)} of {total} pictures that are broken: {listed}", stacklevel=5)


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
    return processors() if count >= SERIAL else 0


def processors() -> int:
    """Processors that this process may use; none where worker processes are no matter of course."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0


def decode_all(
    decoder: Decoder, desc: str, on_error: str, advice: str = "Mend or remove the file, or give on_error='skip'."
) -> tuple[Tensor, list[int]]:
    """All pictures, (N, C, H, W) uint8, and the indices of those that could be read.

    Raises:
        DataError: At the first broken picture, unless ``on_error`` is "skip", or "quiet", which does not even warn.
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
                        advice,
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
    if on_error == "skip":
        warn_of(broken, total)
    return pixels[: len(kept)], kept
