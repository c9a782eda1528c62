"""The fastest way to run a net without gradients: batch norms folded, bf16 where it is faster, measured."""

import math
import time
from dataclasses import replace

import torch
from torch import Tensor, nn

from ...errors import OptionError
from ...surgery import fuse
from ..feed.batches import in_order
from ..feed.samples import Samples
from ..feed.suits import check_pictures
from ..group import Group
from ..records import PlanRecord
from .plan import Plan, logits_of
from .timing import synchronise

WORTH_IT = 5.0  # seconds of plain work under which nothing is measured or changed, so small sets are exact
TRIED = 64  # pictures to measure with: enough to keep every core busy, few beside a test set
MOST, NUMBERS = 4096, 1 << 22  # pictures, and numbers in them, that are measured together on a GPU while training
CLEARLY = 1.2  # how much faster bf16 must be to be taken: noise must not decide


def fastest(
    model: nn.Module,
    samples: Samples,
    batch_size: int,
    precision: str,
    device: torch.device,
    group: Group,
) -> tuple[nn.Module, Plan, PlanRecord]:
    """A net in eval mode, ready on the device, as fast as it gets, how to run it, and what was found out.

    Args:
        model: On the device, in eval mode; stays as it is.
        samples: What it will look at.
        batch_size: Samples at a time.
        precision: "fp32" and "bf16" are kept to; "auto" measures where there is enough work.
        device: Where to run.
        group: The processes that share the work; the leader decides for all.
    """
    plain = Plan(device, "fp32" if precision == "auto" else precision)
    if precision != "auto" or samples.is_loader or samples.count < 2 * batch_size:
        return model, plain, PlanRecord()
    few = min(batch_size, TRIED)
    images = next(in_order(samples, [(0, few)], device)).images
    check_pictures(tuple(images.shape[1:]), model, "evaluate")
    with torch.inference_mode():
        run(model, images[:1], plain)  # the very first call sets things up
        seconds, expected = run(model, images, plain)
        if group.from_leader(seconds * samples.count / few < WORTH_IT):
            return model, plain, PlanRecord()
        try:
            net = fuse(model).to(memory_format=torch.channels_last)
        except OptionError:  # a net that cannot be traced runs as it is
            net = model
        plan = replace(plain, channels_last=net is not model)
        run(net, images, plan)
        seconds, logits = run(net, images, plan)
        gains = PlanRecord(batch_norms_folded=net is not model)
        low = replace(plan, precision="bf16")
        run(net, images, low)
        faster, rough = run(net, images, low)
        if group.from_leader(faster * CLEARLY < seconds):
            return net, low, {**gains, **agreement(expected, rough)}
    return net, plan, {**gains, **agreement(expected, logits)}


def at_once(batch_size: int, device: torch.device, shape: tuple[int, ...]) -> int:
    """How many pictures to measure together: a GPU has little to do with a few hundred small ones."""
    least = max(256, batch_size)
    return least if device.type == "cpu" else max(least, min(MOST, NUMBERS // max(1, math.prod(shape))))


def run(model: nn.Module, images: Tensor, plan: Plan) -> tuple[float, Tensor]:
    """Seconds of a batch, and its logits."""
    synchronise(plan.device)
    started = time.perf_counter()
    logits = logits_of(model, images, plan, "evaluate")
    synchronise(plan.device)
    return time.perf_counter() - started, logits


def agreement(expected: Tensor, logits: Tensor) -> PlanRecord:
    """How near the logits of the pictures tried are to plain fp32's."""
    same = (expected.argmax(dim=1) == logits.argmax(dim=1)).double().mean().item()
    largest = expected.abs().max().clamp(min=1e-12)
    return PlanRecord(same_class_as_fp32=same, largest_difference=((expected - logits).abs().max() / largest).item())
