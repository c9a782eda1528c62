"""Which rows are drawn: the layers that make new maps, with what only works on a map counted to the block before."""

import math
from dataclasses import dataclass, field

from .row import Row, Shape
from .table import Table


@dataclass(slots=True)
class Block:
    """One feature map, or one vector.

    Attributes:
        kind: ``"input"``, ``"conv"``, ``"pool"``, ``"linear"``, ``"join"`` or ``"other"``.
        name: Path and type, as a reader looks for it.
        channels: Channels of the map, features of a vector.
        height, width: Sides of the map; 0 for a vector.
        rows: Rows drawn as this block, the first of which makes it.
        sources: Blocks whose maps it takes.
    """

    kind: str
    name: str
    channels: int
    height: int
    width: int
    rows: list[int] = field(default_factory=list)
    sources: tuple[int, ...] = ()


def blocks(summary: Table) -> list[Block]:
    """The drawing's blocks in call order; the first is the input."""
    found = [Block("input", "input", *sides_of(summary.input_shape))]
    home = {-1: 0}  # the block that each row is drawn as
    for index, row in enumerate(summary.rows):
        sources = tuple(sorted({home[source] for source in summary.sources[index]}))
        kind = kind_of(row, sources)
        last = sources[-1] if sources else len(found) - 1
        if kind is None or (kind == "other" and sides_of(row.shape) == size_of(found[last])):
            home[index] = last
            found[last].rows.append(index)
            continue
        home[index] = len(found)
        name = f"{row.path} {row.type}".strip()
        found.append(Block(kind, name, *sides_of(row.shape), rows=[index], sources=sources))
    return found


def kind_of(row: Row, sources: tuple[int, ...]) -> str | None:
    """What a row is drawn as; None for what leaves the map as it was."""
    if row.macs:
        return "conv" if row.kernel_size is not None else "linear"
    if "pool" in row.type.lower():
        return "pool"
    if len(sources) > 1:
        return "join"
    reshapes = row.type in ("flatten", "Flatten", "view", "reshape", "getitem", "Identity")
    return None if reshapes else "other"


def sides_of(shape: Shape) -> tuple[int, int, int]:
    """(channels, height, width) of an output: (N, C, H, W), (N, C), or the nearest to it."""
    if len(shape) == 4:
        return shape[1], shape[2], shape[3]
    if len(shape) == 5:
        return shape[1], shape[3], shape[4]
    if len(shape) == 3:  # tokens: as many as a square of that side has
        side = math.isqrt(shape[1])
        return shape[2], side, side
    return math.prod(shape[1:]), 0, 0


def size_of(block: Block) -> tuple[int, int, int]:
    return block.channels, block.height, block.width
