"""Trying sizes on a replica, and telling from where a size gives out which sizes need not be tried."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from .inputs import Call, make_inputs
from .op import Op
from .record import Failure
from .recorder import Recorder
from .replica import Replica
from .row import Shape
from .tracked import field_of, tensors_in

LARGEST = 512  # pixels; a net that needs more has a fixed size of its own
PERIOD = 64  # sides in a row that branches may disagree on: six halvings


class Exhausted(Exception):
    """More would have to be tried than it is worth."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a size gives out: how many calls came before, and in which way."""

    progress: int
    failure: Failure

    @property
    def features(self) -> int | None:
        """Of what reaches a linear layer that wants another number of them."""
        module, inputs = self.failure.module, self.failure.inputs
        if isinstance(module, nn.Linear) and inputs and inputs[0] and inputs[0][-1] != module.in_features:
            return inputs[0][-1]
        return None

    @property
    def grows(self) -> bool:
        """Whether a larger picture is nearer to what is wanted."""
        return self.features is not None or hasattr(self.failure.module, "kernel_size")

    def same_as(self, other: "Stop | None") -> bool:
        """Whether a picture of another size gives out at the same call, on the same shapes."""
        if other is None or not self.failure.inputs or self.disagrees:
            return False
        return self.progress == other.progress and self.failure.inputs == other.failure.inputs

    @property
    def disagrees(self) -> bool:
        """Whether branches of unequal shapes met."""
        return self.failure.module is None and len(set(self.failure.inputs)) > 1


class Probe:
    """Tries sizes on one replica.

    Attributes:
        strict: Refuse maps of unequal sides that an addition would broadcast.
    """

    def __init__(
        self,
        replica: Replica,
        make: Callable[[int, int], Call],
        training: bool = False,
        batch_size: int = 1,
        strict: bool = False,
    ) -> None:
        self.replica, self.make, self.training, self.batch_size, self.strict = (
            *(replica, make, training),
            *(batch_size, strict),
        )
        self.left: float = math.inf  # calls that may still be made
        self._seen: dict[tuple[int, int], Stop | None] = {}

    def failure(self, height: int, width: int) -> Stop | None:
        """Where a picture of that size gives out; None where it passes."""
        size = height, width
        if size not in self._seen:
            if self.left <= 0:
                raise Exhausted
            recorder = (Strict if self.strict else Recorder)(self.replica)
            self.replica.train(self.training)
            try:
                record = recorder.run(*make_inputs(self.make(height, width), self.batch_size, self.replica.dtype))
            finally:
                self.replica.train(False)
            self.left -= 1 + len(record.rows)
            self._seen[size] = None if record.failure is None else Stop(len(record.rows), record.failure)
        return self._seen[size]

    def runs(self, height: int, width: int) -> bool:
        """Whether the net takes a picture of that size."""
        return self.failure(height, width) is None


def first_that_passes(failure: Callable[[int], Stop | None], largest: int = LARGEST) -> int | None:
    """The first side that passes, without trying those that cannot.

    Maps grow with the picture: a window that is too large for one is too large for every smaller one, and a linear
    layer gets each number of features but once. Whatever else refuses a picture may take the next.
    """
    side, disagreed = 1, 0
    while side <= largest:
        stop = failure(side)
        if stop is None:
            return side
        disagreed = disagreed + 1 if stop.disagrees else 0
        if disagreed > PERIOD or (side < largest and stop.same_as(failure(largest))):
            return None
        found = first_beyond(failure, stop, side, largest) if stop.grows else side + 1
        if found is None:
            return None
        side = found
    return None


def first_beyond(failure: Callable[[int], Stop | None], stop: Stop, side: int, largest: int) -> int | None:
    """The first side at which a run gets past ``stop``, or its linear layer has the features that it wants."""
    wanted = stop.failure.module.in_features if isinstance(stop.failure.module, nn.Linear) else 0

    def past(side: int) -> bool:
        there = failure(side)
        if there is None or there.progress > stop.progress:
            return True
        return there.features is not None and there.features > wanted > 0

    if not past(largest):
        return None
    low, high = side, largest
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if past(middle) else (middle, high)
    there = failure(high)
    too_many = there is not None and there.progress <= stop.progress
    return None if too_many else high


class Strict(Recorder):
    """A recorder that refuses to add maps of unequal sides, where PyTorch would broadcast the smaller one."""

    def before(self, op: Op, args: Any) -> Any:
        if op.name in ("add", "add_", "sub", "sub_"):
            maps = [tensor for tensor in tensors_in(args) if field_of(tensor) is not None]
            if len(maps) == 2 and maps[0].dim() == maps[1].dim() > 2:
                small = min(maps, key=lambda tensor: tensor.numel())
                field = field_of(small)
                assert field is not None
                for dim, label in enumerate(field.labels):
                    if isinstance(label, int) and maps[0].shape[dim] != maps[1].shape[dim]:
                        raise RuntimeError("maps of unequal sides are broadcast")
        return args


def differs_alike(a: tuple[Shape, ...], b: tuple[Shape, ...]) -> bool:
    """Whether two branches are as far apart with one picture as with another."""
    gaps = [[x - y for x, y in zip(*shapes, strict=False)] for shapes in (a, b) if len(shapes) == 2]
    return len(gaps) == 2 and gaps[0] == gaps[1]
