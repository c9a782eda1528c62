"""What a net has to know of the pictures that it was trained on."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from .errors import OptionError, check_choice, check_int, check_ints, check_number, check_text, message


@dataclass(frozen=True)
class DataFacts:
    """The facts of a data set: ``fit`` leaves them with the net, as ``net.data_facts``.

    Attributes:
        classes: Names of the classes, in the order of the logits; empty where they have none.
        channels: Of every picture; None where the samples are no pictures.
        size: (h, w) in pixels; None where the samples are no pictures.
        mean: A number a channel, in [0, 1], that is subtracted; empty where pictures are taken as they are.
        std: Likewise, to divide by.
        source: Where the pictures come from.
        white: The value that was white in pictures of more than 8 bits a channel; None where there were none.
        crop: Share of a picture, scaled to cover the size, that was kept at the centre, as of ``data.load``.
        exif: Whether pictures were turned upright, as their EXIF orientation says.

    Raises:
        OptionError: When one is not what it should be.

    A net that was trained elsewhere is told by hand:

    >>> from torch import nn
    >>> net = nn.Linear(2, 2)
    >>> net.data_facts = DataFacts(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    """

    classes: tuple[str, ...] = ()
    channels: int | None = None
    size: tuple[int, int] | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    source: str = ""
    white: int | None = None
    crop: float = 1.0
    exif: bool = True

    def __post_init__(self) -> None:
        check_number("DataFacts", "crop", self.crop, 0.05, below=1.001)
        check_choice("DataFacts", "exif", self.exif, (True, False))
        for name in ("mean", "std"):
            object.__setattr__(self, name, numbers(name, getattr(self, name)))
        for name in ("classes", "size"):
            if isinstance(given := getattr(self, name), list):  # as people and JSON write them
                object.__setattr__(self, name, tuple(given))
        names: Any = self.classes
        if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
            raise OptionError(message("DataFacts", "classes to be names", repr(names)[:80]))
        if self.size is not None:
            check_ints("DataFacts", "size", "side", self.size)
        for name in ("channels", "white"):
            if getattr(self, name) is not None:
                check_int("DataFacts", name, getattr(self, name))
        check_text("DataFacts", "source", self.source)

    def to_dict(self) -> dict[str, Any]:
        """The facts as JSON has them.

        >>> DataFacts(("cat", "dog"), 1, (8, 8), (0.5,), (0.2,)).to_dict()["size"]
        [8, 8]
        """
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """The facts back from ``to_dict``; what else is in ``content`` is passed over.

        >>> DataFacts.from_dict(DataFacts(("a",), 3, (32, 32)).to_dict()).classes
        ('a',)
        """
        return cls(**{name: content[name] for name in cls.__dataclass_fields__.keys() & content.keys()})


def numbers(name: str, given: Any) -> tuple[float, ...]:
    """A number a channel, of whatever sequence; a std is above 0."""
    try:
        found = () if isinstance(given, str) else tuple(float(number) for number in given)
        fine = not isinstance(given, str) and all(math.isfinite(x) and (x > 0 or name == "mean") for x in found)
    except (TypeError, ValueError):
        found, fine = (), False
    if not fine:
        wanted = f"{name} to be a number a channel" + ("" if name == "mean" else ", above 0")
        raise OptionError(message("DataFacts", wanted, repr(given)[:80]))
    return found


def facts_of(model: object) -> DataFacts | None:
    """The facts that ``fit``, ``load`` or its owner left with a net, if it has any."""
    found = getattr(model, "data_facts", None)
    if isinstance(found, Mapping):
        return DataFacts.from_dict(found)
    return found if isinstance(found, DataFacts) else None


def leave_facts(model: object, facts: DataFacts) -> None:
    """Leave the facts with a net; a plain attribute, which a state dict does not hold."""
    object.__setattr__(model, "data_facts", facts)
