"""What a run went through: a row an epoch."""

import csv
import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OptionError, message, nearest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS: tuple[str, ...] = (
    "epoch",
    "loss",
    "accuracy",
    "val_loss",
    "val_accuracy",
    "lr",
    "seconds",
    "images_per_second",
)


@dataclass
class History:
    """Rows of a run, one an epoch.

    Each is a dict: epoch (from 1), loss, accuracy, val_loss, val_accuracy, lr, seconds, images_per_second. Accuracies
    are fractions in [0, 1]; the columns of ``val`` are None without validation.

    >>> history = History([{"epoch": 1, "loss": 0.5, "accuracy": 0.8}])
    >>> history["accuracy"], history.best["epoch"]
    ([0.8], 1)
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    monitor: str = "val_accuracy"
    plan: dict[str, Any] = field(default_factory=dict)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, column: str) -> list[Any]:
        """A column.

        Raises:
            ValueError: When there is no such column.
        """
        if self.rows and column not in self.rows[0]:
            known = list(self.rows[0])
            raise OptionError(
                message("History", f"a column of {', '.join(known)}", repr(column), nearest(column, known))
            )
        return [row[column] for row in self.rows]

    @property
    def best(self) -> dict[str, Any]:
        """The row of the best epoch by ``monitor`` (by the training column where nothing was validated)."""
        if not self.rows:
            return {}
        monitor = self.monitor if self.rows[0].get(self.monitor) is not None else self.monitor.removeprefix("val_")
        return min(self.rows, key=lambda row: score(row, monitor))

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the rows, with a header."""
        Path(path).write_text(self.csv_text(), encoding="utf-8")

    def csv_text(self) -> str:
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue()

    def plot(self, path: str | os.PathLike[str] | None = None) -> "Figure":
        """Draw loss and accuracy over the epochs, train and validation; save when a path is given."""
        from ..plots import plot_history

        return plot_history(self.rows, path)


def score(row: Mapping[str, Any], monitor: str) -> float:
    """A number to make small: the loss, or minus the accuracy."""
    return -row[monitor] if "accuracy" in monitor else row[monitor]
