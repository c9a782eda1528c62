"""From a file to a ready vgg16: ours beside torchvision's build-then-load, on the same file.

    python benchmarks/load.py [--runs 7] [--json benchmarks/load.json]

Both sides read a file that the operating system has cached (it is read once before), in turn, each in a process that
has already imported its libraries. "Every byte read" is proved at the end of each run of ours: the file is filled with
zeros and the net still gives the logits that it gave before, which a memory-mapped load would not survive.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torchvision
from safetensors.torch import load_file, save_file
from torch import nn

import smallnets as sn


def torchvisions(path: Path) -> nn.Module:
    net = torchvision.models.vgg16()
    net.load_state_dict(load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True))
    return net


def ours(path: Path) -> nn.Module:
    return sn.vgg16(weights=path)


def seconds(build: Callable[[Path], nn.Module], path: Path) -> float:
    start = time.perf_counter()
    net = build(path)
    taken = time.perf_counter() - start
    assert len(list(net.parameters())) == 32
    return taken


def bytes_are_read(path: Path) -> bool:
    """Whether a net stays what it is when its file is overwritten."""
    content = path.read_bytes()
    net = ours(path)
    before = [parameter.detach().clone() for parameter in net.parameters()]
    path.write_bytes(b"\0" * len(content))
    same = all(torch.equal(one, other) for one, other in zip(net.parameters(), before, strict=True))
    path.write_bytes(content)
    return same


def cpu() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return names[0].partition(": ")[2] if names else platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        state = torchvision.models.vgg16().state_dict()
        for name in ("vgg16.pth", "vgg16.safetensors"):
            path = Path(folder) / name
            (save_file if path.suffix == ".safetensors" else torch.save)(state, path)
            os.sync()
            path.read_bytes()
            times: dict[str, list[float]] = {"torchvision": [], "smallnets": []}
            for _ in range(options.runs):
                times["torchvision"].append(seconds(torchvisions, path))
                times["smallnets"].append(seconds(ours, path))
            theirs, mine = (statistics.median(taken) for taken in times.values())
            read = bytes_are_read(path)
            size = path.stat().st_size
            rows.append(
                {"file": name, "bytes": size, "seconds": times, "ratio": theirs / mine, "every_byte_read": read}
            )
    result = {
        "what": "seconds from a cached file to a ready vgg16, median and all runs",
        "n": options.runs,
        "hardware": f"{cpu()}, {os.cpu_count()} cores, torch on {torch.get_num_threads()} threads",
        "versions": {"smallnets": sn.__version__, "torch": torch.__version__, "torchvision": torchvision.__version__},
        "rows": rows,
    }
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    print(f"n = {options.runs}; {result['hardware']}; {result['versions']}")
    print(f"{'file':<20}{'MB':>8}{'torchvision s':>16}{'smallnets s':>14}{'times faster':>15}{'every byte read':>18}")
    for row in rows:
        theirs, mine = (statistics.median(taken) for taken in row["seconds"].values())
        print(f"{row['file']:<20}{row['bytes'] / 1e6:>8.1f}{theirs:>16.3f}{mine:>14.3f}{row['ratio']:>15.1f}", end="")
        print(f"{'yes' if row['every_byte_read'] else 'NO':>18}")


if __name__ == "__main__":
    main()
