"""What the rules look at: a few runs of a copy of the net on one small batch, made once for all of them."""

import functools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .graph import BATCH_NORMS, Graph, Step
from .trace import Trace, private_copy, run, tensors_in

PICTURES = 4  # in the batch; half of it where a picture is large
LARGE = 128  # pixels a side


@dataclass
class Facts:
    """A net, a batch, and what its runs showed.

    Attributes:
        model: The private copy.
        images: The batch, (N, C, H, W).
        labels: Their classes, (N,).
        num_classes: How many there should be, where that is known.
        loss: The loss that it will be trained with.
        given: Whether pictures and labels are the caller's, not noise.
        training: The run in training mode, forward and backward.
        eval: The run in eval mode.
    """

    model: nn.Module
    images: Tensor
    labels: Tensor
    num_classes: int | None
    loss: Any
    given: bool = False
    all_labels: Tensor | None = None  # of the caller's set, where they are known
    training: Trace = field(default_factory=Trace)
    eval: Trace = field(default_factory=Trace)
    again: Trace | None = None  # the eval run with other random numbers
    changed: Trace | None = None  # the eval run with another first picture, and the first run's random numbers
    loss_value: float | None = None
    gradients: dict[str, float] = field(default_factory=dict)  # root mean square by parameter; absent where None
    hooked: tuple[str, ...] = ()  # the caller's modules that have full backward hooks
    moved: tuple[str, ...] = ()  # buffers that the training run changed

    @property
    def graph(self) -> Graph:
        """Of the run in eval mode, where norms and dropout are plain."""
        return self.eval.graph if self.eval.graph.outputs else self.training.graph

    @property
    def start(self) -> Graph:
        """Where to read sizes: batch norms have no statistics before training, dropout none of the pictures'."""
        normed = any(step.op in BATCH_NORMS for step in self.training.graph.steps)
        return self.training.graph if normed and self.training.graph.outputs else self.graph

    @property
    def logits(self) -> Tensor | None:
        """What the net returned: its tensor, or the first of several."""
        for trace in (self.eval, self.training):
            found = tensors_in((trace.logits,)) if trace.logits is not None else []
            if found:
                return found[0].detach()
        return None

    @functools.cached_property
    def modules(self) -> dict[str, nn.Module]:
        return dict(self.model.named_modules())

    @functools.cached_property
    def users(self) -> dict[int, list[Step]]:
        return self.graph.users()


def observe(facts: Facts, *, training: bool) -> Facts:
    """Make the runs: eval, then training with the backward pass."""
    model = facts.model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a net warns of is its own affair; the rules have their own words
        facts.eval = eval_run(model, facts.images, seed=0)
        if facts.eval.failure is None:
            facts.again = eval_run(model, facts.images, seed=1)
            other = facts.images.clone()
            other[0] = other[0].flip(-1) * 0.5 + 0.25
            facts.changed = eval_run(model, other, seed=0)
        if not training:
            return facts
        before = {name: buffer.clone() for name, buffer in model.named_buffers()}
        model.train()
        torch.manual_seed(0)
        facts.training = trace = run(model, facts.images)
        facts.moved = tuple(
            name for name, buffer in model.named_buffers() if name in before and not torch.equal(buffer, before[name])
        )
        outputs = tensors_in((trace.logits,)) if trace.logits is not None else []
        if trace.failure is None and outputs:
            backward(facts, outputs)
    return facts


def eval_run(model: nn.Module, images: Tensor, seed: int) -> Trace:
    model.eval()
    torch.manual_seed(seed)
    with torch.no_grad():
        return run(model, images)


def backward(facts: Facts, outputs: Sequence[Tensor]) -> None:
    """The loss of all outputs that are logits, and the gradients it gives."""
    total: Tensor | None = None
    for output in outputs:  # auxiliary heads train, too
        try:
            value = facts.loss(output, facts.labels)
        except (RuntimeError, ValueError, TypeError, IndexError):
            continue
        total = value if total is None else total + value
    if total is None:
        return
    facts.loss_value = float(facts.loss(outputs[0].detach(), facts.labels)) if len(outputs) else None
    if total.requires_grad:
        try:
            total.backward()
        except RuntimeError as error:
            facts.training.failure = ("", error)
            return
    for name, parameter in facts.model.named_parameters():
        if parameter.grad is not None:
            facts.gradients[name] = parameter.grad.detach().float().square().mean().sqrt().item()


def make_facts(
    model: nn.Module,
    input_size: tuple[int, ...],
    num_classes: int | None,
    batch: tuple[Tensor, Tensor] | None,
    loss: Any,
) -> Facts:
    """Facts before any run: the copy, and the batch on the net's device and in its precision."""
    twin = private_copy(model)
    like = next((p for p in twin.parameters() if p.is_floating_point()), torch.empty(0))
    generator = torch.Generator().manual_seed(0)
    if batch is None:
        count = PICTURES if max(input_size[1:], default=1) < LARGE else PICTURES // 2
        images = torch.randn(count, *input_size, generator=generator)
        labels = torch.arange(count) % (num_classes or 2)
    else:
        images, labels = batch
    images = images.to(like.device, like.dtype)
    hooked = tuple(path for path, module in model.named_modules() if module._backward_hooks)  # pyright: ignore[reportPrivateUsage]
    function = F.cross_entropy if loss == "cross-entropy" else loss
    return Facts(twin, images, labels.to(like.device), num_classes, function, given=batch is not None, hooked=hooked)
