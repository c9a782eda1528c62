"""Paths that users give: is there a file, and why could one not be written?"""

import contextlib
import errno
import os
import stat
from pathlib import Path

from ..errors import WeightsError, first_line, message, nearest
from ..files import why_unwritten

SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt", ".bin")  # of what may have been meant


def unwritten(who: str, path: Path, error: Exception) -> WeightsError:
    """Why a file could not be written, and what helps."""
    reason, advice = why_unwritten(path, error)
    return WeightsError(message(who, f"to write {path}", reason, advice))


def as_path(who: str, given: object) -> Path:
    """A path that a user gave, its ``~`` written out.

    Raises:
        WeightsError: When it is no text and no path, or names a user who is not there.
    """
    text = os.fspath(given) if isinstance(given, os.PathLike) else given
    if not isinstance(text, str):
        raise WeightsError(message(who, "a path", f"a {type(given).__name__}"))
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise WeightsError(message(who, "a path", repr(text[:200]), f"{first_line(error).rstrip('.')}.")) from None


def existing_file(who: str, given: object) -> Path:
    """The path of a plain file that can be read.

    Raises:
        WeightsError: Which says what is there instead.
    """
    path = as_path(who, given)
    got, advice = "no such file", ""
    try:
        kind = path.stat().st_mode
        if stat.S_ISREG(kind) and os.access(path, os.R_OK):
            return path
        if stat.S_ISREG(kind):
            got, advice = "one that may not be read", "Ask for its permissions."
        elif stat.S_ISDIR(kind):
            got, advice = "a folder", "Name a file in it."
        else:
            got, advice = "a device, pipe or socket", "Write what it gives to a file first."
    except (OSError, ValueError) as error:  # a name too long or with a zero byte in it is that of no file
        if getattr(error, "errno", None) in (errno.ELOOP, errno.EACCES):
            got = first_line(error).partition(": ")[0]
        with contextlib.suppress(OSError, ValueError):
            if path.parent.is_dir():
                near = [entry for entry in path.parent.iterdir() if entry.suffix in SUFFIXES or entry.is_dir()]
                advice = nearest(path.name, [entry.name for entry in near])
    text = str(path)
    raise WeightsError(message(text[:200] or repr(text), "a file with weights", got, advice))
