"""How long a training step takes under a plan: timed on a copy of the net, the first step apart from the next ones."""

import copy
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..options import Loss
from .captured import capture_pass
from .compiling import compiled
from .plan import Plan, check_logits
from .unfolded import shortest, use_unfolded

HOPELESS = 1.5  # a first step that is so much slower than the best needs no second
TOO_SLOW = 3  # times fp32's seconds that one product in bf16 takes where no net gains from it
GPU_STEPS = 10  # steps in a row that are timed on a GPU, as the host runs ahead of it in a run


@dataclass(frozen=True)
class Timing:
    """One candidate: its plan, seconds a step (the fastest seen), its loss, and seconds it took to get ready."""

    plan: Plan
    seconds: float
    loss: float
    ready: float


def measure_plan(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    loss: Loss,
    plan: Plan,
    best: float,
    left: Callable[[], float] = lambda: float("inf"),
) -> Timing:
    """Time training steps of a copy of the net under a plan; infinite where two steps show that it is hopeless.

    One shows it where there are not the seconds ``left`` for a second.
    """
    trial = arranged(model, plan)
    use_unfolded(trial, plan.unfolded)
    net: Any = compiled(trial, plan.compile) if plan.compile else trial
    batch = plan.arrange(images)
    first, value = one_step(net, batch, labels, loss, plan)
    slow = first > HOPELESS * best and not plan.compile and plan.device.type == "cpu"
    # The very first step of a shape sets things up.
    if slow and (left() < first or one_step(net, batch, labels, loss, plan)[0] > HOPELESS * best):
        return Timing(plan, float("inf"), value, 0.0)
    if plan.graph:
        replay = capture_pass(lambda: a_pass(net, batch, labels, loss, plan))
        seconds = in_a_row(replay, plan.device)
    elif plan.device.type != "cpu":
        seconds = in_a_row(lambda: a_pass(net, batch, labels, loss, plan), plan.device)
    else:
        seconds = one_step(net, batch, labels, loss, plan)[0]
        if left() > 3 * seconds:
            seconds = min(seconds, one_step(net, batch, labels, loss, plan)[0])
    return Timing(plan, seconds, value, max(0.0, first - seconds) if plan.compile else 0.0)


def arranged(model: nn.Module, plan: Plan) -> nn.Module:
    """A copy in the plan's layout, in train mode but for dropout, whose masks, and so the losses, differ by layout."""
    trial = copy.deepcopy(model).train()
    for module in trial.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):  # pyright: ignore[reportPrivateUsage]
            module.eval()
    return trial.to(memory_format=torch.channels_last if plan.channels_last else torch.contiguous_format)


def a_pass(net: nn.Module, images: Tensor, labels: Tensor, loss: Loss, plan: Plan) -> Tensor:
    """A forward and a backward pass; its loss."""
    net.zero_grad(set_to_none=True)
    with plan.autocast():
        logits = net(images)
    value = loss(check_logits(logits, images, "fit"), labels)
    value.backward()
    return value.detach()


def one_step(net: nn.Module, images: Tensor, labels: Tensor, loss: Loss, plan: Plan) -> tuple[float, float]:
    """Seconds and loss of a forward and a backward pass."""
    synchronise(plan.device)
    started = time.perf_counter()
    value = a_pass(net, images, labels, loss, plan)
    net.zero_grad(set_to_none=True)
    synchronise(plan.device)
    return time.perf_counter() - started, value.item()


def in_a_row(step: Callable[[], object], device: torch.device) -> float:
    """Seconds of one of several steps, the host running ahead."""
    step()
    synchronise(device)
    started = time.perf_counter()
    for _ in range(GPU_STEPS):
        step()
    synchronise(device)
    return (time.perf_counter() - started) / GPU_STEPS


def synchronise(device: torch.device) -> None:
    """Wait for what a device was asked to do."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


@functools.cache
def bf16_is_slow() -> bool:
    """Whether this CPU has no instructions for bf16, so that even one step in it may take all the seconds there are."""
    seconds: list[float] = []
    for kind in (torch.float32, torch.bfloat16):
        a = torch.ones(256, 256, dtype=kind)
        seconds.append(shortest(functools.partial(torch.mm, a, a)))
    return seconds[1] > TOO_SLOW * seconds[0]
