"""``smallnets recipe``, ``compare`` and ``sweep``: systems of reports rebuilt, and runs side by side."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import speak
from ..errors import OptionError, message
from ..files import check_writable
from .app import app
from .parsing import (
    JSON,
    Device,
    Download,
    Limit,
    Precision,
    Root,
    ahead,
    parse_settings,
    parse_value,
    picture_ahead,
    write_json,
)  # fmt: skip

if TYPE_CHECKING:
    from ..experiments.compare import Comparison
    from ..experiments.recipe import Figure

recipes = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Systems of reports and papers, and tuned ones: list, show, run."
)
app.add_typer(recipes, name="recipe")

Name = Annotated[str, typer.Argument(help="A recipe of `smallnets recipe list`, or a .toml file.", metavar="NAME")]
RecipeData = Annotated[
    str | None,
    typer.Option("--data", help="An image folder, a zip of one, or a named set.  [what the recipe is made for]"),
]
RunDir = Annotated[Path | None, typer.Option(help="Folder of everything.  [runs/NAME]")]
Seeds = Annotated[int, typer.Option(help="Runs, each with a seed of its own.")]
Seed = Annotated[int, typer.Option(help="The first seed.")]
Epochs = Annotated[int | None, typer.Option(help="In all.  [the recipe's]")]
Workers = Annotated[int | None, typer.Option(help="Processes that read pictures from disk.  [one a core]")]
Going = Annotated[str, typer.Option("--resume", help="auto, never, or changed (go on with other settings).")]
Csv = Annotated[Path | None, typer.Option(help="Write the table here, numbers in full.", callback=ahead)]
Png = Annotated[Path | None, typer.Option(help="Draw the curves of all runs here.", callback=picture_ahead)]


@recipes.command("list")
def list_command(json: JSON = None) -> None:
    """List the recipes: the system, the net, what was reported, what to expect, and the time on two cores."""
    import json as as_json

    from ..experiments.recipe import list_recipes, recipe

    found = [recipe(name) for name in list_recipes()]
    keys = ("name", "system", "title", "net")
    if write_json(json, as_json.dumps([{key: getattr(each, key) for key in keys} for each in found], indent=2)):
        return
    rows = [("recipe", "system", "net", "epochs", "reported", "expect", "two cores", "title")]
    for each in found:
        epochs, time = str(each.fit_options().epochs), each.expect.time if each.expect else ""
        figures = (reached(each.reported), reached(each.expect), time)
        rows.append((each.name, each.system, each.net, epochs, *figures, each.title))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        typer.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def reached(figure: "Figure | None") -> str:
    return "" if figure is None or figure.test_accuracy is None else f"{figure.test_accuracy:.4f}"


@recipes.command("show")
def show_command(name: Name) -> None:
    """Show a recipe: its file, the builder's call, the command that runs it, and how long it takes."""
    from ..experiments.recipe import recipe

    found = recipe(name)
    typer.echo(found.text.rstrip())
    typer.echo(f"\nbuilder: {found.call}\ncommand: {found.command}")
    if found.expect is not None and found.expect.time:
        typer.echo(f"time:    about {found.expect.time} of training on two cores")


@recipes.command("run")
def run_command(
    name: Name,
    data: RecipeData = None,
    run_dir: RunDir = None,
    seeds: Seeds = 1,
    seed: Seed = 0,
    epochs: Epochs = None,
    limit: Limit = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Another setting, of fit or of the net; may be repeated."),
    ] = None,
    variant: Annotated[list[str] | None, typer.Option(help="Run only this variant; may be repeated.")] = None,
    root: Root = None,
    download: Download = False,
    precision: Precision = "auto",
    device: Device = "auto",
    workers: Workers = None,
    resume: Going = "auto",
    json: JSON = None,
) -> None:
    """Build, train and test a system as its recipe says; run again, it goes on where it was stopped."""
    from ..experiments.running import run_recipe

    check_results(run_dir, json)
    found = run_recipe(
        name, data, run_dir, seed=seed, seeds=seeds, epochs=epochs, limit=limit, variants=variant, device=device,
        changes=parse_settings(set_, of="recipe"), precision=precision, workers=workers, root=root, download=download,
        resume=resume, say=say(json),
    )  # fmt: skip
    show_table(found, json)


