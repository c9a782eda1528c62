"""What a run adds up, and whether it still is a number: losses without a wait, all that a checkpoint holds."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether all are numbers: one reduction, one sync a device."""
    floats = [tensor.detach() for tensor in tensors if tensor.is_floating_point() and tensor.numel()]
    return bool(torch.nn.utils.get_total_norm(floats, norm_type=float("inf")).isfinite())


class Tally:
    """An epoch's losses and hits, added up on the host in float64, which not every device has.

    They are fetched from a device now and then, so that no step waits for it, and looked at for what is no number.
    """

    def __init__(self, device: torch.device) -> None:
        self.every = 1 if device.type == "cpu" else 64  # on a CPU there is nothing to wait for
        self.loss_sum, self.correct = 0.0, 0
        self._noted: list[tuple[int, float, float, Tensor]] = []
        self._bad: tuple[int, float] | None = None

    def begin(self, loss_sum: float, correct: int) -> None:
        """Start an epoch, from where it was."""
        self.loss_sum, self.correct = loss_sum, correct
        self._noted, self._bad = [], None

    def note(self, step: int, lr: float, result: Tensor, samples: float) -> tuple[int, float] | None:
        """Remember a batch's mean loss and hits, (2,), and how many samples it counts for; now and then look."""
        self._noted.append((step, lr, samples, result))
        return self.look() if len(self._noted) >= self.every else self._bad

    def look(self) -> tuple[int, float] | None:
        """Add up what was noted; the epoch's first step whose loss was no number, and its rate."""
        noted, self._noted = self._noted, []
        values = torch.stack([result for *_, result in noted]).tolist() if noted else []
        for (step, lr, samples, _), (loss, hits) in zip(noted, values, strict=True):
            if not math.isfinite(loss) and self._bad is None:
                self._bad = step, lr
            self.loss_sum += loss * samples
            self.correct += int(hits) if samples else 0  # a stand-in's are none
        return self._bad
