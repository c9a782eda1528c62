"""One run folder, one process: a lock that names its holder and that dies with it."""

import contextlib
import importlib
import json
import os
import socket
import time
from pathlib import Path
from typing import Any, BinaryIO

from ...errors import RunError, message

NAME = ".lock"
HELD: dict[Path, int] = {}  # folders that this process holds; the system's locks are those of processes, not threads


class Lock:
    """A file in a folder, locked by the system, in which the holder says who it is.

    The system lets go of it when the process ends, however it ends, and children do not inherit it. Where there are no
    such locks, the holder's number tells whether it still lives.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder.resolve() / NAME
        self.file: BinaryIO | None = None

    def take(self) -> None:
        """Take it.

        Raises:
            RunError: When another run holds it: which one, and since when.
        """
        if HELD.get(self.path) == os.getpid():
            raise self._refusal()
        with contextlib.suppress(OSError):  # a folder that cannot be written to is told at the first save
            self._open()
            HELD[self.path] = os.getpid()

    def release(self) -> None:
        """Let go of it; nothing is left behind."""
        if self.file is None:
            return
        HELD.pop(self.path, None)
        with contextlib.suppress(OSError):  # before closing: nobody is to lock a file that is about to go
            self.path.unlink()
        with contextlib.suppress(OSError):
            self.file.close()
        self.file = None

    def _open(self) -> None:
        while True:
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
            file = os.fdopen(os.open(self.path, flags, 0o644), "r+b")
            try:
                free = self._locked_by_system(file)
                if free is None:  # no locks here
                    free = not lives(read(file))
                if not free:
                    raise self._refusal(read(file))
                if not same_file(file, self.path):  # its holder has just let go of it, and it is gone
                    file.close()
                    continue
                file.seek(0)
                file.truncate()
                about = {"process": os.getpid(), "machine": socket.gethostname(), "since": time.time()}
                file.write(json.dumps(about).encode())
                file.flush()
            except BaseException:
                file.close()
                raise
            self.file = file
            return

    def _locked_by_system(self, file: BinaryIO) -> bool | None:
        """Whether the system gives us the lock; None where it has none to give."""
        try:
            fcntl: Any = importlib.import_module("fcntl")
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        except (ImportError, OSError):
            return None
        return True

    def _refusal(self, holder: dict[str, Any] | None = None) -> RunError:
        if holder is None:  # another fit of this process
            holder = {"process": os.getpid()}
        who = f"process {holder.get('process', 'unknown')}"
        if holder.get("machine", socket.gethostname()) != socket.gethostname():
            who += f" on {holder['machine']}"
        if isinstance(since := holder.get("since"), int | float):
            with contextlib.suppress(OverflowError, ValueError, OSError):
                who += f", since {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(since))}"
        expected = f"a run folder that no other run is using, {self.path.parent}"
        advice = "Wait for it, or take another folder."
        if holder.get("machine", socket.gethostname()) != socket.gethostname():  # nobody here can tell
            advice += f" If it is gone, remove {NAME}."
        return RunError(message("fit", expected, f"one in use by {who}", advice))


def read(file: BinaryIO) -> dict[str, Any]:
    """What a holder wrote; nothing where it is not to be understood."""
    with contextlib.suppress(OSError, ValueError):
        file.seek(0)
        found = json.loads(file.read(1000))
        if isinstance(found, dict):
            return found
    return {}


def lives(holder: dict[str, Any]) -> bool:
    """Whether the process still runs that wrote a lock; of another machine nobody knows, and it is believed to."""
    number = holder.get("process")
    if not isinstance(number, int) or number <= 0:
        return False
    if holder.get("machine") != socket.gethostname():
        return True
    if number == os.getpid():  # a process before us had our number
        return False
    if os.name == "nt":  # where asking with signal 0 would end it
        return True
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def same_file(file: BinaryIO, path: Path) -> bool:
    """Whether a file that is open is still the one of its name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False
