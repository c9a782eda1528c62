"""NaN and infinity, wherever they come from: the run stops, says where, and writes nothing that holds one."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import smallnets as sn
from smallnets import RunError

QUIET: dict[str, Any] = {"progress": False, "device": "cpu", "augment": "none", "batch_size": 16, "check": False}


def tensors(seed: int = 0) -> tuple[Tensor, Tensor]:
    return torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(seed)), torch.arange(64) % 4


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 4))


class Late(nn.Module):
    """Multiplies what passes in training by a factor, from a step on."""

    def __init__(self, factor: float, step: int) -> None:
        super().__init__()
        self.factor, self.step, self.passes = factor, step, 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += self.training
        return x * self.factor if self.training and self.passes >= self.step else x


def steep(logits: Tensor, labels: Tensor) -> Tensor:
    """A finite loss whose gradients' squares pass the largest float."""
    return nn.functional.cross_entropy(logits, labels) + 1e25 * logits.mean()


def test_a_picture_that_holds_one(tmp_path: Path) -> None:
    images, labels = tensors()
    images[40, 0, 2, 2] = float("nan")
    with pytest.raises(RunError, match=r"got a loss that is no number in epoch 1, step \d, at lr"):
        sn.fit(net(), (images, labels), epochs=2, run_dir=tmp_path, **QUIET)
    assert not list(tmp_path.glob("*.ckpt"))


def test_running_statistics_that_overflow_under_a_finite_loss(tmp_path: Path) -> None:
    """The batch is divided by its own infinite deviation and the loss stays fine; evaluation would not."""
    model = nn.Sequential(Late(1e25, 6), net())
    with pytest.raises(RunError, match=r"got a net or an optimiser that is no number in epoch 2, step \d"):
        sn.fit(model, tensors(), epochs=4, run_dir=tmp_path, **QUIET)
    finite(tmp_path, epoch=1)


def test_an_optimiser_that_overflows_under_a_finite_loss(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="got a net or an optimiser that is no number in epoch 1, step 1"):
        sn.fit(net(), tensors(), epochs=2, loss=steep, save_every=1, run_dir=tmp_path, **QUIET)
    assert not list(tmp_path.glob("*.ckpt"))


def test_clipping_an_infinite_gradient(tmp_path: Path) -> None:
    """Its norm is infinite, so all is scaled to nothing or NaN."""
    model = nn.Sequential(net(), Late(1e38, 6))
    with pytest.raises(RunError, match=r"no number in epoch 2, step \d"):
        sn.fit(model, tensors(), epochs=4, clip_norm=1.0, save_every=1, run_dir=tmp_path, **QUIET)
    finite(tmp_path)


@pytest.mark.parametrize("monitor", ["val_accuracy", "val_loss"])
def test_a_validation_that_gives_none(tmp_path: Path, monitor: str) -> None:
    images, labels = tensors(1)
    images[3] = float("nan")
    with pytest.raises(RunError, match="got a validation loss that is no number in epoch 1, step 4, at lr"):
        sn.fit(net(), tensors(), (images, labels), epochs=2, monitor=monitor, run_dir=tmp_path, **QUIET)
    assert not list(tmp_path.glob("*.ckpt"))


def test_infinity_on_purpose_is_let_be(tmp_path: Path) -> None:
    model = net()
    model.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
    assert len(sn.fit(model, tensors(), epochs=2, ema=0.9, run_dir=tmp_path, **QUIET)) == 2


def finite(folder: Path, epoch: int | None = None) -> None:
    """Every checkpoint there is holds numbers only."""
    for path in folder.glob("*.ckpt"):
        found = torch.load(path, weights_only=True)
        state = list(found["model"].values())
        state += [v for part in found.get("optimizer", {"state": {}})["state"].values() for v in part.values()]
        assert all(torch.as_tensor(value).isfinite().all() for value in state), path
        assert epoch is None or path.name != "last.ckpt" or found["progress"]["epoch"] == epoch
    assert (folder / "last.ckpt").exists()
