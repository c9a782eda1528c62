"""Runs are things to load: their folders and their checkpoints, with what they know of the data."""

from pathlib import Path
from typing import Any

import pytest
import torch

import smallnets as sn
from smallnets.facts import DataFacts, leave_facts


def data(seed: int = 0) -> Any:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(32, 1, 32, 32, generator=draw), torch.arange(32) % 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


def fitted(folder: Path, **options: Any) -> sn.LeNet:
    net = sn.lenet5()
    sn.fit(net, data(), data(1), epochs=2, batch_size=16, run_dir=folder, progress=False, deterministic=True, **options)
    return net


def same(net: sn.Net, other: sn.Net) -> bool:
    return all(torch.equal(value, other.state_dict()[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("options", [{}, {"restore_best": True}, {"ema": 0.5}, {"ema": 0.5, "restore_best": True}])
def test_a_folder_gives_the_net_that_fit_ended_with(folder: Path, options: dict[str, Any]) -> None:
    net = fitted(folder, **options)
    for path in (folder, str(folder)):
        loaded = sn.load(path)
        assert same(loaded, net)
        assert loaded.config == net.config


def test_each_checkpoint_is_a_net(folder: Path) -> None:
    net = fitted(folder)
    assert same(sn.load(folder / "last.ckpt"), net)
    best = torch.load(folder / "best.ckpt", weights_only=True)["model"]
    loaded = sn.load(folder / "best.ckpt")
    assert all(torch.equal(value, best[name]) for name, value in loaded.state_dict().items())
    sn.load_weights(net, folder / "best.ckpt")
    assert same(net, loaded)


def test_averaged_and_raw_weights_in_one_checkpoint_are_two_nets(folder: Path) -> None:
    net = fitted(folder, ema=0.5)
    with pytest.raises(sn.WeightsError, match="under 'average' and 'model'"):
        sn.load_weights(sn.lenet5(), folder / "last.ckpt")
    other = sn.lenet5()
    sn.load_weights(other, folder / "last.ckpt", prefix="average")
    assert same(other, net)


def test_what_a_run_knows_of_its_data_comes_back(folder: Path) -> None:
    digits = sn.data.load("digits")[:64]
    sn.fit(sn.lenet5(), digits, epochs=1, run_dir=folder, progress=False, deterministic=True)
    facts = sn.load(folder).data_facts
    assert facts.classes == tuple(digits.classes)
    assert facts.mean == pytest.approx(tuple(digits.mean))
    assert (facts.channels, facts.size) == (1, (32, 32))


def test_a_saved_net_keeps_what_it_knows_of_its_data(tmp_path: Path) -> None:
    net, path = sn.lenet5(), tmp_path / "net.safetensors"
    facts = DataFacts(tuple("0123456789"), 1, (32, 32), (0.25,), (0.5,), "digits")
    leave_facts(net, facts)
    sn.save(net, path)
    assert sn.load(path).data_facts == facts
    sn.save(sn.lenet5(), path)
    assert getattr(sn.load(path), "data_facts", None) is None


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
@pytest.mark.parametrize("name", ["best.ckpt", "last.ckpt"])
def test_a_damaged_checkpoint_is_told(folder: Path, name: str, damage: str) -> None:
    fitted(folder)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 4
    (folder / name).write_bytes({"flip": content, "cut": content[:-100], "empty": b""}[damage])
    for read in (sn.load, lambda path: sn.load_weights(sn.lenet5(), path)):
        with pytest.raises(sn.WeightsError, match=rf"^{name}: expected a whole ") as caught:
            read(folder / name)
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"model": {"a": torch.zeros(1)}}, "a checkpoint that fit wrote; got another file"),
        ([torch.zeros(1)], "a checkpoint that fit wrote; got another file"),
        ({"net": 3, "model": 4}, "a checkpoint that fit wrote; got another file"),
    ],
)
def test_checkpoints_of_others_are_refused(tmp_path: Path, content: object, why: str) -> None:
    torch.save(content, tmp_path / "net.ckpt")
    with pytest.raises(sn.WeightsError, match=why):
        sn.load(tmp_path / "net.ckpt")


def test_a_run_of_a_net_that_is_not_of_the_zoo_is_refused(folder: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(1024, 10))
    sn.fit(net, data(), epochs=1, run_dir=folder, progress=False, deterministic=True)
    with pytest.raises(sn.WeightsError, match=r"of a net of the zoo; got one of .*Sequential\. Build that net"):
        sn.load(folder)


@pytest.mark.parametrize(
    "changes", [{"format": 2}, {"net": {"class": "x", "config": {"name": "lenet5", "weights": "x"}}}]
)
def test_edited_and_newer_checkpoints_are_refused(folder: Path, changes: dict[str, Any]) -> None:
    fitted(folder)
    content = torch.load(folder / "last.ckpt", weights_only=True)
    torch.save({**content, **changes}, folder / "last.ckpt")
    with pytest.raises(sn.WeightsError, match=r"^last\.ckpt: expected (format 1|the config)"):
        sn.load(folder / "last.ckpt")


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(sn.WeightsError, match=r"expected a folder with best\.ckpt or last\.ckpt; got neither\. Name a"):
        sn.load(tmp_path)
