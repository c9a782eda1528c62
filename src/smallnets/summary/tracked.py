"""Tensors that know their field: what a view hangs on, what a write changes, and the rules' registry."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from .field import Field, everything, input_field, join
from .op import Op

Rule = Callable[[Any, Any, Any], Field | None]

RULES: dict[str, Rule] = {}
# Ops behind which a position really depends on all of an axis; any other that says so says it for want of better.
MIXES: set[str] = set()


class View:
    """How a view hangs on its base: the way there, the way back, and how often the base was written to."""

    __slots__ = ("base", "forth", "seen")

    def __init__(self, base: Tensor, forth: Callable[[], Field | None]) -> None:
        self.base, self.forth, self.seen = base, forth, writes(base)


def field_of(tensor: Any) -> Field | None:
    """The field that a tensor carries; None where it does not come from the input."""
    view: View | None = getattr(tensor, "_smallnets_view", None)
    if view is not None and writes(view.base) != view.seen:
        tensor._smallnets_field, view.seen = view.forth(), writes(view.base)
    return getattr(tensor, "_smallnets_field", None)


def set_field(tensor: Any, field: Field | None) -> None:
    tensor._smallnets_field = field


def writes(tensor: Any) -> int:
    """How often the field of a tensor changed, counted along the bases that it is a view of."""
    view: View | None = getattr(tensor, "_smallnets_view", None)
    return getattr(tensor, "_smallnets_writes", 0) + (0 if view is None else writes(view.base))


def start_field(tensor: Tensor) -> None:
    """Mark a tensor as an input."""
    set_field(tensor, input_field(tensor.dim()))


def rule(*names: str, mixes: bool = False) -> Callable[[Rule], Rule]:
    """Register a function as the rule of these ops; ``mixes`` if they really look along whole axes."""

    def add(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        MIXES.update(names if mixes else ())
        return function

    return add


def tensors_in(values: Any) -> list[Tensor]:
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, tuple | list):
            found += tensors_in(value)
    return found


def fields_in(args: Any, kwargs: Any = None) -> list[tuple[Tensor, Field]]:
    """The tensors among the arguments that come from the input, with their fields."""
    tensors = tensors_in((args, tuple((kwargs or {}).values())))
    return [(tensor, field) for tensor in tensors if (field := field_of(tensor)) is not None]


def given(args: Any, place: int, default: Any) -> Any:
    """A positional argument, or its default where the call left it out."""
    return args[place] if len(args) > place else default


def source_of(args: Any) -> Field:
    """The field of the first argument, or of the first one that has one."""
    field = field_of(args[0])
    return fields_in(args)[0][1] if field is None else field


def spread(values: Any, count: int) -> list[int]:
    """One value for each dimension."""
    values = [values] if isinstance(values, int) else list(values)
    return values * count if len(values) == 1 else values


def unknown(args: Any, kwargs: Any, out: Any) -> Field:
    """Nothing is known: the output may see all of the input."""
    sources = fields_in(args, kwargs)
    for tensor, field in sources:
        if tensor.shape == out.shape:
            return everything(field)
    return everything(sources[0][1], (None,) * out.dim())


def hang(op: Op, args: Any, kwargs: Any, outputs: list[Tensor]) -> None:
    """Note what the outputs of a view op are views of."""
    if not op.view or not args or not isinstance(args[0], Tensor) or isinstance(args[0], nn.Parameter):
        return
    base, name = args[0], op.name

    def forth(index: int, tensor: Tensor) -> Callable[[], Field | None]:
        def carry() -> Field | None:
            if field_of(base) is None:
                return None
            return (RULES.get(name) or unknown)(args, {**kwargs, "index": index, "op": name}, tensor)

        return carry

    for index, tensor in enumerate(outputs):
        if tensor is base:
            continue
        made: Any = tensor
        made._smallnets_view = View(base, forth(index, tensor))
        made._smallnets_way = (name, args, index)


def write(tensor: Any, field: Field | None) -> None:
    """Give a tensor that was written over its new field, and those that it is a view of."""
    view: View | None = getattr(tensor, "_smallnets_view", None)
    set_field(tensor, field)
    if view is None:
        tensor._smallnets_writes = getattr(tensor, "_smallnets_writes", 0) + 1
        return
    name, args, index = tensor._smallnets_way
    before = field_of(view.base)
    if tensor.numel() == view.base.numel():
        before = None
    after = before if field is None else BACK.get(name, lost)(field, before, args, index, tensor)
    if field is not None and after is not None and before is not None:
        after = join([before, after], before.labels)
    write(view.base, after)
    view.seen = writes(view.base)


# The way from a view's field back to its base's: what was written, in the base's dimensions.
Back = Callable[[Field, Field | None, Any, int, Tensor], Field]
BACK: dict[str, Back] = {}


def back(*names: str) -> Callable[[Back], Back]:
    def add(function: Back) -> Back:
        BACK.update(dict.fromkeys(names, function))
        return function

    return add


def lost(field: Field, before: Field | None, args: Any, index: int, view: Tensor) -> Field:
    """Nothing is known of where a view's parts lie in its base."""
    return everything(field, (None,) * args[0].dim() if before is None else before.labels)
