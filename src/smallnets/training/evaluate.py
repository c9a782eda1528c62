"""``evaluate``: every sample once, equally weighted, summed in float64 in batch order."""

import contextlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from ..data.imageset import check_labels
from ..errors import OptionError, check_choice, check_int, check_ints, message
from ..facts import facts_of
from ..speak import has_terminal
from .feed.batches import Batch, in_order, plan_batches
from .feed.samples import DataLike, Samples, check_classes, check_pictures, understand, workers_errors_plain
from .group import Group, current_group
from .metrics import Metrics, metrics_from, top_hits
from .options import Loss, Precision
from .plan.inference import fastest
from .plan.plan import Plan, choose_device, logits_of
from .plan.threads import steady_threads
from .preserve import preserved
from .records import PlanRecord
from .tta import Views


def evaluate(
    model: nn.Module,
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
        model: A net that returns logits; left as it was (train flags, device, RNG).
        data: An ImageSet or ImageStream, a pair of tensors or arrays, a Dataset or a DataLoader.
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
    check_ints("evaluate", "topk", "rank", topk)
    check_ints("evaluate", "scales", "side", () if scales is None else scales)
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
) -> Generator[Ready, None, None]:
    """Understand what is asked; in the end the net is as it was. ``shared`` is work for all of several processes."""
    check_int(who, "batch_size", batch_size)
    check_choice(who, "precision", precision, get_args(Precision))
    place = choose_device(device)
    with preserved(model):
        facts = facts_of(model)
        samples = understand(data, who, None if facts is None else (facts.mean, facts.std), model)
        check_pictures(samples.shape, model, who)
        check_classes(samples, model, who)
        model.to(place).eval()
        group = current_group(place) if shared else Group()
        yield Ready(*fastest(model, samples, batch_size, precision, place, group), samples, group)


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
    hidden = not (progress and has_terminal())
    bar = tqdm(total=samples.count, desc="evaluating", unit="img", disable=hidden, leave=False)
    steady = steady_threads(model, plan.device)
    with bar, torch.inference_mode(), plan.autocast(), workers_errors_plain(), steady as next_batch:
        for number, batch in enumerate(in_order(samples, batches, plan.device)):
            if number == 0:
                check_pictures(tuple(batch.images.shape[1:]), model, who)
            next_batch(batch.images)
            yield batch, logits_of(model, batch.images, plan, who)
            bar.update(len(batch.labels))


def measure(
    model: nn.Module,
    samples: Samples,
    batch_size: int,
    plan: Plan,
    *,
    group: Group,
    topk: tuple[int, ...] = (1,),
    loss: Loss = F.cross_entropy,
    progress: bool = False,
) -> Metrics:
    """Metrics of a net in eval mode; batches are dealt to the processes whole."""
    every = plan_batches(samples.count, batch_size)
    if group.world > 1 and samples.is_loader:
        advice = "Give the Dataset itself, or an ImageSet."
        raise OptionError(message("evaluate", "data that can be dealt out", "a DataLoader under torchrun", advice))
    mine = every[group.rank :: group.world]
    losses: list[Tensor] = []
    counts: list[int] = []
    hits: list[Tensor] = []
    confusion: Tensor | None = None
    ranks: tuple[int, ...] = ()
    for batch, logits in forward(model, samples, batch_size, plan, progress and group.leads, mine):
        classes = logits.shape[1]
        if confusion is None or samples.labels is None:
            check_labels("evaluate", (batch.labels if samples.labels is None else samples.labels).cpu(), classes)
        if confusion is None:
            ranks = tuple(rank for rank in topk if rank <= classes)
            confusion = torch.zeros(classes * classes, dtype=torch.int64, device=plan.device)
        losses.append(loss(logits, batch.labels))
        counts.append(len(batch.labels))
        hits.append(top_hits(logits, batch.labels, ranks))
        cells = batch.labels * classes + logits.argmax(dim=1)  # bincount would wait for a GPU
        confusion.index_add_(0, cells, torch.ones_like(cells))
    return collect(losses, counts, hits, confusion, ranks, samples, plan, group)


def collect(
    losses: list[Tensor],
    counts: list[int],
    hits: list[Tensor],
    confusion: Tensor | None,
    ranks: tuple[int, ...],
    samples: Samples,
    plan: Plan,
    group: Group,
) -> Metrics:
    """Bring the processes' rows together in batch order."""
    # Added up on the host: in float64, which not every device has.
    rows = torch.stack(losses).cpu().double().numpy() * np.array(counts) if losses else np.zeros(0)
    found = torch.stack(hits).cpu().numpy() if losses else np.zeros((0, len(ranks)), dtype=np.int64)
    parts = group.gather((rows, found, None if confusion is None else confusion.cpu(), ranks))
    ranks = next(part[3] for part in parts if part[2] is not None)
    batches = sum(len(part[0]) for part in parts)
    all_losses, all_hits = np.zeros(batches), np.zeros((batches, len(ranks)), dtype=np.int64)
    for rank, (part, hit, _, _) in enumerate(parts):
        if len(part):
            all_losses[rank :: group.world], all_hits[rank :: group.world] = part, hit
    total = torch.stack([part[2] for part in parts if part[2] is not None]).sum(dim=0)
    classes = round(len(total) ** 0.5)
    names = samples.classes if samples.classes is not None and len(samples.classes) == classes else None
    names = names or tuple(str(label) for label in range(classes))
    return metrics_from(all_losses, all_hits, total.view(classes, classes), ranks, names, plan.to_record())
