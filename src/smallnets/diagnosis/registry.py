"""The list of rules: what each looks for, an example and its sound twin, and why it hurts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .facts import Facts
from .finding import Finding, Severity

Look = Callable[[Facts], Iterator[Finding]]


@dataclass(frozen=True)
class Rule:
    """One rule; the page of rules is made from these words.

    Attributes:
        name: As findings carry it.
        severity: Of its findings, unless a finding says otherwise.
        looks_for: One sentence.
        faulty: A net that has it, as Python; ``example`` runs it.
        sound: The same net without it.
        why: What it does to learning.
        source: Who says so.
        on_purpose: When it is right after all.
        needs_data: Whether it looks at the caller's pictures and labels.
        cheap: Whether one forward pass in eval mode is all it needs.
        look: The rule itself; its docstring says how the mistake is found.
    """

    name: str
    severity: Severity
    looks_for: str
    faulty: str
    sound: str
    why: str
    source: str
    on_purpose: str
    needs_data: bool
    cheap: bool
    look: Look


class Net(nn.Module):
    """For the examples: layers by name, and a forward that is a function of the net and the pictures."""

    def __init__(self, forward: Callable[..., Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.run = forward
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


def example(code: str) -> dict[str, Any]:
    """Run an example: an expression is the net, else it is ``net``, and ``size`` and ``data`` where they are set.

    Its names are ``torch``, ``nn``, ``F`` and ``Net``; its pictures are 3x8x8, and there are 10 classes.
    """
    linear = nn.Sequential(nn.Flatten(), nn.Linear(192, 10))
    names: dict[str, Any] = {"torch": torch, "nn": nn, "F": F, "Net": Net, "net": linear, "size": (3, 8, 8)}
    exec(code if " = " in code.splitlines()[0].split("(")[0] else f"net = {code}", names)
    return {name: names.get(name) for name in ("net", "size", "data")}


RULES: dict[str, Rule] = {}


def rule(
    name: str,
    severity: Severity,
    *,
    looks_for: str,
    faulty: str,
    sound: str,
    why: str,
    source: str = "",
    on_purpose: str = "",
    needs_data: bool = False,
    cheap: bool = False,
) -> Callable[[Look], Look]:
    """Put a rule on the list; ``cheap`` ones look at one forward pass only, and ``fit`` runs them."""

    def put(look: Look) -> Look:
        RULES[name] = Rule(
            name, severity, looks_for, faulty, sound, why, source, on_purpose, needs_data, cheap, look
        )  # fmt: skip
        return look

    return put
