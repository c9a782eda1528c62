"""Picture files: an image folder ``split/class/image`` or a zip of one, found and read."""

import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ..errors import DataError, message, nearest

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff"})


@dataclass
class Archive:
    """A folder or a zip, read by name; every process opens the zip for itself."""

    path: Path
    _open: tuple[int, zipfile.ZipFile] | None = field(default=None, repr=False)

    def _zip(self) -> zipfile.ZipFile:
        if self._open is None or self._open[0] != os.getpid():
            try:
                self._open = (os.getpid(), zipfile.ZipFile(self.path))
            except (zipfile.BadZipFile, OSError) as error:
                raise DataError(message("load", "a folder or a zip of pictures", self.path, str(error))) from error
        return self._open[1]

    def __getstate__(self) -> dict[str, object]:
        return {"path": self.path, "_open": None}

    def names(self) -> list[str]:
        """All files that look like pictures, sorted."""
        if self.path.is_dir():
            found = (
                (Path(folder) / file).relative_to(self.path).as_posix()
                for folder, _, files in os.walk(self.path, followlinks=True)
                for file in files
            )
        else:
            found = (info.filename for info in self._zip().infolist() if not info.is_dir())
        return sorted(name for name in found if is_picture(PurePosixPath(name)))

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes() if self.path.is_dir() else self._zip().read(name)


def is_picture(path: PurePosixPath) -> bool:
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return path.suffix.lower() in SUFFIXES and not hidden


def find_pictures(
    path: Path, split: str, classes: Sequence[str] | None
) -> tuple[Archive, list[str], list[int], list[str]]:
    """The files of one split: archive, names, labels, classes.

    Raises:
        DataError: When the folder, the split or a class is missing, or the layout is another.
    """
    if not path.exists():
        raise DataError(message("load", "an existing folder or zip", repr(str(path)), "Check the path."))
    archive = Archive(path)
    parts = [(PurePosixPath(name), name) for name in archive.names()]
    # A zip often holds one folder around everything.
    tops = {pure.parts[0] for pure, _ in parts}
    around = next(iter(tops)) if len(tops) == 1 and all(len(pure.parts) >= 4 for pure, _ in parts) else None
    if around is not None and around != split:
        parts = [(PurePosixPath(*pure.parts[1:]), name) for pure, name in parts]
    if split == ".":
        parts = [(PurePosixPath(".") / "all" / pure, name) for pure, name in parts]
        split = "all"
    splits = sorted({pure.parts[0] for pure, _ in parts if len(pure.parts) >= 3})
    inside = [(pure, name) for pure, name in parts if pure.parts[0] == split]
    layout = "pictures as split/class/image"
    if not parts:
        raise DataError(message("load", layout, f"no picture in {path}", "Check the path."))
    if not inside:
        hint = f"It has: {', '.join(splits)}." if splits else "For class folders without a split give split='.'."
        raise DataError(message("load", f"a folder {split!r} in {path}", "none", hint))
    found = sorted({pure.parts[1] for pure, _ in inside if len(pure.parts) >= 3})
    if not found:
        got = f"pictures right in {split!r} and no class folder"
        raise DataError(message("load", layout, got, "Make one sub-folder per class."))
    kept = keep_classes(found, classes)
    number = {name: label for label, name in enumerate(kept)}
    chosen = [
        (name, number[pure.parts[1]]) for pure, name in inside if len(pure.parts) >= 3 and pure.parts[1] in number
    ]
    return archive, [name for name, _ in chosen], [label for _, label in chosen], kept


def keep_classes(found: Sequence[str], classes: Sequence[str] | None) -> list[str]:
    """The classes to keep, in the order asked for.

    Raises:
        DataError: When one asked for is not there, or is asked for twice.
    """
    if classes is None:
        return list(found)
    if isinstance(classes, str) or not classes or len(set(classes)) != len(classes):
        raise DataError(message("load", "classes to be a list of different names", repr(classes)))
    for name in classes:
        if name not in found:
            hint = nearest(name, found) or f"It has: {', '.join(found)}."
            raise DataError(message("load", "a class of the data set", repr(name), hint))
    return list(classes)
