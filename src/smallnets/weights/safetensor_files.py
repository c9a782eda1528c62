"""Safetensors files: mapped and checked when read, written so that a crash leaves the old file whole.

The package's own reader is as quick as one of several threads was (0.10 s for a vgg16, n = 9), so it is taken.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from ..errors import SmallnetsError, WeightsError, first_line, memory_told, message
from ..files import whole_file
from .seals import NO_SEAL, SEAL_KEY, check_safetensors, seal_safetensors

DTYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64"}  # what nets hold


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by name, in the file until they are copied, and the file's metadata.

    Raises:
        WeightsError: When the file is torn, empty, changed since ``save`` wrote it, or no safetensors file.
    """
    try:
        with memory_told(path.name, "its tensors"), safe_open(path, "pt") as file:
            refuse_doubles(path)
            metadata = file.metadata() or {}
            check_safetensors(path, metadata)
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118 - no dict
    except SmallnetsError:
        raise
    except Exception as error:  # a file from outside can fail in any way that a parser can
        raise torn(path, first_line(error)[:120]) from None


def refuse_doubles(path: Path) -> None:
    """Say no to a header that names an entry twice; the package would take the last one."""

    def table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        if len(set(names)) < len(names):
            double = next(name for place, name in enumerate(names) if name in names[:place])
            raise torn(path, f"a header with two entries called {double[:60]!r}")
        return dict(pairs)

    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        json.loads(file.read(length), object_pairs_hook=table)


def torn(path: Path, got: str) -> WeightsError:
    return WeightsError(
        message(path.name, "a whole safetensors file", got, "Copy or download it again, or give its right ending.")
    )


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write the file and its seal; whatever happens, ``path`` is the old file or the whole new one.

    The package's writer leaves a file that only its owner may read, and tells no full disk from other troubles.

    Raises:
        OSError: When it cannot be written.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    plain = dict(sorted(plain.items(), key=lambda item: -item[1].element_size()))  # so that each is aligned
    header: dict[str, Any] = {"__metadata__": {**metadata, SEAL_KEY: NO_SEAL}}
    end = 0
    for name, tensor in plain.items():
        begin, end = end, end + tensor.nbytes
        header[name] = {"dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with whole_file(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in plain.values():
            file.write(tensor.view(-1).view(torch.uint8).numpy().data)
        seal_safetensors(file)
