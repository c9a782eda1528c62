"""What goes wrong where samples are read and batches are made: one sentence, without a worker's traceback."""

from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

import smallnets as sn
from smallnets import DataError
from smallnets.training.feed.worker_errors import workers_errors_plain


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
