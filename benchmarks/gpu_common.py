"""What the parts of ``gpu.py`` share: settings, rows that are kept as they come, pictures decoded once, timing."""

import json
import os
import statistics
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FACTS = ("labels", "classes", "ids", "mean", "std", "images", "source")


@dataclass(frozen=True)
class Settings:
    """What was asked for on the command line, and the seconds that this part has."""

    data: Path
    out: Path
    device: str = "cuda"
    quick: bool = False
    jobs: int = 1
    only: tuple[str, ...] = ()
    seconds: float = 0.0
    started: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "started", time.monotonic())

    @property
    def left(self) -> float:
        """Seconds that are left, less a little to write down what was found."""
        return self.seconds - (time.monotonic() - self.started) - 2

    def arguments(self) -> list[str]:
        given = ["--data", str(self.data), "--out", str(self.out), "--device", self.device, "--jobs", str(self.jobs)]
        given += ["--only", ",".join(self.only)] if self.only else []
        return given + ["--quick"] * self.quick

    def wanted(self, name: str) -> bool:
        return not self.only or any(word in name for word in self.only)


def read_json(path: Path, default: Any) -> Any:
    return json.loads(path.read_text()) if path.exists() else default


def write_json(path: Path, found: Any) -> None:
    """All or nothing: a part may be killed while it writes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps(found, indent=1, default=str) + "\n")
    beside.replace(path)


class Rows:
    """The rows of a part, in ``NAME.json``; one that is there and without an error is not run again."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.settings, self.path = settings, settings.out / f"{name}.json"
        self.found: dict[str, Any] = read_json(self.path, {})

    def add(self, name: str, call: Callable[[], dict[str, Any]], least: float = 3.0) -> dict[str, Any]:
        """Run a row unless it is done or fewer than ``least`` seconds are left; an error is a row, too."""
        before = self.found.get(name)
        if not self.settings.wanted(name):
            return before or {}
        if before is not None and not {"error", "not run"} & before.keys():
            return before
        if self.settings.left < least:
            row: dict[str, Any] = {"not run": f"{self.settings.left:.0f} s left"}
        else:
            began = time.perf_counter()
            try:
                row = call()
            except Exception as error:
                traceback.print_exc()
                row = {"error": f"{type(error).__name__}: {error}"[:500]}
            row["took"] = round(time.perf_counter() - began, 2)
        self.found[name] = row
        write_json(self.path, self.found)
        print(name, {key: value for key, value in row.items() if not isinstance(value, dict | list)}, flush=True)
        free_memory(self.settings.device)
        return row


def pictures(settings: Settings, split: str, classes: tuple[str, ...] | None = None) -> Any:
    """A split as an ImageSet; decoded once, and kept beside the results as one tensor file for the other processes."""
    import torch

    from smallnets.data import load
    from smallnets.data.imageset import ImageSet

    folder = settings.out / "pictures"
    if not (folder / "test.pt").exists():
        folder.mkdir(exist_ok=True)
        for part in ("train", "test"):
            found = load(settings.data, part)
            facts = {key: getattr(found, key) for key in FACTS}
            beside = folder / f"{part}.{os.getpid()}"
            torch.save({key: list(v) if isinstance(v, tuple) else v for key, v in facts.items()}, beside)
            beside.replace(folder / f"{part}.pt")
    facts = torch.load(folder / f"{split}.pt", weights_only=True)
    data = ImageSet(**{key: tuple(value) if isinstance(value, list) else value for key, value in facts.items()})
    if classes is not None:
        data = only_classes(data, classes)
    if settings.quick:
        few = 160 if split == "train" else 40
        data = data[torch.arange(0, len(data), max(1, len(data) // few))[:few]]
    return data


def only_classes(data: Any, classes: tuple[str, ...]) -> Any:
    """The pictures of some classes, numbered in their order; mean and std stay those of all."""
    from dataclasses import replace

    import torch

    numbers = {data.classes.index(name): place for place, name in enumerate(classes)}
    rows = torch.cat([(data.labels == number).nonzero()[:, 0] for number in numbers]).sort().values
    kept = data[rows]
    labels = torch.tensor([numbers[label] for label in kept.labels.tolist()])
    return replace(kept, labels=labels, classes=classes)


def synchronise(device: str) -> None:
    import torch

    if device.startswith("cuda"):
        torch.cuda.synchronize()


def free_memory(device: str) -> None:
    import gc

    import torch

    gc.collect()
    if device.startswith("cuda") and torch.cuda.is_available():
        torch.cuda.empty_cache()


def seconds_each(call: Callable[[], object], device: str, rounds: int = 5, calls: int = 10) -> float:
    """Seconds of one of several calls in a row: the median of rounds, the device waited for at each end."""
    call()
    found: list[float] = []
    for _ in range(rounds):
        synchronise(device)
        began = time.perf_counter()
        for _ in range(calls):
            call()
        synchronise(device)
        found.append((time.perf_counter() - began) / calls)
    return statistics.median(found)


def kernel_seconds(call: Callable[[], object], device: str) -> float | None:
    """Seconds that kernels ran during a call, all streams added, as the profiler saw them; None without a GPU."""
    if not device.startswith("cuda"):
        return None
    from torch.profiler import ProfilerActivity, profile

    synchronise(device)
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        call()
        synchronise(device)
    return kernel_time(seen)


def kernel_time(seen: Any) -> float:
    """Seconds of all kernels in a profile."""
    return sum(event.self_device_time_total for event in seen.key_averages()) / 1e6
