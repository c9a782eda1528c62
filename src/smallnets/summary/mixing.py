"""How what is summed or compared along dimensions carries the field: reductions, norms, products, joins."""

from itertools import pairwise
from typing import Any

from .field import Digit, Field, Label, axes_in, everything, join, mix
from .fold import consume, mixed_along, settle, through
from .propagate import meet, smoothed
from .tracked import field_of, fields_in, given, rule, source_of, unknown


@rule("cat", "stack")
def concatenate(args: Any, kwargs: Any, out: Any) -> Field:
    tensors = [tensor for tensor in args[0] if tensor.dim() and tensor.shape != (0,)]
    pieces = [(tensor, field) for tensor in tensors if (field := field_of(tensor)) is not None]
    if len({field.labels for _, field in pieces}) > 1:
        pieces = [(tensor, smoothed(field)) for tensor, field in pieces]
    fields = [field for _, field in pieces]
    dim = given(args, 1, kwargs.get("dim", 0)) % out.dim()
    stacked = kwargs["op"] == "stack"
    labels = list(max((field.labels for field in fields), key=lambda found: sum(label is not None for label in found)))
    if stacked:
        labels.insert(dim, None)
    if len(fields) == len(tensors) and (strung := in_a_row(fields, labels, dim, stacked, pieces)) is not None:
        return strung
    clash = {axis for field in fields for axis in placed(labels) - placed(field.labels)}
    joined = join(fields, tuple(labels))
    # Laid end to end along an axis, positions are no longer evenly spaced. Tokens keep theirs beside a class token.
    along_axis = axes_in(labels[dim]) if isinstance(labels[dim], int) else set[int]()
    return mix(joined, joined.labels, along_axis | clash)


def placed(labels: Any) -> set[int]:
    return {axis for label in labels for axis in axes_in(label)}


def in_a_row(fields: list[Field], labels: list[Label], dim: int, stacked: bool, pieces: Any) -> Field | None:
    """Positions that were taken out one by one and laid side by side again: an axis, if they are evenly spaced."""
    first, *others = fields
    single = stacked or all(tensor.shape[dim] == 1 for tensor, _ in pieces)
    if not others or not single or labels[dim] is not None or any(field.labels != first.labels for field in others):
        return None
    for axis in set(range(len(first.axes))) - placed(first.labels):
        starts = [field.axes[axis].start for field in fields]
        sizes = {field.axes[axis].size for field in fields}
        if len(set(starts)) == 1 and len(sizes) == 1:
            continue
        labels[dim] = axis
        seen = join(fields, tuple(labels))
        steps = {b - a for a, b in pairwise(starts)}
        even = len(sizes) == 1 and len(steps) == 1 and min(steps) > 0
        axes = list(seen.axes)
        if even:
            axes[axis] = first.axes[axis]._replace(jump=steps.pop())
        else:
            axes[axis] = axes[axis]._replace(whole=True)
        return seen._replace(axes=tuple(axes))
    return None


@rule(
    *("native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm", "_native_batch_norm_legit_no_training"),
    *("_native_batch_norm_legit", "_batch_norm_with_update", "_batch_norm_no_update"),
    mixes=True,
)
def batch_norm(args: Any, kwargs: Any, out: Any) -> Field:
    source = source_of(args)
    if kwargs["index"]:
        return everything(source, (None,) * out.dim())
    # Without running statistics the mean and the variance are taken over the map at hand.
    return everything(source) if given(args, 5, None) is True or given(args, 3, None) is True else source


@rule("native_layer_norm", "_fused_rms_norm", mixes=True)
def layer_norm(args: Any, kwargs: Any, out: Any) -> Field:
    source, rank = source_of(args), args[0].dim()
    if kwargs["index"]:
        return everything(source, (None,) * out.dim())
    return mixed_along(source, range(rank - len(args[1]), rank))


@rule("native_group_norm", mixes=True)
def group_norm(args: Any, kwargs: Any, out: Any) -> Field:
    return everything(source_of(args), (None,) * out.dim() if kwargs["index"] else None)


def dims_of(op: str, args: Any, kwargs: Any, rank: int) -> list[int]:
    """The dimensions that an op names; all of them where it names none."""
    place = 2 if op in ("linalg_vector_norm", "norm", "kthvalue", "topk", "quantile") else 1
    dims = given(args, place, kwargs.get("dim"))
    if dims is None or dims == [] or isinstance(dims, bool):
        return list(range(rank))
    return [dim % rank for dim in ([dims] if isinstance(dims, int) else dims)] if rank else []


@rule(
    *("mean", "sum", "nansum", "nanmean", "amax", "amin", "aminmax", "max", "min", "argmax", "argmin", "prod"),
    *("var", "std", "var_mean", "std_mean", "norm", "linalg_vector_norm", "logsumexp", "any", "all", "count_nonzero"),
    *("median", "nanmedian", "mode", "kthvalue"),
    mixes=True,
)
def reduction(args: Any, kwargs: Any, out: Any) -> Field:
    source, rank = source_of(args), args[0].dim()
    if kwargs["op"] in ("max", "min") and len(args) > 1 and not isinstance(args[1], int):
        return meet(fields_in(args), tuple(out.shape))
    default = rank - 1 if kwargs["op"] in ("median", "mode", "kthvalue", "nanmedian") and rank > out.dim() > 0 else None
    dims = dims_of(kwargs["op"], args, kwargs, rank)
    if default is not None and len(dims) == rank and rank - out.dim() == 1:
        dims = [default]
    seen = consume(source, dims)
    if out.dim() == rank:
        return seen
    return seen._replace(labels=tuple(label for dim, label in enumerate(seen.labels) if dim not in dims))


