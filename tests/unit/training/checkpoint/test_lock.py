"""One run folder, one run: another is told who has it; what a killed one leaves hinders nobody."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import smallnets as sn
from smallnets.training.checkpoint import lock
from smallnets.training.checkpoint.lock import Lock
from smallnets.training.records import Row

HOLD = """
import sys, pathlib
from smallnets.training.checkpoint.lock import Lock
from smallnets.training.records import Row
held = Lock(pathlib.Path(sys.argv[1]))
held.take()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=["the system's locks", "none of them"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With fcntl and without."""
    if request.param == "none of them":
        monkeypatch.setitem(sys.modules, "fcntl", None)
    return request.param


def holder(folder: Path) -> "subprocess.Popen[str]":
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], **pipes)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def end(process: "subprocess.Popen[str]", how: int = signal.SIGKILL) -> None:
    process.send_signal(how)
    process.communicate()


def data() -> Any:
    return torch.linspace(0, 1, 8192).view(8, 1, 32, 32), torch.arange(8) % 10


def test_another_process_is_named_and_once_killed_forgotten(system: str, tmp_path: Path) -> None:
    process = holder(tmp_path)
    expected = rf"no other run is using, .*; got one in use by process {process.pid}, since 20.*\. Wait for it, or take"
    try:
        for _ in range(2):
            with pytest.raises(sn.RunError, match=expected):
                sn.fit(sn.lenet5(), data(), epochs=1, run_dir=tmp_path, progress=False, deterministic=True)
    finally:
        end(process)
    assert (tmp_path / lock.NAME).exists()
    sn.fit(sn.lenet5(), data(), epochs=1, run_dir=tmp_path, progress=False, deterministic=True)
    assert not (tmp_path / lock.NAME).exists() and (tmp_path / "last.ckpt").exists()


def test_a_run_inside_a_run_is_refused_and_the_outer_goes_on(system: str, tmp_path: Path) -> None:
    refused: list[str] = []

    def again(_: object) -> None:
        with pytest.raises(sn.RunError, match="in use by process") as caught:
            sn.fit(sn.lenet5(), data(), epochs=1, run_dir=tmp_path / "." / ".." / tmp_path.name, progress=False)
        refused.append(str(caught.value))

    how: dict[str, Any] = {"run_dir": tmp_path, "progress": False, "deterministic": True}
    assert len(sn.fit(sn.lenet5(), data(), epochs=2, callbacks=[again], **how)) == 2
    assert len(refused) == 2 and not (tmp_path / lock.NAME).exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_a_run_that_fails_lets_go(error: type[BaseException], tmp_path: Path) -> None:
    def fail(row: Row) -> None:
        if row["epoch"] == 2:  # the first is saved
            raise error

    how: dict[str, Any] = {"run_dir": tmp_path, "progress": False, "deterministic": True}
    with pytest.raises(error):
        sn.fit(sn.lenet5(), data(), epochs=2, callbacks=[fail], **how)
    assert not (tmp_path / lock.NAME).exists()
    with pytest.raises(sn.RunError, match="the settings of the run"):
        sn.fit(sn.lenet5(), data(), epochs=2, lr=0.5, **how)
    assert not (tmp_path / lock.NAME).exists()
    assert len(sn.fit(sn.lenet5(), data(), epochs=2, **how)) == 2


@pytest.mark.parametrize(
    "content", ["", "{", "[1]", "{}", '{"process": -1}', '{"process": "x", "since": 1e99}', "\0" * 2000]
)
def test_what_is_no_lock_hinders_nobody(system: str, content: str, tmp_path: Path) -> None:
    (tmp_path / lock.NAME).write_text(content)
    held = Lock(tmp_path)
    held.take()
    assert json.loads((tmp_path / lock.NAME).read_text())["process"] == os.getpid()
    held.release()
    assert list(tmp_path.iterdir()) == []


def test_of_another_machine_nobody_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    about = {"process": 1, "machine": f"not-{socket.gethostname()}", "since": 0}
    (tmp_path / lock.NAME).write_text(json.dumps(about))
    with pytest.raises(sn.RunError, match=r"process 1 on not-.*, since 19.*If it is gone, remove \.lock"):
        Lock(tmp_path).take()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_something_else_in_its_place_is_left_alone(system: str, kind: str, tmp_path: Path) -> None:
    precious, place = tmp_path / "precious", tmp_path / lock.NAME
    precious.write_text("mine")
    {"link": lambda: place.symlink_to(precious), "pipe": lambda: os.mkfifo(place), "folder": place.mkdir}[kind]()
    held = Lock(tmp_path)
    held.take()
    held.release()
    assert precious.read_text() == "mine" and os.path.lexists(place)
