"""Words for a person on stderr or stdout: never worth an error, whatever has become of the stream."""

import contextlib
import os
import sys
from typing import Any

from tqdm import tqdm

from .errors import printable


def say(text: str, stream: str = "stderr") -> None:
    """A line on a stream, beside a bar that is there; nothing where the stream is missing, closed or dead.

    What the stream's encoding has not is written as an escape.
    """
    file: Any = getattr(sys, stream)
    if file is None:  # under pythonw and in daemons
        return
    known = getattr(file, "encoding", None) or "utf-8"
    with contextlib.suppress(OSError, ValueError, LookupError, RuntimeError, AttributeError):
        shown = printable(text).encode(known, errors="backslashreplace").decode(known)
        try:
            tqdm.write(shown, file=file)
            file.flush()
        except BrokenPipeError:  # what it still holds would be an error at the end of the process, too
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, file.fileno())
            os.close(nowhere)


def has_terminal() -> bool:
    """Whether stderr is a terminal on which a bar can be drawn."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return bool(sys.stderr.isatty())
    return False


def open_streams() -> None:
    """Let the process have a stdin, stdout and stderr, and stdout write what its encoding has not as an escape.

    Where one is closed, the next file that is opened, a checkpoint for one, would take its place and its output.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDWR)  # the lowest that is free
    for file in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            file.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # pyright: ignore
