"""Ctrl-C, SIGTERM and a closed terminal wait for the end of a step, so that what is saved is whole."""

import contextlib
import signal
import threading
from collections.abc import Generator
from dataclasses import dataclass
from types import FrameType


@dataclass
class Stop:
    """Which signal asked to stop, if one did."""

    signal: int | None = None

    def reraise(self) -> None:
        """End as the signal would have ended: ``KeyboardInterrupt``, or exit status 143 for SIGTERM, 129 for SIGHUP."""
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        if self.signal is not None:
            raise SystemExit(128 + self.signal)


@contextlib.contextmanager
def deferred_signals() -> Generator[Stop, None, None]:
    """Note the first Ctrl-C, SIGTERM or SIGHUP instead of dying of it; a second one acts at once.

    One that nobody acted on acts at the end, unless an error is on its way out.
    In a thread that is not the main one, signals are left as they are.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {int(number): signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    hangup = getattr(signal, "SIGHUP", None)  # a terminal that is closed; Windows has none
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:  # nohup's wish
        before[int(hangup)] = signal.getsignal(hangup)

    def note(number: int, frame: FrameType | None) -> None:
        stop.signal = number
        signal.signal(number, before[number] if before[number] is not None else signal.SIG_DFL)

    try:
        for number in before:
            signal.signal(number, note)
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
    stop.reraise()
