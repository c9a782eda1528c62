"""Recipes run: one run, several seeds, variants and sweeps; each run goes on by itself where it was stopped."""

import inspect
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import OptionError, RunError, SmallnetsError, check_choice, check_int, check_text, message, nearest
from ..files import user_path
from ..training.checkpoint.run_folder import check_ours
from .compare import Comparison, side_by_side
from .jobs import How, jobs_of
from .recipe import Recipe, recipe
from .runs import is_run, read_run
from .several import check_place, write_summary

Say = Callable[[str], object]


def run_recipe(
    name: str | os.PathLike[str] | Recipe,
    data: str | os.PathLike[str] | None = None,
    run_dir: str | os.PathLike[str] | None = None,
    *,
    seed: int = 0,
    seeds: int = 1,
    epochs: int | None = None,
    limit: int | None = None,
    changes: Mapping[str, Any] | None = None,
    variants: Sequence[str] | None = None,
    device: str = "auto",
    precision: str = "auto",
    workers: int | None = None,
    root: str | os.PathLike[str] | None = None,
    download: bool = False,
    progress: bool = True,
    resume: str = "auto",
    say: Say | None = None,
) -> Comparison:
    """Run a recipe: build, train and test as it says. A run that is complete is not run again.

    Args:
        name: A recipe's name, the path of a ``.toml`` file, or a ``Recipe``.
        data: A data set's name, an image folder or a zip of one; by default what the recipe names.
        run_dir: The folder of everything, by default ``runs/NAME``. Several seeds are in ``seed-0``, ..., variants in
            folders of their names.
        seed: The first seed.
        seeds: How many seeds there are, from ``seed`` on.
        epochs: In all, instead of the recipe's.
        limit: Pictures of the training split to use, at most; of each class its share.
        changes: Other settings by name, of ``fit``, of the data or of the net's builder (see ``Recipe.changed``).
        variants: Which of the recipe's variants to run; by default all.
        device: A torch device, or ``"auto"``.
        precision: ``"auto"``, ``"fp32"`` or ``"bf16"``.
        workers: Processes that read pictures from disk; by default one a core.
        root: Folder of torchvision's files, for the named sets.
        download: Fetch a named set that is not there.
        progress: Show progress on stderr.
        resume: As for ``fit``: ``"changed"`` goes on with other settings.
        say: Called with each line of the reports.

    Returns:
        What was reached, a line a variant.

    Raises:
        ValueError: When a setting is unknown or not allowed.
        RunError: When a run cannot go on; of several, when none could. Where some could, ``failed`` of what is
            returned says why the others could not.
    """
    chosen = (name if isinstance(name, Recipe) else recipe(name)).changed({} if changes is None else changes)
    check_int("recipe", "seed", seed, 0)
    if epochs is not None and "epochs" in (changes or {}):
        raise OptionError(message("recipe", "epochs once", f"{epochs} and {dict(changes or {})['epochs']}"))
    if variants is not None and not variants:
        raise OptionError(message("recipe", "variants to run, or None for all", "none"))
    place = user_path("recipe", "run_dir", run_dir) if run_dir is not None else Path("runs") / chosen.name
    source = chosen.data.source if data is None else os.fspath(data) if isinstance(data, os.PathLike) else data
    check_text("recipe", "data", source)
    where = None if root is None else user_path("recipe", "root", root)
    how = How(source, epochs, limit, device, precision, workers, where, download, progress, resume)
    asked = chosen.variants or {"": {}}
    for variant in variants or ():
        if not chosen.variants:
            raise OptionError(
                message(f"recipe {chosen.name}", "a recipe that has variants", repr(variant), "Leave it out.")
            )
        check_choice(f"recipe {chosen.name}", "every variant", variant, chosen.variants)
    asked = {variant: own for variant, own in asked.items() if variants is None or variant in variants}
    check_left_alone(chosen, changes or {}, asked)
    return run_all(chosen, asked, how, place, range(seed, seed + count_of(seeds)), say or (lambda line: None))


def count_of(seeds: int) -> int:
    check_int("recipe", "seeds", seeds)
    return int(seeds)


