"""``load_weights``: everything or nothing."""

import logging
import warnings
from typing import Literal

import torch
from torch import Tensor, nn

from ..errors import OptionError, WeightsError, check_choice, message
from .fitting import Fit, entries, fit, head_path, name_of, refuse
from .sources import Checkpoint, WeightsLike, read

log = logging.getLogger("smallnets")


def load_weights(
    model: nn.Module,
    source: WeightsLike,
    *,
    head: Literal["strict", "reset"] = "strict",
    first_conv: Literal["strict", "average", "repeat"] = "strict",
) -> str:
    """Load weights into a model, in place: all of them, or none and an error with a table.

    Args:
        model: Any module; one wrapped by DataParallel or ``torch.compile`` is taken out of its wrapper.
        source: A path (``.safetensors``, or what PyTorch saved, read with ``weights_only=True``), a state dict, or a
            member of a torchvision weights enum or its name.
        head: ``"reset"`` accepts another number of classes: the last linear layer is then initialised afresh.
        first_conv: For pictures with another number of channels: ``"average"`` gives every channel the mean kernel,
            ``"repeat"`` takes the file's channels over and over; both are scaled by the file's channels over the
            net's, so that maps keep their size.

    Returns:
        What was recognised, in one line; it is logged too, where something had to be converted.

    Raises:
        WeightsError: When the source cannot be read, would run code, or does not fit. Nothing was loaded then.
        ValueError: When ``head`` or ``first_conv`` is not one of those above.

    >>> import smallnets as sn
    >>> trained = sn.lenet5()
    >>> load_weights(sn.lenet5(), {f"module.{name}": value for name, value in trained.state_dict().items()})
    'lenet5: 10 entries from the state dict; module. dropped'
    """
    check_choice("load_weights", "head", head, ("strict", "reset"))
    check_choice("load_weights", "first_conv", first_conv, ("strict", "average", "repeat"))
    if not isinstance(model, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise OptionError(message("load_weights", "a model to load into", f"a {type(model).__name__}"))
    model = unwrapped(model)
    return load_checkpoint(model, read(source, torchvision_name(model)), head=head, first_conv=first_conv)


def load_checkpoint(
    model: nn.Module, checkpoint: Checkpoint, *, head: str = "strict", first_conv: str = "strict"
) -> str:
    """``load_weights`` for what has been read already."""
    if head == "reset" and not head_path(model):
        net = name_of(model)
        raise WeightsError(message("load_weights", "a net with a linear head to reset", net, 'Take head="strict".'))
    result = fit(model, checkpoint, head=head, first_conv=first_conv)
    if result.misfits:
        raise refuse(model, checkpoint, result)
    refuse_unfilled(model, result)
    write(model, result, checkpoint)
    warn_of_other_stride(model, checkpoint)
    line = f"{name_of(model)}: {len(result.values)} entries from {checkpoint.name}"
    line = "; ".join([line, *result.notes])
    log.log(logging.WARNING if result.notes else logging.INFO, line)
    return line


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


def refuse_unfilled(model: nn.Module, result: Fit) -> None:
    """A meta model's tables that are in no file would stay empty."""
    stored = entries(model)
    for name, buffer in model.named_buffers():
        if buffer.is_meta and name not in stored:
            advice = "Build it with weights=, or outside torch.device('meta')."
            raise WeightsError(message("load_weights", "a model with values", f"{name} on the meta device", advice))


@torch.no_grad()
def write(model: nn.Module, result: Fit, checkpoint: Checkpoint) -> None:
    """Copy the values into the model's own memory; what is on the meta device has none and takes the tensor itself."""
    device = torch.get_default_device()
    taken: set[int] = set()
    for name, target in entries(model).items():
        value = result.values.get(name)
        if not target.is_meta:
            if value is not None:
                target.copy_(value)
            continue
        if value is None:  # a counter, or a head that is initialised below
            value = torch.zeros(target.shape, dtype=target.dtype, device=device)
        elif checkpoint.borrowed or shares_memory(value, taken):
            value = value.to(device, target.dtype, copy=True)
        else:
            value = value.to(device, target.dtype)
        replace(model, name, value.contiguous())
    for path in {name.rpartition(".")[0] for name in result.reset}:
        layer = model.get_submodule(path)
        assert isinstance(layer, nn.Linear)
        layer.reset_parameters()


def shares_memory(value: Tensor, taken: set[int]) -> bool:
    """A view into something larger, or into what another entry already has."""
    storage = value.untyped_storage()
    seen = storage.data_ptr() in taken
    taken.add(storage.data_ptr())
    return seen or storage.nbytes() != value.numel() * value.element_size()


def replace(model: nn.Module, name: str, value: Tensor) -> None:
    path, _, leaf = name.rpartition(".")
    module = model.get_submodule(path)
    old = getattr(module, leaf)
    fresh = nn.Parameter(value, requires_grad=old.requires_grad) if isinstance(old, nn.Parameter) else value
    setattr(module, leaf, fresh)


def warn_of_other_stride(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Bottlenecks with the stride in the 1x1 or in the 3x3 have equal names and shapes, and other outputs."""
    layers = dict(model.named_modules())
    strided = {
        name.rpartition(".")[2]
        for name, layer in layers.items()
        if isinstance(layer, nn.Conv2d) and layer.stride != (1, 1) and f"{name.rpartition('.')[0]}.conv3" in layers
    }
    own = {"conv1": "1x1", "conv2": "3x3"}.get(next(iter(strided), ""))
    if own and checkpoint.stride_in not in (None, own):
        warnings.warn(
            f"load_weights: {checkpoint.name} was trained with the stride in the {checkpoint.stride_in} convolution "
            f"and this net has it in the {own}: the weights fit but the net does worse. "
            f'Build it with stride_in="{checkpoint.stride_in}".',
            UserWarning,
            stacklevel=4,
        )