@app.command()
def sweep(
    name: Name,
    set_: Annotated[
        list[str],
        typer.Option(
            "--set", metavar="KEY=A,B", help="Values to try, of a setting of fit or the net; may be repeated."
        ),
    ],
    data: RecipeData = None,
    run_dir: Annotated[Path | None, typer.Option(help="Folder of everything.  [runs/NAME-sweep]")] = None,
    seeds: Seeds = 1,
    seed: Seed = 0,
    epochs: Epochs = None,
    limit: Limit = None,
    root: Root = None,
    download: Download = False,
    precision: Precision = "auto",
    device: Device = "auto",
    workers: Workers = None,
    resume: Going = "auto",
    csv: Csv = None,
    png: Png = None,
    json: JSON = None,
) -> None:
    """Run a recipe with every combination of settings, and set the runs side by side.

    Run again, complete runs are kept and the others go on where they were stopped.
    """
    from ..experiments.running import sweep as sweep_over

    check_results(run_dir, json, csv, png)
    found = sweep_over(
        name, parse_values(set_), data, run_dir, seed=seed, seeds=seeds, epochs=epochs, limit=limit, device=device,
        precision=precision, workers=workers, root=root, download=download, resume=resume, say=say(json),
    )  # fmt: skip
    show_table(found, json, csv, png)


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, or folders of such folders.", metavar="RUN...")],
    png: Png = None,
    csv: Csv = None,
    json: JSON = None,
) -> None:
    """Set runs side by side: curves in one picture, and a table of what they reached and what it cost."""
    from ..experiments.compare import compare as put_side_by_side

    show_table(put_side_by_side(*runs), json, csv, png)


def check_results(run_dir: Path | None, *paths: Path | None) -> None:
    """Whether results can be written, before the work; what goes into the run's own folder waits until that is made."""
    folder = Path(run_dir or "runs").absolute()
    for path in paths:
        if path is not None and str(path) != "-" and folder not in path.absolute().parents:
            check_writable(path)


def say(json: Path | None) -> Callable[[str], None]:
    """Where the lines of the reports go: to stderr when JSON has stdout."""

    def echo(line: str) -> None:
        speak.say(line, "stderr" if str(json) == "-" else "stdout")

    return echo


def show_table(found: "Comparison", json: Path | None, csv: Path | None = None, png: Path | None = None) -> None:
    if png is not None:
        found.plot(png)
    if csv is not None:
        found.to_csv(csv)
    if not write_json(json, found.to_json()):
        typer.echo(f"\n{found}")
    for why in found.failed:
        speak.say(f"smallnets: not as it was asked for: {why}", "stderr")
    if found.failed:
        raise typer.Exit(1)


def parse_values(pairs: Sequence[str]) -> dict[str, list[Any]]:
    """``["batch_size=30,256", "channels=(16,32,64),(8,16,32)"]`` as values by setting.

    >>> parse_values(["batch_size=30,256", "optimizer=sgd,adam", "channels=(16,32),(8,16)"])
    {'batch_size': [30, 256], 'optimizer': ['sgd', 'adam'], 'channels': [(16, 32), (8, 16)]}
    """
    found: dict[str, list[Any]] = {}
    for text in pairs:
        key, equals, values = text.partition("=")
        parts = [part.strip() for part in split_outside(values)]
        if not equals or not key.strip() or not all(parts):
            raise OptionError(message("--set", "KEY=A,B", repr(text), "For example --set batch_size=30,256."))
        if key.strip() in found:
            raise OptionError(message("--set", "each setting once", repr(text), "Put all its values into one --set."))
        found[key.strip()] = [parse_value(part, key.strip()) for part in parts]
    return found


def split_outside(text: str) -> list[str]:
    """Split at the commas that stand in no bracket.

    >>> split_outside("1,(2,3),step(20, 0.1)")
    ['1', '(2,3)', 'step(20, 0.1)']
    """
    depths = itertools.accumulate((char in "([{") - (char in ")]}") for char in text)
    marked = "".join("\0" if char == "," and depth == 0 else char for char, depth in zip(text, depths, strict=True))
    return marked.split("\0")
