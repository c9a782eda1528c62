"""Many pictures out of an archive: what their headers tell, and their pixels, read by several threads at once.

Threads, because Pillow decodes and scales without holding Python's lock, and pixels then need not be handed from one
process to another through shared memory, of which containers have little. N pictures, C channels, H W pixels.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from PIL import UnidentifiedImageError
from torch import Tensor
from torch.utils.data import Dataset

from ..bars import bar
from ..errors import DataError, SmallnetsError, first_line, message
from ..warn import warn
from .archive import Archive
from .depth import Pixels, white_for
from .names import counted, listed, shown
from .pixels import Rules, TooLarge, Unexpected, Window, decode, header, open_picture

CHUNK = 256  # pictures a thread reads at once
SAMPLED = 64  # headers that are looked at first
MEND = "Mend or remove the file, or give on_error='skip'."
ALLOW = "Give load() a larger max_pixels= if you trust the file."

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Broken:
    """A picture that could not be read, and what can be done."""

    name: str
    reason: str
    advice: str = MEND


class Decoder(Dataset[Pixels]):
    """Decodes pictures by index, one or a list; a broken one comes as ``Broken`` in its place."""

    def __init__(self, archive: Archive, names: Sequence[str], rules: Rules) -> None:
        self.archive, self.names, self.rules = archive, names, rules

    def picture(self, index: int, window: Callable[[int, int], Window] | None = None) -> Pixels | Broken:
        """Pixels, (C, H, W); of a window of the picture as stored, if one is given."""
        name = self.names[index]

        def pixels() -> Pixels:
            with self.archive.open(name) as file:
                return decode(file, self.rules, window)

        return attempt(name, pixels)

    def header(self, name: str) -> "Seen | Broken":
        """What a picture's header tells."""
        return attempt(name, lambda: seen(self.archive, name, self.rules))

    def __getitems__(self, indices: list[int]) -> list[Pixels | Broken]:
        return [self.picture(index) for index in indices]

    def __len__(self) -> int:
        return len(self.names)


def attempt(name: str, read: Callable[[], T]) -> T | Broken:
    """The one place where decoders fail: each has errors of its own, and a hostile file finds others."""
    try:
        return read()
    except (SmallnetsError, Unexpected):
        raise
    except TooLarge as error:
        return Broken(name, str(error), ALLOW)
    except Exception as error:
        return Broken(name, reason(error))


