"""What learns, and how fast."""

import copy
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


class Own(nn.BatchNorm2d):
    """A norm of somebody's own."""


class Statistics(nn.Module):
    """A norm that is nobody's subclass."""

    running_mean: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.running_mean += 1
        return x


NORMS: list[Any] = [
    (nn.BatchNorm1d(2), (4, 2, 5)), (nn.BatchNorm2d(2), (4, 2, 5, 5)), (nn.BatchNorm3d(2), (4, 2, 3, 3, 3)),
    (nn.SyncBatchNorm(2), (4, 2, 5, 5)), (nn.InstanceNorm2d(2, track_running_stats=True), (4, 2, 5, 5)),
    (nn.InstanceNorm1d(2, track_running_stats=True), (4, 2, 5)), (Own(2), (4, 2, 5, 5)), (Statistics(), (4, 2, 5, 5)),
]  # fmt: skip


@pytest.mark.parametrize(("norm", "shape"), NORMS, ids=[type(norm).__name__ for norm, _ in NORMS])
def test_every_kind_of_norm_is_held_still_in_a_copy_and_a_pickle_too(
    norm: nn.Module, shape: Any, tmp_path: Path
) -> None:
    kind = type(norm)
    net = sn.freeze(nn.Sequential(nn.Sequential(norm), nn.Identity()), upto="0")
    torch.save(net, tmp_path / "net.pt")
    for each in (net, copy.deepcopy(net), torch.load(tmp_path / "net.pt", weights_only=False)):
        found = each[0][0]
        assert type(found) is kind
        before = copy.deepcopy(found.state_dict())
        each.train()
        assert not found.training
        if kind is not nn.SyncBatchNorm:  # which runs on a GPU alone
            each(torch.randn(shape) + 3)
        assert all(torch.equal(value, before[name]) for name, value in found.state_dict().items())
        sn.freeze(each, upto=None)
        assert each.train()[0][0].training and "train" not in vars(found)


def test_frozen_norms_stay_still_in_fit() -> None:
    net = sn.freeze(nn.Sequential(nn.Conv2d(1, 2, 3), Own(2), nn.Flatten(), nn.Linear(72, 2)), upto="1")
    before = copy.deepcopy(net[1].state_dict())
    sn.fit(net, (torch.randn(16, 1, 8, 8), torch.arange(16) % 2), epochs=2, progress=False, device="cpu", check=False)
    assert all(torch.equal(value, before[name]) for name, value in net[1].state_dict().items())
