"""Randomness without state: every number is a function of (seed, epoch, sample index, purpose).

So a mid-epoch resume needs no saved generators, and the number of workers or processes changes nothing.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Uniforms = npt.NDArray[np.float64]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
ALL_BITS = (1 << 64) - 1


def mix(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64's finaliser (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators")."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def key(*numbers: int) -> int:
    """One 63-bit number out of several, for seeding a generator.

    >>> key(0, 1) != key(1, 0)
    True
    """
    state = 0
    for number in numbers:  # plain integers: this is asked for at every step
        state = (state + int(GOLDEN) + number) & ALL_BITS
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & ALL_BITS
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & ALL_BITS
        state ^= state >> 31
    return state >> 1


def uniforms(seed: int, epoch: int, index: Tensor, count: int) -> Uniforms:
    """``count`` numbers in [0, 1) for each sample, (count, N), from (seed, epoch, sample index) alone."""
    rows = index.numpy().astype(np.uint64)
    draws = np.arange(1, count + 1, dtype=np.uint64)[:, None]
    state = mix(mix(rows[None] * GOLDEN + np.uint64(key(seed, epoch))) + draws * GOLDEN)
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53


def order(seed: int, epoch: int, count: int) -> Tensor:
    """The order in which an epoch visits its samples: a permutation from (seed, epoch) alone."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(key(seed, epoch, 0)))
