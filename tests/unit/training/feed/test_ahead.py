"""The thread that prepares batches beside a GPU: same batches, errors handed on, nothing left running."""

import threading
from collections.abc import Generator

import pytest
import torch

from smallnets.training.feed.batches import Batch, ahead


def batches(count: int, fail: bool = False) -> Generator[Batch, None, None]:
    for number in range(count):
        yield Batch(torch.full((1, 1, 2, 2), float(number)), torch.tensor([number]), 1)
    if fail:
        raise OSError("the disk is gone")


def running() -> bool:
    return any(thread.name == "smallnets-feed" for thread in threading.enumerate())


def test_the_batches_come_in_order() -> None:
    assert [int(batch.labels) for batch in ahead(batches(5))] == [0, 1, 2, 3, 4]
    assert not running()


def test_an_error_reaches_the_caller_after_the_batches_before_it() -> None:
    prepared = ahead(batches(2, fail=True))
    assert int(next(prepared).labels) == 0 and int(next(prepared).labels) == 1
    with pytest.raises(OSError, match="disk is gone"):
        next(prepared)
    assert not running()


def test_a_caller_who_stops_early_leaves_no_thread() -> None:
    prepared = ahead(batches(100))
    next(prepared)
    assert running()
    prepared.close()
    assert not running()
