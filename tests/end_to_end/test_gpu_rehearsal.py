"""``benchmarks/gpu.py``, in small and on a CPU: what is prepared for the minutes that a GPU is there must run."""

import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@pytest.fixture
def cifar(image_folder: Callable[..., Path]) -> Path:
    return image_folder(classes=CLASSES, train=20, test=4, size=(32, 32), suffix="jpg")


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The folder of benchmarks, as the script has it."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield
    for name in set(sys.modules) - before:
        if name.startswith("gpu"):
            del sys.modules[name]


def rehearse(data: Path, out: Path, *more: str) -> dict[str, Any]:
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "--data", str(data), "--out", str(out)]
    done = subprocess.run([*command, "--device", "cpu", "--quick", *more], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    parts: dict[str, Any] = json.loads((out / "gpu.json").read_text())["parts"]
    logs = "\n".join(path.read_text() for path in out.glob("*.log"))
    for name, part in parts.items():
        assert part["ended"] == "done", f"{name}: {part['ended']}\n{logs}"
        assert part["rows"] and not any("error" in row or "not run" in row for row in part["rows"].values()), logs
    return parts


def test_the_rehearsal_runs_and_goes_on_where_it_stopped(cifar: Path, tmp_path: Path) -> None:
    some = ("--parts", "memory,time-to-accuracy", "--minutes", "10")
    parts = rehearse(cifar, tmp_path / "out", *some)
    row = parts["time-to-accuracy"]["rows"]["r4 vgg16, three classes, as reported"]
    assert row["n"] == 12 and row["plan"]["device"] == "cpu" and row["reported seconds"] == 111
    again = rehearse(cifar, tmp_path / "out", *some)
    assert again["time-to-accuracy"]["rows"] == parts["time-to-accuracy"]["rows"]  # not run again: not a second differs


@pytest.mark.slow
def test_every_part_rehearses(cifar: Path, tmp_path: Path) -> None:
    parts = rehearse(cifar, tmp_path / "out", "--minutes", "20", "--jobs", "2")
    assert list(parts) == ["machine", "tests", "speed", "time-to-accuracy", "memory", "accuracy"]
    assert parts["tests"]["rows"]["counts"]["failed"] == 0 and parts["tests"]["rows"]["counts"]["passed"] > 2
    assert all("test accuracy" in row for row in parts["accuracy"]["rows"].values())


def test_a_row_that_failed_is_tried_again_and_one_that_is_done_is_not(benchmarks: None, tmp_path: Path) -> None:
    common = importlib.import_module("gpu_common")
    settings = common.Settings(tmp_path, tmp_path, "cpu", seconds=60.0)
    calls: list[str] = []

    def fails() -> dict[str, Any]:
        calls.append("fails")
        raise RuntimeError("not today")

    rows = common.Rows(settings, "part")
    assert rows.add("a", fails)["error"] == "RuntimeError: not today"
    assert rows.add("late", fails, least=1000)["not run"].endswith("s left")
    again = common.Rows(settings, "part")
    assert again.add("a", lambda: {"value": 1})["value"] == 1
    assert common.Rows(settings, "part").add("a", fails)["value"] == 1 and calls == ["fails"]
    few = common.Settings(tmp_path, tmp_path, "cpu", only=("b",), seconds=60.0)
    assert common.Rows(few, "part").add("c", fails) == {}


def test_every_run_is_data_that_fit_and_the_builders_take(benchmarks: None) -> None:
    import torch

    import smallnets as sn

    recipes = importlib.import_module("gpu_recipes")
    for name, run in {**recipes.TIMED, **recipes.RUNS, **recipes.CANDIDATES}.items():
        sn.FitOptions(**run["fit"])
        with torch.device("meta"):
            net = sn.build(run["net"], **run["build"])
        assert net.num_classes == len(run.get("classes", CLASSES)), name
