"""Which updates may be captured: those whose replay is sure to do the same."""

from typing import Any

import pytest
import torch
from torch import nn

import smallnets as sn
from smallnets import FitOptions
from smallnets.training.plan.calibrate import open_choices
from smallnets.training.plan.captured import can_be_captured
from smallnets.training.plan.plan import Plan, bf16_is_emulated, fixed_plan

GPU = torch.device("cuda", 0)


class Own(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def hooked() -> nn.Module:
    net = sn.lenet5()
    net.register_forward_hook(lambda *_: None)
    return net


def counting() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.BatchNorm1d(4, momentum=None))


@pytest.mark.parametrize("name", [*sn.list_models("*1[68]"), "lenet5", "convnet3", "resnet20", "alexnet"])
def test_the_zoos_nets_may(name: str) -> None:
    with torch.device("meta"):
        net = sn.build(name)
    assert can_be_captured(net, FitOptions(), GPU, 1)


@pytest.mark.parametrize("net", [Own(), nn.Sequential(nn.ReLU(), Own()), hooked(), counting()])
def test_a_layer_of_ones_own_a_hook_and_a_count_may_not(net: nn.Module) -> None:
    assert not can_be_captured(net, FitOptions(), GPU, 1)


@pytest.mark.parametrize(
    "options",
    [
        {"mix": "mixup(0.2)"},
        {"accumulate": 2},
        {"deterministic": True},
        {"loss": nn.functional.cross_entropy},
        {"optimizer": torch.optim.SGD},
    ],
)
def test_what_python_draws_or_chooses_each_step_may_not(options: dict[str, Any]) -> None:
    assert not can_be_captured(sn.lenet5(), FitOptions(**options), GPU, 1)


def test_several_processes_and_a_cpu_may_not() -> None:
    assert not can_be_captured(sn.lenet5(), FitOptions(), GPU, 2)
    assert not can_be_captured(sn.lenet5(), FitOptions(), torch.device("cpu"), 1)


def test_a_stored_plan_keeps_it_unless_told_otherwise() -> None:
    stored = Plan(GPU, "bf16", True, graph=True).to_record()
    assert fixed_plan(FitOptions(), GPU, stored) == Plan(GPU, "bf16", True, graph=True)
    assert not fixed_plan(FitOptions(compile=False), GPU, stored).graph
    assert not fixed_plan(FitOptions(deterministic=True), GPU, stored).graph


@pytest.mark.parametrize(("supported", "low"), [(True, "bf16"), (False, "fp16")])
def test_a_gpu_that_emulates_bf16_is_offered_fp16(monkeypatch: pytest.MonkeyPatch, supported: bool, low: str) -> None:
    """As on Colab's and Kaggle's T4: torch says that bf16 works, and emulates it."""
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: supported or including_emulation
    )
    assert bf16_is_emulated(GPU) == (not supported) and not bf16_is_emulated(torch.device("cpu"))
    assert [plan.precision for plan in open_choices(FitOptions(), Plan(GPU))] == ["fp32", low, low, "fp32"]
