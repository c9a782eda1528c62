"""What learns, and how fast."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import smallnets as sn


def frozen(net: nn.Module) -> set[str]:
    return {name for name, parameter in net.named_parameters() if not parameter.requires_grad}


def test_everything_up_to_the_stage_is_frozen() -> None:
    net = sn.freeze(sn.resnet18(stem="cifar"), upto="layer2")
    assert frozen(net) == {
        name for name, _ in net.named_parameters() if name.startswith(("conv1", "bn1", "layer1", "layer2"))
    }


def test_a_frozen_net_keeps_weights_and_statistics_through_a_training_step() -> None:
    net = sn.freeze(sn.resnet20(), upto="layer1")
    before = {name: value.clone() for name, value in net.state_dict().items()}
    net.train()
    assert not net.bn1.training  # type: ignore[union-attr]
    assert net.layer2[0].bn1.training  # type: ignore[union-attr]
    optimizer = torch.optim.SGD(sn.parameter_groups(net, 0.1), momentum=0.9, weight_decay=0.1)
    net(torch.randn(8, 3, 32, 32)).square().mean().backward()
    optimizer.step()
    for name, value in net.state_dict().items():
        still = name.startswith(("conv1", "bn1", "layer1"))
        assert torch.equal(value, before[name]) == still, name


def test_another_call_moves_the_line() -> None:
    net = sn.freeze(sn.resnet20(), upto="layer3")
    sn.freeze(net, upto="conv1")
    assert frozen(net) == {"conv1.weight"}
    assert net.train().bn1.training  # type: ignore[union-attr]
    sn.freeze(net, upto=None)
    assert not frozen(net)
    assert type(net.bn1) is nn.BatchNorm2d


def test_layers_are_named_as_stages_as_paths_or_as_in_the_paper() -> None:
    net = sn.vgg11(batch_norm=True, head="compact")
    assert frozen(sn.freeze(net, upto="conv1_1")) == {
        f"features.{i}.{tail}" for i in (0, 1) for tail in ("weight", "bias")
    }
    by_name = frozen(sn.freeze(net, upto="pool2"))
    assert frozen(sn.freeze(net, upto="features.7")) == by_name
    assert frozen(sn.freeze(net, upto="features")) == {n for n, _ in net.named_parameters() if n.startswith("features")}


def test_a_frozen_net_can_be_saved_and_comes_back_free(tmp_path: Path) -> None:
    net = sn.freeze(sn.resnet20(), upto="layer2")
    sn.save(net, tmp_path / "net.safetensors")
    loaded = sn.load(tmp_path / "net.safetensors")
    assert not frozen(loaded)
    assert torch.equal(loaded.state_dict()["conv1.weight"], net.state_dict()["conv1.weight"])


def test_learning_rates_fall_from_stage_to_stage() -> None:
    groups = sn.parameter_groups(sn.resnet18(stem="cifar"), 0.1, decay=0.1)
    assert [group["name"] for group in groups] == ["layer1", "layer2", "layer3", "layer4", "head"]
    assert [group["lr"] for group in groups] == pytest.approx([1e-5, 1e-4, 1e-3, 1e-2, 1e-1])
    torch.optim.AdamW(groups)
    assert {group["lr"] for group in sn.parameter_groups(sn.resnet20(), 0.1, decay=1)} == {0.1}


def test_frozen_stages_are_in_no_group_and_the_others_keep_their_rate() -> None:
    groups = sn.parameter_groups(sn.freeze(sn.resnet20(), upto="layer2"), 0.1)
    assert [(group["name"], group["lr"]) for group in groups] == [("layer3", 0.05), ("head", 0.1)]


def test_a_module_that_is_not_ours() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(2, 2))
    assert [group["name"] for group in sn.parameter_groups(net, 1.0)] == ["0", "1", "head"]
    assert frozen(sn.freeze(net, upto="1")) == {"0.weight", "0.bias", "1.weight", "1.bias"}


@pytest.mark.parametrize("stage", ["layer9", "", "conv4_3"])
def test_stages_that_do_not_exist_are_refused_with_those_that_do(stage: str) -> None:
    with pytest.raises(
        sn.OptionError, match=r"^freeze: expected the name of a stage .* The stages are layer1, layer2,"
    ):
        sn.freeze(sn.resnet20(), upto=stage)


@pytest.mark.parametrize(("lr", "decay"), [(-1, 0.5), (float("nan"), 0.5), (0.1, 0), (0.1, 1.5), ("fast", 0.5)])
def test_bad_rates_are_refused(lr: Any, decay: float) -> None:
    with pytest.raises(sn.OptionError, match=r"^parameter_groups: expected (lr|decay) to be"):
        sn.parameter_groups(sn.resnet20(), lr, decay)


def test_a_model_that_is_all_frozen_is_refused() -> None:
    with pytest.raises(sn.OptionError, match="expected parameters that learn"):
        sn.parameter_groups(sn.resnet20().requires_grad_(False), 0.1)