@rule(
    *("_softmax", "_safe_softmax", "_log_softmax", "softmax", "log_softmax", "cumsum", "cumprod", "cummax", "cummin"),
    *("logcumsumexp", "sort", "argsort", "topk", "renorm", "linalg_cross"),
    mixes=True,
)
def along_some_dims(args: Any, kwargs: Any, out: Any) -> Field:
    """Softmax and its like: each position comes to depend on all the others along the dimensions."""
    rank = args[0].dim()
    if kwargs["op"] == "renorm":  # by the norm over all the other dimensions
        return mixed_along(source_of(args), range(rank))
    if kwargs["op"] in ("sort", "argsort", "topk"):
        found = [value for value in args[1:] if isinstance(value, int) and not isinstance(value, bool)]
        place = 1 if kwargs["op"] == "topk" else 0
        dims = kwargs.get("dim", found[place] if len(found) > place else -1)
    else:
        dims = given(args, 1, kwargs.get("dim", -1)) if kwargs["op"] != "linalg_cross" else kwargs.get("dim", -1)
    dims = [dims] if isinstance(dims, int) else dims
    return mixed_along(source_of(args), [dim % rank for dim in dims] if rank else [])


@rule("flip")
def flip(args: Any, kwargs: Any, out: Any) -> Field:
    """Positions counted backwards have no window that moves along with them."""
    return mixed_along(source_of(args), [dim % args[0].dim() for dim in args[1]])


@rule("roll")
def roll(args: Any, kwargs: Any, out: Any) -> Field:
    """What leaves at one end comes back at the other."""
    rank, source = args[0].dim(), source_of(args)
    dims = given(args, 2, kwargs.get("dims", [])) or list(range(rank))
    dims = [dims] if isinstance(dims, int) else dims
    shifts = spread_shifts(args[1], len(dims))
    moved = [dim % rank for dim, shift in zip(dims, shifts, strict=False) if shift % args[0].shape[dim]]
    return mixed_along(source, moved)


def spread_shifts(shifts: Any, count: int) -> list[int]:
    shifts = [shifts] if isinstance(shifts, int) else list(shifts)
    return shifts * count if len(shifts) == 1 else shifts


@rule("_fft_r2c", "_fft_c2r", "_fft_c2c", mixes=True)
def fourier(args: Any, kwargs: Any, out: Any) -> Field:
    rank = args[0].dim()
    return mixed_along(source_of(args), [dim % rank for dim in args[1]])


@rule("mm", "bmm", "mv", "addmm", "baddbmm", "addmv", "dot", "vdot", "addbmm", "addr", mixes=True)
def matrix_product(args: Any, kwargs: Any, out: Any) -> Field:
    a, b = args[1:3] if kwargs["op"].startswith("add") or kwargs["op"] == "baddbmm" else args[:2]
    left, right = field_of(a), field_of(b)
    added = field_of(args[0]) if kwargs["op"].startswith("add") or kwargs["op"] == "baddbmm" else None
    if left is not None and right is not None:  # attention: which positions meet depends on the picture
        return everything(left, ((*left.labels[:-1], None)[: out.dim()]))
    if left is None and right is None:
        return unknown(args, kwargs, out)
    if left is not None:
        seen = through(left, a.dim() - 1, a.shape[-1], b.shape[-1] if b.dim() > 1 else 0)
        kept = seen.labels[-1:] if b.dim() > 1 else ()
        found = seen._replace(labels=(*seen.labels[:-1], *kept)[: out.dim()])
    else:
        assert right is not None
        place = max(0, b.dim() - 2)
        found = through(right, place, b.shape[place], a.shape[-2] if a.dim() > 1 else 0)
        if out.dim() < b.dim():
            found = found._replace(labels=(*found.labels[:place], *found.labels[place + 1 :]))
    return found if added is None else meet([(args[0], added), (out, found)], tuple(out.shape))


@rule(
    *("_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention"),
    *("_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention"),
    *("_scaled_dot_product_fused_attention_overrideable", "_scaled_dot_product_attention_math"),
    mixes=True,
)
def attention(args: Any, kwargs: Any, out: Any) -> Field:
    field = source_of(args)
    return everything(field, (*field.labels[: out.dim() - 1], None) if out.dim() else ())


@rule("gather", "scatter", "scatter_add", "scatter_reduce", "index_add", "index_copy", "index_fill", "take_along_dim")
def picked(args: Any, kwargs: Any, out: Any) -> Field:
    """Positions along one dimension are picked by number: any of them may be."""
    sources = [(x, field) for x, field in fields_in(args) if x.dim() == out.dim()]
    if not sources:
        return unknown(args, kwargs, out)
    seen = meet([(out, field) for _, field in sources], tuple(out.shape))
    return mixed_along(seen, [args[1] % out.dim()])


@rule("repeat")
def repeat(args: Any, kwargs: Any, out: Any) -> Field:
    """Copies laid end to end."""
    x, times = args[0], list(args[1])
    source = source_of(args)
    new = len(times) - x.dim()
    labels: list[Label] = [None] * new
    for size, label, count in zip(x.shape, source.labels, times[new:], strict=True):
        if label is None or count == 1:
            labels.append(label)
        else:
            inner = label if isinstance(label, tuple) else (Digit(size, label),)
            labels.append((Digit(count, None), *inner) if size > 1 else None)
    return settle(source._replace(labels=tuple(labels)))
