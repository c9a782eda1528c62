"""Mean and standard deviation of a set's pixels, and how much memory there is for them."""

import os
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import DataError, message
from .decoding import Decoder, decode_all, with_rules

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
    total = torch.zeros(images.shape[1], dtype=torch.float64)
    squares = torch.zeros_like(total)
    for part in images.split(1024):
        pixels = part.transpose(0, 1).flatten(1).float()
        total += pixels.sum(dim=1, dtype=torch.float64)
        squares += pixels.square_().sum(dim=1, dtype=torch.float64)
    count = images.numel() // images.shape[1]
    mean = total / count
    std = (squares / count - mean.square()).clamp(min=0).sqrt()
    std = torch.where(std > 0, std, 255.0)
    return tuple((mean / 255).tolist()), tuple((std / 255).tolist())


def sample(decoder: Decoder) -> Tensor:
    """Evenly spaced pictures of a stream at one size, for their mean and std."""
    rows = range(0, len(decoder), max(1, len(decoder) // SAMPLE))
    few = Decoder(decoder.archive, [decoder.names[row] for row in rows], decoder.rules)
    size = decoder.rules.size or (64, 64)
    try:
        return decode_all(with_rules(few, size=size), "measuring", "quiet")[0]
    except MemoryError as error:
        needed = f"memory for {len(few)} pictures of {decoder.rules.channels}x{size[0]}x{size[1]}"
        raise DataError(message("load", needed, "too little", "Give a smaller size=, or stats=.")) from error


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
