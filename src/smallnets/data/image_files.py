"""An image folder or zip as a set: what its pictures are, and whether they fit into memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .decoding import Decoder, decode_all, faults, look, warn_of, with_rules
from .folders import Found, find_pictures
from .imageset import ImageSet
from .labels import Labels
from .names import shown
from .pixels import Rules, Unexpected
from .statistics import FACTS_OF, Facts, Stats, channel_stats, free_memory, sampled_stats
from .stream import ImageStream


@dataclass(frozen=True)
class Request:
    """What ``load`` was asked to make of the files."""

    classes: Sequence[str] | None
    labels: Labels | None
    rules: Rules
    channels: int | None
    on_error: str
    memory_limit: int | None
    stats: Stats | None


def from_files(path: Path, split: str, ask: Request) -> ImageSet | ImageStream:
    """A folder or zip: whole into memory where it fits, else a stream."""
    found = find_pictures(path, split, ask.classes, ask.labels)
    facts = training_facts(path, found, ask)
    channels = ask.channels or (facts.channels if facts else None)
    white = ask.rules.white or (facts.white if facts else None)
    decoder = Decoder(found.archive, found.names, replace(ask.rules, channels=channels or 3, white=white))
    decoder, shape, held = read(decoder, split, ask, fixed=channels is not None)

    def stats(pixels: Tensor | None) -> Stats:
        if facts is not None:
            return ask.stats or facts.stats
        if ask.stats is not None:
            return ask.stats
        measured = sampled_stats(decoder) if pixels is None else channel_stats(pixels)
        FACTS_OF[key(path, found.classes, ask)] = Facts(measured, decoder.rules.channels, decoder.rules.white)
        return measured

    labels, ids = torch.tensor(found.labels), tuple(shown(name) for name in found.names)
    if ask.rules.size is None and shape is not None:  # what is not scaled is not cropped
        decoder = with_rules(decoder, crop=1.0)
    rules = decoder.rules
    kept: dict[str, Any] = {"source": shown(str(path)), "white": rules.white, "crop": rules.crop, "exif": rules.exif}
    classes = tuple(found.classes)
    if held is not None:
        pixels, good = held
        mean, std = stats(pixels)
        ids = tuple(ids[i] for i in good)
        return ImageSet(labels[good], classes, ids, mean, std, images=pixels, **kept)
    decoder = with_rules(decoder, size=shape)
    mean, std = stats(None)
    rows = torch.arange(len(ids))
    whole = ImageStream(labels, classes, ids, mean, std, decoder=decoder, rows=rows, **kept)
    broken = faults(decoder, f"checking {split}") if ask.on_error == "skip" else {}
    warn_of(list(broken.values()), len(ids))
    return whole[[row for row in range(len(ids)) if row not in broken]] if broken else whole


def read(
    decoder: Decoder, split: str, ask: Request, fixed: bool
) -> tuple[Decoder, tuple[int, int] | None, tuple[Tensor, list[int]] | None]:
    """Find out what the pictures are, and read them if they fit into memory.

    64 headers are enough for most sets. Where reading meets a picture that they did not make expect, or the set is to
    be a stream, or has more than 8 bits, all headers are looked at.

    Returns:
        The decoder that fits the pictures, their (h, w) if they have one, and the pixels with the indices of those
        that could be read; none of a set that is too large.
    """
    limit = free_memory() // 2 if ask.memory_limit is None else ask.memory_limit
    shape: tuple[int, int] | None = None
    for everything in (False, True):
        seen = look(decoder, everything)
        if not everything and seen.deep and decoder.rules.white is None:
            continue
        shape = ask.rules.size or seen.size
        chosen = with_rules(
            decoder,
            channels=decoder.rules.channels if fixed else seen.channels,
            white=decoder.rules.white or seen.white,
            grey_only=not everything and not fixed and seen.channels == 1,
            shallow_only=not everything and decoder.rules.white is None,
        )
        fits = shape is not None and len(decoder) * chosen.rules.channels * shape[0] * shape[1] <= limit
        if seen.readable and not fits:  # of what is broken, reading says what
            if everything:
                break
            continue
        try:
            return chosen, shape, decode_all(chosen, f"reading {split}", ask.on_error)
        except Unexpected:
            shape = ask.rules.size
        except MemoryError:
            pass
    return with_rules(chosen, grey_only=False, shallow_only=False), shape, None


def training_facts(path: Path, found: Found, ask: Request) -> Facts | None:
    """What the training split says of its pictures; None where this is it, there is none, or all is known."""
    if found.training is None or (ask.stats is not None and ask.channels is not None):
        return None
    kept = [name for name in found.classes if name in found.training]
    place = key(path, kept, ask)
    if place not in FACTS_OF and kept:
        train = from_files(path, "train", replace(ask, classes=kept, on_error="skip", stats=None))
        shape = train.decoder.rules.channels if isinstance(train, ImageStream) else train.shape[0]
        FACTS_OF[place] = Facts((train.mean, train.std), shape, train.white)
    return FACTS_OF.get(place)


def key(path: Path, classes: Sequence[str], ask: Request) -> tuple[object, ...]:
    return (path.resolve(), path.stat().st_mtime_ns, tuple(classes), ask.labels, ask.channels, ask.rules)
