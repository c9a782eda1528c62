"""Schedules against torch's own."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from smallnets import OptionError
from smallnets.training.schedules import Plateau, Schedule, parse_schedule


def optimizer(lr: float = 1.0) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)


def rates(scheduler: lr_scheduler.LRScheduler, steps: int) -> list[float]:
    found = []
    for _ in range(steps):
        found.append(scheduler.optimizer.param_groups[0]["lr"])
        scheduler.optimizer.step()
        scheduler.step()
    return found


@given(total=st.integers(8, 300))
def test_onecycle_is_torchs(total: int) -> None:
    oracle = lr_scheduler.OneCycleLR(optimizer(), 1.0, total_steps=total + 1, cycle_momentum=False)
    schedule = Schedule("onecycle", 1, total + 1)
    assert [schedule.factor(step) for step in range(total)] == pytest.approx(rates(oracle, total), abs=1e-9)


@given(total=st.integers(1, 200))
def test_cosine_is_torchs(total: int) -> None:
    oracle = lr_scheduler.CosineAnnealingLR(optimizer(), total)
    assert [Schedule("cosine", 1, total).factor(s) for s in range(total)] == pytest.approx(
        rates(oracle, total), abs=1e-9
    )


@given(epochs=st.integers(1, 5), per_epoch=st.integers(1, 4), factor=st.floats(0.05, 0.9))
def test_step_is_torchs(epochs: int, per_epoch: int, factor: float) -> None:
    oracle = lr_scheduler.StepLR(optimizer(), epochs * per_epoch, factor)
    schedule = Schedule(f"step({epochs}, {factor!r})", per_epoch, 40)
    assert [schedule.factor(step) for step in range(40)] == pytest.approx(rates(oracle, 40))


@given(losses=st.lists(st.floats(0.5, 2.0), min_size=15, max_size=60))
def test_plateau_is_torchs(losses: list[float]) -> None:
    oracle = lr_scheduler.ReduceLROnPlateau(optimizer())
    plateau = Plateau()
    for loss in losses:
        oracle.step(loss)
        plateau.after_epoch(loss)
        assert plateau.factor == pytest.approx(oracle.optimizer.param_groups[0]["lr"])


def test_a_loss_that_falls_by_next_to_nothing_is_a_plateau() -> None:
    plateau, oracle = Plateau(), lr_scheduler.ReduceLROnPlateau(optimizer())
    for epoch in range(30):
        plateau.after_epoch(1 - 1e-6 * epoch)
        oracle.step(1 - 1e-6 * epoch)
    assert plateau.factor == pytest.approx(oracle.optimizer.param_groups[0]["lr"]) and plateau.factor < 1


def test_warmup_rises_in_equal_steps_in_front() -> None:
    schedule = Schedule("cosine", 10, 100, warmup=20)
    assert [schedule.factor(step) for step in (0, 9, 19, 20)] == pytest.approx([0.05, 0.5, 1.0, 1.0])
    assert schedule.factor(60) == pytest.approx(0.5)


def test_a_function_gets_step_and_total() -> None:
    assert Schedule(lambda step, total: step / total, 5, 50).factor(25) == 0.5


def test_fractions_are_read() -> None:
    assert parse_schedule("step(20, 1/3)") == ("step", 20, pytest.approx(1 / 3))


@pytest.mark.parametrize("text", ["onecycl", "step(0, 0.1)", "step(5)", "step(5, 0)", "step(5, 1/0)", "step(5, x)", ""])
def test_unknown_schedules_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match=r"fit: expected schedule to be one of 'constant', .*; got "):
        parse_schedule(text)


def test_a_warmup_stands_in_front_of_every_kind() -> None:
    half = Plateau(factor=0.5)
    kinds = (("constant", 1.0), ("plateau", 0.5), ("step(1, 0.1)", 0.1), (lambda step, total: 0.25, 0.25))
    for kind, after in kinds:
        schedule = Schedule(kind, 4, 8, warmup=8, plateau=half)
        assert schedule.factor(5) == pytest.approx(0.75 * after)


def test_a_single_step_is_taken_at_the_full_rate() -> None:
    assert Schedule("onecycle", 1, 1).factor(0) == 1.0
