"""What a run went through: a row an epoch."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast, overload

from ..errors import OptionError, PlaceError, message, nearest
from ..files import write_text
from ..spreadsheet import csv_text
from .options import Monitor
from .records import PlanRecord, Row
from .views import history_page

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Column = Literal["loss", "accuracy", "lr", "seconds", "images_per_second"]
ValColumn = Literal["val_loss", "val_accuracy"]


@dataclass
class History:
    """Rows of a run, one an epoch.

    Each is a dict: epoch (from 1), loss, accuracy, val_loss, val_accuracy, lr, seconds, images_per_second. Accuracies
    are fractions in [0, 1]; the columns of ``val`` are None without validation.

    >>> history = History([{"epoch": 1, "loss": 0.5, "accuracy": 0.8}])
    >>> history["accuracy"], history[-1]["loss"], history.best["epoch"]
    ([0.8], 0.5, 1)
    """

    rows: list[Row] = field(default_factory=list)
    monitor: Monitor = "val_accuracy"
    plan: PlanRecord = field(default_factory=PlanRecord)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, column: int) -> Row: ...
    @overload
    def __getitem__(self, column: Literal["epoch"]) -> Sequence[int]: ...  # type: ignore[overload-overlap]
    @overload
    def __getitem__(self, column: Column) -> Sequence[float]: ...
    @overload
    def __getitem__(self, column: ValColumn | str) -> Sequence[float | None]: ...
    def __getitem__(self, column: str | int) -> Sequence[float | None] | Row:
        """A column by its name, or a row by its place: ``history[-1]`` is the last epoch's.

        Raises:
            ValueError: When there is no such column or row; the latter is an IndexError, too.
        """
        if isinstance(column, int) and not isinstance(column, bool):
            if not -len(self.rows) <= column < len(self.rows):
                raise PlaceError(message("History", f"the place of one of {len(self.rows)} rows", column))
            return self.rows[column]
        if not isinstance(column, str) or (self.rows and column not in self.rows[0]):  # pyright: ignore[reportUnnecessaryIsInstance]
            known = list(Row.__annotations__) if not self.rows else list(self.rows[0])
            raise OptionError(
                message("History", f"a column of {', '.join(known)}", repr(column), nearest(column, known))
            )
        return [cast("dict[str, float | None]", row)[column] for row in self.rows]

    @property
    def best(self) -> Row:
        """The row of the best epoch by ``monitor`` (by the training column where nothing was validated).

        Raises:
            ValueError: When there is no row.
        """
        if not self.rows:
            raise OptionError(message("History", "a row at least", "none"))
        return min(self.rows, key=lambda row: score(row, self.monitor))

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the rows, with a header."""
        write_text(path, self.csv_text(), "History")

    def csv_text(self) -> str:
        columns = tuple(Row.__annotations__)
        return csv_text([columns, *([row.get(column) for column in columns] for row in self.rows)])

    def plot(
        self, path: str | os.PathLike[str] | None = None, *, ax: "Axes | Sequence[Axes] | None" = None
    ) -> "Figure":
        """Draw loss and accuracy over the epochs, train and validation; save when a path is given.

        Args:
            path: Where to save the drawing, too.
            ax: Axes of yours to draw into: one for what ``monitor`` looks at, loss or accuracy, or a pair for both.
        """
        from ..plots import plot_history

        return plot_history(self.rows, path, ax=ax, alone="loss" if "loss" in self.monitor else "accuracy")

    def _repr_html_(self) -> str:
        return history_page(self.rows, self.best if self.rows else None)


def score(row: Row, monitor: Monitor) -> float:
    """A number to make small: the loss, or minus the accuracy; of training where nothing was validated."""
    reached = row.get(monitor)
    if "accuracy" in monitor:
        return -(row["accuracy"] if reached is None else reached)
    return row["loss"] if reached is None else reached
