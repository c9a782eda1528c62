"""Choosing how to run by timing it on the run's first batch: precision, layout, weight gradients, compiled, as a graph.

Measuring is paid by the run that it plans: it may take a fiftieth of the seconds that the run would take the plain way;
so little work is measured on few pictures, and very little not at all. On a GPU, where all of it takes about a second,
most of that for the libraries' first calls, which the run needs anyway, it is done for runs of some seconds.
"""

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from torch import Tensor, nn

from ...data.names import counted
from ..feed.batches import Batch
from ..group import Group
from ..options import FitOptions, Loss
from .captured import can_be_captured
from .plan import Plan, bf16_is_emulated
from .timing import Timing, arranged, bf16_is_slow, measure_plan, one_step
from .unfolded import layers_that_gain

SHARE = 0.02  # of a run's seconds, the plain way, that measuring may take
LEAST = 8  # pictures that are timed at least: fewer are not run as a batch is
LONG_ENOUGH = 0.02  # seconds of a step from which more pictures tell no more of how long a whole batch takes
ROUNDS = 12  # plain steps that all of it takes: a first look, then some a candidate, most faster, some given up
FEWER_ROUNDS = 6  # that it takes at least: the first look serves as the plain candidate, then one other
FEW = 32  # pictures that are run as a whole batch is: to compare weight gradients on, or of a slow net
SHORTEST = 5.0  # seconds of a run on a GPU from which it is measured
TOLERANCE = 0.02  # relative difference from fp32's loss at which a candidate is out
A_COMPILED_LAYER = 0.5  # seconds that compiling takes for each layer, about
AUTOTUNING = 6  # times as many where the compiler times its kernels, reckoned high
COMPILING_GAINS = 0.1  # of the seconds left that compiling may take on a GPU, where it mostly gains; a CPU has SHARE


def settle_plan(
    model: nn.Module, batch: Batch, loss: Loss, options: FitOptions, fixed: Plan, steps: int, group: Group
) -> tuple[Plan, str]:
    """The plan of a new run: what is fixed, and where it is open what the leader measures; and a line about it.

    Args:
        model: The net.
        batch: The run's first.
        loss: The run's loss.
        options: What is fixed and what is "auto".
        fixed: Where to run, and the fixed settings.
        steps: Steps of the run.
        group: The processes, each of which keeps to its own device.
    """
    trainable = any(parameter.requires_grad for parameter in model.parameters())
    settled = "auto" not in (options.precision, options.channels_last, options.compile)
    if options.deterministic or settled or not trainable:
        return fixed, ""
    plan, said = fixed, ""
    if group.leads:
        plan, said = choose_plan(model, batch.images, batch.labels, loss, options, fixed, steps, group.world)
    return replace(group.from_leader(plan), device=fixed.device), said


