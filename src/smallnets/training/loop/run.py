"""A run: epochs of updates over a stateless feed, measured, saved and resumable at any step."""

import contextlib
import copy
import importlib.metadata
import itertools
import math
import time
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor, nn

from ...data.imageset import ImageSet, ImageStream
from ...errors import RunError, message
from ..checkpoint.run_folder import RunFolder, describe
from ..evaluate import measure, natural_size
from ..feed.feed import make_feed
from ..feed.samples import understand, workers_errors_plain
from ..feed.seeded import Seeded
from ..group import current_group
from ..history import History, score
from ..options import FitOptions
from ..plan.calibrate import settle_plan
from ..plan.plan import choose_device, fixed_plan
from ..preserve import deterministic_mode
from .checks import check_run, facts, probe
from .display import Display
from .losses import make_loss
from .progress import Progress, where_it_was
from .signals import Stop, deferred_signals
from .step import Updates


class Run:
    """Everything between ``fit``'s arguments and its history."""

    def __init__(self, model: nn.Module, train: Any, val: Any, options: FitOptions) -> None:
        self.model, self.options = model, options
        self.device = choose_device(options.device)
        self.group = current_group(self.device)
        size = natural_size(model)
        self.train = understand(train, "fit", size=size)
        self.val = None if val is None else understand(val, "fit", like=self.train.stats, size=size)
        check_run(model, self.train, self.val, options, self.group, train is val)
        if not (self.train.is_loader or isinstance(self.train.data, ImageSet | ImageStream)):
            self.train = replace(self.train, data=Seeded(self.train.data, options.seed))
        self.facts = {**facts(self.train), "validation": None if self.val is None else facts(self.val)["checksum"]}
        self.folder = RunFolder(options.run_dir) if options.run_dir is not None else None
        self.found = None if self.folder is None else self.folder.resume(model, options, self.facts)
        self.plan = fixed_plan(options, self.device)
        self.display = Display(options, self.train.count, self.group.leads)
        self.progress = Progress()
        self.history = History(monitor=options.monitor)
        self.best_state: dict[str, Any] | None = None

    def go(self) -> History:
        """Train until the last epoch, and leave the weights that the options ask for in the model."""
        options = self.options
        self._prepare()
        with contextlib.ExitStack() as stack:
            stop = stack.enter_context(deferred_signals())  # first in, last out: no signal cuts the leaving short
            stack.callback(self.updates.release)
            stack.callback(self.display.leave)
            stack.enter_context(deterministic_mode(options.deterministic))
            stack.enter_context(self.group.one_message())
            stack.enter_context(workers_errors_plain())
            while self.progress.epoch < options.epochs and not self.progress.stopped:
                with contextlib.closing(self.display):
                    self._epoch(stop)
                if self._asked_to_stop(stop, at_end=True):
                    self._leave(stop)
        self._finish()
        return self.history

    def _prepare(self) -> None:
        """Bring everything onto the device and, when resuming, to where the run was."""
        if self.folder is not None and self.group.leads:
            self.folder.sweep()
        self.model.to(self.device)
        self.feed = make_feed(self.model, self.train, self.options, self.device, self.group)
        with workers_errors_plain():
            probe(self.model, self.feed, self.plan, self.options, self.group.leads)
        loss, _ = make_loss(self.options, self.device)
        self.plan, said = settle_plan(self.model, self.feed, loss, self.options, self.found, self.group)
        if said:
            self.display.say(f"fit: {said}")
        self.feed.channels_last = self.plan.channels_last
        self.history.plan = self.plan.to_json()
        if self.plan.channels_last:
            self.model.to(memory_format=torch.channels_last)
        self.group.align(self.model)
        # For evaluate and predict, should they be given bare uint8 pictures later.
        self.model._normalisation = self.train.stats  # type: ignore[assignment]  # pyright: ignore
        self.updates = Updates(self.model, self.options, self.plan, self.group, len(self.feed))
        if self.found is not None:
            self.updates.restore(self.found)
            self.history.rows = self.found["history"]
            self.progress = progress = where_it_was(self.found, self.options, self.train.count, len(self.feed))
            where = f"epoch {progress.epoch}" + (f", batch {progress.batch}" if progress.batch else "")
            if progress.epoch < self.options.epochs and not progress.stopped:
                self.display.say(f"fit: going on from {where} of the run in {self.options.run_dir}")
        if self.folder is not None and self.group.leads:
            self.folder.write_json("config.json", self._record())
        self.updates.parallelise()

    def _epoch(self, stop: Stop) -> None:
        progress, options = self.progress, self.options
        self.model.train()
        begun = (progress.loss_sum, progress.correct) if self.group.leads else (0.0, 0)
        loss_sum = torch.tensor(begun[0], dtype=torch.float64, device=self.device)
        correct = torch.tensor(begun[1], dtype=torch.int64, device=self.device)
        before, started = progress.seconds, time.perf_counter()
        self.display.start(progress.epoch, progress.seen)
        if isinstance(self.train.data, Seeded):
            self.train.data.epoch = progress.epoch
        with contextlib.closing(self.feed.epoch(progress.epoch, progress.batch)) as batches:
            while group := list(itertools.islice(batches, options.accumulate)):
                bad = self.updates.step(group, progress.step, loss_sum, correct)
                if bad is not None:
                    self._diverged(*bad)
                images = sum(batch.total for batch in group)
                progress.batch += len(group)
                progress.step += 1
                progress.seen += images
                progress.seconds = before + time.perf_counter() - started
                self.display.step(images, loss_sum, correct, progress.seen)
                asked = self._asked_to_stop(stop)
                if asked or (options.save_every and progress.step % options.save_every == 0):
                    sums = self.group.sum(torch.stack([loss_sum, correct.double()]))
                    progress.loss_sum, progress.correct = sums[0].item(), int(sums[1])
                    self._save()
                if asked:
                    self._leave(stop)
        self._end_epoch(loss_sum, correct)

    def _asked_to_stop(self, stop: Stop, at_end: bool = False) -> bool:
        """Whether any process was asked; several agree on it, every few steps where agreeing waits for a GPU."""
        if self.group.world == 1:
            return stop.signal is not None
        if self.device.type != "cpu" and self.progress.step % 10 and not at_end:
            return False
        return bool(self.group.sum(torch.tensor(int(stop.signal is not None), device=self.device)))

    def _leave(self, stop: Stop) -> None:
        self.display.close()
        saved = f"; saved to {self.folder.last}" if self.folder is not None else ""
        self.display.say(f"fit: stopped in epoch {self.progress.epoch + 1}, after step {self.progress.step}{saved}")
        stop.reraise()
        raise KeyboardInterrupt  # another process was asked

    def _end_epoch(self, loss_sum: Tensor, correct: Tensor) -> None:
        progress, options = self.progress, self.options
        self._check_numbers()
        sums = self.group.sum(torch.stack([loss_sum, correct.double()]))
        row: dict[str, Any] = {
            "epoch": progress.epoch + 1,
            "loss": sums[0].item() / progress.seen,
            "accuracy": sums[1].item() / progress.seen,
            "val_loss": None,
            "val_accuracy": None,
            "lr": self.updates.rate(progress.step - 1),
        }
        started = time.perf_counter()
        with self.updates.averaged():
            self.group.align(self.model)
            if self.val is not None:
                self.model.eval()
                size = max(256, options.batch_size)
                found = measure(self.model, self.val, size, self.plan, group=self.group, loss=self.updates.val_loss)
                row["val_loss"], row["val_accuracy"] = found.loss, found.accuracy
                if not math.isfinite(found.loss):
                    self._diverged(progress.step - 1, row["lr"], "a validation loss")
            row["seconds"] = progress.seconds + time.perf_counter() - started
            row["images_per_second"] = progress.seen / progress.seconds
            self.history.rows.append(row)
            self._keep_if_best(row)
        if options.schedule == "plateau":
            self.updates.schedule.plateau.after_epoch(row["loss"] if row["val_loss"] is None else row["val_loss"])
        self.progress = Progress(
            progress.epoch + 1, step=progress.step, best=progress.best, best_epoch=progress.best_epoch
        )
        patient = options.patience is None or self.progress.epoch - self.progress.best_epoch < options.patience
        self.display.end(row)
        answers = [callback(dict(row)) for callback in options.callbacks]
        self.progress.stopped = self.group.from_leader(not patient or any(answers))
        self._save()
        if self.folder is not None and self.group.leads:
            self.folder.write_history(self.history)

    def _keep_if_best(self, row: dict[str, Any]) -> None:
        """Keep the weights when they are the best so far; called with the averaged ones in place."""
        monitor = self.options.monitor
        reached = score(row, monitor if row[monitor] is not None else monitor.removeprefix("val_"))
        if self.progress.best is not None and reached >= self.progress.best:
            return
        self.progress.best, self.progress.best_epoch = reached, row["epoch"]
        if self.folder is not None and self.group.leads:
            self.folder.save_best({**self._record(), "model": self.model.state_dict(), "row": row})
        elif self.folder is None and self.options.restore_best:
            self.best_state = copy.deepcopy(self.model.state_dict())

    def _check_numbers(self) -> None:
        """Nothing is measured or saved that is not a number."""
        bad = self.updates.watch.look()
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

    def _record(self) -> dict[str, Any]:
        return {
            "net": describe(self.model),
            "options": self.options.to_json(),
            "data": self.facts,
            "plan": self.plan.to_json(),
            "versions": {name: importlib.metadata.version(name) for name in ("smallnets", "torch")},
        }

    def _save(self) -> None:
        if self.folder is None:
            return
        self._check_numbers()
        if self.group.leads:
            state = {
                "progress": asdict(self.progress),
                "batches": len(self.feed),
                "history": self.history.rows,
                **self.updates.state(),
            }
            self.folder.save({**self._record(), **state})

    def _finish(self) -> None:
        """Averaged or best weights into the model; gradients gone; curves drawn."""
        if self.updates.average is not None:
            self.updates.average.swap(self.model)
        self.group.wait()
        if self.options.restore_best:
            best = self.folder.best() if self.folder is not None else None
            state = self.best_state if best is None else best["model"]
            if state is not None:
                self.model.load_state_dict(state)
        if self.folder is not None and self.group.leads:
            self.folder.write_history(self.history)
            with contextlib.suppress(ImportError):
                self.history.plot(self.folder.path / "curves.png")
