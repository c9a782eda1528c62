"""A user's Dataset whose own randomness starts from (seed, epoch, sample index), as all else does."""

import contextlib
import random
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from ..data.stateless import key


class Seeded(Dataset[Any]):
    """Seeds torch's, NumPy's and Python's generators for each sample, which its transforms may draw from.

    So an epoch that goes on in the middle draws what it would have drawn, in this process or in workers.
    """

    def __init__(self, data: Dataset[Any], seed: int) -> None:
        self.data, self.seed, self.epoch = data, seed, 0

    def __len__(self) -> int:
        return len(self.data)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    def __getitem__(self, index: int) -> Any:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> Any:
        with lent_generators():
            together = getattr(self.data, "__getitems__", None)
            if together is not None:
                seed_everything(key(self.seed, 4, self.epoch, *indices))
                return together(indices)
            found: list[Any] = []
            for index in indices:
                seed_everything(key(self.seed, 4, self.epoch, index))
                found.append(self.data[index])
            return found


def seed_everything(seed: int) -> None:
    torch.default_generator.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - the one that transforms draw from


@contextlib.contextmanager
def lent_generators() -> Generator[None, None, None]:
    """The global generators for a while; then they stand where they stood."""
    before = torch.default_generator.get_state(), random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        torch.default_generator.set_state(before[0])
        random.setstate(before[1])
        np.random.set_state(before[2])  # noqa: NPY002
