"""What may be handed over as data: each refusal, in one sentence."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset

import smallnets as sn
from smallnets import DataError
from smallnets.training.feed.samples import first_picture, understand, workers_errors_plain


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


def test_a_workers_error_is_said_without_its_traceback() -> None:
    with pytest.raises(DataError, match=r"^load: expected this; got that.$"), workers_errors_plain():
        raise DataError(
            "Caught DataError in worker 0.\nTraceback:\n  smallnets.DataError: load: expected this; got that.\n"
        )


class Own(Dataset[Any]):
    def __init__(self, sample: Any) -> None:
        self.sample = sample

    def __len__(self) -> int:
        return 9

    def __getitem__(self, index: int) -> Any:
        return self.sample(index) if callable(self.sample) else self.sample


IMAGE = torch.zeros(1, 8, 8)
PAIRS = r"give pairs of them: \(image tensor, label\)\."
NOT_PAIRS: list[tuple[Any, str]] = [
    ({"image": IMAGE, "label": 0}, rf"got a? ?dict.*{PAIRS}"),
    ((IMAGE, 0, "name"), rf"got 3 parts\. .*{PAIRS}"),
    (("a.png", 0), r"got (str\. Put transforms.ToTensor|a list of tuple\. Let the Dataset)"),
    ((IMAGE, "cat"), r"expected a whole-numbered label a picture; got a tuple of str\. Give each class a number\."),
    ((IMAGE, 0.5), r"expected a whole-numbered label a picture; got \(\d,\) torch.float64\. Of probabilities"),
    (
        (IMAGE, None),
        r"expected samples that make a batch; .*NoneType'>\. Bring them to one size, and give each a number",
    ),
    (
        lambda index: (IMAGE[:, index:], 0),
        r"expected samples that make a batch; .*(equal|several) size.*\. Bring them to one",
    ),
    ((IMAGE.view(8, 8, 1), 0), r"got \(8, 8, 1\), channels last\. Turn them: images.permute\(0, 3, 1, 2\)"),
]


@pytest.mark.parametrize(("sample", "text"), NOT_PAIRS, ids=range(len(NOT_PAIRS)))
@pytest.mark.parametrize("workers", [None, 0, 2])
def test_samples_that_are_no_pairs_are_told_in_one_sentence(sample: Any, text: str, workers: int | None) -> None:
    data: Any = Own(sample) if workers is None else DataLoader(Own(sample), 4, num_workers=workers)
    net = sn.convnet3(10, in_channels=1, input_size=8)
    for call in (lambda: sn.fit(net, data, progress=False, device="cpu"), lambda: sn.evaluate(net, data, device="cpu")):
        with pytest.raises(DataError, match=text) as caught:
            call()
        assert "\n" not in str(caught.value)
