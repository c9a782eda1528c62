"""Ctrl-C and SIGTERM wait, once."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from smallnets import fit
from smallnets.cli import tell
from smallnets.training import group
from smallnets.training.loop.display import Display
from smallnets.training.loop.signals import Stop, deferred_signals


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Python's own answer to Ctrl-C, which a shell's background job starts without."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_the_first_is_noted_and_the_second_acts_at_once() -> None:
    before = signal.getsignal(signal.SIGINT)
    noted = False
    with pytest.raises(KeyboardInterrupt), deferred_signals() as stop:
        signal.raise_signal(signal.SIGINT)
        noted = stop.signal == signal.SIGINT
        signal.raise_signal(signal.SIGINT)
    assert noted and signal.getsignal(signal.SIGINT) is before


def test_one_that_nobody_acted_on_acts_at_the_end() -> None:
    """As when it comes while a run that has ended closes its files."""
    reached = False
    with pytest.raises(SystemExit, match="143"), deferred_signals():
        signal.raise_signal(signal.SIGTERM)
        reached = True
    assert reached
    with pytest.raises(ValueError, match="first"), deferred_signals():  # an error says more than the signal
        signal.raise_signal(signal.SIGTERM)
        raise ValueError("first")


def test_a_run_lets_nothing_cut_its_leaving_short(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[str] = []

    def leave(self: Display) -> None:
        signal.raise_signal(signal.SIGTERM)
        left.append("closed")

    def die(*_: object) -> None:
        left.append("cut short")

    net, images = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), torch.rand(8, 1, 2, 2)
    monkeypatch.setattr(Display, "leave", leave)
    before = signal.signal(signal.SIGTERM, die)
    try:
        with pytest.raises(SystemExit, match="143"):
            fit(net, (images, torch.arange(8) % 2), epochs=1, progress=False, deterministic=True)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert left == ["closed"]


def test_in_another_thread_signals_are_left_as_they_are() -> None:
    found: list[Stop] = []

    def work() -> None:
        with deferred_signals() as stop:
            found.append(stop)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [Stop()]


def test_nothing_ends_that_was_not_asked_to() -> None:
    Stop().reraise()
    with pytest.raises(KeyboardInterrupt):
        Stop(signal.SIGINT).reraise()
    with pytest.raises(SystemExit, match="143"):
        Stop(signal.SIGTERM).reraise()


def test_torchrun_cannot_end_a_process_in_the_middle_of_its_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One process has died, torchrun ends the others while the first of them says so."""

    def first_to_tell() -> bool:
        os.kill(os.getpid(), signal.SIGTERM)
        return True

    def die(*_: object) -> None:
        raise AssertionError

    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setattr(group, "first_to_tell", first_to_tell)
    before = signal.signal(signal.SIGTERM, die)
    try:
        tell("lost one")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().err == "smallnets: lost one\n"


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="a system without hang-ups")
def test_a_closed_terminal_waits_but_nohups_wish_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    reached = False
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may run under nohup themselves
    try:
        with pytest.raises(SystemExit, match="129"), deferred_signals():
            signal.raise_signal(signal.SIGHUP)
            reached = True
        assert reached
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with deferred_signals() as stop:
            signal.raise_signal(signal.SIGHUP)
        assert stop.signal is None and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    monkeypatch.delattr(signal, "SIGHUP")  # as on Windows
    with pytest.raises(SystemExit, match="143"), deferred_signals():
        signal.raise_signal(signal.SIGTERM)
