"""Runs side by side: their curves in one picture, and a table of what they reached and what it cost."""

import html
import json
import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..errors import OptionError, RunError, SmallnetsError, message
from ..files import user_path, write_text
from ..spreadsheet import csv_text
from ..training.history import History
from .runs import RunRecord, find_runs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS: tuple[str, ...] = (
    "run", "net", "runs", "epochs", "test_accuracy", "test_spread", "val_accuracy", "seconds", "parameters", "macs",
    "images_per_second",
)  # fmt: skip
HEAD = ("run", "net", "runs", "epochs", "test accuracy", "validation", "seconds", "parameters", "MACs", "images/s")


@dataclass(frozen=True)
class Compared:
    """One run, or the same run from several seeds."""

    label: str
    runs: tuple[RunRecord, ...]

    @property
    def net(self) -> str:
        known = self.runs[0].config.get("net", {})
        return str((known.get("config") or {}).get("name") or known.get("class", "").rpartition(".")[2])

    @property
    def test(self) -> list[float]:
        """Test accuracies of the runs that have one."""
        found = (run.report.get("test_accuracy") for run in self.runs)
        return [float(accuracy) for accuracy in found if accuracy is not None]

    @property
    def watched(self) -> bool:
        """Whether what stands in the columns of validation is the test split."""
        return any(run.report.get("watched") for run in self.runs)

    @property
    def val(self) -> list[float]:
        """The best validation accuracies of the runs that have one."""
        columns = ([row.get("val_accuracy") for row in run.rows] for run in self.runs)
        known = [[value for value in column if value is not None] for column in columns]
        return [] if self.watched else [max(column) for column in known if column]

    @cached_property
    def costs(self) -> tuple[int | None, int | None]:
        """Parameters and multiply-accumulates a picture; None where the run does not say."""
        report, config = self.runs[0].report, self.runs[0].config
        if {"parameters", "macs"} <= set(report):
            return report["parameters"], report["macs"]
        net = (config.get("net") or {}).get("config")
        if net is None:
            return config.get("parameters"), None
        import torch

        from ..models.build import build
        from ..summary import summarize

        try:
            with torch.device("meta"):
                totals = summarize(build(**net), tuple(config["data"]["shape"])).totals
        except SmallnetsError:
            return config.get("parameters"), None
        return totals.params, totals.macs

    def over_runs(self, column: str, of_run: Callable[[list[float]], float]) -> float | None:
        """The mean over the runs of what is made of a column; None where a row does not have it."""
        columns = [[row.get(column) for row in run.rows] for run in self.runs]
        if any(value is None for values in columns for value in values):
            return None
        return statistics.fmean(of_run(cast("list[float]", values)) for values in columns)

    @property
    def notes(self) -> list[str]:
        """What one must know of a line of several runs, where they are not alike."""
        epochs = sorted({len(run.rows) for run in self.runs})
        found = [f"{self.label}: runs of {epochs[0]} to {epochs[-1]} epochs."] if len(epochs) > 1 else []
        if 0 < len(self.test) < len(self.runs):
            found.append(f"{self.label}: the test accuracy is that of {len(self.test)} of {len(self.runs)} runs.")
        return found

    def to_dict(self) -> dict[str, Any]:
        """What the table shows, in numbers; means over the runs."""
        parameters, macs = self.costs
        return {
            "run": self.label,
            "net": self.net,
            "runs": len(self.runs),
            "epochs": max(len(run.rows) for run in self.runs),
            "test_accuracy": statistics.fmean(self.test) if self.test else None,
            "test_spread": statistics.stdev(self.test) if len(self.test) > 1 else None,
            "val_accuracy": statistics.fmean(self.val) if self.val else None,
            "seconds": self.over_runs("seconds", sum),
            "parameters": parameters,
            "macs": macs,
            "images_per_second": self.over_runs("images_per_second", statistics.median),
        }

    def cells(self) -> list[str]:
        """What the table shows, in words."""
        found = self.to_dict()
        test = "" if found["test_accuracy"] is None else f"{found['test_accuracy']:.4f}"
        if found["test_spread"] is not None:
            test += f" ± {found['test_spread']:.4f}"
        val = "" if found["val_accuracy"] is None else f"{found['val_accuracy']:.4f}"
        costs = ["" if found[name] is None else f"{found[name]:,}" for name in ("parameters", "macs")]
        seconds = "" if found["seconds"] is None else f"{found['seconds']:,.1f}"
        speed = "" if found["images_per_second"] is None else f"{found['images_per_second']:,.0f}"
        return [self.label, self.net, str(found["runs"]), str(found["epochs"]), test, val, seconds, *costs, speed]


