"""Where a run is, and where one that goes on was."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..options import FitOptions


@dataclass
class Progress:
    """Where a run is. With the weights and the optimiser's state, this is all that going on needs."""

    epoch: int = 0  # epochs that are complete
    batch: int = 0  # batches of the current epoch that are done
    step: int = 0  # optimiser steps so far
    loss_sum: float = 0.0  # of this epoch so far, over all processes
    correct: int = 0
    seen: int = 0
    seconds: float = 0.0
    best: float | None = None  # the monitored score, small is good
    best_epoch: int = 0
    stopped: bool = False  # by patience or a callback


def where_it_was(found: Mapping[str, Any], options: FitOptions, count: int, batches: int) -> Progress:
    """The progress of the run that goes on; with settings that were changed on purpose, what is left of it.

    Args:
        found: Its checkpoint.
        options: The settings it goes on with.
        count: Samples of the training set.
        batches: Batches of an epoch.
    """
    progress = Progress(**found["progress"])
    stored, mine = found["options"], options.to_json()
    changed: set[str] = set()
    if options.changes(stored):
        changed = {name for name in mine if stored.get(name) != mine[name]}
        progress.stopped = False
    other_count = found["data"]["count"] != count or found.get("batches", batches) != batches
    if changed & {"batch_size", "accumulate", "seed"} or other_count:
        # Steps are counted anew, and an epoch that was begun in other batches is begun again.
        steps = -(-batches // options.accumulate)
        progress = Progress(
            progress.epoch, step=progress.epoch * steps, best=progress.best, best_epoch=progress.best_epoch
        )
    if "monitor" in changed:
        progress.best, progress.best_epoch = None, progress.epoch
    return progress
