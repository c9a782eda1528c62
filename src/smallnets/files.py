"""Files that are written whole or not at all."""

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO

from .errors import OptionError, RunError, SmallnetsError, first_line, message, shortened
from .wording import disk_full, unwritten

FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
STREAMS = {Path("/dev"), Path("/dev/fd"), Path("/proc/self/fd")}  # what is there stands for what is open


@contextlib.contextmanager
def whole_file(path: Path, keep: Path | None = None) -> Generator[BinaryIO, None, None]:
    """A file to write, which takes the place of ``path`` when all is written and on the disk.

    Whatever happens, ``path`` is the old file or the whole new one; nothing is left beside it. A link in its place is
    replaced, not followed. A device or a pipe is written to as it is.

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
    if path.parent in STREAMS or is_stream(path):
        with stream_at(path) as file:
            yield file
        return
    part = part_of(path)
    part.unlink(missing_ok=True)
    try:
        with part.open("x+b") as file:  # a new one: what somebody planted under its name is not written through
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


def write_text(path: str | os.PathLike[str], text: str, who: str = "smallnets") -> None:
    """Write a text, in UTF-8, whole or not at all; characters that UTF-8 has not are written as escapes.

    Raises:
        RunError: When it cannot be written, and why; what was there before is still there.
    """
    write_bytes(path, text.encode(errors="backslashreplace"), who)


def write_bytes(path: str | os.PathLike[str], content: bytes, who: str = "smallnets") -> None:
    """``write_text`` of bytes."""
    place = user_path(who, "path", path)
    if not place.name:
        raise OptionError(message(who, "path to be a file", repr(str(place))))
    with told_when_unwritten(place, who), whole_file(place) as file:
        file.write(content)


def check_writable(path: str | os.PathLike[str], who: str = "smallnets") -> None:
    """Refuse a place where no file can be written, before the work whose result it is to hold.

    Raises:
        RunError: As ``write_text`` would.
    """
    place = user_path(who, "path", path)
    if not place.name:
        raise OptionError(message(who, "path to be a file", repr(str(place))))
    if place.parent in STREAMS or is_stream(place):
        return
    with told_when_unwritten(place, who):
        folder = place.parent
        kind = (
            errno.EISDIR if place.is_dir()
            else errno.ENOENT if not folder.exists()
            else errno.ENOTDIR if not folder.is_dir()
            else errno.EACCES if not os.access(folder, os.W_OK)
            else 0
        )  # fmt: skip
        if kind:
            raise OSError(kind, os.strerror(kind))


@contextlib.contextmanager
def told_when_unwritten(path: Path, who: str) -> Generator[None, None, None]:
    """Say in one sentence why a file could not be written.

    Raises:
        RunError: Instead of the system's error, and of PyTorch's, which has that of its file for its context.
    """
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, SmallnetsError) or not (isinstance(error, OSError) or unwritten(error)):
            raise
        reason, advice = why_unwritten(path, error)
        raise RunError(message(who, f"to write {path}", reason, advice)) from error


def why_unwritten(path: Path, error: BaseException) -> tuple[str, str]:
    """Why a file could not be written; and what helps, which is more space only where the disk is full."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    reason = getattr(cause, "strerror", None) or first_line(error)[:120]
    full = getattr(cause, "errno", None) in FULL or disk_full(error)
    with contextlib.suppress(OSError, ValueError):
        if path.exists():
            return reason, f"{'Free some space; the' if full else 'The'} old {path.name} is untouched."
    return reason, "Free some space; nothing was left behind." if full else "Nothing was left behind."


def stream_at(path: Path) -> BinaryIO:
    """A device or a pipe to write to; what stands for an open file goes on where that is, and cuts nothing off."""
    numbered = path.name.isdigit() and path.parent in STREAMS - {Path("/dev")}
    number = {"/dev/stdout": 1, "/dev/stderr": 2}.get(str(path), int(path.name) if numbered else None)
    if number is None:
        return path.open("wb")
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # pyright: ignore[reportUnnecessaryComparison]
            stream.flush()
    return os.fdopen(os.dup(number), "wb")


def is_stream(path: Path) -> bool:
    """Whether something is there that is no file and no folder: a device, a pipe, a socket."""
    try:
        kind = path.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(kind) and not stat.S_ISDIR(kind)


def is_there(path: str | os.PathLike[str]) -> bool:
    """Whether something is there; nothing is under a name that no file can have, where a Path's own methods raise."""
    try:
        return Path(path).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False


def user_path(who: str, option: str, given: object) -> Path:
    """A path that a user gave, its ``~`` written out.

    Raises:
        OptionError: When it is no text and no path, has a zero byte, or names a user who is not there.
    """
    text = os.fspath(given) if isinstance(given, os.PathLike) else given
    if not isinstance(text, str) or not text or "\0" in text:
        raise OptionError(message(who, f"{option} to be a path", repr(given)[:100]))
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:
        raise OptionError(message(who, f"{option} to be a path", repr(text[:100]), f"{first_line(error)}")) from None
    if why := unreachable(path):
        raise OptionError(message(who, f"{option} to be a path", f"{shortened(repr(text), 100)} ({why})"))
    return path


def unreachable(path: Path) -> str | None:
    """Why the system cannot even look whether something is there: a name too long, a folder that is closed, no text."""
    try:
        path.lstat()
    except OSError as error:
        return None if error.errno in (errno.ENOENT, errno.ENOTDIR) else error.strerror
    except ValueError:
        return "no name that a file can have"
    return None


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
