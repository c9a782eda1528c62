"""Mean and standard deviation of a set's pixels, and how much memory there is for them."""

import itertools
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from .decoding import Broken, Decoder, decode_all, in_threads, with_rules

PART = 1 << 24  # numbers of pictures that are counted at once
SAMPLE = 4096  # pictures whose mean and std stand for a whole stream

Stats = tuple[tuple[float, ...], tuple[float, ...]]


class Facts(NamedTuple):
    """What a training split tells its other splits."""

    stats: Stats
    channels: int
    white: int | None = None


FACTS_OF: dict[tuple[object, ...], Facts] = {}  # so that "test" need not read "train" again


def channel_stats(images: Tensor) -> Stats:
    """Mean and standard deviation a channel over all pixels, in [0, 1]; a constant channel's std is 1."""
    return stats_of_parts(images.split(max(1, PART // max(1, images[:1].numel()))))


def stats_of_parts(parts: Iterable[Tensor]) -> Stats:
    """``channel_stats`` of uint8 pictures that come a few at a time: how often each value occurs says both, exactly."""
    counts = torch.zeros(1, 256, dtype=torch.float64)
    for part in parts:
        counts = counts + torch.stack([torch.bincount(one.flatten(), minlength=256) for one in part.unbind(1)])
    values, pixels = torch.arange(256, dtype=torch.float64), counts.sum(dim=1)
    mean = counts @ values / pixels
    std = (counts @ values.square() / pixels - mean.square()).clamp(min=0).sqrt()
    std = torch.where(std > 0, std, 255.0)
    return tuple((mean / 255).tolist()), tuple((std / 255).tolist())


def sampled_stats(decoder: Decoder) -> Stats:
    """Mean and std of a stream, by evenly spaced pictures of it at one size, few of them in memory at a time.

    Raises:
        DataError: When none of them can be read.
    """
    few = [decoder.names[row] for row in range(0, len(decoder), max(1, len(decoder) // SAMPLE))]
    sampled = with_rules(Decoder(decoder.archive, few, decoder.rules), size=decoder.rules.size or (64, 64))
    found = in_threads(sampled.picture, range(len(few)), chunk=1)
    parts = (torch.from_numpy(picture)[None] for picture in found if not isinstance(picture, Broken))
    first = next(parts, None)
    if first is None:
        decode_all(sampled, "measuring", "quiet")  # which says why
    return stats_of_parts(itertools.chain([] if first is None else [first], parts))


def free_memory() -> int:
    """Bytes of memory that this process may still take: of the machine's, its container's and its own limit."""
    room = [limit for limit in (free_in_machine(), free_in_container(), free_in_process()) if limit is not None]
    return min(room, default=4 << 30)


def free_in_machine() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (OSError, ValueError, AttributeError):
        return None


def free_in_container() -> int | None:
    """What a control group leaves (Linux, version 2)."""
    group = Path("/sys/fs/cgroup")
    try:
        return max(0, int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    except (OSError, ValueError):  # "max" where there is no limit
        return None


def free_in_process() -> int | None:
    """What ``ulimit -v`` leaves."""
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (ImportError, OSError, ValueError, AttributeError):
        return None
    return None if limit == resource.RLIM_INFINITY else max(0, limit - taken)
