"""``save`` and ``load``: a net as one file."""

import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ..errors import SmallnetsError, WeightsError, message
from ..facts import DataFacts, facts_of, leave_facts
from ..files import is_there
from ..weights import Uninitialised, as_path, load_checkpoint, read_net, unwrapped, write_net
from .base import Net
from .build import build
from .trained import is_trained_name, trained


def save(
    model: nn.Module, path: str | os.PathLike[str], *, dtype: torch.dtype | None = None, **metadata: object
) -> None:
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
    facts = facts_of(net)
    known = {} if facts is None else {"data_facts": facts.to_dict()}
    kept = {"input_size": net.input_size, **known, **metadata}
    write_net(net, as_path("save", path), dtype, kept, config=net.config, rebuild=rebuilt)


def load(path: str | os.PathLike[str]) -> Net:
    """Rebuild the net that ``save`` wrote, or that a run of ``fit`` left; nothing is initialised at random on the way.

    Args:
        path: A safetensors file that ``save`` wrote, the folder of a run, or one of its checkpoints (``.ckpt``); or the
            name of a trained net of the package (``"lenet5:digits"``). A
            folder gives the net that ``fit`` ended with: the best epoch's where it was called with ``restore_best``,
            else the last, averaged where it kept an average. A surrounding ``torch.device`` is honoured.

    Returns:
        The net, in training mode as from its builder. What was saved beside the weights is in its ``metadata``, what
        the run knew of its data in its ``data_facts``.

    Raises:
        WeightsError: When the file is torn or was changed, was written neither by ``save`` nor by ``fit``, or by a
            newer library in a newer format.

    >>> load("there/is/none.safetensors")
    Traceback (most recent call last):
    ...
    smallnets.errors.WeightsError: there/is/none.safetensors: expected a file with weights; got no such file.
    """
    if isinstance(path, str) and is_trained_name(path) and not is_there(path):
        path = trained(path).path
    checkpoint, config, dtype = read_net(path)
    try:
        net = rebuilt(config, sum(tensor.numel() for tensor in checkpoint.tensors.values()))
        facts = read_facts(checkpoint.metadata)
    except (SmallnetsError, TypeError, ValueError) as error:
        got = f"one that cannot be built ({error})"
        advice = f"Take the smallnets that wrote it, {checkpoint.metadata.get('smallnets_version')}."
        raise WeightsError(message(checkpoint.name, "the config of a net", got, advice)) from None
    load_checkpoint(net.to(dtype), checkpoint)
    net.metadata = checkpoint.metadata
    if facts is not None:
        leave_facts(net, facts)
    return net


def read_facts(metadata: Mapping[str, Any]) -> DataFacts | None:
    """What a file knows of the data, believed only where it has the types that it should."""
    found = metadata.get("data_facts")
    if found is None:
        return None
    if not isinstance(found, dict):
        raise WeightsError(message("load", "the facts of a data set", str(found)[:100]))
    return DataFacts.from_dict(found)


def rebuilt(config: Mapping[str, Any], numbers: int | None = None) -> Net:
    """The net of a config, its parameters without memory; of at most so many ``numbers``."""
    with Uninitialised(numbers):
        return build(**config)
