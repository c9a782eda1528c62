"""Does a checkpoint fit a module? Every entry is compared before a single one is written."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .layouts import as_linear
from .places import COUNTER, Wanted, find
from .refusals import Misfit, describe
from .sources import Checkpoint


class How(NamedTuple):
    """The options of ``load_weights``, and whether the tensors have shapes only, as before a download."""

    head: str = "strict"
    first_conv: str = "strict"
    prefix: str | None = None
    shapes_only: bool = False


@dataclass
class Fit:
    """The file's tensors under the net's names, what does not fit, and what was recognised.

    Attributes:
        found: All that the file has of the net, what does not fit too.
        reset: Entries that start afresh.
        versions: What PyTorch notes of each layer in a state dict, by our paths.
        tied: Entries that are not in the file and whose tensor is that of one that is.
    """

    values: dict[str, Any] = field(default_factory=dict)
    found: dict[str, Any] = field(default_factory=dict)
    misfits: list[Misfit] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    reset: list[str] = field(default_factory=list)
    tied: list[str] = field(default_factory=list)
    versions: dict[str, Any] = field(default_factory=dict)

    @property
    def excused(self) -> list[str]:
        """What need not be in the file."""
        return [*self.reset, *self.tied]


def fit(model: nn.Module, checkpoint: Checkpoint, how: How) -> Fit:
    """Lay the checkpoint beside the model's own entries."""
    expected, ties = entries(model), ties_of(model)
    shapes = {name: tuple(tensor.shape) for name, tensor in expected.items()}
    head, last = head_path(model), of_layer(head_path(model), shapes)
    stem = of_layer(first_convolution(model), shapes)
    afresh = {*(last if how.head == "reset" else ()), *(stem if how.first_conv == "reset" else ())}
    free = {*afresh, *ties, *(stem[:1] if how.first_conv != "strict" else ())}
    names, notes = find(checkpoint, Wanted(shapes, last, free), how.prefix)
    found = {ours: checkpoint.tensors[theirs] for theirs, ours in names.items()}
    result = Fit(notes=notes, found={**found, **extras_of(model, checkpoint)})
    start = next((theirs.removesuffix(ours) for theirs, ours in names.items() if theirs.endswith(ours)), "")
    result.versions = {f"{path}.".removeprefix(start).rstrip("."): about for path, about in checkpoint.versions.items()}
    result.values |= {name: value for name, value in result.found.items() if name not in found}
    for name, own in expected.items():
        value = as_linear(found.pop(name), shapes[name]) if name in found else None
        twins = ties.get(name, ())
        if name in stem and how.first_conv == "reset":
            result.reset.append(name)
        elif value is None:
            if name in afresh:
                result.reset.append(name)
            elif any(twin in result.found for twin in twins):
                result.tied.append(name)
            elif not name.endswith(COUNTER):  # it matters to momentum=None only
                result.misfits.append(Misfit(name, str(shapes[name]), "missing", "head" if name in last else ""))
        elif any(twin in result.values and not torch.equal(value, result.values[twin]) for twin in twins):
            result.misfits.append(Misfit(name, f"the values of {' and '.join(twins)}", "others"))
        else:
            if name in stem[:1] and how.first_conv != "strict":
                value = adapt_channels(value, own.shape[1], how.first_conv, result.notes)
            if value.shape == own.shape and (how.shapes_only or same_kind(value, own)):
                result.values[name] = value
            elif name in afresh:
                result.reset.append(name)
            else:
                fix = fix_for(name, value, own, stem, last)
                result.misfits.append(Misfit(name, str(shapes[name]), describe(value), fix))
    if any(name in last for name in result.reset):  # a weight that fits beside a bias that does not goes with it
        result.reset = [*(name for name in result.reset if name not in last), *last]
        result.values = {name: value for name, value in result.values.items() if name not in last}
    left_out = [name for name in found if how.head == "reset" and foreign(name, head, shapes)]
    result.misfits += [Misfit(name, "nothing", describe(found[name])) for name in found if name not in left_out]
    if left_out:
        of_head = all(name.startswith(f"{head}.") for name in left_out)
        result.notes.append(f"the file's {head if of_head else ', '.join(tops(left_out))} left out")
    if stem[:1] and stem[0] in result.reset:
        result.notes.append("the first convolution starts afresh")
    if last[:1] and last[0] in result.reset:
        result.notes.append(f"{head} starts afresh with {shapes[last[0]][0]} classes")
    return result


def extras_of(model: nn.Module, checkpoint: Checkpoint) -> dict[str, Any]:
    """What layers keep beside tensors, where the file has it once."""
    found: dict[str, Any] = {}
    for name in [name for name, value in model.state_dict().items() if not isinstance(value, Tensor)]:
        there = [key for key in checkpoint.extras if f".{key}".endswith(f".{name}")]
        if len(there) == 1:
            found[name] = checkpoint.extras[there[0]]
    return found


def ties_of(model: nn.Module) -> dict[str, list[str]]:
    """For every parameter that has several names the others."""
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return {name: [twin for twin in same if twin != name] for same in names.values() if len(same) > 1 for name in same}


def of_layer(path: str, names: Collection[str]) -> tuple[str, ...]:
    """The entries of a layer, its weight first; none of no layer."""
    return tuple(name for tail in ("weight", "bias") if path and (name := f"{path}.{tail}") in names)


def foreign(name: str, head: str, names: Collection[str]) -> bool:
    """Whether an entry is of another head: in the place of the net's own, or under a name that is no kin of the body's.

    ``layer5`` is kin of ``layer4`` and means a deeper net; ``projector`` and ``queue`` are not.
    """
    body = {family(own) for own in names if not own.startswith(f"{head}.")}
    return name.startswith(f"{head}.") or family(name) not in body


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


def name_of(model: nn.Module) -> str:
    config = getattr(model, "config", None)
    return str(config["name"]) if isinstance(config, dict) and "name" in config else type(model).__name__


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
