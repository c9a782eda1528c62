"""Runs of odd nets and loaders: stopped and gone on they end to the bit as if they had not been, and compute rightly."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import smallnets as sn
from smallnets.training.loop.step import Updates

IMAGES = torch.randn(41, 1, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(41) % 4
QUIET: dict[str, Any] = {"progress": False, "deterministic": True, "epochs": 4, "check": False}


class Killed(BaseException):
    """Ends a run as a kill would."""


class Tied(nn.Module):
    """Two names for one layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first, self.last = nn.Linear(64, 64), nn.Linear(64, 4)
        self.second = self.first

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.second(torch.relu(self.first(x.flatten(1)))))


class Described(Tied):
    """With a config of its own kind, and state that is no tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.config = object()

    def get_extra_state(self) -> dict[str, int]:
        return {"version": 3}

    def set_extra_state(self, state: Any) -> None:
        assert state == {"version": 3}


class Shaky(Dataset[tuple[Tensor, int]]):
    """Draws from Python's and NumPy's generators, too."""

    def __len__(self) -> int:
        return len(LABELS)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        drawn = random.random() + float(np.random.rand()) + torch.rand(())  # noqa: NPY002
        return IMAGES[index] + drawn, int(LABELS[index])


def own_generator() -> DataLoader[Any]:
    given = torch.Generator().manual_seed(3)
    return DataLoader(TensorDataset(IMAGES, LABELS), batch_size=8, shuffle=True, generator=given)


def a_part(net: nn.Module) -> torch.optim.Optimizer:
    assert isinstance(net, Tied)
    return torch.optim.SGD(net.last.parameters(), lr=0.1, momentum=0.9)


CASES: dict[str, tuple[type[Tied], Callable[[], Any], dict[str, Any]]] = {
    "shared weights, averaged": (Tied, lambda: (IMAGES, LABELS), {"ema": 0.9, "restore_best": True}),
    "an optimizer of a part, clipped": (Tied, lambda: (IMAGES, LABELS), {"part": True, "clip_norm": 0.1}),
    "other state": (Described, lambda: (IMAGES, LABELS), {"ema": 0.9}),
    "a loader with a generator": (Tied, own_generator, {}),
    "a loader with transforms": (Tied, lambda: DataLoader(Shaky(), batch_size=8, shuffle=True), {}),
}


@pytest.mark.parametrize("case", CASES)
def test_killed_and_gone_on(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, data, options = CASES[case]
    options = {**QUIET, **options}
    part = options.pop("part", False)
    if isinstance(data(), tuple):
        options["batch_size"] = 8

    def go(folder: Path) -> tuple[nn.Module, sn.History]:
        net = kind()
        own = {"optimizer": a_part(net)} if part else {}
        return net, sn.fit(net, data(), (IMAGES[:9], LABELS[:9]), run_dir=folder, save_every=2, **options, **own)

    whole, history = go(tmp_path / "whole")
    step, left = Updates.step, iter(range(13))

    def mortal(self: Any, *arguments: Any) -> Any:
        if next(left, None) is None:
            raise Killed
        return step(self, *arguments)

    monkeypatch.setattr(Updates, "step", mortal)
    with pytest.raises(Killed):
        go(tmp_path / "killed")
    monkeypatch.setattr(Updates, "step", step)
    again, then = go(tmp_path / "killed")
    for name, value in whole.state_dict().items():
        assert not isinstance(value, Tensor) or torch.equal(value, again.state_dict()[name]), name
    for column in ("loss", "accuracy", "val_loss", "val_accuracy", "lr"):
        assert history[column] == then[column]


def test_averaging_leaves_shared_weights_to_the_training() -> None:
    losses = [sn.fit(Tied(), (IMAGES, LABELS), batch_size=8, **QUIET, ema=ema)["loss"] for ema in (None, 0.5)]
    assert losses[0] == losses[1]


def test_what_the_optimizer_does_not_hold_gathers_no_gradients() -> None:
    norms: list[float] = []

    class Looking(Tied):
        def forward(self, x: Tensor) -> Tensor:
            norms.append(0.0 if self.first.weight.grad is None else float(self.first.weight.grad.norm()))
            return super().forward(x)

    net = Looking()
    sn.fit(net, (IMAGES, LABELS), batch_size=8, optimizer=a_part(net), **QUIET)
    assert set(norms) == {0.0} and all(p.grad is None for p in net.parameters())


def test_every_generator_is_left_where_it_stood() -> None:
    loader = own_generator()
    before = random.getstate(), np.random.get_state()[1].tolist(), loader.generator.get_state()  # type: ignore[union-attr] # noqa: NPY002
    sn.fit(Tied(), loader, DataLoader(Shaky(), batch_size=8), **QUIET)
    sn.evaluate(Tied(), Shaky())
    after = random.getstate(), np.random.get_state()[1].tolist(), loader.generator.get_state()  # type: ignore[union-attr] # noqa: NPY002
    assert before[:2] == after[:2] and torch.equal(before[2], after[2])


@torch.no_grad()
def test_gradients_are_on_where_the_caller_switched_them_off() -> None:
    losses = sn.fit(Tied(), (IMAGES, LABELS), batch_size=8, lr=0.01, **QUIET)["loss"]
    assert losses[-1] < losses[0] and not torch.is_grad_enabled()
