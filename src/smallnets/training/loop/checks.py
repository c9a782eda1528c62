"""What ``fit`` looks at before it starts: net and data must go together, and no classic mistake be in sight."""

import warnings
import zlib
from typing import Any

import torch
from torch import nn

from ...data.imageset import ImageSet
from ...diagnosis.diagnose import first_look
from ...diagnosis.finding import Finding
from ...errors import DataError, OptionError, message
from ..feed.feed import Feed
from ..feed.samples import Samples, check_fit
from ..group import Group
from ..options import FitOptions
from ..plan.plan import Plan, logits_of

CHECKED = 4  # pictures of the first batch that the rules see
LINES = 3  # of warnings


def check_run(
    model: nn.Module, train: Samples, val: Samples | None, options: FitOptions, group: Group, one_set: bool = False
) -> None:
    """Refuse what cannot be trained; warn of one set used twice.

    Raises:
        ValueError: What does not go together, and how to mend it.
    """
    check_fit(train, model, "fit")
    if val is not None:
        check_fit(val, model, "fit")
        if None not in (train.classes, val.classes) and train.classes != val.classes:
            advice = "Load both with the same classes=."
            raise DataError(message("fit", f"val to have train's classes {train.classes}", val.classes, advice))
        if val.is_loader and group.world > 1:
            advice = "Give the Dataset itself, or an ImageSet."
            raise OptionError(message("fit", "validation data that can be dealt out", "a DataLoader", advice))
        if one_set or val.data is train.data:
            warnings.warn("fit: train and val are one set; val_accuracy says nothing of new pictures", stacklevel=5)
    if train.labels is not None and len(train.labels.unique()) < 2:
        raise DataError(message("fit", "labels of at least two classes", "one class only", "Check the labels."))
    if train.is_loader:
        default = FitOptions()
        for name in ("batch_size", "augment"):
            if getattr(options, name) != getattr(default, name):
                got = f"{name}={getattr(options, name)!r}"
                raise OptionError(message("fit", "a DataLoader to be taken as it comes", got, f"Leave {name} out."))
        if group.world > 1 and not hasattr(train.data.sampler, "set_epoch"):
            advice = "Give it a DistributedSampler, or give the Dataset itself."
            raise OptionError(message("fit", "a distributed sampler under torchrun", "another", advice))


def probe(model: nn.Module, feed: Feed, plan: Plan, options: FitOptions, leads: bool = True) -> None:
    """Two samples through the net: does it give logits, one a class, and is no classic mistake in sight?

    Raises:
        ValueError: When the outputs do not match the classes.
    """
    samples = feed.samples
    first = next(iter(feed.epoch(0)), None)
    if first is None:
        advice = "Leave drop_last out, or take a smaller batch."
        raise DataError(message("fit", "at least one batch an epoch", "none", advice))
    model.eval()
    with torch.inference_mode():
        logits = logits_of(model, first.images[:2], plan, "fit")
    known = samples.classes
    needed = 0 if known is None else len(known)
    if samples.labels is not None and known is None:
        needed = int(samples.labels.max()) + 1
    if logits.shape[1] < needed or (known is not None and logits.shape[1] != needed):
        advice = f"Give the net {needed} outputs."
        raise OptionError(message("fit", f"{needed} logits, one a class", logits.shape[1], advice))
    feed.logits = logits.shape[1]
    if options.check and leads:
        wanted = len(known) if known is not None else None
        few = slice(0, CHECKED)
        tell(first_look(model, first.images[few], first.labels[few], wanted, options.loss))


def tell(found: list[Finding]) -> None:
    """At most three lines of warnings."""
    lines = [f"fit: {one.rule}" + (f" at {one.path}" if one.path else "") + f": {one.advice}" for one in found]
    if len(lines) > LINES:
        lines[LINES - 1 :] = [f"fit: and {len(lines) - LINES + 1} more; smallnets.diagnose(net, size) lists them"]
    for line in lines:
        warnings.warn(line, stacklevel=6)


def facts(samples: Samples) -> dict[str, Any]:
    """What a checkpoint notes of the training set."""
    mean, std = samples.stats if samples.stats is not None else ((), ())
    found: dict[str, Any] = {"count": samples.count, "classes": list(samples.classes or ()), "source": samples.source}
    found["checksum"] = 0 if samples.labels is None else zlib.crc32(samples.labels.numpy().tobytes())
    if isinstance(samples.data, ImageSet):
        some = samples.data.images[:: max(1, samples.count // 500)].contiguous()
        found["checksum"] = zlib.crc32(some.numpy().tobytes(), found["checksum"])
    return {**found, "shape": list(samples.one_shape()), "mean": list(mean), "std": list(std)}
