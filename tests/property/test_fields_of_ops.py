"""The field behind every activation of torch.nn and every elementwise op of ATen, with real runs as oracle."""

import inspect
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from smallnets import receptive_field, summarize

SIDE = 8
ARGUMENTS: dict[str, tuple[Any, ...]] = {"Threshold": (0.1, 2.0)}
# Softmax looks along a dimension, attention at everything; what is left works element by element.
LOOKING = {"Softmax", "Softmin", "LogSoftmax", "Softmax2d", "MultiheadAttention"}


def activations() -> list[type[nn.Module]]:
    found = [kind for _, kind in inspect.getmembers(nn.modules.activation, inspect.isclass)]
    return [
        kind
        for kind in found
        if issubclass(kind, nn.Module) and not issubclass(kind, nn.Linear) and kind is not nn.Module
    ]


class Between(nn.Module):
    """Something between two 3x3 convolutions."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.before, self.layer, self.after = nn.Conv2d(3, 4, 3, padding=1), layer, nn.LazyConv2d(2, 3, padding=1)
        self(torch.zeros(1, 3, SIDE, SIDE))

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.layer(self.before(x)))


@pytest.mark.parametrize("kind", [kind for kind in activations() if kind.__name__ not in LOOKING])
def test_every_activation_passes_the_field_through(kind: type[nn.Module]) -> None:
    layer = nn.GLU(dim=1) if kind is nn.GLU else kind(*ARGUMENTS.get(kind.__name__, ()))
    assert receptive_field(Between(layer.eval()), (3, SIDE, SIDE)).size == (5, 5)


@pytest.mark.parametrize(
    "layer", [nn.Softmax(1), nn.Softmin(1), nn.LogSoftmax(1), nn.Softmax2d(), nn.LayerNorm([4, 1, 1])]
)
def test_what_looks_over_channels_alone_passes_it_too(layer: nn.Module) -> None:
    if isinstance(layer, nn.LayerNorm):

        class Last(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return nn.functional.layer_norm(x.movedim(1, -1), (4,)).movedim(-1, 1)

        layer = Last()
    assert receptive_field(Between(layer), (3, SIDE, SIDE)).size == (5, 5)


def pointwise_overloads() -> list[Any]:
    """The overloads with the tag that take a tensor, do not write, and return tensors."""
    found = []
    for name in dir(torch.ops.aten):
        packet = getattr(torch.ops.aten, name)
        for overload in packet.overloads() if hasattr(packet, "overloads") else ():
            op = getattr(packet, overload)
            arguments = op._schema.arguments
            tensors = bool(arguments) and str(arguments[0].type) == "Tensor"
            if torch.Tag.pointwise in op.tags and tensors and not any(one.is_out for one in arguments):
                found.append(op)
    return found


def arguments_for(op: Any, x: Tensor) -> list[Any]:
    """Something that fits each argument of the schema that has no default."""
    values: list[Any] = []
    for place, argument in enumerate(op._schema.arguments):
        kind = str(argument.type)
        if place == 0:
            values.append(x)
        elif argument.has_default_value() or argument.kwarg_only:
            break
        elif kind in ("Tensor", "Optional[Tensor]"):
            values.append(torch.ones_like(x))
        else:
            values.append({"bool": False, "number": 1, "Scalar": 1, "str": "none"}.get(kind, 1))
    return values


def call(op: Any, x: Tensor) -> Tensor:
    out = op(*arguments_for(op, x))
    return out[0] if isinstance(out, tuple) else out


class Applies(nn.Module):
    """An op between two convolutions over columns, with constants in its other places."""

    def __init__(self, op: Any, dtype: torch.dtype) -> None:
        super().__init__()
        self.op, self.dtype = op, dtype
        self.before, self.after = nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.before(x)
        return self.after(call(self.op, x if self.dtype == x.dtype else x.to(self.dtype)).float())


@pytest.mark.parametrize("op", pointwise_overloads(), ids=str)
def test_every_elementwise_op_passes_the_field_through(op: Any) -> None:
    for dtype in (torch.float32, torch.int64, torch.bool):
        torch.manual_seed(0)
        x = (torch.rand(1, 1, SIDE, SIDE) * 3).to(dtype)
        try:
            base = call(op, x.clone())
            if not isinstance(base, Tensor) or base.shape != x.shape or base.is_complex():
                continue
        except (RuntimeError, TypeError, IndexError, NotImplementedError):
            continue
        # The oracle: a change of one element is seen there alone.
        for value in (5, 0):
            other = x.clone()
            other[0, 0, 3, 4] = value
            torch.manual_seed(0)
            out = call(op, other)
            seen = ((out != base) & ~((out != out) & (base != base))).nonzero().tolist()
            random = torch.Tag.nondeterministic_seeded in op.tags
            assert random or all(place == [0, 0, 3, 4] for place in seen)
        summary = summarize(Applies(op, dtype), (1, SIDE, SIDE))
        assert summary.failure is None
        assert summary.notes == ()
        field = summary.rows[-1].receptive_field
        # What makes new numbers of its own, or fills, depends on nothing.
        assert field in ((5, 5), None)
        if field is None:
            assert random or op.name().partition(".")[0].endswith("_like") or "fill" in op.name()
        return
    pytest.skip("takes no tensor of ones")


def test_the_list_of_elementwise_ops_is_long() -> None:
    assert len(pointwise_overloads()) > 150
    assert len(activations()) > 25
