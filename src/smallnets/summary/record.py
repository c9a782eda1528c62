"""What a run leaves behind: rows, fields, what gave out."""

from dataclasses import dataclass, field
from typing import Any

from torch import nn

from .field import Field
from .row import Row, Shape


@dataclass(slots=True)
class Open:
    """A call in progress: what it is and takes, what its operations cost so far, its window if it has one."""

    path: str
    type: str
    kind: str
    inputs: tuple[Shape, ...]
    sources: tuple[int, ...]
    params: int = 0
    macs: int = 0
    elementwise: int = 0
    window: tuple[Any, Any, Any, Any] | None = None


@dataclass(slots=True)
class Failure:
    """The call that gave out: where, what, with which shapes, and PyTorch's or the net's own words.

    ``behind`` holds, for each tensor that came in, the rows that made it what the others are not.
    """

    path: str
    type: str
    module: nn.Module | None
    inputs: tuple[Shape, ...]
    cause: Exception
    behind: tuple[list[Row], ...] = ()


@dataclass(slots=True)
class Record:
    """All that a run leaves behind."""

    rows: list[Row] = field(default_factory=list)
    inputs: tuple[Shape, ...] = ()
    input_bytes: int = 0
    modules: dict[str, str] = field(default_factory=dict)
    storages: dict[int, int] = field(default_factory=dict)
    failure: Failure | None = None
    fields: list[Field | None] = field(default_factory=list)
    sources: list[tuple[int, ...]] = field(default_factory=list)
    # (path, op) where the field, or the cost, is not known
    unfollowed: dict[tuple[str, str], None] = field(default_factory=dict)
    uncounted: dict[tuple[str, str], None] = field(default_factory=dict)

    def ancestors(self, rows: tuple[int, ...]) -> set[int]:
        """These rows and all that they come from."""
        found: set[int] = set()
        open_ends = list(rows)
        while open_ends:
            index = open_ends.pop()
            if index >= 0 and index not in found:
                found.add(index)
                open_ends += self.sources[index]
        return found