def reason(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "there is not enough memory for it"
    text = (error.strerror if isinstance(error, OSError) else None) or first_line(error)
    return "not a picture" if isinstance(error, UnidentifiedImageError) else shown(text[:200]).rstrip(".")


class Seen(NamedTuple):
    """What one picture's header tells: (h, w), whether it is grey, and the brightest value of more than 8 bits."""

    size: tuple[int, int]
    grey: bool
    brightest: float | None


def seen(archive: Archive, name: str, rules: Rules) -> Seen:
    with archive.open(name) as file, open_picture(file, rules.max_pixels) as picture:
        found = header(picture, rules.exif)
        brightest = None
        if found.deep:
            values = np.asarray(picture)
            brightest = float(values.max()) if values.dtype.kind != "f" or values.max() > 1 else None
        return Seen(found.size, found.grey, brightest)


class Look(NamedTuple):
    """What some headers tell of a set: channels, the common (h, w), and the white of more than 8 bits."""

    channels: int
    size: tuple[int, int] | None
    white: int | None
    deep: bool
    readable: bool  # one of them at least


def look(decoder: Decoder, everything: bool = False) -> Look:
    """Channels, common size and white of the pictures, by 64 headers or by as many as it takes to know."""
    step = max(1, len(decoder) // SAMPLED)
    sizes: set[tuple[int, int]] = set()
    whites: set[int] = set()
    grey, deep = True, False
    rest = [name for place, name in enumerate(decoder.names) if place % step]
    for number, names in enumerate((decoder.names[::step], rest) if everything else (decoder.names[::step],)):
        for found in in_threads(decoder.header, names, chunk=CHUNK):
            if isinstance(found, Broken):
                continue  # reported when it is decoded
            sizes.add(found.size)
            grey = grey and found.grey
            if found.brightest is not None:
                whites.add(white_for(found.brightest))
            deep = deep or found.brightest is not None
            if number and not grey and not deep and (len(sizes) > 1 or decoder.rules.size is not None):
                break  # the others cannot change it
    channels = 1 if grey and sizes else 3
    return Look(channels, next(iter(sizes)) if len(sizes) == 1 else None, max(whites, default=None), deep, bool(sizes))


def in_threads(work: Callable[[T], R], items: Sequence[T], chunk: int) -> Iterator[R]:
    """``map`` in the items' order, chunks of them by several threads, and only a few chunks ahead of the caller."""
    parts = [items[start : start + chunk] for start in range(0, len(items), chunk)]
    if len(parts) < 2 or threads() < 2:
        yield from map(work, items)
        return
    stopped = threading.Event()

    def some(part: Sequence[T]) -> list[R]:
        return [] if stopped.is_set() else [work(item) for item in part]

    with ThreadPoolExecutor(threads(), thread_name_prefix="smallnets-read") as pool:
        try:
            for found in ahead(lambda part: pool.submit(some, part), parts, 2 * threads()):
                yield from found
        finally:
            stopped.set()


def ahead(start: Callable[[T], "Future[R]"], items: Iterable[T], depth: int) -> Iterator[R]:
    """Results in order, ``depth`` of them begun before they are asked for."""
    begun: list[Future[R]] = []
    for item in items:
        begun.append(start(item))
        if len(begun) > depth:
            yield begun.pop(0).result()
    for waiting in begun:
        yield waiting.result()


def threads() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processors() -> int:
    """Worker processes for a stream in training; none where they are no matter of course: no fork, or no children."""
    forks = "fork" in multiprocessing.get_all_start_methods() and multiprocessing.get_start_method() == "fork"
    return threads() if forks and not multiprocessing.current_process().daemon else 0


def warn_of(broken: Sequence[Broken], total: int) -> None:
    if broken:
        names = listed([f"{shown(item.name)} ({item.reason})" for item in broken], 20)
        warn(f"load: left out {len(broken):,} of {counted(total, 'picture')} that are broken: {names}")


def refuse(who: str, archive: Archive, broken: Broken) -> DataError:
    return DataError(message(who, "a whole picture", f"{archive.where(broken.name)}: {broken.reason}", broken.advice))


def faults(decoder: Decoder, desc: str) -> dict[int, Broken]:
    """The pictures that cannot be read, by index; all are decoded, none is kept."""

    def fault(index: int) -> Broken | None:
        found = decoder.picture(index)
        return found if isinstance(found, Broken) else None

    found = in_threads(fault, range(len(decoder)), CHUNK)
    seen = bar(found, desc=desc, total=len(decoder), unit="img", delay=1, disable=None, leave=False)
    return {index: broken for index, broken in enumerate(seen) if broken is not None}


def decode_all(decoder: Decoder, desc: str, on_error: str) -> tuple[Tensor, list[int]]:
    """All pictures, (N, C, H, W) uint8, and the indices of those that could be read.

    Raises:
        DataError: At the first broken picture, unless ``on_error`` is "skip", or "quiet", which does not even warn.
        Unexpected: When the pictures differ in size, or are of a kind that the rules do not expect.
        MemoryError: When there is no room for them.
    """
    pixels: Tensor | None = None
    kept: list[int] = []
    broken: list[Broken] = []
    found = in_threads(decoder.picture, range(len(decoder)), CHUNK)
    for index, picture in enumerate(
        bar(found, desc=desc, total=len(decoder), unit="img", delay=1, disable=None, leave=False)
    ):
        if isinstance(picture, Broken):
            if on_error == "raise":
                raise refuse("load", decoder.archive, picture)
            broken.append(picture)
            continue
        if pixels is None:
            try:
                pixels = torch.empty((len(decoder), *picture.shape), dtype=torch.uint8)
            except RuntimeError as error:  # torch has no class of its own for it
                raise MemoryError from error
        if picture.shape != pixels.shape[1:]:
            raise Unexpected
        pixels[len(kept)] = torch.from_numpy(picture)
        kept.append(index)
    if pixels is None:
        got = f"none in {shown(str(decoder.archive.path))}" + (f": {broken[0].reason}" if broken else "")
        raise DataError(message("load", "at least one whole picture", got, broken[0].advice if broken else ""))
    if on_error == "skip":
        warn_of(broken, len(decoder))
    return pixels[: len(kept)], kept


def with_rules(decoder: Decoder, **changes: object) -> Decoder:
    """The same pictures under other rules."""
    return Decoder(decoder.archive, decoder.names, replace(decoder.rules, **changes))  # type: ignore[arg-type]
