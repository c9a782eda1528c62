"""What a run settles before its first step, each thing once: data, checkpoint, first batch, plan, feed."""

import contextlib
import zlib
from dataclasses import dataclass, replace

import torch
from torch import nn

from ...data.imageset import ImageSet, ImageStream, check_labels
from ...errors import DataError, message
from ..checkpoint.run_folder import RunFolder, check_same_run
from ..checkpoint.schema import Checkpoint, DataRecord, Progress, checksum
from ..feed.feed import Feed, OpenEpoch, make_feed
from ..feed.origin import checksum_of
from ..feed.samples import DataLike, Samples
from ..feed.suits import check_first, check_pictures
from ..feed.understand import in_terms_of, understand
from ..feed.worker_errors import workers_errors_plain
from ..group import Group, current_group
from ..options import FitOptions
from ..plan.calibrate import settle_plan
from ..plan.plan import Plan, choose_device, fixed_plan
from .checks import check_run, counted_words, look_over, probe
from .losses import make_loss, weights_of
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
    weights: torch.Tensor | None  # of the classes, in the loss
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
    measured = None if val is None else understand(val, who, model, learnt.facts(learnt.shape or ()))
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
        learnt = learnt.learnt_from(opened.head.images)
        feed = replace(feed, samples=replace(feed.samples, stats=learnt.stats))
        if measured is not None:
            measured = in_terms_of(measured, learnt.facts(shape), who)
            check_first(measured, model, who)
        data = record_of(learnt, measured, shape, known_again=folder is not None)
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
            if options.check and group.leads:
                look_over(model, first, learnt, options)
            if learnt.labels is None:  # before they are learnt from, in measuring too
                check_labels("fit", opened.head.labels, logits)
            weights = weights_of(options, learnt, logits)
            if stored is None:
                loss, _ = make_loss(options, device, weights)
                plan, said = settle_plan(model, first, loss, options, plan, options.epochs * len(feed), group)
        feed = replace(feed, logits=logits, channels_last=plan.channels_last)
    except BaseException:
        opened.close()
        raise
    lines = [f"fit: {said}"] if said else []
    if stored is not None and (progress.epoch >= options.epochs or progress.stopped):
        lines.append(f"fit: the run in {options.run_dir} is complete; these are its weights and its history")
    else:
        if stored is not None:
            where = f"epoch {progress.epoch}" + (f", batch {progress.batch}" if progress.batch else "")
            lines.append(f"fit: going on from {where} of the run in {options.run_dir}")
        lines.append(f"fit: {counted_words(learnt, measured, logits)}")
    return Start(group, learnt, measured, data, folder, stored, progress, plan, feed, opened, weights, tuple(lines))


def record_of(train: Samples, val: Samples | None, shape: tuple[int, ...], known_again: bool) -> DataRecord:
    """What a checkpoint notes of the data; a Dataset is read at a few rows where it is to be ``known_again``."""

    def identity(samples: Samples | None) -> int | None:
        if samples is None:
            return None
        data = samples.data
        if isinstance(data, ImageSet):
            return checksum(samples.labels, data.images)
        if isinstance(data, ImageStream):  # whose pictures are known by their names
            return zlib.crc32("\n".join(data.ids).encode(), checksum(samples.labels, None))
        return checksum_of(data) if known_again else 0

    facts = train.facts(shape)
    if val is not None and val.reading is not None:  # training may take parts of its own choice, measuring does not
        facts = replace(facts, crop=val.reading.crop, exif=val.reading.exif)
    return DataRecord(facts, train.count, shape, identity(train) or 0, identity(val))
