"""Does a checkpoint fit a module? Every entry is compared before a single one is written."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..errors import WeightsError
from .layouts import as_linear, recognise
from .sources import Checkpoint

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


@dataclass
class Fit:
    """The file's tensors under the net's names, what does not fit, and what was recognised."""

    values: dict[str, Tensor] = field(default_factory=dict)
    misfits: list[Misfit] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    reset: list[str] = field(default_factory=list)  # entries of the head that start afresh


def fit(model: nn.Module, checkpoint: Checkpoint, *, head: str, first_conv: str) -> Fit:
    """Lay the checkpoint beside the model's own entries."""
    expected = entries(model)
    shapes = {name: tuple(tensor.shape) for name, tensor in expected.items()}
    names, notes = recognise(checkpoint.tensors, shapes)
    result = Fit(notes=[*checkpoint.notes, *notes])
    stem, last = first_convolution(model), head_path(model)
    of_head = tuple(f"{last}.{tail}" for tail in ("weight", "bias")) if head == "reset" and last else ()
    found = {ours: checkpoint.tensors[theirs] for theirs, ours in names.items()}
    for name, own in expected.items():
        value = found.pop(name, None)
        if value is None:
            if name in of_head:
                result.reset.append(name)
            elif not name.endswith("num_batches_tracked"):  # older files have none; it matters to momentum=None only
                result.misfits.append(Misfit(name, str(tuple(own.shape)), "missing"))
            continue
        value = as_linear(value, shapes[name])
        if name == stem and first_conv != "strict":
            value = adapt_channels(value, own.shape[1], first_conv, result.notes)
        if value.shape == own.shape and same_kind(value, own):
            result.values[name] = value
        elif name in of_head and value.shape[1:] == own.shape[1:]:
            result.reset.append(name)
        else:
            result.misfits.append(
                Misfit(name, str(tuple(own.shape)), describe(value), fix(name, value, own, stem, last))
            )
    left_out = [name for name in found if name in of_head]
    result.misfits += [Misfit(name, "nothing", describe(found[name])) for name in found if name not in of_head]
    if result.reset:
        # A weight that fits beside a bias that does not belongs to the head that starts afresh.
        result.reset = [name for name in of_head if name in expected]
        for name in result.reset:
            result.values.pop(name, None)
        result.notes.append(f"{last} starts afresh with {shapes[result.reset[0]][0]} classes")
    elif left_out:
        result.notes.append(f"the file's {last} left out")
    return result


def entries(model: nn.Module) -> dict[str, Tensor]:
    """What a state dict of the model holds; the tensors are the model's own memory."""
    return {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}


def same_kind(value: Tensor, own: Tensor) -> bool:
    """Numbers for numbers, counts for counts; quantised and sparse tensors are neither."""
    plain = value.layout == torch.strided and not value.is_quantized and not value.is_meta
    return plain and value.is_floating_point() == own.is_floating_point() and value.is_complex() == own.is_complex()


def first_convolution(model: nn.Module) -> str:
    """The name of the weight that meets the picture."""
    return next((f"{name}.weight" for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d)), "")


def head_path(model: nn.Module) -> str:
    """The linear layer that makes the logits (or its empty place); "" for a net that ends in something else."""
    last = next((name for name, layer in reversed([*model.named_modules()]) if isinstance(layer, nn.Linear)), "")
    path = str(getattr(model, "_classifier", last))
    return path if path and isinstance(model.get_submodule(path), nn.Linear | nn.Identity) else ""


def fix(name: str, value: Tensor, own: Tensor, stem: str, last: str) -> str:
    """The option of ``load_weights`` with which the value would do."""
    if not same_kind(value, own) or value.dim() != own.dim():
        return ""
    if name == stem and (value.shape[0], *value.shape[2:]) == (own.shape[0], *own.shape[2:]):
        return "first_conv"
    return "head" if name in (f"{last}.weight", f"{last}.bias") and value.shape[1:] == own.shape[1:] else ""


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


def refuse(model: nn.Module, checkpoint: Checkpoint, result: Fit) -> WeightsError:
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
