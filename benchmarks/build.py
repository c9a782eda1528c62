"""Building time beside torchvision's, in one process; meta-device time of every net.

    python benchmarks/build.py [--repeats 7] [--json benchmarks/build.json]

Each net is built by turns here and there, so that both see the same machine; the least of the repeats counts, as
whatever else runs only ever adds. Writes a table to stdout and the figures, with n, hardware and versions, to JSON.
"""

import argparse
import gc
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torchvision
from machine import processor

import smallnets as sn

NETS = ("alexnet", "vgg16", "resnet50", "resnet152")


def seconds(build: Callable[[], object]) -> float:
    gc.collect()
    start = time.perf_counter()
    net = build()
    elapsed = time.perf_counter() - start
    del net
    return elapsed


def side_by_side(name: str, repeats: int) -> dict[str, object]:
    """Least and median seconds of both, built by turns; the first turn warms up and does not count."""
    ours: list[float] = []
    theirs: list[float] = []
    for turn in range(repeats + 1):
        # Who goes first alternates: the first finds a colder allocator.
        pairs = [(ours, getattr(sn, name)), (theirs, getattr(torchvision.models, name))]
        for times, build in pairs if turn % 2 else reversed(pairs):
            elapsed = seconds(build)
            if turn:
                times.append(elapsed)
    return {
        "name": name,
        "smallnets_s": min(ours),
        "torchvision_s": min(theirs),
        "smallnets_median_s": statistics.median(ours),
        "torchvision_median_s": statistics.median(theirs),
        "ratio": min(ours) / min(theirs),
        "n": repeats,
    }


def on_meta(name: str, repeats: int) -> dict[str, object]:
    def build() -> object:
        with torch.device("meta"):
            return sn.build(name)

    build()
    return {"name": name, "meta_s": min(seconds(build) for _ in range(repeats)), "n": repeats}


def hardware() -> str:
    return f"{processor()}, {torch.get_num_threads()} threads"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()

    peers = [side_by_side(name, arguments.repeats) for name in NETS]
    print(f"{'net':<16}{'smallnets':>12}{'torchvision':>14}{'ratio':>8}")
    for row in peers:
        print(f"{row['name']:<16}{row['smallnets_s']:>10.3f} s{row['torchvision_s']:>12.3f} s{row['ratio']:>8.2f}")
    meta = [on_meta(name, arguments.repeats) for name in sn.list_models()]
    print(f"\n{'on meta':<16}{'smallnets':>12}")
    for row in meta:
        print(f"{row['name']:<16}{row['meta_s'] * 1e3:>9.1f} ms")

    report = {
        "hardware": hardware(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "smallnets": sn.__version__,
        "build": peers,
        "meta": meta,
    }
    arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
