"""Why weights do not fit: one sentence, what to do, and a table."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import WeightsError

MAX_ROWS = 30
REMEDIES = {
    "first_conv": 'first_conv="average" (or "repeat")',
    "head": 'head="reset"',
}


class Misfit(NamedTuple):
    """A row of the table: an entry, what the net has there, what the file has there.

    ``fix`` is the option that would take the entry as it is, where there is one.
    """

    name: str
    expected: str
    found: str
    fix: str = ""


def describe(tensor: Tensor) -> str:
    """A shape, with the dtype where it is not the usual one."""
    kind = "" if tensor.dtype == torch.float32 else f" {str(tensor.dtype).removeprefix('torch.')}"
    layout = "" if tensor.layout == torch.strided else " sparse"
    return f"{tuple(tensor.shape)}{kind}{layout}{' without values' if tensor.is_meta else ''}"


def refusal(net: str, entries: int, source: str, fitting: int, rows: Sequence[Misfit], notes: str) -> WeightsError:
    """One sentence, then the table.

    Args:
        net: Its name.
        entries: How many it has.
        source: What the file is called.
        fitting: How many fit.
        rows: Those that do not.
        notes: What was recognised.
    """
    missing = sum(row.found == "missing" for row in rows)
    unexpected = sum(row.expected == "nothing" for row in rows)
    counts = [f"{fitting} that fit"]
    for count, what in ((missing, "missing"), (unexpected, "unexpected"), (len(rows) - missing - unexpected, "unlike")):
        counts += [f"{count} {what}"] if count else []
    got = f"{source}{f' ({notes})' if notes else ''} {', '.join(counts)}, first {printable(rows[0].name)}"
    first = f"load_weights: expected the {entries} entries of {net}; got from {got}. Nothing was loaded."
    return WeightsError(f"{first}{advice(rows, fitting)}\n{table(rows)}")


def advice(rows: Sequence[Misfit], fitting: int) -> str:
    """What to do about it, where the misfits say so."""
    fixes = {row.fix for row in rows}
    if "" not in fixes:
        options = " and ".join(REMEDIES[option] for option in sorted(fixes))
        return f" Call load_weights with {options}, or build the net as the file has it."
    if not fitting:
        return " It is the file of another net."
    if any(row.found == "others" for row in rows):
        return " The net ties what the file has apart: untie it in the net, or take one of them out of the file."
    if all("downsample" in row.name for row in rows):
        return " The shortcuts differ: build the net with the shortcut of the file."
    if any(row.name.endswith("running_mean") and row.found == "missing" for row in rows):
        return " The net has batch norms that the file has not."
    if any(row.name.endswith("running_mean") and row.expected == "nothing" for row in rows):
        return " The file has batch norms that the net has not."
    if all(row.found != "missing" and row.expected != "nothing" for row in rows):
        return " The names fit and the shapes do not: build the net with the width, stem and head of the file."
    return ""


def table(rows: Sequence[Misfit]) -> str:
    """Names, expected and found, in columns."""
    shown = [Misfit("name", "expected", "found"), *(row._replace(name=printable(row.name)) for row in rows[:MAX_ROWS])]
    first, second = (max(len(row[column]) for row in shown) for column in (0, 1))
    lines = [f"  {row.name:<{first}}  {row.expected:<{second}}  {row.found}" for row in shown]
    return "\n".join(lines + ([f"  and {len(rows) - MAX_ROWS} more"] if len(rows) > MAX_ROWS else []))


def printable(name: str) -> str:
    """A name from a file, as a terminal may see it."""
    return repr(name)[1:-1][:80]
