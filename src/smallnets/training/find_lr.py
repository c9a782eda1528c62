"""The learning-rate range test: a short run with a rising rate (Smith 2017, "Cyclical learning rates")."""

import contextlib
import copy
import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from ..errors import OptionError, check_int, check_number, message
from .feed.feed import Feed, OpenEpoch
from .feed.samples import DataLike
from .group import Group
from .loop.start import begin
from .loop.step import Updates
from .options import AugmentName, FitOptions, OptimizerLike
from .preserve import preserved
from .views import rates_page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SMOOTHING = 0.9  # of the running mean of the losses
DIVERGED = 4.0  # times the best smoothed loss, at which the test ends


@dataclass(frozen=True)
class LRCurve:
    """Losses over learning rates.

    Attributes:
        lrs: The rates, rising.
        losses: The smoothed training loss at each.
        suggestion: The rate at which the loss falls fastest: a good ``lr`` for a schedule that starts lower.
    """

    lrs: tuple[float, ...]
    losses: tuple[float, ...]
    suggestion: float

    def plot(self, path: str | os.PathLike[str] | None = None) -> "Figure":
        """Draw the losses over the rates, and the suggestion; save when a path is given."""
        from ..plots import plot_lr_curve

        return plot_lr_curve(self.lrs, self.losses, self.suggestion, path)

    def __str__(self) -> str:
        tried = f"{len(self.lrs)} tried from {self.lrs[0]:.2g} to {self.lrs[-1]:.2g}"
        return f"learning rate {self.suggestion:.2g}, of {tried}"

    def _repr_html_(self) -> str:
        return rates_page(self.lrs, self.losses, self.suggestion)


def find_lr(
    model: nn.Module,
    train: DataLike,
    *,
    start: float = 1e-6,
    end: float = 10.0,
    steps: int = 100,
    batch_size: int = 128,
    optimizer: OptimizerLike = "adamw",
    momentum: float = 0.9,
    weight_decay: float = 0.01,
    label_smoothing: float = 0.0,
    augment: AugmentName = "auto",
    seed: int = 0,
    device: str | torch.device = "auto",
) -> LRCurve:
    """Train a copy of the net for a few steps while the rate rises from ``start`` to ``end``, and look at the loss.

    Args:
        model: The net; it stays as it is.
        train: As for ``fit``.
        start: The first rate.
        end: The last rate; the test ends earlier when the loss has grown to four times its best.
        steps: Steps between the two, equally spaced in the logarithm.
        batch_size: As for ``fit``, like all that follow.
        optimizer: A name or a factory.
        momentum: Of ``"sgd"``.
        weight_decay: Of the optimiser.
        label_smoothing: Of the cross entropy.
        augment: A name.
        seed: Of order and augmentation.
        device: A torch device, or ``"auto"``.

    Raises:
        ValueError: When a setting is not allowed, or net and data do not go together.

    Source:
        Smith 2017, arXiv:1506.01186, section 3.3; the suggestion is the steepest descent of the smoothed loss.

    >>> from smallnets import lenet5
    >>> from smallnets.data import load
    >>> 1e-5 < find_lr(lenet5(), load("digits"), steps=40).suggestion < 1
    True
    """
    check_int("find_lr", "steps", steps, least=10)
    for name, value in (("start", start), ("end", end)):
        check_number("find_lr", name, value, 0)
    if not 0 < start < end:
        raise OptionError(message("find_lr", "0 < start < end", f"start {start} and end {end}"))
    if isinstance(optimizer, torch.optim.Optimizer):
        raise OptionError(message("find_lr", "an optimizer's name or a factory", "an instance", "It trains a copy."))
    options = FitOptions(
        batch_size=batch_size, optimizer=optimizer, lr=1.0, momentum=momentum, weight_decay=weight_decay,
        schedule=lambda step, total: start * (end / start) ** (step / (steps - 1)),
        label_smoothing=label_smoothing, augment=augment, seed=seed, device=str(device),
        precision="fp32", channels_last=False, compile=False,
    )  # fmt: skip
    with preserved(model):
        trial = copy.deepcopy(model)
        ready = begin(trial, train, None, options, "find_lr", Group())  # of several processes each looks for itself
        trial.train()
        with contextlib.closing(ready.opened):
            return climb(Updates(trial, options, ready.plan, ready.group, steps), ready.feed, ready.opened, steps)


def climb(updates: Updates, feed: Feed, opened: OpenEpoch, steps: int) -> LRCurve:
    """The test itself."""
    lrs: list[float] = []
    losses: list[float] = []
    mean, epoch = 0.0, 0
    batches = feed.epoch(epoch, opened=opened)
    for step in range(steps):
        batch = next(batches, None)
        if batch is None:
            epoch += 1
            batches = feed.epoch(epoch)
            batch = next(batches)
        updates.tally.begin()
        updates.step([batch], step)
        bad, loss = updates.tally.look(), updates.tally.sums.mean
        if bad is not None or not math.isfinite(loss):
            break
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        lrs.append(updates.rate(step))
        losses.append(mean / (1 - SMOOTHING ** (step + 1)))
        if step > 10 and losses[-1] > DIVERGED * min(losses):
            break
    batches.close()
    return LRCurve(tuple(lrs), tuple(losses), steepest(lrs, losses))


def steepest(lrs: list[float], losses: list[float]) -> float:
    """The rate at which the loss falls fastest, before its minimum.

    Raises:
        OptionError: When the loss never falls.
    """
    lowest = min(range(len(losses)), key=losses.__getitem__, default=0)
    slopes = [(losses[i + 2] - losses[i]) / math.log(lrs[i + 2] / lrs[i]) for i in range(min(lowest, len(losses) - 2))]
    if not slopes or min(slopes) >= 0:
        raise OptionError(message("find_lr", "a loss that falls somewhere", "none", "Take a smaller start."))
    return lrs[slopes.index(min(slopes)) + 1]
