"""A run: epochs of updates over a stateless feed, measured, saved and resumable at any step."""

import contextlib
import copy
import itertools
import math
import sys
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ...errors import RunError, message
from ...pictures import drawing
from ..checkpoint.schema import Checkpoint, NetRecord, Progress, Training
from ..evaluate import measure
from ..feed.worker_errors import workers_errors_plain
from ..history import History, score
from ..options import FitOptions
from ..plan.inference import at_once
from ..plan.plan import without_autocast
from ..preserve import deterministic_mode
from ..records import Row
from .display import Display
from .finite import Sums
from .memory import plain_memory_error
from .signals import Stop, deferred_signals
from .start import Start
from .step import Updates


class Run:
    """Everything between a start and a history."""

    def __init__(self, model: nn.Module, options: FitOptions, start: Start) -> None:
        self.model, self.options, self.start = model, options, start
        self.group, self.folder, self.feed, self.plan = start.group, start.folder, start.feed, start.plan
        self.device = start.plan.device
        self.display = Display(options, start.train.count, self.group.leads)
        for line in start.said:
            self.display.say(line)
        if self.plan.channels_last:
            model.to(memory_format=torch.channels_last)
        self.group.align(model)
        self.progress = start.progress
        rows = [] if start.stored is None else list(start.stored.history)
        self.history = History(rows, options.monitor, self.plan.to_record())
        self.of_all: tuple[float, float] | None = None  # loss and accuracy, once the processes told each other
        self.best_state: Mapping[str, Any] | None = None
        self.updates = Updates(model, options, self.plan, self.group, len(self.feed), start.stored, start.weights)

    def go(self, leaving: contextlib.ExitStack) -> History:
        """Train until the last epoch, and leave the weights that the options ask for in the model.

        Args:
            leaving: What ends with the run, however it ends: no signal cuts that short.
        """
        options = self.options
        with contextlib.ExitStack() as stack:
            stop = stack.enter_context(deferred_signals())  # first in, last out: no signal cuts the leaving short
            stack.callback(leaving.close)
            stack.callback(self.updates.release)
            stack.callback(self.display.leave)
            stack.enter_context(deterministic_mode(options.deterministic))
            stack.enter_context(without_autocast(self.device))
            stack.enter_context(self.group.one_message())
            stack.enter_context(workers_errors_plain())
            stack.enter_context(plain_memory_error(self.model, options, self.start.data.shape, self.device))
            if self.folder is not None and self.group.leads:
                parameters = sum(p.numel() for p in self.model.parameters())
                self.folder.write_config({**self._checkpoint([]).record(), "parameters": parameters})
            while self.progress.epoch < options.epochs and not self.progress.stopped:
                with contextlib.closing(self.display):
                    self._epoch(stop)
                if self._asked_to_stop(stop, at_end=True):
                    self._leave(stop)
        self._finish()
        return self.history

    def _epoch(self, stop: Stop) -> None:
        progress, options = self.progress, self.options
        self.model.train()
        tally = self.updates.tally
        so_far = Sums(progress.loss_sum, progress.weight_sum, progress.correct)
        tally.begin(so_far if self.group.leads else Sums())
        before, started = progress.seconds, time.perf_counter()
        self.display.start(progress.epoch, progress.seen)
        opened = self.start.opened.of(progress.epoch, progress.batch)
        with contextlib.closing(self.feed.epoch(progress.epoch, progress.batch, opened)) as batches:
            while update := list(itertools.islice(batches, min(options.accumulate, sys.maxsize))):
                bad = self.updates.step(update, progress.step)
                if bad is not None:
                    self._diverged(*bad)
                images = sum(batch.total for batch in update)
                progress.batch += len(update)
                progress.step += 1
                progress.seen += images
                progress.seconds = before + time.perf_counter() - started
                asked = self._asked_to_stop(stop)
                self.display.step(images, self._so_far)
                if asked or (options.save_every and progress.step % options.save_every == 0):
                    progress.loss_sum, progress.weight_sum, correct = self._sums()
                    progress.correct = int(correct)
                    self._save()
                if asked:
                    self._leave(stop)
        self._end_epoch()

    def _asked_to_stop(self, stop: Stop, at_end: bool = False) -> bool:
        """Whether any process was asked; several agree on it, every few steps where agreeing waits for a GPU.

        With it goes what the display shows: the loss and the hits of all.
        """
        if self.group.world == 1:
            return stop.signal is not None
        if self.device.type != "cpu" and self.progress.step % 10 and not at_end:
            return False
        tally = self.updates.tally
        tally.look()
        mine = [float(stop.signal is not None), *tally.sums]
        asked, *sums = self.group.sum(torch.tensor(mine, dtype=torch.float64, device=self.device)).tolist()
        if self.progress.seen:  # else the epoch is over
            found = Sums(*sums)
            self.of_all = found.mean, found.correct / self.progress.seen
        return bool(asked)

    def _so_far(self) -> tuple[float, float] | None:
        """Loss and accuracy of this epoch, over the samples of all processes, if they are known."""
        if self.group.world > 1:
            return self.of_all
        self.updates.tally.look()
        sums = self.updates.tally.sums
        return sums.mean, sums.correct / self.progress.seen

    def _leave(self, stop: Stop) -> None:
        self.display.close()
        saved = f"; saved to {self.folder.last}" if self.folder is not None else ""
        self.display.say(f"fit: stopped in epoch {self.progress.epoch + 1}, after step {self.progress.step}{saved}")
        stop.reraise()
        raise KeyboardInterrupt  # another process was asked

    def _sums(self) -> Sums:
        """Of the epoch so far, over all processes."""
        self._check_numbers()
        sums = self.updates.tally.sums
        if self.group.world == 1:
            return sums
        return Sums(*self.group.sum(torch.tensor(sums, dtype=torch.float64, device=self.device)).tolist())

    def _end_epoch(self) -> None:
        progress, options = self.progress, self.options
        started = time.perf_counter()
        sums = self._sums()
        progress.seconds += time.perf_counter() - started  # the device had work left
        lr = self.updates.rate(progress.step - 1)
        started = time.perf_counter()
        with self.updates.averaged():
            self.group.align(self.model)
            val_loss, val_accuracy = self._validate(lr)
            row = Row(
                epoch=progress.epoch + 1,
                loss=sums.mean,
                accuracy=sums.correct / progress.seen,
                val_loss=val_loss,
                val_accuracy=val_accuracy,
                lr=lr,
                seconds=progress.seconds + time.perf_counter() - started,
                images_per_second=progress.seen
                / max(progress.seconds, 1e-9),  # clocks stand still where they are coarse
            )
            self.history.rows.append(row)
            self._keep_if_best(row)
        if options.schedule == "plateau":
            self.updates.schedule.plateau.after_epoch(row["loss"] if val_loss is None else val_loss)
        self.progress = Progress(
            progress.epoch + 1, step=progress.step, best=progress.best, best_epoch=progress.best_epoch
        )
        patient = options.patience is None or self.progress.epoch - self.progress.best_epoch < options.patience
        try:
            self.display.record(row)
            answers = [callback(row.copy()) for callback in options.callbacks]
        except Exception:
            self._save()  # a stdout that nobody reads, a callback that fails: that costs no epoch
            raise
        self.progress.stopped = self.group.from_leader(not patient or any(answers))
        self._save()
        if self.folder is not None and self.group.leads:
            self.folder.write_history(self.history)
        self.display.end(row)  # what is said is saved

    def _validate(self, lr: float) -> tuple[float | None, float | None]:
        """Loss and accuracy on the validation set, where there is one."""
        if self.start.val is None:
            return None, None
        self.model.eval()
        size = at_once(self.options.batch_size, self.device, self.start.data.shape)
        how: dict[str, Any] = {"group": self.group, "loss": self.updates.val_loss, "who": "fit"}
        metrics = measure(self.model, self.start.val, size, self.plan, **how)
        if not math.isfinite(metrics.loss):
            self._diverged(self.progress.step - 1, lr, "a validation loss")
        return metrics.loss, metrics.accuracy

    def _keep_if_best(self, row: Row) -> None:
        """Keep the weights when they are the best so far; called with the averaged ones in place."""
        reached = score(row, self.options.monitor)
        if self.progress.best is not None and reached >= self.progress.best:
            return
        self.progress.best, self.progress.best_epoch = reached, row["epoch"]
        if self.folder is not None and self.group.leads:
            self.folder.save_best(self._checkpoint([row]))
        elif self.folder is None and self.options.restore_best:
            self.best_state = copy.deepcopy(self.model.state_dict())

    def _check_numbers(self) -> None:
        """Nothing is measured or saved that is not a number."""
        bad = self.updates.tally.look()
        if bad is not None:
            self._diverged(*bad)
        if not self.updates.finite():
            self._diverged(self.progress.step - 1, self.updates.rate(self.progress.step - 1), "a net or an optimiser")

    def _diverged(self, step: int, lr: float, what: str = "a loss") -> None:
        good = "there is no earlier checkpoint"
        if self.folder is not None and self.folder.last.exists():
            good = f"the last good file is {self.folder.last}"
        where = f"{what} that is no number in epoch {self.progress.epoch + 1}, step {step + 1}, at lr {lr:.3g}"
        advice = f"Nothing was saved since; {good}. Take a lower lr, a warm-up or clip_norm."
        raise RunError(message("fit", "finite numbers", where, advice))

    def _checkpoint(self, rows: list[Row], training: Training | None = None) -> Checkpoint:
        """The run as it is now."""
        model, options = self.model, self.options.to_json()
        data, plan = self.start.data, self.plan.to_record()
        return Checkpoint(NetRecord.of(model), options, data, plan, model.state_dict(), rows, training)

    def _save(self) -> None:
        if self.folder is None:
            return
        self._check_numbers()
        if self.group.leads:
            training = self.updates.state(self.progress, len(self.feed))
            self.folder.save(self._checkpoint(self.history.rows, training))

    def _finish(self) -> None:
        """Averaged or best weights into the model; gradients gone; curves drawn."""
        if self.updates.average is not None:
            self.updates.average.swap(self.model)
        self.group.wait()
        if self.options.restore_best:
            best = self.folder.best() if self.folder is not None else None
            state = self.best_state if best is None else best.weights
            if state is not None:
                self.model.load_state_dict(state)
        if self.folder is not None and self.group.leads:
            self.folder.write_history(self.history)
            with contextlib.suppress(ImportError), drawing("fit"):
                self.history.plot(self.folder.path / "curves.png")
