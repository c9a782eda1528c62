"""A set under an index of any kind: what Python, NumPy and torch say of it, or one sentence."""

from typing import Any

import numpy as np
import pytest
import torch

from smallnets import OptionError
from smallnets.data import ImageSet

SET = ImageSet(
    labels=torch.arange(6) % 3,
    classes=("a", "b", "c"),
    ids=tuple("012345"),
    mean=(0.5,),
    std=(0.5,),
    images=torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1),
)
NUMBERS = list(range(6))


@pytest.mark.parametrize("index", [0, -1, 5, np.int64(2), np.uint8(3), torch.tensor(4), torch.tensor(-6), np.array(1)])
def test_one_place_is_a_sample(index: Any) -> None:
    picture, label = SET[index]
    assert picture.item() == NUMBERS[int(index)] and label == NUMBERS[int(index)] % 3


@pytest.mark.parametrize(
    "index",
    [
        slice(None), slice(None, None, -1), slice(4, 0, -2), slice(2, 99), slice(3, 3), [], (), [1, -1, 1], (0, 5),
        np.array([2, 0]), np.array([2, 0], dtype=np.uint8), torch.tensor([3, -3]), torch.tensor([1, 0], dtype=torch.uint8),
        range(4, 0, -1), [True, False] * 3, torch.tensor([True] * 6), np.zeros(6, dtype=bool), torch.zeros(0),
        [torch.tensor(1), torch.tensor(2)],
    ],
)  # fmt: skip
def test_several_places_are_a_set(index: Any) -> None:
    rows = index if isinstance(index, slice) else np.asarray(index)
    expected = np.arange(6)[rows if isinstance(index, slice) or len(rows) else []].tolist()
    part = SET[index]
    assert part.images.flatten().tolist() == expected == [int(name) for name in part.ids]


@pytest.mark.parametrize(
    "index",
    [
        None, 3.5, float("nan"), "x", ["x"], b"x", [None], [1, 2.5], [[1, 2], [3]], [[1]], torch.zeros(2), torch.tensor(0.0),
        np.zeros((2, 2), dtype=int), {"a": 1}, {1}, object(), ..., 1j, slice("a", "b"), slice(None, None, 0), [True],
        [True] * 7, [10**30], np.array(["a"]), SET, torch.zeros(2, device="meta"),
    ],
)  # fmt: skip
def test_what_is_no_index_is_refused_in_one_sentence(index: Any) -> None:
    with pytest.raises(OptionError) as caught:
        SET[index]
    assert len(str(caught.value)) < 300 and "\n" not in str(caught.value)


@pytest.mark.parametrize("index", [6, -7, 2**70, torch.tensor(99), [0, 6], np.array([-7]), torch.tensor([2, 60])])
def test_a_place_outside_is_pythons_index_error_and_ours(index: Any) -> None:
    with pytest.raises(IndexError, match="among 6 pictures"):
        SET[index]
    with pytest.raises(OptionError):
        SET[index]
    assert len(list(SET)) == 6  # type: ignore[call-overload]  # the protocol of sequences ends by it
