"""Recipes: how a reported system is built, trained and tested, as data; one file of ``recipes/`` each."""

import difflib
import inspect
import os
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ..errors import OptionError, check_int, check_text, message, nearest
from ..files import user_path
from .recipe_parts import Figure as Figure
from .recipe_parts import (
    RecipeData,
    check_data,
    check_entries,
    check_figure,
    check_not_said_elsewhere,
    check_variant,
    names_of,
)

if TYPE_CHECKING:
    from ..models.base import Net
    from ..training.options import FitOptions

FOLDER = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Recipe:
    """How a system is built, trained and tested.

    Attributes:
        name: Its file's name.
        title: What it is, in a line.
        system: The system it rebuilds, such as ``"R4"``; ``"ours"`` where it is tuned here.
        source: Where the system is described.
        net: The net of the zoo.
        options: Its builder's options; the number of classes and channels comes from the data.
        data: What it reads.
        fit: Keywords of ``fit``, ``epochs`` among them.
        after: Epochs that came before those of ``fit``: they make the checkpoint that a report starts from.
        start: The recipe of a shallower net to grow from, trained first.
        ways: Keywords of ``evaluate``, a set each: other ways to test the trained net.
        variants: Changes by name; each is a run of its own, set side by side.
        reported: What the source says it reached.
        expect: What it reached here, and its seconds on two cores.
        notes: Where it departs from the source, and why.
        text: The file as it is written.
        path: The file.
    """

    name: str
    title: str
    net: str
    system: str = "ours"
    source: str = ""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    data: RecipeData = field(default_factory=RecipeData)
    fit: Mapping[str, Any] = field(default_factory=dict[str, Any])
    after: int = 0
    start: str | None = None
    ways: tuple[Mapping[str, Any], ...] = ()
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    reported: Figure | None = None
    expect: Figure | None = None
    notes: str = ""
    text: str = field(default="", repr=False, compare=False)
    path: Path = field(default=Path(), repr=False, compare=False)

    @property
    def command(self) -> str:
        """What runs it."""
        data = self.data.source if self.data.source == "digits" else "PATH"
        name = self.name if self.path.parent == FOLDER else shlex.quote(str(self.path))
        return f"smallnets recipe run {name} --data {data} --run-dir {shlex.quote(f'runs/{self.name}')}"

    @property
    def call(self) -> str:
        """The builder's call, as one writes it."""
        known = dict(self.options)
        if self.data.classes is not None:
            known["num_classes"] = len(self.data.classes)
        return f"{self.net}({', '.join(f'{name}={value!r}' for name, value in known.items())})"

    def fit_options(self, **changes: Any) -> "FitOptions":
        """The options of ``fit``, with some of them changed: ``fit(net, train, val, options=...)`` takes them.

        Raises:
            ValueError: When a setting is unknown or not allowed.

        >>> recipe("r7-convnet3").fit_options(epochs=3).batch_size
        30
        """
        from ..training.options import FitOptions

        settings = {**self.fit, **changes}
        chosen = FitOptions.from_json(settings)
        return chosen if "epochs" in changes else replace(chosen, epochs=chosen.epochs + self.after)

    def build(self, **changes: Any) -> "Net":
        """The net, with some of its builder's options changed.

        >>> recipe("r7-convnet3").build().num_classes
        10
        """
        from ..models.build import build

        known = {} if self.data.classes is None else {"num_classes": len(self.data.classes)}
        return build(self.net, **{**known, **self.options, **changes})

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """The recipe with settings changed by name: of ``fit``, of the data, of the recipe itself, or of the builder.

        Raises:
            ValueError: When there is no such setting; the nearest is named.

        >>> recipe("r7-convnet3").changed({"batch_size": 256, "dropout": 0.0}).options["dropout"]
        0.0
        """
        from ..models.build import entry
        from ..training.options import FitOptions

        if not isinstance(changes, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise OptionError(message(f"recipe {self.name}", "changes as a dict of settings", repr(changes)))
        net = str(changes.get("net", self.net))
        own = {"net": net, "after": changes.get("after", self.after), "start": changes.get("start", self.start) or None}
        check_int(f"recipe {self.name}", "after", own["after"], 0)
        if own["start"] is not None:
            check_text(f"recipe {self.name}", "start", own["start"])
        builder = inspect.signature(entry(net).builder).parameters
        training, reading = names_of(FitOptions), names_of(RecipeData)
        fit, data, options = dict(self.fit), dict[str, Any](), dict(self.options)
        check_not_said_elsewhere(f"recipe {self.name}", changes)
        for name, value in changes.items():
            if name in own:
                continue
            place = fit if name in training else data if name in reading else options if name in builder else None
            if place is None:
                known = [*own, *training, *reading, *builder]
                wanted = f"a setting of fit, of the data or of {net}"
                raise OptionError(message(f"recipe {self.name}", wanted, repr(name), nearest(name, known)))
            place[name] = tuple(value) if place is data and isinstance(value, list) else value
        read = replace(self.data, **data)
        check_data(f"recipe {self.name}", read)
        changed: dict[str, Any] = {**own, "fit": fit, "options": options, "data": read}
        return replace(self, **changed)

    def with_variants(self, variants: Mapping[str, Mapping[str, Any]]) -> Self:
        """The recipe with other variants, every one of them checked.

        Raises:
            ValueError: When a variant has a setting that is unknown or not allowed.
        """
        if not isinstance(variants, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise OptionError(message(f"recipe {self.name}", "variants as a dict of changes by name", repr(variants)))
        for name, changes in variants.items():
            check_text(f"recipe {self.name}", "every variant's name", name)
            check_variant(f"recipe {self.name}", name)
            if not isinstance(changes, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise OptionError(message(f"recipe {self.name}", "variants to be tables", repr(changes)))
            self.changed(changes).fit_options()
        return replace(self, variants=variants)


def list_recipes() -> list[str]:
    """Names of the recipes that come with the library, the reports' first.

    >>> "r4-vgg16-three" in list_recipes()
    True
    """
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def recipe(name: str | os.PathLike[str]) -> Recipe:
    """A recipe by its name, or by the path of a ``.toml`` file of your own.

    Args:
        name: One of ``smallnets recipe list``, or a path.

    Raises:
        ValueError: When there is none, or a file is not one that can be read as a recipe; why.

    >>> recipe("r4-vgg16-three").reported.test_accuracy
    0.93
    """
    text = os.fspath(name) if isinstance(name, os.PathLike) else name
    check_text("recipe", "name", text)
    if text.endswith(".toml"):
        return read_recipe(user_path("recipe", "name", text))
    if text not in (names := list_recipes()):
        close = difflib.get_close_matches(text, names, n=1, cutoff=0.3)
        advice = f"Did you mean {close[0]!r}?" if close else "See them all: smallnets recipe list."
        raise OptionError(message("recipe", "the name of a recipe, or a .toml file", repr(text), advice))
    return read_recipe(FOLDER / f"{text}.toml")


def read_recipe(path: Path) -> Recipe:
    """A recipe out of its file, every entry looked at.

    Raises:
        ValueError: When the file is missing or no TOML, or an entry is unknown or missing.
    """
    try:
        text = path.read_text(encoding="utf-8")
        found = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise OptionError(message("recipe", f"a recipe in {path}", reason, "Check the file.")) from error
    who = f"recipe {path.stem}"
    check_entries(who, found, Recipe)
    for needed in ("title", "net"):
        check_text(who, needed, found.get(needed))
    if not isinstance(found.get("ways", []), list):
        raise OptionError(message(who, "ways to be a list of tables", repr(found["ways"])))
    for name in ("options", "data", "fit", "variants", "reported", "expect"):
        if not isinstance(found.get(name, {}), dict):
            raise OptionError(message(who, f"{name} to be a table", repr(found[name])))
    tables: dict[str, Any] = {
        "data": RecipeData(**check_entries(f"{who}, [data]", found.pop("data", {}), RecipeData)),
        "ways": tuple(found.pop("ways", ())),
    }
    for name in ("reported", "expect"):
        if name in found:
            tables[name] = Figure(**check_entries(f"{who}, [{name}]", found.pop(name), Figure))
    made = Recipe(path.stem, text=text, path=path, **{**found, **tables})
    check_words(who, made)
    check_not_said_elsewhere(f"{who}, [fit]", made.fit)
    check_data(who, made.data)
    made.changed(made.options)
    made.changed({}).fit_options()  # the recipe itself is checked, too
    return made.with_variants(made.variants)


def check_words(who: str, made: Recipe) -> None:
    """Refuse texts that are no text, ways to test that ``evaluate`` would not take, and figures that are no numbers.

    Raises:
        ValueError: Which entry, and what is allowed.
    """
    from ..training.tta import check_views

    for name in ("title", "system", "source", "notes", "net"):
        check_text(who, name, getattr(made, name))
    for way in made.ways:
        if not isinstance(way, Mapping) or not set(way) <= {"tta", "scales"}:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise OptionError(message(who, "every way to test to be a table of tta and scales", repr(way)))
        check_views(way.get("tta"), way.get("scales"))
    for figure in (made.reported, made.expect):
        if figure is not None:
            check_figure(who, figure)
