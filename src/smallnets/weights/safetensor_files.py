"""Safetensors files: read into fresh memory by several threads, written so that a crash leaves the old file whole.

The package of the same name maps a file into memory; whoever then writes over the file crashes every process that
still holds its tensors. Here every byte is read.
"""

import json
import math
import os
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..errors import WeightsError, message
from .parallel import READERS, Job, jobs, read_chunk

DTYPES: dict[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
MAX_HEADER = 100_000_000  # the format's own limit


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by name, and the file's metadata.

    Raises:
        WeightsError: When the file is torn, empty, or no safetensors file.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        header, start = read_header(path, file.fileno(), size)
        found = header.pop("__metadata__", {})
        tensors: dict[str, Tensor] = {}
        reads: list[Job] = []
        for name, entry in header.items():
            tensors[name], begin, end = allocate(path, name, entry, size - start)
            if end > begin:
                target = memoryview(tensors[name].view(-1).view(torch.uint8).numpy().data)
                reads += jobs(target, start + begin)
        with ThreadPoolExecutor(READERS) as pool:
            counts = pool.map(partial(read_chunk, file.fileno()), reads)
        if sum(counts) != sum(len(target) for target, _ in reads):
            raise torn(path, "it ended while it was read")
    return tensors, {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def read_header(path: Path, fd: int, size: int) -> tuple[dict[str, Any], int]:
    """The header, and the byte at which the tensors start."""
    if size < 8:
        raise torn(path, f"{size} bytes")
    length = int.from_bytes(os.pread(fd, 8, 0), "little")
    if length > min(MAX_HEADER, size - 8):
        raise torn(path, f"{size} bytes of which the header claims {length:,}")
    try:
        header = json.loads(os.pread(fd, length, 8))
    except (ValueError, RecursionError):
        raise torn(path, "a header that is not JSON") from None
    if not isinstance(header, dict):
        raise torn(path, "a header that is not a table")
    return header, 8 + length


def allocate(path: Path, name: str, entry: Any, room: int) -> tuple[Tensor, int, int]:
    """Memory for one tensor, and where in the file it begins and ends; the header is not believed unchecked."""
    try:
        dtype, shape = DTYPES[entry["dtype"]], [int(side) for side in entry["shape"]]
        begin, end = (int(offset) for offset in entry["data_offsets"])
    except (KeyError, TypeError, ValueError):
        raise torn(path, f"an entry {name!r} that cannot be read: {str(entry)[:80]}") from None
    if min([begin, *shape]) < 0 or end - begin != math.prod(shape) * dtype.itemsize:
        raise torn(path, f"an entry {name!r} whose bytes do not make its shape")
    if end > room:
        raise torn(path, f"{room:,} bytes of tensors where {name!r} ends at {end:,}")
    return torch.empty(shape, dtype=dtype, device="cpu"), begin, end


def torn(path: Path, got: str) -> WeightsError:
    return WeightsError(
        message(path.name, "a whole safetensors file", got, "Copy or download it again, or give its right ending.")
    )


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write beside the target, then move over it: readers see the old file or the new one, never half of one."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        os.fchmod(handle, 0o666 & ~current_umask())  # mkstemp's own mode would lock others out
        save_file(plain, beside, metadata)
        os.fsync(handle)
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def current_umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
