"""``smallnets list`` and ``show``: which nets there are, and one of them layer by layer."""

import json as as_json
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import OptionError, ShapeError, message
from .app import app
from .parsing import JSON, Net, Set, ahead, numbers, parse_settings, write_json

if TYPE_CHECKING:
    from ..models.registry import Entry


@app.command("list")
def list_command(
    pattern: Annotated[str, typer.Argument(help="A shell pattern, e.g. 'resnet*'.")] = "*",
    weights: Annotated[bool, typer.Option("--weights", help="The trained nets of the package instead.")] = False,
    json: JSON = None,
) -> None:
    """List the nets: paper, parameters, multiply-accumulates (MACs) at the natural input, smallest input."""
    if weights:
        list_weights(pattern, json)
        return
    from ..models.build import entry, list_models
    from ..models.names import advice as advice_on

    names = list_models(pattern)
    if not names:
        advice = advice_on(pattern, list_models()) or "Try '*'."
        raise OptionError(message("list", "a pattern that matches a net", repr(pattern), advice))
    entries = sorted(map(entry, names), key=lambda found: (found.year, found.parameters))
    if write_json(json, as_json.dumps([facts(found) for found in entries], indent=2)):
        return
    rows = [("net", "paper", "input", "parameters", "MACs", "smallest")]
    for found in entries:
        size = "x".join(map(str, found.input_size))
        fixed = "fixed" if found.smallest == found.input_size[1] else str(found.smallest)
        rows.append((found.name, found.paper, size, f"{found.parameters:,}", f"{found.macs:,}", fixed))
    show_rows(rows, texts=3)


def list_weights(pattern: str, json: Path | None) -> None:
    """List the trained nets of the package, whose names stand for a run where a command takes one."""
    from ..models.trained import listed, pretrained

    found = [one for one in pretrained() if fnmatchcase(one.net, pattern) or fnmatchcase(one.name, pattern)]
    if not found:
        raise OptionError(
            message("list", "a pattern that matches a trained net", repr(pattern), f"There are {listed()}.")
        )
    if write_json(json, as_json.dumps([{"name": one.name, **vars(one), "path": str(one.path)} for one in found])):
        return
    rows = [("name", "recipe", "accuracy", "with flips", "spread", "runs", "parameters", "bytes")]
    for one in found:
        flipped = "" if one.flipped is None else f"{one.flipped:.4f}"
        measured = f"{one.accuracy:.4f}", flipped, f"{one.spread:.4f}" if one.runs > 1 else "", str(one.runs)
        rows.append((one.name, one.recipe, *measured, f"{one.parameters:,}", f"{one.bytes:,}"))
    show_rows(rows, texts=2)
    for one in found:
        typer.echo(f"{one.name}: {one.source}; accuracy on {one.test_pictures:,} test pictures, {one.hardware}")


def show_rows(rows: Sequence[Sequence[str]], texts: int) -> None:
    """Rows in columns, the first ones ``texts``, which stand to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            text.ljust(width) if place < texts else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        typer.echo("  ".join(cells).rstrip())


def facts(found: "Entry") -> dict[str, Any]:
    """What the list says of a net, as JSON has it."""
    names = ("name", "paper", "year", "input_size", "parameters", "macs", "smallest")
    return {name: getattr(found, name) for name in names} | {"recipe": vars(found.recipe)}


@app.command()
def show(
    net: Net,
    set_: Set = None,
    input_: Annotated[str | None, typer.Option("--input", help="C,H,W; the net's natural input by default.")] = None,
    batch_size: Annotated[int, typer.Option(help="Samples in the shapes.")] = 1,
    html: Annotated[Path | None, typer.Option(help="Also write one self-contained page.", callback=ahead)] = None,
    csv: Annotated[Path | None, typer.Option(help="Also write the rows as CSV.", callback=ahead)] = None,
    json: JSON = None,
) -> None:
    """Show a net layer by layer: shapes, parameters, MACs, receptive field. Nothing is allocated or computed."""
    import torch

    from ..models.build import build
    from ..summary import summarize

    with torch.device("meta"):
        model = build(net, **parse_settings(set_))
    size = model.input_size if input_ is None else numbers("--input", input_, 3)
    summary = summarize(model, size, batch_size=batch_size)
    if not write_json(json, summary.to_json()):
        typer.echo(str(summary))
    if summary.failure is not None:
        raise ShapeError(summary.failure)
    for path, write in ((html, summary.to_html), (csv, summary.to_csv)):
        if path is not None:
            write(path)
