"""Is it still a number? Of losses without waiting for the device, and of all that a checkpoint holds."""

from collections.abc import Iterable

import torch
from torch import Tensor


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether all are numbers: one reduction, one sync a device."""
    floats = [tensor.detach() for tensor in tensors if tensor.is_floating_point() and tensor.numel()]
    return bool(torch.nn.utils.get_total_norm(floats, norm_type=float("inf")).isfinite())


class Watch:
    """Looks out for a loss that is no number without waiting for the device at every step."""

    def __init__(self, device: torch.device) -> None:
        self.every = 1 if device.type == "cpu" else 64  # on a CPU there is nothing to wait for
        self.seen: list[tuple[int, float, Tensor]] = []

    def note(self, step: int, lr: float, loss: Tensor) -> tuple[int, float] | None:
        """Remember a step's loss; now and then look: the first bad step and its rate."""
        self.seen.append((step, lr, loss.detach()))
        return self.look() if len(self.seen) >= self.every else None

    def look(self) -> tuple[int, float] | None:
        """The first step since the last look whose loss was no number, and its rate."""
        if not self.seen:
            return None
        fine = torch.stack([loss for _, _, loss in self.seen]).isfinite().tolist()
        bad = [(step, lr) for (step, lr, _), good in zip(self.seen, fine, strict=True) if not good]
        self.seen = []
        return bad[0] if bad else None
