"""How windows that slide carry the field: convolutions, pools, paddings, interpolations."""

from fractions import Fraction
from typing import Any

from .field import Axis, Digit, Field
from .fold import along, consume, settle, stretched, through
from .tracked import Rule, field_of, given, rule, source_of, spread, unknown


@rule("convolution", mixes=True)
def convolution(args: Any, kwargs: Any, out: Any) -> Field:
    x, weight, _, stride, padding, dilation, transposed = args[:7]
    source = field_of(x)
    if source is None or field_of(weight) is not None:  # the weights come from the input
        return unknown(args, kwargs, out)
    count = weight.dim() - 2
    kernel, stride, padding, dilation = (spread(v, count) for v in (weight.shape[2:], stride, padding, dilation))

    def change(place: int, axis: Axis) -> Axis:
        k, s, p, d = kernel[place], stride[place], padding[place], dilation[place]
        return axis.transposed(k, s, p, d) if transposed else axis.window(d * (k - 1) + 1, s, p)

    # A depthwise kernel looks at one channel alone.
    depthwise = weight.shape[1] == 1 and not transposed and out.shape[-count - 1] == x.shape[-count - 1]
    channels = x.dim() - count - 1
    field = source if depthwise else through(source, channels, x.shape[channels], out.shape[channels])
    narrow = all(k == 1 for k in kernel) and all(s == 1 for s in stride)
    return along(field, last(x, count), tuple(out.shape), change, narrow)


def last(x: Any, count: int) -> list[int]:
    """The last dimensions."""
    return list(range(x.dim() - count, x.dim()))


def pool(count: int) -> Rule:
    def carry(args: Any, kwargs: Any, out: Any) -> Field:
        x = args[0]
        kernel = spread(args[1], count)
        stride = spread(given(args, 2, ()) or kernel, count)
        padding = spread(given(args, 3, (0,)), count)
        dilation = spread(given(args, 4, (1,)), count) if kwargs["op"].startswith("max") else [1] * count

        def change(place: int, axis: Axis) -> Axis:
            return axis.window(dilation[place] * (kernel[place] - 1) + 1, stride[place], padding[place])

        narrow = all(k == 1 for k in kernel) and all(s == 1 for s in stride)
        return along(source_of(args), last(x, count), tuple(out.shape), change, narrow)

    return carry


for _count in (1, 2, 3):
    rule(f"avg_pool{_count}d", f"max_pool{_count}d", f"max_pool{_count}d_with_indices")(pool(_count))


@rule("_adaptive_avg_pool2d", "adaptive_max_pool2d", "_adaptive_avg_pool3d", "adaptive_max_pool3d", mixes=True)
def adaptive_pool(args: Any, kwargs: Any, out: Any) -> Field:
    x, output = args[:2]
    dims = last(x, len(output))

    def change(place: int, axis: Axis) -> Axis:
        if output[place] == 1:  # a global pool sees the input's rest too, as the field's literature has it
            return axis._replace(whole=True)
        return axis.adaptive(x.shape[dims[place]], output[place])

    return along(source_of(args), dims, tuple(out.shape), change, narrow=False)


