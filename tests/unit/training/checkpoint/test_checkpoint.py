"""Checkpoints: whole or not at all."""

import os
import random
import resource
import signal
from pathlib import Path

import pytest
import torch

from smallnets import RunError
from smallnets.training.checkpoint.files import read_checkpoint, read_newest, write_checkpoint
from smallnets.training.checkpoint.schema import FORMAT

STATE = {"format": FORMAT, "model": {"w": torch.arange(5000.0)}, "progress": {"step": 3}}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    write_checkpoint(path, STATE)
    found = read_checkpoint(path)
    assert torch.equal(found["model"]["w"], STATE["model"]["w"]) and found["progress"] == {"step": 3}
    assert torch.load(path, weights_only=True)["format"] == FORMAT
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize("harm", ["flip", "cut", "empty", "text"])
def test_damage_is_noticed_and_the_one_before_is_taken(tmp_path: Path, harm: str) -> None:
    last, previous = tmp_path / "last.ckpt", tmp_path / "previous.ckpt"
    write_checkpoint(last, {**STATE, "progress": {"step": 1}}, keep=previous)
    write_checkpoint(last, {**STATE, "progress": {"step": 2}}, keep=previous)
    content = bytearray(last.read_bytes())
    if harm == "flip":
        content[content.find(torch.tensor(2500.0).numpy().tobytes())] ^= 1
    harmed = {"flip": bytes(content), "cut": bytes(content[:-100]), "empty": b"", "text": b"no checkpoint"}[harm]
    last.write_bytes(harmed)
    with pytest.raises(RunError, match=r"checkpoint in .*last\.ckpt; got a (wrong checksum|file that is torn)"):
        read_checkpoint(last)
    with pytest.warns(UserWarning, match=r"Going on from previous\.ckpt"):
        found = read_newest(tmp_path)
    assert found is not None and found["progress"] == {"step": 1}
    previous.write_bytes(b"")
    with (
        pytest.warns(UserWarning),
        pytest.raises(RunError, match=r"got damaged ones: last.ckpt, previous.ckpt. Remove"),
    ):
        read_newest(tmp_path)


def test_nothing_is_nothing(tmp_path: Path) -> None:
    assert read_newest(tmp_path) is None


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    torch.save({"format": FORMAT + 1}, tmp_path / "last.ckpt")
    with pytest.raises(
        RunError, match=f"expected checkpoint format {FORMAT} or older in .*; got {FORMAT + 1}. Upgrade"
    ):
        read_checkpoint(tmp_path / "last.ckpt")


def test_a_newer_last_checkpoint_is_not_passed_over(tmp_path: Path) -> None:
    """Nor called damaged, with the advice to remove it."""
    write_checkpoint(tmp_path / "previous.ckpt", STATE)
    torch.save({"format": FORMAT + 1}, tmp_path / "last.ckpt")
    with pytest.raises(RunError, match="Upgrade smallnets"):
        read_newest(tmp_path)


def test_no_code_runs_from_a_checkpoint(tmp_path: Path) -> None:
    mark = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(mark),)

    torch.save({"format": 1, "model": Evil()}, tmp_path / "last.ckpt")
    with pytest.raises(RunError):
        read_checkpoint(tmp_path / "last.ckpt")
    assert not mark.exists()


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    """A process that may not write files above 64 KiB stands for the full disk; its disk is not full."""
    path, previous = tmp_path / "last.ckpt", tmp_path / "previous.ckpt"
    write_checkpoint(path, STATE)
    before = path.read_bytes()
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
    try:
        with pytest.raises(RunError) as caught:
            write_checkpoint(path, {**STATE, "model": {"w": torch.ones(100_000)}}, previous)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert str(caught.value).startswith(f"fit: expected to write {path}; got ")
    assert str(caught.value).endswith(". The old last.ckpt is untouched.") and "Free some" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"] and path.read_bytes() == before


def test_files_of_other_programs_are_told_from_damaged_ones(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    with pytest.raises(RunError, match=r"expected a checkpoint in .*last.ckpt; got no such file"):
        read_checkpoint(path)
    for foreign in ({"w": torch.ones(3)}, 7):
        torch.save(foreign, path)
        with pytest.raises(RunError, match=r"expected a checkpoint of smallnets in .*last.ckpt; got another file"):
            read_checkpoint(path)
    torch.save(STATE, path)  # written again, without our seal
    assert read_checkpoint(path)["progress"] == {"step": 3}
    content = bytearray(path.read_bytes())
    content[content.find(torch.tensor(2500.0).numpy().tobytes())] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(RunError, match=r"got a wrong checksum. It was damaged after it was written"):
        read_checkpoint(path)


def test_any_flipped_bit_is_noticed_or_means_nothing(tmp_path: Path) -> None:
    """Also in the zip's own tables, which its entries' sums do not cover."""
    path = tmp_path / "last.ckpt"
    write_checkpoint(path, {"format": FORMAT, "model": {"w": torch.arange(20.0)}})
    whole, dice = path.read_bytes(), random.Random(0)
    for place in range(0, len(whole), 3):
        harmed = bytearray(whole)
        harmed[place] ^= 1 << dice.randrange(8)
        path.write_bytes(harmed)
        try:
            assert torch.equal(read_checkpoint(path)["model"]["w"], torch.arange(20.0))
        except RunError:
            continue
