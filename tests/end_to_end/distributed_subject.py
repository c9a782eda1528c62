"""What ``test_distributed`` runs under torchrun, or alone: trains, measures, tells as JSON."""

import json
import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

import smallnets as sn
from smallnets.data import ImageSet, load

RANK = int(os.environ.get("RANK", "0"))


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


def main(task: str, folder: Path) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = sn.lenet5()
    train, val = load("digits").split(0.1)
    train, val = train[:500], val[:131]
    common = {"batch_size": 64, "progress": False, "device": "cpu", "precision": "fp32", "channels_last": False}
    if task == "train":
        history = sn.fit(net, train, val, epochs=2, lr=3e-3, run_dir=folder / "run", **common)
        found = sn.evaluate(net, load("digits", "test"), batch_size=50)
        torch.manual_seed(RANK)  # other weights on each process, which must not matter
        normed = sn.convnet3(in_channels=1, channels=(4, 8))
        ended = sn.fit(normed, train[:203], val, epochs=1, batch_size=32, ema=0.9, progress=False, device="cpu")
        again = sn.evaluate(normed, val).loss  # dealt to all processes: one net only gives this loss
        told = {
            "losses": history["loss"],
            "val": history["val_loss"],
            "seen": sorted(seen_samples()),
            "normed": [ended["val_loss"][0], again],
            "weights": everybodys([float(t.double().sum()) for t in normed.state_dict().values()]),
        }
    elif task == "evaluate":
        torch.manual_seed(1)
        found = sn.evaluate(sn.lenet5(), load("digits", "test"), batch_size=50)
        told = {}
    else:  # "die": one process ends in the middle of an epoch
        steps = 0

        def look(images: Tensor) -> Tensor:
            nonlocal steps
            steps += 1
            if steps == 5 and RANK == 1:
                os._exit(9)
            return images

        try:
            sn.fit(net, train, epochs=50, augment=look, run_dir=folder / "run", **common)
        except sn.RunError as error:
            print(f"told: {error}", flush=True)
            os._exit(3)
        return
    told |= {"loss": found.loss, "accuracy": found.accuracy, "confusion": found.confusion.tolist()}
    if RANK == 0:
        (folder / "told.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
