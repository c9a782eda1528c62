"""CSV that a spreadsheet shows and does not run."""

import csv
import io
import re
from collections.abc import Iterable, Sequence

FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")  # the last four are the wide forms of the first
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def csv_text(rows: Iterable[Sequence[object]], raw: bool = False) -> str:
    r"""Rows as CSV.

    Args:
        rows: Texts, numbers, and None for what is empty; the first row names the columns.
        raw: Texts as they are; else each is a ``cell``.

    >>> csv_text([["name", "share"], ["=1+1", 0.5]])
    "name,share\n'=1+1,0.5\n"
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        writer.writerow(row if raw else [cell(value) if isinstance(value, str) else value for value in row])
    return text.getvalue()


def cell(text: str) -> str:
    """A text that a spreadsheet shows and does not run: an apostrophe in front of what would be a formula.

    >>> cell("=1+1"), cell("-3.5"), cell("cat")
    ("'=1+1", '-3.5', 'cat')
    """
    runs = text.startswith(("\t", "\r", "\n")) or text.lstrip().startswith(FORMULA)
    return f"'{text}" if runs and not NUMBER.fullmatch(text) else text
