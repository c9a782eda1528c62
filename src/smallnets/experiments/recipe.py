"""Recipes: how a reported system is built, trained and tested, as data; one file of ``recipes/`` each."""

import difflib
import inspect
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from ..errors import OptionError, check_choice, check_text, message, nearest

if TYPE_CHECKING:
    from ..models.base import Net
    from ..training.options import FitOptions

FOLDER = Path(__file__).parent / "recipes"
Look = Literal["once", "every epoch", "none"]


@dataclass(frozen=True)
class RecipeData:
    """What a recipe reads.

    Attributes:
        source: The data set it is made for: a name, or that of one whose pictures stand in a folder or zip.
        classes: The classes that are kept, in this order; None keeps all.
        size: Side of the pictures in pixels; None leaves them as they are.
        mean: What the pictures are normalised by, a number a channel; None measures the training split's.
        std: Likewise.
        validation: Share of the training split that is held out.
        test: When the test split is looked at. ``"every epoch"`` only where a report did so.
    """

    source: str = "cifar10"
    classes: tuple[str, ...] | None = None
    size: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    validation: float = 0.1
    test: Look = "once"


@dataclass(frozen=True)
class Figure:
    """What a report says it reached, or what to expect of a run; accuracies are fractions.

    Attributes:
        test_accuracy: On the test split.
        train_accuracy: On the training split, in the last epoch.
        seconds: Of training; of an expectation, on two cores.
        note: On what, and whatever else must be known.
    """

    test_accuracy: float | None = None
    train_accuracy: float | None = None
    seconds: float | None = None
    note: str = ""


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
        expect: What it reached here; its ``seconds`` are measured on two cores.
        notes: Where it departs from the source, and why.
        text: The file as it is written.
    """

    name: str
    title: str
    net: str
    system: str = "ours"
    source: str = ""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    data: RecipeData = RecipeData()
    fit: Mapping[str, Any] = field(default_factory=dict[str, Any])
    after: int = 0
    start: str | None = None
    ways: tuple[Mapping[str, Any], ...] = ()
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    reported: Figure | None = None
    expect: Figure | None = None
    notes: str = ""
    text: str = field(default="", repr=False, compare=False)

    @property
    def command(self) -> str:
        """What runs it."""
        data = self.data.source if self.data.source == "digits" else "PATH"
        return f"smallnets recipe run {self.name} --data {data} --run-dir runs/{self.name}"

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
        if "epochs" not in changes and "epochs" in settings:
            settings["epochs"] += self.after
        return FitOptions.from_json(settings)

    def build(self, **changes: Any) -> "Net":
        """The net, with some of its builder's options changed.

        >>> recipe("r7-convnet3").build().num_classes
        10
        """
        from ..models.registry import build

        known = {} if self.data.classes is None else {"num_classes": len(self.data.classes)}
        return build(self.net, **{**known, **self.options, **changes})

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """The recipe with settings changed by name: of ``fit``, of the data, of the recipe itself, or of the builder.

        Raises:
            ValueError: When there is no such setting; the nearest is named.

        >>> recipe("r7-convnet3").changed({"batch_size": 256, "dropout": 0.0}).options["dropout"]
        0.0
        """
        from ..models.registry import entry
        from ..training.options import FitOptions

        net = str(changes.get("net", self.net))
        own = {"net": net, "after": changes.get("after", self.after), "start": changes.get("start", self.start) or None}
        builder = inspect.signature(entry(net).builder).parameters
        training, reading = names_of(FitOptions), names_of(RecipeData)
        fit, data, options = dict(self.fit), dict[str, Any](), dict(self.options)
        for name, value in changes.items():
            if name in own:
                continue
            place = fit if name in training else data if name in reading else options if name in builder else None
            if place is None:
                known = [*own, *training, *reading, *builder]
                wanted = f"a setting of fit, of the data or of {net}"
                raise OptionError(message(f"recipe {self.name}", wanted, repr(name), nearest(name, known)))
            place[name] = tuple(value) if place is data and isinstance(value, list) else value
        changed: dict[str, Any] = {**own, "fit": fit, "options": options, "data": replace(self.data, **data)}
        return replace(self, **changed)

    def with_variants(self, variants: Mapping[str, Mapping[str, Any]]) -> Self:
        """The recipe with other variants, every one of them checked.

        Raises:
            ValueError: When a variant has a setting that is unknown or not allowed.
        """
        for changes in variants.values():
            self.changed(changes).fit_options()
        return replace(self, variants=variants)


def names_of(kind: type) -> list[str]:
    return [each.name for each in fields(kind)]


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
    text = str(name)
    if text.endswith(".toml"):
        return read_recipe(Path(text))
    check_text("recipe", "name", text)
    if text not in (names := list_recipes()):
        close = difflib.get_close_matches(text, names, n=1, cutoff=0.3)
        advice = f"Did you mean {close[0]!r}?" if close else "See them all: smallnets recipe list."
        raise OptionError(message("recipe", "the name of a recipe, or a .toml file", repr(text), advice))
    return read_recipe(FOLDER / f"{text}.toml")


@cache
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
    tables: dict[str, Any] = {
        "data": check_entries(path, "data", found.pop("data", {}), RecipeData),
        "reported": check_entries(path, "reported", found.pop("reported", None), Figure),
        "expect": check_entries(path, "expect", found.pop("expect", None), Figure),
    }
    check_entries(path, "", {**found, "name": "", "text": ""}, Recipe)
    for needed in ("title", "net"):
        if needed not in found:
            raise OptionError(message(f"recipe {path.stem}", f"an entry {needed}", "none", f"Write it into {path}."))
    entries: dict[str, Any] = {**found, **tables, "ways": tuple(found.get("ways", ()))}
    made = Recipe(path.stem, text=text, **entries)
    check_choice(f"recipe {path.stem}", "test", made.data.test, ("once", "every epoch", "none"))
    if made.data.test == "every epoch" and made.data.validation:
        got, advice = f"validation = {made.data.validation}", "Set validation = 0, as the report did."
        raise OptionError(message(f"recipe {path.stem}", "nothing held out with test = 'every epoch'", got, advice))
    return made.with_variants({"": {}}).with_variants(made.variants)  # the recipe itself is checked, too


def check_entries(path: Path, table: str, found: Any, kind: type) -> Any:
    """A table of the file as what it describes, lists as tuples.

    Raises:
        ValueError: When it has an entry that there is not.
    """
    if found is None:
        return None
    for name in found:
        if name not in (known := names_of(kind)):
            where = f"recipe {path.stem}" + (f", [{table}]" if table else "")
            raise OptionError(message(where, f"one of {', '.join(known)}", repr(name), nearest(name, known)))
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}
    return kind(**values) if table else None
