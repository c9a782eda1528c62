"""``smallnets evaluate`` and ``predict``: use the net of a run."""

from json import dumps
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import OptionError, check_choice, message, printable
from .app import app
from .parsing import (
    JSON,
    Data,
    Device,
    Download,
    Labels,
    OnError,
    Precision,
    Root,
    Run,
    ahead,
    numbers,
    picture_ahead,
    write_json,
)  # fmt: skip


@app.command()
def evaluate(
    run_dir: Run,
    data: Data,
    split: Annotated[str, typer.Option(help="Split to measure.")] = "test",
    labels: Labels = None,
    root: Root = None,
    download: Download = False,
    on_error: OnError = "raise",
    batch_size: Annotated[int, typer.Option(help="Pictures at a time.")] = 256,
    precision: Precision = "auto",
    device: Device = "auto",
    tta: Annotated[str | None, typer.Option(help="Average over views: flip, ten-crop or dense.")] = None,
    scales: Annotated[str | None, typer.Option(help="Average over these sides in pixels, comma-separated.")] = None,
    confusion: Annotated[
        Path | None, typer.Option(help="Draw the confusion matrix here.", callback=picture_ahead)
    ] = None,
    json: JSON = None,
) -> None:
    """Measure the net of a run on a labelled split: the best epoch's, or the last's where the run was to keep that."""
    from ..data import load
    from ..experiments.runs import open_run
    from ..experiments.splits import classes_of, download_once
    from ..training.evaluate import evaluate as measure
    from ..training.group import current_group
    from ..training.plan.plan import choose_device

    net, facts = open_run(run_dir)
    group = current_group(choose_device(device))
    # What the run knows of its data is taken from there: its training split need not be here.
    known: dict[str, Any] = {"size": facts.size, "channels": facts.channels, "stats": (facts.mean, facts.std)}
    known |= {"classes": classes_of(data, split, facts.classes, labels), "labels": labels}
    known |= {"white": facts.white, "crop": facts.crop, "exif": facts.exif}
    loading = {"root": root, "download": download, "on_error": on_error, **known}
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
    if write_json(json, found.to_json(indent=2)):
        return
    typer.echo(f"{found.n:,} pictures: accuracy {found.accuracy:.4f}, loss {found.loss:.4f}")
    if "plain_accuracy" in found.plan:
        typer.echo(f"without the views: accuracy {found.plan['plain_accuracy']:.4f}")
    for name, value in found.per_class.items():
        typer.echo(printable(f"  {name:<20} {value:.4f}"))
    for note in found.notes:
        typer.echo(printable(f"note: {note}"))


@app.command()
def predict(
    run_dir: Run,
    images: Annotated[
        list[Path], typer.Argument(help="Pictures, folders of any depth, or one zip.", metavar="IMAGES...")
    ],
    csv: Annotated[Path | None, typer.Option(help="Write id, class and probabilities here.", callback=ahead)] = None,
    columns: Annotated[
        str | None, typer.Option(help="Columns of the CSV: id, predicted, or a class for its probability.  [all]")
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Write names as they are, also those that a spreadsheet would run.")
    ] = False,
    grid: Annotated[
        Path | None, typer.Option(help="Draw the pictures with their classes here.", callback=picture_ahead)
    ] = None,
    on_error: Annotated[
        str, typer.Option(help="A picture that cannot be read: skip it, and end with exit code 1, or raise an error.")
    ] = "skip",
    batch_size: Annotated[int, typer.Option(help="Pictures at a time.")] = 256,
    precision: Precision = "auto",
    device: Device = "auto",
    json: JSON = None,
) -> None:
    """Say what is on pictures that have no labels, with the best net of a run."""
    from ..experiments.report import GRID, in_memory
    from ..experiments.runs import open_run
    from ..training.group import current_group
    from ..training.plan.plan import choose_device
    from ..training.predict import pictures_of, predict_parts, sorted_by_id, told, write_rows
    from ..training.predict import predict as ask

    net, facts = open_run(run_dir)
    if not current_group(choose_device(device)).leads:  # one process does it all
        return
    if csv is not None and json is not None:
        raise OptionError(message("predict", "--csv or --json", "both", "Run it once for each."))
    kept = None if columns is None else [name.strip() for name in columns.split(",")]
    for name in kept or ():
        check_choice("--columns", "every column", name, ("id", "predicted", *facts.classes))
    pictures, count = sorted_by_id(pictures_of(net, images)), 0
    left_out: dict[str, str] = {}
    how: Any = {"batch_size": batch_size, "precision": precision, "device": device}
    parts = predict_parts(net, pictures, **how, progress=csv is not None, on_error=on_error, left_out=left_out)  # type: ignore[arg-type]  # pyright: ignore
    if csv is not None:
        count = write_rows(parts, csv, kept, raw)
        typer.echo(f"{count:,} predictions in {csv}")
    elif json is not None:
        found = [record for part in parts for record in part.records()]
        count = len(found)
        if not write_json(json, dumps(found, indent=2)):
            typer.echo(f"{count:,} predictions in {json}")
    else:
        for part in parts:
            count += len(part)
            for name, label, shares in zip(part.ids, part.labels, part.probabilities, strict=True):
                typer.echo(printable(f"{name}\t{part.classes[label]}\t{shares.max():.4f}"))
    if grid is not None:
        few = [row for row, name in enumerate(pictures.ids) if name not in left_out][:GRID]
        shown = in_memory(pictures[few])
        ask(net, shown, **how).grid(shown.images, grid)
    if left_out:
        typer.echo(f"smallnets: predict: left out {told(left_out, count)}", err=True)
        raise typer.Exit(1)
