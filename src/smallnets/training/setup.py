"""What a run settles before its first step: how its batches are made and how its net is run."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from .batches import plan_batches
from .calibrate import choose_plan
from .distributed import Group
from .feed import Feed
from .options import FitOptions
from .plan import Plan, fixed_plan
from .samples import Samples
from .step import make_loss

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def make_feed(model: nn.Module, samples: Samples, options: FitOptions, device: torch.device, group: Group) -> Feed:
    """The feed of a run: batches that batch norms can take, augmented as the options and the source say."""
    normed = any(isinstance(module, BATCH_NORMS) for module in model.modules())
    batches = plan_batches(samples.count, options.batch_size, least=2 * group.world if normed else 1)
    chosen = options.augment
    augmentation = samples.augmentation(chosen) if isinstance(chosen, str) else None
    return Feed(
        samples, batches, device, options.seed, augmentation, workers=options.workers, share=group.share
    )  # fmt: skip


def settle_plan(
    model: nn.Module, feed: Feed, options: FitOptions, found: Mapping[str, Any] | None, group: Group
) -> tuple[Plan, str]:
    """The plan of the run that goes on; else, where it is open, what the leader measures; and a line about it.

    Args:
        model: The net.
        feed: Its batches.
        options: What is fixed and what is "auto".
        found: The checkpoint of the run that goes on.
        group: The processes, each of which keeps to its own device.
    """
    fixed = fixed_plan(options, feed.device)
    if found is not None:
        stored = found["plan"]
        plan = replace(
            fixed,
            precision=stored["precision"] if options.precision == "auto" else fixed.precision,
            channels_last=stored["channels_last"] if options.channels_last == "auto" else fixed.channels_last,
            compile=stored["compile"] if options.compile == "auto" else fixed.compile,
            unfolded=tuple(stored.get("unfolded", ())),
        )
        return plan, ""
    if options.deterministic or "auto" not in (options.precision, options.channels_last, options.compile):
        return fixed, ""
    plan, said = fixed, ""
    if group.leads:
        loss, _ = make_loss(options, feed.device)
        batch = next(iter(feed.epoch(0)))
        plan, said = choose_plan(
            model, batch.images, batch.labels, loss, options, fixed, steps=options.epochs * len(feed)
        )
    return replace(group.from_leader(plan), device=feed.device), said
