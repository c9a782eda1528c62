"""What a call is: its name, its shapes, its window, and whether a module counts as one row."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import parametrize

from .row import Shape
from .tracked import field_of, given, spread, tensors_in

# Modules that have children but use their weights without calling them.
OPAQUE = (nn.MultiheadAttention,)
# What PyTorch's arithmetic dunder methods are called as functions.
OPERATORS = {
    "iadd": "add_",
    "radd": "add",
    "isub": "sub_",
    "rsub": "sub",
    "imul": "mul_",
    "rmul": "mul",
    "truediv": "div",
}
# Calls that make no new tensor.
SILENT = frozenset(("__get__", "__set__", "dim", "size", "ndimension", "numel", "type", "is_floating_point", "stride"))


def is_leaf(module: nn.Module) -> bool:
    """Whether a call of the module is one row: it has no children, or keeps them to itself."""
    childless = next(module.children(), None) is None
    return childless or isinstance(module, OPAQUE) or parametrize.is_parametrized(module)


def own_parameters(module: nn.Module) -> Iterable[nn.Parameter]:
    """The parameters of a leaf, each once."""
    return dict.fromkeys(module.parameters()).keys()


def type_name(module: nn.Module) -> str:
    """The class a reader knows; parametrising gives a module a class of its own."""
    kind = type(module)
    return kind.__bases__[0].__name__ if parametrize.is_parametrized(module) else kind.__name__


def function_name(func: Any) -> str:
    """A function's or operator's name: ``add`` for both ``x + y`` and ``torch.add(x, y)``."""
    name = getattr(func, "__name__", type(func).__name__)
    if name.startswith("__") and name not in SILENT:
        name = name.strip("_")
        return OPERATORS.get(name, name)
    return name


def tensors_of(value: Any) -> list[Tensor]:
    """The tensors in what a call returns, dicts and data classes included."""
    if isinstance(value, Mapping):
        return tensors_in([tensors_of(item) for item in value.values()])
    if isinstance(value, tuple | list):
        return tensors_in([tensors_of(item) for item in value])
    if hasattr(value, "__dataclass_fields__"):
        return tensors_of(vars(value))
    return [value] if isinstance(value, Tensor) else []


def shapes_in(value: Any) -> tuple[Shape, ...]:
    return tuple(tuple(tensor.shape) for tensor in tensors_of(value))


def one(shapes: tuple[Shape, ...]) -> Shape | tuple[Shape, ...]:
    """A single shape by itself, several as a tuple of shapes."""
    return shapes[0] if len(shapes) == 1 else shapes


def padding_name(module: nn.Module) -> str | None:
    """The padding of a convolution that has it by name."""
    return "same" if getattr(module, "padding", None) == "same" else None


def window_of(op: str, args: Any) -> tuple[Shape, Shape, Shape, Shape] | None:
    """(kernel, stride, padding, dilation) of a convolution or pool."""
    if op == "convolution":
        kernel = tuple(args[1].shape[2:])
        stride, padding, dilation = (tuple(spread(args[place], len(kernel))) for place in (3, 4, 5))
        return kernel, stride, padding, dilation
    if not op.startswith(("max_pool", "avg_pool")):
        return None
    count = int(op[8])
    kernel = tuple(spread(args[1], count))
    stride = tuple(spread(given(args, 2, ()) or kernel, count))
    padding = tuple(spread(given(args, 3, (0,)), count))
    dilation = tuple(spread(given(args, 4, (1,)), count)) if op.startswith("max") else (1,) * count
    return kernel, stride, padding, dilation


def set_row(tensor: Tensor, row: int) -> None:
    """Note which row made a tensor."""
    tensor._smallnets_row = row  # type: ignore[attr-defined]


def rows_behind(tensors: Iterable[Tensor]) -> tuple[int, ...]:
    """The rows that made these tensors; -1 is the input."""
    return tuple(sorted({getattr(tensor, "_smallnets_row", -1) for tensor in tensors if field_of(tensor) is not None}))
