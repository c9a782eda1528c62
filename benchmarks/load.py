"""From a file to a ready net: ours beside torchvision's build-then-load and the quickest way by hand, on the same file.

    python benchmarks/load.py [--runs 7] [--json benchmarks/load.json]

All sides read a file that the operating system has cached (it is read once before), in turn, each in a process that
has already imported its libraries. By hand is: build on the meta device, map the file, copy its tensors
(``safetensors.torch.load_file``, ``torch.load(mmap=True)``), assign them. "Every byte read" is proved at the end of
each run of ours: the file is filled with zeros and the net still gives the logits that it gave before, which a
memory-mapped load would not survive.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torchvision
from machine import processor
from safetensors.torch import load_file, save_file
from torch import nn

import smallnets as sn

NETS = {"vgg16": 32, "resnet50": 161}  # their parameters, as tensors


def torchvisions(net: str, path: Path) -> nn.Module:
    model: nn.Module = getattr(torchvision.models, net)()
    model.load_state_dict(load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True))
    return model


def by_hand(net: str, path: Path) -> nn.Module:
    with torch.device("meta"):
        model: nn.Module = getattr(torchvision.models, net)()
    safe = path.suffix == ".safetensors"
    state = load_file(path) if safe else torch.load(path, weights_only=True, mmap=True)
    model.load_state_dict({name: value.clone() for name, value in state.items()}, assign=True)
    return model


def ours(net: str, path: Path) -> nn.Module:
    return getattr(sn, net)(weights=path)


SIDES: dict[str, Callable[[str, Path], nn.Module]] = {
    "torchvision": torchvisions,
    "by hand": by_hand,
    "smallnets": ours,
}


def seconds(build: Callable[[str, Path], nn.Module], net: str, path: Path) -> float:
    start = time.perf_counter()
    model = build(net, path)
    taken = time.perf_counter() - start
    assert len(list(model.parameters())) == NETS[net]
    return taken


def bytes_are_read(name: str, path: Path) -> bool:
    """Whether a net stays what it is when its file is overwritten."""
    content = path.read_bytes()
    net = ours(name, path)
    before = [parameter.detach().clone() for parameter in net.parameters()]
    path.write_bytes(b"\0" * len(content))
    same = all(torch.equal(one, other) for one, other in zip(net.parameters(), before, strict=True))
    path.write_bytes(content)
    return same


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for net in NETS:
            state = getattr(torchvision.models, net)().state_dict()
            for ending in (".pth", ".safetensors"):
                path = Path(folder) / f"{net}{ending}"
                (save_file if ending == ".safetensors" else torch.save)(state, path)
                os.sync()
                path.read_bytes()
                times: dict[str, list[float]] = {side: [] for side in SIDES}
                for _ in range(options.runs):
                    for side, build in SIDES.items():
                        times[side].append(seconds(build, net, path))
                median = {side: statistics.median(taken) for side, taken in times.items()}
                row = {"file": path.name, "bytes": path.stat().st_size, "seconds": times}
                row["ratio"] = median["torchvision"] / median["smallnets"]
                row["ratio_by_hand"] = median["by hand"] / median["smallnets"]
                row["every_byte_read"] = bytes_are_read(net, path)
                rows.append(row)
    result = {
        "what": "seconds from a cached file to a ready net, all runs; ratios of the medians",
        "n": options.runs,
        "hardware": f"{processor()}, {os.cpu_count()} cores, torch on {torch.get_num_threads()} threads",
        "load_average": os.getloadavg() if hasattr(os, "getloadavg") else None,
        "versions": {"smallnets": sn.__version__, "torch": torch.__version__, "torchvision": torchvision.__version__},
        "rows": rows,
    }
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    print(f"n = {options.runs}; {result['hardware']}; {result['versions']}; load {result['load_average']}")
    print(
        f"{'file':<22}{'MB':>8}"
        + "".join(f"{f'{side} s':>16}" for side in SIDES)
        + f"{'times faster':>15}{'every byte read':>18}"
    )
    for row in rows:
        medians = [statistics.median(taken) for taken in row["seconds"].values()]
        print(f"{row['file']:<22}{row['bytes'] / 1e6:>8.1f}" + "".join(f"{taken:>16.3f}" for taken in medians), end="")
        print(f"{row['ratio']:>15.1f}{'yes' if row['every_byte_read'] else 'NO':>18}")


if __name__ == "__main__":
    main()
