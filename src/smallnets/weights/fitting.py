"""Does a checkpoint fit a module? Every entry is compared before a single one is written."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..errors import WeightsError
from .layouts import as_linear
from .places import COUNTER, Wanted, find
from .sources import Checkpoint

MAX_ROWS = 30
REMEDIES = {
    "first_conv": 'first_conv="average" (or "repeat")',
    "head": 'head="reset"',
}


class How(NamedTuple):
    """The options of ``load_weights``, and whether the tensors have shapes only, as before a download."""

    head: str = "strict"
    first_conv: str = "strict"
    prefix: str | None = None
    shapes_only: bool = False


class Misfit(NamedTuple):
    """A row of the table: an entry, what the net has there, what the file has there.

    ``fix`` is the option that would take the entry as it is, where there is one.
    """

    name: str
    expected: str
    found: str
    fix: str = ""


@dataclass
class Fit:
    """The file's tensors under the net's names, what does not fit, and what was recognised.

    Attributes:
        found: All that the file has of the net, what does not fit too.
        reset: Entries that start afresh.
        tied: Entries that are not in the file and whose tensor is that of one that is.
    """

    values: dict[str, Any] = field(default_factory=dict)
    found: dict[str, Any] = field(default_factory=dict)
    misfits: list[Misfit] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    reset: list[str] = field(default_factory=list)
    tied: list[str] = field(default_factory=list)

    @property
    def excused(self) -> list[str]:
        return [*self.reset, *self.tied]


def fit(model: nn.Module, checkpoint: Checkpoint, how: How) -> Fit:
    """Lay the checkpoint beside the model's own entries."""
    expected = entries(model)
    shapes = {name: tuple(tensor.shape) for name, tensor in expected.items()}
    stem, last = of_layer(first_convolution(model), expected), of_layer(head_path(model), expected)
    afresh = {*(last if how.head == "reset" else ()), *(stem if how.first_conv == "reset" else ())}
    ties = ties_of(model)
    wanted = Wanted(shapes, last, {*afresh, *ties, *(stem[:1] if how.first_conv != "strict" else ())})
    names, notes = find(checkpoint.name, checkpoint.tensors, checkpoint.tables, wanted, how.prefix)
    found = {ours: checkpoint.tensors[theirs] for theirs, ours in names.items()}
    result = Fit(notes=notes, found=dict(found))
    for name in model.state_dict().keys() - expected.keys():  # what layers keep beside tensors, under the same prefix
        there = [key for key in checkpoint.extras if f".{key}".endswith(f".{name}")]
        if len(there) == 1:
            result.found[name] = result.values[name] = checkpoint.extras[there[0]]
    for name, own in expected.items():
        value = found.pop(name, None)
        if name in stem and how.first_conv == "reset":
            result.reset.append(name)
            continue
        if value is None:
            if name in afresh:
                result.reset.append(name)
            elif any(twin in result.found for twin in ties.get(name, ())):
                result.tied.append(name)
            elif not name.endswith(COUNTER):  # it matters to momentum=None only
                fix = "head" if name in last else ""
                result.misfits.append(Misfit(name, str(tuple(own.shape)), "missing", fix))
            continue
        value = as_linear(value, shapes[name])
        twin = next((twin for twin in ties.get(name, ()) if twin in result.values), None)
        if twin is not None and not torch.equal(value, result.values[twin]):
            result.misfits.append(Misfit(name, f"the values of {twin}", "others"))
            continue
        if stem[:1] == (name,) and how.first_conv != "strict" and not how.shapes_only:
            value = adapt_channels(value, own.shape[1], how.first_conv, result.notes)
        if value.shape == own.shape and (how.shapes_only or same_kind(value, own)):
            result.values[name] = value
        elif name in afresh and value.shape[1:] == own.shape[1:]:
            result.reset.append(name)
        else:
            fix = fix_for(name, value, own, stem, last)
            if not (how.shapes_only and fix == "first_conv" and how.first_conv != "strict"):
                result.misfits.append(Misfit(name, str(tuple(own.shape)), describe(value), fix))
    settle_reset(result, last, shapes)
    left_out = [name for name in found if how.head == "reset" and foreign(name, last or head_path(model), shapes)]
    result.misfits += [Misfit(name, "nothing", describe(found[name])) for name in found if name not in left_out]
    if left_out:
        of_head = all(name.startswith(f"{head_path(model)}.") for name in left_out)
        result.notes.append(f"the file's {head_path(model) if of_head else ', '.join(tops(left_out))} left out")
    for layer, what in ((stem, "the first convolution"), (last, "")):
        if layer and layer[0] in result.reset:
            path, size = layer[0].rpartition(".")[0], shapes[layer[0]][0]
            result.notes.append(f"{what or path} starts afresh" + ("" if what else f" with {size} classes"))
    return result


