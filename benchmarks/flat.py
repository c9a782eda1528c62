"""Time and memory a picture at 5,000 and at 50,000 pictures, and from disk when the net is the limit.

    python benchmarks/flat.py --data cifar10-jpeg.zip

Each measurement is a process of its own that trains one epoch. Memory is the peak above that of the process with its
libraries and its net, a picture. Writes flat.json beside this script.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROUNDS = 2
CASES = [  # name, net, pictures, streamed
    ("in memory, 5,000", "convnet3", 5_000, False),
    ("in memory, 50,000", "convnet3", 50_000, False),
    ("in memory, net is the limit", "resnet20", 5_120, False),
    ("from disk, net is the limit", "resnet20", 5_120, True),
]


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(data: Path, net: str, count: int, streamed: bool) -> dict[str, Any]:
    import torch

    import smallnets as sn
    from smallnets.data import load

    torch.manual_seed(0)
    model = sn.build(net)
    idle = torch.randint(0, 256, (1280, 3, 32, 32), dtype=torch.uint8), torch.arange(1280) % 10
    common: dict[str, Any] = {
        "epochs": 1,
        "batch_size": 128,
        "precision": "fp32",
        "channels_last": False,
        "progress": False,
    }
    sn.fit(model, idle, compile=False, **common)  # the net and its gradients have their memory
    before, started = peak(), time.perf_counter()
    whole = load(data, memory_limit=1000 if streamed else None)
    loading = time.perf_counter() - started
    step = len(whole) // count
    train = whole[::step][:count] if step > 1 else whole
    history = sn.fit(model, train, compile=False, workers=2 if streamed else 0, **common)
    assert len(train) == count
    return {
        "pictures": count,
        "load_seconds": loading,
        "images_per_second": history["images_per_second"][0],
        "extra_bytes": peak() - before,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Flat time and memory.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is not None:
        _, net, count, streamed = CASES[arguments.one]
        print(json.dumps(measure(arguments.data, net, count, streamed)))
        return
    report: dict[str, Any] = {}
    rounds: list[list[dict[str, Any]]] = [[] for _ in CASES]
    for place in [*range(len(CASES))] * ROUNDS:  # in turn, so that a machine that slows down slows all
        command = [sys.executable, __file__, "--data", str(arguments.data), "--one", str(place)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rounds[place].append(json.loads(done.stdout.strip().splitlines()[-1]))
    for case, measured in zip(CASES, rounds, strict=True):
        speeds = [found["images_per_second"] for found in measured]
        report[case[0]] = found = {**measured[0], "images_per_second": statistics.mean(speeds), "rounds": speeds}
        print(f"{case[0]:<30}{case[1]:<10}{found['images_per_second']:>10,.0f} images/s"
              f"{found['extra_bytes'] / 2**20:>10,.0f} MiB above idle", flush=True)  # fmt: skip
    first, second, held, streamed = (report[case[0]]["images_per_second"] for case in CASES)
    report["50,000 / 5,000"] = second / first
    report["from disk / in memory"] = streamed / held
    print(f"50,000 / 5,000: {second / first:.2f}; from disk / in memory: {streamed / held:.2f}")
    sys.path.insert(0, str(HERE))
    from train import hardware, versions

    (HERE / "flat.json").write_text(
        json.dumps({"hardware": hardware(), "versions": versions(), **report}, indent=2) + "\n"
    )


if __name__ == "__main__":
    main()
