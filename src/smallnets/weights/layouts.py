"""The names that other projects give to the same tensors, and how to get from theirs to ours.

No net is known here: a layout is a renaming, and the one taken is the one that makes most names fit.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby

from torch import Tensor

Names = dict[str, str]  # theirs -> ours
Shapes = Mapping[str, tuple[int, ...]]

RESIDUAL_PARTS = {
    **{"0": "conv1", "1": "bn1", "3": "conv2", "4": "bn2", "6": "conv3", "7": "bn3"},
}


def kuangliu(name: str) -> str:
    """github.com/kuangliu/pytorch-cifar, and akamaster/pytorch_resnet_cifar10, whose shortcut has no parameters."""
    return re.sub(r"^linear\.", "fc.", name.replace(".shortcut.", ".downsample."))


def weiaicunzai(name: str) -> str:
    """github.com/weiaicunzai/pytorch-cifar100: stages from conv2_x, branches as one sequence."""
    name = re.sub(r"^conv1\.([01])\.", lambda found: ("conv1.", "bn1.")[int(found[1])], name)
    name = re.sub(r"^conv([2-5])_x\.", lambda found: f"layer{int(found[1]) - 1}.", name)
    name = re.sub(r"\.residual_function\.([013467])\.", lambda found: f".{RESIDUAL_PARTS[found[1]]}.", name)
    return name.replace(".shortcut.", ".downsample.")


def timm_vgg(name: str) -> str:
    """The VGG of timm: the hidden linear layers are convolutions called pre_logits, the last one is head.fc."""
    hidden = re.sub(r"^pre_logits\.fc([12])\.", lambda found: f"classifier.{3 * (int(found[1]) - 1)}.", name)
    return re.sub(r"^head\.fc\.", "classifier.6.", hidden)


LAYOUTS: dict[str, Callable[[str], str]] = {
    "kuangliu's and akamaster's layout": kuangliu,
    "weiaicunzai's layout": weiaicunzai,
    "timm's layout": timm_vgg,
}


def rename(names: Iterable[str], expected: Shapes) -> tuple[dict[str, str], list[str]]:
    """Our name for each of theirs by the layout that makes most fit, and a line part for what was recognised."""
    names = list(names)
    best, notes, most = dict(zip(names, names, strict=True)), list[str](), sum(name in expected for name in names)
    for note, layout in LAYOUTS.items():
        renamed = {name: layout(name) for name in names}
        fit = sum(ours in expected for ours in renamed.values())
        if fit > most and len(set(renamed.values())) == len(renamed):
            best, notes, most = renamed, [note], fit
    return align_classifier(best, expected, notes)


def align_classifier(names: Names, expected: Shapes, notes: list[str]) -> tuple[Names, list[str]]:
    """Layers of a head in their order: with or without dropout between, the same layers have other numbers."""
    theirs, ours = layers_of_head(names.values()), layers_of_head(expected)
    if set(theirs) == set(ours) or [tails for _, tails in theirs.items()] != [tails for _, tails in ours.items()]:
        return names, notes
    moved = dict(zip(theirs, ours, strict=True))
    aligned: Names = {}
    for source, name in names.items():
        layer, _, tail = name.rpartition(".")
        aligned[source] = f"{moved.get(layer, layer)}.{tail}" if layer in moved else name
    return aligned, [*notes, "layers of the classifier matched in their order"]


def layers_of_head(names: Iterable[str]) -> dict[str, frozenset[str]]:
    """The layers under ``classifier``, in order, each with the names of its tensors."""
    inside = sorted(
        (name.rpartition(".") for name in names if name.split(".")[0] == "classifier"),
        key=lambda parts: [int(part) if part.isdigit() else -1 for part in parts[0].split(".")],
    )
    counters = {"num_batches_tracked"}
    grouped = groupby(inside, key=lambda parts: parts[0])
    return {layer: frozenset(tail for _, _, tail in parts) - counters for layer, parts in grouped}


def as_linear(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A linear layer that was kept as a convolution over its whole input, flattened; other tensors as they are."""
    return tensor.flatten(1) if fits(tuple(tensor.shape), shape) and tensor.dim() != len(shape) else tensor


def fits(found: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    """Whether the shapes are equal, or of one linear layer that the file keeps as a convolution."""
    if len(found) == 4 and len(expected) == 2:
        return (found[0], math.prod(found[1:])) == expected
    return found == expected
