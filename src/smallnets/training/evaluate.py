"""``evaluate``: every sample once, equally weighted, summed in float64 in batch order."""

import contextlib
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from ..bars import bar as new_bar
from ..data.imageset import ImageSet, ImageStream, check_labels
from ..errors import OptionError, check_choice, check_int, check_ints, memory_told, message
from ..facts import DataFacts, facts_of
from ..models.storage import load
from ..warn import warn
from .feed.batches import Batch, in_order, plan_batches
from .feed.samples import DataLike, Samples
from .feed.suits import check_classes, check_first, check_pictures
from .feed.understand import understand
from .feed.worker_errors import workers_errors_plain
from .group import Group, current_group
from .metrics import Metrics, metrics_from, top_hits
from .options import Loss, Precision
from .plan.inference import fastest
from .plan.plan import Plan, choose_device, logits_of, without_autocast
from .plan.threads import steady_threads
from .preserve import preserved
from .records import PlanRecord
from .tta import Views, check_views


def evaluate(
    model: nn.Module | str | os.PathLike[str],
    data: DataLike,
    *,
    tta: Literal["flip", "ten-crop", "dense"] | None = None,
    scales: Sequence[int] | None = None,
    topk: Sequence[int] = (1, 5),
    batch_size: int = 256,
    precision: Precision = "auto",
    device: str | torch.device = "auto",
    progress: bool = False,
) -> Metrics:
    """Measure a net on labelled pictures, exactly: every sample counts once, whatever the batch or process.

    Args:
        model: A net that returns logits, left as it was (train flags, device, RNG); or a name that ``load`` takes, of a
            trained net (``"lenet5:digits"``), a run's folder or a file.
        data: An ImageSet or ImageStream, a pair of tensors or arrays, a Dataset or a DataLoader. uint8 pictures are
            normalised by the mean and std of the net's ``data_facts``, else by their set's; floats are taken as they
            are. Where net and data both have names of classes, labels are mapped by name.
        tta: Average the probabilities over several views: ``"flip"`` (the picture and its mirror image), ``"ten-crop"``
            (Krizhevsky et al. 2012), ``"dense"`` (Simonyan & Zisserman 2015: the linear layers as convolutions over
            the whole picture and its mirror image; VGG and AlexNet). ``plan["plain_accuracy"]`` is the one without.
        scales: Shorter sides in pixels to bring the pictures to, averaged over, too.
        topk: Ranks to report; those above the number of classes are left out.
        batch_size: Samples at a time.
        precision: ``"fp32"``, ``"bf16"``, or ``"auto"``: where there is enough work to gain from it, batch norms are
            folded and bf16 is taken if it is clearly faster; ``plan`` says so, and how well it agrees with fp32.
        device: A torch device, or ``"auto"``: the GPU where there is one, else the CPU.
        progress: Show a progress bar.

    Raises:
        ValueError: When an option is not allowed, or net and data do not fit together.

    >>> from smallnets import lenet5
    >>> from smallnets.data import load
    >>> evaluate(lenet5(), load("digits", "test")).n
    359
    """
    model = load(model) if isinstance(model, str | os.PathLike) else model
    check_choice("evaluate", "progress", progress, (True, False))
    check_ints("evaluate", "topk", "rank", topk)
    check_views(tta, scales)
    views = Views(model, tta, scales) if tta is not None or scales else None
    with ready("evaluate", model, data, batch_size, precision, device, shared=True) as all_set:
        net, plan, gains, samples, group = all_set

        def measured(net: nn.Module) -> Metrics:
            return measure(net, samples, batch_size, plan, group=group, topk=tuple(topk), progress=progress)

        plain = measured(net)
        if views is None:
            return replace(plain, plan={**plain.plan, **gains})
        several = measured(views.to(plan.device).eval())
        sides = None if scales is None else list(scales)
        seen = PlanRecord(tta=tta, scales=sides, plain_accuracy=plain.accuracy)
        return replace(several, plan={**several.plan, **gains, **seen})