def ties_of(model: nn.Module) -> dict[str, list[str]]:
    """For every parameter that has several names the others."""
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return {name: [twin for twin in same if twin != name] for same in names.values() if len(same) > 1 for name in same}


def of_layer(path: str, expected: dict[str, Tensor]) -> tuple[str, ...]:
    """The entries of a layer, its weight first."""
    return tuple(name for tail in ("weight", "bias") if path and (name := f"{path}.{tail}") in expected)


def settle_reset(result: Fit, last: tuple[str, ...], shapes: dict[str, tuple[int, ...]]) -> None:
    """A weight that fits beside a bias that does not belongs to the head that starts afresh."""
    if any(name in last for name in result.reset):
        result.reset = [*(name for name in result.reset if name not in last), *last]
        for name in last:
            result.values.pop(name, None)


def foreign(name: str, last: tuple[str, ...] | str, shapes: dict[str, tuple[int, ...]]) -> bool:
    """Whether an entry is of another head: in the place of the net's own, or under a name that is no kin of the body's.

    ``layer5`` is kin of ``layer4`` and means a deeper net; ``projector`` and ``queue`` are not.
    """
    head = last if isinstance(last, str) else last[0].rpartition(".")[0]
    if name.startswith(f"{head}."):
        return True
    return family(name) not in {family(own) for own in shapes if not own.startswith(f"{head}.")}


def family(name: str) -> str:
    """The first part of a name without its number."""
    return re.sub(r"\d+", "", name.partition(".")[0])


def tops(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(name.partition(".")[0] for name in names))[:6]


def entries(model: nn.Module) -> dict[str, Tensor]:
    """What a state dict of the model holds; the tensors are the model's own memory."""
    return {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}


def same_kind(value: Tensor, own: Tensor) -> bool:
    """Numbers for numbers, counts for counts; quantised and sparse tensors are neither."""
    plain = value.layout == torch.strided and not value.is_quantized and not value.is_meta
    return plain and value.is_floating_point() == own.is_floating_point() and value.is_complex() == own.is_complex()


def first_convolution(model: nn.Module) -> str:
    """The path of the layer that meets the picture; "" where there is none, or it is the whole module."""
    return next((name for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d)), "")


def head_path(model: nn.Module) -> str:
    """The linear layer that makes the logits (or its empty place); "" for a net that ends in something else."""
    last = next((name for name, layer in reversed([*model.named_modules()]) if isinstance(layer, nn.Linear)), "")
    path = str(getattr(model, "_classifier", last))
    return path if path and isinstance(model.get_submodule(path), nn.Linear | nn.Identity) else ""


def fix_for(name: str, value: Tensor, own: Tensor, stem: tuple[str, ...], last: tuple[str, ...]) -> str:
    """The option of ``load_weights`` with which the value would do."""
    if value.is_floating_point() != own.is_floating_point() or value.dim() != own.dim():
        return ""
    if name in stem and (value.shape[0], *value.shape[2:]) == (own.shape[0], *own.shape[2:]):
        return "first_conv"
    return "head" if name in last and value.shape[1:] == own.shape[1:] else ""


