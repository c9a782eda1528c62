"""``diagnose``: the mistakes that people make with their own nets, named and placed before they train for a day."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import OptionError, ShapeError, check_choice, check_int, message
from . import rules as _rules
from .copying import check_model, untouched
from .data import first_pictures
from .facts import Facts, eval_run, make_facts, observe
from .finding import SEVERITIES, Diagnosis, Finding
from .registry import RULES, Rule

LossLike = Literal["cross-entropy"] | nn.Module | Callable[[Tensor, Tensor], Tensor]

_ = _rules


def diagnose(
    model: nn.Module,
    input_size: tuple[int, ...] | None = None,
    *,
    num_classes: int | None = None,
    data: object = None,
    loss: LossLike = "cross-entropy",
    training: bool = True,
) -> Diagnosis:
    """Look for the mistakes that keep a net from learning, and say where they are.

    A copy of the net runs on one small batch: in eval mode, and in training mode with a backward pass. The module
    itself, its gradients, torch's generators and flags are as before.

    Args:
        model: Any module that takes one tensor of pictures.
        input_size: Of one picture, (C, H, W); left out, the net's own or that of ``data``.
        num_classes: How many logits there should be; left out, what ``data`` says.
        data: Pictures and labels of any kind that ``fit`` takes; without it the batch is noise.
        loss: What the net will be trained with: ``"cross-entropy"``, a module or a function of (logits, labels).
        training: Whether it will be trained; False looks at eval mode alone.

    Returns:
        The findings; the diagnosis is false where none is above a note.

    Raises:
        ValueError: When the model is none, or the size cannot be one.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 10), torch.nn.Softmax(dim=1))
    >>> [(finding.rule, finding.path) for finding in diagnose(net, (3, 8, 8))]
    [('output-softmax', '2')]
    """
    started = time.perf_counter()
    model = check_model(model)
    check_loss(loss)
    check_choice("diagnose", "training", training, (True, False))
    if num_classes is not None:
        check_int("diagnose", "num_classes", num_classes)
    batch = None if data is None else first_pictures(data)
    if batch is not None:
        num_classes = batch.num_classes if num_classes is None else num_classes
        input_size = tuple(batch.images.shape[1:])
    size = check_size(model, input_size)
    with untouched(model):
        pair = None if batch is None else (batch.images, batch.labels)
        facts = make_facts(model, size, num_classes, pair, loss)
        facts.all_labels = None if batch is None else batch.all_labels
        observe(facts, training=training)
        found = list(look(facts, RULES.values()))
    name = getattr(model, "config", {}).get("name") or type(model).__name__
    return Diagnosis(name, size, tuple(in_order(found)), time.perf_counter() - started, _model=model)


def first_look(
    model: nn.Module, images: Tensor, labels: Tensor, num_classes: int | None, loss: LossLike
) -> list[Finding]:
    """What the cheap rules see in one forward pass of the net itself in eval mode; no notes, the gravest first.

    Args:
        model: The net, on the device of the pictures.
        images: A few of them as the net will get them, (N, C, H, W).
        labels: Their classes, (N,).
        num_classes: How many logits there should be, where that is known.
        loss: What the net will be trained with.
    """
    model = getattr(model, "_orig_mod", model)
    if isinstance(model, torch.jit.ScriptModule):
        return []
    with untouched(model):
        function = F.cross_entropy if loss == "cross-entropy" else loss
        facts = Facts(model, model, images, labels, num_classes, function, given=True)
        facts.eval = eval_run(facts, images, seed=0)
        found = look(facts, (one for one in RULES.values() if one.cheap))
        return in_order(finding for finding in found if finding.severity != "note")


def check_loss(loss: object) -> None:
    if isinstance(loss, str):
        check_choice("diagnose", "loss", loss, ("cross-entropy",))
    elif not callable(loss):
        raise OptionError(message("diagnose", "loss to be a name, a module or a function", repr(loss)))


def check_size(model: nn.Module, input_size: Any) -> tuple[int, ...]:
    """The (C, H, W) to run on."""
    size: Any = getattr(model, "input_size", None) if input_size is None else input_size
    sides = list(size) if isinstance(size, Sequence) else []
    if not sides or not all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in sides):
        advice = "Give the size of one picture: diagnose(net, (3, 32, 32))."
        raise ShapeError(message("diagnose", "input_size as positive integers (C, H, W)", repr(input_size), advice))
    return tuple(sides)


def look(facts: Facts, rules: Iterable[Rule]) -> Iterable[Finding]:
    """What the rules find."""
    for one in rules:
        if not one.needs_data or facts.given:
            yield from one.look(facts)


def in_order(found: Iterable[Finding]) -> list[Finding]:
    """The gravest first, else as they were found."""
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))
