"""``check_shortcuts``: branches that meet with unequal shapes, refused by PyTorch or, worse, broadcast."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ..errors import ShapeError
from .abstract import Op
from .explain import explain
from .inputs import InputSize, check_input_size, check_signature, make_inputs
from .propagate import field_of, tensors_in
from .recorder import Recorder
from .replica import Replica
from .row import Shape

ADDITIONS = frozenset(("add", "add_", "sub", "sub_"))


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Two branches that do not fit.

    Attributes:
        path: The module whose forward joins them.
        operation: ``"add"`` or ``"cat"``.
        shapes: What meets.
        broadcast: Whether PyTorch would go on without a word.
    """

    path: str
    operation: str
    shapes: tuple[Shape, ...]
    broadcast: bool

    def __str__(self) -> str:
        meet = " and ".join("x".join(str(side) for side in shape) for shape in self.shapes)
        fate = "PyTorch broadcasts them silently" if self.broadcast else "PyTorch refuses them"
        return f"{self.path or 'forward'}: {self.operation} of {meet}; {fate}."


def check_shortcuts(model: nn.Module, input_size: InputSize) -> list[Mismatch]:
    """Every place where branches meet with unequal shapes; try odd sizes too, where rounding tells branches apart.

    Args:
        model: Any module that ``summarize`` takes.
        input_size: Size of one picture, (C, H, W).

    Returns:
        The mismatches in call order; an empty list when all branches fit.

    Raises:
        ShapeError: When the model fails for another reason.

    >>> from smallnets import check_shortcuts, convnet3
    >>> check_shortcuts(convnet3(), (3, 32, 32))
    []
    """
    check_input_size("check_shortcuts", input_size)
    replica = Replica(model)
    check_signature("check_shortcuts", replica.module, input_size)
    # Two pictures: with one, a missing batch dimension would pass for a fitting one.
    args, kwargs = make_inputs(input_size, 2, replica.dtype)
    checker = Joins(replica)
    record = checker.run(args, kwargs)
    if record.failure is not None:
        raise ShapeError(explain(replica, record, input_size))
    return checker.found


class Joins(Recorder):
    """A recorder that notes unequal branches and goes on as if they fitted."""

    def __init__(self, replica: Replica) -> None:
        super().__init__(replica)
        self.found: list[Mismatch] = []

    def before(self, op: Op, args: Any) -> Any:
        branches = [tensor for tensor in tensors_in(args) if field_of(tensor) is not None]
        if len(branches) < 2:
            return args
        if op.name in ADDITIONS and branches[0].shape != branches[1].shape:
            self._note("add", branches, broadcast=broadcasts(branches))
            return (branches[0], branches[0], *args[2:]) if not broadcasts(branches) else args
        if op.name == "cat":
            dim = args[1] if len(args) > 1 else 0
            if len({shape_but(tensor, dim) for tensor in branches}) > 1:
                self._note("cat", branches, broadcast=False)
                first = branches[0].shape
                fitted = [tensor.new_empty((*first[:dim], tensor.shape[dim], *first[dim + 1 :])) for tensor in branches]
                return (fitted, *args[1:])
        return args

    def _note(self, operation: str, branches: list[Tensor], *, broadcast: bool) -> None:
        shapes = tuple(tuple(tensor.shape) for tensor in branches)
        self.found.append(Mismatch(self.path, operation, shapes, broadcast))


def shape_but(tensor: Tensor, dim: int) -> tuple[int, ...]:
    """The shape without the dimension along which maps are laid together."""
    dim %= tensor.dim()
    return (*tensor.shape[:dim], *tensor.shape[dim + 1 :])


def broadcasts(branches: list[Tensor]) -> bool:
    """Whether PyTorch would stretch one branch to the other."""
    sides = zip(*(reversed(tensor.shape) for tensor in branches), strict=False)
    return all(len(set(side) - {1}) <= 1 for side in sides)
