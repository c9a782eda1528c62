"""Where a run goes on."""

from typing import Any

import pytest

from smallnets import FitOptions
from smallnets.facts import DataFacts
from smallnets.training.checkpoint.schema import Checkpoint, DataRecord, NetRecord, Progress, Training
from smallnets.training.loop.progress import resumed
from smallnets.training.records import PlanRecord
from smallnets.training.schedules import Plateau

PROGRESS: dict[str, Any] = {"epoch": 2, "batch": 6, "step": 20, "seen": 192, "best": -0.5, "best_epoch": 1}


def checkpoint(batches: int | None = 7, **progress: Any) -> Checkpoint:
    data = DataRecord(DataFacts(), 195, (1, 8, 8), 0, None)
    training = Training(Progress(**PROGRESS, **progress), {}, None, Plateau(), batches)
    return Checkpoint(NetRecord("net", None), FitOptions().to_json(), data, PlanRecord(), {}, [], training)


def test_the_same_run_goes_on_at_its_batch() -> None:
    assert resumed(checkpoint(), FitOptions(), 195, 7) == Progress(**PROGRESS)


def test_an_epoch_that_is_divided_otherwise_is_begun_again() -> None:
    """More processes need a larger last batch under batch norm: 3 samples join the batch before, which was seen."""
    assert resumed(checkpoint(), FitOptions(), 195, 6) == Progress(2, step=12, best=-0.5, best_epoch=1)


def test_another_monitor_forgets_the_best() -> None:
    found = resumed(checkpoint(), FitOptions(monitor="val_loss"), 195, 7)
    assert found.batch == 6 and found.best is None and found.best_epoch == 2


def test_what_was_stopped_goes_on_only_with_other_settings() -> None:
    stopped = checkpoint(stopped=True)
    assert resumed(stopped, FitOptions(), 195, 7).stopped
    assert resumed(stopped, FitOptions(progress=False), 195, 7).stopped  # which changes nothing of the run
    assert not resumed(stopped, FitOptions(lr=0.5), 195, 7).stopped


@pytest.mark.parametrize(
    ("changes", "count", "step"),
    [({"batch_size": 64}, 195, 14), ({"accumulate": 3}, 195, 6), ({"seed": 1}, 195, 14), ({}, 194, 14)],
)
def test_other_batches_begin_the_epoch_anew_and_count_steps_anew(
    changes: dict[str, Any], count: int, step: int
) -> None:
    found = resumed(checkpoint(), FitOptions(**changes), count, 7)
    assert found == Progress(2, step=step, best=-0.5, best_epoch=1)


def test_a_checkpoint_that_does_not_tell_its_batches_goes_on() -> None:
    older = checkpoint(batches=None)
    assert resumed(older, FitOptions(), 195, 7) == Progress(**PROGRESS)
