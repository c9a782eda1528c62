"""How long each recipe trains on two cores: the rate of epochs of a part of its pictures, and what it makes of all.

    python benchmarks/two_cores.py --data PATH [NAME ...]

Of a large net the part is small, and the start of an epoch counts for more: ResNet-50 at 16x16 pixels with AdamW trained on
155 images a second of its 1,232 pictures, and on 202 in the whole run of ``quick-resnet50``. Such times are upper bounds.

Nothing else may run beside it. Each variant and the recipe that a net starts from are timed as well; a recipe's seconds
are their sum. The rates go to ``results/two-cores.json``, the seconds into the recipes' files by hand, where a test
holds them to the rates.
"""

import argparse
import contextlib
import json
import platform
import statistics
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from machine import processor

import smallnets as sn
from smallnets.data.named import digits
from smallnets.experiments.recipe import Recipe, list_recipes
from smallnets.experiments.runs import read_run

RESULTS = Path(__file__).parent / "results" / "two-cores.json"
MACS = 4e11  # of the forward pass, in an epoch of some seconds
OF_NO_TIME = ("epochs", "lr", "weight_decay", "schedule", "label_smoothing", "patience")  # a batch takes as long


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--data", required=True, help="a zip of pictures")
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    found: dict[str, Any] = json.loads(asked.results.read_text()) if asked.results.exists() else {}
    found["hardware"] = {"cores": torch.get_num_threads(), "machine": processor()}
    found["versions"] = {"torch": torch.__version__, "python": platform.python_version(), "smallnets": sn.__version__}
    known: dict[str, dict[str, Any]] = {}
    for name in asked.names or list_recipes():
        recipe = sn.recipe(name)
        found.setdefault("recipes", {})[name] = [one(each, asked, known) for each in parts(recipe)]
        asked.results.write_text(json.dumps(found, indent=2) + "\n")
        print(name, found["recipes"][name], flush=True)


def parts(recipe: Recipe) -> Iterator[Recipe]:
    """Every training that a recipe asks for: its variants, and behind each the net that it starts from."""
    for changes in recipe.variants.values() or [{}]:
        chosen = recipe.changed(changes)
        yield chosen
        if chosen.start is not None:
            yield sn.recipe(chosen.start)


def one(recipe: Recipe, asked: argparse.Namespace, known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The rate of a training, and what all of it takes at that rate."""
    fit = {name: value for name, value in recipe.fit.items() if name not in OF_NO_TIME}
    key = repr((recipe.net, recipe.options, recipe.data.classes, recipe.data.size, fit))
    if key not in known:
        known[key] = rate_of(recipe, asked.data)
    seen = recipe.fit_options().epochs * round(pictures(recipe, asked.data) * (1 - recipe.data.validation))
    return {**known[key], "images": seen, "seconds": round(seen / known[key]["images_per_second"])}


def rate_of(recipe: Recipe, data: str) -> dict[str, Any]:
    """Images a second in epochs of some pictures, after the first, with the plan that ``fit`` chooses."""
    net, side = recipe.build(), recipe.data.size or 32
    macs = sn.summarize(net, (net.input_size[0], side, side)).totals.macs
    limit = min(max(640, int(MACS / macs)), 20_000)
    chosen = replace(recipe, variants={}, start=None, ways=(), data=replace(recipe.data, validation=0.0, test="none"))
    source, rows = "digits" if recipe.data.source == "digits" else data, list[float]()
    with tempfile.TemporaryDirectory() as folder:
        running = get_context("spawn").Process(target=train, args=(chosen, source, folder, limit))
        running.start()
        while len(rows) < 3 and running.is_alive():
            time.sleep(0.1)
            with contextlib.suppress(sn.RunError):  # no epoch is complete yet
                rows = [row["images_per_second"] for row in read_run(Path(folder)).rows]
        running.kill()
        running.join()
    return {"images_per_second": round(statistics.median(rows[1:]), 1), "of": limit}


def train(recipe: Recipe, data: str, folder: str, limit: int) -> None:
    sn.run_recipe(recipe, data, folder, limit=limit, say=lambda line: None)


def pictures(recipe: Recipe, data: str) -> int:
    """Of the training split, those of the recipe's classes."""
    if recipe.data.source == "digits":
        return len(digits("train", (8, 8)).labels)
    names = zipfile.ZipFile(data).namelist()
    kinds = [Path(name).parts[1] for name in names if Path(name).parts[0] == "train" and not name.endswith("/")]
    return sum(recipe.data.classes is None or kind in recipe.data.classes for kind in kinds)


if __name__ == "__main__":
    main()
