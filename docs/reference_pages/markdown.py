"""What the pages are written with."""

from collections.abc import Iterable, Sequence


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; heads that end in ":" have their numbers to the right. Columns that are empty throughout are left out.

    >>> print(table(["net", "MACs:", "note"], [["lenet5", 416_520, ""]]), end="")
    | net | MACs |
    |---|---:|
    | lenet5 | 416,520 |
    """
    cells = [[cell(each) for each in row] for row in rows]
    kept = [place for place in range(len(heads)) if any(row[place] for row in cells)]
    lines = [" | ".join(heads[place].removesuffix(":") for place in kept)]
    lines.append("|".join("---:" if heads[place].endswith(":") else "---" for place in kept))
    lines += [" | ".join(row[place] for place in kept) for row in cells]
    return "".join(f"|{line}|\n" if line.startswith("---") else f"| {line} |\n" for line in lines)


def cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else str(value).replace("|", "\\|").replace("\n", " ")


def accuracy(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
