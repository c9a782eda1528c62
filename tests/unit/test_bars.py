"""Bars in a notebook: HTML that is drawn anew in place; elsewhere tqdm's."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from tqdm import tqdm

from smallnets import bars
from smallnets.training.loop.display import Display
from smallnets.training.options import FitOptions


class Screen:
    """A notebook's front end: what each display shows now."""

    def __init__(self) -> None:
        self.shown: list[dict[str, str]] = []

    def display(self, content: dict[str, str], raw: bool, display_id: bool) -> Any:
        assert raw and display_id
        self.shown.append(content)
        place = len(self.shown) - 1
        return SimpleNamespace(update=lambda content, raw: self.shown.__setitem__(place, content))


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    screen = Screen()
    shell = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setitem(sys.modules, "IPython", shell)
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=screen.display))
    return screen


def test_a_terminal_has_tqdms(monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(bars.bar(total=3, disable=True)) is tqdm
    for shell in (None, SimpleNamespace()):  # IPython is loaded, and no notebook runs: a terminal's IPython
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda shell=shell: shell))
        assert not bars.in_notebook()


def test_it_is_one_display_that_changes(screen: Screen, capsys: pytest.CaptureFixture[str]) -> None:
    bar = bars.bar(range(4), desc="<reading>", unit="img", mininterval=0, miniters=1, disable=None)
    for count, _ in enumerate(bar):
        assert len(screen.shown) == 1 and f"width:{count * 25:.1f}%" in screen.shown[0]["text/html"]
    assert "&lt;reading&gt;: 4/4 img" in screen.shown[0]["text/html"]
    assert screen.shown[0]["text/plain"].startswith("<reading>: 4/4 img")
    assert capsys.readouterr() == ("", "")


def test_what_is_short_or_switched_off_leaves_nothing(screen: Screen) -> None:
    list(bars.bar(range(4), delay=60, leave=False))
    list(bars.bar(range(4), disable=True))
    assert screen.shown == []
    list(bars.bar(range(4), leave=False))
    assert screen.shown[0]["text/plain"] == "" and "width" not in screen.shown[0]["text/html"]


def test_a_run_is_a_bar_and_a_line_an_epoch(screen: Screen, capsys: pytest.CaptureFixture[str]) -> None:
    row: Any = {
        "epoch": 1, "loss": 0.5, "accuracy": 0.75, "val_loss": None, "val_accuracy": None, "seconds": 1.0,
        "images_per_second": 96.0,
    }  # fmt: skip
    display = Display(FitOptions(epochs=2), 96, leads=True)
    display.say("fit: <a plan>")
    for epoch in range(2):
        display.start(epoch, 0)
        display.run.update(96)
        display.end({**row, "epoch": epoch + 1})
    display.leave()
    (shown,) = screen.shown
    assert "width:100.0%" in shown["text/html"] and "&lt;a plan&gt;" in shown["text/html"]
    first, plan, *lines = shown["text/plain"].splitlines()
    assert first.startswith("epoch 2/2: 192/192 img") and plan == "fit: <a plan>"
    assert [line[:22] for line in lines] == ["epoch 1/2  loss 0.5000", "epoch 2/2  loss 0.5000"]
    assert capsys.readouterr() == ("", "")
