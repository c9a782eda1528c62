"""Files are the old or the whole new one, also where the system has neither hard links nor fsync."""

import os
from pathlib import Path
from typing import Any

import pytest

from smallnets.files import whole_file


def write(path: Path, text: str, keep: Path | None = None) -> None:
    with whole_file(path, keep) as file:
        file.write(text.encode())


def refuse(*_: Any, **__: Any) -> None:
    raise PermissionError("not here")


def test_an_error_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write(path, "old")
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), whole_file(path) as file:
            file.write(b"half of")
            raise error
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("system", ["whole", "no links", "a disk without links", "no fsync", "folders are not opened"])
def test_the_file_before_is_kept(system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, keep = tmp_path / "a.txt", tmp_path / "b.txt"
    if system == "no links":
        monkeypatch.delattr(os, "link")
    elif system == "a disk without links":
        monkeypatch.setattr(os, "link", refuse)
    elif system == "no fsync":
        monkeypatch.delattr(os, "fsync")
    elif system == "folders are not opened":
        monkeypatch.setattr(os, "open", refuse)
    for text in ("one", "two", "three"):
        write(path, text, keep)
    assert (path.read_text(), keep.read_text()) == ("three", "two")
    assert sorted(tmp_path.iterdir()) == [path, keep]


def test_with_links_there_is_no_moment_without_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, keep = tmp_path / "a.txt", tmp_path / "b.txt"
    write(path, "one")
    replace, there = Path.replace, []
    monkeypatch.setattr(Path, "replace", lambda self, to: (there.append(path.exists()), replace(self, to))[1])
    write(path, "two", keep)
    assert there == [True, True]
