"""Recipes run, several at once if asked for, and their figures brought together under ``benchmarks/results/``.

    python benchmarks/recipes.py --data PATH [--jobs 1] [--seeds 1] [--device auto] [--runs runs] [NAME ...]
    python benchmarks/recipes.py --gather [--runs runs] [--pictures cifar10-jpeg.zip] NAME ...

A process a recipe, each going on where it was stopped; without names the reports' recipes and the tuned ones are run. What
``results/NAME.json`` holds is read from the run folders: accuracy of each seed, seconds, epochs, versions and hardware.
With several jobs at once, or with --shared, the accuracies count and the seconds do not: they are marked so. --gather
runs nothing and reads the folders of runs that were made elsewhere.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from smallnets.experiments.compare import compare
from smallnets.experiments.recipe import list_recipes

RESULTS = Path(__file__).parent / "results"
KEYS = (
    "seed", "test_accuracy", "train_accuracy", "val_accuracy", "tested_epoch", "ways", "ways_accuracy", "seconds", "epochs",
    "images_per_second", "train_pictures", "val_pictures", "test_pictures", "limit", "watched", "plan",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--data", help="a folder or zip of pictures; needed to run")
    parser.add_argument("--gather", action="store_true", help="read the run folders only")
    parser.add_argument("--pictures", help="name of the pictures, if not that of the folder they were in")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--shared", action="store_true", help="other work runs on the machine: the seconds do not count"
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    if asked.gather:
        for name in asked.names:
            collect(name, asked)
        return
    if asked.data is None:
        parser.error("--data is missing")
    waiting = asked.names or [name for name in list_recipes() if not name.startswith(("quick-", "tuning-", "weights-"))]
    running: dict[str, subprocess.Popen[bytes]] = {}
    while waiting or running:
        for name in [name for name, process in running.items() if process.poll() is not None]:
            collect(name, asked) if running.pop(name).returncode == 0 else print(f"{name} failed", file=sys.stderr)
        if waiting and len(running) < asked.jobs:
            name = waiting.pop(0)
            running[name] = subprocess.Popen(command(name, asked))
        time.sleep(0.2)


def command(name: str, asked: argparse.Namespace) -> list[str]:
    words = [sys.executable, "-m", "smallnets", "recipe", "run", name, "--run-dir", str(asked.runs / name)]
    words += ["--seeds", str(asked.seeds), "--device", asked.device, "--data", asked.data]
    for option in ("epochs", "limit"):
        if getattr(asked, option) is not None:
            words += [f"--{option}", str(getattr(asked, option))]
    return words


def collect(name: str, asked: argparse.Namespace) -> None:
    """One JSON of what the recipe's runs say."""
    lines: dict[str, Any] = {}
    for line in compare(asked.runs / name):
        reports = [run.report for run in line.runs if run.report]
        lines[line.label] = {**line.to_dict(), "seconds_count": asked.jobs == 1 and not asked.shared}
        if reports:  # a run that was stopped before its test has none
            first = reports[0]
            lines[line.label] |= {key: first[key] for key in ("reported", "hardware", "versions")}
            lines[line.label]["data"] = asked.pictures or Path(first["data"]).name
        lines[line.label]["by_seed"] = [{key: report.get(key) for key in KEYS} for report in reports]
    asked.results.mkdir(parents=True, exist_ok=True)
    (asked.results / f"{name}.json").write_text(json.dumps(lines, indent=2) + "\n")
    print(f"{name}: {asked.results / name}.json")


if __name__ == "__main__":
    main()
