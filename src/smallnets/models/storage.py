"""One file that holds a net: its weights, the config that rebuilds it, and what a user of it has to know."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .._version import __version__
from ..errors import OptionError, SmallnetsError, WeightsError, check_choice, message
from ..weights import FORMAT_KEY, Uninitialised, load_checkpoint, read, unwrapped, write_safetensors
from .base import Net
from .registry import build

FORMAT = 1  # raised when a file can no longer be read by the library before
DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in (torch.float32, torch.float16, torch.bfloat16)}


def save(model: nn.Module, path: str | Path, *, dtype: torch.dtype | None = None, **metadata: object) -> None:
    """Save a net to one safetensors file, from which ``load`` rebuilds it in an empty process.

    Args:
        model: A net of the zoo, as its builder made it; training, loading and ``reset_classifier`` change nothing.
        path: The file, which should end in ``.safetensors``; an older one is replaced in one step.
        dtype: ``torch.float16`` or ``torch.bfloat16`` stores the numbers at half the size; the net that is rebuilt
            computes in the dtype that this one has.
        **metadata: What else to keep, JSON-able: ``classes``, ``mean``, ``std``, ``accuracy``, ``data_sha``, ...
            ``input_size``, the net's config and the versions of the library and of torch are always kept.

    Raises:
        WeightsError: When the net was changed by surgery, or the folder cannot be written.
        ValueError: When metadata is not JSON-able or ``dtype`` is no floating type.

    >>> import smallnets as sn, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sn.save(sn.lenet5(), f"{folder}/net.safetensors", classes=[*"0123456789"], accuracy=0.99)
    ...     sn.load(f"{folder}/net.safetensors").metadata["accuracy"]
    0.99
    """
    net, path = unwrapped(model), Path(path)
    if not isinstance(net, Net):
        got = f"a {type(net).__name__}"
        raise WeightsError(message("save", "a net of the zoo", got, "Save its state_dict() with safetensors instead."))
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
    refuse_surgery(net)
    own = {
        "format": FORMAT,
        "config": net.config,
        "dtype": dtype_of(net),
        "smallnets_version": __version__,
        "torch_version": torch.__version__,
    }
    for key in own.keys() & metadata.keys():
        raise OptionError(message("save", "metadata under another name", repr(key), "The library writes that itself."))
    try:
        text = json.dumps({"input_size": net.input_size, **metadata, **own}, allow_nan=False)
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


def load(path: str | Path) -> Net:
    """Rebuild the net that ``save`` wrote: same config, same weights, nothing initialised at random on the way.

    Args:
        path: A safetensors file that ``save`` wrote. A surrounding ``torch.device`` is honoured.

    Returns:
        The net, in training mode as from its builder; what was saved beside the weights is in its ``metadata``.

    Raises:
        WeightsError: When the file is torn, was not written by ``save``, or by a newer library in a newer format.

    >>> load("there/is/none.safetensors")
    Traceback (most recent call last):
    ...
    smallnets.errors.WeightsError: there/is/none.safetensors: expected a file with weights; got no such file.
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
    try:
        net = rebuilt(config)
    except (SmallnetsError, TypeError) as error:
        got = f"one that cannot be built ({error})"
        advice = f"Take the smallnets that wrote it, {found.get('smallnets_version')}."
        raise WeightsError(message(checkpoint.name, "the config of a net", got, advice)) from None
    load_checkpoint(net.to(DTYPES[found["dtype"]]), checkpoint)
    net.metadata = found
    return net


def rebuilt(config: Mapping[str, Any]) -> Net:
    """The net of a config, its parameters without memory."""
    with Uninitialised():
        return build(**config)


def dtype_of(net: Net) -> str:
    found = sorted({str(parameter.dtype).removeprefix("torch.") for parameter in net.parameters()})
    if len(found) != 1 or found[0] not in DTYPES:
        advice = "Convert it first: net.float()."
        raise OptionError(message("save", f"a net all in {' or '.join(DTYPES)}", " and ".join(found), advice))
    return found[0]


def refuse_surgery(net: Net) -> None:
    """Say no to a net that its config would not rebuild: the file would load as another net, or not at all."""
    own, other = describe(net), describe(rebuilt(net.config))
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
