"""One update after the other: batches in, weights changed, sums kept; everything random from (seed, step)."""

import contextlib
from collections.abc import Generator

import torch
from torch import Tensor, nn

from ...data.names import listed
from ...data.stateless import key
from ...errors import RunError, SmallnetsError, first_line, message
from ..checkpoint.schema import Checkpoint, Progress, Training
from ..feed.batches import Batch
from ..group import Group
from ..options import FitOptions
from ..plan.captured import Captured, can_be_captured
from ..plan.plan import Plan, check_logits
from ..plan.unfolded import use_library, use_unfolded
from ..preserve import state_tensors
from ..schedules import Schedule
from .average import Average
from .finite import Tally, all_finite
from .losses import SMALLEST, Mixer, make_loss
from .optimizers import begin_momentum, make_optimizer
from .passes import augmented, parallel, plain_norm_error, seed_draws


class Updates:
    """A net with its optimiser, schedule and averaged weights, ready to take batches."""

    def __init__(
        self,
        model: nn.Module,
        options: FitOptions,
        plan: Plan,
        group: Group,
        batches: int,
        stored: Checkpoint | None = None,
        weights: Tensor | None = None,
    ) -> None:
        """Put everything in place, with the weights and the state of the run that goes on.

        Args:
            model: The net, on its device.
            options: The run's settings.
            plan: How the net is run.
            group: The processes that share the batches.
            batches: Batches of an epoch.
            stored: The checkpoint of the run that goes on.
            weights: Of the classes, in the loss.
        """
        self.model, self.options, self.plan, self.group = model, options, plan, group
        self.optimizer = make_optimizer(options, model, plan.device)
        self.base_lrs = [float(parameters["lr"]) for parameters in self.optimizer.param_groups]
        self.trained = [p for parameters in self.optimizer.param_groups for p in parameters["params"]]
        self.average = Average(model, options.ema) if options.ema is not None else None
        self.loss, self.val_loss = make_loss(options, plan.device, weights)
        self.mixer = Mixer(options.mix, options.seed)
        self.tally = Tally(plan.device)
        # A buffer may hold infinity on purpose, as a mask does.
        self.infinite = {name for name, tensor in state_tensors(model).items() if not all_finite([tensor])}
        steps = -(-batches // options.accumulate)
        self.schedule = Schedule(options.schedule, steps, steps * options.epochs, round(options.warmup_epochs * steps))
        self.scaler = torch.amp.GradScaler(plan.device.type, enabled=plan.precision == "fp16")
        if self.scaler.is_enabled():
            begin_momentum(self.optimizer)
        self.all_learn = False  # known after a first step, where several processes are to agree on it
        self.captured: Captured | None = None
        self.capturable = plan.graph and can_be_captured(model, options, plan.device, group.world)
        self.warm = False
        self.full: int | None = None  # samples of the first batch, the shape that a compiled net is made for
        if stored is not None and stored.training is not None:
            try:
                self._restore(stored, stored.training)
            except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
                if isinstance(error, SmallnetsError):
                    raise
                got, advice = f"one that was changed ({first_line(error)[:80]})", "Take another run folder."
                raise RunError(message("fit", "the checkpoint of a run of this net", got, advice)) from error
        self.parallel = parallel(model, plan, group)  # after the weights are in place
        use_unfolded(model, plan.unfolded)

    def step(self, batches: list[Batch], step: int) -> tuple[int, float] | None:
        """One update from one or, with ``accumulate``, several batches; what they give is tallied.

        Returns:
            The first step and rate at which the loss was no number, when one was found.
        """
        factor = self.schedule.factor(step)
        rates = [base * factor for base in self.base_lrs]
        for parameters, rate in zip(self.optimizer.param_groups, rates, strict=True):
            parameters["lr"] = rate
        seed_draws(self.plan.device, key(self.options.seed, 3, step, self.group.rank))
        ready = [batch._replace(images=self._pictures(batch)) for batch in batches]
        if self.capturable and (found := self._replayed(ready[0], rates)) is not None:
            results = [found]
        else:
            results = self._update(ready, step)
        bad = None
        for batch, result in zip(batches, results, strict=True):
            bad = self.tally.note(step, rates[0], result, counts=batch.weight > 0)
        return bad

    def _pictures(self, batch: Batch) -> Tensor:
        """A batch's pictures as the net takes them, in the plan's layout, after the user's own augmentation."""
        images = self.plan.arrange(batch.images)
        own = self.options.augment
        return images if isinstance(own, str) else augmented(own, images)

    def _update(self, batches: list[Batch], step: int) -> list[Tensor]:
        """Forward, backward and step: for each batch its mean loss, its weight, and how many were right, (3,)."""
        shares = self._shares(batches)
        self.model.zero_grad(set_to_none=True)  # all of it: the optimizer may hold a part
        results: list[Tensor] = []
        for number, batch in enumerate(batches):
            images, labels = batch.images, batch.labels
            self.full = self.full or len(images)
            images, loss_of = self.mixer(images, labels, self.loss, step, number, self.group.rank)
            with self._gradients_join(number == len(batches) - 1):
                # A compiled net keeps to one shape: the odd last batch of an epoch would compile it again.
                odd = self.plan.compile and self.group.world == 1 and len(images) != self.full
                with self.plan.autocast(), plain_norm_error(self.model, images):
                    output = (self.model if odd else self.parallel)(images)
                logits = check_logits(output, images, "fit")
                loss = loss_of(logits, labels)
                self.scaler.scale(loss * shares[number]).backward()
            with torch.no_grad():
                hits = (logits.argmax(dim=1) == labels).sum()
                kind = torch.promote_types(loss.dtype, torch.float32)
                weight = self.val_loss.weight(labels)  # mixed pictures' as well: their other labels are the same ones
                results.append(torch.stack([loss.detach().to(kind), weight.to(kind), hits.to(kind)]))
        if self.group.world > 1 and not self.all_learn:
            self._check_all_learn()
        if self.tally.every == 1 and not all_finite(results):
            return results  # where looking costs nothing, no weight learns from what is no number
        if self.options.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.trained, self.options.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update(self.model)
        return results

    def _shares(self, batches: list[Batch]) -> list[float] | list[Tensor]:
        """What the mean loss of each batch counts with, so that the update is that of one big batch.

        The mean is over all samples of the update, whoever holds them, each with its class's weight where classes have
        some; DDP averages over the processes.
        """
        world = self.group.world
        if world == len(batches) == 1:
            return [batches[0].weight]
        if not self.val_loss.weighted:
            total = sum(batch.total for batch in batches)
            return [batch.weight * len(batch.labels) / total * world for batch in batches]
        mine = torch.stack([self.val_loss.weight(batch.labels) * batch.weight for batch in batches])
        whole = self.group.sum(mine.sum())
        return list(mine / whole.clamp(min=SMALLEST) * world)

    def _replayed(self, batch: Batch, rates: list[float]) -> Tensor | None:
        """The update as a graph; None for the first one, which sets things up, and where it cannot be captured."""
        if not self.warm:
            self.warm = True
            return None
        if self.captured is None:
            one = Batch(batch.images, batch.labels, batch.total)

            def update(images: Tensor, labels: Tensor) -> Tensor:
                return self._update([one._replace(images=images, labels=labels)], 0)[0]

            try:
                self.captured = Captured(batch.images, batch.labels, self.optimizer, update)
            except RuntimeError:  # something in the net waits for the host: step by step, then
                self.capturable = False
                self.model.zero_grad(set_to_none=True)
                return None
        if not self.captured.takes(batch.images):
            return None
        return self.captured(batch.images, batch.labels, rates)

    def _check_all_learn(self) -> None:
        """Refuse a net whose gradients several processes would wait for in vain.

        Raises:
            RunError: When a parameter has no part in the loss.
        """
        idle = [name for name, weight in self.model.named_parameters() if weight.requires_grad and weight.grad is None]
        if idle:
            advice = f"Freeze {'it' if len(idle) == 1 else 'them'}: requires_grad_(False)."
            wanted = "a part in the loss for every parameter, under torchrun"
            raise RunError(message("fit", wanted, f"none for {listed(idle, 3)}", advice))
        self.all_learn = True

    def rate(self, step: int) -> float:
        """The learning rate of a step, of the first group of parameters: from the schedule, whoever took the step."""
        return self.base_lrs[0] * self.schedule.factor(step)

    def finite(self) -> bool:
        """Whether all that a checkpoint holds are numbers: a finite loss can hide an optimiser's state that is not."""
        state = [tensor for name, tensor in state_tensors(self.model).items() if name not in self.infinite]
        for found in self.optimizer.state.values():
            state += [value for value in found.values() if isinstance(value, Tensor)]
        if self.average is not None:
            state += [tensor for name, tensor in self.average.tensors.items() if name not in self.infinite]
        return all_finite(state)

    def _gradients_join(self, last: bool) -> contextlib.AbstractContextManager[None]:
        """DDP exchanges gradients with the last batch of an update only."""
        if last or not isinstance(self.parallel, nn.parallel.DistributedDataParallel):
            return contextlib.nullcontext()
        return self.parallel.no_sync()

    def release(self) -> None:
        """Leave no gradients, convolutions as they were, and the user's own optimiser with the rates it came with."""
        use_library(self.model, self.plan.unfolded)
        self.captured = None
        self.model.zero_grad(set_to_none=True)
        for group, lr in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = lr

    def state(self, progress: Progress, batches: int) -> Training:
        """What going on from here needs beside the weights."""
        average = None if self.average is None else self.average.tensors
        scaler = self.scaler.state_dict()
        return Training(progress, self.optimizer.state_dict(), average, self.schedule.plateau, batches, scaler)

    def _restore(self, stored: Checkpoint, training: Training) -> None:
        self.model.load_state_dict(stored.weights)
        settings = [
            {k: v for k, v in group.items() if k not in ("params", "lr")} for group in self.optimizer.param_groups
        ]
        groups = (training.optimizer["param_groups"], self.optimizer.param_groups)
        sizes = [[len(group["params"]) for group in each] for each in groups]
        if sizes[0] != sizes[1] and self.options.resume != "changed":
            advice = "Freeze the same layers, or resume='changed' to go on with a fresh optimizer."
            got = f"{sum(sizes[1])} in groups of {sizes[1]}"
            raise RunError(message("fit", f"the {sum(sizes[0])} parameters that the run trains", got, advice))
        if "optimizer" not in self.options.changed(stored.options) and sizes[0] == sizes[1]:  # another starts afresh
            self.optimizer.load_state_dict(training.optimizer)
        for group, mine in zip(self.optimizer.param_groups, settings, strict=True):
            group.update(mine)  # the options of this call count, should they have been changed on purpose
        if self.options.ema is not None:
            self.average = Average(self.model, self.options.ema)
            self.average.restore(training.average or {})
        self.schedule.plateau = training.schedule
        if training.scaler:
            self.scaler.load_state_dict(training.scaler)

    @contextlib.contextmanager
    def averaged(self) -> Generator[None, None, None]:
        """The averaged weights in the net, where there are any."""
        if self.average is None:
            yield
            return
        self.average.swap(self.model)
        try:
            yield
        finally:
            self.average.swap(self.model)
