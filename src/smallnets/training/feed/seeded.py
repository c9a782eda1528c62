"""A user's Dataset whose own randomness starts from (seed, epoch, sample index), as all else does."""

from collections.abc import Generator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from ...data.stateless import key
from ..preserve import global_state, lent_generators, seed_everything, set_global_state


class Seeded(Dataset[Any]):
    """Seeds torch's, NumPy's and Python's generators for each sample, which its transforms may draw from.

    So an epoch that goes on in the middle draws what it would have drawn, in this process or in workers.
    """

    def __init__(self, data: Dataset[object], seed: int, epoch: int = 0) -> None:
        self.data, self.seed, self.epoch = data, seed, epoch

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


def epoch_of(loader: DataLoader[object], seed: int) -> Generator[Any, None, None]:
    """The batches of a user's DataLoader, all that is drawn for them from ``seed``.

    It draws its order, and often its transforms, from the global generators: they are lent for each batch. One that it
    was given of its own is seeded for the epoch; in the end it stands where it stood.
    """
    owners = (loader, loader.sampler, loader.batch_sampler, getattr(loader.batch_sampler, "sampler", None))
    found = {getattr(owner, "generator", None) for owner in owners}
    given = [generator for generator in found if isinstance(generator, torch.Generator)]
    before = [(generator, generator.get_state()) for generator in given]
    for generator in given:
        generator.manual_seed(seed)
    with lent_generators():
        seed_everything(seed)
        state = global_state()
    batches = None
    try:
        while True:
            with lent_generators():
                set_global_state(state)
                batches = iter(loader) if batches is None else batches
                try:
                    batch = next(batches)
                except StopIteration:
                    return
                state = global_state()
            yield batch
    finally:
        for generator, stood in before:
            generator.set_state(stood)
