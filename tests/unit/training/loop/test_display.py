"""What a person sees of a run."""

import io
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from smallnets.training.checkpoint.schema import Progress
from smallnets.training.loop.display import Display
from smallnets.training.loop.finite import Tally
from smallnets.training.loop.run import Run
from smallnets.training.options import FitOptions

ROW = {
    "epoch": 2, "loss": 0.5, "accuracy": 0.75, "val_loss": 0.25, "val_accuracy": 0.875, "seconds": 1.25,
    "images_per_second": 12345.6,
}  # fmt: skip
LINE = "epoch  2/10  loss 0.5000  accuracy 0.7500  val_loss 0.2500  val_accuracy 0.8750  12,346 img/s  1.2 s\n"


class Screen(io.StringIO):
    terminal = False

    def isatty(self) -> bool:
        return self.terminal


def shown_on(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> Screen:
    """In the test itself: pytest gives stderr anew to each phase."""
    monkeypatch.setattr(sys, "stderr", screen)
    return screen


def an_epoch(display: Display) -> None:
    display.start(1, 64)  # an epoch that goes on in the middle
    display.updated = -1.0
    display.step(32, lambda: (0.5, 0.75))


def test_elsewhere_an_epoch_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = shown_on(Screen(), monkeypatch)
    display = Display(FitOptions(epochs=10), 203, leads=True)
    an_epoch(display)
    display.end(ROW)
    display.end({**ROW, "val_loss": None, "val_accuracy": None})
    assert screen.getvalue() == LINE + LINE.replace("  val_loss 0.2500  val_accuracy 0.8750", "")


def test_on_a_terminal_it_is_a_bar_first(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = shown_on(Screen(), monkeypatch)
    screen.terminal = True
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("LINES", "40")
    display = Display(FitOptions(epochs=10), 203, leads=True)
    an_epoch(display)
    shown = screen.getvalue()
    assert (
        "epoch  2/10" in shown and "64/203" in shown and "96/203" in shown and "loss 0.5000, accuracy 0.7500" in shown
    )
    bar = display.bar
    display.end(ROW)
    run = display.run
    assert display.bar is None and bar.disable and not run.disable and LINE in screen.getvalue()
    assert "run: " in shown and "267/2030" in shown  # the run's bar above the epoch's
    display.leave()
    assert display.run is None and run.disable


def test_who_is_not_asked_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = shown_on(Screen(), monkeypatch)
    screen.terminal = True
    for options, leads in ((FitOptions(epochs=10, progress=False), True), (FitOptions(epochs=10), False)):
        display = Display(options, 203, leads)
        an_epoch(display)
        display.end(ROW)
    assert screen.getvalue() == ""


def test_several_processes_show_the_loss_of_all() -> None:
    tally = Tally(torch.device("cpu"))
    tally.begin()
    tally.note(0, 0.1, torch.tensor([0.5, 16.0, 12.0]))
    run: Any = object.__new__(Run)
    run.device, run.of_all, run.progress = torch.device("cpu"), None, Progress(step=1, seen=32)
    run.updates, stop = SimpleNamespace(tally=tally), SimpleNamespace(signal=None)
    run.group = SimpleNamespace(world=2, sum=lambda mine: mine + torch.tensor([0.0, 24.0, 16.0, 8.0]))  # another's 16
    assert not run._asked_to_stop(stop)
    assert run._so_far() == (32 / 32, 20 / 32)
    run.group = SimpleNamespace(world=1)
    assert run._so_far() == (8 / 16, 12 / 32)
