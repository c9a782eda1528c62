"""Runs become a trained net of the package: chosen by validation, measured as shipped, refused below what was asked."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

import smallnets as sn
from smallnets.models.trained import read

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "ship.py"


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ship", SCRIPT)
    assert spec is not None and spec.loader is not None
    ship = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(ship)
    return ship


def test_runs_become_a_file_of_the_package(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    ship = script()
    runs, out = tmp_path / "runs", tmp_path / "out"
    out.mkdir()
    sn.run_recipe("r8-lenet5-digits", "digits", runs, seeds=2, epochs=2, limit=300, device="cpu")
    asked = [str(runs), "--weights", "mine", "--out", str(out)]
    assert ship.main([*asked, "--least", "1.01"]) is None and not list(out.iterdir())
    path = ship.main([*asked, "--least", "0", "--about", "some digits", "--flip"])
    found = read(path)
    reports = {file.parent: json.loads(file.read_text()) for file in runs.rglob("report.json")}
    best = max(report["val_accuracy"] for report in reports.values() if "val_accuracy" in report)
    assert found.name == "lenet5:mine" and found.runs == 2 and found.source == "some digits"
    assert sn.load(path).metadata["val_accuracy"] == best
    test = sn.data.load("digits", "test")
    assert found.accuracy == sn.evaluate(sn.load(path), test, precision="fp32").accuracy
    assert found.flipped == sn.evaluate(sn.load(path), test, precision="fp32", tta="flip").accuracy


def test_what_nothing_was_held_out_of_is_shipped_as_one_run(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    ship = script()
    runs, out = tmp_path / "runs", tmp_path / "out"
    out.mkdir()
    asked = [str(runs), "--weights", "mine", "--out", str(out), "--least", "0"]
    how = {"epochs": 1, "limit": 200, "device": "cpu", "changes": {"validation": 0}}
    sn.run_recipe("r8-lenet5-digits", "digits", runs / "one", **how)
    path = ship.main(asked)
    assert sn.load(path).metadata["chosen_by"] == "its settings alone"
    sn.run_recipe("r8-lenet5-digits", "digits", runs / "other", seed=1, **how)
    with pytest.raises(SystemExit):
        ship.main(asked)
