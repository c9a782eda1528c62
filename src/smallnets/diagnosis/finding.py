"""What a diagnosis says: its findings, as text, page and plain data."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from torch import nn

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
Evidence = dict[str, int | float | str | Sequence[int] | Sequence[float] | Sequence[str]]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, costs for nothing, or is worth knowing.

    Attributes:
        rule: Its name, as the page of rules has it.
        severity: ``"error"`` (will not learn, or wrong numbers), ``"warning"`` (learns worse, or costs for nothing) or
            ``"note"``.
        path: The module where it is; empty for the net as a whole.
        evidence: The numbers that it was seen by.
        advice: One sentence: what to do, with the line to write where that is possible.
    """

    rule: str
    severity: Severity
    path: str
    evidence: Evidence
    advice: str

    def __str__(self) -> str:
        where = f" at {self.path}" if self.path else ""
        seen = f" ({self.numbers()})" if self.evidence else ""
        return f"{self.severity}: {self.rule}{where}{seen}. {self.advice}"

    def numbers(self) -> str:
        """The evidence in words."""
        return ", ".join(f"{name.replace('_', ' ')} {number(value)}" for name, value in self.evidence.items())


@dataclass(frozen=True)
class Diagnosis:
    """All findings, the gravest first; true when one is above a note, else false: ``if not diagnosis: train()``.

    Attributes:
        model: The net's name.
        input_size: Of one picture, (C, H, W).
        findings: The findings, errors before warnings before notes, each in the order of the forward.
        seconds: What the diagnosis took.
    """

    model: str
    input_size: tuple[int, ...]
    findings: tuple[Finding, ...]
    seconds: float = 0.0
    _model: nn.Module | None = field(default=None, repr=False, compare=False)

    def __bool__(self) -> bool:
        return any(finding.severity != "note" for finding in self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __str__(self) -> str:
        size = "x".join(str(side) for side in self.input_size)
        if not self.findings:
            return f"{self.model} on {size}: nothing found."
        return "\n".join((f"{self.model} on {size}: {self.counts()}", *(str(finding) for finding in self.findings)))

    def counts(self) -> str:
        """How many findings of each severity, in words."""
        numbers = [(sum(one.severity == severity for one in self.findings), severity) for severity in SEVERITIES]
        return ", ".join(f"{count} {severity}{'s' * (count != 1)}" for count, severity in numbers if count) or "nothing"

    def to_dict(self) -> dict[str, Any]:
        """The diagnosis as JSON has it."""
        return {
            "model": self.model,
            "input_size": list(self.input_size),
            "findings": [asdict(finding) for finding in self.findings],
            "seconds": self.seconds,
        }

    def _repr_html_(self) -> str:
        from .page import notebook

        return notebook(self)

    def to_html(self, path: str | Path | None = None) -> str:
        """One self-contained page: the findings, and the net drawn to scale with their places marked.

        Args:
            path: Where to write it too.

        Returns:
            The page's text.
        """
        from .page import page

        assert self._model is not None
        text = page(self, self._model)
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text


def number(value: object) -> str:
    """A value as a person reads it: three digits of a fraction, thousands apart.

    >>> number(0.000123456), number(86698698), number([1, 2])
    ('0.000123', '86,698,698', '1 2')
    """
    if isinstance(value, list):
        return " ".join(number(item) for item in value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"
