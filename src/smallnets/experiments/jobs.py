"""What a recipe asks for, as experiments: one a variant and seed, each in a folder of its own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import OptionError, message
from .experiment import Experiment, as_vgg
from .recipe import Recipe, recipe
from .recipe_parts import slug


@dataclass(frozen=True)
class How:
    """What one says of a run beside its recipe."""

    data: str
    epochs: int | None = None
    limit: int | None = None
    device: str = "auto"
    precision: str = "auto"
    workers: int | None = None
    root: Path | None = None
    download: bool = False
    progress: bool = True
    resume: str = "auto"


def jobs_of(
    chosen: Recipe, variants: Mapping[str, Mapping[str, Any]], how: How, place: Path, seeds: range
) -> Iterator[Experiment]:
    """An experiment a variant and seed, each in a folder of its own."""
    folders: set[Path] = set()
    for name, changes in variants.items():
        folder = place / slug(name) if name else place
        if folder in folders:
            raise OptionError(message(f"recipe {chosen.name}", "variants whose names differ in letters", repr(name)))
        folders.add(folder)
        for seed in seeds:
            own = folder / f"seed-{seed}" if len(seeds) > 1 else folder
            yield from with_start(chosen.changed(changes), how, own, seed)


def with_start(
    chosen: Recipe, how: How, folder: Path, seed: int, before: tuple[Path, ...] = ()
) -> Iterator[Experiment]:
    """The experiment of a recipe, behind that of the shallower net that it starts from, which may have a start, too."""
    start = None
    if chosen.start is not None:
        shallow, start = recipe(chosen.start), folder / "start"
        if shallow.path in (*before, chosen.path):
            raise OptionError(message(f"recipe {chosen.name}", "a start that leads to an end", f"{shallow.path} again"))
        check_grows(shallow, chosen)
        yield from with_start(shallow, how, start, seed, (*before, chosen.path))
    yield experiment(chosen, how, folder, seed, start)


def check_grows(*chosen: Recipe) -> None:
    """Refuse nets of which one cannot start from the other before the first is trained.

    Raises:
        ValueError: Naming the net that is no VGG.
    """
    for each in chosen:
        with torch.device("meta"):
            as_vgg(each.build(weights=None))


def experiment(chosen: Recipe, how: How, folder: Path, seed: int, start: Path | None = None) -> Experiment:
    """What a recipe asks for, as an experiment."""
    changes: dict[str, Any] = {"seed": seed, "run_dir": str(folder), "device": how.device}
    changes |= {"progress": how.progress} | ({} if how.epochs is None else {"epochs": how.epochs})
    if how.workers is not None:
        changes["workers"] = how.workers
    if how.precision != "auto":
        changes["precision"] = how.precision
    if how.resume != "auto":
        changes["resume"] = how.resume
    data = chosen.data
    loading: dict[str, Any] = {
        "classes": None if data.classes is None else list(data.classes),
        "size": data.size,
        "root": how.root,
        "download": how.download,
    }
    if data.mean is not None and data.std is not None:
        loading["stats"] = (data.mean, data.std)
    return Experiment(
        chosen.net,
        chosen.options,
        how.data,
        loading,
        chosen.fit_options(**changes),
        val=data.validation,
        test=None if data.test == "none" else "test",
        watched=data.test == "every epoch",
        limit=how.limit,
        grown_from=start,
        ways=chosen.ways,
        crop=data.crop,
        recipe=chosen,
    )
