"""The table of recipes, and a section each."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from smallnets.experiments.recipe import Figure, Recipe, list_recipes, recipe

from .markdown import accuracy, table

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
KINDS = ("tuned", "quick", "tuning")  # what names begin with, where they are no report's
HEAD = """\
# All recipes

Made from the recipes and from `benchmarks/results` by `docs/write_reference.py`. A recipe is a whole system as data:
the net, what it reads, how it is trained and tested. Run one with `smallnets recipe run NAME --data PATH`, see it with
`smallnets recipe show NAME`, and change a setting with `--set`.

Accuracies are fractions of the test split. *Reported* is what the source says, *here* what was measured with this
library: on what machine and data stands in the recipe's section. An empty place means that there is no one figure: of a
recipe with variants each has its own, below; a comparison of candidates looks at no test picture. *On two cores* is the
time of training on two cores of an AMD EPYC, of all variants together: of the quick ones measured whole, of the others
from the rate of an epoch ([two_cores.py](../../benchmarks/two_cores.py)). *System* says which of the nine reports a
recipe rebuilds, R1 to R9; the others are ours. `cifar10-jpeg.zip` is CIFAR-10 as JPEGs, whose pictures have lost some
detail.

"""


def results() -> dict[str, dict[str, Any]]:
    """By recipe what was measured: by the names of its variants, or its own."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))}


def measured(result: dict[str, Any]) -> str:
    """What was measured, on what, and how often."""
    if not result["by_seed"]:
        return f"validation accuracy {result['val_accuracy']:.4f}, not tested; {result['epochs']} epochs"
    machine = result["hardware"].get("gpu") or f"{result['hardware']['cores']} cores"
    kind = "val_accuracy" if result["test_accuracy"] is None else "test_accuracy"
    spread = sorted(run[kind] for run in result["by_seed"])
    text = f"{'validation ' if kind == 'val_accuracy' else ''}{result[kind]:.4f}"
    if len(spread) > 1:
        text += f", the mean of {len(spread)} runs from {spread[0]:.4f} to {spread[-1]:.4f}"
    else:
        text += " in one run"
    return f"{text}; data {result['data']}, {result['epochs']} epochs, {machine}, torch {result['versions']['torch']}"


def figure(found: Figure) -> str:
    parts = [] if found.test_accuracy is None else [f"test accuracy {found.test_accuracy:.4f}"]
    parts += [] if found.train_accuracy is None else [f"training accuracy {found.train_accuracy:.4f}"]
    parts += [] if found.seconds is None else [f"{found.seconds:g} seconds of training"]
    return "; ".join([*parts, *([found.note] if found.note else [])])


def section(found: Recipe, known: dict[str, Any]) -> str:
    told = [f"`{found.call}`, {found.fit_options().epochs} epochs on {found.data.source}"]
    if found.source:
        told.append(f"Source: {found.source}")
    if found.reported is not None:
        told.append(f"Reported: {figure(found.reported)}")
    if found.expect is not None:
        accuracies = figure(replace(found.expect, seconds=None))
        told += [f"To expect: {accuracies}"] if accuracies else []
        told += [f"Time: about {found.expect.time} of training on two cores"] if found.expect.time else []
    for name, result in known.items():
        told.append(f"Measured here{'' if name == found.name else f', `{name}`'}: {measured(result)}")
    if found.variants:
        told.append(f"Variants: {', '.join(f'`{name}`' for name in found.variants)}")
    if found.start:
        told.append(f"Starts from: [{found.start}](#{found.start})")
    lines = [f"## {found.name}", "", found.title + ".", "", *[f"- {one.rstrip('.')}." for one in told]]
    if found.notes:
        lines += ["", " ".join(found.notes.split())]
    return "\n".join([*lines, "", "```text", found.command, "```", ""])


def place(found: Recipe) -> int:
    """The reports' come first, in their order, then those that are meant to be used."""
    return next((number for number, kind in enumerate(KINDS) if found.name.startswith(kind)), -1)


def page() -> str:
    known = results()
    found = sorted(map(recipe, list_recipes()), key=place)
    rows = [
        [
            f"[{one.name}](#{one.name})",
            one.system,
            f"`{one.net}`",
            one.fit_options().epochs,
            accuracy(one.reported and one.reported.test_accuracy),
            accuracy(known.get(one.name, {}).get(one.name, {}).get("test_accuracy")),
            one.expect.time if one.expect else "",
        ]
        for one in found
    ]
    heads = ["recipe", "system", "net", "epochs:", "reported:", "here:", "on two cores:"]
    return HEAD + table(heads, rows) + "".join("\n" + section(one, known.get(one.name, {})) for one in found)
