"""Files are the old or the whole new one, also where the system has neither hard links nor fsync."""

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from smallnets import OptionError, RunError
from smallnets.files import check_writable, whole_file, write_text


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


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no links")
@pytest.mark.parametrize("name", ["a.csv", ".a.csv.part"])
def test_a_planted_link_is_not_followed(name: str, tmp_path: Path) -> None:
    other = tmp_path / "precious"
    other.write_text("mine")
    (tmp_path / name).symlink_to(other)
    write_text(tmp_path / "a.csv", "new")
    assert other.read_text() == "mine" and (tmp_path / "a.csv").read_text() == "new"
    assert not (tmp_path / "a.csv").is_symlink() and len(list(tmp_path.iterdir())) == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_pipes_and_devices_are_written_to(tmp_path: Path) -> None:
    pipe, found = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: found.append(pipe.read_text()))
    reader.start()
    write_text(pipe, "through")
    reader.join()
    write_text("/dev/null", "away")
    assert found == ["through"] and pipe.is_fifo() and not Path("/dev/null").is_file()


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "Free some space; the old a.txt is untouched."),
        (errno.EDQUOT, "Free some space; the old a.txt is untouched."),
        (errno.EACCES, "The old a.txt is untouched."),
        (errno.EIO, "The old a.txt is untouched."),
    ],
)
def test_space_is_asked_for_only_where_the_disk_is_full(
    number: int, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("smallnets.files.sync", fail)
    with pytest.raises(RunError) as caught:
        write_text(path, "new", "History")
    assert str(caught.value) == f"History: expected to write {path}; got {os.strerror(number)}. {advice}"
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["no/folder/a.txt", "a" * 300, "nul\0", "."])
def test_places_where_nothing_can_be_are_told(name: str, tmp_path: Path) -> None:
    wrong = OptionError if "\0" in name or len(name) > 255 else RunError  # these make it no path, as everywhere
    with pytest.raises(wrong, match=r"expected (to write|path to be a path)") as caught:
        write_text(tmp_path / name, "text")
    assert len(str(caught.value)) < 600 and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_a_stream_that_is_a_file_is_gone_on_with(tmp_path: Path, name: str) -> None:
    if not Path(name).exists():
        pytest.skip(f"no {name} here")
    code = (
        f"from smallnets.files import *; print('b'); check_writable({name!r}); write_text({name!r}, 'c\\n'); print('d')"
    )
    log = tmp_path / "log.txt"
    log.write_text("a\n")
    with log.open("a") as file:
        subprocess.run([sys.executable, "-c", code], stdout=file, check=True)
    assert log.read_text() == "a\nb\nc\nd\n"


def test_what_cannot_be_written_is_told_before(tmp_path: Path) -> None:
    check_writable(tmp_path / "new.csv")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("x")
    for place, why in (("no/x", "No such file"), ("file/x", "Not a directory"), (".", "Is a directory")):
        with pytest.raises(RunError, match=f"expected to write .*; got {why}"):
            check_writable(tmp_path / place)
