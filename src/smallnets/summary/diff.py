"""What one net has that another has not."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any

from .row import Row
from .table import Summary


@dataclass(frozen=True, slots=True)
class Change:
    """A layer that both nets have under one path, and that is not the same in both."""

    before: Row
    after: Row

    @property
    def params(self) -> int:
        """Change in parameters."""
        return self.after.params - self.before.params

    @property
    def macs(self) -> int:
        """Change in multiply-accumulates."""
        return self.after.macs - self.before.macs


@dataclass(frozen=True, slots=True)
class SummaryDiff:
    """What the second net adds to, removes from and changes in the first.

    Attributes:
        added: Rows of the second net alone.
        removed: Rows of the first net alone.
        changed: Rows of both, with other numbers.
        params: Change in parameters over the whole net.
        macs: Change in multiply-accumulates over the whole net.
    """

    added: tuple[Row, ...]
    removed: tuple[Row, ...]
    changed: tuple[Change, ...]
    params: int
    macs: int

    def to_dict(self) -> dict[str, Any]:
        """The lists and the changes as plain values."""
        return asdict(self)

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def __str__(self) -> str:
        lines = [line("+", row, row.params, row.macs) for row in self.added]
        lines += [line("-", row, -row.params, -row.macs) for row in self.removed]
        lines += [line("~", change.after, change.params, change.macs, change.before.type) for change in self.changed]
        return "\n".join([*lines, f"in all: {self.params:+,} parameters, {self.macs:+,} MACs"])


def line(sign: str, row: Row, params: int, macs: int, before: str = "") -> str:
    kind = row.type if before in ("", row.type) else f"{before} -> {row.type}"
    name = f"{row.path or '(forward)'} {kind}"
    output = "x".join(str(side) for side in row.shape)
    return f"{sign} {name:<44} {output:>18} {params:>+14,} parameters {macs:>+18,} MACs"


def compare(first: Summary, second: Summary) -> SummaryDiff:
    """Modules are matched by path, functional calls also by name, repeated ones by their order."""
    before, after = keyed(first.rows), keyed(second.rows)
    return SummaryDiff(
        added=tuple(row for key, row in after.items() if key not in before),
        removed=tuple(row for key, row in before.items() if key not in after),
        changed=tuple(
            Change(row, after[key]) for key, row in before.items() if key in after and own(row) != own(after[key])
        ),
        params=second.totals.params - first.totals.params,
        macs=second.totals.macs - first.totals.macs,
    )


def keyed(rows: Iterable[Row]) -> dict[tuple[str, str, int], Row]:
    """Rows by path, name and how often that pair came before."""
    found: dict[tuple[str, str, int], Row] = {}
    for row in rows:
        name = row.type if row.kind == "function" else ""
        key = next(key for turn in count() if (key := (row.path, name, turn)) not in found)
        found[key] = row
    return found


def own(row: Row) -> tuple[object, ...]:
    """What a layer is by itself; its receptive field is also the work of those before it."""
    window = (row.kernel_size, row.stride, row.padding, row.dilation)
    return (row.type, row.input, row.output, *window, row.params, row.macs)
