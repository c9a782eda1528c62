"""Everything that needs a GPU, in one command: correctness, speed, time to accuracy, memory, the accuracy of recipes.

    python benchmarks/gpu.py --data cifar10-jpeg.zip --out results               # on a GPU, about eight minutes
    python benchmarks/gpu.py --data cifar10-jpeg.zip --out rehearsal --device cpu --quick   # every part in small

Runs from a checkout (``PYTHONPATH=src``) without a network. The parts go by worth; each is a process of its own with a
limit of seconds, and writes ``PART.json`` after each of its rows, so that a run cut short still tells. The same command
goes on where it stopped: rows that are done are kept. ``gpu.json`` holds all parts with hardware and versions.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(1, str(Path(__file__).resolve().parents[1] / "src"))

from gpu_common import Settings, read_json, write_json

HERE = Path(__file__).resolve().parent


class Part(NamedTuple):
    """One part: the module that runs it, its function there, and its share of the time there is."""

    module: str
    function: str
    share: float


PARTS = {
    "machine": Part("gpu_speed", "machine", 0.08),
    "tests": Part("gpu_tests", "tests", 0.2),
    "speed": Part("gpu_speed", "speed", 0.35),
    "time-to-accuracy": Part("gpu_accuracy", "time_to_accuracy", 0.4),
    "memory": Part("gpu_memory", "memory", 0.1),
    "accuracy": Part("gpu_accuracy", "accuracy", 1.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Everything that needs a GPU, in one command.")
    parser.add_argument("--data", type=Path, required=True, help="CIFAR-10 as an image folder, or a zip of one")
    parser.add_argument("--out", type=Path, required=True, help="where results are written, and gone on from")
    parser.add_argument("--minutes", type=float, default=8.0, help="for all parts together")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="every part in small, as a rehearsal")
    parser.add_argument("--parts", default=",".join(PARTS), help="which, in this order")
    parser.add_argument("--jobs", type=int, default=3, help="accuracy runs that share the GPU; the rest runs alone")
    parser.add_argument("--only", default="", help="rows whose name holds one of these words, by commas")
    parser.add_argument("--limits", default="", help="seconds of some parts instead of their share: tests=60,speed=90")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=0.0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    unknown = [name for name in given.parts.split(",") if name not in PARTS]
    if unknown:
        parser.error(f"--parts: expected some of {', '.join(PARTS)}; got {', '.join(unknown)}.")
    given.out.mkdir(parents=True, exist_ok=True)
    only = tuple(word for word in given.only.split(",") if word)
    settings = Settings(given.data, given.out, given.device, given.quick, given.jobs, only, given.seconds)
    if given.one:
        function_of(given.one)(settings)
    else:
        limits = {
            name: float(value) for name, _, value in (pair.partition("=") for pair in given.limits.split(",")) if name
        }
        run_parts(settings, given.parts.split(","), 60 * given.minutes, limits)


def function_of(name: str) -> Callable[[Settings], None]:
    """The function of a part; each loads its own module, so that one that is broken breaks no other."""
    import importlib

    part = PARTS[name]
    found: Callable[[Settings], None] = getattr(importlib.import_module(part.module), part.function)
    return found


def run_parts(settings: Settings, names: list[str], seconds: float, limits: dict[str, float]) -> None:
    """One part after the other, each within its share of the time or what is left of all."""
    started = time.monotonic()
    report = read_json(settings.out / "gpu.json", {"parts": {}})
    for name in names:
        left = seconds - (time.monotonic() - started)
        limit = min(left, limits.get(name, PARTS[name].share * seconds))
        if limit < 5:
            report["parts"].setdefault(name, {})["ended"] = "not run: out of time"
            continue
        began = time.monotonic()
        ended = run_part(settings, name, limit)
        rows = read_json(settings.out / f"{name}.json", {})
        spent = round(time.monotonic() - began, 1)
        report["parts"][name] = {"ended": ended, "seconds": spent, "rows": rows}
        write_json(settings.out / "gpu.json", report)
        failed = sum("error" in row for row in rows.values() if isinstance(row, dict))
        print(f"== {name}: {ended}, {spent:.0f} of {limit:.0f} s, {len(rows)} rows, {failed} failed", flush=True)
        show(rows)


def run_part(settings: Settings, name: str, limit: float) -> str:
    """How a part ended: "done", "failed" or "out of time"; what it printed is in ``NAME.log``."""
    command = [sys.executable, str(HERE / "gpu.py"), "--one", name, "--seconds", f"{limit:.1f}", *settings.arguments()]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(HERE.parent / "src")}
    with (settings.out / f"{name}.log").open("a") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
        try:
            return "done" if process.wait(limit) == 0 else "failed"
        except subprocess.TimeoutExpired:
            return "out of time"
        finally:  # its DataLoader workers and jobs too
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def show(rows: dict[str, object]) -> None:
    """The plain numbers of each row, for whoever watches."""
    for name, row in rows.items():
        if isinstance(row, dict):
            plain = {key: value for key, value in row.items() if isinstance(value, str | int | float | bool)}
            print(f"   {name}: {json.dumps(plain)[:400]}", flush=True)


if __name__ == "__main__":
    main()
