"""``check_shortcuts``: branches that meet with unequal shapes, refused by PyTorch or, worse, broadcast."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ..errors import ShapeError
from .explain import explain
from .inputs import InputSize, call_of_sizes, check_input_size, check_signature, make_inputs
from .op import Op
from .recorder import Recorder
from .replica import Replica
from .row import Shape
from .tracked import field_of, set_field, tensors_in

GATES = frozenset(("mul", "mul_", "div", "div_"))
ADDITIONS = frozenset(("add", "add_", "sub", "sub_"))


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Two branches that do not fit.

    Attributes:
        path: The module whose forward joins them.
        operation: ``"add"``, ``"mul"``, ``"div"``, ``"cat"`` or ``"stack"``.
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
    call = call_of_sizes(input_size)
    check_signature("check_shortcuts", replica.module, call)
    # Two pictures: with one, a missing batch dimension would pass for a fitting one.
    args, kwargs = make_inputs(call, 2, replica.dtype)
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
        if op.name in GATES and not broadcasts(branches):  # where they broadcast, one is a gate for the other
            self._note(op.name.rstrip("_"), branches, broadcast=False)
            return (branches[0], branches[0], *args[2:])
        if op.name in ("cat", "stack"):
            parts: list[Tensor] = args[0]
            dim = (args[1] if len(args) > 1 else 0) % parts[0].dim()
            stacked = op.name == "stack"
            if len({parts[0].dim(), *(part.dim() for part in parts)}) > 1 or (
                len({tuple(part.shape) if stacked else shape_but(part, dim) for part in parts}) > 1
            ):
                self._note(op.name, branches, broadcast=False)
                return ([fitted(part, parts[0], None if stacked else dim) for part in parts], *args[1:])
        return args

    def _note(self, operation: str, branches: list[Tensor], *, broadcast: bool) -> None:
        shapes = tuple(tuple(tensor.shape) for tensor in branches)
        self.found.append(Mismatch(self.path, operation, shapes, broadcast))


def fitted(part: Tensor, first: Tensor, dim: int | None) -> Tensor:
    """A part in the shape of the first, but for the dimension along which they are laid together."""
    shape = list(first.shape)
    if dim is not None and part.dim() == first.dim():
        shape[dim] = part.shape[dim]
    out = part.new_empty(shape)
    set_field(out, field_of(first))
    return out


def shape_but(tensor: Tensor, dim: int) -> tuple[int, ...]:
    """The shape without the dimension along which maps are laid together."""
    dim %= tensor.dim()
    return (*tensor.shape[:dim], *tensor.shape[dim + 1 :])


def broadcasts(branches: list[Tensor]) -> bool:
    """Whether PyTorch would stretch one branch to the other."""
    sides = zip(*(reversed(tensor.shape) for tensor in branches), strict=False)
    return all(len(set(side) - {1}) <= 1 for side in sides)
