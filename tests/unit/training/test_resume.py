"""Stopped at a random step and gone on, a run ends to the bit as if it had not been: every option in turn."""

import random
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import smallnets as sn
from smallnets import RunError
from smallnets.data import ImageSet, load


class Killed(BaseException):
    """Ends a run in the middle of a step, as a kill would: nothing is saved any more."""


class Net(nn.Sequential):
    """Small, with batch norm and dropout."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 4, 5, stride=4),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(196, 10),
        )


class Noisy(Dataset[tuple[Tensor, int]]):
    """A Dataset of the usual kind: floats, and randomness of its own from torch's generator."""

    def __init__(self, data: ImageSet) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture = self.data.images[index].float() / 255
        return picture + 0.1 * torch.randn(picture.shape), int(self.data.labels[index])


@pytest.fixture(scope="module")
def digits() -> tuple[ImageSet, ImageSet]:
    rest, part = load("digits").split(0.1)
    assert isinstance(rest, ImageSet) and isinstance(part, ImageSet)
    return rest[:203], part[:60]


def own_loss(logits: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.multi_margin_loss(logits, labels)


def own_noise(images: Tensor) -> Tensor:
    return images + 0.1 * torch.randn_like(images)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"optimizer": "sgd", "schedule": "plateau", "lr": 0.3, "epochs": 14},
    {"ema": 0.9, "warmup_epochs": 1, "label_smoothing": 0.1, "clip_norm": 0.5, "accumulate": 3},
    {"mix": "mixup(0.4)", "optimizer": "adam", "schedule": "step(1, 1/3)"},
    {"mix": "cutmix(1.0)", "accumulate": 2, "schedule": "cosine"},
    {"patience": 1, "restore_best": True, "lr": 0.05, "epochs": 9},
    {"restore_best": True, "ema": 0.5, "monitor": "val_loss"},
    {"callbacks": [lambda row: row["epoch"] == 2]},
    {"optimizer": torch.optim.RMSprop, "schedule": lambda step, total: 1 - step / total},
    {"optimizer": "instance"},
    {"loss": own_loss, "augment": own_noise},
    {"data": "dataset"},
    {"data": "loader"},
]


