"""Where weights come from: a file, a state dict, or torchvision's enum; all become one ``Checkpoint``."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, TypeAlias

from torch import Tensor

from ..errors import WeightsError, message
from .paths import existing_file
from .pickles import read_pickle
from .safetensor_files import read_safetensors
from .torchvision_enums import download

WeightsLike: TypeAlias = str | os.PathLike[str] | Mapping[str, Any] | Enum
"""A path, a state dict (wrapped or not), or a member of a torchvision weights enum or its name."""

# torchvision's bottleneck ResNets have the stride in the 3x3, which is known as v1.5.
V15_NAME = re.compile(r"(wide_)?resne(x)?t(50|101|152)\w*-[0-9a-f]{8}\.pth|ResNet(50|101|152)_Weights\.\w+")
FORMAT_KEY = "smallnets"


@dataclass
class Checkpoint:
    """Named tensors and what is known about them.

    Attributes:
        tensors: All that is there, under the keys on the way and the name, with dots between.
        tables: For every one of them the keys alone, each with its dot: ``state_dict.``.
        metadata: Of files that ``save`` wrote.
        extras: What layers keep beside tensors, by its name.
        versions: What PyTorch notes of each layer in a state dict, by the layer's path.
    """

    name: str
    tensors: dict[str, Tensor]
    tables: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    extras: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, Any] = field(default_factory=dict)

    @property
    def stride_in(self) -> str | None:
        """Where the bottlenecks of the net that was trained have their stride, when that is known."""
        if V15_NAME.fullmatch(self.name):
            return "3x3"
        config = self.metadata.get("config")
        return config.get("stride_in") if isinstance(config, dict) else None


def read(source: WeightsLike) -> Checkpoint:
    """Read weights from anywhere.

    Args:
        source: A path, a state dict, or a member of a torchvision weights enum.

    Raises:
        WeightsError: When there is no such file, or it is torn, of another format, or would run code.
    """
    if isinstance(source, Mapping):
        return unwrap("the state dict", source)
    if isinstance(source, Enum):
        return unwrap(str(source), download(source))
    if not isinstance(source, str | os.PathLike):  # pyright: ignore[reportUnnecessaryIsInstance]
        kinds = "a path, a state dict or a torchvision weights enum"
        advice = "Give its state_dict()." if hasattr(source, "state_dict") else ""
        raise WeightsError(message("load_weights", kinds, f"a {type(source).__name__}", advice))
    return from_file(existing_file("load_weights", source))


def from_file(path: Path) -> Checkpoint:
    if path.suffix == ".safetensors":
        tensors, texts = read_safetensors(path)
        return Checkpoint(path.name, tensors, dict.fromkeys(tensors, ""), parse_metadata(path, texts))
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


DEEPEST = 8  # dicts within dicts


def unwrap(name: str, content: object) -> Checkpoint:
    """All tensors that a training script saved, whatever they stand beside and under whatever keys."""
    if not isinstance(content, Mapping | list | tuple):
        raise WeightsError(message(name, "tensors by name", f"a {type(content).__name__}", "Save a state dict."))
    versions: dict[str, Any] = {}
    found = list(walk(content, "", DEEPEST, set(), versions))
    tensors = {name: value for name, _, value in found if isinstance(value, Tensor)}
    if not tensors:
        keys = ", ".join(str(key)[:40] for key in list(content)[:8]) or "nothing"
        raise WeightsError(message(name, "tensors by name, alone or in a dict", keys, "Save a state dict."))
    extras = {name: value for name, _, value in found if name not in tensors}
    return Checkpoint(name, tensors, {name: table for name, table, _ in found}, {}, extras, versions)


def walk(
    content: Any, table: str, depth: int, seen: set[int], versions: dict[str, Any]
) -> Iterator[tuple[str, str, Any]]:
    """Name, keys on the way and value of all that is there; a dict that stands in several places comes once."""
    if depth == 0 or id(content) in seen:
        return
    seen.add(id(content))
    noted = getattr(content, "_metadata", None)
    if isinstance(noted, Mapping):
        versions.update({f"{table}{path}": about for path, about in noted.items() if isinstance(about, Mapping)})
    for key, value in content.items() if isinstance(content, Mapping) else enumerate(content):
        if isinstance(value, Tensor) or str(key).endswith("_extra_state"):
            yield f"{table}{key}", table, value
        elif isinstance(value, Mapping | list | tuple):
            yield from walk(value, f"{table}{key}.", depth - 1, seen, versions)
