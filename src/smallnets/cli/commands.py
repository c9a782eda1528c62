"""The commands: what each is given, and whom it asks. Torch is imported where it is needed, so that help is quick."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import OptionError, ShapeError, message
from .parsing import Data, Device, Download, Net, OnError, Precision, Root, Run, Set, numbers, parse_settings

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="The classic convolutional nets: look at them, train them, use them.\n\n"
    "Start with: smallnets fit lenet5 --data digits --run-dir runs/digits",
)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Options of every command; ``main`` looks for --debug itself."""


@app.command("list")
def list_command(pattern: Annotated[str, typer.Argument(help="A shell pattern, e.g. 'resnet*'.")] = "*") -> None:
    """List the nets: paper, parameters, multiply-accumulates (MACs) at the natural input, smallest input."""
    from ..models.build import entry, list_models
    from ..models.names import advice as advice_on

    names = list_models(pattern)
    if not names:
        advice = advice_on(pattern, list_models()) or "Try '*'."
        raise OptionError(message("list", "a pattern that matches a net", repr(pattern), advice))
    rows = [("net", "paper", "input", "parameters", "MACs", "smallest")]
    for found in sorted(map(entry, names), key=lambda found: (found.year, found.parameters)):
        size = "x".join(map(str, found.input_size))
        fixed = "fixed" if found.smallest == found.input_size[1] else str(found.smallest)
        rows.append((found.name, found.paper, size, f"{found.parameters:,}", f"{found.macs:,}", fixed))
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    for row in rows:
        left = [text.ljust(width) for text, width in zip(row[:3], widths[:3], strict=True)]
        right = [text.rjust(width) for text, width in zip(row[3:], widths[3:], strict=True)]
        typer.echo("  ".join(left + right).rstrip())


@app.command()
def show(
    net: Net,
    set_: Set = None,
    input_: Annotated[str | None, typer.Option("--input", help="C,H,W; the net's natural input by default.")] = None,
    batch_size: Annotated[int, typer.Option(help="Samples in the shapes.")] = 1,
    html: Annotated[Path | None, typer.Option(help="Also write one self-contained page.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Also write the rows as CSV.")] = None,
    json: Annotated[Path | None, typer.Option(help="Also write rows and totals as JSON.")] = None,
) -> None:
    """Show a net layer by layer: shapes, parameters, MACs, receptive field. Nothing is allocated or computed."""
    import torch

    from ..models.build import build
    from ..summary import summarize

    with torch.device("meta"):
        model = build(net, **parse_settings(set_))
    size = model.input_size if input_ is None else numbers("--input", input_, 3)
    summary = summarize(model, size, batch_size=batch_size)
    typer.echo(str(summary))
    if summary.failure is not None:
        raise ShapeError(summary.failure)
    for path, write in ((html, summary.to_html), (csv, summary.to_csv)):
        if path is not None:
            write(path)
    if json is not None:
        json.write_text(summary.to_json())


