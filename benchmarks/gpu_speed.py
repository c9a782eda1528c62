"""Speed: images a second of the ways to train a net, and what share of the time the GPU works.

Every way trains the same net on batches of the same size, 32x32 pictures cropped and flipped, with Adam. ``textbook``
is the loop of the tutorials with its two workers, ``textbook-workers`` the same with a worker a core, ``resident`` the
plain loop of one who knows GPUs: pictures on the device, bf16, channels_last, nothing augmented. ``fit`` is ours as it
comes. Whole epochs count, with all that belongs to them, after a first one that sets things up.
"""

import importlib.metadata
import importlib.util
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import train as peers
from gpu_common import Rows, Settings, kernel_seconds, kernel_time, pictures, read_json, seconds_each, synchronise

NETS = ("resnet18", "convnet3", "resnet20", "vgg16", "resnet50")
# By worth; some ways are only tried on some nets, as each takes seconds of a GPU that is there for minutes.
TABLE = {
    "fit": NETS,
    "resident": NETS,
    "textbook": NETS,
    "fit-tuned-kernels": ("resnet18", "resnet20", "resnet50"),
    "lightning-bf16": ("resnet18", "resnet50", "convnet3"),
    "textbook-workers": ("resnet18", "resnet50", "convnet3"),
    "fit-eager": ("resnet18", "resnet20"),
    "fit-fp32": ("resnet18",),
    "fit-compile": ("resnet18", "resnet20"),
    "fit-max-autotune": ("resnet18",),
}
FEWER = {"convnet3": 25600, "resnet20": 25600}  # pictures an epoch, so that one takes about a second
WINDOW = 1.2  # seconds that are counted of each way
MODES: dict[str, dict[str, Any]] = {
    "fit": {},
    "fit-eager": {"compile": False},
    "fit-fp32": {"precision": "fp32"},
    "fit-compile": {"compile": True},
    "fit-max-autotune": {"compile": "max-autotune"},
    "fit-tuned-kernels": {},  # with torch.backends.cudnn.benchmark, which fit leaves as it finds it
}


def machine(settings: Settings) -> None:
    """What the machine is, and the most that it can do: matrix products and copies."""
    Rows(settings, "machine").add("machine", lambda: describe(settings.device, settings.quick), least=0)


def describe(device: str, quick: bool) -> dict[str, Any]:
    import torch

    found: dict[str, Any] = {"cores": os.cpu_count(), "python": platform.python_version(), "device": device}
    for name in ("torch", "torchvision", "triton", "lightning", "numpy", "pillow"):
        if importlib.util.find_spec({"pillow": "PIL"}.get(name, name)):
            found[name] = importlib.metadata.version(name)
    if device.startswith("cuda"):
        facts = torch.cuda.get_device_properties(device)
        found |= {
            "gpu": facts.name,
            "GiB": round(facts.total_memory / 2**30, 1),
            "capability": f"{facts.major}.{facts.minor}",
        }
        found |= {"cudnn": torch.backends.cudnn.version(), "cuda": torch.version.cuda}
    side = 256 if quick else 8192
    kinds = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    for name, kind in kinds.items():
        a, b = (torch.randn(side, side, device=device).to(kind) for _ in range(2))
        found[f"product {name}, TFLOP/s"] = round(2 * side**3 / seconds_each(lambda: a @ b, device) / 1e12, 2)  # noqa: B023
    if device.startswith("cuda"):
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high")
        a, b = (torch.randn(side, side, device=device) for _ in range(2))
        found["product tf32, TFLOP/s"] = round(2 * side**3 / seconds_each(lambda: a @ b, device) / 1e12, 2)
        torch.set_float32_matmul_precision(before)
    much = torch.empty((1 << 22) if quick else (1 << 30), dtype=torch.uint8, device=device)
    other = torch.empty_like(much)
    found["copy, GB/s read and written"] = round(
        2 * much.numel() / seconds_each(lambda: other.copy_(much), device) / 1e9
    )
    return found


