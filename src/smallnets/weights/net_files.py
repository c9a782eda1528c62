"""One file that holds a net: its weights, the config that rebuilds it, and what a user of it has to know."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .._version import __version__
from ..errors import OptionError, WeightsError, check_choice, message
from ..files import is_there
from .paths import as_path, existing_file, unwritten
from .pickles import read_pickle
from .safetensor_files import write_safetensors
from .sources import FORMAT_KEY, Checkpoint, from_file, unwrap

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
        advice = f"Take {path.with_suffix('.safetensors').name!r}." if path.name else ""
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
        raise unwritten("save", path, error) from None


def read_net(source: str | os.PathLike[str]) -> tuple[Checkpoint, dict[str, Any], torch.dtype]:
    """A net from a file or a run: its weights with their metadata, its config, and the dtype that it computes in.

    Raises:
        WeightsError: When it is torn, was written neither by ``save`` nor by ``fit``, or in a newer format.
    """
    path = as_path("load", source)
    of_run = (is_there(path) and path.is_dir()) or path.suffix == ".ckpt"
    checkpoint = read_run(path) if of_run else from_file(existing_file("load", path))
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


def read_run(path: Path) -> Checkpoint:
    """What ``fit`` left with the net at the end of a run, as ``save`` would have kept it.

    Of a folder that is the best epoch's checkpoint where the run was to restore it, else the last; and of the last
    the averaged weights where the run had some.

    Raises:
        WeightsError: When there is no run, or its net is not of the zoo.
    """
    best, last = path / "best.ckpt", path / "last.ckpt"
    if path.is_dir() and not (best.exists() or last.exists()):
        advice = "Name a file that save wrote, or the folder of a run."
        raise WeightsError(message(str(path), "a folder with best.ckpt or last.ckpt", "neither", advice))
    if path.is_dir():
        checkpoint = read_run(best) if best.exists() else read_run(last)
        restored = checkpoint.metadata["restore_best"] or not last.exists()
        return checkpoint if restored or not best.exists() else read_run(last)
    content = read_pickle(existing_file("load", path))
    try:
        found: Any = content
        weights, config, facts = found.get("average") or found["model"], found["net"]["config"], dict(found["data"])
        options, versions = found["options"], found.get("versions", {})
        about = {
            "format": found["format"],
            "config": config,
            "smallnets_version": versions.get("smallnets"),
            "torch_version": versions.get("torch"),
            "restore_best": bool(options.get("restore_best")),
        }
    except (AttributeError, LookupError, TypeError, ValueError):
        got = "another file"
        advice = "Build the net that it belongs to and call load_weights."
        raise WeightsError(message(path.name, "a checkpoint that fit wrote", got, advice)) from None
    if config is None:
        got, advice = f"one of {found['net'].get('class')}", "Build that net and call load_weights."
        raise WeightsError(message(path.name, "a checkpoint of a net of the zoo", got, advice))
    if len(shape := facts.get("shape", ())) == 3:
        facts = {"channels": shape[0], "size": list(shape[1:]), **facts}
    checkpoint = unwrap(path.name, weights)
    dtypes = {
        str(value.dtype).removeprefix("torch.") for value in checkpoint.tensors.values() if value.is_floating_point()
    }
    checkpoint.metadata = {**about, "data_facts": facts, "dtype": min(dtypes, default="")}
    return checkpoint


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
    """Every layer and every entry in words, by path; of a tensor in several places what it is the same as."""
    layers = {  # a frozen batch norm is saved as what it is when it learns
        name or "the net": f"{type(layer).__name__.removeprefix('Frozen')}({layer.extra_repr()})"
        for name, layer in net.named_modules()
    }
    first: dict[int, str] = {}
    for name, value in net.named_parameters(remove_duplicate=False):
        first.setdefault(id(value), name)
    shared = {
        name: f"the tensor of {first[id(value)]}"
        for name, value in net.named_parameters(remove_duplicate=False)
        if first[id(value)] != name
    }
    return layers | {name: str(tuple(value.shape)) for name, value in net.state_dict().items()} | shared