def check_left_alone(chosen: Recipe, changes: Mapping[str, Any], variants: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse a change of what a variant sets, which the variant would undo.

    Raises:
        ValueError: Which setting, and of which variant.
    """
    for variant, own in variants.items():
        for name in changes:
            if name in own and own[name] != changes[name]:
                wanted, got = f"settings that variant {variant!r} leaves alone", f"{name}, which is {own[name]!r} there"
                advice = "Leave it out, or copy the recipe into a file of your own."
                raise OptionError(message(f"recipe {chosen.name}", wanted, got, advice))


def sweep(
    name: str | os.PathLike[str] | Recipe,
    settings: Mapping[str, Sequence[Any]],
    data: str | os.PathLike[str] | None = None,
    run_dir: str | os.PathLike[str] | None = None,
    **how: Any,
) -> Comparison:
    """Run a recipe with every combination of settings; each run goes on by itself where it was stopped.

    Args:
        name: As for ``run_recipe``.
        settings: The values to try, by setting.
        data: As for ``run_recipe``.
        run_dir: The folder of everything, by default ``runs/NAME-sweep``; a folder a combination.
        **how: The other keywords of ``run_recipe``.

    Returns:
        What was reached, a line a combination.

    Raises:
        ValueError: When a setting is unknown or not allowed, or one has no values.
    """
    chosen = name if isinstance(name, Recipe) else recipe(name)
    known = [option for option in inspect.signature(run_recipe).parameters if option not in ("name", "variants")]
    for option in how:
        if option not in known:
            raise OptionError(message("sweep", "an option of run_recipe", repr(option), nearest(option, known)))
    if not isinstance(settings, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise OptionError(message("sweep", "a dict of values by setting", repr(settings)))
    if how.get("epochs") is not None and "epochs" in settings:
        raise OptionError(message("sweep", "epochs once", f"{how['epochs']} and {list(settings['epochs'])}"))
    for setting, values in settings.items():
        if isinstance(values, str) or not isinstance(values, Sequence):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise OptionError(message("sweep", f"a list of values for {setting}", repr(values)))
        if not values:
            raise OptionError(message("sweep", f"values for {setting}", "none", "Give one or more."))
        if any(value in values[:place] for place, value in enumerate(values)):
            raise OptionError(message("sweep", f"each value of {setting} once", repr(list(values))))
    if not settings:
        raise OptionError(message("sweep", "a setting to sweep over", "none", "For example --set batch_size=30,256."))
    variants = {}
    for values in itertools.product(*settings.values()):
        changes = dict(zip(settings, values, strict=True))
        variants[", ".join(f"{setting}={value}" for setting, value in changes.items())] = changes
    place = run_dir if run_dir is not None else Path("runs") / f"{chosen.name}-sweep"
    return run_recipe(chosen.with_variants(variants), data, place, **how)


def run_all(
    chosen: Recipe, variants: Mapping[str, Mapping[str, Any]], how: How, place: Path, seeds: range, say: Say
) -> Comparison:
    """Every variant with every seed, one after the other; a run that fails does not stop the others.

    What is returned is on the runs that were asked for, whatever else lies in the folder.
    """
    jobs = list(jobs_of(chosen, variants, how, place, seeds))
    for job in jobs:  # a mistake in the last variant comes to light before the first is run
        job.check_asked()
    check_place(jobs, place)
    for job in jobs:
        check_ours(job.folder)
    done: list[Path] = []
    failed: list[tuple[Path, SmallnetsError]] = []
    for number, job in enumerate(jobs, start=1):
        if len(jobs) > 1:
            say(f"run {number} of {len(jobs)}: {job.folder}")
        try:
            if any(folder == job.grown_from for folder, _ in failed):
                raise RunError(message("recipe", f"a start in {job.grown_from}", "one that failed"))
            for line in job.run():
                say(line)
        except SmallnetsError as error:
            if len(jobs) == 1:
                raise
            failed.append((job.folder, error))
            say(f"this run failed: {error}")
        else:
            done.append(job.folder)
    starts = {job.grown_from for job in jobs}
    if not (ends := [folder for folder in done if folder not in starts]):
        raise failed[0][1]
    lines = itertools.groupby(ends, lambda folder: line_of(folder, seeds))
    groups = [(line, [read_run(folder) for folder in folders]) for line, folders in lines]
    found = replace(side_by_side(groups), failed=tuple(f"{folder}: {error}" for folder, error in failed))
    if not is_run(place):
        write_summary(chosen, found, place)
    return found


def line_of(folder: Path, seeds: range) -> Path:
    """The folder that a run's line in the table is named by: those of several seeds are one."""
    return folder.parent if len(seeds) > 1 else folder
