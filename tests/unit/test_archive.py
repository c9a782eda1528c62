"""Hostile folders and machines: what has no end or cannot be read is said at once, in one sentence."""

import multiprocessing
import os
import pickle
import socket
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from smallnets import DataError, OptionError
from smallnets.data import decoding, load, splits, statistics
from smallnets.data.archive import WHOLE, Archive
from smallnets.data.pictures import unlabelled

Make = Callable[..., Path]


def test_links_that_go_in_circles_end(image_folder: Make) -> None:
    root = image_folder(train=2, test=1)
    whole = load(root).ids
    (root / "train" / "cat" / "up").symlink_to(root)
    (root / "train" / "cat" / "same").symlink_to(".")
    assert load(root).ids == whole
    (root / "train" / "emu").symlink_to(root / "train")
    with pytest.warns(UserWarning, match="class 'emu' of 'train' is left out: its folder holds nothing"):
        assert load(root).ids == whole


def test_linked_folders_are_read(image_folder: Make, tmp_path: Path) -> None:
    root = image_folder(train=2, test=1)
    (root / "train" / "cat").rename(tmp_path / "elsewhere")
    (root / "train" / "cat").symlink_to(tmp_path / "elsewhere")
    (root / "train" / "lynx").symlink_to(tmp_path / "elsewhere")
    assert load(root).labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_a_picture_that_is_a_link_to_nowhere_is_named(image_folder: Make) -> None:
    root = image_folder(train=2, test=1)
    for target in ("nowhere.png", "loop.png"):
        (root / "train" / "cat" / "loop.png").unlink(missing_ok=True)
        (root / "train" / "cat" / "loop.png").symlink_to(target)
        with pytest.raises(DataError, match=r"got .*loop\.png: (No such file|Too many levels)"):
            load(root)


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_what_is_no_file_is_not_waited_for(
    image_folder: Make, kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = image_folder(train=2, test=1)
    for place in (root / "train" / "cat" / "x.png", root / "x.zip"):
        if kind == "pipe":
            os.mkfifo(place)
        elif kind == "device":
            place.symlink_to("/dev/zero")
        else:
            monkeypatch.chdir(place.parent)  # a socket's whole path may have 107 letters
            with socket.socket(socket.AF_UNIX) as opened:
                opened.bind(place.name)
    with pytest.raises(DataError, match=rf"x\.png: a (named )?{kind}, not a file\. Mend or remove"):
        load(root)
    with pytest.warns(UserWarning, match="left out 1 of 5 pictures"):
        assert len(load(root, on_error="skip")) == 4
    with pytest.raises(
        DataError, match=rf"expected a folder or a zip of pictures; got .*x\.zip: it is a (named )?{kind}"
    ):
        load(root / "x.zip")


def test_a_folder_that_cannot_be_read_is_named(image_folder: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    root = image_folder(train=2, test=1)
    scandir = os.scandir

    def refused(path: Path) -> object:
        if Path(path).name == "dog":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(
        DataError, match=r"expected a folder that can be read; got .*dog: Permission denied\. Check its"
    ):
        load(root)


BAD = ["~nosuchuser/x", "~nosuchuser", "a\0b/c", "x" * 5000, "/" + "y" * 300, "no/where", "/dev/null", "/dev/zero", ""]


@pytest.mark.parametrize("source", BAD)
def test_sources_that_are_none(source: str) -> None:
    for call in (load, splits, lambda path: unlabelled(path, classes=("a",), shape=(1, 2, 2), mean=(0,), std=(1,))):
        with pytest.raises(DataError) as caught:
            call(source)  # type: ignore[operator]
        assert len(str(caught.value)) < 400 and str(caught.value).count("\n") == 0


WRONG = [
    {"source": 5}, {"source": None}, {"source": b"digits"}, {"split": 3}, {"classes": 3}, {"classes": "3"}, {"classes": [3]},
    {"classes": {"3", "8"}}, {"size": 2.5}, {"size": "32"}, {"size": True}, {"size": 10**9}, {"crop": 2}, {"crop": 0}, {"crop": "x"},
    {"on_error": 1}, {"channels": 2}, {"white": 12}, {"max_pixels": -1}, {"memory_limit": "1G"}, {"labels": 5}, {"root": 5, "source": "mnist"},
    {"download": "yes", "source": "mnist"}, {"exif": "no"}, {"stats": 3}, {"stats": ((0.5,), (0.5, 0.5))}, {"stats": (("a",), (1,))},
]  # fmt: skip


@pytest.mark.parametrize("options", WRONG)
def test_wrong_kinds_of_arguments(options: dict[str, object], image_folder: Make) -> None:
    for source in ("digits", image_folder(train=1, test=1)):
        with pytest.raises((DataError, OptionError)) as caught:
            load(**{"source": source, **options})  # type: ignore[arg-type]
        assert str(caught.value).startswith("load: expected ") and len(str(caught.value)) < 300
        if "labels" not in options and "channels" not in options:
            break


def load_in_a_child(root: Path) -> int:
    return len(load(root))


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_loading_in_a_pool_of_daemons(image_folder: Make, method: str) -> None:
    root = image_folder(train=200, size=(4, 4))
    code = (
        "import multiprocessing, sys\nfrom smallnets.data import decoding, load\ndecoding.CHUNK = 16\n"
        "if __name__ == '__main__':\n"
        f"    with multiprocessing.get_context({method!r}).Pool(2) as pool:\n"
        "        print([len(found) for found in pool.map(load, sys.argv[1:] * 2)])"
    )
    script = root.parent / "script.py"
    script.write_text(code)
    done = subprocess.run([sys.executable, script, root], capture_output=True, text=True, timeout=300, check=False)
    assert (done.stdout, done.returncode) == ("[400, 400]\n", 0), done.stderr


def test_reading_hands_nothing_through_shared_memory(image_folder: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch.multiprocessing.reductions as reductions

    def refused(*_: object) -> None:
        raise AssertionError("a process was started, or shared memory used")

    monkeypatch.setattr(multiprocessing.Process, "start", refused)
    monkeypatch.setattr(reductions, "reduce_storage", refused)
    monkeypatch.setattr(decoding, "CHUNK", 8)
    monkeypatch.setattr(decoding, "threads", lambda: 3)
    root = image_folder(train=40, size=(4, 4))
    assert len(load(root)) == 80
    stream = load(root, memory_limit=1, on_error="skip")
    assert len(list(stream.loader(16, workers=2))) == 5


def test_a_failure_in_a_thread_ends_reading(image_folder: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    root = image_folder(train=40, size=(4, 4))
    monkeypatch.setattr(decoding, "CHUNK", 8)
    monkeypatch.setattr(decoding, "threads", lambda: 3)
    (root / "train" / "cat" / "010.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"cat/010\.png: not a picture"):
        load(root)


def test_worker_processes_where_they_are_a_matter_of_course(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda: "fork")
    assert decoding.processors() == decoding.threads() > 0
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda: "spawn")
    assert decoding.processors() == 0
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    monkeypatch.delattr(os, "sched_getaffinity")
    assert decoding.processors() == 0 and decoding.threads() == os.cpu_count()


def test_large_files_are_read_piece_by_piece(image_folder: Make, tmp_path: Path) -> None:
    root = image_folder(train=2, test=1)
    hollow = root / "train" / "cat" / "hollow.png"
    with hollow.open("wb") as file:
        file.truncate(1 << 40)  # a sparse file of a terabyte
    with pytest.raises(DataError, match=r"hollow\.png: not a picture"):
        load(root)
    hollow.write_bytes((root / "train" / "cat" / "000.png").read_bytes())
    with hollow.open("ab") as file:
        file.truncate(1 << 40)
    assert len(load(root)) == 5
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("train/a/x.png", "w") as member:
        for _ in range(5):
            member.write(bytes(WHOLE // 4))
    with pytest.raises(DataError, match=r"x\.png: not a picture"):
        load(bomb)


def test_an_archive_can_be_handed_to_another_process(image_folder: Make) -> None:
    archive = pickle.loads(pickle.dumps(Archive(image_folder(train=1, test=1))))
    assert len(archive.listing().files) == 4


def test_an_encrypted_or_odd_member_is_named(tmp_path: Path, image_folder: Make) -> None:
    root = image_folder(train=1, test=1)
    path = tmp_path / "odd.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("train/a/1.png", "train/b/2.png"):
            archive.write(root / "train" / "cat" / "000.png", name)
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02")
    for offset, value in ((8, 1), (10, 97)):  # encrypted; a way of packing that nobody knows
        changed = bytearray(content)
        changed[at + offset] = value
        path.write_bytes(bytes(changed))
        with pytest.raises(DataError, match=r"a/1\.png: \S"):
            load(path)


def test_pixels_that_do_not_fit_make_a_stream(image_folder: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from smallnets.data import ImageStream

    root, empty = image_folder(), torch.empty
    held = load(root, size=64)
    statistics.FACTS_OF.clear()

    def refused(*size: object, **options: object) -> torch.Tensor:
        if options.get("dtype") is torch.uint8:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")
        return empty(*size, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(decoding.torch, "empty", refused)
    stream = load(root, size=64)  # a few pictures at a time, and no sample of them at once, tell mean and std
    assert isinstance(stream, ImageStream) and (stream.mean, stream.std) == (held.mean, held.std)
    assert isinstance(load(root, size=64, stats=((0.5,) * 3, (0.5,) * 3)), ImageStream)


def test_memory_is_the_least_of_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "free_in_machine", lambda: 900)
    monkeypatch.setattr(statistics, "free_in_container", lambda: 500)
    monkeypatch.setattr(statistics, "free_in_process", lambda: None)
    assert statistics.free_memory() == 500
    monkeypatch.setattr(statistics, "free_in_process", lambda: 7)
    assert statistics.free_memory() == 7


def test_warnings_point_at_the_callers_line(image_folder: Make) -> None:
    root = image_folder(train=2, test=1)
    (root / "train" / "cat" / "000.png").write_bytes(b"")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        load(root, on_error="skip")
        statistics.FACTS_OF.clear()
        load(root, "test")
        load(root, on_error="skip", memory_limit=1)
    assert len(told) == 3 and {warning.filename for warning in told} == {__file__}
    assert Image.MAX_IMAGE_PIXELS
