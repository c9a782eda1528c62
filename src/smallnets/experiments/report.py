"""What a finished experiment leaves in its folder: figures, predictions, pictures, a page; and a few lines to read."""

import math
import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .._version import __version__
from ..data.imageset import ImageSet, ImageStream
from ..files import write_text
from ..models.base import Net
from ..pictures import drawing
from ..spreadsheet import csv_text
from ..summary import summarize
from ..training.checkpoint.run_folder import RunFolder
from ..training.history import History
from ..training.metrics import Metrics, Predictions, natural
from ..training.options import FitOptions
from ..training.predict import predict
from ..warn import warn
from .page import way_words, write_page
from .recipe import Figure, Recipe
from .runs import REPORT
from .splits import Pictures, Splits, shape_of

GRID = 40  # pictures in grid.png
FILES = (
    "last.ckpt best.ckpt metrics.csv config.json curves.png confusion.png grid.png predictions.csv report.json "
    "report.md report.html"
)


@dataclass(frozen=True)
class Outcome:
    """A trained net, what it was trained on, and what was measured."""

    folder: Path
    net: Net
    splits: Splits
    history: History
    test: Pictures | None
    metrics: Metrics | None
    ways: tuple[tuple[Mapping[str, Any], float], ...] = ()


def write_report(
    outcome: Outcome, settings: FitOptions, how: Mapping[str, Any], recipe: Recipe | None, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Write report.md, report.html and report.json; with a test split predictions.csv, confusion.png and grid.png, too.

    Args:
        outcome: What there is to report on.
        settings: The options of ``fit``.
        how: Device and precision of the run.
        recipe: What asked for the run, if a recipe did.
        facts: What else the report should say.

    Returns:
        The content of report.json.
    """
    summary = summarize(outcome.net, shape_of(outcome.splits.train))
    report = {**figures(outcome, settings), **facts, "seed": settings.seed, **surroundings()}
    report["macs"] = summary.totals.macs
    report["recipe"] = None if recipe is None else recipe.name
    report["reported"] = None if recipe is None or recipe.reported is None else asdict(recipe.reported)
    predictions = None
    if outcome.test is not None:
        predictions = predict(outcome.net, outcome.test, **how)
        write_text(outcome.folder / "predictions.csv", with_truth(predictions, outcome.test))
    try:
        draw(outcome, predictions, how, watched=bool(facts.get("watched")))
    except ImportError as error:  # the pictures need matplotlib, the figures do not
        warn(str(error))
    write_page(outcome.folder, report, settings, recipe, str(summary))
    RunFolder(outcome.folder).write_json(REPORT, report)  # the last: with it the run counts as complete
    return report


def figures(outcome: Outcome, settings: FitOptions) -> dict[str, Any]:
    """What was measured, as JSON has it."""
    history, metrics = outcome.history, outcome.metrics
    best = history.best
    tested = best if settings.restore_best else history.rows[-1]
    per_class = {} if metrics is None else metrics.per_class
    return {
        "net": outcome.net.config,
        "test_accuracy": None if metrics is None else metrics.accuracy,
        "test_loss": None if metrics is None else metrics.loss,
        "test_pictures": 0 if metrics is None else metrics.n,
        "train_accuracy": history["accuracy"][-1],
        "val_accuracy": tested["val_accuracy"],
        "tested_epoch": tested["epoch"],
        "best_epoch": best["epoch"],
        "epochs": len(history),
        "seconds": sum(history["seconds"]),
        "images_per_second": max(history["images_per_second"]),
        "parameters": sum(p.numel() for p in outcome.net.parameters()),
        "train_pictures": len(outcome.splits.train),
        "val_pictures": 0 if outcome.splits.val is None else len(outcome.splits.val),
        "classes": list(outcome.splits.train.classes),
        "per_class": {name: None if math.isnan(value) else value for name, value in per_class.items()},
        "notes": [] if metrics is None else list(metrics.notes),
        "ways": [dict(way) for way, _ in outcome.ways],
        "ways_accuracy": [accuracy for _, accuracy in outcome.ways],
        "plan": history.plan,
    }


def surroundings() -> dict[str, Any]:
    """Where it was measured: versions and the machine."""
    versions = {"smallnets": __version__, "torch": str(torch.__version__)}
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "versions": {**versions, "python": platform.python_version()},
        "hardware": {"cores": os.cpu_count(), "machine": platform.machine(), "gpu": gpu},
    }


def with_truth(predictions: Predictions, test: Pictures) -> str:
    """The predictions as CSV, sorted by id, the true class beside the predicted one."""
    true = [test.classes[label] for label in test.labels.tolist()]
    pairs = zip(predictions.rows(), true, strict=True)
    rows: list[list[str]] = [[*row[:2], name, *row[2:]] for row, name in pairs]
    rows.sort(key=lambda row: natural(row[0]))
    name, predicted, *shares = predictions.header()
    return csv_text([[name, predicted, "true", *shares], *rows])


def draw(outcome: Outcome, predictions: Predictions | None, how: Mapping[str, Any], watched: bool) -> None:
    """Curves, confusion matrix and grid."""
    from ..plots import plot_history

    label = "test, looked at every epoch, as in the report" if watched else "validation"
    tested = None if outcome.metrics is None or watched else outcome.metrics.accuracy
    with drawing("report"):
        plot_history(outcome.history.rows, outcome.folder / "curves.png", label, tested)
    if outcome.metrics is None or outcome.test is None or predictions is None:
        return
    with drawing("report"):
        outcome.metrics.plot_confusion(outcome.folder / "confusion.png")
    with drawing("report"):
        chosen = across_classes(predictions.labels, outcome.test.labels)
        shown = outcome.test[chosen] if isinstance(outcome.test, ImageSet) else in_memory(outcome.test[chosen])
        predict(outcome.net, shown, **how).grid(shown, outcome.folder / "grid.png")


def across_classes(predicted: Tensor, true: Tensor, count: int = GRID) -> Tensor:
    """Pictures to show: mistakes of every class first, up to half, then right ones of every class.

    >>> across_classes(torch.tensor([0, 0, 0, 1, 0]), torch.tensor([0, 0, 0, 1, 1]), count=4).tolist()
    [4, 0, 3, 1]
    """
    wrong = dealt((predicted != true).nonzero().flatten(), true)[: count // 2]
    right = dealt((predicted == true).nonzero().flatten(), true)[: count - len(wrong)]
    return torch.cat([wrong, right])


def dealt(rows: Tensor, true: Tensor) -> Tensor:
    """Rows in turns: the first of each class, then the second of each."""
    labels = true[rows].tolist()
    seen: dict[int, int] = {}
    turns: list[tuple[int, int, int]] = []
    for place, label in enumerate(labels):
        turns.append((seen.get(label, 0), label, place))
        seen[label] = seen.get(label, 0) + 1
    return rows[[place for _, _, place in sorted(turns)]]


def in_memory(stream: ImageStream) -> ImageSet:
    """A few pictures of a stream, read."""
    images = torch.stack([stream[row][0] for row in range(len(stream))])
    return ImageSet(stream.labels, stream.classes, stream.ids, stream.mean, stream.std, images=images)


def report_lines(report: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """The report in words."""
    yield ""
    if report["test_accuracy"] is not None:
        look = "looked at every epoch" if report.get("watched") else "looked at once"
        look = f"held out, {look}" if "held out" in report.get("tested_on", "") else look
        yield f"test accuracy   {report['test_accuracy']:.4f}  ({report['test_pictures']:,} pictures, {look})"
    for note in report.get("notes", ()):
        yield f"note            {note}"
    if (reported := report.get("reported")) and Figure(**reported).test_accuracy is not None:
        yield f"reported        {reported['test_accuracy']:.4f}  ({reported['note']})"
    for way, accuracy in zip(report.get("ways", ()), report.get("ways_accuracy", ()), strict=True):
        yield f"                {accuracy:.4f}  ({way_words(way)})"
    if report["val_accuracy"] is not None and not report.get("watched"):
        held = report.get("validated_on")
        where = f"; {report['val_pictures']:,} pictures, {held.partition('(')[2].rstrip(')')}" if held else ""
        yield f"validation      {report['val_accuracy']:.4f}  ({epoch_words(report)}{where})"
    yield f"training took   {report['seconds']:.1f} s  ({report['images_per_second']:,.0f} images/s at best)"
    yield f"parameters      {report['parameters']:,}"
    there = [name for name in FILES.split() if (folder / name).exists()]
    yield f"files in {folder}: {', '.join(there)}"


def epoch_words(report: Mapping[str, Any]) -> str:
    """Which epoch's weights were tested."""
    kind = "best epoch" if report["tested_epoch"] == report["best_epoch"] else "last epoch"
    return f"{kind} {report['tested_epoch']} of {report['epochs']}"
