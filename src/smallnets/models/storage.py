"""``save`` and ``load``: a net as one file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..errors import SmallnetsError, WeightsError, message
from ..weights import Uninitialised, load_checkpoint, read_net, unwrapped, write_net
from .base import Net
from .build import build


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
    net = unwrapped(model)
    if not isinstance(net, Net):
        got = f"a {type(net).__name__}"
        raise WeightsError(message("save", "a net of the zoo", got, "Save its state_dict() with safetensors instead."))
    kept = {"input_size": net.input_size, **metadata}
    write_net(net, Path(path), dtype, kept, config=net.config, rebuild=rebuilt)


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
    checkpoint, config, dtype = read_net(path)
    try:
        net = rebuilt(config)
    except (SmallnetsError, TypeError) as error:
        got = f"one that cannot be built ({error})"
        advice = f"Take the smallnets that wrote it, {checkpoint.metadata.get('smallnets_version')}."
        raise WeightsError(message(checkpoint.name, "the config of a net", got, advice)) from None
    load_checkpoint(net.to(dtype), checkpoint)
    net.metadata = checkpoint.metadata
    return net


def rebuilt(config: Mapping[str, Any]) -> Net:
    """The net of a config, its parameters without memory."""
    with Uninitialised():
        return build(**config)
