"""Kill a training run with SIGKILL again and again, at random moments, also during a save, and see how it ends.

    python benchmarks/kill.py --kills 200

Every run saves after each step; it is killed at a random moment after a random save (two of five times a few
milliseconds after the next save began), started again, and so on until it ends. Its last checkpoint must then equal, bit for bit, that of a run that was never killed: weights, optimiser,
averaged weights and history. Writes kill.json beside this script.
"""

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent
AIMED = 0.4  # of the kills, at a save
COMPARED = ("model", "optimizer", "average", "schedule", "history", "progress")


def start(run_dir: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen([sys.executable, str(HERE / "kill_subject.py"), str(run_dir)], env=environment)


def kill_at_random(run_dir: Path, dice: random.Random) -> str | None:
    """Start the run, let it save a few times, kill it; None when it came to its end first, else what it was doing."""
    process = start(run_dir)
    last = run_dir / "last.ckpt"
    before, saves = stamp(last), dice.randint(1, 12)
    while saves and process.poll() is None:
        now = stamp(last)
        if now != before:
            before, saves = now, saves - 1
        time.sleep(0.0005)
    if dice.random() < AIMED:
        while process.poll() is None and not saving(run_dir):
            pass  # a save takes milliseconds: no sleep
        time.sleep(dice.uniform(0, 0.004))
    else:
        time.sleep(dice.uniform(0, 0.03))
    if process.poll() is not None:
        assert process.returncode == 0, process.returncode
        return None
    process.kill()
    process.wait()
    return "saving" if saving(run_dir) else "training"


def saving(run_dir: Path) -> bool:
    """Whether a file is half written."""
    return any(run_dir.glob(".*.part"))


def stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def final_state(run_dir: Path) -> dict[str, object]:
    state = torch.load(run_dir / "last.ckpt", weights_only=True)
    timeless = ("seconds", "images_per_second")
    state["history"] = [{k: v for k, v in row.items() if k not in timeless} for row in state["history"]]
    return {part: state[part] for part in COMPARED}


def differences(one: object, other: object, where: str = "") -> list[str]:
    """Where two states differ, bit for bit: the paths of the entries; empty when they are the same."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return [] if one.dtype == other.dtype and torch.equal(one, other) else [where]
    if isinstance(one, dict) and isinstance(other, dict):
        if one.keys() != other.keys():
            return [where]
        return [path for key in one for path in differences(one[key], other[key], f"{where}/{key}")]
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        if len(one) != len(other):
            return [where]
        return [
            path for i, pair in enumerate(zip(one, other, strict=True)) for path in differences(*pair, f"{where}/{i}")
        ]
    return [] if one == other else [where]


def campaign(folder: Path, kills: int, seed: int = 0) -> dict[str, Any]:
    """As many runs as it takes to kill so often; each must end like the one that was left alone."""
    assert start(folder / "straight").wait() == 0
    expected = final_state(folder / "straight")
    dice = random.Random(seed)
    found: dict[str, Any] = {"kills": 0, "during_a_save": 0, "runs": 0, "identical": 0, "differences": {}}
    while found["kills"] < kills:
        run_dir = folder / f"killed-{found['runs']}"
        while found["kills"] < kills and (doing := kill_at_random(run_dir, dice)) is not None:
            found["kills"] += 1
            found["during_a_save"] += doing == "saving"
        assert start(run_dir).wait() == 0  # to its end; a run that is complete only says so
        found["runs"] += 1
        wrong = differences(expected, final_state(run_dir)) + [str(path) for path in run_dir.glob(".*.part")]
        found["identical"] += not wrong
        if wrong:
            found["differences"][run_dir.name] = wrong
        print(f"{found['kills']} kills, {found['identical']} of {found['runs']} runs identical", *wrong[:9], flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill a run with SIGKILL and compare how it ends.")
    parser.add_argument("--kills", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = campaign(Path(folder), arguments.kills)
    report = {
        **found,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    (HERE / "kill.json").write_text(json.dumps(report, indent=2) + "\n")
    print(
        f"{found['kills']} kills ({found['during_a_save']} during a save) over {found['runs']} runs: "
        f"{found['identical']} ended bit-identical"
    )


if __name__ == "__main__":
    main()
