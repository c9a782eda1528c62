"""Learning-rate schedules: a factor of the base rate for every optimiser step."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from ..errors import OptionError, first_line, message, nearest

NAMES = ("constant", "cosine", "onecycle", "plateau", "step(20, 1/3)")
STEP = re.compile(r"step\(\s*(\d+)\s*,\s*([\d.eE+-]+)\s*(?:/\s*([\d.eE+-]+)\s*)?\)")


def constant(step: int, total: int) -> float:
    return 1.0


def cosine(step: int, total: int) -> float:
    """Half a cosine from 1 towards 0 (Loshchilov & Hutter 2017, without restarts)."""
    return 0.5 * (1 + math.cos(math.pi * step / max(1, total)))


def onecycle(step: int, total: int) -> float:
    """Up from 1/25 over 30 % of the steps, down to 1/250,000: torch's ``OneCycleLR`` at its defaults.

    Source: Smith & Topin 2018; the momentum does not cycle.
    """
    if total < 2:
        return 1.0
    peak = 0.3 * total - 1
    last = total - 1
    if step <= peak:
        low, high, share = 1 / 25, 1.0, step / peak
    else:
        low, high, share = 1.0, 1 / 25 / 1e4, (step - peak) / (last - peak)
    return high + (low - high) / 2 * (1 + math.cos(math.pi * min(share, 1.0)))


def parse_schedule(text: str) -> tuple[str, int, float]:
    """Name, epochs and factor; the last two matter only to ``"step(epochs, factor)"``.

    Raises:
        ValueError: When there is no such schedule.

    >>> parse_schedule("step(20, 0.1)")
    ('step', 20, 0.1)
    """
    if text in ("constant", "cosine", "onecycle", "plateau"):
        return text, 0, 1.0
    found = STEP.fullmatch(text)
    try:
        if found is not None and int(found[1]) > 0:
            factor = float(found[2]) / float(found[3] or 1)
            if 0 < factor < math.inf:
                return "step", int(found[1]), factor
    except (ValueError, ZeroDivisionError):
        pass
    choices = ", ".join(repr(name) for name in NAMES)
    raise OptionError(message("fit", f"schedule to be one of {choices}", repr(text), nearest(text, NAMES)))


def number(schedule: Callable[[int, int], float], step: int, total: int) -> float:
    """A user's factor for a step.

    Raises:
        ValueError: When it is no number of at least 0.
    """
    try:
        found = schedule(step, total)
        if math.isnan(found) or found >= 0:
            return float(found)  # a factor that is no number is found in the weights, like every other
    except TypeError as error:
        wanted = "a schedule f(step, total_steps) that gives a number"
        raise OptionError(message("fit", wanted, f"one that fails at step {step} ({first_line(error)})")) from error
    raise OptionError(message("fit", "a schedule that gives numbers of at least 0", f"{found} at step {step}"))


@dataclass
class Plateau:
    """Divides the rate by 10 after 10 epochs without a lower loss: torch's ``ReduceLROnPlateau`` at its defaults."""

    best: float = math.inf
    bad: int = 0
    factor: float = 1.0

    def after_epoch(self, loss: float) -> None:
        if loss < self.best * (1 - 1e-4):
            self.best, self.bad = loss, 0
        else:
            self.bad += 1
        if self.bad > 10:
            self.factor, self.bad = self.factor * 0.1, 0


@dataclass
class Schedule:
    """The factor for a step: a linear warm-up, then the schedule over the steps that are left."""

    kind: str | Callable[[int, int], float]
    steps_per_epoch: int
    total: int
    warmup: int = 0
    plateau: Plateau = field(default_factory=Plateau)

    def factor(self, step: int) -> float:
        ramp = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        if not isinstance(self.kind, str):
            return ramp * number(self.kind, step, self.total)
        name, epochs, drop = parse_schedule(self.kind)
        if name == "plateau":
            return ramp * self.plateau.factor
        if name == "step":
            return ramp * drop ** (step // self.steps_per_epoch // epochs)
        smooth = {"constant": constant, "cosine": cosine, "onecycle": onecycle}[name]
        return ramp * smooth(max(0, step - self.warmup), self.total - self.warmup)
