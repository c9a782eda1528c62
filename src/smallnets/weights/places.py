"""Where in a file is the net? Under which keys and prefixes, and is it the only one that is there?

Nothing is chosen by the name of a key: a place holds the net when the entries under it fit, by name and by shape.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from ..errors import WeightsError, message, nearest
from .layouts import Names, Shapes, fits, rename
from .refusals import printable
from .sources import Checkpoint

# Left inside of names by DataParallel, torch.compile and activation checkpointing.
WRAPPER_PARTS = ("module", "_orig_mod", "_checkpoint_wrapped_module")
# Counters of profilers and of averaged models.
NOT_WEIGHTS = ("total_ops", "total_params", "n_averaged")
COUNTER = "num_batches_tracked"  # older files have none


@dataclass(frozen=True)
class Wanted:
    """What the net takes: its entries' shapes, the two of its last layer, and what need not be in the file or fit."""

    shapes: Shapes
    head: tuple[str, ...] = ()
    free: Collection[str] = ()

    @property
    def needed(self) -> list[str]:
        return [name for name in self.shapes if name not in self.free and not name.endswith(COUNTER)]


@dataclass
class Place:
    """The entries under one prefix, and our names for them."""

    prefix: str
    names: Names
    notes: list[str]
    fitting: int  # how many of the needed entries are there and have their shape
    known: int  # how many have a name of the net's
    beside: int = 0  # entries of the same dict that lie elsewhere

    def told(self, table: str) -> list[str]:
        """What was recognised, in line parts; ``table`` is what was a key of a dict and not a part of a name."""
        inner = self.prefix.removeprefix(table)
        parts = [f"taken out of {table[:-1]!r}"] if table else []
        left = f"{self.beside} entries beside it left out" if self.beside else ""
        dropped = ", ".join(part for part in (f"{inner} dropped" if inner else "", left) if part)
        return [*parts, *([dropped] if dropped else []), *self.notes]


def find(checkpoint: Checkpoint, wanted: Wanted, prefix: str | None) -> tuple[Names, list[str]]:
    """Our name for each entry of the net in a file, and a line part for everything that had to be recognised.

    Args:
        checkpoint: What is in the file.
        wanted: What the net takes.
        prefix: Which net to take, where there are several.

    Raises:
        WeightsError: When several nets fit, or none stands under ``prefix``.
    """
    tensors, tables = checkpoint.tensors, checkpoint.tables
    names = [entry for entry in tensors if entry in wanted.shapes or entry.rpartition(".")[2] not in NOT_WEIGHTS]
    if prefix is None and all(entry in wanted.shapes for entry in names):
        return dict(zip(names, names, strict=True)), []
    places = [place_at(start, names, tensors, wanted) for start in starts(names, wanted, prefix)]
    needed = len(wanted.needed)
    whole = distinct([place for place in places if place.fitting == needed > 0], tensors, wanted)
    if prefix and len(whole) > 1:  # "model" is that one, and not "model.ema"
        ends = [place for place in whole if f".{place.prefix}".endswith(f".{prefix.removesuffix('.')}.")]
        whole = ends if len(ends) == 1 else whole
    if len(whole) > 1:
        raise several(checkpoint.name, [place.prefix for place in whole])
    best = whole[0] if whole else max(places, key=lambda place: (place.fitting, place.known, -len(place.prefix)))
    table = max({tables[entry] for entry in names if best.prefix.startswith(tables[entry])}, key=len, default="")
    own = {ours.partition(".")[0] for ours in wanted.shapes}
    inside = {  # what else is there is told as unexpected, but for other dicts, and for other nets than the one chosen
        theirs: ours
        for theirs, ours in best.names.items()
        if ours in wanted.shapes or (tables[theirs] == table and (prefix is None or ours.partition(".")[0] in own))
    }
    best.beside = sum(tables[entry] == table for entry in names) - sum(tables[theirs] == table for theirs in inside)
    return inside, best.told(table)


