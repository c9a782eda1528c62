"""How each operation of PyTorch carries the field of its inputs to its output.

A rule takes the op's arguments and its output. Elementwise ops need none, nor do ops that PyTorch spells out in others
that have one; what still has none is taken to see all of the input.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from .field import Field, Label, axes_in, everything, input_field, join, mix
from .fold import smooth
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


def propagate(op: Op, args: Any, kwargs: Any, out: Any) -> bool:
    """Give the outputs of an op their fields; whether it was known how."""
    outputs = tensors_in(out if isinstance(out, tuple | list) else (out,))
    sources = fields_in(args, kwargs)
    if not sources:
        hang(op, args, kwargs, outputs)
        return True
    name = op.name if op.name in RULES else op.name.rstrip("_")
    chosen = RULES.get(name) or (pointwise if op.pointwise else None)
    known = True
    if op.independent:
        fields: list[Field | None] = [None] * len(outputs)
    elif chosen is not None:
        fields = [chosen(args, {**kwargs, "index": index, "op": name}, tensor) for index, tensor in enumerate(outputs)]
    else:
        taken_apart = decomposed(op, args, kwargs, outputs)
        known = taken_apart is not None
        fields = taken_apart if taken_apart is not None else [unknown(args, kwargs, tensor) for tensor in outputs]
    if name not in MIXES and chosen is not None:
        known = {axis for field in fields for axis in whole_in(field)} <= {a for _, f in sources for a in whole_in(f)}
    hang(op, args, kwargs, outputs)
    for tensor, field in zip(outputs, fields, strict=True):
        if op.writes and any(tensor is other for other, _ in (*sources, *((x, None) for x in tensors_in(args)))):
            write(tensor, field)
        else:
            set_field(tensor, field)
    return known


def whole_in(field: Field | None) -> set[int]:
    """The axes of which all is seen."""
    return set() if field is None else {index for index, axis in enumerate(field.axes) if axis.whole}


def unknown(args: Any, kwargs: Any, out: Any) -> Field:
    """Nothing is known: the output may see all of the input."""
    sources = fields_in(args, kwargs)
    for tensor, field in sources:
        if tensor.shape == out.shape:
            return everything(field)
    return everything(sources[0][1], (None,) * out.dim())


def pointwise(args: Any, kwargs: Any, out: Any) -> Field:
    """Branches meet element by element, broadcast as PyTorch does."""
    return meet(fields_in(args, {name: value for name, value in kwargs.items() if name != "out"}), tuple(out.shape))


rule("complex", "polar")(pointwise)


def meet(sources: list[tuple[Tensor, Field]], shape: tuple[int, ...]) -> Field:
    """The union of the windows of tensors that are broadcast to ``shape``."""
    if len({field.labels for _, field in sources}) > 1:
        sources = [(tensor, smoothed(field)) for tensor, field in sources]
    labels: list[Label] = [None] * len(shape)
    clash: set[int] = set()
    for tensor, field in sources:
        for place in range(1, tensor.dim() + 1):
            label = field.labels[-place]
            if label is None or labels[-place] == label:
                continue
            if tensor.shape[-place] < shape[-place]:  # one position for all of the others' does not move along
                clash |= axes_in(label)
            elif labels[-place] is not None:
                clash |= axes_in(label) | axes_in(labels[-place])
            else:
                labels[-place] = label
    placed = {axis for label in labels for axis in axes_in(label)}
    for _, field in sources:
        here = {axis for label in field.labels for axis in axes_in(label)}
        clash |= {axis for axis in placed - here if axis < len(field.axes)} if len(sources) > 1 else set()
    joined = join([field for _, field in sources], tuple(labels))
    return mix(joined, joined.labels, clash)


def smoothed(field: Field) -> Field:
    for dim in range(len(field.labels)):
        field = smooth(field, dim)
    return field


def decomposed(op: Op, args: Any, kwargs: Any, outputs: list[Tensor]) -> list[Field | None] | None:
    """The fields that PyTorch's own decomposition of the op leads to, if it has one that is known throughout."""
    apart = op.decomposition()
    if apart is None:
        return None
    fields = Fields()
    try:
        with torch._C.DisableTorchFunction(), fields:  # pyright: ignore[reportPrivateUsage]
            out = apart(*args, **kwargs)
    except Exception:  # a decomposition for other arguments or devices than these
        return None
    made = tensors_in(out if isinstance(out, tuple | list) else (out,))
    if not fields.known or len(made) != len(outputs):
        return None
    # A buffer for the backward pass may have another size than the decomposition's.
    return [field_of(a) if a.shape == b.shape else unknown(args, kwargs, b) for a, b in zip(made, outputs, strict=True)]


class Fields(TorchDispatchMode):
    """Carries fields through the ops of a decomposition, whose costs are the whole op's."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.known = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.namespace == "prims" and getattr(func, "impl_aten", None) is not None:
            with self:
                return func.impl_aten(*args, **kwargs)
        op = Op.of(func)
        if op.name not in RULES and not op.pointwise:  # below autograd, ops made of others come here whole
            with self:
                if (out := func.decompose(*args, **kwargs)) is not NotImplemented:
                    return out
        out = func(*args, **kwargs)
        self.known &= propagate(op, args, kwargs, out)
        return out


def hang(op: Op, args: Any, kwargs: Any, outputs: list[Tensor]) -> None:
    """Note what the outputs of a view op are views of."""
    if not op.view or not args or not isinstance(args[0], Tensor) or isinstance(args[0], torch.nn.Parameter):
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
