"""How views carry the field, there and back: dimensions move, fold, unfold, are cut out or come back."""

from fractions import Fraction
from typing import Any

from torch import Tensor

from .field import Digit, Field, Label, axes_in, mix, plain
from .fold import consume, holders, refold, settle
from .propagate import meet
from .tracked import back, field_of, fields_in, given, rule, source_of, unknown


@rule("view", "_unsafe_view", "reshape", "_reshape_alias")
def view(args: Any, kwargs: Any, out: Any) -> Field:
    return refold(source_of(args), tuple(args[0].shape), tuple(out.shape))


@back("view", "_reshape_alias")
def view_back(field: Field, before: Field | None, args: Any, index: int, tensor: Tensor) -> Field:
    return refold(field, tuple(tensor.shape), tuple(args[0].shape))


@rule("permute")
def permute(args: Any, kwargs: Any, out: Any) -> Field:
    source = source_of(args)
    return source._replace(labels=tuple(source.labels[dim] for dim in args[1]))


@back("permute")
def permute_back(field: Field, before: Field | None, args: Any, index: int, tensor: Tensor) -> Field:
    places = [dim % tensor.dim() for dim in args[1]]
    return field._replace(labels=tuple(field.labels[places.index(dim)] for dim in range(tensor.dim())))


@rule("transpose", "t")
def transpose(args: Any, kwargs: Any, out: Any) -> Field:
    return swapped(source_of(args), args)


@back("transpose", "t")
def transpose_back(field: Field, before: Field | None, args: Any, index: int, tensor: Tensor) -> Field:
    return swapped(field, args)


def swapped(field: Field, args: Any) -> Field:
    labels = list(field.labels)
    if len(labels) > 1:
        a, b = args[1:3] if len(args) == 3 else (0, 1)
        labels[a], labels[b] = labels[b], labels[a]
    return field._replace(labels=tuple(labels))


@rule("unsqueeze")
def unsqueeze(args: Any, kwargs: Any, out: Any) -> Field:
    return with_dim(source_of(args), args[1] % out.dim(), None)


@back("unsqueeze")
def unsqueeze_back(field: Field, before: Field | None, args: Any, index: int, tensor: Tensor) -> Field:
    return without_dim(field, args[1] % tensor.dim())


def with_dim(field: Field, dim: int, label: Label) -> Field:
    return field._replace(labels=(*field.labels[:dim], label, *field.labels[dim:]))


def without_dim(field: Field, dim: int) -> Field:
    return settle(field._replace(labels=(*field.labels[:dim], *field.labels[dim + 1 :])))


def squeezed(args: Any) -> list[int]:
    """The dimensions that a squeeze leaves."""
    x = args[0]
    dims = given(args, 1, list(range(x.dim())))
    gone = {dim % x.dim() for dim in ([dims] if isinstance(dims, int) else dims)} if x.dim() else set[int]()
    return [dim for dim in range(x.dim()) if dim not in gone or x.shape[dim] != 1]


@rule("squeeze")
def squeeze(args: Any, kwargs: Any, out: Any) -> Field:
    source = source_of(args)
    return source._replace(labels=tuple(source.labels[dim] for dim in squeezed(args)))


@back("squeeze")
def squeeze_back(field: Field, before: Field | None, args: Any, index: int, tensor: Tensor) -> Field:
    labels: list[Label] = [None] * args[0].dim()
    for place, dim in enumerate(squeezed(args)):
        labels[dim] = field.labels[place]
    return field._replace(labels=tuple(labels))


@rule("as_strided")
def as_strided(args: Any, kwargs: Any, out: Any) -> Field:
    """A layout of its own: known where it only says how dimensions of one position are laid out."""
    x, sizes, strides = args[:3]
    steps = [(size, a) for size, a in zip(x.shape, x.stride(), strict=True) if size > 1]
    if tuple(sizes) == tuple(x.shape) and steps == [
        (size, a) for size, a in zip(sizes, strides, strict=True) if size > 1
    ]:
        return source_of(args)
    return unknown(args, kwargs, out)


@rule("view_as_real")
def view_as_real(args: Any, kwargs: Any, out: Any) -> Field:
    return with_dim(source_of(args), out.dim() - 1, None)


@rule("view_as_complex")
def view_as_complex(args: Any, kwargs: Any, out: Any) -> Field:
    return without_dim(source_of(args), out.dim())


@rule("diagonal")
def diagonal(args: Any, kwargs: Any, out: Any) -> Field:
    source = consume(source_of(args), dims := {dim % args[0].dim() for dim in (given(args, 2, 0), given(args, 3, 1))})
    return source._replace(labels=(*(label for dim, label in enumerate(source.labels) if dim not in dims), None))


@rule("expand", "broadcast_in_dim")
def expand(args: Any, kwargs: Any, out: Any) -> Field:
    x, source = args[0], source_of(args)
    new = out.dim() - x.dim()
    # A single position that is spread out does not move along with its copies.
    kept = [
        label if size == out.shape[new + dim] else None
        for dim, (size, label) in enumerate(zip(x.shape, source.labels, strict=True))
    ]
    return source._replace(labels=((None,) * new + tuple(kept)))


