"""What a person sees of a run: bars of run and epoch on a terminal, a bar and lines in a notebook, else lines."""

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...bars import NotebookBar, bar, in_notebook
from ...errors import message
from ...speak import has_terminal, say
from ..options import FitOptions
from ..records import Row


class Display:
    """Progress on stderr and in TensorBoard; silent unless it leads and is asked to."""

    def __init__(self, options: FitOptions, count: int, leads: bool) -> None:
        self.epochs, self.count, self.show = options.epochs, count, options.progress and leads
        self.notebook = self.show and in_notebook()
        self.terminal = self.show and not self.notebook and has_terminal()
        self.new_board = tensorboard(options) if leads and options.tensorboard else None
        self.board: Any = None  # opened with the first row: what fails before leaves none open
        self.run: Any = None  # its bar
        self.bar: Any = None  # the epoch's, below it
        self.early: list[str] = []  # lines of before the first epoch
        self.updated = 0.0

    def say(self, text: str) -> None:
        if isinstance(self.run, NotebookBar):
            self.run.add_line(text)
        elif self.notebook:  # the bar comes with the first epoch
            self.early.append(text)
        elif self.show:
            say(text)

    def start(self, epoch: int, done: int) -> None:
        if not self.terminal and not self.notebook:
            return
        label = f"epoch {epoch + 1:>{len(str(self.epochs))}}/{self.epochs}"
        look: dict[str, Any] = {"unit": "img", "leave": False, "dynamic_ncols": True}
        if self.run is None:
            whole, before = self.epochs * self.count, epoch * self.count + done
            kept: dict[str, Any] = {**look, "leave": self.notebook}
            self.run = bar(total=whole, initial=before, desc="run", **kept)
            for text in self.early:
                self.say(text)
        if self.notebook:
            self.run.set_description_str(label)
        else:
            self.bar = bar(total=self.count, initial=done, desc=label, **look)
        self.updated = time.monotonic()

    def step(self, images: int, so_far: Callable[[], tuple[float, float] | None]) -> None:
        """After each step; loss and accuracy are asked for, which may wait for the device, only now and then."""
        if self.run is None:
            return
        self.run.update(images)
        if self.bar is not None:
            self.bar.update(images)
        now = time.monotonic()
        if now - self.updated > 0.5:
            self.updated = now
            if known := so_far():
                (self.bar or self.run).set_postfix_str(f"loss {known[0]:.4f}, accuracy {known[1]:.4f}")

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def record(self, row: Row) -> None:
        """Write an epoch for TensorBoard; a run that is killed and goes on writes none twice."""
        self.close()
        if self.new_board is not None:
            self.board = self.new_board() if self.board is None else self.board
            for column, value in row.items():
                if column not in ("epoch", "seconds") and value is not None:
                    self.board.add_scalar(column, value, row["epoch"])
            self.board.flush()

    def end(self, row: Row) -> None:
        self.close()
        width = len(str(self.epochs))
        text = f"epoch {row['epoch']:>{width}}/{self.epochs}  loss {row['loss']:.4f}  accuracy {row['accuracy']:.4f}"
        if row["val_loss"] is not None:
            text += f"  val_loss {row['val_loss']:.4f}  val_accuracy {row['val_accuracy']:.4f}"
        self.say(f"{text}  {row['images_per_second']:,.0f} img/s  {row['seconds']:.1f} s")

    def leave(self) -> None:
        """At the end of the run, however it ends."""
        self.close()
        if self.run is not None:
            self.run.close()
            self.run = None
        if self.board is not None:
            self.board.close()


def tensorboard(options: FitOptions) -> Callable[[], Any]:
    """What opens TensorBoard's writer, beside the run.

    Raises:
        ImportError: When TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError as error:
        raise ImportError(message("fit", "tensorboard", "none", "pip install tensorboard.")) from error
    return functools.partial(SummaryWriter, str(Path(options.run_dir or "runs") / "tensorboard"))
