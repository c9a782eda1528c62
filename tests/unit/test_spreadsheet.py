"""Whatever is written as CSV is shown by a spreadsheet, not run."""

import csv
import re
from pathlib import Path

import pytest
from torch import nn

import smallnets as sn
from smallnets.experiments.compare import Compared, Comparison
from smallnets.experiments.runs import RunRecord
from smallnets.spreadsheet import csv_text

FORMULAS = ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "\uff1d1"]
ROW = {"epoch": 1, "loss": 0.5, "accuracy": 0.5, "val_loss": None, "val_accuracy": None, "lr": -0.1, "seconds": 1.0, "images_per_second": 9.0}  # fmt: skip


def cells(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("name", FORMULAS)
def test_names_of_runs_and_layers_are_text(name: str, tmp_path: Path) -> None:
    run = RunRecord(tmp_path, [ROW], {"net": {"class": name, "config": None}, "parameters": 3}, {})  # type: ignore[list-item]
    Comparison((Compared(name, (run,)),)).to_csv(tmp_path / "runs.csv")
    assert cells(tmp_path / "runs.csv")[1][0] == f"'{name}"
    net = nn.Sequential()
    net.add_module(name.replace(".", ""), nn.ReLU())
    sn.summarize(net, (3,)).to_csv(tmp_path / "layers.csv")
    assert cells(tmp_path / "layers.csv")[1][0] == f"'{name}"


def test_numbers_are_numbers_and_rows_of_a_run_are_as_they_were() -> None:
    assert csv_text([["a"], [-0.5], [None], ["-3"], [1e-20]]) == 'a\n-0.5\n""\n-3\n1e-20\n'
    text = sn.History([ROW]).csv_text()  # type: ignore[list-item]
    assert text == "epoch,loss,accuracy,val_loss,val_accuracy,lr,seconds,images_per_second\n1,0.5,0.5,,,-0.1,1.0,9.0\n"


def test_no_file_but_one_writes_csv() -> None:
    """So that nothing is written beside it."""
    source = Path(sn.__file__).parent
    writing = [path.name for path in source.rglob("*.py") if re.search(r"csv\.(Dict)?[wW]riter", path.read_text())]
    assert writing == ["spreadsheet.py"]
