"""What was measured of a recipe, as a table that the site's build reads from benchmarks/results.

A page names recipes in a block ``{measured}``, a line each; a recipe without a result is said to be not measured yet.
"""

import json
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import smallnets as sn
from smallnets.experiments.page import way_words

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
HEADS = ("recipe", "test accuracy", "reported", "epochs", "pictures", "on")


def rows(name: str, folder: Path = RESULTS) -> list[tuple[str, ...]]:
    """A line a run of a recipe, in the order of ``HEADS``."""
    recipe = sn.recipe(name)
    path = folder / f"{name}.json"
    if not path.exists():
        reported = None if recipe.reported is None else recipe.reported.test_accuracy
        return [(f"`{name}`", "not measured yet", accuracy(reported), str(recipe.after + recipe.fit["epochs"]), "", "")]
    found: dict[str, dict[str, Any]] = json.loads(path.read_text())
    return [line for run, result in found.items() for line in (row(name, run, result), *more_ways(result))]


def more_ways(result: dict[str, Any]) -> list[tuple[str, ...]]:
    """Lines of the other ways that one run was tested, where there are several."""
    ways = ways_of(result)
    return [(way, accuracy(value), "", "", "", "") for way, value in ways] if len(ways) > 1 else []


def ways_of(result: dict[str, Any]) -> list[tuple[str, float]]:
    """In words, and the accuracy; of one run only, as those of several differ."""
    runs = result["by_seed"]
    if len(runs) != 1:
        return []
    return [(way_words(way), value) for way, value in zip(runs[0]["ways"], runs[0]["ways_accuracy"], strict=True)]


def row(name: str, run: str, result: dict[str, Any]) -> tuple[str, ...]:
    """What one run gave."""
    variant = run.removeprefix(name).strip(" :/,-")
    here = accuracy(result["test_accuracy"])
    if result.get("runs", 1) > 1:
        spread = "" if result.get("test_spread") is None else f" ± {result['test_spread']:.4f}"
        here = f"mean {here}{spread}, {result['runs']} seeds"
    if len(ways := ways_of(result)) == 1:
        here += "".join(f"; {way} {accuracy(value)}" for way, value in ways)
    what = f"`{name}`, {variant}" if variant else f"`{name}`"
    reported = (result.get("reported") or {}).get("test_accuracy")
    if result["test_accuracy"] is None:
        here = f"not tested; validation accuracy {accuracy(result['val_accuracy'])}"
    if not result["by_seed"]:
        return (what, here, accuracy(reported), str(result["epochs"]), "", "")
    hardware = result["hardware"]
    machine = hardware["gpu"] or f"{hardware['cores']} processor cores"
    pictures, first = Path(result["data"]).name, result["by_seed"][0]
    if first.get("limit") is not None:
        pictures += f", {first['train_pictures']:,} to train on"
    return (what, here, accuracy(reported), str(result["epochs"]), pictures, machine)


def accuracy(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def table(names: list[str], folder: Path = RESULTS) -> str:
    """Markdown of the runs of these recipes."""
    lines = [HEADS, ("---",) * len(HEADS), *(line for name in names for line in rows(name, folder))]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


class MeasuredDirective(SphinxDirective):
    """``{measured}`` with a recipe a line."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        names = [line.strip() for line in self.content if line.strip()]
        text = table(names)
        for name in names:
            self.env.note_dependency(str(RESULTS / f"{name}.json"))
        holder = nodes.container(classes=["measured"])
        self.state.nested_parse(StringList(text.splitlines(), "measured"), self.content_offset, holder)
        return list(holder.children)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("measured", MeasuredDirective)
    return {"parallel_read_safe": True}
