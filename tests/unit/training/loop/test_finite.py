"""What an epoch adds up: on the host, in float64, and looked at for what is no number."""

import math

import pytest
import torch

from smallnets.training.loop.finite import Sums, Tally


def test_losses_and_hits_are_those_of_all_samples_in_float64() -> None:
    tally = Tally(torch.device("cpu"))
    tally.begin()
    losses = torch.rand(100, dtype=torch.float32) + 1e6
    for step, loss in enumerate(losses):
        assert tally.note(step, 0.1, torch.stack([loss, torch.tensor(7.0), torch.tensor(3.0)])) is None
    total = math.fsum(float(loss) * 7 for loss in losses.double())
    assert tally.sums == Sums(total, 700, 300) and tally.sums.mean == total / 700


def test_a_stand_in_counts_for_nothing() -> None:
    tally = Tally(torch.device("cpu"))
    tally.begin(Sums(5.0, 4.0, 2))
    tally.note(0, 0.1, torch.tensor([3.0, 2.0, 1.0]), counts=False)
    assert tally.sums == Sums(5.0, 4.0, 2)


def test_a_device_is_asked_now_and_then_and_the_first_bad_step_is_told() -> None:
    tally = Tally(torch.device("cuda"))  # what it is given may lie anywhere
    tally.begin()
    losses = [math.nan if step in (3, 5) else 1.0 for step in range(70)]
    seen = [tally.note(step, step / 10, torch.tensor([loss, 2.0, 1.0])) for step, loss in enumerate(losses)]
    assert seen[:63] == [None] * 63 and seen[63:] == [(3, 0.3)] * 7
    tally.begin()
    tally.note(0, 0.1, torch.tensor([1.0, 2.0, 1.0]))
    assert tally.look() is None and tally.sums.loss == 2.0


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_whatever_is_no_number_is_bad(bad: float) -> None:
    tally = Tally(torch.device("cpu"))
    tally.begin()
    assert tally.note(8, 0.5, torch.tensor([bad, 1.0, 0.0])) == (8, 0.5)
