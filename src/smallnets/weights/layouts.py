"""The names that other projects give to the same tensors, and how to get from theirs to ours.

No net is known here: a layout is a renaming, and the one taken is the one that makes most names fit.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby

from torch import Tensor

Names = dict[str, str]  # theirs -> ours
Shapes = Mapping[str, tuple[int, ...]]

# Left by DataParallel and by torch.compile; ``features.module.0`` is where only the features ran in parallel.
WRAPPER_PARTS = {"module": "DataParallel", "_orig_mod": "torch.compile"}
# Counters of profilers and of averaged models.
NOT_WEIGHTS = ("total_ops", "total_params", "n_averaged")

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


def recognise(found: Iterable[str], expected: Shapes) -> tuple[Names, list[str]]:
    """Our name for each of theirs, and a line part for everything that had to be recognised."""
    names = {name: name for name in found if name.rpartition(".")[2] not in NOT_WEIGHTS}
    notes: list[str] = []
    if all(name in expected for name in names):
        return names, notes
    for step in (drop_wrappers, drop_outer, rename, align_classifier):
        names, note = step(names, expected)
        notes += [note] if note else []
    return names, notes


def drop_wrappers(names: Names, expected: Shapes) -> tuple[Names, str]:
    """``module.``, ``_orig_mod.``, both in either order, ``features.module.``."""
    parts = {part for name in names for part in name.split(".")[:-1] if part in WRAPPER_PARTS}
    parts -= {part for name in expected for part in name.split(".")}
    bare = {theirs: ".".join(part for part in ours.split(".") if part not in parts) for theirs, ours in names.items()}
    if not parts or len(set(bare.values())) < len(bare):
        return names, ""
    inside = any(ours.startswith("features.module.") for ours in names.values())
    prefixes = " and ".join(f"{part}." for part in WRAPPER_PARTS if part in parts)
    return bare, f"{'features.module.' if inside else prefixes} dropped"


def drop_outer(names: Names, expected: Shapes) -> tuple[Names, str]:
    """What stands before every name, as where the net is a part of a larger module.

    That module's other parts are left out when the net is there in full, as ``criterion.weight`` beside ``model.``.
    """
    needed = {name for name in expected if not name.endswith("num_batches_tracked")}
    known = {name.partition(".")[0] for name in expected}
    prefix = common_prefix(names.values(), known)
    if prefix:
        return {theirs: ours.removeprefix(prefix) for theirs, ours in names.items()}, f"{prefix} dropped"
    for first in {ours.partition(".")[0] for ours in names.values()} - known:
        inside = {theirs: ours for theirs, ours in names.items() if ours.startswith(f"{first}.")}
        prefix = common_prefix(inside.values(), known)
        bare = {theirs: ours.removeprefix(prefix) for theirs, ours in inside.items()}
        if needed <= set(bare.values()):
            return bare, f"{prefix} dropped, {len(names) - len(bare)} entries beside it left out"
    return names, ""


def common_prefix(names: Iterable[str], known: set[str]) -> str:
    """The parts, each with its dot, that all names share and that come before any that is known."""
    prefix = ""
    for level in zip(*(name.split(".")[:-1] for name in names), strict=False):
        if len(set(level)) > 1 or level[0] in known:
            break
        prefix += f"{level[0]}."
    return prefix


def rename(names: Names, expected: Shapes) -> tuple[Names, str]:
    """The layout that makes most names fit, when one makes more fit than the names as they are."""
    best, best_note, most = names, "", sum(ours in expected for ours in names.values())
    for note, layout in LAYOUTS.items():
        renamed = {theirs: layout(ours) for theirs, ours in names.items()}
        fit = sum(ours in expected for ours in renamed.values())
        if fit > most and len(set(renamed.values())) == len(renamed):
            best, best_note, most = renamed, note, fit
    return best, best_note


def align_classifier(names: Names, expected: Shapes) -> tuple[Names, str]:
    """Layers of a head in their order: with or without dropout between, the same layers have other numbers."""
    theirs, ours = layers_of_head(names.values()), layers_of_head(expected)
    if set(theirs) == set(ours) or [tails for _, tails in theirs.items()] != [tails for _, tails in ours.items()]:
        return names, ""
    moved = dict(zip(theirs, ours, strict=True))
    aligned: Names = {}
    for source, name in names.items():
        layer, _, tail = name.rpartition(".")
        aligned[source] = f"{moved.get(layer, layer)}.{tail}" if layer in moved else name
    return aligned, "layers of the classifier matched in their order"


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
    if tensor.dim() == 4 and len(shape) == 2 and tensor[0].numel() == shape[1]:
        return tensor.flatten(1)
    return tensor
