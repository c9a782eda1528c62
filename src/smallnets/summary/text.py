"""The table as text: the module tree on the left, numbers in sensible units, at most 120 columns."""

import textwrap
from collections.abc import Iterator
from typing import Any

from .row import Row
from .table import Table

WIDTH = 120
HEADS = ("layer", "output", "kernel", "params", "MACs", "field", "jump")


def text(summary: Table) -> str:
    """The whole table with its totals, failure and notes."""
    lines = list(tree(summary))
    cells = [HEADS, *(line[1:] for line in lines)]
    widths = [max(len(cell[column]) for cell in cells) for column in range(len(HEADS))]
    room = WIDTH - sum(widths[1:]) - 2 * (len(HEADS) - 1)
    names = [line[1] for line in lines]
    widths[0] = min(room, max(map(len, names), default=0))
    widths[0] = max(widths[0], len(HEADS[0]))

    def show(cells: tuple[str, ...]) -> str:
        name = cells[0] if len(cells[0]) <= widths[0] else cells[0][: widths[0] - 1] + "…"
        rest = (f"{cell:>{width}}" for cell, width in zip(cells[1:], widths[1:], strict=True))
        return "  ".join((f"{name:<{widths[0]}}", *rest)).rstrip()

    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    title = f"{summary.model} on {size_words(summary.input_size)}"
    if summary.batch_size > 1:
        title += f", batch of {summary.batch_size}"
    body = [show(line[1:]) for line in lines]
    return "\n".join([title, rule, show(HEADS), rule, *body, rule, *footer(summary)])


def tree(summary: Table) -> Iterator[tuple[str, ...]]:
    """One line a row, and one for each module on the way down to it: (kind, name, output, ...)."""
    above: list[str] = []
    for row in summary.rows:
        parts = row.path.split(".") if row.path else []
        inside = parts if row.kind == "function" else parts[:-1]
        common = next((i for i, (a, b) in enumerate(zip(above, inside, strict=False)) if a != b), None)
        common = min(len(above), len(inside)) if common is None else common
        for depth in range(common, len(inside)):
            path = ".".join(inside[: depth + 1])
            kind = summary.modules.get(path)
            yield ("inside", "  " * depth + inside[depth] + (f"  {kind}" if kind else ""), "", "", "", "", "", "")
        above = inside
        name = row.type if row.kind == "function" else f"{parts[-1] if parts else ''}  {row.type}".strip()
        yield (
            row.kind,
            "  " * len(inside) + ("· " if row.kind == "function" else "") + name,
            shape_words(row.shape),
            kernel_words(row),
            f"{row.params:,}" if row.params else "",
            units(row.macs) if row.macs else "",
            pixels(row.receptive_field),
            pixels(row.jump),
        )


def footer(summary: Table) -> Iterator[str]:
    totals = summary.totals
    frozen = f", {totals.frozen:,} of them frozen" if totals.frozen else ""
    yield f"parameters   {totals.params:,}{frozen} ({size_units(totals.param_bytes)})"
    yield f"MACs         {totals.macs:,} ({units(totals.macs)}); elementwise operations {units(totals.elementwise)}"
    yield f"activations  {size_units(totals.activation_bytes)}; input {size_units(totals.input_bytes)}"
    yield from (line for note in summary.notes for line in textwrap.wrap(f"note: {note}", WIDTH))
    if summary.failure:
        yield from textwrap.wrap(f"stopped here: {summary.failure}", WIDTH)


def size_words(input_size: Any) -> str:
    """An input size as a reader writes it: 3x224x224."""
    if hasattr(input_size, "shape"):
        return shape_words(tuple(input_size.shape))
    if hasattr(input_size, "items"):
        return ", ".join(f"{name} {size_words(size)}" for name, size in input_size.items())
    if all(isinstance(side, int) for side in input_size):
        return shape_words(tuple(input_size))
    return " and ".join(size_words(size) for size in input_size)


def shape_words(shape: tuple[Any, ...]) -> str:
    return "x".join(str(side) for side in shape)


def kernel_words(row: Row) -> str:
    """A window: 3x3, its stride behind a slash where there is one, its dilation behind a d."""
    if row.kernel_size is None or row.stride is None or row.dilation is None:
        return ""
    stride = f"/{alike(row.stride)}" if set(row.stride) != {1} else ""
    dilation = f" d{alike(row.dilation)}" if set(row.dilation) != {1} else ""
    return shape_words(row.kernel_size) + stride + dilation


def alike(sides: tuple[Any, ...]) -> str:
    """One number where all sides are equal."""
    return str(sides[0]) if len(set(sides)) == 1 else shape_words(sides)


def pixels(sides: tuple[Any, ...] | None) -> str:
    return alike(tuple(f"{float(side):g}" for side in sides)) if sides else ""


def units(number: float) -> str:
    """Three significant digits with k, M, G or T.

    >>> units(416_520), units(15_470_264_320)
    ('417 k', '15.5 G')
    """
    for unit in ("", "k", "M", "G"):
        if number < 999.5:
            return f"{number:.3g} {unit}".strip()
        number /= 1000
    return f"{number:.3g} T"


def size_units(number: float) -> str:
    """Bytes in units of 1024.

    >>> size_units(553_430_176)
    '528 MiB'
    """
    for unit in ("B", "KiB", "MiB"):
        if number < 1023.5:
            return f"{number:.3g} {unit}" if number < 999.5 else f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.3g} GiB"
