"""Where weights come from: a file, a state dict, or torchvision's enum; all become one ``Checkpoint``."""

import contextlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, TypeAlias

from torch import Tensor

from ..errors import WeightsError, message, nearest
from .pickles import read_pickle
from .safetensor_files import read_safetensors

WeightsLike: TypeAlias = str | os.PathLike[str] | Mapping[str, Any] | Enum
"""A path, a state dict (wrapped or not), or a member of a torchvision weights enum or its name."""

TORCHVISION_NAME = re.compile(r"(\w+_Weights\.)?(DEFAULT|IMAGENET1K_\w+)")
# torchvision's bottleneck ResNets have the stride in the 3x3, which is known as v1.5.
V15_NAME = re.compile(r"(wide_)?resne(x)?t(50|101|152)\w*-[0-9a-f]{8}\.pth|ResNet(50|101|152)_Weights\.\w+")
FORMAT_KEY = "smallnets"


@dataclass
class Checkpoint:
    """Named tensors and what is known about them."""

    name: str
    tensors: dict[str, Tensor]
    notes: list[str] = field(default_factory=list)  # what was recognised on the way
    metadata: dict[str, Any] = field(default_factory=dict)  # of files that ``save`` wrote
    borrowed: bool = False  # the tensors are the caller's, who may go on to change them

    @property
    def stride_in(self) -> str | None:
        """Where the bottlenecks of the net that was trained have their stride, when that is known."""
        if V15_NAME.fullmatch(self.name):
            return "3x3"
        config = self.metadata.get("config")
        return config.get("stride_in") if isinstance(config, dict) else None


def read(source: WeightsLike, zoo_name: str) -> Checkpoint:
    """Read weights from anywhere.

    Args:
        source: A path, a state dict, or a torchvision weights enum member or its name.
        zoo_name: torchvision's name of the net, for names without an enum ("DEFAULT").

    Raises:
        WeightsError: When there is no such file, or it is torn, of another format, or would run code.
    """
    if isinstance(source, Mapping):
        return unwrap("the state dict", source, borrowed=True)
    if isinstance(source, Enum):
        return from_torchvision(source)
    text = os.fspath(source) if hasattr(source, "__fspath__") else source
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        kinds = "a path, a state dict or a torchvision weights enum"
        advice = "Give its state_dict()." if hasattr(source, "state_dict") else ""
        raise WeightsError(message("load_weights", kinds, f"a {type(source).__name__}", advice))
    if TORCHVISION_NAME.fullmatch(text) and not Path(text).exists():
        return from_torchvision(find_enum(text, zoo_name))
    return from_file(existing_file(text))


def existing_file(text: str) -> Path:
    path = Path(text).expanduser()
    got, advice = "no such file", ""
    with contextlib.suppress(OSError):  # a name too long for a file is that of none
        if path.is_file():
            if os.access(path, os.R_OK):
                return path
            got, advice = "one that may not be read", "Ask for its permissions."
        elif path.is_dir():
            got, advice = "a folder", "Name a file in it."
        elif path.parent.is_dir():
            advice = nearest(path.name, [entry.name for entry in path.parent.iterdir()])
    raise WeightsError(message(text[:200] or repr(text), "a file with weights", got, advice))


def from_file(path: Path) -> Checkpoint:
    if path.suffix == ".safetensors":
        tensors, texts = read_safetensors(path)
        return Checkpoint(path.name, tensors, metadata=parse_metadata(path, texts))
    return unwrap(path.name, read_pickle(path))


def parse_metadata(path: Path, texts: dict[str, str]) -> dict[str, Any]:
    """What ``save`` wrote beside the tensors; nothing where another program wrote the file."""
    if FORMAT_KEY not in texts:
        return {}
    try:
        found = json.loads(texts[FORMAT_KEY])
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise WeightsError(
            message(path.name, "metadata that save wrote", "some that is not JSON", "Save the net again.")
        )
    return found


WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "params", "weights")


def unwrap(name: str, content: object, borrowed: bool = False) -> Checkpoint:
    """Take the weights out of what a training script saved: beside an optimizer, an epoch, arguments."""
    notes: list[str] = []
    while isinstance(content, Mapping) and not any(isinstance(value, Tensor) for value in content.values()):
        wrapper = next((key for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if wrapper is None:
            break
        notes.append(f"taken out of {wrapper!r}")
        content = content[wrapper]
    if not isinstance(content, Mapping):
        raise WeightsError(message(name, "tensors by name", f"a {type(content).__name__}", "Save a state dict."))
    tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        keys = ", ".join(str(key) for key in list(content)[:8]) or "nothing"
        raise WeightsError(message(name, f"tensors by name, alone or under {' or '.join(WRAPPERS[:4])}", keys))
    return Checkpoint(name, tensors, notes, borrowed=borrowed)


def find_enum(text: str, zoo_name: str) -> Enum:
    """The member of that name among torchvision's weights."""
    from torchvision import models

    try:
        return models.get_weight(text) if "." in text else models.get_model_weights(zoo_name)[text]
    except (KeyError, ValueError):
        allowed = [f"{enum.__name__}.{name}" for enum in all_enums() for name in enum.__members__]
        advice = nearest(text, allowed) or "torchvision.models.list_models() lists its nets."
        raise WeightsError(message("load_weights", "the name of torchvision weights", repr(text), advice)) from None


def all_enums() -> list[type[Enum]]:
    from torchvision import models

    return [models.get_model_weights(name) for name in models.list_models(module=models)]


def from_torchvision(member: Enum) -> Checkpoint:
    """The download is torchvision's own, or none where an earlier one left the file in its cache."""
    get_state_dict = getattr(member, "get_state_dict", None)
    if get_state_dict is None:
        raise WeightsError(message("load_weights", "a torchvision weights enum", repr(member)))
    try:
        state = get_state_dict(progress=True, check_hash=True, weights_only=True, map_location="cpu")
    except Exception as error:  # the network and the cached file both fail in many ways
        reason = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
        advice = "Look at the connection, or delete the file that torchvision keeps for it and try again."
        raise WeightsError(message("load_weights", f"torchvision to give {member}", reason, advice)) from None
    return unwrap(str(member), state)
