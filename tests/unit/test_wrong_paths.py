"""Whatever is given for a path or a flag that is none is refused in one sentence, by every result that is written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import smallnets as sn
from smallnets.data import load, splits

ROW: Any = {"epoch": 1, "loss": 0.5, "accuracy": 0.8, "val_loss": None, "val_accuracy": None, "lr": 0.1, "seconds": 1.0, "images_per_second": 9.0}  # fmt: skip
FOUND = sn.Predictions(("a",), torch.tensor([0]), torch.tensor([[1.0]]), ("cat",))
MEASURED = sn.Metrics(0.5, 1.0, {1: 1.0}, {"cat": 1.0}, torch.ones(1, 1, dtype=torch.int64), 1)
WRITES: list[Callable[[Any], object]] = [
    FOUND.to_csv, sn.History([ROW]).to_csv, MEASURED.to_json, sn.History([ROW]).plot, MEASURED.plot_confusion,
    sn.compare(sn.History([ROW])).to_csv, sn.compare, splits,
]  # fmt: skip


@pytest.mark.parametrize("wrong", [-1, 3.5, [], {}, True, np.zeros(2), torch.zeros(2), "", b"", "a\0b", "."], ids=repr)
@pytest.mark.parametrize("write", WRITES, ids=range(len(WRITES)))
def test_what_is_no_path_to_a_file_is_refused(
    write: Callable[[Any], object], wrong: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(sn.SmallnetsError) as caught:
        write(wrong)
    assert len(str(caught.value)) < 300 and list(tmp_path.iterdir()) == []


def test_flags_seeds_and_columns_that_are_none_are_refused(tmp_path: Path) -> None:
    net, test = sn.lenet5(), load("digits", "test")[:20]
    calls: list[Callable[[], object]] = [
        lambda: sn.evaluate(net, test, progress=torch.zeros(2)), lambda: sn.predict(net, test, device=np.zeros(2)),
        lambda: sn.export(net, tmp_path / "a.pt2", probabilities=np.zeros(2)), lambda: test.split(0.2, seed=-1),
        lambda: test.split(0.2, seed="x"), lambda: sn.History([ROW])[[]], lambda: sn.explain(net, object()),
        lambda: FOUND.grid(5), lambda: sn.explain(net, ("a",)),
    ]  # type: ignore[arg-type,call-overload,list-item]  # fmt: skip
    for call in calls:
        with pytest.raises(sn.SmallnetsError):
            call()
