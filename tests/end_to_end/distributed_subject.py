"""What ``test_distributed`` runs under torchrun, or alone: trains, measures, tells as JSON, and then dies if asked to.

A process costs seconds to start, so each looks at all that its number of processes has to show.
"""

import contextlib
import copy
import json
import os
import sys
import time
import types
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

import smallnets as sn
from smallnets.cli import main as command_line
from smallnets.data import ImageSet, load

RANK = int(os.environ.get("RANK", "0"))
COMMON: dict[str, Any] = {
    "batch_size": 64, "progress": False, "device": "cpu", "precision": "fp32", "channels_last": False,
}  # fmt: skip


def numbered(count: int) -> ImageSet:
    """Pictures that carry their own number, to see who sees which."""
    images = torch.zeros(count, 1, 32, 32, dtype=torch.uint8)
    numbers = torch.arange(count)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = (numbers % 256).byte(), (numbers // 256).byte()
    labels = numbers % 10
    return ImageSet(labels, tuple("0123456789"), tuple(map(str, range(count))), (0.0,), (1 / 255,), images=images)


def seen_samples() -> list[int]:
    """Train one epoch on 203 numbered pictures; every number that any process saw."""
    seen: list[int] = []

    def look(images: Tensor) -> Tensor:
        seen.extend((images[:, 0, 0, 0] + 256 * images[:, 0, 0, 1]).long().tolist())
        return images

    sn.fit(sn.lenet5(), numbered(203), epochs=1, batch_size=32, augment=look, progress=False, device="cpu")
    return [int(number) for part in everybodys([float(number) for number in seen]) for number in part]


def everybodys(thing: list[float]) -> list[list[float]]:
    if not dist.is_initialized():
        return [thing]
    parts: list[list[float]] = [[]] * dist.get_world_size()
    dist.all_gather_object(parts, thing)
    return parts


class Board:
    """In place of TensorBoard's writer: leaves the name of the process that has one."""

    def __init__(self, folder: str) -> None:
        Path(folder).with_name(f"board-of-{RANK}").touch()

    def add_scalar(self, *_: Any) -> None: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...


class PartlyUsed(nn.Module):
    """A net with a layer that has no part in the loss."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.idle = nn.Linear(1024, 10), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.used(x.flatten(1))


def measured() -> dict[str, Any]:
    """A fresh net on 359 pictures in batches of 50: eight batches, the last of nine pictures."""
    torch.manual_seed(1)
    found = sn.evaluate(sn.lenet5(), load("digits", "test"), batch_size=50)
    return {"loss": found.loss, "accuracy": found.accuracy, "confusion": found.confusion.tolist()}


def digits() -> tuple[ImageSet, ImageSet]:
    train, val = load("digits").split(0.1)
    assert isinstance(train, ImageSet) and isinstance(val, ImageSet)
    return train[:500], val[:131]


def trained(run_dir: Path, **options: Any) -> sn.History:
    torch.manual_seed(0)
    return sn.fit(sn.lenet5(), *digits(), epochs=2, lr=3e-3, run_dir=run_dir, **COMMON, **options)


def train(folder: Path) -> dict[str, Any]:
    train, val = digits()
    stand_in: Any = types.ModuleType("torch.utils.tensorboard.writer")
    stand_in.SummaryWriter = Board
    sys.modules |= {"torch.utils.tensorboard": types.ModuleType("tensorboard"), stand_in.__name__: stand_in}
    history = trained(folder / "run", tensorboard=True)
    torch.manual_seed(RANK)  # other weights on each process, which must not matter
    normed = sn.convnet3(in_channels=1, channels=(4, 8))
    ended = sn.fit(normed, train[:203], val, epochs=1, batch_size=32, ema=0.9, progress=False, device="cpu")
    again = sn.evaluate(normed, val).loss  # dealt to all processes: one net only gives this loss
    return {
        "losses": history["loss"],
        "val": history["val_loss"],
        "seen": sorted(seen_samples()),
        "normed": [ended["val_loss"][0], again],
        "weights": everybodys([float(t.double().sum()) for t in normed.state_dict().values()]),
        "measured": measured(),
        "weighted": weighted(train),
        "taught": taught(train),
    }


def weighted(train: ImageSet) -> list[float]:
    """The loss of an epoch that learns nothing, with weights of classes; and torch's, of all logits at once."""
    torch.manual_seed(2)
    net, weights, part = sn.lenet5(), torch.linspace(0.1, 9, 10), train[:203]
    still: dict[str, Any] = {"optimizer": "sgd", "lr": 0.0, "augment": "none", **COMMON}
    found = sn.fit(net, part, epochs=1, class_weights=weights, **{**still, "batch_size": 32})["loss"][0]
    logits = net((part.images / 255 - part.mean[0]) / part.std[0])
    return [found, nn.functional.cross_entropy(logits, part.labels, weights).item()]


def taught(train: ImageSet) -> float:
    """How far the weights after an update with weights of classes are from those of torch's loss of all its samples."""
    torch.manual_seed(2)
    net, weights, part = sn.lenet5(), torch.linspace(0.1, 9, 10), train[:60]
    big = copy.deepcopy(net)
    how: dict[str, Any] = {"optimizer": "sgd", "momentum": 0, "weight_decay": 0, "schedule": "constant", "lr": 0.1}
    how |= {**COMMON, "augment": "none", "batch_size": 20, "accumulate": 3}
    sn.fit(net, part, epochs=1, class_weights=weights, **how)
    logits = big((part.images / 255 - part.mean[0]) / part.std[0])
    nn.functional.cross_entropy(logits, part.labels, weights).backward()
    torch.optim.SGD(big.parameters(), lr=0.1).step()
    pairs = zip(net.parameters(), big.parameters(), strict=True)
    return max(float((ours - theirs).detach().abs().max()) for ours, theirs in pairs)


class Gone(BaseException):
    """No Exception, of which fit saves first."""


def stopped(folder: Path) -> None:
    """Leave a run in the middle of its first epoch, the last checkpoint after step 6 of 8."""

    def stop(row: dict[str, Any]) -> None:
        raise Gone

    with contextlib.suppress(Gone):
        trained(folder, save_every=6, callbacks=[stop])


def refused() -> str:
    """What is said of a net with a layer that has no part in the loss."""
    try:
        sn.fit(PartlyUsed(), digits()[0], epochs=1, **COMMON)
    except sn.RunError as error:
        return str(error)
    return ""


def die(folder: Path) -> None:
    """One process ends in the middle of an epoch."""
    steps = 0

    def look(images: Tensor) -> Tensor:
        nonlocal steps
        steps += 1
        if steps == 5 and RANK == 1:
            (folder / "death").write_text(str(time.time()))
            os._exit(9)
        return images

    try:
        sn.fit(sn.lenet5(), digits()[0], epochs=50, augment=look, run_dir=folder / "dead", **COMMON)
    except sn.RunError as error:
        (folder / "noticed").write_text(str(time.time()))
        print(f"told: {error}", flush=True)
        os._exit(3)


def main(task: str, folder: Path) -> None:
    torch.set_num_threads(1)
    told: dict[str, Any] = {"measured": measured()} if task == "measure-and-fit" else train(folder)
    if task == "alone":
        stopped(folder / "stopped")
    elif task == "two":
        told["gone_on"] = trained(folder / "stopped")["loss"]
        told["refused"] = refused()
    if RANK == 0:
        (folder / "told.json").write_text(json.dumps(told))
    if task == "two":
        die(folder)
    elif task == "measure-and-fit":  # until somebody kills one of them
        command_line(["fit", "lenet5", "--data", "digits", "--epochs", "500", "--run-dir", str(folder / "run")])


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
