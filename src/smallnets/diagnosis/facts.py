"""What the rules look at: a few runs of a copy of the net on one small batch, made once for all of them."""

import functools
import random
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parameter import is_lazy

from ..errors import OptionError, first_line, message
from .copying import private_copy, tensors_of
from .graph import BATCH_NORMS, Graph
from .trace import Trace, outputs_of, root_mean_square, run

PICTURES = 4  # in the batch; half of it where a picture is large
LARGE = 128  # pixels a side
NOISE = 9_176_253  # seed of the pictures: none that weights were drawn with, or they would be alike


@dataclass
class Facts:
    """A net, a batch, and what its runs showed.

    Attributes:
        model: The private copy.
        original: The caller's own, which closures in the copy may reach.
        images: The batch, (N, C, H, W).
        labels: Their classes, (N,).
        num_classes: How many there should be, where that is known.
        loss: The loss that it will be trained with.
        given: Whether pictures and labels are the caller's, not noise.
        training: The run in training mode, forward and backward.
        eval: The run in eval mode.
    """

    model: nn.Module
    original: nn.Module
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
    loss_failure: Exception | None = None
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
        """What the net returned: its tensor, or of several the one that looks most like it."""
        for trace in (self.eval, self.training):
            found = outputs_of(trace.returned, len(self.images))
            if found:
                return found[0].detach()
        return None

    @property
    def takes_logits(self) -> bool:
        """Whether the loss applies a softmax itself."""
        return self.loss is F.cross_entropy or isinstance(self.loss, nn.CrossEntropyLoss)

    @functools.cached_property
    def modules(self) -> dict[str, nn.Module]:
        return dict(self.model.named_modules())


def observe(facts: Facts, *, training: bool) -> Facts:
    """Make the runs: eval, then training with the backward pass."""
    model = facts.model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a net warns of is its own affair; the rules have their own words
        if any(is_lazy(parameter) for parameter in model.parameters()):
            make_lazy(model, facts.images)
        facts.eval = eval_run(facts, facts.images, seed=0)
        if facts.eval.failure is None:
            if facts.eval.drawn:
                facts.again = eval_run(facts, facts.images, seed=1)
            other = facts.images.clone()
            other[0] = other[0].flip(-1) * 0.5 + 0.25
            facts.changed = eval_run(facts, other, seed=0)
        if training:
            train_run(facts)
    return facts


def make_lazy(model: nn.Module, images: Tensor) -> None:
    """Give lazy layers their weights.

    Raises:
        OptionError: When the forward pass does not get to them.
    """
    try:
        with torch.no_grad():
            model.eval()(images)
    except Exception as error:
        advice = "Mend the forward pass, or give the layers their sizes."
        wanted = "lazy layers that one forward pass makes"
        raise OptionError(message("diagnose", wanted, first_line(error), advice)) from error


def eval_run(facts: Facts, images: Tensor, seed: int) -> Trace:
    set_mode(facts, training=False)
    with torch.no_grad():
        return seeded_run(facts, images, seed)


def train_run(facts: Facts) -> None:
    """In training mode, and the loss's gradients."""
    before = {name: buffer.clone() for name, buffer in facts.model.named_buffers()}
    set_mode(facts, training=True)
    facts.training = trace = seeded_run(facts, facts.images, seed=0)
    facts.moved = tuple(
        name for name, buffer in facts.model.named_buffers() if name in before and not torch.equal(buffer, before[name])
    )
    if trace.failure is None:
        backward(facts, outputs_of(trace.returned, len(facts.images)))


def set_mode(facts: Facts, *, training: bool) -> None:
    facts.model.train(training)
    for module in facts.original.modules():  # where a closure leads; given back in the end
        module.training = training


def seeded_run(facts: Facts, images: Tensor, seed: int) -> Trace:
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    before = random.getstate(), np.random.get_state(legacy=False)["state"]["pos"]  # noqa: NPY002
    trace = run(facts.model, images, facts.original)
    trace.drawn |= before != (random.getstate(), np.random.get_state(legacy=False)["state"]["pos"])  # noqa: NPY002
    return trace


def backward(facts: Facts, outputs: Sequence[Tensor]) -> None:
    """The loss of all outputs that are logits, and the gradients it gives."""
    total: Tensor | None = None
    for output in outputs:  # auxiliary heads train, too
        try:
            value = facts.loss(output, facts.labels)
            if not isinstance(value, Tensor):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(f"the loss is a {type(value).__name__}, not a tensor")
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            facts.loss_failure = facts.loss_failure or error
            continue
        total = value if total is None else total + value
        if output is outputs[0]:
            facts.loss_value = float(value.detach())
    if total is None or not total.requires_grad:
        return
    both = (*facts.original.named_parameters(), *facts.model.named_parameters())  # closures reach the caller's own
    hooks = [
        parameter.register_post_accumulate_grad_hook(functools.partial(measure, facts.gradients, name))
        for name, parameter in both
        if parameter.requires_grad and not is_lazy(parameter)
    ]
    try:
        total.backward()
    except RuntimeError as error:
        facts.training.failure = ("", error)
    finally:
        for hook in hooks:
            hook.remove()


def measure(gradients: dict[str, float], name: str, parameter: Tensor) -> None:
    """Note a gradient's size and let go of it: all of them at once would be as large as the net."""
    assert parameter.grad is not None
    gradients[name] = root_mean_square(parameter.grad)
    parameter.grad = None


def make_facts(
    model: nn.Module,
    input_size: tuple[int, ...],
    num_classes: int | None,
    batch: tuple[Tensor, Tensor] | None,
    loss: Any,
) -> Facts:
    """Facts before any run: the copy, and the batch on the net's device and in its precision."""
    twin = private_copy(model)
    like = next((one for one in tensors_of(twin) if one.is_floating_point()), torch.empty(0, device="cpu"))
    if batch is None:
        count = PICTURES if max(input_size[1:], default=1) < LARGE else PICTURES // 2
        images = torch.randn(count, *input_size, generator=torch.Generator().manual_seed(NOISE), device="cpu")
        labels = torch.arange(count, device="cpu") % min(num_classes or 2, count)
    else:
        images, labels = batch
    images, labels = images.to(like.device, like.dtype), labels.to(like.device)
    hooked = tuple(path for path, module in model.named_modules() if module._backward_hooks)  # pyright: ignore[reportPrivateUsage]
    function = F.cross_entropy if loss == "cross-entropy" else loss
    return Facts(twin, model, images, labels, num_classes, function, given=batch is not None, hooked=hooked)