def speed(settings: Settings) -> None:
    """The table: a row a net and way; the ways of one net after each other."""
    rows = Rows(settings, "speed")
    cores = min(16, os.cpu_count() or 1)
    ways: dict[str, Callable[[str, Settings], dict[str, Any]]] = {
        **{way: with_mode(options, way == "fit-tuned-kernels") for way, options in MODES.items()},
        "resident": resident,
        "textbook": lambda net, asked: with_loader(net, asked, workers=2),
        "textbook-workers": lambda net, asked: with_loader(net, asked, workers=cores),
        "lightning-bf16": lightning_bf16,
    }
    left_out = (
        {"fit-eager", "fit-compile", "fit-max-autotune", "fit-tuned-kernels"} if settings.quick else set()
    )  # compiling takes a minute on a CPU
    if importlib.util.find_spec("lightning") is None:
        left_out.add("lightning-bf16")
    for way, nets in TABLE.items():
        for net in ("convnet3",) if settings.quick else nets:
            if way not in left_out:
                rows.add(f"{net} {way}", lambda: finished(net, settings, ways[way](net, settings)), least=8)  # noqa: B023


def finished(net: str, settings: Settings, row: dict[str, Any]) -> dict[str, Any]:
    """With the arithmetic it did a second, to be set beside the machine's matrix product."""
    reached = peers.gflop_a_picture(net) * row["images a second"] / 1e3
    machine = read_json(settings.out / "machine.json", {}).get("machine", {})
    kind = row.get("plan", row)["precision"]
    product = machine.get("product tf32, TFLOP/s" if kind == "fp32" else f"product {kind}, TFLOP/s")
    share = None if not product else round(reached / product, 3)
    return {**row, "TFLOP/s": round(reached, 2), "of a matrix product's": share}


def window(settings: Settings) -> float:
    return 0.2 if settings.quick else WINDOW


class Laps:
    """Whole epochs, timed from outside by ``fit``'s callback: one to set up, some that count, one that is profiled."""

    def __init__(self, settings: Settings, pictures_an_epoch: int) -> None:
        self.device, self.window, self.count = settings.device, window(settings), pictures_an_epoch
        self.ends: list[float] = []
        self.rows: list[dict[str, Any]] = []
        self.kernels: float | None = None
        self.profiler: Any = None

    def __call__(self, row: dict[str, Any]) -> bool:
        synchronise(self.device)
        if self.profiler is not None:
            self.profiler.__exit__(None, None, None)
            self.kernels = kernel_time(self.profiler)
            return True
        self.ends.append(time.perf_counter())
        self.rows.append(row)
        if self.ends[-1] - self.ends[0] < self.window:
            return False
        if not self.device.startswith("cuda"):
            return True
        from torch.profiler import ProfilerActivity, profile

        self.profiler = profile(activities=[ProfilerActivity.CUDA])
        self.profiler.__enter__()
        return False

    def result(self) -> dict[str, Any]:
        laps = [after - before for before, after in zip(self.ends, self.ends[1:], strict=False)]
        each = statistics.median(laps)
        share = (
            None if self.kernels is None else round(min(1.0, self.kernels / each), 3)
        )  # kernels are seen beside a profiler
        found = {"images a second": round(self.count / each), "epochs counted": len(laps), "share the GPU works": share}
        return found | {"milliseconds a step": round(1e3 * each * peers.BATCH / self.count, 3)}


def with_mode(options: dict[str, Any], tuned: bool = False) -> Callable[[str, Settings], dict[str, Any]]:
    def run(net: str, settings: Settings) -> dict[str, Any]:
        import torch

        import smallnets as sn

        torch.backends.cudnn.benchmark = tuned
        data, model = pictures(settings, "train"), peers.build(net)
        data = data[: FEWER.get(net, 12800)] if not settings.quick else data
        laps = Laps(settings, len(data))
        # As many epochs as a usual run has: what is worth measuring and compiling goes by its seconds.
        history = sn.fit(model, data, epochs=100, batch_size=peers.BATCH, lr=peers.LR, optimizer="adam",
                         weight_decay=0.0, schedule="constant", progress=True, callbacks=[laps],
                         device=settings.device, **options)  # fmt: skip
        return {**laps.result(), "plan": history.plan}

    return run