@rule(
    *("clone", "detach", "alias", "to", "_to_copy", "lift_fresh", "contiguous", "native_dropout", "channel_shuffle"),
    *("tril", "triu", "bernoulli", "_conj", "bucketize", "rrelu_with_noise", "rrelu_with_noise_functional"),
)
def same(args: Any, kwargs: Any, out: Any) -> Field:
    """Elementwise, or nearly so, though PyTorch has neither tag nor decomposition that says it."""
    return source_of(args)


@back("detach", "alias", "lift_fresh")
def same_back(field: Field, before: Field | None, args: Any, index: int, tensor: Tensor) -> Field:
    return field


@rule("copy")
def copy(args: Any, kwargs: Any, out: Any) -> Field | None:
    """Values written over others; a map that is laid on beyond its own border, as circular padding does, is padding."""
    target, values = args[:2]
    if isinstance(values, Tensor) and values.untyped_storage()._cdata == target.untyped_storage()._cdata:  # pyright: ignore
        return field_of(target)
    sources = fields_in((values,))
    return meet([*sources], tuple(out.shape)) if sources else None


def moved(source: Field, dim: int, first: int, step: int = 1, size: int = 0) -> Field:
    """From position ``first`` on, every ``step``-th position along a dimension."""
    label = source.labels[dim]
    if label is None:
        return source
    axes = list(source.axes)
    if isinstance(label, int):
        axes[label] = axes[label].shift(first).window(1, step)
        return source._replace(axes=tuple(axes))
    digits: list[Digit] = list(label)
    axis, digit_step = digits[0].axis, digits[0].step
    if len(digits) > 1 or axis is None:
        return mix(source, (*source.labels[:dim], None, *source.labels[dim + 1 :]), axes_in(label))
    axes[axis] = axes[axis].shift(plain(Fraction(first) * digit_step))
    labels = list(source.labels)
    labels[dim] = (Digit(size, axis, plain(Fraction(digit_step) * step)),) if size > 1 else None
    return settle(Field(tuple(labels), tuple(axes), source.aligned))


def start_of(args: Any) -> int:
    """Where a slice starts, counted from the front."""
    size, first = args[0].shape[given(args, 1, 0)], given(args, 2, 0) or 0
    return int(max(0, first + size) if first < 0 else min(first, size))


@rule("slice")
def cut_out(args: Any, kwargs: Any, out: Any) -> Field:
    dim = given(args, 1, 0) % args[0].dim()
    return moved(source_of(args), dim, start_of(args), given(args, 4, 1), out.shape[dim])


@back("slice")
def slice_back(field: Field, before: Field | None, args: Any, index: int, tensor: Tensor) -> Field:
    return put_in(field, before, given(args, 1, 0) % tensor.dim(), start_of(args), given(args, 4, 1))


def put_in(field: Field, before: Field | None, dim: int, first: int, step: int = 1) -> Field:
    """The field of a part, counted from the start of the whole that it was written into."""
    label = field.labels[dim]
    if not isinstance(label, int):
        return field if label is None else mix(field, field.labels, axes_in(label))
    axes = list(field.axes)
    axis = axes[label]
    axes[label] = axis.window(1, Fraction(1, step)) if step > 1 else axis
    axes[label] = axes[label].shift(-first)
    return field._replace(axes=tuple(axes))


@rule("select")
def select(args: Any, kwargs: Any, out: Any) -> Field:
    x, dim, position = args[:3]
    dim %= x.dim()
    return without_dim(moved(source_of(args), dim, position % x.shape[dim]), dim)


@back("select")
def select_back(field: Field, before: Field | None, args: Any, index: int, tensor: Tensor) -> Field:
    x, dim, position = args[:3]
    return slot_back(field, before, dim % x.dim(), position % x.shape[dim])


def slot_back(field: Field, before: Field | None, dim: int, position: int) -> Field:
    """One position written into a dimension: along the axis that it was taken out of, if there is just one."""
    if before is not None:
        label = before.labels[dim]
    else:
        missing = [axis for axis in range(len(field.axes)) if not holders(field.labels, axis)]
        label = missing[0] if len(missing) == 1 else None
    placed = with_dim(field, dim, label)
    return placed if label is None else put_in(placed, before, dim, position)


def split_start(args: Any, index: int) -> int:
    sizes = args[1]
    return sum(sizes[:index]) if isinstance(sizes, list | tuple) else sizes * index


@rule("split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes")
def split(args: Any, kwargs: Any, out: Any) -> Field:
    dim = given(args, 2, 0) % args[0].dim()
    return moved(source_of(args), dim, split_start(args, kwargs["index"]), 1, out.shape[dim])


@back("split", "split_with_sizes")
def split_back(field: Field, before: Field | None, args: Any, index: int, tensor: Tensor) -> Field:
    return put_in(field, before, given(args, 2, 0) % tensor.dim(), split_start(args, index))


@rule("unbind")
def unbind(args: Any, kwargs: Any, out: Any) -> Field:
    dim = given(args, 1, 0) % args[0].dim()
    return without_dim(moved(source_of(args), dim, kwargs["index"]), dim)


@back("unbind")
def unbind_back(field: Field, before: Field | None, args: Any, index: int, tensor: Tensor) -> Field:
    return slot_back(field, before, given(args, 1, 0) % args[0].dim(), index)
