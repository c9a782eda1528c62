"""The type of a checkpoint: both ways, and what is no checkpoint."""

from pathlib import Path
from typing import Any

import pytest
import torch

from smallnets import RunError
from smallnets.facts import DataFacts
from smallnets.training.checkpoint.run_folder import RunFolder, read
from smallnets.training.checkpoint.schema import Checkpoint, DataRecord, NetRecord, Progress, Training
from smallnets.training.records import PlanRecord, Row
from smallnets.training.schedules import Plateau

ROW = Row(
    epoch=1, loss=0.5, accuracy=0.75, val_loss=None, val_accuracy=None, lr=0.1, seconds=1.0, images_per_second=9.0
)  # fmt: skip
FACTS = DataFacts(("cat", "dog"), 1, (8, 9), (0.5,), (0.25,), "folder")
TRAINING = Training(Progress(1, step=3, best=-0.5), {"state": {}}, {"w": torch.ones(2)}, Plateau(0.3, 7, 0.1), 4)
WHOLE = Checkpoint(
    NetRecord("zoo.Net", {"name": "net"}), {"lr": 0.1}, DataRecord(FACTS, 20, (1, 8, 9), 77, 78),
    PlanRecord(device="cpu", precision="fp32", channels_last=False, compile=False, unfolded=[]),
    {"w": torch.arange(3.0)}, [ROW], TRAINING,
)  # fmt: skip


def test_there_and_back(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.save(WHOLE)
    again = folder.newest("auto")
    assert again is not None and again.training is not None
    assert torch.equal(again.weights["w"], WHOLE.weights["w"])
    assert again.training.average is not None and torch.equal(again.training.average["w"], torch.ones(2))
    assert again.training.schedule == Plateau(0.3, 7, 0.1) and again.training.progress == TRAINING.progress
    for part in ("net", "options", "data", "plan", "history", "versions"):
        assert getattr(again, part) == getattr(WHOLE, part), part
    with pytest.raises(RunError, match="expected an unused run folder with resume='never'"):
        folder.newest("never")


def test_the_form_on_the_disk_of_before_is_read(tmp_path: Path) -> None:
    """Its data have a shape alone, its best.ckpt a row alone."""
    content = WHOLE.to_dict()
    del content["data"]["channels"], content["data"]["size"], content["history"], content["progress"]
    again = Checkpoint.from_dict({**content, "row": ROW}, tmp_path)
    assert again.data == WHOLE.data and again.history == [ROW] and again.training is None


@pytest.mark.parametrize("part", ["net", "options", "data", "plan", "model", "schedule"])
def test_a_file_that_lacks_a_part_is_another_file(part: str, tmp_path: Path) -> None:
    content: dict[str, Any] = WHOLE.to_dict()
    del content[part]
    with pytest.raises(RunError, match="expected a checkpoint of smallnets in x; got another file"):
        Checkpoint.from_dict(content, "x")


def test_what_is_another_in_the_data_is_named() -> None:
    other = DataRecord(DataFacts(("cat",), 3, (8, 9)), 21, (3, 8, 9), 0, None)
    assert WHOLE.data.changes(other) == [
        "training set's count 20 -> 21", "training set's classes ['cat', 'dog'] -> ['cat']",
        "training set's checksum 77 -> 0", "training set's shape [1, 8, 9] -> [3, 8, 9]",
        "validation set's checksum 78 -> None",
    ]  # fmt: skip
    assert WHOLE.data.changes(WHOLE.data) == []


def test_the_best_has_nothing_to_go_on_with(tmp_path: Path) -> None:
    import dataclasses

    RunFolder(tmp_path).save_best(dataclasses.replace(WHOLE, training=None))
    assert read(tmp_path / "best.ckpt").training is None


EDITS: list[tuple[tuple[str, ...], Any]] = [
    (("format",), "1"), (("format",), None), (("net",), "lenet5"), (("net", "class"), 3), (("net", "config"), []),
    (("options",), []), (("data", "count"), "20"), (("data", "shape"), [1.5]), (("data", "classes"), "ab"),
    (("data", "mean"), ["x"]), (("plan",), None), (("model",), [1]), (("versions",), {"torch": 2}),
    (("history",), [{"epoch": 1}]), (("history",), {}), (("progress", "epoch"), -1), (("progress", "epoch"), True),
    (("progress", "step"), "3"), (("progress", "more"), 1), (("schedule", "best"), None), (("optimizer",), []),
    (("optimizer", "param_groups"), [{}]), (("average",), {"w": 3}), (("batches",), "4"), (("scaler",), 3),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value"), EDITS)
def test_an_edited_file_is_another_file(place: tuple[str, ...], value: Any) -> None:
    content: dict[str, Any] = WHOLE.to_dict()
    part = content
    for name in place[:-1]:
        part[name] = dict(part[name])
        part = part[name]
    part[place[-1]] = value
    with pytest.raises(RunError, match="expected a checkpoint of smallnets in x; got another file") as caught:
        Checkpoint.from_dict(content, "x")
    assert len(str(caught.value)) < 300


def test_what_a_newer_one_of_the_format_adds_is_passed_over() -> None:
    content = WHOLE.to_dict()
    content["data"] |= {"licence": "free"}
    assert Checkpoint.from_dict({**content, "more": object()}, "x").data == WHOLE.data
