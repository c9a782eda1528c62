"""What one net has that another has not."""

from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from typing import Any

from .row import Row
from .table import Table


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


def compare(first: Table, second: Table) -> SummaryDiff:
    """Layers are matched in order, so that what stands behind an insertion stays itself; the rest by path."""
    before, after = list(first.rows), list(second.rows)
    matcher = SequenceMatcher(None, [look(row) for row in before], [look(row) for row in after], autojunk=False)
    pairs: list[tuple[Row, Row]] = []
    removed, added = before.copy(), after.copy()
    for block in matcher.get_matching_blocks():
        matched = zip(before[block.a : block.a + block.size], after[block.b : block.b + block.size], strict=True)
        for old, new in matched:
            pairs.append((old, new))
            removed.remove(old)
            added.remove(new)
    for old in removed.copy():
        for new in [row for row in added if (row.path, row.kind) == (old.path, old.kind)][:1]:
            pairs.append((old, new))
            removed.remove(old)
            added.remove(new)
    order = {id(row): place for place, row in enumerate(after)}
    pairs.sort(key=lambda pair: order[id(pair[1])])
    return SummaryDiff(
        added=tuple(added),
        removed=tuple(removed),
        changed=tuple(Change(old, new) for old, new in pairs if own(old) != own(new)),
        params=second.totals.params - first.totals.params,
        macs=second.totals.macs - first.totals.macs,
    )


def look(row: Row) -> tuple[object, ...]:
    """What makes two layers the same to a reader, whatever the size of their maps and their number in a row."""
    return (row.path.rpartition(".")[0], row.kind, row.type, row.shape[1:2], row.kernel_size, row.params)


def own(row: Row) -> tuple[object, ...]:
    """What a layer is by itself; its receptive field is also the work of those before it."""
    window = (row.kernel_size, row.stride, row.padding, row.dilation)
    return (row.type, row.input, row.output, *window, row.params, row.macs)