def one_each(labels: Tensor) -> Tensor:
    """The weight of a batch in which every sample counts once."""
    return torch.full((), len(labels), dtype=torch.float32, device=labels.device)


FEWER = "Take a smaller batch_size."


class SetLoss(NamedTuple):
    """A loss over a whole set, in batches: the sum of the batches' means times their weights, over that of the weights.

    Attributes:
        mean: Of a batch's logits and labels.
        weight: That a batch of these labels counts with.
    """

    mean: Loss = F.cross_entropy
    weight: Callable[[Tensor], Tensor] = one_each

    @property
    def weighted(self) -> bool:
        """Whether a batch's weight is more than its size."""
        return self.weight is not one_each


class Ready(NamedTuple):
    """A net that is ready to be asked: as fast as it gets, how to run it, what that gains, and what to look at."""

    net: nn.Module
    plan: Plan
    gains: PlanRecord
    samples: Samples
    group: Group


@contextlib.contextmanager
def ready(
    who: str,
    model: nn.Module,
    data: object,
    batch_size: int,
    precision: Precision,
    device: str | torch.device,
    shared: bool = False,
    left_out: dict[str, str] | None = None,
) -> Generator[Ready, None, None]:
    """Understand what is asked; in the end the net is as it was.

    ``shared`` is work for all of several processes; ``left_out`` takes the pictures of a stream that cannot be read.
    """
    check_int(who, "batch_size", batch_size)
    check_choice(who, "precision", precision, get_args(Precision))
    place = choose_device(device)
    with preserved(model):
        samples = understand(data, who, model, known_facts(model))
        if left_out is not None:
            samples = replace(samples, left_out=left_out)
        check_first(samples, model, who)
        check_classes(samples, model, who)
        model.to(place).eval()
        group = current_group(place) if shared else Group()
        yield Ready(*fastest(model, samples, batch_size, precision, place, group), samples, group)


def known_facts(model: nn.Module) -> DataFacts:
    """What a net knows of its data; names of classes that no longer are those of its outputs are none."""
    facts, outputs = facts_of(model) or DataFacts(), getattr(model, "num_classes", None)
    return replace(facts, classes=()) if outputs not in (None, len(facts.classes)) else facts


def forward(
    model: nn.Module,
    samples: Samples,
    batch_size: int,
    plan: Plan,
    progress: bool,
    batches: list[tuple[int, int]] | None = None,
    who: str = "evaluate",
) -> Iterator[tuple[Batch, Tensor]]:
    """Batches in order with their logits, in fp32, without gradients."""
    batches = plan_batches(samples.count, batch_size) if batches is None else batches
    check_choice(who, "progress", progress, (True, False))
    bar = new_bar(total=samples.count, desc="evaluating", unit="img", disable=None if progress else True, leave=False)
    steady = steady_threads(model, plan.device)
    plain, done = without_autocast(plan.device), 0  # what the caller computes of the logits is in fp32, as in training
    fitting = memory_told(who, f"{max((stop - start for start, stop in batches), default=0)} pictures at a time", FEWER)
    with bar, torch.inference_mode(), plain, workers_errors_plain(), fitting, steady as next_batch:
        for number, batch in enumerate(in_order(samples, batches, plan.device, who)):
            if number == 0:
                check_pictures(tuple(batch.images.shape[1:]), model, who)
            next_batch(batch.images)
            logits = logits_of(model, batch.images, plan, who)
            known = len(samples.classes or ()) > 1 and isinstance(samples.data, ImageSet | ImageStream)
            if number == 0 and known:  # lists of names that others keep may be anything
                check_count(logits, samples, who)
            yield batch, logits
            done += len(batch.labels)
            bar.update(len(batch.labels))
    if isinstance(samples.data, DataLoader) and samples.data.drop_last and done < samples.count:
        warn(f"{who}: left out {samples.count - done} samples, for the DataLoader drops its last batch")