@dataclass(frozen=True)
class Comparison:
    """Runs side by side; ``str`` is the table.

    Attributes:
        lines: A run each, or the same run from several seeds.
        failed: Why runs that were asked for are not as they were asked for, if some are not.
    """

    lines: tuple[Compared, ...]
    failed: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Compared]:
        return iter(self.lines)

    def __len__(self) -> int:
        return len(self.lines)

    def __str__(self) -> str:
        rows = [list(HEAD), *(line.cells() for line in self.lines)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
        shown = ["  ".join(place(row, widths)).rstrip() for row in rows]
        notes = ["± is the standard deviation over the runs."] if any(len(line.test) > 1 for line in self.lines) else []
        return "\n".join([*shown, *notes, *self.notes])

    @property
    def notes(self) -> list[str]:
        """What one must know of lines of several runs that are not alike."""
        return [note for line in self.lines for note in line.notes]

    def to_dict(self) -> list[dict[str, Any]]:
        """A dict a line, by the names of the CSV's columns; accuracies are fractions."""
        return [line.to_dict() for line in self.lines]

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a row a line, numbers in full."""
        rows = ([row[column] for column in COLUMNS] for row in self.to_dict())
        write_text(path, csv_text([COLUMNS, *rows]))

    def to_markdown(self) -> str:
        rows = [HEAD, ["---"] * len(HEAD), *(line.cells() for line in self.lines)]
        table = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
        return "\n\n".join([table, *self.notes])

    def plot(self, path: str | os.PathLike[str] | None = None) -> "Figure":
        """Draw loss and accuracy of all over the epochs; save when a path is given.

        Raises:
            ImportError: Without matplotlib.
        """
        from .curves import Curves, plot_curves

        lines = [Curves(line.label, [run.rows for run in line.runs], line.test) for line in self.lines]
        return plot_curves(lines, path)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in HEAD)
        rows = ("".join(f"<td>{html.escape(cell)}</td>" for cell in line.cells()) for line in self.lines)
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>{notes}"


def place(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Names to the left, numbers to the right."""
    return [
        cell.ljust(width) if column < 2 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]


def compare(*runs: str | os.PathLike[str] | History) -> Comparison:
    """Set runs side by side, of any nets, also of one's own.

    Args:
        *runs: Folders that ``fit(run_dir=...)`` or the command line wrote, or folders of such; runs in folders
            ``seed-0``, ``seed-1``, ... of one folder are one line, with mean and spread. A ``History`` is a run, too.

    Returns:
        The table; ``.plot(path)`` draws the curves in one picture, ``.to_csv(path)`` writes it.

    Raises:
        RunError: When a folder holds no run.

    >>> from smallnets import History
    >>> row = {"epoch": 1, "loss": 0.5, "accuracy": 0.8, "val_loss": 0.6, "val_accuracy": 0.7, "seconds": 2.0,
    ...     "images_per_second": 100.0}
    >>> compare(History([row])).to_dict()[0]["val_accuracy"]
    0.7
    """
    if not runs:
        raise OptionError(message("compare", "at least one run", "none", "Give the folders of runs."))
    groups: list[tuple[Path, list[RunRecord]]] = []
    for number, given in enumerate(runs, start=1):
        if isinstance(given, History):
            path = Path(f"run {number}")
            groups.append((path, [RunRecord(path, tuple(given.rows), {}, {})]))
        else:
            groups += find_runs(user_path("compare", "every run", given))
    return side_by_side(groups)


def side_by_side(groups: Sequence[tuple[Path, Sequence[RunRecord]]]) -> Comparison:
    """A line a group of runs, which is named by its folder.

    Raises:
        RunError: When a run has no epoch yet.
    """
    names = labels([path for path, _ in groups])
    lines = [Compared(name, tuple(found)) for name, (_, found) in zip(names, groups, strict=True)]
    if empty := next((run.path for line in lines for run in line.runs if not run.rows), None):
        raise RunError(message("compare", "runs of at least one epoch", f"none yet in {empty}", "Go on with it first."))
    return Comparison(tuple(lines))


def labels(paths: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that tell them apart.

    >>> labels([Path("runs/a/x"), Path("runs/b/x"), Path("runs/c")])
    ['a/x', 'b/x', 'c']
    """
    found: list[str] = []
    for path in paths:
        parts = path.parts or (str(path),)
        ends = ["/".join(parts[-count:]) for count in range(1, len(parts) + 1)]
        others = [other for other in paths if other != path]
        alone = (end for end in ends if not any(f"/{other.as_posix()}".endswith(f"/{end}") for other in others))
        found.append(next(alone, str(path)))
    return found
