"""What an epoch adds up: on the host, in float64, and looked at for what is no number."""

import math

import pytest
import torch

from smallnets.training.loop.finite import Tally


def test_losses_and_hits_are_those_of_all_samples_in_float64() -> None:
    tally = Tally(torch.device("cpu"))
    tally.begin(0.0, 0)
    losses = torch.rand(100, dtype=torch.float32) + 1e6
    for step, loss in enumerate(losses):
        assert tally.note(step, 0.1, torch.stack([loss, torch.tensor(3.0)]), 7) is None
    assert tally.loss_sum == math.fsum(float(loss) * 7 for loss in losses.double()) and tally.correct == 300


def test_a_stand_in_counts_for_nothing() -> None:
    tally = Tally(torch.device("cpu"))
    tally.begin(5.0, 2)
    tally.note(0, 0.1, torch.tensor([3.0, 1.0]), 0.0)
    assert (tally.loss_sum, tally.correct) == (5.0, 2)


def test_a_device_is_asked_now_and_then_and_the_first_bad_step_is_told() -> None:
    tally = Tally(torch.device("cuda"))  # what it is given may lie anywhere
    tally.begin(0.0, 0)
    seen = [
        tally.note(step, step / 10, torch.tensor([math.nan if step in (3, 5) else 1.0, 1.0]), 2) for step in range(70)
    ]
    assert seen[:63] == [None] * 63 and seen[63:] == [(3, 0.3)] * 7
    tally.begin(0.0, 0)
    tally.note(0, 0.1, torch.tensor([1.0, 1.0]), 2)
    assert tally.look() is None and tally.loss_sum == 2.0


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_whatever_is_no_number_is_bad(bad: float) -> None:
    tally = Tally(torch.device("cpu"))
    tally.begin(0.0, 0)
    assert tally.note(8, 0.5, torch.tensor([bad, 0.0]), 1) == (8, 0.5)
