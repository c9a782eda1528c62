"""How each operation of PyTorch carries the field of its inputs to its output.

A rule takes the op's arguments and its output. Elementwise ops need none, nor do ops that PyTorch spells out in others
that have one; what still has none is taken to see all of the input.
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from .field import Field, Label, axes_in, join, mix
from .fold import smooth
from .op import Op
from .tracked import MIXES, RULES, field_of, fields_in, hang, rule, set_field, tensors_in, unknown, write


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
