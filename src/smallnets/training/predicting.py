"""Predictions of any number of pictures: a row is written as soon as its batch is done, and only batches are held."""

import csv
from collections.abc import Iterator
from pathlib import Path

from ..data.imageset import ImageStream
from .metrics import Predictions, natural


def sorted_by_id(pictures: ImageStream) -> ImageStream:
    """In the order of ``Predictions.to_csv``."""
    return pictures[sorted(range(len(pictures)), key=lambda row: natural(pictures.ids[row]))]


def write_rows(parts: Iterator[Predictions], path: Path) -> int:
    """Write what comes as ``Predictions.to_csv`` does, in the order in which it comes; the file is there at the end.

    Returns:
        How many predictions there were.
    """
    unfinished, count = path.with_name(f".{path.name}.part"), 0
    try:
        with unfinished.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            for part in parts:
                if not count:
                    writer.writerow(part.header())
                writer.writerows(part.rows())
                count += len(part)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return count
