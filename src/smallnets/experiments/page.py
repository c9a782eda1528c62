"""A run's page, as Markdown and as one HTML file that holds everything: system, reported, measured, pictures, net."""

import base64
import dataclasses
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files import write_text
from ..training.options import FitOptions
from .recipe import Recipe

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; margin: 1em 0; } th, td { text-align: left; padding: .2em 1em .2em 0; }
th { border-bottom: 1px solid #8888; } td + td { font-variant-numeric: tabular-nums; }
img { max-width: 100%; background: #fff; border-radius: 4px; } pre { overflow-x: auto; font-size: 12px; }
"""
PICTURES = {
    "curves.png": "Loss and accuracy over the epochs",
    "confusion.png": "Confusion matrix: true classes in rows, predicted ones in columns",
    "grid.png": "Test pictures with the predicted class, mistakes of every class first",
}


@dataclass(frozen=True)
class Heading:
    text: str
    level: int = 2


@dataclass(frozen=True)
class Table:
    """Rows of cells, the head first."""

    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Picture:
    """A file beside the page, and what it shows."""

    name: str
    shows: str


@dataclass(frozen=True)
class Fixed:
    """Text whose columns line up."""

    text: str


Block = Heading | Table | Picture | Fixed | str


def write_page(
    folder: Path, report: Mapping[str, Any], settings: FitOptions, recipe: Recipe | None, summary: str
) -> None:
    """Write report.md and report.html beside the pictures that they show."""
    blocks = run_blocks(folder, report, settings, recipe, summary)
    write_text(folder / "report.md", to_markdown(blocks))
    write_text(folder / "report.html", to_html(blocks, folder))


def run_blocks(
    folder: Path, report: Mapping[str, Any], settings: FitOptions, recipe: Recipe | None, summary: str
) -> list[Block]:
    """What there is to say of a run, in the order in which one reads it."""
    title = recipe.title if recipe is not None else f"{report['net']['name']} on {Path(str(report['data'])).name}"
    blocks: list[Block] = [Heading(title, 1)]
    if recipe is not None:
        system = "A recipe of ours." if recipe.system == "ours" else f"System {recipe.system}."
        blocks += [f"{system} {recipe.source}".strip()]
        blocks += [recipe.notes.strip()] if recipe.notes else []
    blocks += [Heading("Result"), Table(result_rows(report))]
    if report["watched"]:
        blocks.append("The test split was looked at every epoch, as in the report; the last epoch counts.")
    if report["ways"]:
        ways = zip(report["ways"], report["ways_accuracy"], strict=True)
        rows = [("as it is", share(report["test_accuracy"])), *((way_words(way), share(found)) for way, found in ways)]
        blocks += [Heading("Ways to test"), Table([("views of each picture", "test accuracy"), *rows])]
    for name, shows in PICTURES.items():
        if (folder / name).exists():
            blocks.append(Picture(name, shows))
    if report["per_class"]:
        rows = [(name, share(found)) for name, found in report["per_class"].items()]
        blocks += [Heading("Classes"), Table([("class", "test accuracy"), *rows])]
    return [*blocks, Heading("Settings"), Table(setting_rows(report, settings)), Heading("Net"), Fixed(summary)]


WHERE = (
    ("started from", "weights"),
    ("frozen up to", "frozen"),
    ("validated on", "validated_on"),
    ("tested on", "tested_on"),
)


def result_rows(report: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """What came out, beside what was reported, if anything was."""
    reported = report["reported"] or {}
    rows = [("", "reported", "measured")]
    rows.append(("test accuracy", share(reported.get("test_accuracy")), share(report["test_accuracy"])))
    trained = share(reported.get("train_accuracy")), share(report["train_accuracy"])
    rows.append(("training accuracy, last epoch", *trained))
    if not report["watched"] and report["val_accuracy"] is not None:
        rows.append((f"validation accuracy, epoch {report['tested_epoch']}", "", share(report["val_accuracy"])))
    seconds = reported.get("seconds")
    rows.append(("seconds of training", "" if seconds is None else f"{seconds:g}", f"{report['seconds']:.1f}"))
    rows.append(("epochs", "", str(report["epochs"])))
    counts = f"{report['train_pictures']:,}, {report['val_pictures']:,}, {report['test_pictures']:,}"
    rows.append(("pictures to train, validate, test", "", counts))
    rows += [(name, "", report[key]) for name, key in WHERE if key in report]
    rows.append(("parameters", "", f"{report['parameters']:,}"))
    rows.append(("multiply-accumulates a picture", "", f"{report['macs']:,}"))
    if reported.get("note"):
        rows.append(("reported", reported["note"], ""))
    return list(rows) if reported else [(name, measured) for name, _, measured in rows]


def setting_rows(report: Mapping[str, Any], settings: FitOptions) -> list[tuple[str, str]]:
    """The builder's options, what is not a default of ``fit``, and where it ran."""
    net = {name: value for name, value in report["net"].items() if name != "name" and value is not None}
    rows = [("", ""), ("net", f"{report['net']['name']}({', '.join(f'{k}={v!r}' for k, v in net.items())})")]
    chosen, usual = settings.to_json(), FitOptions().to_json()
    skip = ("run_dir", "progress", "callbacks", "resume", "workers", "tensorboard")
    core = ("epochs", "batch_size", "optimizer", "lr", "weight_decay", "schedule", "augment", "seed")
    for name in (field.name for field in dataclasses.fields(settings)):
        if name in core or (name not in skip and chosen[name] != usual[name]):
            rows.append((name, str(chosen[name])))
    rows += [("data", str(report["data"])), ("classes", ", ".join(report["classes"]))]
    rows += [("plan", ", ".join(f"{k} {v}" for k, v in report["plan"].items() if v not in (False, [], None)))]
    hardware, versions = report["hardware"], report["versions"]
    where = hardware["gpu"] or f"{hardware['cores']} cores ({hardware['machine']})"
    return [*rows, ("ran on", where), ("versions", ", ".join(f"{k} {v}" for k, v in versions.items()))]


def way_words(way: Mapping[str, Any]) -> str:
    """A way to test in words.

    >>> way_words({"tta": "dense", "scales": [32, 40]})
    'dense, sides 32 and 40'
    """
    parts = [str(way["tta"])] if way.get("tta") else []
    if scales := way.get("scales"):
        *first, last = (str(side) for side in scales)
        parts.append(f"sides {', '.join(first)} and {last}" if first else f"side {last}")
    parts += [f"{name} {value}" for name, value in way.items() if name not in ("tta", "scales")]
    return ", ".join(parts) or "as it is"


def share(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def to_markdown(blocks: Sequence[Block]) -> str:
    r"""The page as Markdown.

    >>> print(to_markdown([Heading("A"), Table([("x", "y"), ("1|2", "3")])]))
    ## A
    <BLANKLINE>
    | x | y |
    | --- | --- |
    | 1\|2 | 3 |
    <BLANKLINE>
    """
    parts: list[str] = []
    for block in blocks:
        match block:
            case Heading(text, level):
                parts.append(f"{'#' * level} {text}")
            case Table(rows):
                lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
                parts.append("\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]]))
            case Picture(name, shows):
                parts.append(f"![{shows}]({name})")
            case Fixed(text):
                parts.append(f"```\n{text}\n```")
            case str(text):
                parts.append(text)
    return "\n\n".join(parts) + "\n"


def to_html(blocks: Sequence[Block], folder: Path) -> str:
    """The page as one HTML file that holds its pictures; everything that is shown is escaped."""
    parts: list[str] = []
    for block in blocks:
        match block:
            case Heading(text, level):
                parts.append(f"<h{level}>{html.escape(text)}</h{level}>")
            case Table(rows):
                parts.append(
                    f"<table>{''.join(html_row(row, 'td' if n else 'th') for n, row in enumerate(rows))}</table>"
                )
            case Picture(name, shows):
                data = base64.b64encode((folder / name).read_bytes()).decode()
                parts.append(f'<p><img src="data:image/png;base64,{data}" alt="{html.escape(shows)}"></p>')
            case Fixed(text):
                parts.append(f"<pre>{html.escape(text)}</pre>")
            case str(text):
                parts.append(f"<p>{html.escape(text)}</p>")
    title = next((html.escape(block.text) for block in blocks if isinstance(block, Heading)), "Run")
    head = f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
    return f"{head}</head><body>\n" + "\n".join(parts) + "\n</body></html>\n"


def html_row(cells: Sequence[str], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"
