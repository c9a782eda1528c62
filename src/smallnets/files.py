"""Files that are written whole or not at all."""

import contextlib
import errno
import os
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO

from .errors import RunError, first_line, message


@contextlib.contextmanager
def whole_file(path: Path, keep: Path | None = None) -> Generator[BinaryIO, None, None]:
    """A file to write, which takes the place of ``path`` when all is written and on the disk.

    Whatever happens, ``path`` is the old file or the whole new one; nothing is left beside it.

    Args:
        path: The file to be.
        keep: Where the old file goes; else it is gone.

    Raises:
        OSError: When the file cannot be written, a full disk included.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with whole_file(Path(folder) / "a.txt") as file:
    ...         _ = file.write(b"all of it")
    ...     (Path(folder) / "a.txt").read_text()
    'all of it'
    """
    part = part_of(path)
    try:
        with part.open("w+b") as file:
            yield file
            file.flush()
            sync(file.fileno())
        if keep is not None and path.exists():
            give_second_name(path, part_of(keep))
            part_of(keep).replace(keep)
        part.replace(path)
        sync_folder(path.parent)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text, in UTF-8, whole or not at all.

    Raises:
        RunError: When it cannot be written, and why; what was there before is still there.
    """
    try:
        with whole_file(path) as file:
            file.write(text.encode(errors="backslashreplace"))  # a path may hold bytes that are no UTF-8
    except OSError as error:
        advice = "Free some space." if error.errno == errno.ENOSPC else ""
        raise RunError(message("smallnets", f"to write {path}", first_line(error), advice)) from error


def part_of(path: Path) -> Path:
    """Where a file is while it is written; a process that is killed leaves it there."""
    return path.with_name(f".{path.name}.part")


def give_second_name(path: Path, other: Path) -> None:
    """Let ``other`` be the same file as ``path``, so that there is no moment without ``path``.

    Not every file system and system has hard links: there the file gets the other name instead.
    """
    other.unlink(missing_ok=True)
    try:
        os.link(path, other)
    except (OSError, AttributeError):
        path.replace(other)


def sync(handle: int) -> None:
    """Wait until what was written is on the disk, where the system can."""
    if hasattr(os, "fsync"):
        os.fsync(handle)


def sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut, where the system can."""
    with contextlib.suppress(OSError):  # Windows opens no folder; some file systems sync none
        handle = os.open(folder, os.O_RDONLY)
        try:
            sync(handle)
        finally:
            os.close(handle)