def choose_plan(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    loss: Loss,
    options: FitOptions,
    base: Plan,
    steps: int,
    world: int = 1,
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
        world: Processes that share the run.
    """
    plain, *others = open_choices(options, base)
    asked = False if options.compile == "auto" else options.compile
    as_asked = replace(plain, compile=asked)
    capturable = can_be_captured(model, options, base.device, world)
    if not others and options.compile != "auto" and not (asked and capturable):
        return as_asked, ""
    said = f"{as_asked.words()} (too short a run to measure)"
    if SHARE * steps * len(images) < min(LEAST, len(images)) * FEWER_ROUNDS:  # not even worth a first look
        return as_asked, said
    started = time.perf_counter()
    look, part = first_look(model, images, labels, loss, plain, steps)
    whole = look.seconds * len(images) / part  # seconds of a step of the whole batch
    on_cpu, granted = base.device.type == "cpu", SHARE * whole * steps
    too_short = granted < FEWER_ROUNDS * look.seconds if on_cpu else whole * steps < SHORTEST
    if too_short:
        return as_asked, said

    def left() -> float:
        return granted - (time.perf_counter() - started)

    enough = len(images)
    if on_cpu:  # as many as there are seconds for, and no more than a step of about a second needs
        enough = min(enough, int(enough * granted / (ROUNDS * whole)), max(FEW, int(enough / whole)))
    if not on_cpu or enough > part:
        part = enough
        look = measure_plan(model, images[:part], labels[:part], loss, plain, float("inf"), left)
    total = steps * len(images) / part  # steps of such a part
    trials = Trials(model, images[:part], labels[:part], loss, look, total, left)
    if capturable:  # as graphs, or the host's time would be compared and not the GPU's
        for plan in (plain, *others):
            trials.consider(replace(plan, graph=True))
    if len(trials.found) == 1:
        for plan in others:
            slow = on_cpu and plan.precision == "bf16" and plain.precision != "bf16" and bf16_is_slow()
            if not slow and (not on_cpu or left() > 3 * trials.best.seconds):
                trials.consider(plan)
    if on_cpu and not asked:
        few = min(len(images), int(len(images) * left() / (3 * whole)))
        if few >= min(FEW, len(images)):
            names = unfolded_where_it_gains(model, images[:few], trials.best.plan)
            if left() > 3 * trials.best.seconds:
                trials.consider(replace(trials.best.plan, unfolded=names))
    compiled_too = replace(trials.best.plan, compile=asked or True, unfolded=())
    for_compiling = left() if on_cpu else COMPILING_GAINS * trials.best.seconds * total
    if options.compile == "auto" and seconds_to_compile(model) < for_compiling:
        trials.consider(compiled_too)
        if not on_cpu and trials.best.plan.compile and AUTOTUNING * seconds_to_compile(model) < for_compiling:
            trials.consider(replace(trials.best.plan, compile="max-autotune"))
    plan = compiled_too if asked else trials.best.plan
    gain, spent = trials.plain.seconds / trials.best.seconds, time.perf_counter() - started
    timed = f"{counted(len(trials.found), 'way')} timed in {spent:.1f} s"
    faster = "" if plan == plain else f"{gain:.2f} times as fast as {plain.words()}; "
    return plan, f"{plan.words()} ({faster}{timed})"


class Trials:
    """Candidates, timed one after the other on a part of a batch; the plain one first, whose errors are the user's."""

    def __init__(
        self,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        loss: Loss,
        plain: Timing,
        steps: float,
        left: Callable[[], float],
    ) -> None:
        self.given, self.steps, self.left = (model, images, labels, loss), steps, left
        self.plain, self.found = plain, [plain]

    @property
    def best(self) -> Timing:
        return min(self.found, key=lambda timing: timing.seconds * self.steps + timing.ready)

    def consider(self, plan: Plan) -> None:
        """Time a plan, unless it is timed; it counts if it can run and computes the plain one's loss."""
        if plan in (timing.plan for timing in self.found):
            return
        timing = if_it_can(lambda: measure_plan(*self.given, plan, self.best.seconds, self.left))
        if timing is not None and agrees(timing, self.plain):
            self.found.append(timing)


def first_look(
    model: nn.Module, images: Tensor, labels: Tensor, loss: Loss, plan: Plan, steps: int
) -> tuple[Timing, int]:
    """The plain step of as few of a batch's pictures as tell how long all of them take, and how many these are."""
    trial = arranged(model, plan)
    part = min(LEAST, len(images)) if plan.device.type == "cpu" else len(images)
    while True:
        some = plan.arrange(images[:part])
        one_step(trial, some, labels[:part], loss, plan)  # the very first step of a shape sets things up
        seconds, value = one_step(trial, some, labels[:part], loss, plan)
        granted = SHARE * steps * seconds * len(images) / part
        if part == len(images) and granted > ROUNDS * seconds:  # the fastest of two, as of other candidates
            seconds = min(seconds, one_step(trial, some, labels[:part], loss, plan)[0])
        if part == len(images) or seconds > LONG_ENOUGH or granted < ROUNDS * seconds:
            return Timing(plan, seconds, value, 0.0), part
        part = min(len(images), 4 * part)


def seconds_to_compile(model: nn.Module) -> float:
    """About how long compiling a net takes."""
    return A_COMPILED_LAYER * sum(1 for module in model.modules() if not list(module.children()))


def open_choices(options: FitOptions, base: Plan) -> Iterator[Plan]:
    """Every way that the options leave open, the plain one first, then the likeliest."""
    low = "fp16" if bf16_is_emulated(base.device) else "bf16"
    precisions = ["fp32", low] if options.precision == "auto" else [options.precision]
    layouts = [False, True] if options.channels_last == "auto" else [options.channels_last]
    plain, *others = itertools.product(precisions, layouts)
    for precision, layout in (plain, *reversed(others)):
        yield Plan(base.device, precision, layout)


def unfolded_where_it_gains(model: nn.Module, images: Tensor, plan: Plan) -> tuple[str, ...]:
    """The convolutions whose weight gradients are faster unfolded."""
    trial = arranged(model, plan)
    return layers_that_gain(trial, plan.arrange(images), plan.autocast)


def agrees(found: Timing, plain: Timing) -> bool:
    """Whether the loss is the plain one's, within tolerance."""
    return abs(found.loss - plain.loss) <= TOLERANCE * max(abs(plain.loss), 1.0)


def if_it_can(measured: Callable[[], Timing]) -> Timing | None:
    """What is measured, or None where the net cannot run so, or hopelessly slower than the best."""
    try:
        found = measured()
    except Exception:  # a compiler that is missing, a layer without bf16: then this way is not open
        return None
    return found if found.seconds < float("inf") else None
