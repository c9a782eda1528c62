"""Choosing how to run by timing it: precision, layout, weight gradients, compiled or not, on the run's first batch."""

import copy
import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ..feed.feed import Feed
from ..group import Group
from ..options import FitOptions
from .plan import Plan, check_logits, fixed_plan
from .unfolded import layers_that_gain, use_unfolded

STEPS = 3  # timed steps a candidate, after one to warm up
WORTH_IT = 200  # steps of a run under which measuring costs more than it gains
COMPILE_AFTER = 300.0  # seconds of training left from which compiling is tried: it takes up to a minute
FEW = 32  # pictures that a part of a batch has at least: fewer are not run as a batch is
TOLERANCE = 0.02  # relative difference from fp32's loss at which a candidate is out
HOPELESS = 1.5  # a first step that is so much slower than the best needs no second

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Timing:
    """One candidate: its plan, seconds a step (the fastest seen), its loss, and seconds it took to get ready."""

    plan: Plan
    seconds: float
    loss: float
    ready: float


def choose_plan(
    model: nn.Module, images: Tensor, labels: Tensor, loss: Loss, options: FitOptions, base: Plan, steps: int
) -> tuple[Plan, str]:
    """The fastest plan that computes the same loss, and a line that says why.

    Args:
        model: The net; it is measured in a copy.
        images: A batch of the run, (N, C, H, W).
        labels: Its labels.
        loss: The run's loss.
        options: What is fixed and what is "auto".
        base: Where to run, and the fixed settings.
        steps: Steps that the run still has to go.
    """
    candidates = list(open_choices(options, base))
    if len(candidates) == 1 and options.compile != "auto":
        return candidates[0], ""
    if steps < WORTH_IT:
        return candidates[0], f"{candidates[0].words()} (too short a run to measure)"
    started = time.perf_counter()
    part = about_a_second(model, images, labels, loss, candidates[0])
    some, their = images[:part], labels[:part]
    total = steps * len(images) / part  # steps of such a part
    timings: list[Timing] = []
    for plan in candidates:
        if not timings:
            timings.append(measure_plan(model, some, their, loss, plan, float("inf")))  # its errors are the user's
            continue
        found = time_plan(model, some, their, loss, plan, min(timing.seconds for timing in timings))
        if found is not None and agrees(found, timings):
            timings.append(found)
    best = min(timings, key=lambda timing: timing.seconds)
    if options.compile is not True and (rewritten := unfold_where_it_gains(model, images, best.plan)).unfolded:
        found = time_plan(model, some, their, loss, rewritten, best.seconds)
        if found is not None and agrees(found, timings):
            timings.append(found)
            best = min(best, found, key=lambda timing: timing.seconds)
    if options.compile == "auto" and best.seconds * total > COMPILE_AFTER:
        plan = replace(best.plan, compile=True, unfolded=())
        compiled = time_plan(model, some, their, loss, plan, float("inf"))
        if compiled is not None and agrees(compiled, timings):
            timings.append(compiled)
            best = min(best, compiled, key=lambda timing: timing.seconds * total + timing.ready)
    spent = time.perf_counter() - started
    gain = timings[0].seconds / best.seconds
    note = f"{gain:.2f} x {timings[0].plan.words()}; {len(timings)} ways timed in {spent:.1f} s"
    return best.plan, f"{best.plan.words()} ({note})"


def about_a_second(model: nn.Module, images: Tensor, labels: Tensor, loss: Loss, plan: Plan) -> int:
    """How many pictures of the batch to measure with: all, or as many as a plain step takes a second for."""
    plain = replace(plan, compile=False)
    seconds, _ = one_step(arranged(model, plain), plain.arrange(images), labels, loss, plain)
    return len(images) if seconds <= 1 else min(len(images), max(FEW, int(len(images) / seconds)))


def open_choices(options: FitOptions, base: Plan) -> Iterator[Plan]:
    """Every way that the options leave open, the plain one first; compiling is tried on the winner only."""
    precisions = ["fp32", "bf16"] if options.precision == "auto" else [options.precision]
    layouts = [False, True] if options.channels_last == "auto" else [options.channels_last]
    for precision, layout in itertools.product(precisions, layouts):
        yield Plan(base.device, precision, layout, options.compile is True)


def unfold_where_it_gains(model: nn.Module, images: Tensor, plan: Plan) -> Plan:
    """The plan with those weight gradients unfolded that are faster so."""
    if plan.device.type != "cpu":
        return plan
    trial = arranged(model, plan)
    return replace(plan, unfolded=layers_that_gain(trial, plan.arrange(images), plan.autocast))


def agrees(found: Timing, timings: list[Timing]) -> bool:
    """Whether the loss is that of the first candidate, the plain one, within tolerance."""
    plain = timings[0].loss
    return abs(found.loss - plain) <= TOLERANCE * max(abs(plain), 1.0)


def time_plan(model: nn.Module, images: Tensor, labels: Tensor, loss: Loss, plan: Plan, best: float) -> Timing | None:
    """``measure_plan``, or None where the net cannot run so, or hopelessly slower than the best."""
    try:
        found = measure_plan(model, images, labels, loss, plan, best)
    except Exception:  # a compiler that is missing, a layer without bf16: then this way is not open
        return None
    return found if found.seconds < float("inf") else None


def measure_plan(model: nn.Module, images: Tensor, labels: Tensor, loss: Loss, plan: Plan, best: float) -> Timing:
    """Time training steps of a copy of the net under a plan; infinite where two steps show that it is hopeless."""
    trial = arranged(model, plan)
    use_unfolded(trial, plan.unfolded)
    net: Any = torch.compile(trial) if plan.compile else trial
    batch = plan.arrange(images)
    first, value = one_step(net, batch, labels, loss, plan)
    if first > HOPELESS * best and not plan.compile:
        again, _ = one_step(net, batch, labels, loss, plan)  # the very first step of a shape sets things up
        if again > HOPELESS * best:
            return Timing(plan, float("inf"), value, 0.0)
    seconds = min(one_step(net, batch, labels, loss, plan)[0] for _ in range(STEPS))
    return Timing(plan, seconds, value, max(0.0, first - seconds))


def arranged(model: nn.Module, plan: Plan) -> nn.Module:
    """A copy in the plan's layout, in train mode but for dropout, whose masks, and so the losses, differ by layout."""
    trial = copy.deepcopy(model).train()
    for module in trial.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):  # pyright: ignore[reportPrivateUsage]
            module.eval()
    return trial.to(memory_format=torch.channels_last if plan.channels_last else torch.contiguous_format)


def one_step(net: nn.Module, images: Tensor, labels: Tensor, loss: Loss, plan: Plan) -> tuple[float, float]:
    """Seconds and loss of a forward and a backward pass."""
    synchronise(plan.device)
    started = time.perf_counter()
    with plan.autocast():
        logits = net(images)
    value = loss(check_logits(logits, images, "fit"), labels)
    value.backward()
    net.zero_grad(set_to_none=True)
    synchronise(plan.device)
    return time.perf_counter() - started, value.item()


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def settle_plan(
    model: nn.Module, feed: Feed, loss: Loss, options: FitOptions, found: Mapping[str, Any] | None, group: Group
) -> tuple[Plan, str]:
    """The plan of the run that goes on; else, where it is open, what the leader measures; and a line about it.

    Args:
        model: The net.
        feed: Its batches.
        loss: The run's loss.
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
        batch = next(iter(feed.epoch(0)))
        plan, said = choose_plan(
            model, batch.images, batch.labels, loss, options, fixed, steps=options.epochs * len(feed)
        )
    return replace(group.from_leader(plan), device=feed.device), said
