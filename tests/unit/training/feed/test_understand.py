"""What may be handed over as data: each refusal, in one sentence."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset

from smallnets import DataError
from smallnets.training.feed.suits import first_picture
from smallnets.training.feed.understand import understand


class Endless(IterableDataset[int]):
    def __iter__(self) -> Iterator[int]:
        return iter(())


class Paths(Dataset[Any]):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> tuple[str, int]:
        return "a path, no picture", 0


PICTURES = torch.zeros(4, 1, 8, 8)
BAD: list[tuple[Any, str]] = [
    (DataLoader(Endless()), "expected a DataLoader over a Dataset with a length; got Endless."),
    ((PICTURES[0], torch.zeros(1, dtype=torch.int64)), r"expected images \(N, C, H, W\) and N whole-numbered labels"),
    ((PICTURES, torch.zeros(5, dtype=torch.int64)), r"expected images \(N, C, H, W\) and N whole-numbered labels"),
    ((PICTURES.int(), np.zeros(4, dtype=np.int64)), "expected images of uint8 or a float type; got torch.int32."),
    ((PICTURES, torch.zeros(4), 3), "expected an ImageSet, an ImageStream, a pair .*; got tuple."),
]


@pytest.mark.parametrize(("data", "text"), BAD, ids=range(len(BAD)))
def test_refusals(data: Any, text: str) -> None:
    with pytest.raises(DataError, match=rf"^evaluate: {text}"):
        understand(data, "evaluate")


def test_a_dataset_without_tensors_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"expected a Dataset of \(image tensor, label\); got str. Put transforms.ToTen"
    ):
        first_picture(understand(Paths(), "fit"))
