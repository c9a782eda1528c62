"""How each operation of PyTorch carries the field of its inputs to its output.

A rule takes the op's name, its arguments and the output's shape. What has no rule is taken to see all of the input.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from torch import Tensor

from .field import Axis, Field, Label, axes_in, input_field, join, mix

Rule = Callable[[Any, Any, Any], Field]

RULES: dict[str, Rule] = {}


def field_of(tensor: Any) -> Field | None:
    """The field that a tensor carries; None where it does not come from the input."""
    return getattr(tensor, "_smallnets_field", None)


def set_field(tensor: Any, field: Field) -> None:
    tensor._smallnets_field = field


def start_field(tensor: Tensor) -> None:
    """Mark a tensor as an input."""
    set_field(tensor, input_field(tensor.dim()))


def rule(*names: str) -> Callable[[Rule], Rule]:
    def add(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return add


def propagate(op: str, pointwise: bool, args: Any, kwargs: Any, out: Any) -> None:
    """Give the outputs of an op their fields, if one of its inputs has one."""
    sources = [tensor for tensor in tensors_in(args) if field_of(tensor) is not None]
    if not sources:
        return
    outputs = tensors_in(out if isinstance(out, tuple | list) else (out,))
    name = op.rstrip("_") if pointwise else op
    chosen = RULES.get(name) or (pointwise_rule if pointwise else unknown_rule)
    for index, output in enumerate(outputs):
        field = chosen(args, {**kwargs, "index": index, "op": name}, output)
        set_field(output, field)


def tensors_in(values: Any) -> list[Tensor]:
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, tuple | list):
            found += tensors_in(value)
    return found


def given(args: Any, place: int, default: Any) -> Any:
    """A positional argument, or its default where the call left it out."""
    return args[place] if len(args) > place else default


def replace_axes(field: Field, dims: list[int], change: Callable[[int, Axis], Axis], narrow: bool) -> Field:
    """Apply ``change(place, axis)`` to the axes that lie along ``dims``; ``narrow`` if nothing is mixed by it."""
    axes = list(field.axes)
    mixed: set[int] = set()
    for place, dim in enumerate(dims):
        label = field.labels[dim]
        if isinstance(label, int):
            axes[label] = change(place, axes[label])
        elif not narrow:
            mixed |= axes_in(label)
    return mix(Field(field.labels, tuple(axes), field.aligned), field.labels, mixed)


def spread(values: Any, count: int) -> list[int]:
    """One value for each dimension."""
    values = list(values)
    return values * count if len(values) == 1 else values


@rule("convolution")
def convolution(args: Any, kwargs: Any, out: Any) -> Field:
    x, weight, _, stride, padding, dilation, transposed = args[:7]
    source = field_of(x)
    count = weight.dim() - 2
    if source is None:  # only the weights come from the input
        return unknown_rule(args, kwargs, out)
    kernel, stride, padding, dilation = (spread(v, count) for v in (weight.shape[2:], stride, padding, dilation))

    def change(place: int, axis: Axis) -> Axis:
        k, s, p, d = kernel[place], stride[place], padding[place], dilation[place]
        return axis.transposed(k, s, p, d) if transposed else axis.window(d * (k - 1) + 1, s, p)

    field = replace_axes(source, list(range(x.dim() - count, x.dim())), change, all(k == 1 for k in kernel))
    return mix(field, field.labels, axes_in(source.labels[x.dim() - count - 1]))


def pool(count: int) -> Rule:
    def carry(args: Any, kwargs: Any, out: Any) -> Field:
        x = args[0]
        kernel = spread(args[1], count)
        stride = spread(given(args, 2, ()) or kernel, count)
        padding = spread(given(args, 3, (0,)), count)
        dilation = spread(given(args, 4, (1,)), count) if kwargs["op"].startswith("max") else [1] * count

        def change(place: int, axis: Axis) -> Axis:
            return axis.window(dilation[place] * (kernel[place] - 1) + 1, stride[place], padding[place])

        source = field_of(x)
        assert source is not None
        return replace_axes(source, list(range(x.dim() - count, x.dim())), change, all(k == 1 for k in kernel))

    return carry


for _count in (1, 2, 3):
    rule(f"avg_pool{_count}d", f"max_pool{_count}d", f"max_pool{_count}d_with_indices")(pool(_count))


@rule("_adaptive_avg_pool2d", "adaptive_max_pool2d", "_adaptive_avg_pool3d", "adaptive_max_pool3d")
def adaptive_pool(args: Any, kwargs: Any, out: Any) -> Field:
    x, output = args[:2]
    source = field_of(x)
    assert source is not None
    dims = list(range(x.dim() - len(output), x.dim()))

    def change(place: int, axis: Axis) -> Axis:
        if output[place] == 1:  # a global pool sees the input's rest too, as the field's literature has it
            return axis._replace(whole=True)
        return axis.adaptive(x.shape[dims[place]], output[place])

    return replace_axes(source, dims, change, narrow=False)


@rule("constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "replication_pad1d", "replication_pad2d")
def pad(args: Any, kwargs: Any, out: Any) -> Field:
    x, amounts = args[:2]
    source = field_of(x)
    assert source is not None
    count = len(amounts) // 2
    dims = [x.dim() - 1 - place for place in range(count)]
    return replace_axes(source, dims, lambda place, axis: axis.shift(-amounts[2 * place]), narrow=True)


def interpolation(neighbours: int) -> Rule:
    def carry(args: Any, kwargs: Any, out: Any) -> Field:
        x = args[0]
        source = field_of(x)
        assert source is not None
        dims = list(range(2, x.dim()))
        corners = neighbours > 1 and bool(args[2])

        def change(place: int, axis: Axis) -> Axis:
            old, new = x.shape[dims[place]], out.shape[dims[place]]
            if corners:
                return axis.upsampled(Fraction(old - 1, max(1, new - 1)), neighbours, aligned_corners=True)
            return axis.upsampled(Fraction(old, new), neighbours)

        return replace_axes(source, dims, change, narrow=False)

    return carry


rule("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "_upsample_nearest_exact2d")(interpolation(1))
rule("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d")(interpolation(2))
rule("upsample_bicubic2d")(interpolation(4))


@rule("pixel_shuffle")
def pixel_shuffle(args: Any, kwargs: Any, out: Any) -> Field:
    source = field_of(args[0])
    assert source is not None
    return replace_axes(source, [-2, -1], lambda _, axis: axis.window(1, Fraction(1, args[1])), narrow=False)


@rule("pixel_unshuffle")
def pixel_unshuffle(args: Any, kwargs: Any, out: Any) -> Field:
    source = field_of(args[0])
    assert source is not None
    return replace_axes(source, [-2, -1], lambda _, axis: axis.window(args[1], args[1]), narrow=False)


def pointwise_rule(args: Any, kwargs: Any, out: Any) -> Field:
    """Branches meet element by element, broadcast as PyTorch does."""
    sources = [(tensor, field) for tensor in tensors_in(args) if (field := field_of(tensor)) is not None]
    labels: list[Label] = [None] * out.dim()
    clash: set[int] = set()
    for tensor, field in sources:
        for place in range(1, tensor.dim() + 1):
            label = field.labels[-place]
            if label is None or labels[-place] == label:
                continue
            if labels[-place] is not None:
                clash |= axes_in(label) | axes_in(labels[-place])
            labels[-place] = label
    joined = join([field for _, field in sources], tuple(labels))
    return mix(joined, joined.labels, clash)


@rule("cat", "stack")
def concatenate(args: Any, kwargs: Any, out: Any) -> Field:
    fields = [field for tensor in tensors_in(args) if (field := field_of(tensor)) is not None]
    dim = given(args, 1, kwargs.get("dim", 0)) % out.dim()
    labels = list(fields[0].labels)
    if kwargs["op"] == "stack":
        labels.insert(dim, None)
    joined = join(fields, tuple(labels))
    # Laid end to end along an axis, positions are no longer evenly spaced.
    return mix(joined, joined.labels, axes_in(labels[dim]))


@rule("native_batch_norm", "cudnn_batch_norm", "_native_batch_norm_legit_no_training")
def batch_norm(args: Any, kwargs: Any, out: Any) -> Field:
    source = field_of(args[0])
    assert source is not None
    if kwargs["index"]:
        return reduced(source, out)
    # Without running statistics the mean and the variance are taken over the map at hand.
    mixed = set(range(len(source.axes))) if args[5] is True else set[int]()
    return mix(source, source.labels, mixed)


@rule("native_layer_norm")
def layer_norm(args: Any, kwargs: Any, out: Any) -> Field:
    source = field_of(args[0])
    assert source is not None
    if kwargs["index"]:
        return reduced(source, out)
    mixed = {axis for label in source.labels[-len(args[1]) :] for axis in axes_in(label)}
    return mix(source, source.labels, mixed)


@rule("native_group_norm")
def group_norm(args: Any, kwargs: Any, out: Any) -> Field:
    source = field_of(args[0])
    assert source is not None
    if kwargs["index"]:
        return reduced(source, out)
    return mix(source, source.labels, set(range(len(source.axes))))


def reduced(source: Field, out: Any) -> Field:
    """Statistics of a whole map."""
    return mix(source, (None,) * out.dim(), set(range(len(source.axes))))


@rule("mean", "sum", "amax", "amin", "var", "std", "max", "min", "norm", "linalg_vector_norm", "prod", "argmax")
def reduction(args: Any, kwargs: Any, out: Any) -> Field:
    source = field_of(args[0])
    assert source is not None
    rank = args[0].dim()
    dims = given(args, 1, kwargs.get("dim"))
    if kwargs["op"] == "linalg_vector_norm":
        dims = given(args, 2, kwargs.get("dim"))
    dims = range(rank) if dims is None or dims == [] else [dims] if isinstance(dims, int) else dims
    gone = {dim % rank for dim in dims} if rank else set[int]()
    labels = [label for dim, label in enumerate(source.labels) if dim not in gone]
    if out.dim() == rank:
        labels = [None if dim in gone else label for dim, label in enumerate(source.labels)]
    mixed = {axis for dim in gone for axis in axes_in(source.labels[dim])}
    return mix(source, tuple(labels), mixed)


@rule("_softmax", "_safe_softmax", "_log_softmax", "cumsum", "sort", "flip", "roll")
def along_one_dim(args: Any, kwargs: Any, out: Any) -> Field:
    source = field_of(args[0])
    assert source is not None
    dims = args[-1] if kwargs["op"] in ("flip", "roll") else given(args, 1, -1)
    dims = [dims] if isinstance(dims, int) else dims
    return mix(source, source.labels, {axis for dim in dims for axis in axes_in(source.labels[dim])})


@rule("mm", "bmm", "mv", "addmm", "baddbmm")
def matrix_product(args: Any, kwargs: Any, out: Any) -> Field:
    a, b = args[1:3] if kwargs["op"] in ("addmm", "baddbmm") else args[:2]
    left, right = field_of(a), field_of(b)
    if left is not None and right is not None:  # attention: which positions meet depends on the picture
        return mix(left, (*left.labels[:-1], None)[: out.dim()], set(range(len(left.axes))))
    if left is not None:
        labels = (*left.labels[:-1], None)[: out.dim()]
        return mix(left, labels, axes_in(left.labels[-1]))
    if right is not None:
        labels = (*right.labels[:-2], None, right.labels[-1])
        return mix(right, labels, axes_in(right.labels[-2]))
    return unknown_rule(args, kwargs, out)


def unknown_rule(args: Any, kwargs: Any, out: Any) -> Field:
    """Nothing is known: the output may see all of the input."""
    sources = [(tensor, field) for tensor in tensors_in(args) if (field := field_of(tensor)) is not None]
    for tensor, field in sources:
        if tensor.shape == out.shape:
            return mix(field, field.labels, set(range(len(field.axes))))
    field = sources[0][1]
    return mix(field, (None,) * out.dim(), set(range(len(field.axes))))
