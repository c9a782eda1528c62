"""Summaries side by side with torchinfo: time after the first call, peak memory above the idle process.

    python benchmarks/summary.py

Needs torchinfo (pip install torchinfo). Each memory figure comes from a process of its own: peak resident set after one
summary, less that before it, with the net already built (ours without weights, on the meta device). torchinfo runs the
net, so that it needs the weights; the time of both is the best of seven calls, after a first one, on the CPU.

Last run: 2 cores of an AMD EPYC, shared with other work, Python 3.11, torch 2.15, torchvision 0.29,
torchinfo 1.8.0.

    net          smallnets     torchinfo    ratio    smallnets memory    torchinfo memory
    vgg16          10.8 ms     1078.9 ms    99.7x             3.2 MB             49.4 MB
    resnet152     214.4 ms     2400.3 ms    11.2x             5.5 MB             37.5 MB
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

NETS = ("vgg16", "resnet152")
SIZE = (3, 224, 224)


def best_of(call: Callable[[], Any], times: int = 7) -> float:
    """Seconds of the quickest call after a first one."""
    call()
    seconds: list[float] = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def calls(net: str, meta: bool) -> dict[str, Callable[[], Any]]:
    """The two ways to summarise a net."""
    import torch
    import torchinfo
    import torchvision

    from smallnets import summarize

    with torch.device("meta" if meta else "cpu"):
        model = torchvision.models.get_model(net).eval()
    return {
        "smallnets": lambda: summarize(model, SIZE),
        "torchinfo": lambda: torchinfo.summary(model, (1, *SIZE), verbose=0),
    }


def resident(kind: str) -> float:
    """Resident set of this process in MB, now (VmRSS) or at its peak (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(kind))


def memory(net: str, tool: str) -> float:
    """Peak memory above the idle process, measured in a fresh one."""
    command = [sys.executable, "-W", "ignore", __file__, net, tool]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    if len(sys.argv) == 3:
        call = calls(sys.argv[1], meta=sys.argv[2] == "smallnets")[sys.argv[2]]
        Path("/proc/self/clear_refs").write_text("5")  # Linux: start the peak afresh
        idle = resident("VmRSS")
        call()
        print(resident("VmHWM") - idle)
        return
    sys.path.insert(0, str(Path(__file__).parent))
    from train import hardware, versions

    report: dict[str, Any] = {"hardware": hardware(), "versions": {**versions(), "torchinfo": version("torchinfo")}}
    print("net          smallnets     torchinfo    ratio    smallnets memory    torchinfo memory")
    for net in NETS:
        ways = calls(net, meta=False)
        ours, theirs = best_of(ways["smallnets"]), best_of(ways["torchinfo"])
        used = [memory(net, tool) for tool in ("smallnets", "torchinfo")]
        print(
            f"{net:<10}{ours * 1e3:>9.1f} ms {theirs * 1e3:>10.1f} ms {theirs / ours:>7.1f}x"
            f"{used[0]:>16.1f} MB {used[1]:>16.1f} MB"
        )
        report[net] = {"smallnets_s": ours, "torchinfo_s": theirs, "ratio": theirs / ours, "memory_mb": used}
    Path(__file__).with_suffix(".json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
