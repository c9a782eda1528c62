"""Make a trained net of the package out of runs: the best on its validation pictures, tested once, as shipped.

    smallnets recipe run r8-lenet5-digits --data digits --run-dir runs/digits --seeds 10
    python benchmarks/ship.py runs/digits --weights digits --least 0.99 [--flip]

The runs are those of one recipe, a seed each. What is written is the file that `lenet5(weights="digits")` loads, in
bfloat16; its accuracy is that of these bytes on the test split. A net below `--least` is not written. A run on all of the
training split, whose settings validation chose before, has no validation pictures to be chosen by: it has to be the only one.
"""

import argparse
import json
import os
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

import smallnets as sn
from smallnets.data import load
from smallnets.experiments.runs import read_run
from smallnets.models.trained import FOLDER


def reports_under(folder: Path) -> dict[Path, dict]:
    """The report of each complete run in or under a folder."""
    found = {path.parent: json.loads(path.read_text()) for path in sorted(folder.rglob("report.json"))}
    return {run: report for run, report in found.items() if (run / "last.ckpt").exists()}


def val_loss(run: Path, report: dict) -> float:
    return next(row["val_loss"] for row in read_run(run).rows if row["epoch"] == report["tested_epoch"])


def hardware(report: dict) -> str:
    about = report["hardware"]
    return about["gpu"] or f"{about['cores']} cores, {about['machine']}"


def main(arguments: list[str] | None = None) -> Path | None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="folder of a run, or of runs that differ in their seed")
    parser.add_argument("--weights", required=True, help="what weights= is to be: digits, cifar10")
    parser.add_argument("--data", help="the pictures to test on, where the runs' own are no longer there")
    parser.add_argument("--about", default="", help="of the pictures, e.g. 'CIFAR-10, its copy in JPEG'")
    parser.add_argument("--flip", action="store_true", help="also measure it on pictures and their mirror images")
    parser.add_argument("--least", type=float, required=True, help="test accuracy below which nothing is written")
    parser.add_argument("--out", type=Path, default=FOLDER, help="the package's own folder by default")
    given = parser.parse_args(arguments)

    reports = reports_under(given.runs)
    kinds = {(report["recipe"], json.dumps(report["net"])) for report in reports.values()}
    if len(kinds) != 1:
        parser.error(f"expected complete runs of one recipe in {given.runs}; got {len(kinds)} kinds of run")
    held_out = all(report["val_accuracy"] is not None for report in reports.values())
    if not held_out and len(reports) > 1:
        parser.error(f"expected one run where nothing is held out to choose by; got {len(reports)}")
    # The finer measure decides between nets that are right on equally many; the test split is not asked.
    best = max(reports, key=lambda run: (reports[run]["val_accuracy"], -val_loss(run, reports[run])) if held_out else 0)
    report, tested = reports[best], [one["test_accuracy"] for one in reports.values()]
    net = sn.load(best)
    test = load(given.data or report["data"], "test", classes=net.data_facts.classes, size=net.data_facts.size)
    about = {
        "source": given.about or given.weights,
        "recipe": report["recipe"],
        "seed": report["seed"],
        "chosen_by": f"validation accuracy, then loss, of {len(reports)} runs" if held_out else "its settings alone",
        "runs": len(reports),
        "test_accuracy_mean": statistics.mean(tested),
        "spread": statistics.stdev(tested) if len(tested) > 1 else 0.0,
        "val_accuracy": report["val_accuracy"],
        "train_pictures": report["train_pictures"],
        "test_pictures": len(test),
        "epochs": report["epochs"],
        "seconds": round(report["seconds"], 1),
        "hardware": hardware(report),
        "parameters": sum(parameter.numel() for parameter in net.parameters()),
    }
    net.data_facts = replace(net.data_facts, source=given.weights)  # not the path that they had here
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / "net.safetensors"
        sn.save(net, packed, dtype=torch.bfloat16)
        found = sn.evaluate(sn.load(packed), test, precision="fp32")  # of the bytes that are shipped
        if given.flip:
            about["flipped"] = sn.evaluate(sn.load(packed), test, precision="fp32", tta="flip").accuracy
    print(
        f"{net.config['name']}:{given.weights} from {best.name} of {len(reports)}: test accuracy {found.accuracy:.4f}"
    )
    print(f"all runs: mean {about['test_accuracy_mean']:.4f}, spread {about['spread']:.4f}")
    if found.accuracy < given.least:
        print(f"below {given.least}: not written")
        return None
    path = given.out / f"{net.config['name']}-{given.weights}.safetensors"
    sn.save(net, path, dtype=torch.bfloat16, accuracy=found.accuracy, **about)
    print(f"{os.fspath(path)}: {path.stat().st_size:,} bytes")
    return path


if __name__ == "__main__":
    raise SystemExit(main() is None)