def check_count(logits: Tensor, samples: Samples, who: str) -> None:
    """Refuse a net that gives more or fewer logits than the data has classes, where those are known.

    Raises:
        OptionError: With both numbers.
    """
    if samples.classes is not None and logits.shape[1] != len(samples.classes):
        needed = len(samples.classes)
        advice = f"Give the net {needed} outputs."
        raise OptionError(message(who, f"{needed} logits, one a class", logits.shape[1], advice))


def measure(
    model: nn.Module,
    samples: Samples,
    batch_size: int,
    plan: Plan,
    *,
    group: Group,
    topk: tuple[int, ...] = (1,),
    loss: SetLoss = SetLoss(),  # noqa: B008  # a constant
    progress: bool = False,
    who: str = "evaluate",
) -> Metrics:
    """Metrics of a net in eval mode; batches are dealt to the processes whole."""
    every = plan_batches(samples.count, batch_size)
    if group.world > 1 and samples.is_loader:
        advice = "Give the Dataset itself, or an ImageSet."
        raise OptionError(message(who, "data that can be dealt out", "a DataLoader under torchrun", advice))
    mine = every[group.rank :: group.world]
    losses: list[Tensor] = []
    hits: list[Tensor] = []
    confusion: Tensor | None = None
    ranks: tuple[int, ...] = ()
    for batch, logits in forward(model, samples, batch_size, plan, progress and group.leads, mine, who):
        classes = logits.shape[1]
        if confusion is None or samples.labels is None:
            check_labels(who, (batch.labels if samples.labels is None else samples.labels).cpu(), classes)
        if confusion is None:
            ranks = tuple(rank for rank in topk if rank <= classes)
            confusion = torch.zeros(classes * classes, dtype=torch.int64, device=plan.device)
        mean = loss.mean(logits, batch.labels)
        losses.append(torch.stack([mean, loss.weight(batch.labels).to(mean)]))
        hits.append(top_hits(logits, batch.labels, ranks))
        cells = batch.labels * classes + logits.argmax(dim=1)  # bincount would wait for a GPU
        confusion.index_add_(0, cells, torch.ones_like(cells))
    return collect(losses, hits, confusion, ranks, samples, plan, group)


def collect(
    losses: list[Tensor],
    hits: list[Tensor],
    confusion: Tensor | None,
    ranks: tuple[int, ...],
    samples: Samples,
    plan: Plan,
    group: Group,
) -> Metrics:
    """Bring the processes' rows together in batch order."""
    # Added up on the host: in float64, which not every device has.
    rows = torch.stack(losses).cpu().double().numpy() if losses else np.zeros((0, 2))
    rows[:, 0] = np.where(rows[:, 1] > 0, rows[:, 0] * rows[:, 1], 0)  # sums, and the weights that they are of
    found = torch.stack(hits).cpu().numpy() if losses else np.zeros((0, len(ranks)), dtype=np.int64)
    parts = group.gather((rows, found, None if confusion is None else confusion.cpu(), ranks))
    ranks = next(part[3] for part in parts if part[2] is not None)
    batches = sum(len(part[0]) for part in parts)
    all_losses, all_hits = np.zeros((batches, 2)), np.zeros((batches, len(ranks)), dtype=np.int64)
    for rank, (part, hit, _, _) in enumerate(parts):
        if len(part):
            all_losses[rank :: group.world], all_hits[rank :: group.world] = part, hit
    total = torch.stack([part[2] for part in parts if part[2] is not None]).sum(dim=0)
    classes = round(len(total) ** 0.5)
    names = named(samples.classes, classes)
    return metrics_from(all_losses, all_hits, total.view(classes, classes), ranks, names, plan.to_record())


def named(known: tuple[str, ...] | None, logits: int) -> tuple[str, ...]:
    """Names of the classes, as far as they are those of the logits; else their numbers."""
    return known if known is not None and len(known) == logits else tuple(str(label) for label in range(logits))