@rule("fractional_max_pool2d", "fractional_max_pool3d")
def fractional_pool(args: Any, kwargs: Any, out: Any) -> Field:
    x, kernel, output = args[:3]
    dims = last(x, len(output))

    def change(place: int, axis: Axis) -> Axis:  # where a window starts is drawn, one step around an even spacing
        jump = Fraction(x.shape[dims[place]], output[place])
        return axis.window(kernel[place] + 2 * -(-jump // 1), jump, -(-jump // 1))

    return along(source_of(args), dims, tuple(out.shape), change, narrow=False)


@rule(
    *("constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d"),
    *("replication_pad1d", "replication_pad2d", "replication_pad3d"),
)
def pad(args: Any, kwargs: Any, out: Any) -> Field:
    x, amounts = args[:2]
    dims = [x.dim() - 1 - place for place in range(len(amounts) // 2)]
    narrow = not any(amounts)
    return along(source_of(args), dims, tuple(out.shape), lambda place, axis: axis.shift(-amounts[2 * place]), narrow)


def interpolation(neighbours: int) -> Rule:
    def carry(args: Any, kwargs: Any, out: Any) -> Field:
        x = args[0]
        dims = list(range(2, x.dim()))
        corners = neighbours > 1 and bool(args[2])
        antialias = "_aa" in kwargs["op"]

        def change(place: int, axis: Axis) -> Axis:
            old, new = x.shape[dims[place]], out.shape[dims[place]]
            if old == new and not antialias:
                return axis
            if corners:
                return axis.upsampled(Fraction(old - 1, max(1, new - 1)), neighbours, aligned_corners=True)
            if antialias and old > new:  # the filter is as wide as the picture shrinks
                width = -(-neighbours * old // new) + 1
                return axis.window(width, Fraction(old, new), Fraction(width, 2) - Fraction(old, 2 * new))
            return axis.upsampled(Fraction(old, new), neighbours)

        return along(source_of(args), dims, tuple(out.shape), change, narrow=False)

    return carry


rule(
    *("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d"),
    *("_upsample_nearest_exact1d", "_upsample_nearest_exact2d", "_upsample_nearest_exact3d"),
)(interpolation(1))
rule("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "_upsample_bilinear2d_aa")(interpolation(2))
rule("upsample_bicubic2d", "_upsample_bicubic2d_aa")(interpolation(4))


@rule("pixel_shuffle")
def pixel_shuffle(args: Any, kwargs: Any, out: Any) -> Field:
    rank = out.dim()
    return along(
        consume(source_of(args), [rank - 3]),
        [rank - 2, rank - 1],
        tuple(out.shape),
        lambda _, axis: axis.window(1, Fraction(1, args[1])),
        narrow=False,
    )


@rule("pixel_unshuffle")
def pixel_unshuffle(args: Any, kwargs: Any, out: Any) -> Field:
    rank = out.dim()
    source = consume(source_of(args), [rank - 3])
    return along(source, [rank - 2, rank - 1], tuple(out.shape), lambda _, axis: axis.window(args[1], args[1]), False)


@rule("unfold")
def unfold(args: Any, kwargs: Any, out: Any) -> Field:
    """Windows laid out along a new last dimension."""
    x, dim, size, step = args
    dim %= max(1, x.dim())
    source = source_of(args)
    label = source.labels[dim]
    if not isinstance(label, int):
        return unknown(args, kwargs, out) if label is not None else source._replace(labels=(*source.labels, None))
    labels = list(source.labels)
    labels[dim] = (Digit(out.shape[dim], label, step),)
    return settle(source._replace(labels=(*labels, (Digit(size, label),) if size > 1 else None)))


@rule("im2col")
def im2col(args: Any, kwargs: Any, out: Any) -> Field:
    """(N, C, H, W) to (N, C * kernel, windows): places in the window beside the channels, windows along the last."""
    x, kernel, dilation, padding, stride = args
    source = source_of(args)
    height, width = source.labels[-2:]
    if not isinstance(height, int) or not isinstance(width, int):
        return unknown(args, kwargs, out)
    counts = [
        (side + 2 * p - d * (k - 1) - 1) // s + 1
        for side, k, d, p, s in zip(x.shape[-2:], kernel, dilation, padding, stride, strict=True)
    ]
    places = [Digit(k, axis, d) for k, axis, d in zip(kernel, (height, width), dilation, strict=True) if k > 1]
    steps = [Digit(n, axis, s) for n, axis, s in zip(counts, (height, width), stride, strict=True) if n > 1]
    inside = (Digit(x.shape[-3], None), *places) if places else None
    axes = list(source.axes)
    for axis, p in ((height, padding[0]), (width, padding[1])):
        axes[axis] = axes[axis].shift(-p)
    return settle(Field((*source.labels[:-3], inside, tuple(steps) or None), tuple(axes), source.aligned))


@rule("col2im")
def col2im(args: Any, kwargs: Any, out: Any) -> Field:
    """Windows laid back over one another, summed where they overlap."""
    x, _, kernel, dilation, padding, stride = args
    source = source_of(args)
    inside, places = source.labels[-2:]
    grid = list(places) if isinstance(places, tuple) else []
    if len(grid) != 2 or None in (grid[0].axis, grid[1].axis):
        return unknown(args, kwargs, out)
    held = inside if isinstance(inside, tuple) else ()
    untouched = all(Digit(k, digit.axis, d) in held for k, d, digit in zip(kernel, dilation, grid, strict=True))
    seen = source if untouched else consume(source, [x.dim() - 2])
    axes = list(seen.axes)
    for k, d, p, s, digit in zip(kernel, dilation, padding, stride, grid, strict=True):
        assert digit.axis is not None
        axis = axes[digit.axis]
        axes[digit.axis] = axis.shift(p) if untouched else stretched(axis, digit.step).transposed(k, s, p, d)
    labels = (*seen.labels[:-2], None, grid[0].axis, grid[1].axis)
    return Field(labels, tuple(axes), seen.aligned)
