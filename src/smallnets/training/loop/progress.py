"""Where a run that goes on was."""

from dataclasses import replace

from ..checkpoint.schema import Checkpoint, Progress
from ..options import FitOptions


def resumed(stored: Checkpoint, options: FitOptions, count: int, batches: int) -> Progress:
    """The progress of the run that goes on; with settings that were changed on purpose, what is left of it.

    Args:
        stored: Its checkpoint.
        options: The settings it goes on with.
        count: Samples of the training set.
        batches: Batches of an epoch.
    """
    if stored.training is None:
        return Progress()
    progress = replace(stored.training.progress)
    changed = options.changed(stored.options)
    progress.stopped = progress.stopped and not changed
    other_count = stored.data.count != count or stored.training.batches not in (None, batches)
    if {"batch_size", "accumulate", "seed"} & set(changed) or other_count:
        # Steps are counted anew, and an epoch that was begun in other batches is begun again.
        steps = -(-batches // options.accumulate)
        progress = Progress(
            progress.epoch, step=progress.epoch * steps, best=progress.best, best_epoch=progress.best_epoch
        )
    if "monitor" in changed:
        progress.best, progress.best_epoch = None, progress.epoch
    return progress
