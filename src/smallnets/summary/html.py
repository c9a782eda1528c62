"""The table as a page of its own, and as a plain table for notebooks."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from html import escape
from pathlib import Path
from string import Template

from .blocks import Block, blocks
from .table import Table, number
from .text import alike, kernel_words, pixels, shape_words, size_units, size_words, units

HERE = Path(__file__).parent


def page(summary: Table, above: str = "", marks: Mapping[str, tuple[str, str]] | None = None) -> str:
    """One self-contained page: drawing, numbers, receptive field over a picture, sortable table.

    Args:
        summary: What to show.
        above: HTML to put before the drawing.
        marks: Modules whose blocks are marked: a class of the style sheet and what to say, by path.
    """
    template = Template((HERE / "page.html").read_text(encoding="utf-8"))
    batch = f", a batch of {summary.batch_size}" if summary.batch_size > 1 else ""
    return template.substitute(
        title=escape(summary.model),
        subtitle=escape(f"{size_words(summary.input_size)}{batch}"),
        figures=figures(summary),
        remarks=above + remarks(summary),
        # A closing tag inside a string would end the script; JSON has an escape for it.
        data=data(summary, marks or {}).replace("<", "\\u003c"),
        script=(HERE / "page.js").read_text(encoding="utf-8"),
    )


def style() -> str:
    """The page's style sheet, for pages of the same look."""
    return (HERE / "page.html").read_text(encoding="utf-8").partition("<style>")[2].partition("</style>")[0]


def data(summary: Table, marks: Mapping[str, tuple[str, str]]) -> str:
    """What the page's script draws."""
    drawn = blocks(summary)
    shape = summary.input_shape
    maps = [index for index, row in enumerate(summary.rows) if row.receptive_field and len(row.shape) == 4]
    content = {
        "rows": [asdict(row) for row in summary.rows],
        "blocks": [asdict(block) for block in drawn],
        "marks": {index: mark for index, block in enumerate(drawn) if (mark := mark_of(block, summary, marks))},
        "totals": asdict(summary.totals),
        "outputs": sum(row.activation_bytes for row in summary.rows),
        "input": shape,
        "picture": shape[2:] if len(shape) == 4 else None,
        # The page opens in the middle of the maps, where a field is neither a dot nor everything.
        "start": maps[len(maps) // 2] if maps else 0,
    }
    return json.dumps(content, default=number, separators=(",", ":"))


def mark_of(block: Block, summary: Table, marks: Mapping[str, tuple[str, str]]) -> tuple[str, str] | None:
    """The mark of the layers that a block draws, or of the innermost module around them."""
    paths = [summary.rows[row].path for row in block.rows]
    around = [path for path in marks if any(one == path or one.startswith(f"{path}.") for one in paths)]
    return marks[max(around, key=len)] if around else None


def figures(summary: Table) -> str:
    """The totals as large numbers."""
    totals = summary.totals
    fields = [row.receptive_field for row in summary.rows if row.receptive_field and len(row.shape) == 4]
    shown = [
        (f"{totals.params:,}", "parameters" + (f", {totals.frozen:,} frozen" if totals.frozen else "")),
        (units(totals.macs), "multiply-accumulates"),
        (size_units(totals.param_bytes), "parameters in memory"),
        (size_units(totals.activation_bytes), "activations"),
        (str(len(summary.rows)), "layer calls"),
    ]
    if fields:
        widest = max(fields, key=max)
        shown.append((f"{pixels(widest)} px", "widest receptive field"))
    return "".join(f"<div><b>{escape(value)}</b><span>{escape(words)}</span></div>" for value, words in shown)


def remarks(summary: Table) -> str:
    """The failure and the notes, where there are any."""
    lines = [f'<section class="failure" role="alert">{escape(summary.failure)}</section>'] if summary.failure else []
    lines += [f'<section class="note">{escape(note)}</section>' for note in summary.notes]
    return "".join(lines)


NOTEBOOK_STYLE = "text-align:right;font-variant-numeric:tabular-nums"
LEFT = "text-align:left"


def notebook(summary: Table) -> str:
    """The table alone, in the notebook's own style."""
    heads = ("layer", "type", "output", "kernel", "params", "MACs", "field", "jump")
    lines: list[str] = []
    for row in summary.rows:
        cells = (
            *(row.path or "forward", row.type, shape_words(row.shape), kernel_words(row)),
            *(f"{row.params:,}" if row.params else "", units(row.macs) if row.macs else ""),
            *(pixels(row.receptive_field), alike(tuple(f"{float(side):g}" for side in row.jump)) if row.jump else ""),
        )
        lines.append("<tr>" + "".join(cell(text, place) for place, text in enumerate(cells)) + "</tr>")
    totals = summary.totals
    caption = (
        f"<b>{escape(summary.model)}</b> on {escape(size_words(summary.input_size))}: {totals.params:,} parameters, "
        f"{units(totals.macs)} MACs, {size_units(totals.activation_bytes)} of activations"
    )
    if summary.failure:
        caption += f"<br>{escape(summary.failure)}"
    head = "".join(
        f'<th style="{LEFT if place < 2 else NOTEBOOK_STYLE}">{text}</th>' for place, text in enumerate(heads)
    )
    style = "text-align:left;caption-side:top;color:inherit"
    body = "".join(lines)
    caption = f'<caption style="{style}">{caption}</caption>'
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def cell(text: str, place: int) -> str:
    return f'<td style="{LEFT if place < 2 else NOTEBOOK_STYLE}">{escape(text)}</td>'
