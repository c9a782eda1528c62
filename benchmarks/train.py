"""Training and evaluation beside the peers: same net, same batch, same pictures, one run.

    python benchmarks/train.py --data cifar10-jpeg.zip                 # speed: table, train.json
    python benchmarks/train.py --data cifar10-jpeg.zip --accuracy --nets convnet3,resnet20   # equal epochs: accuracy.json

Every way of training is a process of its own. ``textbook`` is the loop of the tutorials: an image folder, PIL
transforms, a DataLoader with two workers, fp32, ``loss.item()`` at each step. skorch, Lightning and Keras (on torch)
get the same DataLoader; ``lightning-bf16`` its bf16-mixed precision. ``fit-fp32`` is ours at their precision, ``fit`` ours
as it comes. Speeds are images a second over whole steps after the first ones, which set things up; every way is run in
turn, several rounds, and the median round counts. ``short`` is a run of five epochs of 512 pictures, all of it: what
measuring the plan takes included. On a GPU there are more steps, as they are short, and the clock waits
for it where the counted steps begin and end.

Needs: pip install skorch lightning keras
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from machine import cpu_text, processor

HERE = Path(__file__).parent
NETS: dict[str, dict[str, Any]] = {
    "lenet5": {"in_channels": 3},
    "convnet3": {},
    "resnet20": {},
    "vgg16": {"head": "linear", "batch_norm": True, "num_classes": 10},
    "resnet18": {"stem": "cifar"},
    "resnet50": {"stem": "cifar"},
}
STEPS = {"lenet5": 120, "convnet3": 40, "resnet20": 16, "vgg16": 6, "resnet18": 4, "resnet50": 2}
GPU_STEPS = 200
WARM = 1
BATCH = 128
WAYS = ("textbook", "skorch", "lightning", "lightning-bf16", "keras", "fit-fp32", "fit")
SHORT = ("resnet18", "vgg16", "resnet50")  # also timed over five epochs of 512 pictures
EVALUATED = ("resnet18", "resnet50", "vgg16")
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
LR = 1e-3


def unpack(data: Path, folder: Path, per_class: int) -> Path:
    """The first pictures of each class of each split as an image folder, as the tutorials have it."""
    root = folder / f"{per_class}-of-each-class"
    if root.exists() or data.is_dir():
        return root if root.exists() else data
    counts: dict[str, int] = {}
    with zipfile.ZipFile(data) as archive:
        for name in sorted(archive.namelist()):
            kind = name.rpartition("/")[0]
            if name.endswith(".jpg") and counts.get(kind, 0) < per_class:
                counts[kind] = counts.get(kind, 0) + 1
                target = root / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(name))
    return root


def loader(root: Path, split: str, augment: bool, batch: int = BATCH) -> Any:
    """ImageFolder, PIL transforms, DataLoader: the tutorials' data path."""
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    steps: list[Any] = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()] if augment else []
    steps += [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    data = datasets.ImageFolder(str(root / split), transforms.Compose(steps))
    return DataLoader(data, batch, shuffle=augment, num_workers=2, drop_last=augment, persistent_workers=False)


class Clock:
    """Notes the end of each step; the speed is that of the steps after the first ones."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.ends: list[float] = []

    @property
    def done(self) -> bool:
        return len(self.ends) > self.steps + WARM

    def tick(self) -> None:
        import torch

        if torch.cuda.is_available() and len(self.ends) in (WARM, self.steps + WARM):
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())

    def speed(self) -> float:
        return BATCH * self.steps / (self.ends[self.steps + WARM] - self.ends[WARM])


def device_of_this_machine() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def steps_of(net: str) -> int:
    return STEPS[net] if device_of_this_machine() == "cpu" else GPU_STEPS


def build(net: str) -> Any:
    import torch

    import smallnets as sn

    torch.manual_seed(0)
    return sn.build(net, **NETS[net])


def endless(batches: Any) -> Iterator[Any]:
    while True:
        yield from batches


def textbook(net: str, root: Path, steps: int) -> float:
    import torch

    device = device_of_this_machine()
    model, clock = build(net).to(device), Clock(steps)
    optimizer, criterion = torch.optim.Adam(model.parameters(), lr=LR), torch.nn.CrossEntropyLoss()
    model.train()
    running = 0.0
    for images, labels in endless(loader(root, "train", augment=True)):
        images, labels = images.to(device), labels.to(device)
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
        running += loss.item()
        clock.tick()
        if clock.done:
            return clock.speed()
    raise AssertionError


def with_skorch(net: str, root: Path, steps: int) -> float:
    import torch
    from skorch import NeuralNetClassifier
    from skorch.callbacks import Callback
    from torchvision import datasets, transforms

    clock = Clock(steps)

    class Ticks(Callback):
        def on_batch_end(self, net: Any, batch: Any = None, training: bool = False, **_: Any) -> None:
            clock.tick()
            if clock.done:
                raise KeyboardInterrupt  # skorch's way of ending early

    made = loader(root, "train", augment=True)
    assert isinstance(made.dataset, datasets.ImageFolder) and transforms
    model = NeuralNetClassifier(
        build(net), criterion=torch.nn.CrossEntropyLoss, optimizer=torch.optim.Adam, lr=LR, batch_size=BATCH, max_epochs=99,
        train_split=None, iterator_train__shuffle=True, iterator_train__num_workers=2, iterator_train__drop_last=True,
        callbacks=[Ticks()], verbose=0, device=device_of_this_machine(),
    )  # fmt: skip
    model.fit(made.dataset, y=None)
    return clock.speed()


def with_lightning(net: str, root: Path, steps: int, precision: str = "32-true") -> float:
    import logging
    import warnings

    import lightning
    import torch

    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    clock = Clock(steps)

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = build(net)

        def training_step(self, batch: Any, index: int) -> Any:
            return torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])

        def on_train_batch_end(self, *_: Any) -> None:
            clock.tick()

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), lr=LR)

    trainer = lightning.Trainer(
        max_steps=steps + WARM + 1, precision=precision, logger=False, enable_checkpointing=False,  # type: ignore[arg-type]
        enable_progress_bar=False, enable_model_summary=False, accelerator="auto", devices=1,
    )  # fmt: skip
    trainer.fit(Module(), loader(root, "train", augment=True))
    return clock.speed()


def with_keras(net: str, root: Path, steps: int) -> float:
    os.environ["KERAS_BACKEND"] = "torch"
    import keras
    import torch

    clock = Clock(steps)
    model = keras.Sequential([keras.layers.Input((3, 32, 32)), keras.layers.TorchModuleWrapper(build(net))])

    class Ticks(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            clock.tick()

    model.compile(keras.optimizers.Adam(LR), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert torch.is_tensor(torch.zeros(1))
    made = loader(root, "train", augment=True)
    epochs = -(-(steps + WARM + 1) // len(made))
    model.fit(made, epochs=epochs, steps_per_epoch=min(len(made), steps + WARM + 1), verbose=0, callbacks=[Ticks()])
    return clock.speed()


def mixed(count: int, of: int) -> list[int]:
    """So many rows of a set that is sorted by class, from all over it."""
    return [37 * row % of for row in range(count)]


def with_fit(net: str, root: Path, steps: int, **options: Any) -> tuple[float, dict[str, Any]]:
    """One epoch of the steps sets things up, the next one counts; the plan is that of a run of a hundred."""
    import smallnets as sn
    from smallnets.data import load

    train, ends = load(root, "train"), [0.0]
    count = BATCH * steps
    rows = mixed(count, len(train))

    def lap(row: Any) -> bool:
        import torch

        if torch.cuda.is_available():
            torch.cuda.synchronize()
        ends.append(time.perf_counter())
        return len(ends) > 2

    history = sn.fit(build(net), train[rows], epochs=100, batch_size=BATCH, lr=LR, optimizer="adam", weight_decay=0.0,
                     progress=False, compile=False, callbacks=[lap], **options)  # fmt: skip
    return count / (ends[-1] - ends[-2]), history.plan


def short(way: str, net: str, root: Path) -> dict[str, Any]:
    """Seconds of five epochs of 512 pictures from the first line to the last, whatever is measured included."""
    import smallnets as sn
    from smallnets.data import load

    model, epochs, pictures = build(net), 5, 512
    if way == "fit":
        train = load(root, "train")
        train = train[mixed(pictures, len(train))]
        started = time.perf_counter()
        history = sn.fit(model, train, epochs=epochs, batch_size=BATCH, lr=LR, optimizer="adam", weight_decay=0.0,
                         augment="crop-flip", progress=False)  # fmt: skip
        return {"speed": epochs * pictures / (time.perf_counter() - started), "plan": history.plan}
    import torch

    device = device_of_this_machine()
    made = loader(root, "train", augment=True)
    made = torch.utils.data.DataLoader(torch.utils.data.Subset(made.dataset, mixed(pictures, len(made.dataset))), BATCH, shuffle=True,
                                       num_workers=2)  # fmt: skip
    started = time.perf_counter()
    model.to(device).train()
    optimizer, criterion = torch.optim.Adam(model.parameters(), lr=LR), torch.nn.CrossEntropyLoss()
    for _ in range(epochs):
        for images, labels in made:
            optimizer.zero_grad()
            loss = criterion(model(images.to(device)), labels.to(device))
            loss.backward()
            optimizer.step()
            loss.item()
    return {"speed": epochs * pictures / (time.perf_counter() - started)}


def evaluate_textbook(net: str, root: Path) -> float:
    import torch

    device = device_of_this_machine()
    model, correct, total = build(net).to(device).eval(), 0, 0
    batches = loader(root, "test", augment=False)
    with torch.no_grad():
        started = time.perf_counter()
        for images, labels in batches:
            guess = model(images.to(device)).argmax(dim=1)
            correct += (guess == labels.to(device)).sum().item()
            total += len(labels)
    return total / (time.perf_counter() - started)


def evaluate_ours(net: str, root: Path) -> tuple[float, dict[str, Any]]:
    import smallnets as sn
    from smallnets.data import load

    test, model = load(root, "test"), build(net)
    started = time.perf_counter()
    found = sn.evaluate(model, test, batch_size=BATCH)  # measuring how is part of it
    return found.n / (time.perf_counter() - started), found.plan


def one(way: str, net: str, root: Path) -> dict[str, Any]:
    """Run one way in this process."""
    steps = steps_of(net)
    if way == "evaluate-textbook":
        return {"speed": evaluate_textbook(net, root)}
    if way == "evaluate-ours":
        speed, plan = evaluate_ours(net, root)
        return {"speed": speed, "plan": plan}
    if way.startswith("short-"):
        return short(way.removeprefix("short-"), net, root)
    if way.startswith("fit"):
        fixed = {"precision": "fp32", "channels_last": False} if way == "fit-fp32-plain" else {}
        fixed = {"precision": "fp32"} if way == "fit-fp32" else fixed
        speed, plan = with_fit(net, root, steps, **fixed)
        return {"speed": speed, "plan": plan}
    ways: dict[str, Callable[..., float]] = {
        "textbook": textbook,
        "skorch": with_skorch,
        "lightning": with_lightning,
        "lightning-bf16": lambda *rest: with_lightning(*rest, precision="bf16-mixed"),
        "keras": with_keras,
    }
    return {"speed": ways[way](net, root, steps)}


def in_a_process(way: str, net: str, root: Path, *more: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", way, net, "--root", str(root), *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"speed": float("nan"), "error": done.stderr.strip().splitlines()[-1][:300] if done.stderr else "?"}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in ("smallnets", "torch", "torchvision", "skorch", "lightning", "keras"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def hardware() -> str:
    import torch

    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, {os.cpu_count()} cores"
    text = cpu_text()
    kinds = [flag for flag in ("avx512_bf16", "amx_bf16") if flag in text]
    return f"{processor()}, {os.cpu_count()} cores, {', '.join(kinds) or 'no bf16 instructions'}"


def product_rates() -> dict[str, float]:
    """GFLOP/s of a matrix product in fp32 and bf16, the fastest of ten: about the most that a net can reach."""
    import torch

    found = {}
    for name, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        a, b = (torch.randn(2048, 2048, device=device_of_this_machine()).to(kind) for _ in range(2))
        seconds = []
        for _ in range(10):
            started = time.perf_counter()
            (a @ b)[0, 0].item()
            seconds.append(time.perf_counter() - started)
        found[name] = 2 * 2048**3 / min(seconds) / 1e9
    return found


def gflop_a_picture(net: str) -> float:
    """Of a training step: two a multiply-accumulate, forward and for the gradients of maps and of weights."""
    import smallnets as sn

    return 6 * sn.summarize(build(net), (3, 32, 32)).to_dict()["totals"]["macs"] / 1e9


def mean(values: list[float]) -> float:
    return statistics.geometric_mean(values)


def in_turn(ways: tuple[str, ...], net: str, root: Path, rounds: int) -> dict[str, dict[str, Any]]:
    """Every way once a round, so that a machine that slows down slows all; the median round of each counts."""
    found = [{way: in_a_process(way, net, root) for way in ways} for _ in range(rounds)]
    row: dict[str, dict[str, Any]] = {}
    for way in ways:
        speeds = [one_round[way]["speed"] for one_round in found]
        row[way] = {**found[-1][way], "speed": statistics.median(speeds), "rounds": speeds}
    return row


def speed_table(root: Path, nets: list[str], rounds: int, out: Path) -> None:
    report: dict[str, Any] = {
        "hardware": hardware(),
        "versions": versions(),
        "batch": BATCH,
        "matrix product, GFLOP/s": product_rates(),
        "train": {},
        "evaluate": {},
    }
    print(f"a matrix product: {report['matrix product, GFLOP/s']} GFLOP/s")
    print(f"{'train, images/s':<12}" + "".join(f"{way:>15}" for way in WAYS) + f"{'fit/textbook':>14}{'fp32/best':>11}")
    for net in nets:
        row = in_turn(WAYS, net, root, rounds)
        speeds = {way: found["speed"] for way, found in row.items()}
        best = max(speeds[way] for way in ("textbook", "skorch", "lightning", "keras") if speeds[way] == speeds[way])
        ratios = {"fit/textbook": speeds["fit"] / speeds["textbook"], "fit-fp32/best peer": speeds["fit-fp32"] / best}
        work = {"GFLOP a picture": gflop_a_picture(net), "fit, GFLOP/s": gflop_a_picture(net) * speeds["fit"]}
        report["train"][net] = {"images a round": BATCH * steps_of(net), **row, **ratios, **work}
        cells = "".join(f"{speeds[way]:>15,.1f}" for way in WAYS)
        print(f"{net:<12}{cells}{ratios['fit/textbook']:>13.2f}x{ratios['fit-fp32/best peer']:>10.2f}x  "
              f"{work['fit, GFLOP/s']:,.0f} GFLOP/s", flush=True)  # fmt: skip
        out.write_text(json.dumps(report, indent=2) + "\n")
    for column in ("fit/textbook", "fit-fp32/best peer"):
        report[f"geometric mean {column}"] = mean([row[column] for row in report["train"].values()])
        print(f"geometric mean {column}: {report[f'geometric mean {column}']:.2f}")
    report["short"] = {}
    for net in (name for name in SHORT if name in nets):
        row = in_turn(("short-textbook", "short-fit"), net, root, rounds)
        ratio = row["short-fit"]["speed"] / row["short-textbook"]["speed"]
        report["short"][net] = {**row, "ratio": ratio}
        print(f"five epochs of 512 pictures, {net}: {ratio:.2f}x the textbook loop, measuring included", flush=True)
        out.write_text(json.dumps(report, indent=2) + "\n")
    for net in (name for name in EVALUATED if name in nets):
        row = in_turn(("evaluate-textbook", "evaluate-ours"), net, root, rounds)
        plain, ours = row["evaluate-textbook"], row["evaluate-ours"]
        ratio = ours["speed"] / plain["speed"]
        report["evaluate"][net] = {"textbook": plain, "ours": ours, "ratio": ratio}
        print(
            f"evaluate {net}: textbook {plain['speed']:.1f}, ours {ours['speed']:.1f} images/s, {ratio:.2f}x",
            flush=True,
        )
        out.write_text(json.dumps(report, indent=2) + "\n")


def train_to_accuracy(way: str, net: str, root: Path, seed: int, epochs: int) -> float:
    """Test accuracy after equal epochs: the textbook loop with the same optimiser and schedule, or fit as it comes."""
    import torch

    import smallnets as sn
    from smallnets.data import load

    torch.manual_seed(seed)
    model, test = sn.build(net, **NETS[net]), load(root, "test")
    if way == "fit":
        sn.fit(
            model,
            load(root, "train"),
            epochs=epochs,
            batch_size=64,
            lr=3e-3,
            optimizer="adamw",
            seed=seed,
            progress=False,
        )
        return sn.evaluate(model, test).accuracy
    batches = loader(root, "train", augment=True, batch=64)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 3e-3, total_steps=epochs * len(batches), cycle_momentum=False
    )
    for _ in range(epochs):
        model.train()
        for images, labels in batches:
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            schedule.step()
    return sn.evaluate(model, test).accuracy


def accuracy_table(root: Path, nets: list[str], epochs: int, seeds: int, out: Path) -> None:
    before = json.loads(out.read_text())["nets"] if out.exists() else {}
    report: dict[str, Any] = {"hardware": hardware(), "versions": versions(), "nets": before}
    tested = sum(1 for _ in (root / "test").rglob("*.jpg"))
    for net in nets:
        row: dict[str, Any] = {"epochs": epochs, "pictures tested": tested}
        for way in ("textbook", "fit"):
            more = ("--epochs", str(epochs))
            found = [in_a_process(f"accuracy-{way}", net, root, "--seed", str(seed), *more) for seed in range(seeds)]
            row[way] = [item["speed"] for item in found]
        row["difference"] = statistics.mean(row["fit"]) - statistics.mean(row["textbook"])
        row["spread"] = max(max(row[way]) - min(row[way]) for way in ("textbook", "fit"))
        report["nets"][net] = row
        shown = {way: " ".join(f"{value:.4f}" for value in row[way]) for way in ("textbook", "fit")}
        print(f"{net}: textbook {shown['textbook']}; fit {shown['fit']}; difference {row['difference']:+.4f}, "
              f"spread over seeds {row['spread']:.4f}", flush=True)  # fmt: skip
        out.write_text(json.dumps(report, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Training beside the peers.")
    parser.add_argument("--data", type=Path, help="an image folder, or a zip of one")
    parser.add_argument(
        "--work", type=Path, default=Path("/tmp/smallnets-benchmark"), help="where pictures are unpacked"
    )
    parser.add_argument("--nets", default=",".join(NETS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--accuracy", action="store_true", help="accuracy after equal epochs instead of speed")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        way, net = arguments.one
        if way.startswith("accuracy-"):
            reached = train_to_accuracy(
                way.removeprefix("accuracy-"), net, arguments.root, arguments.seed, arguments.epochs
            )
            print(json.dumps({"speed": reached}))
        else:
            print(json.dumps(one(way, net, arguments.root)))
        return
    root = unpack(arguments.data, arguments.work, per_class=500)
    if arguments.accuracy:
        accuracy_table(
            root, arguments.nets.split(","), arguments.epochs, arguments.seeds, arguments.out or HERE / "accuracy.json"
        )
    else:
        speed_table(root, arguments.nets.split(","), arguments.rounds, arguments.out or HERE / "train.json")


if __name__ == "__main__":
    main()
