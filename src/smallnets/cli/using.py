"""``smallnets evaluate`` and ``predict``: use the net of a run."""

import json as as_json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import check_choice, printable
from .app import app
from .parsing import JSON, Data, Device, Download, OnError, Precision, Root, Run, numbers, write_json

if TYPE_CHECKING:
    from ..training.metrics import Metrics


@app.command()
def evaluate(
    run_dir: Run,
    data: Data,
    split: Annotated[str, typer.Option(help="Split to measure.")] = "test",
    root: Root = None,
    download: Download = False,
    on_error: OnError = "raise",
    batch_size: Annotated[int, typer.Option(help="Pictures at a time.")] = 256,
    precision: Precision = "auto",
    device: Device = "auto",
    tta: Annotated[str | None, typer.Option(help="Average over views: flip, ten-crop or dense.")] = None,
    scales: Annotated[str | None, typer.Option(help="Average over these sides in pixels, comma-separated.")] = None,
    confusion: Annotated[Path | None, typer.Option(help="Draw the confusion matrix here.")] = None,
    json: JSON = None,
) -> None:
    """Measure the net of a run on a labelled split: the best epoch's, or the last's where the run was to keep that."""
    from ..data import load
    from ..experiments.runs import open_run
    from ..experiments.splits import download_once
    from ..training.evaluate import evaluate as measure
    from ..training.group import current_group
    from ..training.plan.plan import choose_device

    net, facts = open_run(run_dir)
    group = current_group(choose_device(device))
    # What the run knows of its data is taken from there: its training split need not be here.
    known = {"size": facts.size, "channels": facts.channels, "stats": (facts.mean, facts.std)}
    loading = {"classes": list(facts.classes), "root": root, "download": download, "on_error": on_error, **known}
    pictures = load(data, split, **download_once(data, loading, group))
    sides = None if scales is None else numbers("--scales", scales)
    found = measure(
        net, pictures, tta=tta, scales=sides, batch_size=batch_size, precision=precision, device=device,  # type: ignore[arg-type]
        progress=True,
    )  # fmt: skip
    if not group.leads:
        return
    if confusion is not None:
        found.plot_confusion(confusion)
    if write_json(json, as_json.dumps(measured(found), indent=2)):
        return
    typer.echo(f"{found.n:,} pictures: accuracy {found.accuracy:.4f}, loss {found.loss:.4f}")
    if "plain_accuracy" in found.plan:
        typer.echo(f"without the views: accuracy {found.plan['plain_accuracy']:.4f}")
    for name, value in found.per_class.items():
        typer.echo(printable(f"  {name:<20} {value:.4f}"))


def measured(found: "Metrics") -> dict[str, Any]:
    """What was measured, as JSON has it: the accuracy of a class without pictures is null."""
    per_class = {name: None if math.isnan(value) else value for name, value in found.per_class.items()}
    topk = {str(rank): value for rank, value in found.topk.items()}
    return {**vars(found), "topk": topk, "per_class": per_class, "confusion": found.confusion.tolist()}


@app.command()
def predict(
    run_dir: Run,
    images: Annotated[
        list[Path], typer.Argument(help="Pictures, folders of any depth, or one zip.", metavar="IMAGES...")
    ],
    csv: Annotated[Path | None, typer.Option(help="Write id, class and probabilities here.")] = None,
    columns: Annotated[
        str | None, typer.Option(help="Columns of the CSV: id, predicted, or a class for its probability.  [all]")
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Write names as they are, also those that a spreadsheet would run.")
    ] = False,
    grid: Annotated[Path | None, typer.Option(help="Draw the pictures with their classes here.")] = None,
    batch_size: Annotated[int, typer.Option(help="Pictures at a time.")] = 256,
    precision: Precision = "auto",
    device: Device = "auto",
) -> None:
    """Say what is on pictures that have no labels, with the best net of a run."""
    from ..data.pictures import unlabelled
    from ..experiments.report import GRID, in_memory
    from ..experiments.runs import open_run
    from ..training.group import current_group
    from ..training.plan.plan import choose_device
    from ..training.predict import predict as ask
    from ..training.predict import predict_parts, sorted_by_id, write_rows

    net, facts = open_run(run_dir)
    if not current_group(choose_device(device)).leads:  # one process does it all
        return
    names = facts.classes
    assert facts.channels is not None and facts.size is not None  # a net of the zoo takes pictures
    shape = facts.channels, *facts.size
    kept = None if columns is None else [name.strip() for name in columns.split(",")]
    for name in kept or ():
        check_choice("--columns", "every column", name, ("id", "predicted", *names))
    pictures = unlabelled(images, classes=names, shape=shape, mean=facts.mean, std=facts.std)
    pictures = sorted_by_id(pictures)
    parts = predict_parts(net, pictures, batch_size, precision, device, progress=csv is not None)  # type: ignore[arg-type]  # pyright: ignore
    if csv is not None:
        typer.echo(f"{write_rows(parts, csv, kept, raw):,} predictions in {csv}")
    else:
        for part in parts:
            for name, label, shares in zip(part.ids, part.labels, part.probabilities, strict=True):
                typer.echo(printable(f"{name}\t{names[label]}\t{shares.max():.4f}"))
    if grid is not None:
        shown = in_memory(pictures[:GRID])
        ask(net, shown, batch_size=batch_size, precision=precision, device=device).grid(shown.images, grid)  # type: ignore[arg-type]
