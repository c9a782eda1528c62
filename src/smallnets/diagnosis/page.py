"""A diagnosis as a page: the summary's, with the findings above the drawing and their places marked in it."""

from html import escape
from typing import TYPE_CHECKING

from torch import nn

from ..errors import SmallnetsError
from ..summary import html, summarize
from .finding import SEVERITIES, Diagnosis, Finding

if TYPE_CHECKING:
    from ..summary import Summary

PLAIN = '<!doctype html><html lang="en"><meta charset="utf-8"><title>{0}</title><h1>{0}</h1>{1}</html>'


def page(diagnosis: Diagnosis, model: nn.Module) -> str:
    """One self-contained page; without a drawing where the net cannot be summarised."""
    said = "".join(section(finding) for finding in diagnosis.findings)
    said = said or '<section class="note">Nothing found.</section>'
    summary = summary_of(model, diagnosis.input_size)
    if summary is None:
        return PLAIN.format(escape(diagnosis.model), said)
    marks: dict[str, tuple[str, str]] = {}
    for finding in sorted(diagnosis.findings, key=lambda one: SEVERITIES.index(one.severity), reverse=True):
        if finding.path:  # of several at one place the gravest is last
            marks[finding.path] = (finding.severity, f"{finding.rule}: {finding.advice}")
    return html.page(summary, said, marks)


def summary_of(model: nn.Module, size: tuple[int, ...]) -> "Summary | None":
    try:
        summary = summarize(model, size)
    except SmallnetsError:
        return None
    return summary if summary.rows else None


def section(finding: Finding) -> str:
    where = f" at <code>{escape(finding.path)}</code>" if finding.path else ""
    head = f"<b>{escape(finding.rule)}</b>{where}: {escape(finding.advice)}"
    below = f"<p>{escape(finding.numbers())}</p>" if finding.evidence else ""
    return f'<section class="finding {finding.severity}"><p>{head}</p>{below}</section>'


def notebook(diagnosis: Diagnosis) -> str:
    """A table in the notebook's own style."""
    left = ' style="text-align:left"'
    rows = "".join(
        "<tr>" + "".join(f"<td{left}>{escape(cell)}</td>" for cell in cells) + "</tr>"
        for cells in ((one.severity, one.rule, one.path, one.numbers(), one.advice) for one in diagnosis.findings)
    )
    heads = "".join(f"<th{left}>{head}</th>" for head in ("severity", "rule", "place", "seen", "what to do"))
    size = "x".join(map(str, diagnosis.input_size))
    caption = f"<b>{escape(diagnosis.model)}</b> on {size}: {diagnosis.counts()}"
    return (
        f'<table><caption style="text-align:left;caption-side:top;color:inherit">{caption}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    )