def loop(settings: Settings, batches: Iterator[Any], step: Callable[[Any], None]) -> dict[str, Any]:
    """Steps of a loop of one's own for a window of seconds, then some that are profiled."""
    for _ in range(1 if settings.quick else 20):
        step(next(batches))
    synchronise(settings.device)
    began, steps = time.perf_counter(), 0
    while time.perf_counter() - began < window(settings):
        step(next(batches))
        steps += 1
    synchronise(settings.device)
    each = (time.perf_counter() - began) / steps
    kernels = kernel_seconds(lambda: [step(next(batches)) for _ in range(20)], settings.device)
    share = None if kernels is None else round(min(1.0, kernels / 20 / each), 3)
    found = {"images a second": round(peers.BATCH / each), "steps counted": steps, "share the GPU works": share}
    return found | {"milliseconds a step": round(1e3 * each, 3)}


def resident(net: str, settings: Settings) -> dict[str, Any]:
    """Pictures on the device, normalised as they are taken; bf16 and channels_last; the host waits for nothing."""
    import torch

    data, device = pictures(settings, "train"), settings.device
    model = peers.build(net).to(device).to(memory_format=torch.channels_last).train()
    images, labels = data.images.to(device), data.labels.to(device)
    mean, std = (torch.tensor(part, device=device)[:, None, None] * 255 for part in (data.mean, data.std))
    optimizer = torch.optim.Adam(model.parameters(), lr=peers.LR, fused=True)

    def batches() -> Iterator[Any]:
        while True:
            order = torch.randperm(len(labels), device=device)
            for start in range(0, len(labels) - peers.BATCH + 1, peers.BATCH):
                yield order[start : start + peers.BATCH]

    def step(rows: Any) -> None:
        batch = ((images[rows] - mean) / std).contiguous(memory_format=torch.channels_last)
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            loss = torch.nn.functional.cross_entropy(model(batch).float(), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return {**loop(settings, batches(), step), "precision": "bf16"}


def with_loader(net: str, settings: Settings, workers: int) -> dict[str, Any]:
    """The loop of the tutorials: a folder of pictures, PIL, a DataLoader, fp32, ``loss.item()`` at each step."""
    import torch

    device = settings.device
    model = peers.build(net).to(device).train()
    optimizer, criterion = torch.optim.Adam(model.parameters(), lr=peers.LR), torch.nn.CrossEntropyLoss()

    def step(batch: Any) -> None:
        images, labels = batch[0].to(device), batch[1].to(device)
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
        loss.item()

    return {**loop(settings, peers.endless(loader(settings, workers)), step), "precision": "fp32"}


def loader(settings: Settings, workers: int) -> Any:
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    steps = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
    root = peers.unpack(settings.data, settings.out / "unpacked", per_class=40 if settings.quick else 600)
    data = datasets.ImageFolder(
        str(root / "train"), transforms.Compose([*steps, transforms.Normalize(peers.MEAN, peers.STD)])
    )
    return DataLoader(data, peers.BATCH, shuffle=True, num_workers=workers, drop_last=True, persistent_workers=True)


def lightning_bf16(net: str, settings: Settings) -> dict[str, Any]:
    """Lightning in bf16-mixed with a worker a core."""
    import logging
    import warnings

    import lightning
    import torch

    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    ends: list[float] = []

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = peers.build(net)

        def training_step(self, batch: Any, index: int) -> Any:
            return torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])

        def on_train_batch_end(self, *_: Any) -> None:
            warm = 1 if settings.quick else 20
            if len(ends) in (0, warm):
                synchronise(settings.device)
            ends.append(time.perf_counter())
            if len(ends) > warm + 1 and ends[-1] - ends[warm] > window(settings):
                synchronise(settings.device)
                ends[-1] = time.perf_counter()
                self.trainer.should_stop = True

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), lr=peers.LR)

    kind = torch.device(settings.device).type
    trainer = lightning.Trainer(
        max_epochs=1000, min_epochs=1, precision="bf16-mixed", logger=False, enable_checkpointing=False, devices=1,
        enable_progress_bar=False, enable_model_summary=False, accelerator="gpu" if kind == "cuda" else kind,
        min_steps=1,
    )  # fmt: skip
    trainer.fit(Module(), loader(settings, min(16, os.cpu_count() or 1)))
    warm = 1 if settings.quick else 20
    each = (ends[-1] - ends[warm]) / (len(ends) - warm - 1)
    found = {"images a second": round(peers.BATCH / each), "steps counted": len(ends) - warm - 1}
    return found | {"milliseconds a step": round(1e3 * each, 3), "precision": "bf16"}
