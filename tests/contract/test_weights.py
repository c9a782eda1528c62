"""Every net of the registry takes weights, saves and rebuilds."""

from pathlib import Path
from typing import Any

import pytest
import torch

import smallnets as sn

# The 4096s of the paper's heads are the same two lines of code as narrow ones, and dear to initialise and to write.
NARROW: dict[str, dict[str, Any]] = {
    "alexnet": {"hidden": (64, 48)},
    **{name: {"head": sn.VGGHead(pool=7, hidden=(64, 48))} for name in ("vgg", "vgg11", "vgg13", "vgg16", "vgg19")},
}
DEAR = {"resnet101", "resnet110", "resnet152", "resnet1202"}
NETS = [pytest.param(name, marks=pytest.mark.slow if name in DEAR else ()) for name in sn.list_models()]


def trained(name: str) -> sn.Net:
    """A net whose running statistics are not those of a fresh one."""
    net = sn.build(name, **NARROW.get(name, {}))
    for key, value in net.state_dict().items():
        if key.endswith("running_mean"):
            value.normal_()
        elif key.endswith("running_var"):
            value.uniform_(0.5, 2)
    return net


def assert_same(net: sn.Net, other: sn.Net) -> None:
    mine, theirs = net.state_dict(), other.state_dict()
    assert mine.keys() == theirs.keys()
    for key, value in theirs.items():
        assert torch.equal(mine[key], value), key
    unstored = [dict(one.named_buffers()) for one in (net, other)]
    for key, value in unstored[1].items():
        assert torch.equal(unstored[0][key], value), key


@pytest.mark.parametrize("name", NETS)
def test_weights_build_the_net_without_drawing_a_number(name: str) -> None:
    net = trained(name)
    state = torch.get_rng_state()
    other = sn.build(name, **NARROW.get(name, {}), weights=net.state_dict())
    assert torch.equal(torch.get_rng_state(), state)
    assert_same(other, net)
    assert other.config == net.config
    assert all(value.requires_grad and not value.is_meta for value in other.parameters())
    assert {value.data_ptr() for value in net.parameters()}.isdisjoint(p.data_ptr() for p in other.parameters())
    with torch.device("meta"):
        elsewhere = sn.build(name, **NARROW.get(name, {}), weights=net.state_dict())
    assert all(value.is_meta for value in elsewhere.state_dict().values())


@pytest.mark.parametrize("name", NETS)
def test_save_and_load_give_the_net_back(name: str, tmp_path: Path) -> None:
    net = trained(name)
    sn.save(net, tmp_path / "net.safetensors", accuracy=0.9)
    other = sn.load(tmp_path / "net.safetensors")
    assert_same(other, net)
    assert type(other) is type(net)
    assert other.config == net.config
    assert other.metadata["accuracy"] == 0.9
    assert repr(other) == repr(net)


@pytest.mark.parametrize("name", NETS)
def test_a_state_dict_that_lacks_one_entry_changes_nothing(name: str) -> None:
    net = trained(name)
    state = {key: torch.zeros_like(value) for key, value in net.state_dict().items()}
    state.popitem()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    with pytest.raises(sn.WeightsError, match="Nothing was loaded"):
        sn.load_weights(net, state)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