def adapt_channels(weight: Tensor, channels: int, how: str, notes: list[str]) -> Tensor:
    """First-convolution weights for another number of picture channels: (O, C, h, w) -> (O, channels, h, w).

    Scaled by C / channels, so that maps keep their size: averaged, a picture with equal channels gives the very maps
    that it gave before, and one grey channel meets the sum of the kernels for red, green and blue.
    """
    if weight.dim() != 4 or weight.shape[1] in (0, channels) or not weight.is_floating_point():
        return weight
    have = weight.shape[1]
    notes.append(f"first convolution: {have} channels made {channels} ({how})")
    if how == "average":
        return weight.float().mean(1, keepdim=True).repeat(1, channels, 1, 1) * (have / channels)
    return weight.float()[:, torch.arange(channels) % have] * (have / channels)


def describe(tensor: Tensor) -> str:
    """A shape, with the dtype where it is not the usual one."""
    kind = "" if tensor.dtype == torch.float32 else f" {str(tensor.dtype).removeprefix('torch.')}"
    layout = "" if tensor.layout == torch.strided else " sparse"
    return f"{tuple(tensor.shape)}{kind}{layout}{' without values' if tensor.is_meta else ''}"


def refusal(model: nn.Module, checkpoint: Checkpoint, result: Fit) -> WeightsError:
    """One sentence, then the table."""
    rows = result.misfits
    missing = sum(row.found == "missing" for row in rows)
    unexpected = sum(row.expected == "nothing" for row in rows)
    counts = [f"{len(result.values)} that fit"]
    for count, what in ((missing, "missing"), (unexpected, "unexpected"), (len(rows) - missing - unexpected, "unlike")):
        counts += [f"{count} {what}"] if count else []
    recognised = f" ({'; '.join(result.notes)})" if result.notes else ""
    first = f"load_weights: expected the {len(entries(model))} entries of {name_of(model)}; got from "
    first += f"{checkpoint.name}{recognised} {', '.join(counts)}, first {rows[0].name}. Nothing was loaded."
    return WeightsError(f"{first}{advice(result)}\n{table(rows)}")


def advice(result: Fit) -> str:
    """What to do about it, where the misfits say so."""
    rows = result.misfits
    fixes = {row.fix for row in rows}
    if "" not in fixes:
        options = " and ".join(REMEDIES[option] for option in sorted(fixes))
        return f" Call load_weights with {options}, or build the net as the file has it."
    if not result.values:
        return " It is the file of another net."
    if all("downsample" in row.name for row in rows):
        return " The shortcuts differ: build the net with the shortcut of the file."
    if any(row.name.endswith("running_mean") and row.found == "missing" for row in rows):
        return " The net has batch norms that the file has not."
    if any(row.name.endswith("running_mean") and row.expected == "nothing" for row in rows):
        return " The file has batch norms that the net has not."
    if all(row.found != "missing" and row.expected != "nothing" for row in rows):
        return " The names fit and the shapes do not: build the net with the width, stem and head of the file."
    return ""


def name_of(model: nn.Module) -> str:
    config = getattr(model, "config", None)
    return str(config["name"]) if isinstance(config, dict) and "name" in config else type(model).__name__


def table(rows: Sequence[Misfit]) -> str:
    """Names, expected and found, in columns."""
    shown = [Misfit("name", "expected", "found"), *rows[:MAX_ROWS]]
    first, second = (max(len(row[column]) for row in shown) for column in (0, 1))
    lines = [f"  {row.name:<{first}}  {row.expected:<{second}}  {row.found}" for row in shown]
    return "\n".join(lines + ([f"  and {len(rows) - MAX_ROWS} more"] if len(rows) > MAX_ROWS else []))
