"""What a run adds up, and whether it still is a number: losses without a wait, all that a checkpoint holds."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether all are numbers: one reduction, one sync a device."""
    floats = [tensor.detach() for tensor in tensors if tensor.is_floating_point() and tensor.numel()]
    return bool(torch.nn.utils.get_total_norm(floats, norm_type=float("inf")).isfinite())


class Sums(NamedTuple):
    """Of an epoch so far: losses, each times the weight of its sample, these weights, and samples that were right.

    All numbers, floats from several processes: they are added up together.
    """

    loss: float = 0.0
    weight: float = 0.0
    correct: float = 0

    @property
    def mean(self) -> float:
        """The loss over all samples, as torch's weighted mean has it."""
        return self.loss / self.weight if self.weight else math.nan


class Tally:
    """An epoch's losses and hits, added up on the host in float64, which not every device has.

    They are fetched from a device now and then, so that no step waits for it, and looked at for what is no number.
    """

    def __init__(self, device: torch.device) -> None:
        self.every = 1 if device.type == "cpu" else 64  # on a CPU there is nothing to wait for
        self.sums = Sums()
        self._noted: list[tuple[int, float, bool, Tensor]] = []
        self._bad: tuple[int, float] | None = None

    def begin(self, sums: Sums = Sums()) -> None:  # noqa: B008  # a constant
        """Start an epoch, from where it was."""
        self.sums = sums
        self._noted, self._bad = [], None

    def note(self, step: int, lr: float, result: Tensor, counts: bool = True) -> tuple[int, float] | None:
        """Remember a batch's mean loss, weight and hits, (3,), unless it is a stand-in; now and then look."""
        self._noted.append((step, lr, counts, result))
        return self.look() if len(self._noted) >= self.every else self._bad

    def look(self) -> tuple[int, float] | None:
        """Add up what was noted; the epoch's first step whose loss was no number, and its rate."""
        noted, self._noted = self._noted, []
        values = torch.stack([result for *_, result in noted]).tolist() if noted else []
        total, whole, correct = self.sums
        for (step, lr, counts, _), (loss, weight, hits) in zip(noted, values, strict=True):
            if not math.isfinite(loss) and self._bad is None:
                self._bad = step, lr
            if counts:
                total, whole, correct = total + loss * weight, whole + weight, correct + int(hits)
        self.sums = Sums(total, whole, correct)
        return self._bad
