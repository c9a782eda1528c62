"""A finished run on the test split, once: the files and the few lines that a person wants at the end."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ..data.imageset import ImageSet, ImageStream
from ..errors import RunError, message
from ..facts import DataFacts, leave_facts
from ..models.base import Net
from ..models.build import build
from ..training.checkpoint.files import BEST, LAST
from ..training.checkpoint.run_folder import RunFolder, read
from ..training.history import History
from ..training.metrics import Metrics
from ..training.predict import predict
from ..warn import warn

GRID = 40  # pictures in grid.png


def write_report(
    folder: Path,
    net: Net,
    test: ImageSet | ImageStream,
    metrics: Metrics,
    history: History,
    how: Mapping[str, Any],
    **facts: Any,
) -> dict[str, Any]:
    """Write report.json, predictions.csv, confusion.png and grid.png.

    Args:
        folder: The run's folder.
        net: The trained net.
        test: The test split.
        metrics: What was measured on it.
        history: The run's rows.
        how: Device and precision of the run.
        **facts: What else the report should say.
    """
    predictions = predict(net, test, **how)
    predictions.to_csv(folder / "predictions.csv")
    wrong = (predictions.labels != test.labels).nonzero().flatten()
    right = (predictions.labels == test.labels).nonzero().flatten()
    # Mistakes first, up to half of the grid, then others spread over the whole set.
    wrong = wrong[: GRID // 2]
    spread = torch.linspace(0, max(0, len(right) - 1), min(len(right), GRID - len(wrong))).long()
    chosen = torch.cat([wrong, right[spread]])
    shown = test[chosen] if isinstance(test, ImageSet) else in_memory(test[chosen])
    best = history.best
    report = {
        "net": net.config,
        "test_accuracy": metrics.accuracy,
        "test_loss": metrics.loss,
        "test_pictures": metrics.n,
        "val_accuracy": best["val_accuracy"],
        "best_epoch": best["epoch"],
        "epochs": len(history),
        "seconds": sum(history["seconds"]),
        "images_per_second": max(history["images_per_second"]),
        "parameters": sum(p.numel() for p in net.parameters()),
        "per_class": {name: None if math.isnan(value) else value for name, value in metrics.per_class.items()},
        "plan": history.plan,
        **facts,
    }
    RunFolder(folder).write_json("report.json", report)
    try:
        metrics.plot_confusion(folder / "confusion.png")
        predict(net, shown, **how).grid(shown, folder / "grid.png")
    except ImportError as error:  # the pictures need matplotlib, the figures do not
        warn(str(error))
    return report


def in_memory(stream: ImageStream) -> ImageSet:
    """A few pictures of a stream, read."""
    images = torch.stack([stream[row][0] for row in range(len(stream))])
    return ImageSet(stream.labels, stream.classes, stream.ids, stream.mean, stream.std, images=images)


def read_report(folder: Path) -> dict[str, Any] | None:
    """The report of a run that has one."""
    path = folder / "report.json"
    return json.loads(path.read_text()) if path.exists() else None


def open_run(folder: Path) -> tuple[Net, DataFacts]:
    """The best net of a run (the last where no best was kept), and what the run knows of its data.

    Raises:
        RunError: When the folder holds no run, or one of a net that is not of the zoo.
    """
    if not folder.is_dir():
        raise RunError(message("smallnets", "the folder of a run", repr(str(folder)), "Check the path."))
    path = folder / BEST if (folder / BEST).exists() else folder / LAST
    if not path.exists():
        got = f"no checkpoint in {folder}"
        raise RunError(message("smallnets", "the folder of a run", got, "Make one: smallnets fit --run-dir."))
    run = read(path)
    if run.net.config is None:
        raise RunError(message("smallnets", "a run of a net of the zoo", run.net.kind))
    net = build(**run.net.config)
    net.load_state_dict(run.weights)
    facts = run.data.facts
    facts = replace(facts, classes=facts.classes or tuple(str(label) for label in range(net.num_classes)))
    leave_facts(net, facts)
    return net.eval(), facts
