"""Accuracy: the runs of ``gpu_recipes``, timed one by one, or several at once where only the accuracy counts."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(1, str(Path(__file__).resolve().parents[1] / "src"))

from gpu_common import Rows, Settings, pictures, read_json, write_json
from gpu_recipes import CANDIDATES, RUNS, TIMED

SMALL = 5 << 20  # bytes of weights up to which a net is worth bringing back


def time_to_accuracy(settings: Settings) -> None:
    """Runs that have the GPU to themselves: their seconds count."""
    rows = Rows(settings, "time-to-accuracy")
    for name, asked in list(TIMED.items())[: 2 if settings.quick else None]:
        rows.add(name, lambda: one_run(name, asked, settings), least=15)  # noqa: B023


def accuracy(settings: Settings) -> None:
    """Runs whose accuracy counts: ``jobs`` of them at a time, each a process; candidates only when asked for."""
    chosen = {**RUNS, **(CANDIDATES if settings.only else {})}
    names = [name for name in chosen if settings.wanted(name)][: 2 if settings.quick else None]
    pictures(settings, "train")  # decoded once, before the processes want them
    folder, rows = settings.out / "runs", read_json(settings.out / "accuracy.json", {})
    chosen_seconds = {name: float(chosen[name].get("seconds", 0)) for name in names}
    waiting = [name for name in names if "test accuracy" not in rows.get(name, {}) or "error" in rows.get(name, {})]
    running: dict[str, subprocess.Popen[bytes]] = {}
    folder.mkdir(exist_ok=True)
    while waiting or running:
        for name in [name for name, process in running.items() if process.poll() is not None]:
            del running[name]
            rows[name] = read_json(folder / f"{slug(name)}.json", {"error": "see its log"})
            write_json(settings.out / "accuracy.json", rows)
            print(
                name,
                {key: value for key, value in rows[name].items() if not isinstance(value, dict | list)},
                flush=True,
            )
        if settings.left < 1:
            break
        free = settings.jobs - len(running)
        # Runs beside each other share the GPU: each takes longer.
        longer = min(settings.jobs, 1.5)
        fits = [name for name in waiting if settings.quick or longer * chosen_seconds[name] < settings.left]
        if free and fits:
            waiting.remove(name := fits[0])
            command = [sys.executable, __file__, name, *settings.arguments()]
            with (folder / f"{slug(name)}.log").open("w") as log:
                running[name] = subprocess.Popen(command, stdout=log, stderr=log)
            continue
        if not running:
            break
        time.sleep(0.1)
    for name, process in running.items():
        process.kill()
        rows[name] = {"not run": "killed: out of time"}
    rows |= {name: {"not run": "out of time"} for name in waiting}
    write_json(settings.out / "accuracy.json", rows)


def slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)


def one_run(name: str, asked: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """Train a net as its dict says and measure it, on the validation split if it is a candidate, else on the test split."""
    import torch

    import smallnets as sn

    classes = asked.get("classes")
    train, test = pictures(settings, "train", classes), None
    if asked.get("judge") == "validation":
        train, test = train.split(0.1, seed=0)
    else:
        test = pictures(settings, "test", classes)
    if "stats" in asked:
        train, test = (replace(data, mean=asked["stats"][0], std=asked["stats"][1]) for data in (train, test))
    seed = asked.get("seed", 0)
    torch.manual_seed(seed)
    model = sn.build(asked["net"], **asked["build"])
    if settings.quick:
        model = sn.convnet3(num_classes=len(train.classes))
    options: dict[str, Any] = {**asked["fit"], "seed": seed, "device": settings.device, "progress": False}
    if settings.quick:
        options |= {"epochs": 1, "batch_size": 32}
    began = time.perf_counter()
    history = sn.fit(model, train, **options)
    seconds = time.perf_counter() - began
    found = sn.evaluate(model, test, device=settings.device)
    flipped = sn.evaluate(model, test, tta="flip", device=settings.device)
    split = "validation" if "judge" in asked else "test"
    row = {f"{split} accuracy": found.accuracy, f"{split} accuracy, flipped": flipped.accuracy, "n": found.n}
    row |= {"seconds": round(seconds, 2), "seconds, evaluated": round(time.perf_counter() - began, 2)}
    row |= {key: asked[key] for key in ("reported", "reported seconds", "wanted") if key in asked}
    row |= {"epochs": options["epochs"], "pictures": len(train), "train accuracy": history["accuracy"][-1]}
    row["seconds an epoch"] = sorted(history["seconds"])[len(history["seconds"]) // 2]
    if sum(p.nbytes for p in model.parameters()) <= SMALL and split == "test":
        path = settings.out / "nets" / f"{slug(name)}.safetensors"
        path.parent.mkdir(exist_ok=True)
        sn.save(model, path, recipe=name, options=asked["fit"], test_accuracy=found.accuracy)
    curve = [{key: row[key] for key in ("loss", "accuracy", "seconds")} for row in history]
    return {**row, "options": asked["fit"], "plan": history.plan, "curve": curve}


def main() -> None:
    """One run in a process of its own: its name, then the options of ``gpu.py``."""
    import argparse

    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--device")
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--only")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    settings = Settings(given.data, given.out, given.device, given.quick, given.jobs)
    row = one_run(given.name, {**RUNS, **CANDIDATES}[given.name], settings)
    write_json(given.out / "runs" / f"{slug(given.name)}.json", {**row, "runs at once": given.jobs})
    print(json.dumps({key: value for key, value in row.items() if not isinstance(value, dict | list)}))


if __name__ == "__main__":
    main()
