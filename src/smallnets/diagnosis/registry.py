"""The list of rules: what each looks for, an example and its sound twin, and why it hurts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

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
        faulty: A net that has it, as Python.
        sound: The same net without it.
        why: What it does to learning.
        source: Who says so.
        on_purpose: When it is right after all.
        needs_data: Whether it looks at the caller's pictures and labels.
        look: The rule itself.
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