@app.command()
def fit(
    net: Net,
    data: Data,
    run_dir: Annotated[
        Path | None, typer.Option(help="Folder for checkpoints, metrics, curves and the report.  [runs/NET-DATA]")
    ] = None,
    set_: Set = None,
    epochs: Annotated[int | None, typer.Option(help="In all, also when going on.  [net's own]")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Samples an update.  [net's own]")] = None,
    optimizer: Annotated[str | None, typer.Option(help="sgd, adam or adamw.  [net's own]")] = None,
    lr: Annotated[float | None, typer.Option(help="Highest learning rate.  [net's own]")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="[net's own]")] = None,
    schedule: Annotated[
        str | None, typer.Option(help="constant, cosine, onecycle, plateau, 'step(20, 0.1)'.  [net's own]")
    ] = None,
    momentum: Annotated[float, typer.Option(help="Of sgd.")] = 0.9,
    warmup_epochs: Annotated[float, typer.Option(help="Epochs of linear warm-up.")] = 0,
    label_smoothing: Annotated[float, typer.Option(help="Of the cross entropy.")] = 0.0,
    augment: Annotated[str, typer.Option(help="auto, none, crop, crop-flip, resized-crop-flip.")] = "auto",
    mix: Annotated[str | None, typer.Option(help="'mixup(0.2)' or 'cutmix(1.0)'.")] = None,
    ema: Annotated[float | None, typer.Option(help="Decay of averaged weights.")] = None,
    clip_norm: Annotated[float | None, typer.Option(help="Largest norm of the gradient.")] = None,
    accumulate: Annotated[int, typer.Option(help="Batches an update sums over.")] = 1,
    val: Annotated[str | None, typer.Option(help="Split to validate on; else a tenth of the training split.")] = None,
    test: Annotated[str, typer.Option(help="Split to test on once, at the end.")] = "test",
    classes: Annotated[str | None, typer.Option(help="Keep these classes, comma-separated, in this order.")] = None,
    size: Annotated[str | None, typer.Option(help="Side of the pictures in pixels, or H,W.")] = None,
    root: Root = None,
    download: Download = False,
    on_error: OnError = "raise",
    monitor: Annotated[
        str, typer.Option(help="Chooses the best epoch: val_loss (the finer measure), val_accuracy, loss or accuracy.")
    ] = "val_loss",
    patience: Annotated[int | None, typer.Option(help="Stop after so many epochs without a better monitor.")] = None,
    last: Annotated[bool, typer.Option("--last", help="Report on the last epoch's weights, not the best's.")] = False,
    resume: Annotated[str, typer.Option(help="auto, never, or changed (go on with other settings).")] = "auto",
    save_every: Annotated[int | None, typer.Option(help="Updates between checkpoints within an epoch.")] = None,
    seed: Annotated[int, typer.Option(help="Of weights, order, augmentation and dropout.")] = 0,
    deterministic: Annotated[bool, typer.Option("--deterministic", help="Exactly repeatable.")] = False,
    precision: Precision = "auto",
    device: Device = "auto",
    workers: Annotated[int | None, typer.Option(help="Processes that read pictures from disk.  [one a core]")] = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Also write for TensorBoard.")] = False,
) -> None:
    """Train a net, keep the best epoch on validation data, and test it once at the end.

    Run again, it goes on where it was stopped; Ctrl-C saves first. Options marked [net's own] come from the net's
    entry in the registry: what trains it well.
    """
    given = dict(locals())
    from ..experiments.experiment import Experiment

    ours = {"net", "data", "set_", "val", "test", "classes", "size", "root", "download", "on_error", "last", "run_dir"}
    settings = {name: value for name, value in given.items() if name not in ours and value is not None}
    folder = run_dir or Path("runs") / f"{net}-{Path(data).stem}"
    settings |= {"restore_best": not last, "run_dir": str(folder)}
    experiment = Experiment(
        net,
        parse_settings(set_),
        source=data,
        val=val,
        test=test,
        loading={
            "classes": None if classes is None else [name.strip() for name in classes.split(",")],
            "size": None if size is None else numbers("--size", size),
            "root": root,
            "download": download,
            "on_error": on_error,
        },
        settings=settings,
    )
    for line in experiment.run():
        typer.echo(line)


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
) -> None:
    """Measure the best net of a run on a labelled split."""
    from ..data import load
    from ..experiments.experiment import download_once
    from ..experiments.report import open_run
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
    typer.echo(f"{found.n:,} pictures: accuracy {found.accuracy:.4f}, loss {found.loss:.4f}")
    if "plain_accuracy" in found.plan:
        typer.echo(f"without the views: accuracy {found.plan['plain_accuracy']:.4f}")
    for name, value in found.per_class.items():
        typer.echo(f"  {name:<20} {value:.4f}")
    if confusion is not None:
        found.plot_confusion(confusion)


@app.command()
def predict(
    run_dir: Run,
    images: Annotated[Path, typer.Argument(help="A picture, a folder of any depth, or a zip.", metavar="IMAGES")],
    csv: Annotated[Path | None, typer.Option(help="Write id, class and probabilities here.")] = None,
    grid: Annotated[Path | None, typer.Option(help="Draw the pictures with their classes here.")] = None,
    batch_size: Annotated[int, typer.Option(help="Pictures at a time.")] = 256,
    precision: Precision = "auto",
    device: Device = "auto",
) -> None:
    """Say what is on pictures that have no labels, with the best net of a run."""
    from ..data.pictures import unlabelled
    from ..experiments.report import GRID, in_memory, open_run
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
    pictures = unlabelled(images, classes=names, shape=shape, mean=facts.mean, std=facts.std)
    pictures = sorted_by_id(pictures)
    parts = predict_parts(net, pictures, batch_size, precision, device, progress=csv is not None)  # type: ignore[arg-type]  # pyright: ignore
    if csv is not None:
        typer.echo(f"{write_rows(parts, csv):,} predictions in {csv}")
    else:
        for part in parts:
            for name, label, shares in zip(part.ids, part.labels, part.probabilities, strict=True):
                typer.echo(f"{name}\t{names[label]}\t{shares.max():.4f}")
    if grid is not None:
        shown = in_memory(pictures[:GRID])
        ask(net, shown, batch_size=batch_size, precision=precision, device=device).grid(shown.images, grid)  # type: ignore[arg-type]
