"""Where a run goes on."""

from typing import Any

import pytest

from smallnets import FitOptions
from smallnets.training.loop.progress import Progress, where_it_was

PROGRESS = {"epoch": 2, "batch": 6, "step": 20, "seen": 192, "best": -0.5, "best_epoch": 1}


def checkpoint(**changes: Any) -> dict[str, Any]:
    options = FitOptions().to_json()
    return {"progress": dict(PROGRESS), "options": options, "data": {"count": 195}, "batches": 7, **changes}


def test_the_same_run_goes_on_at_its_batch() -> None:
    assert where_it_was(checkpoint(), FitOptions(), 195, 7) == Progress(**PROGRESS)


def test_an_epoch_that_is_divided_otherwise_is_begun_again() -> None:
    """More processes need a larger last batch under batch norm: 3 samples join the batch before, which was seen."""
    assert where_it_was(checkpoint(), FitOptions(), 195, 6) == Progress(2, step=12, best=-0.5, best_epoch=1)


def test_another_monitor_forgets_the_best() -> None:
    found = where_it_was(checkpoint(), FitOptions(monitor="val_loss"), 195, 7)
    assert found.batch == 6 and found.best is None and found.best_epoch == 2


def test_what_was_stopped_goes_on_only_with_other_settings() -> None:
    stopped = checkpoint(progress={**PROGRESS, "stopped": True})
    assert where_it_was(stopped, FitOptions(), 195, 7).stopped
    assert where_it_was(stopped, FitOptions(progress=False), 195, 7).stopped  # which changes nothing of the run
    assert not where_it_was(stopped, FitOptions(lr=0.5), 195, 7).stopped


@pytest.mark.parametrize(
    ("changes", "count", "step"),
    [({"batch_size": 64}, 195, 14), ({"accumulate": 3}, 195, 6), ({"seed": 1}, 195, 14), ({}, 194, 14)],
)
def test_other_batches_begin_the_epoch_anew_and_count_steps_anew(
    changes: dict[str, Any], count: int, step: int
) -> None:
    found = where_it_was(checkpoint(), FitOptions(**changes), count, 7)
    assert found == Progress(2, step=step, best=-0.5, best_epoch=1)


def test_a_checkpoint_that_does_not_tell_its_batches_goes_on() -> None:
    older = checkpoint()
    del older["batches"]
    assert where_it_was(older, FitOptions(), 195, 7) == Progress(**PROGRESS)
