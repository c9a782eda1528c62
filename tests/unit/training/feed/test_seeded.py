"""A Dataset's own randomness: the same for the same (seed, epoch, sample), and nobody else's generator is moved."""

import pickle
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from smallnets.training.feed.batches import loader_over, together
from smallnets.training.feed.seeded import Seeded

DRAWS = {
    "torch": lambda: torch.rand(()).item(),
    "random": random.random,
    "numpy": lambda: float(np.random.random()),  # noqa: NPY002 - the one that transforms draw from
}


class Drawing(Dataset[Any]):
    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __len__(self) -> int:
        return 9

    def __getitem__(self, index: int) -> float:
        return DRAWS[self.kind]()


class Together(Drawing):
    """One that hands over several at once, as torchvision's newer ones and ``Subset`` do."""

    def __getitems__(self, indices: Sequence[int]) -> list[float]:
        first = DRAWS[self.kind]()
        return [first + index for index in indices]


def drawn(data: Seeded, epoch: int, *indices: int) -> list[float]:
    data.epoch = epoch
    return data.__getitems__(list(indices))


@pytest.mark.parametrize("kind", DRAWS)
def test_draws_are_a_function_of_seed_epoch_and_sample(kind: str) -> None:
    data = Seeded(Drawing(kind), 3)
    first = drawn(data, 0, 4, 5)
    assert first[0] != first[1]
    DRAWS[kind]()  # wherever the caller's generator stands
    assert drawn(data, 0, 4, 5) == first == [data[4], drawn(data, 0, 8, 5)[1]]
    assert not {*first} & {*drawn(data, 1, 4, 5), *drawn(Seeded(Drawing(kind), 4), 0, 4, 5)}


@pytest.mark.parametrize("kind", DRAWS)
def test_several_at_once_are_drawn_at_once(kind: str) -> None:
    data = Seeded(Together(kind), 3)
    first = drawn(data, 0, 4, 5)
    DRAWS[kind]()
    assert drawn(data, 0, 4, 5) == first == [first[0], first[0] + 1]
    assert drawn(data, 1, 4, 5) != first and drawn(data, 0, 4, 6)[0] != first[0]


@pytest.mark.parametrize("kind", DRAWS)
@pytest.mark.parametrize("data", [Drawing, Together])
def test_the_callers_generators_stand_where_they_stood(kind: str, data: type[Drawing]) -> None:
    def begin() -> None:
        torch.manual_seed(1)
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002

    begin()
    expected = DRAWS[kind]()
    begin()
    drawn(Seeded(data(kind), 3), 0, 1, 2)
    assert DRAWS[kind]() == expected


def test_where_workers_are_spawned_the_data_can_be_sent_to_them() -> None:
    """Not every system forks: there the Dataset and what makes its batches are pickled."""
    loader = loader_over(Seeded(Drawing("torch"), 3, 1), [torch.tensor([4, 5])], 0, torch.device("cpu"), 0)
    data, collate = pickle.loads(pickle.dumps((loader.dataset, loader.collate_fn)))
    assert collate is together and data.__getitems__([4, 5]) == drawn(Seeded(Drawing("torch"), 3), 1, 4, 5)