@pytest.mark.parametrize(
    ("options", "save_every"),
    [
        pytest.param(options, place % 2 or None, id=",".join(options) or "plain")
        for place, options in enumerate(OPTIONS)
    ],
)
def test_killed_at_a_random_step(
    digits: tuple[ImageSet, ImageSet], tmp_path: Path, options: dict[str, Any], save_every: int | None
) -> None:
    settings: dict[str, Any] = {"epochs": 4, "lr": 0.01, **options, "deterministic": True, "save_every": save_every}
    kind = settings.pop("data", "")
    if kind != "loader":
        settings["batch_size"] = 32
    own = settings.get("optimizer") == "instance"

    def go(folder: str, kill_at: int | None = None) -> tuple[nn.Module, sn.History, int]:
        torch.manual_seed(1)
        net = Net()
        train: Any = digits[0]
        if kind:
            train = Noisy(train) if kind == "dataset" else DataLoader(Noisy(train), 32, shuffle=True)
        if own:
            settings["optimizer"] = torch.optim.NAdam(net.parameters(), lr=0.01)
        steps = 0

        def count(module: nn.Module, inputs: Any) -> None:
            nonlocal steps
            steps += module.training
            if steps == kill_at:
                raise Killed

        handle = net.register_forward_pre_hook(count)
        torch.manual_seed(random.randrange(1 << 30))  # where the caller's generator stands must not matter
        try:
            history = sn.fit(net, train, digits[1], **settings, run_dir=tmp_path / folder, progress=False, device="cpu")
        finally:
            handle.remove()
        return net, history, steps

    expected_net, expected, passes = go("straight")
    dice = random.Random(str(options.keys()))
    for kill_at in (dice.randint(2, passes // 2), dice.randint(2, passes // 3)):
        with pytest.raises(Killed):
            go("killed", kill_at)
    net, history, _ = go("killed")
    assert timeless(history.rows) == timeless(expected.rows) and history.best["epoch"] == expected.best["epoch"]
    assert same(net.state_dict(), expected_net.state_dict())
    one, other = (torch.load(tmp_path / name / "last.ckpt", weights_only=True) for name in ("straight", "killed"))
    for part in ("model", "optimizer", "average", "schedule"):
        assert same(one[part], other[part]), part
    best, also = (
        torch.load(tmp_path / name / "best.ckpt", weights_only=True)["model"] for name in ("straight", "killed")
    )
    assert same(best, also)


def test_other_parameters_to_train_are_refused(digits: tuple[ImageSet, ImageSet], tmp_path: Path) -> None:
    settings: dict[str, Any] = {"batch_size": 64, "run_dir": tmp_path, "progress": False, "device": "cpu"}
    sn.fit(Net(), *digits, epochs=1, **settings)
    frozen = Net()
    frozen[0].requires_grad_(False)
    with pytest.raises(
        RunError, match=r"expected the 6 parameters that the run trains; got 4 in groups of \[4\]. Freeze"
    ):
        sn.fit(frozen, *digits, epochs=1, **settings)
    assert len(sn.fit(frozen, *digits, epochs=2, **settings, resume="changed")) == 2


def test_another_seed_on_purpose_begins_the_epoch_anew(digits: tuple[ImageSet, ImageSet], tmp_path: Path) -> None:
    """In another order, the rest of the epoch would bring samples twice."""
    settings: dict[str, Any] = {"epochs": 1, "batch_size": 32, "progress": False, "device": "cpu", "run_dir": tmp_path}
    net, passes = Net(), 0

    def kill(module: nn.Module, inputs: Any) -> None:
        nonlocal passes
        passes += module.training
        if passes == 4:
            raise Killed

    handle = net.register_forward_pre_hook(kill)
    with pytest.raises(Killed):
        sn.fit(net, *digits, **settings, save_every=1)
    handle.remove()
    sizes: list[int] = []
    net.register_forward_hook(lambda module, inputs, out: sizes.append(len(out)) if module.training else None)
    sn.fit(net, *digits, **settings, seed=1, resume="changed")
    assert sum(sizes) == len(digits[0])


COLUMNS = ("loss", "accuracy", "val_loss", "val_accuracy", "lr", "images_per_second")


def test_tensorboard_has_every_epoch_also_of_a_run_that_ends_early(
    digits: tuple[ImageSet, ImageSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []

    class Writer:
        def __init__(self, folder: str) -> None:
            calls.append(folder)

        def add_scalar(self, name: str, value: float, epoch: int) -> None:
            calls.append((name, value, epoch))

        def flush(self) -> None:
            calls.append("flush")

        def close(self) -> None:
            calls.append("close")

    stand_in = types.ModuleType("torch.utils.tensorboard.writer")
    stand_in.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.ModuleType("torch.utils.tensorboard"))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard.writer", stand_in)
    rows: list[dict[str, Any]] = []

    def stop(row: dict[str, Any]) -> None:
        rows.append(row)
        if row["epoch"] == 2:
            raise Killed

    def written(row: dict[str, Any]) -> list[Any]:
        return [*((name, row[name], row["epoch"]) for name in COLUMNS if row[name] is not None), "flush"]

    common: dict[str, Any] = {"tensorboard": True, "callbacks": [stop], "progress": False, "device": "cpu"}
    with pytest.raises(Killed):
        sn.fit(Net(), *digits, run_dir=tmp_path, **common)
    assert calls == [str(tmp_path / "tensorboard"), *written(rows[0]), *written(rows[1]), "close"]
    calls.clear()
    history = sn.fit(Net(), digits[0], epochs=1, **common)  # without validation, without a folder
    assert calls == [str(Path("runs/tensorboard")), *written(history.rows[0]), "close"] and len(calls) == 7


def test_tensorboard_that_is_not_installed_is_said_in_one_sentence(
    digits: tuple[ImageSet, ImageSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard.writer", None)
    with pytest.raises(ImportError, match=r"^fit: expected tensorboard; got none. pip install tensorboard.$"):
        sn.fit(Net(), *digits, tensorboard=True, progress=False, device="cpu")


def timeless(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k not in ("seconds", "images_per_second")} for row in rows]


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)
