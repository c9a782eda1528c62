"""Checkpoints that survive a kill: one file, written whole or not at all, its predecessor kept.

A checkpoint is what ``torch.save`` writes: a zip, here with the SHA-256 of all that is in front of it as its comment.
"""

import hashlib
import os
import pickle
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch

from ...errors import RunError, first_line, message

FORMAT = 1
BROKEN = (zipfile.BadZipFile, zlib.error, pickle.UnpicklingError)
LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"


class NewerFormatError(RunError):
    """A checkpoint that a newer version wrote."""


def write_atomically(path: Path, write: Callable[[BinaryIO], object], keep: Path | None = None) -> None:
    """Call ``write(file)`` on a temporary file beside ``path``, then put it in place; ``keep`` gets the old one.

    Whatever happens, ``path`` is the old file or the whole new one.

    Raises:
        RunError: When the file cannot be written, a full disk included; what was there before is still there.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w+b") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        if keep is not None and path.exists():
            spare = keep.with_name(f".{keep.name}.part")
            spare.unlink(missing_ok=True)
            try:
                os.link(path, spare)  # a second name, so that there is no moment without a last checkpoint
            except OSError:
                path.replace(spare)
            spare.replace(keep)
        part.replace(path)
        sync_folder(path.parent)
    except (OSError, RuntimeError) as error:  # torch reports a failed write as RuntimeError
        part.unlink(missing_ok=True)
        left = f"{path.name} of before is untouched" if path.exists() else "nothing was left behind"
        text = message("fit", f"to write {path}", first_line(error), f"Free some space; {left}.")
        raise RunError(text) from error


def sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def write_checkpoint(path: Path, state: Mapping[str, Any], keep: Path | None = None) -> None:
    """Save a state dict of tensors, numbers and text."""
    content = {"format": FORMAT, **state}

    def write(file: BinaryIO) -> None:
        torch.save(content, file)
        seal(file)

    write_atomically(path, write, keep)


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


def write_text(path: Path, text: str) -> None:
    """Write a small text file, whole or not at all."""
    write_atomically(path, lambda file: file.write(text.encode()))


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


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint, verified; never runs code from the file.

    Raises:
        NewerFormatError: When a newer version wrote it.
        RunError: When it is torn or foreign.
    """
    try:
        check_whole(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, LookupError, *BROKEN) as error:
        if isinstance(error, RunError):
            raise
        found = "no such file" if isinstance(error, FileNotFoundError) else "a file that is torn or no checkpoint"
        raise RunError(message("smallnets", f"a checkpoint in {path}", found)) from error
    if not isinstance(content, dict) or "format" not in content:
        raise RunError(message("smallnets", f"a checkpoint of smallnets in {path}", "another file"))
    if content["format"] > FORMAT:
        advice = "Upgrade smallnets."
        wanted = f"checkpoint format {FORMAT} or older in {path}"
        raise NewerFormatError(message("smallnets", wanted, content["format"], advice))
    return content


def read_newest(folder: Path) -> dict[str, Any] | None:
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
            warnings.warn(f"{error} Going on from {there[place + 1].name}.", stacklevel=3)
    return None
