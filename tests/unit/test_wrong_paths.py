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


@pytest.mark.parametrize(
    "wrong", [-1, 3.5, [], {}, True, np.zeros(2), torch.zeros(2), "", b"", "a\0b", ".", "\ud800", "x" * 5000], ids=repr
)
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
        lambda: test.loader(4, normalise=np.zeros(2)), lambda: sn.FitOptions(callbacks=None), lambda: sn.recipe(None),
        lambda: MEASURED.to_json(indent=0.5), lambda: MEASURED.to_json(indent=2**70), lambda: FOUND.header(3.5),
        lambda: [*FOUND.rows(["dog"])], lambda: FOUND.to_csv("a.csv", columns=5), lambda: FOUND.grid(torch.tensor(0.5)),
        lambda: sn.FitOptions(workers=np.zeros(2)), lambda: sn.diagnose(net, (1, 32, 32), training=torch.zeros(2)),
        lambda: sn.explain(net, torch.zeros(1, 32, 32), target=3.5), lambda: sn.explain(net, torch.zeros(1, 32, 32), target=b"7"),
        lambda: sn.feature_pyramid(net, torch.tensor(0.5)), lambda: sn.load("x" * 5000), lambda: sn.lenet5(weights="x" * 5000),
        lambda: sn.save(net, "x" * 5000), lambda: sn.compare("x" * 5000), lambda: sn.export(net, "x" * 5000 + ".pt2"),
        lambda: FOUND.grid(5), lambda: sn.explain(net, ("a",)),
    ]  # type: ignore[arg-type,call-overload,list-item]  # fmt: skip
    for call in calls:
        with pytest.raises(sn.SmallnetsError):
            call()


def test_what_is_no_text_is_not_taken_for_a_misspelling() -> None:
    calls: list[Callable[[], object]] = [
        lambda: sn.resnet18(stem=float("inf")), lambda: sn.lenet5(variant=1e99), lambda: sn.build(None),
        lambda: sn.FitOptions(monitor=...), lambda: sn.load_weights(sn.lenet5(), {}, head=set()), lambda: sn.recipe(None),
    ]  # type: ignore[arg-type,list-item]  # fmt: skip
    for call in calls:
        with pytest.raises(sn.SmallnetsError) as caught:
            call()
        assert "Did you mean" not in str(caught.value)
    with pytest.raises(sn.OptionError, match="Did you mean '1998'"):
        sn.lenet5(variant=1998)  # type: ignore[call-overload]


def test_a_loss_that_gives_no_tensor_is_found_not_fallen_over() -> None:
    found = sn.diagnose(sn.lenet5(), (1, 32, 32), loss=lambda logits, labels: None)  # type: ignore[arg-type,return-value]
    assert any("the loss is a NoneType, not a tensor" in str(finding.evidence) for finding in found.findings)
    assert sn.min_input_size(sn.lenet5(), training=0) == sn.min_input_size(sn.lenet5())  # type: ignore[arg-type]
