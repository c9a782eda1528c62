"""Where picture files lie: a folder or a zip, listed and read by name."""

import io
import os
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ..errors import DataError, first_line, message
from .names import shown

SUFFIXES = frozenset(
    {
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".bmp",
        ".gif",
        ".webp",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
        ".tif",
        ".tiff",
    }
)
# What file managers, notebooks and network drives leave in folders; names with a dot in front are left out, too.
CLUTTER = frozenset(
    {"__macosx", "@eadir", "@tmp", "@recycle", "#recycle", "#snapshot", "$recycle.bin", "system volume information"}
    | {"lost+found", "__pycache__"}
)
WHOLE = 64 << 20  # bytes; larger files are read piece by piece, so that a file's claims cost no memory
KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


Entry = tuple[tuple[str, ...], str]  # parts of a file's path, and the name by which the archive knows it


@dataclass(frozen=True)
class Listing:
    """What an archive holds; clutter left out.

    Attributes:
        files: All files, sorted.
        folders: Parts of each folder's path.
    """

    files: list[Entry]
    folders: list[tuple[str, ...]]


@dataclass
class Archive:
    """A folder or a zip, read by name; every process opens the zip for itself."""

    path: Path
    _open: tuple[int, zipfile.ZipFile] | None = field(default=None, repr=False)

    def _zip(self) -> zipfile.ZipFile:
        if self._open is None or self._open[0] != os.getpid():
            try:
                mode = self.path.stat().st_mode
                if not stat.S_ISREG(mode):  # a pipe would be waited for
                    raise OSError(f"it is {KINDS.get(stat.S_IFMT(mode), 'no file')}")
                self._open = (os.getpid(), zipfile.ZipFile(self.path))
            except Exception as error:  # zipfile has many ways to say that a file is none
                got = f"{shown(str(self.path))}: {first_line(error)}"
                raise DataError(message("load", "a folder or a zip of pictures", got)) from error
        return self._open[1]

    def __getstate__(self) -> dict[str, object]:
        return {"path": self.path, "_open": None}

    def listing(self) -> Listing:
        """All files and folders.

        Raises:
            DataError: When a folder, or the zip, cannot be read.
        """
        files: dict[tuple[str, ...], str] = {}  # a name that is twice in a zip counts once, the last as in reading
        folders: list[tuple[str, ...]] = []
        for parts, name, folder in self._walk() if self.path.is_dir() else self._members():
            if not any(part.startswith(".") or part.casefold() in CLUTTER for part in parts):
                if folder:
                    folders.append(parts)
                else:
                    files[parts] = name
        return Listing(sorted(files.items()), sorted(folders))

    def _walk(self) -> Iterator[tuple[tuple[str, ...], str, bool]]:
        root = self.path.stat()
        waiting: list[tuple[tuple[str, ...], frozenset[tuple[int, int]]]] = [((), frozenset([inode(root)]))]
        while waiting:
            parts, above = waiting.pop()
            try:
                entries = list(os.scandir(self.path.joinpath(*parts)))
            except OSError as error:
                got = f"{shown(str(self.path.joinpath(*parts)))}: {error.strerror or error}"
                raise DataError(message("load", "a folder that can be read", got, "Check its permissions.")) from error
            for entry in entries:
                inner = (*parts, entry.name)
                if is_folder(entry):
                    here = inode(entry.stat())
                    if here not in above:  # a link to a folder around itself has no end
                        waiting.append((inner, above | {here}))
                    yield inner, "", True
                else:
                    yield inner, "/".join(inner), False

    def _members(self) -> Iterator[tuple[tuple[str, ...], str, bool]]:
        for info in self._zip().infolist():
            # Some packers on Windows write backslashes, and a drive in front.
            parts = tuple(part for part in info.filename.replace("\\", "/").split("/") if part not in ("", "."))
            if parts and ".." not in parts:
                yield parts, info.filename, info.is_dir() or info.filename.endswith("\\")

    def open(self, name: str) -> BinaryIO:
        """A file's bytes.

        Raises:
            OSError: When there is no such file, or it is none: waiting for a pipe has no end.
        """
        if not self.path.is_dir():
            members = self._zip()
            # To the end, which is where a zip's checksum is compared.
            return io.BytesIO(members.read(name)) if members.getinfo(name).file_size <= WHOLE else members.open(name)  # type: ignore[return-value]
        path = self.path / name
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise OSError(f"{KINDS.get(stat.S_IFMT(found.st_mode), 'no file')}, not a file")
        return io.BytesIO(path.read_bytes()) if found.st_size <= WHOLE else path.open("rb")

    def where(self, name: str) -> str:
        """A file's full name, as a person may read it."""
        return shown(str(self.path / name))


def inode(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that goes in circles
        return False


def suffix(parts: tuple[str, ...]) -> str:
    """The kind of a file by its name, such as ``.png``; empty for a name without a dot."""
    return os.path.splitext(parts[-1])[1].lower()  # noqa: PTH122 a name alone, whatever is in it


def is_picture(parts: tuple[str, ...]) -> bool:
    return suffix(parts) in SUFFIXES


def existing(who: str, source: str | os.PathLike[str], expected: str) -> Path:
    """The path of a folder or a file that is there.

    Raises:
        DataError: When it is not, cannot be looked at, or lies in the home of nobody.
    """
    try:
        path = Path(source).expanduser()
        if not str(source):
            raise FileNotFoundError
        path.stat()
    except (OSError, ValueError, RuntimeError, TypeError) as error:  # the last of what is no path
        absent = isinstance(error, FileNotFoundError | NotADirectoryError)
        why = "" if absent else f": {getattr(error, 'strerror', None) or first_line(error)}"
        name = shown(str(source))
        got = repr(name if len(name) <= 200 else name[:200] + "…") + why.rstrip(".")
        raise DataError(message(who, expected, got, "Check the path.")) from error
    return path
