"""What a net has to know of the pictures that it was trained on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


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
    """

    classes: tuple[str, ...] = ()
    channels: int | None = None
    size: tuple[int, int] | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    source: str = ""

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
        known: dict[str, Any] = {}
        for name in cls.__dataclass_fields__.keys() & content.keys():
            known[name] = tuple(content[name]) if isinstance(content[name], list) else content[name]
        return cls(**known)


def facts_of(model: object) -> DataFacts | None:
    """The facts that ``fit`` or ``load`` left with a net, if it has any."""
    found = getattr(model, "data_facts", None)
    return found if isinstance(found, DataFacts) else None


def leave_facts(model: object, facts: DataFacts) -> None:
    """Leave the facts with a net; a plain attribute, which a state dict does not hold."""
    object.__setattr__(model, "data_facts", facts)
