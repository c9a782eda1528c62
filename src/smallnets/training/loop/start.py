"""What a run settles before its first step, each thing once: data, checkpoint, first batch, plan, feed."""

import contextlib
from dataclasses import dataclass, replace

import torch
from torch import nn

from ...data.imageset import ImageSet, check_labels
from ...errors import DataError, message
from ..checkpoint.run_folder import RunFolder, check_same_run
from ..checkpoint.schema import Checkpoint, DataRecord, Progress, checksum
from ..feed.feed import Feed, OpenEpoch, make_feed
from ..feed.samples import DataLike, Samples, check_pictures, understand, workers_errors_plain
from ..group import Group, current_group
from ..options import FitOptions
from ..plan.calibrate import settle_plan
from ..plan.plan import Plan, choose_device, fixed_plan
from .checks import check_run, probe
from .losses import make_loss
from .memory import plain_memory_error
from .progress import resumed


@dataclass(frozen=True)
class Start:
    """Where a run starts or goes on, and how."""

    group: Group
    train: Samples
    val: Samples | None
    data: DataRecord
    folder: RunFolder | None
    stored: Checkpoint | None  # of the run that goes on
    progress: Progress
    plan: Plan
    feed: Feed
    opened: OpenEpoch  # the epoch that is next
    said: tuple[str, ...]  # lines for a person


def begin(
    model: nn.Module,
    train: DataLike,
    val: DataLike | None,
    options: FitOptions,
    who: str = "fit",
    group: Group | None = None,
    leaving: contextlib.ExitStack | None = None,
) -> Start:
    """Look at everything before the first step, and bring the net onto its device.

    Args:
        model: The net.
        train: What to learn.
        val: What to measure after each epoch.
        options: The settings.
        who: The caller, for errors.
        group: The processes that work together; else those that torchrun started.
        leaving: What is to be done at the end of the run: the folder is let go of.

    Raises:
        ValueError: When net, data and settings do not go together.
        RunError: When the run's folder holds another run.
    """
    device = choose_device(options.device)
    group = current_group(device) if group is None else group
    learnt = understand(train, who, model=model)
    measured = None if val is None else understand(val, who, like=learnt.stats, model=model)
    check_run(model, learnt, measured, options, group, train is val)
    folder = None if options.run_dir is None else RunFolder(options.run_dir)
    if folder is not None and leaving is not None:
        leaving.enter_context(folder.alone(group))
    stored = None if folder is None else folder.newest(options.resume)
    feed = make_feed(model, learnt, options, device, group)
    progress = Progress() if stored is None else resumed(stored, options, learnt.count, len(feed))
    with workers_errors_plain():
        # An epoch whose batches are all done is only to be measured: the next one's first is then looked at.
        opened = feed.open(progress.epoch, progress.batch if progress.batch < len(feed) else 0)
    try:
        if opened.head is None:
            advice = "Leave drop_last out, or take a smaller batch."
            raise DataError(message("fit", "at least one batch an epoch", "none", advice))
        shape = learnt.shape or tuple(opened.head.images.shape[1:])
        check_pictures(shape, model, "fit")
        data = record_of(learnt, measured, shape)
        if folder is not None and stored is not None:
            check_same_run(stored, model, options, data, folder.path)
        if folder is not None and group.leads:
            folder.sweep()
        model.to(device)
        if isinstance(options.augment, str):
            feed = replace(feed, augmentation=learnt.augmentation(options.augment, shape))
        first = feed.prepare(opened.head, progress.epoch)
        plan, said = fixed_plan(options, device, None if stored is None else stored.plan), ""
        with plain_memory_error(model, options, shape, device):
            logits = probe(model, first, learnt, plan)
            if learnt.labels is None:  # before they are learnt from, in measuring too
                check_labels("fit", opened.head.labels, logits)
            if stored is None:
                loss, _ = make_loss(options, device)
                plan, said = settle_plan(model, first, loss, options, plan, options.epochs * len(feed), group)
        feed = replace(feed, logits=logits, channels_last=plan.channels_last)
    except BaseException:
        opened.close()
        raise
    lines = [f"fit: {said}"] if said else []
    if stored is not None and progress.epoch < options.epochs and not progress.stopped:
        where = f"epoch {progress.epoch}" + (f", batch {progress.batch}" if progress.batch else "")
        lines.append(f"fit: going on from {where} of the run in {options.run_dir}")
    return Start(group, learnt, measured, data, folder, stored, progress, plan, feed, opened, tuple(lines))


def record_of(train: Samples, val: Samples | None, shape: tuple[int, ...]) -> DataRecord:
    """What a checkpoint notes of the data."""
    sums = [None if samples is None else checksum(samples.labels, images_of(samples)) for samples in (train, val)]
    return DataRecord(train.facts(shape), train.count, shape, sums[0] or 0, sums[1])


def images_of(samples: Samples) -> torch.Tensor | None:
    return samples.data.images if isinstance(samples.data, ImageSet) else None
