"""What users call is a promise: no name, argument, default or option changes unnoticed."""

import difflib
import importlib.util
import sys
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

HERE = Path(__file__).parent
SPEC = importlib.util.spec_from_file_location("public_names", HERE / "public_names.py")
assert SPEC and SPEC.loader
names = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(names)


def test_the_public_names_and_their_signatures_are_those_of_the_list() -> None:
    written, found = (HERE / "public_names.txt").read_text(encoding="utf-8").splitlines(), names.listing()
    changes = "\n".join(difflib.unified_diff(written, found, "public_names.txt", "the package", lineterm="", n=0))
    assert written == found, (
        "The public face has changed. If users shall have it so, say it in CHANGELOG.md and run "
        f"`python tests/golden/public_names.py`.\n{changes}"
    )


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (int | None, "int | None"),
        (typing.Optional[int], "int | None"),  # noqa: UP045 - the older form, whose text differs on Python 3.14
        (Mapping[str, Sequence[Path]], "Mapping[str, Sequence[Path]]"),
        (tuple[int, ...], "tuple[int, ...]"),
        (Annotated[Literal["A", 1], "checked"], "Literal['A', 1]"),
        (NDArray[np.float32], "ndarray"),
        (typing.Callable[[int], Any], "Callable[[int], Any]"),
        ("Figure", "Figure"),
        (None, "None"),
    ],
)
def test_a_type_is_written_alike_on_every_python(found: object, text: str) -> None:
    assert names.kind(found) == text


def test_nothing_of_this_machine_stands_in_the_list() -> None:
    lines = names.listing()
    assert len(lines) > 200 and len(lines) == len(set(lines))
    assert not [line for line in lines if " at 0x" in line or sys.prefix in line or str(HERE.parents[1]) in line]
