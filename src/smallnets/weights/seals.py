"""Digests that tell a file that was changed after it was written: SHA-256, in checkpoints and in what ``save`` writes.

A checkpoint, which is a zip, has the digest of all that is in front of it as its comment. A safetensors file has it in
its header, and it is that of the file with zeros in its place.
"""

import hashlib
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from ..errors import WeightsError, message

SEAL_KEY = "digest"
NO_SEAL = f"sha256 {'0' * 64}"


def seal_safetensors(file: BinaryIO) -> None:
    """Put the digest of a file that was written with ``NO_SEAL`` into its place."""
    at, end = place_of_seal(file, NO_SEAL), file.seek(0, os.SEEK_END)
    seal = digest(file, end)
    file.seek(at)
    file.write(seal.encode())


def check_safetensors(path: Path, metadata: Mapping[str, str]) -> None:
    """Compare a file with its seal; one of another program has none and passes.

    A seal is known by its key and by its form, so that no single bit can hide it.

    Raises:
        WeightsError: When they differ.
    """
    sealed = [text for key, text in metadata.items() if key == SEAL_KEY or text.startswith("sha256 ")]
    if not sealed:
        return
    with path.open("rb") as file:
        at = place_of_seal(file, sealed[0])
        if at < 0 or digest(file, path.stat().st_size, blank=at) != sealed[0]:
            raise changed(path)


def check_zip(path: Path) -> None:
    """Compare a checkpoint with its seal, where it has one.

    Raises:
        WeightsError: When they differ.
    """
    with zipfile.ZipFile(path) as archive:
        seal = archive.comment
    if seal.startswith(b"sha256 "):
        with path.open("rb") as file:
            if digest(file, path.stat().st_size - len(seal) - 2).encode() != seal:
                raise changed(path)


def changed(path: Path) -> WeightsError:
    got = "one whose digest is another"
    advice = "It was changed or damaged since: copy it again."
    return WeightsError(message(path.name, "a whole file, as it was written", got, advice))


def place_of_seal(file: BinaryIO, seal: str) -> int:
    """At which byte of the header the seal stands; -1 where it does not."""
    file.seek(0)
    at = file.read(int.from_bytes(file.read(8), "little")).find(seal.encode())
    return at if at < 0 else at + 8


def digest(file: BinaryIO, end: int, blank: int | None = None) -> str:
    """The seal for the first ``end`` bytes, those of the seal at ``blank`` taken as ``NO_SEAL``."""
    found = hashlib.sha256()
    file.seek(0)
    if blank is not None:
        found.update(file.read(blank))
        found.update(NO_SEAL.encode())
        file.seek(blank + len(NO_SEAL))
    while part := file.read(min(1 << 20, end - file.tell())):
        found.update(part)
    return f"sha256 {found.hexdigest()}"
