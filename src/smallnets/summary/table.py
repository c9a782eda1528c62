"""The table itself: rows and totals, and the forms that data takes."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import write_text
from ..spreadsheet import csv_text
from .field import Field
from .row import Row, Shape

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the net; what is shared counts once.

    Attributes:
        params: Parameters, ``trainable`` and ``frozen`` together.
        macs: Multiply-accumulates of the whole batch.
        elementwise: Elements computed by anything else.
        activation_bytes: Bytes of all outputs; what is overwritten in place or only viewed counts once.
    """

    params: int
    trainable: int
    frozen: int
    macs: int
    elementwise: int
    activation_bytes: int
    param_bytes: int
    buffer_bytes: int
    input_bytes: int


@dataclass(frozen=True)
class Table:
    """What a net is made of, call by call, as data.

    Attributes:
        model: The builder's name of a net of the zoo, else the model's class.
        input_size: As given to ``summarize``.
        rows: One a call, in call order.
        totals: Sums over the net.
        modules: Class of each module that calls others, by path.
        failure: Why the model gave out behind the last row, in one sentence; None when it ran through.
        notes: What else a reader should know, a sentence each.
        input_shape: Shape of the first picture among the inputs, batch dimension in front.
        fields: How each row's output lies over the input, for ``receptive_field``.
        sources: The rows whose outputs each row takes; -1 is the input.
    """

    model: str
    input_size: Any
    batch_size: int
    rows: tuple[Row, ...]
    totals: Totals
    modules: Mapping[str, str]
    failure: str | None = None
    notes: tuple[str, ...] = ()
    input_shape: Shape = ()
    _memory: Callable[[int], int] | None = field(default=None, repr=False, compare=False)
    fields: tuple[Field | None, ...] = field(default=(), repr=False, compare=False)
    sources: tuple[tuple[int, ...], ...] = field(default=(), repr=False, compare=False)

    @property
    def flops(self) -> int:
        """Two floating-point operations for each of the multiply-accumulates."""
        return 2 * self.totals.macs

    def to_dict(self) -> dict[str, Any]:
        """``{"rows": [...], "totals": {...}, ...}``, shapes as tuples with the batch dimension in front."""
        return {
            "model": self.model,
            "batch_size": self.batch_size,
            "rows": [asdict(row) for row in self.rows],
            "totals": asdict(self.totals),
            "failure": self.failure,
            "notes": list(self.notes),
        }

    def to_json(self, path: str | Path | None = None, *, indent: int | None = None) -> str:
        """``to_dict`` as JSON text, also written to ``path`` if there is one."""
        text = json.dumps(self.to_dict(), indent=indent, default=number)
        if path is not None:
            write_text(path, text + "\n", "summary")
        return text

    def to_csv(self, path: str | Path | None = None) -> str:
        """The rows as CSV text, shapes written like 1x64x112x112, also written to ``path`` if there is one."""
        names = [column.name for column in dataclasses.fields(Row)]
        text = csv_text([names, *([cell(getattr(row, name)) for name in names] for row in self.rows)])
        if path is not None:
            write_text(path, text, "summary")
        return text

    def to_pandas(self) -> "pd.DataFrame":
        """The rows as a pandas data frame.

        Raises:
            ImportError: When pandas is not installed.
        """
        import pandas as pd

        return pd.DataFrame(
            [asdict(row) for row in self.rows], columns=[column.name for column in dataclasses.fields(Row)]
        )


def number(value: object) -> float:
    """A fraction as JSON has it."""
    assert isinstance(value, Fraction)
    return float(value)


def cell(value: Any) -> Any:
    """A value as a CSV cell: shapes joined by x, several shapes by spaces."""
    if isinstance(value, tuple):
        nested = bool(value) and isinstance(value[0], tuple)
        return " ".join(cell(part) for part in value) if nested else "x".join(str(side) for side in value)
    return value
