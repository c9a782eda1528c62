"""What processor the benchmarks ran on."""

import platform
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


def cpu_text() -> str:
    """What the kernel says of the processor; empty where there is no such file."""
    return CPUINFO.read_text() if CPUINFO.exists() else ""


def processor() -> str:
    """Its name.

    >>> bool(processor())
    True
    """
    names = (line.partition(":")[2].strip() for line in cpu_text().splitlines() if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
