"""One update after the other: batches in, weights changed, sums kept; everything random from (seed, step)."""

import contextlib
from collections.abc import Callable, Generator
from typing import Any

import torch
from torch import Tensor, nn

from ...data.stateless import key
from ...errors import OptionError, RunError, SmallnetsError, message
from ..checkpoint.schema import Checkpoint, Progress, Training
from ..feed.batches import Batch
from ..feed.feed import has_batch_norm
from ..group import Group
from ..options import FitOptions
from ..plan.plan import Plan, check_logits
from ..plan.unfolded import use_library, use_unfolded
from ..preserve import state_tensors
from ..schedules import Schedule
from .average import Average
from .finite import Watch, all_finite
from .losses import Mixer, make_loss
from .optimizers import make_optimizer


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
        self.watch = Watch(plan.device)
        # A buffer may hold infinity on purpose, as a mask does.
        self.infinite = {name for name, tensor in state_tensors(model).items() if not all_finite([tensor])}
        steps = -(-batches // options.accumulate)
        self.schedule = Schedule(options.schedule, steps, steps * options.epochs, round(options.warmup_epochs * steps))
        self.full: int | None = None  # samples of the first batch, the shape that a compiled net is made for
        if stored is not None and stored.training is not None:
            self._restore(stored, stored.training)
        self.parallel = parallel(model, plan, group)  # after the weights are in place
        use_unfolded(model, plan.unfolded)

    def step(self, batches: list[Batch], step: int, loss_sum: Tensor, correct: Tensor) -> tuple[int, float] | None:
        """One update from one or, with ``accumulate``, several batches, adding to the sums in place.

        Returns:
            The first step and rate at which the loss was no number, when one was found.
        """
        options, rank = self.options, self.group.rank
        factor = self.schedule.factor(step)
        for parameters, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            parameters["lr"] = base * factor
        total = sum(batch.total for batch in batches)
        seed_draws(self.plan.device, key(options.seed, 3, step, rank))
        self.model.zero_grad(set_to_none=True)  # all of it: the optimizer may hold a part
        bad = None
        for number, batch in enumerate(batches):
            images, labels = self.plan.arrange(batch.images), batch.labels
            self.full = self.full or len(images)
            if not isinstance(options.augment, str):
                images = augmented(options.augment, images)
            images, loss_of = self.mixer(images, labels, self.loss, step, number, rank)
            # The mean over all samples of the update, whoever holds them; DDP averages over the processes.
            share = batch.weight * len(labels) / total * self.group.world
            with self._gradients_join(number == len(batches) - 1):
                # A compiled net keeps to one shape: the odd last batch of an epoch would compile it again.
                odd = self.plan.compile and self.group.world == 1 and len(images) != self.full
                with self.plan.autocast(), plain_norm_error(self.model, images):
                    output = (self.model if odd else self.parallel)(images)
                logits = check_logits(output, images, "fit")
                loss = loss_of(logits, labels)
                (loss * share).backward()
            with torch.no_grad():
                loss_sum += loss.detach().double() * (batch.weight * len(labels))
                if batch.weight:
                    correct += (logits.argmax(dim=1) == labels).sum()
            bad = bad or self.watch.note(step, self.rate(step), loss)
        if bad is not None:
            return bad
        if options.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.trained, options.clip_norm)
        self.optimizer.step()
        if self.average is not None:
            self.average.update(self.model)
        return None

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
        self.model.zero_grad(set_to_none=True)
        for group, lr in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = lr

    def state(self, progress: Progress, batches: int) -> Training:
        """What going on from here needs beside the weights."""
        average = None if self.average is None else self.average.tensors
        return Training(progress, self.optimizer.state_dict(), average, self.schedule.plateau, batches)

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


def parallel(model: nn.Module, plan: Plan, group: Group) -> nn.Module:
    """The net compiled and distributed, as the plan and the group say."""
    net: nn.Module = torch.compile(model) if plan.compile else model  # type: ignore[assignment]
    if group.world == 1:
        return net
    ids = [plan.device.index] if plan.device.type == "cuda" else None
    with group.one_message():
        return nn.parallel.DistributedDataParallel(net, device_ids=ids)


@contextlib.contextmanager
def plain_norm_error(model: nn.Module, images: Tensor) -> Generator[None, None, None]:
    """Torch's error of a batch norm over one value, in one sentence.

    Raises:
        ValueError: Instead of torch's.
    """
    try:
        yield
    except ValueError as error:
        if len(images) > 1 or not has_batch_norm(model) or isinstance(error, SmallnetsError):
            raise
        advice = "Take another batch_size, or drop_last=True in a DataLoader."
        raise OptionError(message("fit", "at least two samples a batch for batch norm", len(images), advice)) from error


def augmented(augment: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """The batch that a user's augmentation makes of a batch.

    Raises:
        ValueError: When it is none of as many pictures.
    """
    found: Any = augment(images)
    if not isinstance(found, Tensor) or found.shape[:1] != images.shape[:1]:
        got = tuple(found.shape) if isinstance(found, Tensor) else f"a {type(found).__name__}"
        raise OptionError(message("fit", f"augment to give {len(images)} pictures, as it was given", got))
    return found


def seed_draws(device: torch.device, seed: int) -> None:
    """Seed what dropout, and whatever else the net draws, draws from; torch.manual_seed takes 0.3 ms to ask round."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    elif device.type != "cpu":
        torch.manual_seed(seed)
