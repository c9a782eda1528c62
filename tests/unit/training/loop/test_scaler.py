"""fp16: gradients are scaled, the scale is part of the run, and an update that overflows is left out."""

import functools
from pathlib import Path
from typing import Any

import pytest
import torch

import smallnets as sn
from smallnets.training.loop import step

DATA = torch.randn(40, 1, 32, 32), torch.arange(40) % 10
COMMON: dict[str, Any] = {"epochs": 3, "batch_size": 10, "progress": False, "device": "cpu", "precision": "fp16"}
COMMON |= {"channels_last": False, "compile": False, "lr": 1e-3}


@pytest.fixture(autouse=True)
def quick_scaler(monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose scale changes within a few steps."""
    monkeypatch.setattr(torch.amp, "GradScaler", functools.partial(torch.amp.GradScaler, growth_interval=3))


def net() -> sn.Net:
    torch.manual_seed(0)
    return sn.lenet5()


def fail_in_the_second(row: Any) -> None:
    if row["epoch"] == 2:
        raise ZeroDivisionError


def stored(folder: Path) -> Any:
    return torch.load(folder / "last.ckpt", weights_only=True)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_run_goes_on_with_its_scale(tmp_path: Path, optimizer: str) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    expected = sn.fit(net(), DATA, run_dir=whole, optimizer=optimizer, **COMMON)
    with pytest.raises(ZeroDivisionError):
        sn.fit(net(), DATA, run_dir=halves, optimizer=optimizer, callbacks=[fail_in_the_second], **COMMON)
    two = {"scale": 2.0**18, "_growth_tracker": 2}  # of the eight steps of two epochs: a callback that fails costs none
    assert stored(halves)["scaler"] == {**stored(whole)["scaler"], **two}
    history = sn.fit(again := net(), DATA, run_dir=halves, optimizer=optimizer, **COMMON)
    assert history["loss"] == expected["loss"] and stored(halves)["scaler"] == stored(whole)["scaler"]
    assert stored(whole)["scaler"]["scale"] != 2.0**16  # it moved
    ours, theirs = again.state_dict(), stored(whole)["model"]
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_other_precisions_keep_no_scale(tmp_path: Path) -> None:
    sn.fit(net(), DATA, run_dir=tmp_path, **{**COMMON, "precision": "fp32", "epochs": 1})
    assert stored(tmp_path)["scaler"] == {}


@pytest.mark.parametrize("clip_norm", [None, 1.0])
def test_an_update_that_overflows_is_left_out_and_the_scale_halved(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clip_norm: float | None
) -> None:
    model = net()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    monkeypatch.setattr(torch.amp, "GradScaler", functools.partial(step.torch.amp.GradScaler, init_scale=2.0**120))
    settings = {**COMMON, "epochs": 1, "clip_norm": clip_norm, "run_dir": tmp_path, "optimizer": "sgd"}
    history = sn.fit(model, DATA, **settings)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert history["loss"][0] < 3 and stored(tmp_path)["scaler"]["scale"] == 2.0**116  # four steps
