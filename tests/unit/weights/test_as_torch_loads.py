"""Modules with ways of their own to keep or load their entries: as PyTorch's ``load_state_dict`` does, or refused."""

import copy
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, weight_norm

import smallnets as sn


class Copies(nn.Linear):
    """Its state dict holds copies, as some layers that gather or quantise do."""

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for name in ("weight", "bias"):
            destination[prefix + name] = destination[prefix + name].clone()


class Renames(nn.Linear):
    """It took over from a layer with other names."""

    def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        if f"{prefix}kernel" in state:
            state[f"{prefix}weight"] = state.pop(f"{prefix}kernel")
        super()._load_from_state_dict(state, prefix, *rest)


class Scaled(nn.Linear):
    """It keeps a number that is no tensor."""

    scale = 1.0

    def get_extra_state(self) -> object:
        return {"scale": self.scale}

    def set_extra_state(self, state: Any) -> None:
        self.scale = state["scale"]


def old_weight_norm() -> nn.Sequential:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.Sequential(weight_norm(nn.Linear(3, 4)), nn.Linear(4, 2))


def tied() -> nn.Sequential:
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    net[2].weight = net[0].weight
    return net


PAIRS = [
    (lambda: nn.Sequential(Copies(3, 4), nn.Linear(4, 2)), lambda: nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))),
    (lambda: nn.Sequential(Renames(3, 4), nn.Linear(4, 2)), lambda: nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))),
    (lambda: nn.Sequential(parametrizations.weight_norm(nn.Linear(3, 4)), nn.Linear(4, 2)), old_weight_norm),
    (tied, tied),
    (lambda: nn.Sequential(nn.BatchNorm1d(3), Copies(3, 3)), lambda: nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 3))),
]


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("on_meta", [False, True])
@pytest.mark.parametrize(("make", "source"), PAIRS)
def test_as_torch_does(make: Any, source: Any, on_meta: bool, prefix: str) -> None:
    state = source().state_dict()
    oracle, x = make(), torch.randn(5, 3)
    oracle.load_state_dict(state)
    with torch.device("meta" if on_meta else "cpu"):
        net = make()
    sn.load_weights(net, {f"{prefix}{name}": value for name, value in state.items()})
    assert torch.equal(net.eval()(x), oracle.eval()(x))
    assert [name for name, _ in net.named_parameters()] == [name for name, _ in oracle.named_parameters()]  # ties last


def test_names_that_only_the_layer_knows_are_taken_through_it() -> None:
    net, source = nn.Sequential(Renames(3, 4)), nn.Linear(3, 4)
    sn.load_weights(net, {"0.kernel": source.weight.detach(), "0.bias": source.bias.detach()})
    assert torch.equal(net[0].weight, source.weight)


def test_what_torch_refuses_is_refused_and_changes_nothing() -> None:
    class Picky(nn.Linear):
        def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *rest: Any) -> None:
            super()._load_from_state_dict(state, prefix, *rest)
            if (state[f"{prefix}weight"] < 0).any():
                raise ValueError("no negative weights here")

    net = nn.Sequential(nn.Linear(3, 3), Picky(3, 3))
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(sn.WeightsError, match=r"weights that Sequential takes; got no negative weights here\. Nothing"):
        sn.load_weights(net, nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)).state_dict())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_extra_state_that_a_file_lacks_is_refused_as_torch_does() -> None:
    net, source = nn.Sequential(Scaled(3, 4)), nn.Sequential(Scaled(3, 4))
    source[0].scale = 2.5
    sn.load_weights(net, source.state_dict())
    assert net[0].scale == 2.5
    assert torch.equal(net[0].weight, source[0].weight)
    with pytest.raises(sn.WeightsError, match=r"0\._extra_state missing"):
        sn.load_weights(net, nn.Sequential(nn.Linear(3, 4)).state_dict())


def test_tied_tensors_take_one_value() -> None:
    net, state = tied(), tied().state_dict()
    del state["2.weight"]  # as files that keep every tensor once
    sn.load_weights(net, state)
    assert torch.equal(net[2].weight, state["0.weight"])
    assert net[0].weight is net[2].weight
    with pytest.raises(sn.WeightsError, match=r"first 2\.weight\. Nothing was loaded\. The net ties"):
        sn.load_weights(net, state | {"2.weight": torch.zeros(3, 3)})
    assert torch.equal(net[2].weight, state["0.weight"])


@pytest.mark.parametrize("key", [None, "state_dict", "module."])
@pytest.mark.parametrize("in_file", [False, True])
def test_layers_that_mind_the_version_of_a_state_dict_get_it(tmp_path: Path, key: str | None, in_file: bool) -> None:
    from torchvision.models import mnasnet0_5

    source, net = mnasnet0_5(num_classes=3), mnasnet0_5(num_classes=3)
    content: Any = source.state_dict()
    if key == "module.":
        content = nn.DataParallel(source).state_dict()
    elif key:
        content = {key: content, "epoch": 3}
    if in_file:
        torch.save(content, tmp_path / "net.pt")
    sn.load_weights(net, tmp_path / "net.pt" if in_file else content)
    assert all(torch.equal(value, source.state_dict()[name]) for name, value in net.state_dict().items())


def test_old_spectral_norm_is_loaded_through_its_hooks() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net, source = (nn.Sequential(nn.utils.spectral_norm(nn.Linear(3, 4))) for _ in range(2))
    sn.load_weights(net, source.state_dict())
    x = torch.randn(2, 3)
    assert torch.equal(net.eval()(x), source.eval()(x))


def test_lazy_layers_are_refused() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = nn.Sequential(nn.LazyLinear(3))
    with pytest.raises(sn.WeightsError, match=r"whose layers know their sizes; got lazy ones\. Run it once"):
        sn.load_weights(net, nn.Sequential(nn.Linear(2, 3)).state_dict())