def starts(names: Iterable[str], wanted: Wanted, prefix: str | None) -> list[str]:
    """The prefixes, each with its dot, under which there are enough entries for the net, the longest first."""
    counts = Counter(start for entry in names for start in ("", *accumulate(f"{part}." for part in parents(entry))))
    if prefix is not None:
        asked = [part for part in prefix.split(".") if part]
        under = {start: count for start, count in counts.items() if runs_in(asked, start.split(".")[:-1])}
        if not under:
            there = list(dict.fromkeys(entry.partition(".")[0] for entry in names))
            advice = nearest(prefix, there) or f"They begin with {', '.join(printable(name) for name in there[:6])}."
            raise WeightsError(message("load_weights", "a prefix of names in the file", repr(prefix[:80]), advice))
        counts = Counter(under)
    enough = [start for start, count in counts.items() if count >= max(1, len(wanted.needed) // 2)]
    return sorted(enough or counts or [""], key=lambda start: -start.count("."))


def parents(entry: str) -> list[str]:
    return entry.split(".")[:-1]


def runs_in(asked: list[str], parts: list[str]) -> bool:
    """Whether the parts asked for stand in a row; none asked for is no part at all."""
    if not asked:
        return not parts
    return any(parts[at : at + len(asked)] == asked for at in range(len(parts)))


def place_at(start: str, names: Iterable[str], tensors: Mapping[str, Tensor], wanted: Wanted) -> Place:
    """What stands under a prefix, by our names."""
    inner = {entry: entry.removeprefix(start) for entry in names if entry.startswith(start)}
    shapes, bare, dropped = without_wrappers(inner, wanted.shapes)
    renamed, notes = rename(bare.values(), shapes)
    found = {theirs: renamed[name] for theirs, name in bare.items()}
    found |= head_beside(start, found, names, wanted)
    back = dict(zip(shapes, wanted.shapes, strict=True))
    found = {theirs: back.get(ours, ours) for theirs, ours in found.items()}
    there = {ours: tuple(tensors[theirs].shape) for theirs, ours in found.items()}
    fitting = sum(fits(there.get(need, ()), wanted.shapes[need]) for need in wanted.needed if need in there)
    return Place(start, found, [*dropped, *notes], fitting, len(there.keys() & wanted.shapes.keys()))


def without_wrappers(names: Names, expected: Shapes) -> tuple[Shapes, Names, list[str]]:
    """The net's shapes and the file's names with no wrapper's part in them, and the parts that the file alone had."""
    shapes = {bare(name): shape for name, shape in expected.items()}
    short = {theirs: bare(name) for theirs, name in names.items()}
    if len(shapes) < len(expected) or len(set(short.values())) < len(short):
        return expected, names, []
    own = {part for name in expected for part in name.split(".")}
    dropped: list[str] = []
    for part in WRAPPER_PARTS:
        first = next((name for name in names.values() if part in parents(name)), "")
        if first and part not in own:
            parts = first.split(".")
            dropped.append(f"{'.'.join(parts[: parts.index(part) + 1])}. dropped")
    return shapes, short, dropped


def bare(name: str) -> str:
    if not any(part in name for part in WRAPPER_PARTS):
        return name
    return ".".join(part for part in name.split(".") if part not in WRAPPER_PARTS)


def head_beside(start: str, found: Names, names: Iterable[str], wanted: Wanted) -> Names:
    """The last layer where it stands beside the body: ``head.fc.weight`` next to ``backbone.conv1.weight``."""
    if not start or not wanted.head or any(ours in wanted.head for ours in found.values()):
        return {}
    parent = start[:-1].rpartition(".")[0]
    parent += "." if parent else ""
    near = {entry for entry in names if entry.startswith(parent) and not entry.startswith(start)}
    tops = Counter(f"{parent}{entry.removeprefix(parent).partition('.')[0]}." for entry in near)
    for outer in (parent, *tops):
        heads = {f"{outer}{name}": name for name in wanted.head if f"{outer}{name}" in near}
        if heads and (outer == parent or tops[outer] == len(heads)):
            return heads
    return {}


def distinct(places: list[Place], tensors: Mapping[str, Tensor], wanted: Wanted) -> list[Place]:
    """Places that differ in what the net would get; of those that do not, the longest prefix, which comes first."""
    needed = set(wanted.needed)
    kept: dict[object, Place] = {}
    for place in places:
        used = {ours: tensors[theirs] for theirs, ours in place.names.items() if ours in needed}
        kept.setdefault(tuple((ours, memory_of(used[ours])) for ours in sorted(used)), place)
    return list(kept.values())


def memory_of(tensor: Tensor) -> int:
    """Where its numbers begin; what has none in memory is only itself."""
    return (tensor.data_ptr() if tensor.layout == torch.strided else 0) or id(tensor)


def several(name: str, prefixes: list[str]) -> WeightsError:
    """Two nets that fit: the user chooses."""
    names = sorted(prefix[:-1] for prefix in prefixes)
    shared = ""
    for start in accumulate(f"{part}." for part in names[0].split(".")):
        shared = start if all(f"{other}.".startswith(start) and f"{other}." != start for other in names) else shared
    short = [repr(other.removeprefix(shared))[:60] for other in names]
    got = f"{len(short)} in {name[:60]}, under {' and '.join(short[:3])}"
    advice = f"Choose: load_weights(..., prefix={next(x for x in short if x != repr(''))})."
    return WeightsError(message("load_weights", "one net that fits", got, advice))
