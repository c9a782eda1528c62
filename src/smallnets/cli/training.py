"""``smallnets fit``: train a net of the zoo on pictures."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from ..speak import say
from .app import app
from .parsing import (
    Data,
    Device,
    Download,
    Labels,
    Limit,
    Net,
    OnError,
    Precision,
    Root,
    Set,
    parse_settings,
    side,
    weights,
)


@app.command()
def fit(
    net: Net,
    data: Data,
    run_dir: Annotated[
        Path | None, typer.Option(help="Folder for checkpoints, metrics, curves and the report.  [runs/NET-DATA]")
    ] = None,
    set_: Set = None,
    weights_: Annotated[
        str | None,
        typer.Option(
            "--weights",
            help="Start from this file, or from trained weights by name; a head for other classes starts afresh.",
        ),
    ] = None,
    freeze: Annotated[
        str | None, typer.Option(help="Hold the net up to this stage as it is, e.g. layer2; what is behind learns.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="In all, also when going on.  [net's own]")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Samples an update.  [net's own]")] = None,
    optimizer: Annotated[str | None, typer.Option(help="sgd, adam or adamw.  [net's own]")] = None,
    lr: Annotated[float | None, typer.Option(help="Highest learning rate.  [net's own]")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="[net's own]")] = None,
    decay: Annotated[str, typer.Option(help="What decays: all parameters, as in torch, or weights alone.")] = "all",
    schedule: Annotated[
        str | None, typer.Option(help="constant, cosine, onecycle, plateau, 'step(20, 0.1)'.  [net's own]")
    ] = None,
    momentum: Annotated[float, typer.Option(help="Of sgd.")] = 0.9,
    warmup_epochs: Annotated[float, typer.Option(help="Epochs of linear warm-up.")] = 0,
    label_smoothing: Annotated[float | None, typer.Option(help="Of the cross entropy.  [net's own]")] = None,
    class_weights: Annotated[
        str | None, typer.Option(help="Of the cross entropy: balanced, or a number a class, comma-separated.")
    ] = None,
    augment: Annotated[
        str,
        typer.Option(help="auto, none, crop, crop-flip, resized-crop-flip, scale-jitter-flip."),
    ] = "auto",
    mix: Annotated[str | None, typer.Option(help="'mixup(0.2)' or 'cutmix(1.0)'.")] = None,
    ema: Annotated[float | None, typer.Option(help="Decay of averaged weights.")] = None,
    clip_norm: Annotated[float | None, typer.Option(help="Largest norm of the gradient.")] = None,
    accumulate: Annotated[int, typer.Option(help="Batches an update sums over.")] = 1,
    limit: Limit = None,
    val: Annotated[
        str | None, typer.Option(help="Split to validate on.  [val, valid, validation, dev; else a tenth of train]")
    ] = None,
    test: Annotated[str, typer.Option(help="Split to test on once, at the end; none leaves it out.")] = "test",
    classes: Annotated[str | None, typer.Option(help="Keep these classes, comma-separated, in this order.")] = None,
    labels: Labels = None,
    size: Annotated[str | None, typer.Option(help="Side of the pictures in pixels, or H,W.")] = None,
    root: Root = None,
    download: Download = False,
    on_error: OnError = "raise",
    monitor: Annotated[
        str, typer.Option(help="Chooses the best epoch: val_loss (the finer measure), val_accuracy, loss or accuracy.")
    ] = "val_loss",
    patience: Annotated[int | None, typer.Option(help="Stop after so many epochs without a better monitor.")] = None,
    last: Annotated[
        bool | None,
        typer.Option("--last/--best", help="Report on the last epoch's weights, or the best's.  [net's own]"),
    ] = None,
    resume: Annotated[str, typer.Option(help="auto, never, or changed (go on with other settings).")] = "auto",
    save_every: Annotated[int | None, typer.Option(help="Updates between checkpoints within an epoch.")] = None,
    seed: Annotated[int, typer.Option(help="Of weights, order, augmentation and dropout.")] = 0,
    deterministic: Annotated[bool, typer.Option("--deterministic", help="Exactly repeatable.")] = False,
    precision: Precision = "auto",
    device: Device = "auto",
    workers: Annotated[int | None, typer.Option(help="Processes that read pictures from disk.  [one a core]")] = None,
    check: Annotated[bool, typer.Option(help="Warn of classic mistakes before it starts.")] = True,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Also write for TensorBoard.")] = False,
) -> None:
    """Train a net, watch it on validation data, and test it once at the end.

    Of class folders without splits a tenth each is held out for validation and for the test.

    Run again, it goes on where it was stopped; Ctrl-C saves first. Options marked [net's own] come from the net's
    entry in the registry: what trains it well.
    """
    given = dict(locals())
    from ..experiments.experiment import Experiment
    from ..models.build import entry
    from ..training.options import FitOptions

    training = {field.name for field in dataclasses.fields(FitOptions)}
    settings = {name: value for name, value in given.items() if name in training and value is not None}
    folder = run_dir or Path("runs") / f"{net}-{Path(data).stem}"
    if class_weights not in (None, "balanced"):
        settings["class_weights"] = weights("--class-weights", str(class_weights))
    settings |= {"run_dir": str(folder)} | ({} if last is None else {"restore_best": not last})
    experiment = Experiment(
        net,
        parse_settings(set_),
        data,
        {
            "labels": labels,
            "classes": None if classes is None else [name.strip() for name in classes.split(",")],
            "size": None if size is None else side("--size", size),
            "root": root,
            "download": download,
            "on_error": on_error,
        },
        FitOptions(**{**vars(entry(net).recipe), **settings}),
        val=val,
        test=None if test == "none" else test,
        limit=limit,
        small_forms=True,
        weights=weights_,
        frozen=freeze,
    )
    for line in experiment.run():
        say(line, "stdout")  # a reader that has gone costs no epoch
