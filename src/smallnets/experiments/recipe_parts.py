"""The parts of a recipe, as its file has them, and what may stand in them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from ..errors import OptionError, check_choice, check_int, check_number, check_text, message, nearest

Look = Literal["once", "every epoch", "none"]


@dataclass(frozen=True)
class RecipeData:
    """What a recipe reads.

    Attributes:
        source: The data set it is made for: a name, or that of one whose pictures stand in a folder or zip.
        classes: The classes that are kept, in this order; None keeps all.
        size: Side of the pictures in pixels; None leaves them as they are.
        crop: Share of the shorter side that is seen in validation and test, from the centre: 224 of 256 is 0.875.
        mean: What the pictures are normalised by, a number a channel; None measures the training split's.
        std: Likewise.
        validation: Share of the training split that is held out.
        test: When the test split is looked at. ``"every epoch"`` only where a report did so.
    """

    source: str = "cifar10"
    classes: tuple[str, ...] | None = None
    size: int | None = None
    crop: float = 1.0
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
        seconds: Of training, all of its runs; of an expectation, on two cores, measured or from an epoch's rate.
        note: On what, and whatever else must be known.
    """

    test_accuracy: float | None = None
    train_accuracy: float | None = None
    seconds: float | None = None
    note: str = ""

    @property
    def time(self) -> str:
        """The seconds as one says them; empty where they are not known.

        >>> Figure(seconds=290).time, Figure(seconds=9_800).time
        ('5 min', '2.7 hours')
        """
        if self.seconds is None:
            return ""
        minutes = self.seconds / 60
        return (
            f"{self.seconds:.0f} s"
            if minutes < 1.5
            else f"{minutes:.0f} min"
            if minutes < 90
            else f"{minutes / 60:.1f} hours"
        )


SUMMARY = ("comparison.csv", "comparison.png", "report.md")  # what several runs leave in the folder around them
BESIDE_RUNS = (*SUMMARY, "start")
LONGEST = 200  # letters of a folder's name; most systems end at 255

# What is said of a run and not of a recipe: its keyword, and its option on the command line.
OF_A_RUN = {
    "source": "data=: --data",
    "seed": "seed=, seeds=: --seed, --seeds",
    "run_dir": "run_dir=: --run-dir",
    "device": "device=: --device",
    "progress": "progress=",
    "callbacks": "fit itself",
}


def check_not_said_elsewhere(who: str, settings: Mapping[str, Any]) -> None:
    """Refuse settings that a recipe would have no say in.

    Raises:
        ValueError: Naming what says it.
    """
    for name in settings:
        if name in OF_A_RUN:
            raise OptionError(message(who, "settings of a recipe", repr(name), f"Say it by {OF_A_RUN[name]}."))


def slug(name: str) -> str:
    """A variant's name as that of a folder.

    >>> slug("no dropout, 100 epochs")
    'no-dropout-100-epochs'
    """
    return re.sub(r"[^\w.=+-]+", "-", name).strip("-.") or "variant"


def check_variant(who: str, name: str) -> None:
    """Refuse a variant's name whose folder would be taken for another thing.

    Raises:
        ValueError: Which name, and why.
    """
    folder = slug(name)
    if not name:
        raise OptionError(message(who, "every variant to have a name", repr(name)))
    if len(folder.encode()) > LONGEST:
        raise OptionError(message(who, f"names of variants of at most {LONGEST} letters", repr(name[:60] + "...")))
    if folder.lower() in BESIDE_RUNS or folder.lower().startswith("seed-"):
        advice = f"The folder {folder!r} would be taken for what lies beside the runs, or for that of a seed."
        raise OptionError(message(who, "another name of a variant", repr(name), advice))


def names_of(kind: type) -> list[str]:
    return [each.name for each in fields(kind)]


def check_entries(who: str, found: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """The entries of a table that becomes ``kind``, lists as tuples.

    Raises:
        ValueError: When there is no such entry.
    """
    known = [name for name in names_of(kind) if name not in ("name", "text", "path")]
    for name in found:
        if name not in known:
            raise OptionError(message(who, f"one of {', '.join(known)}", repr(name), nearest(name, known)))
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}


def check_data(who: str, data: RecipeData) -> None:
    """Refuse data that cannot be read so.

    Raises:
        ValueError: Which entry, and what is allowed.
    """
    check_choice(who, "test", data.test, ("once", "every epoch", "none"))
    check_number(who, "validation", data.validation, 0, below=1)
    if not isinstance(data.crop, int | float) or not 0 < data.crop <= 1:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise OptionError(message(who, "crop to be a share in (0, 1]", repr(data.crop)))
    check_text(who, "source", data.source)
    if data.classes is not None:
        if not isinstance(data.classes, tuple):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise OptionError(message(who, "classes to be a list of names", repr(data.classes)))
        for name in data.classes:
            check_text(who, "every class", name)
    if (data.mean is None) != (data.std is None):
        raise OptionError(message(who, "mean and std together", "one of them"))
    for name in ("mean", "std"):
        if not isinstance(values := getattr(data, name), tuple | None):
            raise OptionError(message(who, f"{name} to be a list of numbers, one a channel", repr(values)))
        for value in values or ():
            check_number(who, f"every {name}", value, 0)
    if data.size is not None:
        check_int(who, "size", data.size)
    if data.test == "every epoch" and data.validation:
        got, advice = f"validation = {data.validation}", "Set validation = 0, as the report did."
        raise OptionError(message(who, "nothing held out with test = 'every epoch'", got, advice))


def check_figure(who: str, figure: Figure) -> None:
    """Refuse figures that are no numbers.

    Raises:
        ValueError: Which entry, and what is allowed.
    """
    for name in ("test_accuracy", "train_accuracy", "seconds"):
        if getattr(figure, name) is not None:
            check_number(who, name, getattr(figure, name), 0)
    check_text(who, "note", figure.note)
