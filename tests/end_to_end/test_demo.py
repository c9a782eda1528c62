"""The README's first command, whole: real digits, real training."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

from PIL import Image

from smallnets.data import load

FILES = {
    "last.ckpt", "previous.ckpt", "best.ckpt", "metrics.csv", "config.json", "curves.png", "confusion.png",
    "predictions.csv", "report.json", "report.md", "report.html", "grid.png",
}  # fmt: skip


def smallnets(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "smallnets", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)


def test_the_demo(tmp_path: Path) -> None:
    done = smallnets(tmp_path, "fit", "lenet5", "--data", "digits", "--run-dir", "runs/digits")
    assert done.returncode == 0, done.stderr
    run = tmp_path / "runs" / "digits"
    assert {path.name for path in run.iterdir()} == FILES
    report = json.loads((run / "report.json").read_text())
    assert report["test_accuracy"] >= 0.98 and report["test_pictures"] == 359
    assert f"test accuracy   {report['test_accuracy']:.4f}" in done.stdout
    for name in ("curves", "confusion", "grid"):
        with Image.open(run / f"{name}.png") as picture:
            assert picture.width > 600 and len(picture.convert("L").resize((64, 64)).getcolors() or []) > 10
    with (run / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    test = load("digits", "test")
    right = sum(row["predicted"] == str(int(test.labels[test.ids.index(row["id"])])) for row in rows)
    assert right / 359 == report["test_accuracy"]

    # Pictures that were in no training set: a person's folder of any size and mode.
    folder = tmp_path / "mine"
    folder.mkdir()
    for row in range(12):
        picture = Image.fromarray(test.images[row, 0].numpy()).resize((50, 50)).convert("RGB")
        picture.save(folder / f"scan{row}.jpg")
    done = smallnets(tmp_path, "predict", "runs/digits", "mine", "--csv", "out.csv")
    assert done.returncode == 0 and done.stdout == "12 predictions in out.csv\n", done.stderr
    with (tmp_path / "out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [f"scan{row}.jpg" for row in range(12)]
    assert sum(row["predicted"] == str(int(test.labels[i])) for i, row in enumerate(rows)) >= 11
