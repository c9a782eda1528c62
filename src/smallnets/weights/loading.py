"""``load_weights``: everything or nothing."""

import copy
import logging
from collections import OrderedDict
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..errors import OptionError, WeightsError, check_choice, first_line, memory_told, message
from .fitting import Fit, How, entries, fit, head_path, name_of
from .places import COUNTER
from .refusals import refusal
from .remarks import warn_of_no_numbers, warn_of_other_stride
from .sources import Checkpoint, WeightsLike, read
from .torchvision_enums import as_member, entries_of

log = logging.getLogger("smallnets")


def load_weights(
    model: nn.Module,
    source: WeightsLike,
    *,
    head: Literal["strict", "reset"] = "strict",
    first_conv: Literal["strict", "average", "repeat", "reset"] = "strict",
    prefix: str | None = None,
) -> str:
    """Load weights into a model, in place: all of them, or none and an error with a table.

    The net is looked for under all keys and prefixes of the source, and known by its names and shapes.

    Args:
        model: Any module; one wrapped by DataParallel or ``torch.compile`` is taken out of its wrapper.
        source: A path (``.safetensors``, or what PyTorch saved, read with ``weights_only=True``), a state dict, a
            member of a torchvision weights enum or its name, ``"imagenet"`` for the newest of these, or the name of
            a trained net's weights, as the net's builder takes it.
        head: ``"reset"`` accepts another number of classes, and files with another head or none: the last linear
            layer is then initialised afresh.
        first_conv: For pictures with another number of channels: ``"average"`` gives every channel the mean kernel,
            ``"repeat"`` takes the file's channels over and over; both are scaled by the file's channels over the
            net's, so that maps keep their size. ``"reset"`` initialises the first convolution afresh.
        prefix: Which net to take, where the source holds several, as ``"teacher"`` beside ``"student"``: what stands
            before its names, or the key that it lies under.

    Returns:
        What was recognised, in one line; it is logged too, where something had to be converted.

    Raises:
        WeightsError: When the source cannot be read, would run code, holds several nets that fit, or none. Nothing
            was loaded then.
        ValueError: When an option is not one of those above.

    >>> import smallnets as sn
    >>> trained = sn.lenet5()
    >>> load_weights(sn.lenet5(), {f"module.{name}": value for name, value in trained.state_dict().items()})
    'lenet5: 10 entries from the state dict; module. dropped'
    """
    check_choice("load_weights", "head", head, ("strict", "reset"))
    check_choice("load_weights", "first_conv", first_conv, ("strict", "average", "repeat", "reset"))
    if prefix is not None and not isinstance(prefix, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise OptionError(message("load_weights", "prefix to be text", repr(prefix)))
    if not isinstance(model, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise OptionError(message("load_weights", "a model to load into", f"a {type(model).__name__}"))
    model, how = unwrapped(model), How(head, first_conv, prefix)
    if any(is_lazy(tensor) for tensor in (*model.parameters(), *model.buffers())):
        advice = "Run it once on an example first."
        raise WeightsError(message("load_weights", "a model whose layers know their sizes", "lazy ones", advice))
    named = getattr(model, "_named_weights", None)  # a net of the zoo knows its trained ones by name
    source = source if named is None else named(source) or source
    member = as_member(source, torchvision_name(model))
    if member is not None:
        shapes = entries_of(member)  # another net's are refused before they are downloaded
        if shapes:
            checked(model, Checkpoint(str(member), shapes, dict.fromkeys(shapes, "")), how._replace(shapes_only=True))
    return load_checkpoint(model, read(member or source), how)


def load_checkpoint(model: nn.Module, checkpoint: Checkpoint, how: How = How()) -> str:  # noqa: B008 - frozen
    """``load_weights`` for what has been read already."""
    with memory_told(checkpoint.name, f"its {len(checkpoint.tensors)} tensors"):
        result = checked(model, checkpoint, how)
        write(model, result)
    warn_of_other_stride(model, checkpoint)
    warn_of_no_numbers(checkpoint, {name: value for name, value in entries(model).items() if name in result.values})
    line = "; ".join([f"{name_of(model)}: {len(result.values)} entries from {checkpoint.name}", *result.notes])
    log.log(logging.WARNING if result.notes else logging.INFO, line)
    return line


def checked(model: nn.Module, checkpoint: Checkpoint, how: How) -> Fit:
    """How the checkpoint fits; nothing is written.

    Raises:
        WeightsError: When it does not, or PyTorch's own loading would refuse it.
    """
    if how.head == "reset" and not head_path(model):
        net = name_of(model)
        raise WeightsError(message("load_weights", "a net with a linear head to reset", net, 'Take head="strict".'))
    result = fit(model, checkpoint, how)
    refuse_unfilled(model)
    if not how.shapes_only and not plain(model):
        reason = rehearse(model, result)
        if not reason:
            result.misfits, result.values = [], result.values if not result.misfits else result.found
        elif not result.misfits:
            expected = f"weights that {name_of(model)} takes"
            raise WeightsError(message("load_weights", expected, reason, "Nothing was loaded."))
    if result.misfits:
        size, notes = len(entries(model)), "; ".join(result.notes)
        raise refusal(name_of(model), size, checkpoint.name, len(result.values), result.misfits, notes)
    return result


def unwrapped(model: nn.Module) -> nn.Module:
    """The net inside DataParallel, DistributedDataParallel and compiled modules."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            inner = model.module
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def torchvision_name(model: nn.Module) -> str:
    """What torchvision calls the net; "" for a module that has no name."""
    config = getattr(model, "config", None)
    if not isinstance(config, dict):
        return ""
    name, groups, width = str(config["name"]), config.get("groups", 1), config.get("width_per_group", 64)
    if groups != 1:
        return f"{name.replace('resnet', 'resnext')}_{groups}x{width}d"
    if width != 64:
        return f"wide_{name}_{width // 64}"
    return f"{name}_bn" if config.get("batch_norm") else name


def refuse_unfilled(model: nn.Module) -> None:
    """A meta model's tables that are in no file would stay empty."""
    stored = entries(model)
    for name, buffer in model.named_buffers():
        if buffer.is_meta and name not in stored:
            advice = "Build it with weights=, or outside torch.device('meta')."
            raise WeightsError(message("load_weights", "a model with values", f"{name} on the meta device", advice))


OWN_LOADING = ("state_dict", "load_state_dict", "_save_to_state_dict", "_load_from_state_dict", "get_extra_state")
HOOKS = ("_state_dict_hooks", "_state_dict_pre_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks")


def plain(model: nn.Module) -> bool:
    """Whether the model's state dict is its tensors, and loading copies into them: no layer has ways of its own."""
    return all(
        getattr(type(layer), method).__module__.startswith("torch.nn.modules.")
        for layer in model.modules()
        for method in OWN_LOADING
    ) and not any(getattr(layer, hooks, None) for layer in model.modules() for hooks in HOOKS)


def rehearse(model: nn.Module, result: Fit) -> str:
    """Load into a copy as PyTorch does; why that fails, or ""."""
    values = result.found if result.misfits else result.values
    try:
        twin = copy.deepcopy(model)
        give_memory(twin)
        missing, unexpected = twin.load_state_dict(as_state_dict(values, result), strict=False)
    except Exception as error:  # a layer's own loading may fail in any way
        return first_line(error)[:200]
    lacking = [name for name in missing if name not in result.excused and not name.endswith(COUNTER)]
    wrong = [*(f"{name} missing" for name in lacking), *(f"{name} unexpected" for name in unexpected)]
    return ", ".join(wrong[:4])


def as_state_dict(values: dict[str, Any], result: Fit) -> dict[str, Any]:
    """The values with what PyTorch notes of the layers that they are for, where the source had it."""
    state = OrderedDict(values)
    if result.versions:
        vars(state)["_metadata"] = result.versions
    return state


@torch.no_grad()
def write(model: nn.Module, result: Fit) -> None:
    """Copy the values into the model's own memory, as PyTorch does it; what has none on the meta device gets some."""
    give_memory(model)
    empty = {name for name, own in entries(model).items() if own.is_meta}  # all are under torch.device("meta")
    values = {name: value for name, value in result.values.items() if name not in empty}
    model.load_state_dict(as_state_dict(values, result), strict=False)
    for path in {name.rpartition(".")[0] for name in result.reset}:
        layer = model.get_submodule(path)
        draw = getattr(model, "_draw", None)  # a net of the zoo knows how its last layer is drawn
        if callable(draw) and isinstance(layer, nn.Linear):
            draw(layer)
        else:
            assert isinstance(layer, nn.Linear | nn.Conv2d)
            layer.reset_parameters()


def give_memory(model: nn.Module) -> None:
    """Memory for what is on the meta device, counters at 0; a tensor in several places stays one tensor."""
    device = torch.get_default_device()
    made: dict[int, Tensor] = {}
    own = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    for name, old in own:
        if not old.is_meta:
            continue
        if id(old) not in made:
            fresh = torch.empty_like(old, device=device) if old.dim() else torch.zeros_like(old, device=device)
            made[id(old)] = nn.Parameter(fresh, old.requires_grad) if isinstance(old, nn.Parameter) else fresh
        path, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(path), leaf, made[id(old)])
