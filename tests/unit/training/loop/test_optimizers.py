"""What decays: everything, as torch has it, or weights alone."""

from typing import Any

import pytest
import torch
from torch import nn

import smallnets as sn
from smallnets import OptionError
from smallnets.training.loop.optimizers import make_optimizer
from smallnets.training.options import FitOptions

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_all_parameters_decay_as_in_torch_unless_weights_are_asked_for(name: Any) -> None:
    net = sn.resnet20()
    everything = make_optimizer(FitOptions(optimizer=name, weight_decay=0.1), net, CPU)
    assert [group["weight_decay"] for group in everything.param_groups] == [0.1]
    weights, others = make_optimizer(
        FitOptions(optimizer=name, weight_decay=0.1, decay="weights"), net, CPU
    ).param_groups
    assert (weights["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    names = {id(parameter): path for path, parameter in net.named_parameters()}
    assert all(names[id(p)].endswith("weight") and p.dim() > 1 for p in weights["params"])
    assert {names[id(p)] for p in others["params"]} == {n for n, p in net.named_parameters() if p.dim() == 1}
    assert sum(len(group["params"]) for group in (weights, others)) == len(list(net.parameters()))


def test_biases_stand_still_where_only_decay_would_move_them() -> None:
    pictures = torch.zeros(8, 1, 4, 4), torch.arange(8) % 2  # equal classes and no input: the gradient is 0
    moved = {}
    for decay in ("all", "weights"):
        net = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
        nn.init.ones_(net[1].weight)
        nn.init.ones_(net[1].bias)
        sn.fit(
            net,
            pictures,
            epochs=1,
            lr=0.1,
            weight_decay=0.5,
            schedule="constant",
            decay=decay,
            progress=False,
            device="cpu",
        )  # type: ignore[arg-type]
        moved[decay] = (net[1].weight[0, 0].item(), net[1].bias[0].item())
    assert moved["all"] == pytest.approx((0.95, 0.95)) and moved["weights"] == pytest.approx((0.95, 1.0))


def test_a_factory_gets_the_groups_and_an_instance_has_its_own() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    options = FitOptions(
        optimizer=lambda groups, lr: torch.optim.RMSprop(groups, lr, weight_decay=0.3), decay="weights"
    )
    assert [group["weight_decay"] for group in make_optimizer(options, net, CPU).param_groups] == [0.3, 0.0]
    instance = FitOptions(optimizer=torch.optim.SGD(net.parameters(), 0.1), decay="weights")
    with pytest.raises(
        OptionError, match=r"expected decay='all' with an optimizer that is made; got 'weights'\. Give it groups"
    ):
        make_optimizer(instance, net, CPU)
    assert len(make_optimizer(FitOptions(decay="weights"), nn.Linear(2, 2, bias=False), CPU).param_groups) == 1
