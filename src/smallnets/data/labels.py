"""Labels that stand elsewhere than in folders: in a CSV of files and labels, or in front of the file's own name."""

import csv
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import DataError, message
from ..warn import warn
from .archive import Archive, Entry, existing, is_picture
from .names import class_name, counted, listed, shown

PREFIX = "prefix"
# What heads the two columns, as seen in the wild; other headings are taken for a first row.
FILE_WORDS = frozenset(
    {
        "file",
        "files",
        "filename",
        "filenames",
        "file_name",
        "image",
        "images",
        "image_id",
        "image_name",
        "imageid",
        "img",
        "id",
        "path",
        "filepath",
        "name",
    }
)
LABEL_WORDS = frozenset(
    {
        "label",
        "labels",
        "class",
        "classes",
        "class_name",
        "target",
        "category",
        "breed",
        "species",
        "y",
        "true",
    }
)
# The class in "cat.0", "golden_retriever_12", "tabby-3", "pug (4)": all in front of the last number.
NUMBERED = re.compile(r"(.+?)[\s._(-]*\d+\)?$")


@dataclass(frozen=True)
class Row:
    """A line of the CSV: its number, counted from 1 with the heading, the file as written, and the class."""

    number: int
    file: str
    label: str


@dataclass(frozen=True)
class Labels:
    """Where a set's labels come from; no rows for ``"prefix"``."""

    source: str
    rows: tuple[Row, ...] | None = None


def read_labels(labels: str | os.PathLike[str] | None, pictures: Path) -> Labels | None:
    """Understand ``load``'s ``labels``: a CSV by its path, as given or inside the set's folder, or ``"prefix"``.

    Raises:
        DataError: When there is no such file, or a row lacks its file or its label: which.
    """
    if labels is None or labels == PREFIX:
        return None if labels is None else Labels(PREFIX)
    inside = pictures / labels if pictures.is_dir() else None
    path = inside if inside is not None and inside.is_file() and not Path(labels).is_file() else None
    path = path or existing("load", labels, "labels to be 'prefix' or the path of a CSV")
    where = shown(path.name)
    try:
        with Archive(path.parent).open(path.name) as file:
            text = file.read().decode("utf-8-sig")
        first = text.partition("\n")[0]
        delimiter = next((mark for mark in ",;\t" if mark in first), ",")
        table = list(csv.reader(text.splitlines(), delimiter=delimiter))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(message("load", "a CSV of file and label in UTF-8", f"{where}: {error}")) from error
    return Labels(where, tuple(understood(table, where)))


def understood(table: Sequence[Sequence[str]], where: str) -> list[Row]:
    """The rows of a table, which may begin with a heading that names the two columns."""
    heading = [cell.strip().casefold() for cell in table[0]] if table else []
    headed = not any(is_picture((cell,)) for cell in heading) and any(w in FILE_WORDS | LABEL_WORDS for w in heading)
    file, label = 0, 1
    if headed:
        file = next((place for place, word in enumerate(heading) if word in FILE_WORDS), 0)
        others = [place for place in range(len(heading)) if place != file]
        label = next((place for place in others if heading[place] in LABEL_WORDS), others[0] if others else 1)
    rows: list[Row] = []
    for number, cells in enumerate(table[headed:], start=1 + headed):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) <= max(file, label) or not cells[file].strip() or not cells[label].strip():
            raise DataError(message("load", f"file and label in row {number} of {where}", repr(list(cells))[:100]))
        rows.append(Row(number, cells[file].strip().replace("\\", "/"), class_name(cells[label].strip())))
    if not rows:
        raise DataError(message("load", f"rows of file and label in {where}", "none"))
    return rows


def row_labels(
    inside: Sequence[Entry], rows: Sequence[Row], source: str, everything: Sequence[Entry]
) -> dict[str, str]:
    """The class of each picture that a row names, by the archive's name.

    Args:
        inside: The split's pictures: parts of the path below the split's folder, and the archive's name.
        rows: They may name a picture by its path below the split's folder or the set's, or by its name alone, with
            its suffix or without; in this order, the split's own first.
        source: Where the rows are from, for errors.
        everything: All pictures of the set, of which rows may be, too, by their path below the set's folder.

    Raises:
        DataError: When a row names no picture, or one that another row has named.
    """
    ways = [{"/".join(parts): name for parts, name in pictures} for pictures in (inside, everything)]
    names = [*by_name(inside), *by_name(everything)]
    found: dict[str, str] = {}
    for row in rows:
        file, alone = row.file.removeprefix("./"), PurePosixPath(row.file).name
        tries = [way.get(file) for way in ways] + [way.get(alone) for way in names]
        name = next(filter(None, tries), None)
        if name is None:
            got = f"{shown(row.file)!r} in row {row.number}"
            raise DataError(message("load", f"every row of {source} to name a picture", got, "Check the path."))
        if name in found:
            got = f"{shown(row.file)!r} a second time in row {row.number}"
            raise DataError(message("load", f"every picture once in {source}", got))
        found[name] = row.label
    return found


def labelled(inside: Sequence[Entry], labels: Labels, everything: Sequence[Entry]) -> list[tuple[str, str]]:
    """Class and name of the pictures of a split; arguments and errors as of ``row_labels``."""
    if labels.rows is None:
        return [(in_front(parts[-1]), name) for parts, name in inside]
    found = row_labels(inside, labels.rows, labels.source, everything)
    without = [shown(parts[-1]) for parts, name in inside if name not in found]
    if len(without) == len(inside):
        got = f"rows of {len(found)} others, and none of {listed(without, 3)}"
        raise DataError(message("load", f"rows for the split's pictures in {labels.source}", got))
    if without:
        warn(f"load: left out {counted(len(without), 'picture')} without a row in {labels.source}: {listed(without)}")
    return [(found[name], name) for _, name in inside if name in found]


def by_name(pictures: Sequence[Entry]) -> list[dict[str, str]]:
    """Pictures by their name alone, and by that without its suffix; a name that two have stands for neither."""
    found: list[dict[str, str]] = [{}, {}]
    for parts, name in pictures:
        for way, short in zip(found, (parts[-1], PurePosixPath(parts[-1]).stem), strict=True):
            way[short] = "" if short in way else name
    return found


def in_front(file: str) -> str:
    """The class in front of a file's number.

    Raises:
        DataError: When there is no number.

    >>> in_front("cat.0.jpg"), in_front("golden_retriever_12.png")
    ('cat', 'golden_retriever')
    """
    match = NUMBERED.fullmatch(PurePosixPath(file).stem)
    if match is None:
        advice = "Rename it, or give labels= a CSV of file and label."
        raise DataError(message("load", "a class in front of a number, as in cat.0.jpg", shown(repr(file)), advice))
    return class_name(match[1])
