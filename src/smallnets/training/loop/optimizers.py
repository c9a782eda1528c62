"""Optimisers: by name, or the user's own."""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ...errors import OptionError, message
from ..options import FitOptions


def make_optimizer(options: FitOptions, model: nn.Module, device: torch.device) -> torch.optim.Optimizer:
    """The optimiser of a name (fused where torch has it), or the user's own.

    Raises:
        ValueError: When nothing is left to train, or an instance holds other parameters than the net's.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise OptionError(message("fit", "a net with parameters to train", "none with requires_grad"))
    chosen = options.optimizer
    groups: list[Any] = parameters if options.decay == "all" else decayed(parameters)
    if not isinstance(chosen, str):
        if not isinstance(chosen, torch.optim.Optimizer):
            wanted = inspect.signature(chosen).parameters
            chosen = chosen(groups, lr=options.lr) if "lr" in wanted else chosen(groups)
        elif options.decay != "all":
            advice = "Give it groups with a weight_decay of their own, or a factory."
            raise OptionError(message("fit", "decay='all' with an optimizer that is made", repr(options.decay), advice))
        return check_optimizer(chosen, model)
    fused = device.type in ("cpu", "cuda", "xpu", "mps") and all(p.is_floating_point() for p in parameters)
    common: dict[str, Any] = {"lr": options.lr, "weight_decay": options.weight_decay, "fused": fused}
    if chosen == "sgd":
        return torch.optim.SGD(groups, momentum=options.momentum, **common)
    return (torch.optim.Adam if chosen == "adam" else torch.optim.AdamW)(groups, **common)


def decayed(parameters: Sequence[nn.Parameter]) -> list[dict[str, Any]]:
    """Weights, which decay, and what has one number a channel or less, which does not: biases and norms."""
    weights, others = ([p for p in parameters if (p.dim() > 1) == decays] for decays in (True, False))
    groups: list[dict[str, Any]] = [{"params": weights}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def begin_momentum(optimizer: torch.optim.Optimizer) -> None:
    """Momentum from zero, which is what the first update would make it.

    Torch's fused SGD takes unwritten memory for it and leaves that as it is where fp16's first update overflows.
    """
    if not isinstance(optimizer, torch.optim.SGD):
        return
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if group["momentum"] and group["fused"] and not group["dampening"] and parameter.requires_grad:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


def check_optimizer(chosen: object, model: nn.Module) -> torch.optim.Optimizer:
    """A user's optimiser, if it can train this net a step at a time."""
    if not isinstance(chosen, torch.optim.Optimizer):
        raise OptionError(message("fit", "an optimizer, or a factory that makes one", repr(chosen)))
    if isinstance(chosen, torch.optim.LBFGS):
        raise OptionError(message("fit", "an optimizer that computes the loss once a step", "LBFGS"))
    own = {id(p) for p in model.parameters()}
    if not all(id(p) in own for group in chosen.param_groups for p in group["params"]):
        raise OptionError(message("fit", "an optimizer over the parameters of this net", "one over others"))
    return chosen
