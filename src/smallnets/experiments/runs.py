"""Runs as they lie on disk: the net that a run ended with, and what its folder says of it."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.imageset import ImageSet, ImageStream
from ..data.sources import load as load_pictures
from ..errors import DataError, RunError, message
from ..facts import DataFacts, facts_of, leave_facts
from ..models.base import Net
from ..models.storage import load
from ..models.trained import is_trained_name
from ..training.checkpoint.files import BEST, LAST
from ..training.checkpoint.run_folder import read
from ..training.records import Row

METRICS, CONFIG, REPORT = "metrics.csv", "config.json", "report.json"
NUMBERS = ("test_accuracy", "seconds", "epochs", "parameters", "macs")  # of a report


@dataclass(frozen=True)
class RunRecord:
    """What the folder of a run says.

    Attributes:
        path: The folder.
        rows: A row an epoch, as ``History`` has them.
        config: Net, options, data and plan, as ``fit`` notes them.
        report: What was measured at the end; empty while the run has no report.
    """

    path: Path
    rows: tuple[Row, ...]
    config: Mapping[str, Any]
    report: Mapping[str, Any]


def is_run(folder: Path) -> bool:
    return (folder / METRICS).is_file()


def read_run(folder: Path) -> RunRecord:
    """A run's record.

    Raises:
        RunError: When the folder holds no run, or one of its files is broken.
    """
    missing = [name for name in (METRICS, CONFIG) if not (folder / name).is_file()]
    if missing:
        if folder.is_file():  # of a pattern such as runs/*, which takes in the files beside the runs
            advice = f"Name the folder around it, {str(folder.parent)!r}, or folders alone: {folder.parent / '*'}/."
            raise RunError(message("compare", "the folder of a run", f"a file, {str(folder)!r}", advice))
        got = f"no {missing[0]} in {str(folder)!r}" if folder.is_dir() else repr(str(folder))
        begun = len(missing) == 1 or (folder / LAST).exists()
        advice = "Go on with the run, which writes it anew." if begun else "Make one: smallnets fit --run-dir."
        raise RunError(message("compare", "the folder of a run", got, advice))
    try:
        with (folder / METRICS).open(newline="", encoding="utf-8") as file:
            rows = tuple(read_row(row) for row in csv.DictReader(file))
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        report = read_report(folder) or {}
        if wrong := [name for name in ("net", "options", "data") if not isinstance(config[name], dict)]:
            raise TypeError(f"{wrong[0]} in {CONFIG} is no table")
    except (OSError, ValueError, KeyError, TypeError) as error:
        advice = "Go on with the run, which writes it anew."
        raise RunError(message("compare", f"a whole run in {folder}", f"a broken file ({error})", advice)) from error
    return RunRecord(folder, rows, config, report)


def find_runs(folder: Path) -> list[tuple[Path, list[RunRecord]]]:
    """The runs in a folder, those of several seeds together; runs inside a run are its own affair.

    Raises:
        RunError: When there is none.
    """
    found = list(runs_below(folder)) if folder.is_dir() and not is_run(folder) else []
    return [(place, [read_run(path) for path in paths]) for place, paths in found or [(folder, [folder])]]


def runs_below(folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[tuple[Path, list[Path]]]:
    """The folders of runs in a folder; links are followed, but not in circles."""
    above |= {folder.resolve()}
    below = sorted(path for path in folder.iterdir() if path.is_dir() and path.resolve() not in above)
    seeds = [path for path in below if path.name.startswith("seed-") and is_run(path)]
    if seeds:
        yield folder, seeds
    for path in below:
        if path not in seeds:
            yield from [(path, [path])] if is_run(path) else runs_below(path, above)


def holds_runs(folder: Path) -> bool:
    return is_run(folder) or any(runs_below(folder))


def read_row(row: Mapping[str, str]) -> Row:
    """A row of metrics.csv in numbers; what is empty there is None."""
    found: Any = {name: float(row[name]) if row[name] else None for name in Row.__annotations__}
    if empty := [name for name, value in found.items() if value is None and not name.startswith("val_")]:
        raise ValueError(f"no {empty[0]} in a row of {METRICS}")
    found["epoch"] = int(row["epoch"])
    return found


def read_report(folder: Path) -> dict[str, Any] | None:
    """The report of a run that has one."""
    path = folder / REPORT
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError(f"a {type(found).__name__}")
        for name in NUMBERS:
            if not isinstance(found.get(name), int | float | None):
                raise ValueError(f"{name} is no number")
    except (OSError, ValueError, RecursionError) as error:
        advice = "Remove it: going on with the run writes it anew."
        raise RunError(message("smallnets", f"a report in {path}", f"a broken file ({error})", advice)) from error
    return found


def open_run(folder: Path) -> tuple[Net, DataFacts]:
    """The net of a run, a trained net of the package, or one that ``save`` wrote; and what it knows of its data.

    The best epoch's where the run was to restore it, as the command line asks; else the last, averaged weights where
    there are any.

    Raises:
        RunError: When the folder holds no run, or one of a net that is not of the zoo.
        WeightsError: When what it holds was changed.
    """
    if folder.is_file() or (is_trained_name(str(folder)) and not folder.exists()):
        net = load(str(folder))
        facts = facts_of(net)
        if facts is None:  # never of the package's own
            raise RunError(message("smallnets", "a net that knows its data", f"{folder}, which does not"))
        return net.eval(), facts
    if not folder.is_dir():
        raise RunError(message("smallnets", "the folder of a run", repr(str(folder)), "Check the path."))
    paths = [folder / name for name in (BEST, LAST) if (folder / name).exists()]
    if not paths:
        got = f"no checkpoint in {str(folder)!r}"
        raise RunError(message("smallnets", "the folder of a run", got, "Make one: smallnets fit --run-dir."))
    path = paths[0]
    run = read(path)
    if not run.options.get("restore_best") and path != paths[-1]:
        path = paths[-1]
        run = read(path)
    if run.net.config is None:
        raise RunError(message("smallnets", "a run of a net of the zoo", run.net.kind))
    net = load(path)  # never more than the file holds, and nothing that its config names
    facts = run.data.facts
    leave_facts(net, facts)
    return net.eval(), facts


def tested_on(folder: Path, facts: DataFacts, source: str | None, root: Path | None) -> ImageSet | ImageStream:
    """The pictures that a run was tested on, as its net takes them.

    Args:
        folder: Of the run, or the name of a trained net of the package.
        facts: What the net knows of its data.
        source: Instead of the run's own, the set whose test split it is.
        root: Folder of torchvision's files, for the named sets.

    Raises:
        DataError: When they are no longer where they were, or were held out of a folder without splits.
    """
    report = read_report(folder) or {}
    own = report.get("data", facts.source)
    split = "test" if source is not None else report.get("test_split", "test")
    if (not own and source is None) or split is None:
        raise DataError(message("explain", "a run that was tested", str(folder), "Name a set: --data."))
    known: Any = {"size": facts.size, "channels": facts.channels, "stats": (facts.mean, facts.std)}
    return load_pictures(source or str(own), split, **known, white=facts.white, root=root)
