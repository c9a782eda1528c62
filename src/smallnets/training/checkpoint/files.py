"""Checkpoint files that survive a kill: each written whole or not at all, its predecessor kept, damage noticed.

A checkpoint is what ``torch.save`` writes: a zip, here with the SHA-256 of all that is in front of it as its comment.
"""

import contextlib
import hashlib
import os
import pickle
import zipfile
import zlib
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch

from ...errors import RunError, memory_told, message
from ...files import told_when_unwritten, whole_file
from ...warn import warn
from .schema import NewerFormatError, check_format

BROKEN = (zipfile.BadZipFile, zlib.error, pickle.UnpicklingError)
LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"


def write_checkpoint(path: Path, content: Mapping[str, Any], keep: Path | None = None) -> None:
    """Save a dict of tensors, numbers and text, sealed; ``keep`` gets the file before."""
    with written(path, keep) as file:
        torch.save(content, file)
        seal(file)


@contextlib.contextmanager
def written(path: Path, keep: Path | None = None) -> Generator[BinaryIO, None, None]:
    """``whole_file`` of a run.

    Raises:
        RunError: When it cannot be written, a full disk included; what was there before is still there.
    """
    try:
        with told_when_unwritten(path, "fit"), whole_file(path, keep) as file:
            yield file
    except RunError as error:
        if path.parent.is_dir():
            raise
        advice = "Leave the run folder where it is while fit runs."
        raise RunError(message("fit", f"to write {path}", "that its folder is gone", advice)) from error


def seal(file: BinaryIO) -> None:
    """Put the digest of a zip into its comment, which is empty and the last two bytes tell the length of."""
    file.seek(-2, os.SEEK_END)
    end = file.tell()
    digest = digest_of(file, end)
    file.seek(end)
    file.write(len(digest).to_bytes(2, "little") + digest)


def digest_of(file: BinaryIO, end: int) -> bytes:
    """SHA-256 of the first ``end`` bytes, as text."""
    file.seek(0)
    found = hashlib.sha256()
    while part := file.read(min(1 << 20, end - file.tell())):
        found.update(part)
    return b"sha256 " + found.hexdigest().encode()


def check_whole(path: Path) -> None:
    """Compare a file with its digest; one that another program wrote, without one, with the sums of its entries.

    Raises:
        RunError: When they differ.
    """
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        seal = archive.comment
        end = path.stat().st_size - len(seal) - 2
        fine = seal == digest_of(file, end) if seal else archive.testzip() is None
    if not fine:
        advice = "It was damaged after it was written."
        raise RunError(message("smallnets", f"a whole checkpoint in {path}", "a wrong checksum", advice))


def read_checkpoint(path: Path) -> Mapping[str, Any]:
    """What was written, verified; never runs code from the file.

    Raises:
        NewerFormatError: When a newer version wrote it.
        RunError: When it is torn or foreign.
    """
    try:
        with memory_told("smallnets", f"the checkpoint {path}"):
            check_whole(path)
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, LookupError, *BROKEN) as error:
        if isinstance(error, RunError):
            raise
        got = "no such file" if isinstance(error, FileNotFoundError) else "a file that is torn or no checkpoint"
        raise RunError(message("smallnets", f"a checkpoint in {path}", got)) from error
    check_format(content, path)
    return content


def read_newest(folder: Path) -> Mapping[str, Any] | None:
    """The last checkpoint of a run; with a warning the one before, when the last is damaged; None when there is none.

    Raises:
        RunError: When all that are there are damaged.
    """
    there = [folder / name for name in (LAST, PREVIOUS) if (folder / name).exists()]
    for place, path in enumerate(there):
        try:
            return read_checkpoint(path)
        except NewerFormatError:  # a whole one, that is not ours to pass over
            raise
        except RunError as error:
            if place == len(there) - 1:
                got = "damaged ones: " + ", ".join(path.name for path in there)
                advice = "Remove them to start anew, or take another folder."
                raise RunError(message("fit", f"a whole checkpoint in {folder}", got, advice)) from error
            warn(f"{error} Going on from {there[place + 1].name}.")
    return None
