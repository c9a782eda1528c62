"""The net as feature-map blocks to scale, through matplotlib: for a report, as PNG, SVG or PDF."""

import math
from pathlib import Path
from typing import Any

from ..errors import message
from ..pictures import write_figure
from .blocks import Block, blocks
from .table import Table
from .text import size_words, units

COLOURS = {
    "input": "#a98a2c",
    "conv": "#3a6ab0",
    "pool": "#c9652f",
    "linear": "#7456b8",
    "join": "#23867b",
    "other": "#7d8694",
}
WORDS = {"conv": "convolution", "linear": "linear, attention"}
INK, SOFT = "#1b2230", "#5d6778"
TALL, WIDE, SLANT, LIFT = 100.0, 34.0, 0.32, 0.24  # of the largest map, in units of the drawing


class Box:
    """Where a block is drawn: its front face's left edge, width, height, and depth."""

    def __init__(self, block: Block, x: float, largest: tuple[int, int, int]) -> None:
        side, channels, features = largest
        self.x, self.depth = x, max(1.2, SLANT * TALL * block.width / side)
        self.width = max(1.2, WIDE * block.channels / channels)
        self.height = max(1.8, TALL * block.height / side)
        if not block.height:  # vectors stand upright, in a scale of their own
            self.width, self.depth, self.height = 3.0, 1.6, max(1.8, TALL * block.channels / features)

    @property
    def top(self) -> float:
        return self.height / 2 + self.depth * LIFT / SLANT

    @property
    def middle(self) -> float:
        return self.x + self.width / 2 + self.depth * 0.4


def draw(summary: Table, path: str | Path | None) -> Any:
    """Draw the blocks, with an arc for each map that skips ahead."""
    figure_class, _ = matplotlib_parts()
    found = blocks(summary)
    boxes = lay_out(found)
    arcs = [(source, place) for place, block in enumerate(found) for source in block.sources if source < place - 1]
    length = boxes[-1].x + boxes[-1].width + boxes[-1].depth
    width = min(40.0, max(6.0, length / 62))
    figure = figure_class(figsize=(width, 3.4), layout="constrained")
    axes = figure.add_subplot()
    for source, place in reversed(arcs):
        arc(axes, boxes, source, place)
    for block, box in zip(found, boxes, strict=True):
        cuboid(axes, box, COLOURS[block.kind])
    labels(axes, found, boxes)
    legend(axes, {block.kind for block in found})
    totals = summary.totals
    title = f"{summary.model}  {size_words(summary.input_size)}"
    axes.set_title(title, loc="left", fontsize=11, color=INK, fontweight="bold")
    axes.set_title(f"{totals.params:,} parameters, {units(totals.macs)} MACs", loc="right", fontsize=9, color=SOFT)
    axes.set_aspect("equal")
    axes.autoscale_view()
    axes.margins(0.01, 0.03)
    axes.axis("off")
    if path is not None:
        write_figure(figure, path, dpi=200, bbox_inches="tight", pad_inches=0.1)
    return figure


def matplotlib_parts() -> tuple[Any, Any]:
    """Matplotlib's figure and patches, which an extra installs."""
    try:
        from matplotlib import patches
        from matplotlib.figure import Figure
    except ImportError:
        advice = "Install it: pip install 'smallnets[plot]'."
        raise ImportError(message("plot", "matplotlib", "none", advice)) from None
    return Figure, patches


def lay_out(found: list[Block]) -> list[Box]:
    """The boxes from left to right."""
    maps = [block for block in found if block.height]
    largest = (
        max((max(block.height, block.width) for block in maps), default=1),
        max((block.channels for block in maps), default=1),
        max((block.channels for block in found if not block.height), default=1),
    )
    boxes: list[Box] = []
    x = 0.0
    for block in found:
        boxes.append(Box(block, x, largest))
        x += boxes[-1].width + 0.62 * boxes[-1].depth + (5 if block.height else 11)  # room for its number
    return boxes


def shade(colour: str, target: int, part: float) -> tuple[float, ...]:
    """A colour part of the way to black (0) or white (255)."""
    channels = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return tuple((channel * (1 - part) + target * part) / 255 for channel in channels)


def cuboid(axes: Any, box: Box, colour: str) -> None:
    _, patches = matplotlib_parts()
    x, y, right = box.x, -box.height / 2, box.x + box.width
    dx, dy = box.depth, box.depth * LIFT / SLANT
    top, bottom = y + box.height, y
    faces = (
        (((x, top), (x + dx, top + dy), (right + dx, top + dy), (right, top)), shade(colour, 255, 0.42)),
        (((right, bottom), (right + dx, bottom + dy), (right + dx, top + dy), (right, top)), shade(colour, 0, 0.28)),
        (((x, bottom), (x, top), (right, top), (right, bottom)), shade(colour, 255, 0.0)),
    )
    for corners, face in faces:
        axes.add_patch(patches.Polygon(corners, facecolor=face, edgecolor="white", linewidth=0.5, zorder=2))


def arc(axes: Any, boxes: list[Box], source: int, place: int) -> None:
    """From a block over those between to the one that takes its map."""
    _, patches = matplotlib_parts()
    from matplotlib.path import Path as Curve

    start, end = boxes[source], boxes[place]
    peak = max(box.top for box in boxes[source : place + 1]) + 10 + 4.5 * math.sqrt(end.middle - start.middle)
    points = [(start.middle, start.top + 1), (start.middle, peak), (end.middle, peak), (end.middle, end.top + 1)]
    curve = Curve(points, [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4])
    axes.add_patch(patches.PathPatch(curve, facecolor="none", edgecolor=SOFT, linewidth=0.8, alpha=0.6, zorder=1))


def labels(axes: Any, found: list[Block], boxes: list[Box]) -> None:
    """The side under each block where it changes; the features over a vector."""
    last, free = 0, -math.inf
    for block, box in zip(found, boxes, strict=True):
        middle = box.x + box.width / 2
        if block.height and block.height != last and middle > free:
            axes.text(middle, -box.height / 2 - 4, str(block.height), ha="center", va="top", fontsize=6.5, color=SOFT)
            last, free = block.height, middle + 9
        elif not block.height:
            axes.text(middle, box.top + 3, str(block.channels), ha="center", va="bottom", fontsize=6.5, color=SOFT)


def legend(axes: Any, kinds: set[str]) -> None:
    _, patches = matplotlib_parts()
    handles = [
        patches.Patch(color=colour, label=WORDS.get(kind, kind)) for kind, colour in COLOURS.items() if kind in kinds
    ]
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.02), "ncols": len(handles)}
    axes.legend(handles=handles, frameon=False, fontsize=7.5, labelcolor=SOFT, handlelength=1, **place)
