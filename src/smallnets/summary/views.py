"""How views carry the field: dimensions move, fold, unfold, are cut out or come back."""

from typing import Any

from .field import Field, axes_in, mix, refold
from .propagate import field_of, given, rule, unknown_rule


def source_of(args: Any) -> Field:
    field = field_of(args[0])
    assert field is not None
    return field


@rule("view", "_unsafe_view", "reshape", "_reshape_alias")
def view(args: Any, kwargs: Any, out: Any) -> Field:
    source = source_of(args)
    labels, cut = refold(tuple(args[0].shape), source.labels, tuple(out.shape))
    return mix(source, labels, cut)


@rule("permute")
def permute(args: Any, kwargs: Any, out: Any) -> Field:
    source = source_of(args)
    return source._replace(labels=tuple(source.labels[dim] for dim in args[1]))


@rule("transpose", "t")
def transpose(args: Any, kwargs: Any, out: Any) -> Field:
    source = source_of(args)
    labels = list(source.labels)
    if len(labels) > 1:
        a, b = args[1:3] if len(args) == 3 else (0, 1)
        labels[a], labels[b] = labels[b], labels[a]
    return source._replace(labels=tuple(labels))


@rule("unsqueeze")
def unsqueeze(args: Any, kwargs: Any, out: Any) -> Field:
    source = source_of(args)
    labels = list(source.labels)
    labels.insert(args[1] % out.dim(), None)
    return source._replace(labels=tuple(labels))


@rule("squeeze")
def squeeze(args: Any, kwargs: Any, out: Any) -> Field:
    x = args[0]
    dims = given(args, 1, list(range(x.dim())))
    gone = {dim % x.dim() for dim in ([dims] if isinstance(dims, int) else dims)}
    source = source_of(args)
    kept = [dim for dim in range(x.dim()) if dim not in gone or x.shape[dim] != 1]
    return source._replace(labels=tuple(source.labels[dim] for dim in kept))


@rule("expand")
def expand(args: Any, kwargs: Any, out: Any) -> Field:
    source = source_of(args)
    return source._replace(labels=(None,) * (out.dim() - len(source.labels)) + source.labels)


@rule("clone", "detach", "alias", "_to_copy", "lift_fresh", "contiguous", "native_dropout", "channel_shuffle")
def same(args: Any, kwargs: Any, out: Any) -> Field:
    return source_of(args)


def moved(source: Field, dim: int, first: int, step: int = 1) -> Field:
    """From position ``first`` on, every ``step``-th position along a dimension."""
    label = source.labels[dim]
    if isinstance(label, tuple):
        return mix(source, source.labels, axes_in(label))
    if label is None:
        return source
    axes = list(source.axes)
    axes[label] = axes[label].shift(first).window(1, step)
    return Field(source.labels, tuple(axes), source.aligned)


@rule("slice")
def cut_out(args: Any, kwargs: Any, out: Any) -> Field:
    size = args[0].shape[given(args, 1, 0)]
    first = given(args, 2, 0) or 0
    first = max(0, first + size) if first < 0 else min(first, size)
    return moved(source_of(args), given(args, 1, 0), first, given(args, 4, 1))


@rule("select")
def select(args: Any, kwargs: Any, out: Any) -> Field:
    x, dim, position = args[:3]
    field = moved(source_of(args), dim, position % x.shape[dim])
    labels = list(field.labels)
    del labels[dim]
    return field._replace(labels=tuple(labels))


@rule("split", "split_with_sizes", "unsafe_split", "chunk")
def split(args: Any, kwargs: Any, out: Any) -> Field:
    dim, sizes, index = given(args, 2, 0), args[1], kwargs["index"]
    first = sum(sizes[:index]) if isinstance(sizes, list | tuple) else sizes * index
    return moved(source_of(args), dim, first)


@rule("unbind")
def unbind(args: Any, kwargs: Any, out: Any) -> Field:
    dim = given(args, 1, 0)
    field = moved(source_of(args), dim, kwargs["index"])
    labels = list(field.labels)
    del labels[dim]
    return field._replace(labels=tuple(labels))


@rule("index")
def index(args: Any, kwargs: Any, out: Any) -> Field:
    x, indices = args[:2]
    chosen = [dim for dim, indexed in enumerate(indices) if indexed is not None]
    source = source_of(args) if field_of(x) is not None else None
    if source is None or out.dim() != x.dim() or any(source.labels[dim] is not None for dim in chosen):
        return unknown_rule(args, kwargs, out)
    return source
