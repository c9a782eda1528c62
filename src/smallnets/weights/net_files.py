"""One file that holds a net: its weights, the config that rebuilds it, and what a user of it has to know."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .._version import __version__
from ..errors import OptionError, WeightsError, check_choice, message
from .safetensor_files import write_safetensors
from .sources import FORMAT_KEY, Checkpoint, read

FORMAT = 1  # raised when a file can no longer be read by the library before
DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in (torch.float32, torch.float16, torch.bfloat16)}


def write_net(
    net: nn.Module,
    path: Path,
    dtype: torch.dtype | None,
    metadata: Mapping[str, object],
    *,
    config: Mapping[str, object],
    rebuild: Callable[[Mapping[str, Any]], nn.Module],
) -> None:
    """``save`` for a net whose config and way of building it are given.

    Raises:
        WeightsError: When ``rebuild`` gives another net, or the folder cannot be written.
        OptionError: When metadata is not JSON-able or ``dtype`` is no floating type.
    """
    check_choice("save", "dtype", dtype, (None, *DTYPES.values()))
    if path.suffix != ".safetensors":
        advice = f"Take {path.with_suffix('.safetensors').name!r}."
        raise OptionError(message("save", "a path that ends in .safetensors", repr(path.name), advice))
    if not path.parent.is_dir():
        raise WeightsError(message("save", "a folder to write to", repr(str(path.parent)), "Make it first."))
    if any(value.is_meta for value in net.state_dict().values()):
        raise WeightsError(
            message("save", "a net with values", "one on the meta device", "Load weights into it first.")
        )
    refuse_surgery(net, rebuild(config))
    own = {
        "format": FORMAT,
        "config": config,
        "dtype": dtype_of(net),
        "smallnets_version": __version__,
        "torch_version": torch.__version__,
    }
    for key in own.keys() & metadata.keys():
        raise OptionError(message("save", "metadata under another name", repr(key), "The library writes that itself."))
    try:
        text = json.dumps({**metadata, **own}, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise OptionError(message("save", "metadata that JSON can hold", str(error), "Convert it first.")) from None
    tensors = {
        name: value.to(dtype) if dtype and value.is_floating_point() else value
        for name, value in net.state_dict().items()
    }
    try:
        write_safetensors(path, tensors, {"format": "pt", FORMAT_KEY: text})
    except OSError as error:
        raise WeightsError(message("save", f"to write {path}", error.strerror or str(error))) from None


def read_net(path: str | Path) -> tuple[Checkpoint, dict[str, Any], torch.dtype]:
    """What ``write_net`` wrote: the weights with their metadata, the config, and the dtype that the net computes in.

    Raises:
        WeightsError: When the file is torn, was not written by ``save``, or by a newer library in a newer format.
    """
    checkpoint = read(path, "")
    found = checkpoint.metadata
    config = found.get("config")
    if not isinstance(config, dict):
        advice = "Build the net that these weights belong to and call load_weights."
        raise WeightsError(message(checkpoint.name, "a file that save wrote, with a config", "none", advice))
    if found.get("format") != FORMAT:
        got = f"{found.get('format')!r}, written by smallnets {found.get('smallnets_version')}"
        raise WeightsError(message(checkpoint.name, f"format {FORMAT} of the file", got, "Take a newer smallnets."))
    if "weights" in config or found.get("dtype") not in DTYPES:
        got = "weights in it" if "weights" in config else f"dtype {found.get('dtype')!r}"
        raise WeightsError(message(checkpoint.name, "the config of a net", got, "Save the net again."))
    return checkpoint, config, DTYPES[found["dtype"]]


def dtype_of(net: nn.Module) -> str:
    found = sorted({str(parameter.dtype).removeprefix("torch.") for parameter in net.parameters()})
    if len(found) != 1 or found[0] not in DTYPES:
        advice = "Convert it first: net.float()."
        raise OptionError(message("save", f"a net all in {' or '.join(DTYPES)}", " and ".join(found), advice))
    return found[0]


def refuse_surgery(net: nn.Module, twin: nn.Module) -> None:
    """Say no to a net that its config would not rebuild: the file would load as another net, or not at all."""
    own, other = describe(net), describe(twin)
    for name in [*own, *other]:
        if own.get(name) != other.get(name):
            got = f"{name} = {own.get(name, 'nothing')} where the config gives {other.get(name, 'nothing')}"
            advice = "Save its state_dict() with safetensors, and do the same surgery after loading."
            raise WeightsError(message("save", "a net as its builder makes it", got, advice))


def describe(net: nn.Module) -> dict[str, str]:
    """Every layer and every entry in words, by path."""
    layers = {  # a frozen batch norm is saved as what it is when it learns
        name or "the net": f"{type(layer).__name__.removeprefix('Frozen')}({layer.extra_repr()})"
        for name, layer in net.named_modules()
    }
    return layers | {name: str(tuple(value.shape)) for name, value in net.state_dict().items()}
