"""Curves, figures and predictions at a glance, as HTML for notebooks: nothing is fetched, no name is taken for markup.

Colours of text are the notebook's own, light or dark; what is drawn is readable on both.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from ..data.views import STYLE, inlined, short, small
from .records import Row

TRAIN, VAL, WRONG = "#4a84d4", "#e07b39", "#c0392b"
MATRIX = 20  # classes of a confusion matrix that is shown whole
PAIRS = 10  # most frequent mistakes, where there are more classes
TILES = 30  # pictures of a grid
POINTS = 300  # of a curve
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 360, 210, 52, 30, 28, 12  # of a chart, in pixels
OWN_STYLE = """<style>
.sn-set svg{max-width:100%;height:auto;overflow:visible}
.sn-set text{fill:currentColor;font:11px system-ui,sans-serif}
.sn-set .charts,.sn-set .tiles{display:flex;flex-wrap:wrap;gap:12px}
.sn-set td.c{text-align:center;padding:3px 6px;min-width:22px;font-variant-numeric:tabular-nums}
.sn-set th{font-weight:normal;text-align:left;padding:2px 10px 2px 0;opacity:.7;background:none;border:0}
.sn-set th.c{text-align:center;padding:2px 6px}
.sn-set figure{margin:0;width:92px;font-size:11px;line-height:1.3;overflow-wrap:anywhere}
.sn-set figure img{height:64px;max-width:92px;margin:0;display:block}
.sn-set figure span{opacity:.6}
</style>"""


class Measured(Protocol):
    """What a view needs of ``Metrics``."""

    @property
    def n(self) -> int: ...
    @property
    def loss(self) -> float: ...
    @property
    def accuracy(self) -> float: ...
    @property
    def topk(self) -> Mapping[int, float]: ...
    @property
    def per_class(self) -> Mapping[str, float]: ...
    @property
    def confusion(self) -> Tensor: ...


class Predicted(Protocol):
    """What a view needs of ``Predictions``."""

    def __len__(self) -> int: ...
    @property
    def ids(self) -> tuple[str, ...]: ...
    @property
    def labels(self) -> Tensor: ...
    @property
    def probabilities(self) -> Tensor: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def pictures(self) -> object: ...


@dataclass(frozen=True)
class Curve:
    """A line of a chart, and whether its best point is ringed."""

    name: str
    colour: str
    x: Sequence[float]
    y: Sequence[float | None]
    ringed: int | None = None  # a place on it

    def places(self) -> list[int]:
        """Where there is something to draw: numbers, of a long curve every so many, the last and the ring included."""
        good = [place for place, y in enumerate(self.y) if y is not None and math.isfinite(y)]
        few = good[:: max(1, math.ceil(len(good) / POINTS))] + good[-1:]
        return sorted({*few, *([] if self.ringed is None else [self.ringed])} & {*good})


def page(*parts: str) -> str:
    return f"{STYLE}{OWN_STYLE}<div class='sn-set'>{''.join(parts)}</div>"


def history_page(rows: Sequence[Row], best_row: Row | None) -> str:
    """Loss and accuracy over the epochs, side by side, and the best epoch in words."""
    if best_row is None:
        return page("<p>History: no epoch yet</p>")
    epochs = [row["epoch"] for row in rows]
    charts: list[str] = []
    for column, best in (("loss", min), ("accuracy", max)):
        held_out = column_of(rows, f"val_{column}")
        curves = [Curve("train", TRAIN, epochs, column_of(rows, column))]
        known = [(value, place) for place, value in enumerate(held_out) if value is not None and math.isfinite(value)]
        if known:
            ring = held_out.index(best(value for value, _ in known))
            curves.append(Curve("validation", VAL, epochs, held_out, ring))
        charts.append(chart(column.capitalize(), curves, "epoch", whole=True))
    words = (
        f"{len(rows):,} {'epoch' if len(rows) == 1 else 'epochs'}, {sum(row.get('seconds', 0.0) for row in rows):.1f} s"
    )
    shown = [(name, *column_of([best_row], name)) for name in ("loss", "accuracy", "val_loss", "val_accuracy")]
    figures = ", ".join(f"{name} {value:.4f}" for name, value in shown if value is not None)
    head = f"<p>History: {words}; best epoch {best_row['epoch']}: {figures}</p>"
    return page(head, f"<div class='charts'>{''.join(charts)}</div>")


def column_of(rows: Sequence[Row], name: str) -> list[float | None]:
    return [cast("Mapping[str, float | None]", row).get(name) for row in rows]


def rates_page(lrs: Sequence[float], losses: Sequence[float], suggestion: float) -> str:
    """The smoothed loss over the rates, logarithmic; the suggestion is ringed."""
    if not lrs:
        return page("<p>LRCurve: no rate</p>")
    ring = min(range(len(lrs)), key=lambda place: abs(lrs[place] - suggestion))
    lowest = min(losses)
    top = max(losses[: losses.index(lowest) + 1])
    room = lowest + 1.5 * max(top - lowest, 1e-12)  # the descent, not how it diverges
    shown = [y if y <= room else None for y in losses]
    curve = Curve("loss, smoothed", TRAIN, [math.log10(lr) for lr in lrs], shown, ring)
    head = f"<p>LRCurve: suggestion {suggestion:.2g}, of rates from {lrs[0]:.2g} to {lrs[-1]:.2g}</p>"
    return page(head, chart("Learning-rate range test", [curve], "learning rate", powers=True))


def chart(title: str, curves: Sequence[Curve], label: str, whole: bool = False, powers: bool = False) -> str:
    """Curves in one frame.

    Args:
        title: Stands above it.
        curves: What is drawn.
        label: Of the horizontal axis.
        whole: Ticks of the horizontal axis are whole numbers.
        powers: It holds logarithms to the base of ten.
    """
    points = [[(curve.x[place], curve.y[place] or 0.0) for place in curve.places()] for curve in curves]
    xs, ys = ([point[axis] for line in points for point in line] or [0.0] for axis in (0, 1))
    low_x, low_y, span_x, span_y = min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)
    pad = span_y * 0.06 or max(abs(low_y) * 0.1, 0.05)
    low_y, span_y = low_y - pad, span_y + 2 * pad

    def at(x: float, y: float) -> tuple[float, float]:
        across = (x - low_x) / span_x if span_x else 0.5
        right, down = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return round(LEFT + across * right, 1), round(TOP + (1 - (y - low_y) / span_y) * down, 1)

    lines: list[str] = []
    for tick in ticks(low_y, low_y + span_y):
        y = at(low_x, tick)[1]
        lines.append(f"<path d='M{LEFT} {y}H{WIDTH - RIGHT}' stroke='currentColor' opacity='.15'/>")
        lines.append(f"<text x='{LEFT - 6}' y='{y + 4}' text-anchor='end' opacity='.7'>{tick:.4g}</text>")
    for tick in ticks(low_x, low_x + span_x, whole or powers):
        text = f"1e{tick:.0f}" if powers else f"{tick:.4g}"
        x = at(tick, low_y)[0]
        lines.append(f"<text x='{x}' y='{HEIGHT - BOTTOM + 15}' text-anchor='middle' opacity='.7'>{text}</text>")
    for curve, line in zip(curves, points, strict=True):
        path = " ".join(f"{x},{y}" for x, y in (at(*point) for point in line))
        stroke = f"fill='none' stroke='{curve.colour}'"
        name = f"<title>{escape(curve.name)}</title>"
        lines.append(f"<polyline {stroke} stroke-width='1.8' points='{path}'>{name}</polyline>")
        if curve.ringed is not None or len(line) == 1:
            place = curve.ringed if curve.ringed is not None else curve.places()[0]
            x, y = at(curve.x[place], curve.y[place] or 0.0)
            lines.append(f"<circle {stroke} cx='{x}' cy='{y}' r='4'>{name}</circle>")
    lines.append(f"<text x='{LEFT}' y='14' style='font-weight:600'>{escape(title)}</text>")
    lines.append(f"<text x='{WIDTH - RIGHT}' y='{HEIGHT - 2}' text-anchor='end' opacity='.7'>{escape(label)}</text>")
    keys = " &#160; ".join(f"<tspan style='fill:{curve.colour}'>{escape(curve.name)}</tspan>" for curve in curves)
    lines.append(f"<text x='{WIDTH - RIGHT}' y='14' text-anchor='end'>{keys}</text>")
    frame = f"role='img' aria-label='{escape(title)}' width='{WIDTH}' height='{HEIGHT}' viewBox='0 0 {WIDTH} {HEIGHT}'"
    return f"<svg {frame}>{''.join(lines)}</svg>"


def ticks(low: float, high: float, whole: bool = False) -> list[float]:
    """Up to six round numbers between two.

    >>> ticks(0.1, 0.93), ticks(1, 20, whole=True)
    ([0.2, 0.4, 0.6, 0.8], [5.0, 10.0, 15.0, 20.0])
    """
    if high <= low:
        return [low]
    power = 10.0 ** math.floor(math.log10((high - low) / 5))
    step = next(power * factor for factor in (1, 2, 5, 10) if (high - low) / (power * factor) <= 5)
    step = max(1.0, step) if whole else step
    first = math.ceil(low / step - 1e-9)
    return [round(step * count, 12) for count in range(first, math.floor(high / step + 1e-9) + 1)]


def metrics_page(metrics: Measured) -> str:
    """The figures, and which classes are taken for which."""
    ranks = [(f"top-{rank}", share) for rank, share in metrics.topk.items() if rank > 1]
    shown = [("accuracy", metrics.accuracy), *ranks, ("loss", metrics.loss)]
    figures = ", ".join(f"{name} {value:.4f}" for name, value in shown)
    head = f"<p>Metrics: {metrics.n:,} pictures; {figures}</p>"
    classes = list(metrics.per_class)
    table = matrix(metrics.confusion, classes) if len(classes) <= MATRIX else mistakes(metrics, classes)
    return page(head, table)


def matrix(confusion: Tensor, classes: Sequence[str]) -> str:
    """Counts by true class (rows) and predicted class (columns), tinted by their share of the row."""
    names = [escape(short(name, 16)) for name in classes]
    lines = ["<tr><th>true \\ predicted</th>", *(f"<th class='c'>{name}</th>" for name in names), "<th>right</th></tr>"]
    counts: list[list[int]] = confusion.tolist()
    for row, (name, cells) in enumerate(zip(names, counts, strict=True)):
        total = sum(cells)
        lines.append(f"<tr><td>{name}</td>")
        for column, count in enumerate(cells):
            tint = hex(round(25 + 115 * count / total))[2:] if count else ""
            colour = f" style='background:{TRAIN if row == column else WRONG}{tint}'" if count else ""
            lines.append(f"<td class='c'{colour}>{count or ''}</td>")
        lines.append(f"<td class='n'>{f'{cells[row] / total:.1%}' if total else ''}</td></tr>")
    return f"<table>{''.join(lines)}</table>"


def mistakes(metrics: Measured, classes: Sequence[str]) -> str:
    """Of many classes, those that are recognised worst, and what is mistaken most often."""
    known = [name for name in classes if not math.isnan(metrics.per_class[name])]
    worst = sorted(known, key=metrics.per_class.__getitem__)[:PAIRS]
    rows = [
        f"<tr><td>{escape(short(name))}</td><td class='n'>{metrics.per_class[name]:.1%}</td></tr>" for name in worst
    ]
    names = [escape(short(name)) for name in classes]
    wrong = metrics.confusion.clone().fill_diagonal_(0)
    most = torch.topk(wrong.flatten(), min(PAIRS, wrong.numel()))
    pairs = [
        f"<tr><td>{names[place // len(names)]}</td><td>{names[place % len(names)]}</td>"
        f"<td class='n'>{count:,}</td></tr>"
        for count, place in zip(most.values.tolist(), most.indices.tolist(), strict=True)
        if count
    ]
    left = f"<table><tr><th>worst of {len(classes):,} classes</th><th>right</th></tr>{''.join(rows)}</table>"
    right = f"<table><tr><th>true</th><th>taken for</th><th>times</th></tr>{''.join(pairs)}</table>" if pairs else ""
    return f"<div class='charts'>{left}{right}</div>"


def predictions_page(predictions: Predicted) -> str:
    """The first pictures with what they are taken for; without pictures, a table."""
    count = min(TILES, len(predictions))
    sure = predictions.probabilities[:count].max(dim=1).values.tolist() if count else []
    labels = [predictions.classes[label] for label in predictions.labels[:count].tolist()]
    said = list(zip(predictions.ids[:count], labels, sure, strict=True))
    pictures = list(tiles(predictions.pictures, count)) if length(predictions.pictures) == len(predictions) else []
    head = f"<p>Predictions: {len(predictions):,} pictures, {len(predictions.classes):,} classes</p>"
    if count and len(pictures) == count:
        figures = [
            f"<figure>{picture}<b>{escape(short(label, 24))}</b> {share:.0%}<br>"
            f"<span>{escape(name[-24:])}</span></figure>"
            for picture, (name, label, share) in zip(pictures, said, strict=True)
        ]
        table = f"<div class='tiles'>{''.join(figures)}</div>"
    else:
        rows = [
            f"<tr><td>{escape(short(name, 60))}</td><td>{escape(short(label))}</td><td class='n'>{share:.1%}</td></tr>"
            for name, label, share in said
        ]
        table = f"<table><tr><th>id</th><th>predicted</th><th>probability</th></tr>{''.join(rows)}</table>"
    more = len(predictions) - count
    return page(head, table, f"<p>and {more:,} more</p>" if more else "")


def length(pictures: object) -> int:
    """How many pictures there are; 0 where there are none, or nobody knows."""
    try:
        return len(pictures)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    except TypeError:
        return 0


def tiles(pictures: Any, count: int) -> Iterator[str]:
    """The first pictures of a set, a Dataset or a batch as ``img``; none from where one cannot be read."""
    for place in range(count):
        try:
            sample = pictures[place]
            picture = torch.as_tensor(np.asarray(sample[0] if isinstance(sample, tuple | list) else sample))
            yield inlined(small(picture))
        except Exception:  # of anybody's Dataset; the table says the same in words
            return
