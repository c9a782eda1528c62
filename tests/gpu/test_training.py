"""``fit``, ``evaluate`` and ``predict`` on the device: every way of running trains, goes on, and is the CPU's."""

from pathlib import Path
from typing import Any

import pytest
import torch

import smallnets as sn
from smallnets.data import load
from smallnets.data.imageset import ImageSet

pytestmark = pytest.mark.gpu
COMMON: dict[str, Any] = {"batch_size": 64, "lr": 3e-3, "progress": False}
WAYS: dict[str, dict[str, Any]] = {
    "plain": {"precision": "fp32", "channels_last": False, "compile": False},
    "auto": {},
    "bf16": {"precision": "bf16", "channels_last": True, "compile": False},
    "fp16": {"precision": "fp16", "compile": False},
    "averaged": {"ema": 0.9, "clip_norm": 1.0},
    "mixup": {"mix": "mixup(0.2)", "accumulate": 2, "batch_size": 32},
    "cutmix": {"mix": "cutmix(1.0)"},
    "resized": {"augment": "resized-crop-flip", "lr": 1e-3},
    "sgd": {"optimizer": "sgd", "lr": 0.05, "label_smoothing": 0.1, "weight_decay": 5e-4},
}


@pytest.fixture(scope="module")
def digits() -> tuple[ImageSet, ImageSet]:
    train, test = load("digits", "train"), load("digits", "test")
    assert isinstance(train, ImageSet) and isinstance(test, ImageSet)
    return train, test


def net(seed: int = 0) -> sn.Net:
    torch.manual_seed(seed)
    return sn.lenet5()


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.mark.parametrize("way", WAYS)
def test_every_way_trains(device: str, digits: tuple[ImageSet, ImageSet], way: str) -> None:
    model = net()
    history = sn.fit(model, digits[0], digits[1], epochs=5, device=device, **{**COMMON, **WAYS[way]})
    assert next(model.parameters()).device.type == "cpu"
    least = 0.6 if way in ("resized", "cutmix", "mixup") else 0.85
    assert history["val_accuracy"][-1] > least and history["loss"][-1] < history["loss"][0]


def test_compiled_trains(cuda: str, digits: tuple[ImageSet, ImageSet]) -> None:
    model = net()
    history = sn.fit(
        model, *digits, epochs=3, device=cuda, **COMMON, precision="bf16", channels_last=True, compile=True
    )
    assert history["val_accuracy"][-1] > 0.8 and history.plan["compile"]


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch's, of operations that it has no deterministic kernel for
def test_the_same_seed_gives_the_same_weights(device: str, digits: tuple[ImageSet, ImageSet]) -> None:
    nets = [sn.convnet3(in_channels=1) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    for model in nets:
        sn.fit(model, digits[0], epochs=2, device=device, deterministic=True, **COMMON)
    assert same(*nets)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("way", ["deterministic", "fp16"])
def test_a_run_goes_on_exactly_where_it_was(
    device: str, digits: tuple[ImageSet, ImageSet], tmp_path: Path, way: str
) -> None:
    settings: dict[str, Any] = {"epochs": 3, "device": device, "save_every": 5, **COMMON}
    settings |= {"deterministic": True} if way == "deterministic" else {"precision": "fp16", "compile": False}
    whole, halves = net(), net()
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        sn.fit(whole, digits[0], **settings, run_dir=tmp_path / "whole")
        with pytest.raises(ZeroDivisionError):
            sn.fit(halves, digits[0], **settings, run_dir=tmp_path / "halves", callbacks=[stop_after(2)])
        sn.fit(again := net(1), digits[0], **settings, run_dir=tmp_path / "halves")
    finally:
        torch.use_deterministic_algorithms(before)
    assert same(whole, again)


def stop_after(epoch: int) -> Any:
    def callback(row: dict[str, Any]) -> None:
        if row["epoch"] == epoch:
            raise ZeroDivisionError

    return callback


def test_measuring_is_the_cpus(device: str, digits: tuple[ImageSet, ImageSet]) -> None:
    model = net()
    sn.fit(model, digits[0], epochs=3, device=device, **COMMON)
    here, there = (sn.evaluate(model, digits[1], device=place, precision="fp32") for place in ("cpu", device))
    assert there.n == here.n and there.loss == pytest.approx(here.loss, rel=1e-4)
    assert abs(there.accuracy - here.accuracy) <= 1 / here.n and there.plan["device"] == device
    assert abs(int(there.confusion.diagonal().sum()) - int(here.confusion.diagonal().sum())) <= 1
    flipped = [sn.evaluate(model, digits[1], tta="flip", device=place, precision="fp32") for place in ("cpu", device)]
    assert flipped[0].loss == pytest.approx(flipped[1].loss, rel=1e-4)
    said = [sn.predict(model, digits[1], device=place, precision="fp32") for place in ("cpu", device)]
    assert torch.allclose(said[0].probabilities, said[1].probabilities, atol=1e-4) and said[0].ids == said[1].ids


def test_a_net_bf16_measures_is_near(device: str, digits: tuple[ImageSet, ImageSet]) -> None:
    model = net()
    sn.fit(model, digits[0], epochs=3, device=device, **COMMON)
    found = [sn.evaluate(model, digits[1], device=device, precision=kind).accuracy for kind in ("fp32", "bf16")]  # type: ignore[arg-type]
    assert abs(found[0] - found[1]) < 0.02
