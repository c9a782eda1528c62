"""The learning-rate range test."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import smallnets as sn
from smallnets import OptionError
from smallnets.data import load
from smallnets.training.find_lr import steepest


def test_it_finds_a_rate_that_trains(tmp_path: Path) -> None:
    torch.manual_seed(0)
    train, net = load("digits"), sn.lenet5()
    before = [p.clone() for p in net.parameters()]
    state = torch.get_rng_state()
    curve = sn.find_lr(net, train, device="cpu")
    assert str(curve).startswith(f"learning rate {curve.suggestion:.2g}, of {len(curve.lrs)} tried from 1e-06 to ")
    assert torch.equal(torch.get_rng_state(), state)
    assert curve.lrs[1] / curve.lrs[0] == pytest.approx((10 / 1e-6) ** (1 / 99))  # 100 steps, both ends among them
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True)) and net.training
    assert curve.losses[0] == pytest.approx(math.log(10), rel=0.05)  # a running mean that does not start from zero
    assert curve.lrs[0] == pytest.approx(1e-6) and list(curve.lrs) == sorted(curve.lrs)
    assert len(curve.lrs) == len(curve.losses) < 100  # it ended early: the loss had exploded
    history = sn.fit(net, train, epochs=3, lr=curve.suggestion, progress=False, device="cpu")
    assert history["accuracy"][-1] > 0.5
    curve.plot(tmp_path / "lr.png")
    assert (tmp_path / "lr.png").stat().st_size > 5000


def test_a_quadratic_has_a_known_answer() -> None:
    """Plain descent on w^2/2 multiplies w by (1 - lr): the loss falls until lr passes 2."""

    class Parabola(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.tensor([3.0]))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([self.w.expand(len(x), 1), torch.zeros(len(x), 1)], dim=1)

    data = (torch.zeros(64, 1, 2, 2), torch.arange(64) % 2)
    curve = sn.find_lr(
        Parabola(), data, optimizer="sgd", momentum=0.0, weight_decay=0.0, start=1e-3, end=1e3, device="cpu"
    )
    lowest = curve.lrs[curve.losses.index(min(curve.losses))]
    assert curve.suggestion < lowest


def test_the_steepest_descent() -> None:
    lrs = [10.0**i for i in range(8)]
    assert steepest(lrs, [5, 4.9, 4.5, 2.0, 1.9, 2.1, 9, 50]) == 100.0
    assert steepest(lrs, [5, 4.9, 4.5, 2.0, 1.9, 50, 9, 2.1]) == 100.0  # what falls after the minimum is noise
    with pytest.raises(OptionError, match=r"expected a loss that falls somewhere; got none. Take a smaller start."):
        steepest(lrs, [1, 2, 3, 4, 5, 6, 7, 8])
    with pytest.raises(OptionError, match="got none"):
        steepest(lrs, [2, 1, 3, 4, 5, 6, 7, 8])  # one low value in a rise


def test_it_ends_at_the_first_loss_that_is_no_number() -> None:
    torch.manual_seed(0)
    curve = sn.find_lr(sn.lenet5(), load("digits"), optimizer="sgd", start=1e-3, end=1e13, steps=17, device="cpu")
    assert 3 < len(curve.losses) < 12 and all(map(math.isfinite, curve.losses))


BAD: list[tuple[dict[str, Any], str]] = [
    ({"start": 1, "end": 0.1}, "find_lr: expected 0 < start < end; got start 1 and end 0.1."),
    ({"steps": 3}, "find_lr: expected steps to be an integer of at least 10; got 3."),
    ({"optimizer": torch.optim.SGD([torch.zeros(1)])}, "expected an optimizer's name or a factory; got an instance."),
    ({"optimizer": "sdg"}, "Did you mean 'sgd'?"),
]


@pytest.mark.parametrize(("options", "text"), BAD)
def test_bad_arguments(options: dict[str, Any], text: str) -> None:
    with pytest.raises(OptionError, match=re.escape(text)):
        sn.find_lr(sn.lenet5(), load("digits"), **options)


def test_tensors_are_taken_as_they_are_as_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """They may be anything: no crop, no mirror image."""
    from smallnets.data.augment import Crop

    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(Crop, "__call__", never)
    digits = load("digits")
    pair = digits.images[:64] / 255, digits.labels[:64]
    torch.manual_seed(0)
    assert sn.find_lr(sn.lenet5(), pair, steps=20, batch_size=32).suggestion > 0
