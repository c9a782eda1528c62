"""What is in a checkpoint: its type, and both ways between it and the dict that is on the disk."""

import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NotRequired, Self, TypedDict

import torch
from torch import Tensor, nn

from ..._version import __version__
from ...errors import RunError, message
from ...facts import DataFacts
from ...models.base import Net
from ..options import qualified_name
from ..records import PlanRecord, Row
from ..schedules import Plateau
from .forms import fault

FORMAT = 1  # raised when a file can no longer be read by the library before


class NewerFormatError(RunError):
    """A checkpoint that a newer version wrote."""


NetForm = TypedDict("NetForm", {"class": str, "config": dict[str, Any] | None})  # ``NetRecord`` on the disk


@dataclass
class Progress:
    """Where a run is: what of going on is a number. ``Training`` holds it with the rest."""

    epoch: int = 0  # epochs that are complete
    batch: int = 0  # batches of the current epoch that are done
    step: int = 0  # optimiser steps so far
    loss_sum: float = 0.0  # of this epoch so far, over all processes
    weight_sum: float = 0.0  # that the losses in it were multiplied by
    correct: int = 0
    seen: int = 0
    seconds: float = 0.0
    best: float | None = None  # the monitored score, small is good
    best_epoch: int = 0
    stopped: bool = False  # by patience or a callback


@dataclass(frozen=True)
class NetRecord:
    """Which net: its class and, for a net of the zoo, the config that rebuilds it."""

    kind: str
    config: dict[str, Any] | None

    @classmethod
    def of(cls, model: nn.Module) -> Self:
        return cls(qualified_name(type(model)), model.config if isinstance(model, Net) else None)

    @property
    def name(self) -> str:
        return self.kind if self.config is None else str(self.config.get("name", self.kind))


@dataclass(frozen=True)
class DataRecord:
    """Which data: the training set's facts, and enough to notice that it, or the validation set, is another."""

    facts: DataFacts
    count: int
    shape: tuple[int, ...]  # of a sample
    checksum: int
    validation: int | None  # the validation set's checksum

    def to_dict(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("count", "checksum", "validation")}
        return {**self.facts.to_dict(), **own, "shape": list(self.shape)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        shape = tuple(content["shape"])
        known = {"channels": shape[0], "size": shape[1:]} if len(shape) == 3 else {}
        facts = DataFacts.from_dict({**known, **content})
        return cls(facts, content["count"], shape, content["checksum"], content.get("validation"))

    def changes(self, other: Self) -> list[str]:
        """What is another in ``other``, in words."""
        named = {
            "training set's count": (self.count, other.count),
            "training set's classes": (list(self.facts.classes), list(other.facts.classes)),
            "training set's checksum": (self.checksum, other.checksum),
            "training set's shape": (list(self.shape), list(other.shape)),
            "validation set's checksum": (self.validation, other.validation),
        }
        if not self.checksum:  # an older version's, of a Dataset, of which it noted nothing
            for part in ("training set's classes", "training set's checksum", "validation set's checksum"):
                del named[part]
        return [f"{name} {old!r} -> {new!r}" for name, (old, new) in named.items() if old != new]


@dataclass(frozen=True)
class Training:
    """What going on needs beside the weights."""

    progress: Progress
    optimizer: dict[str, Any]  # as ``Optimizer.state_dict`` gives it
    average: dict[str, Tensor] | None  # of the weights, with ``ema``
    schedule: Plateau  # what schedule="plateau" has seen
    batches: int | None  # of an epoch
    scaler: dict[str, Any] = field(default_factory=dict)  # of fp16's gradients; empty without


@dataclass(frozen=True)
class Checkpoint:
    """A run at some step; without ``training`` the best of its epochs, or what config.json says.

    Nothing goes on from one without. The best has the averaged weights, where there are any, and its epoch's row alone.
    """

    net: NetRecord
    options: Mapping[str, object]
    data: DataRecord
    plan: PlanRecord
    weights: Mapping[str, Any]  # the net's state dict, where a module may keep other things than tensors
    history: list[Row]
    training: Training | None = None
    versions: dict[str, str] = field(
        default_factory=lambda: {"smallnets": __version__, "torch": str(torch.__version__)}
    )

    def record(self) -> dict[str, Any]:
        """All of it that a person reads, as JSON has it."""
        return {
            "net": {"class": self.net.kind, "config": self.net.config},
            "options": self.options,
            "data": self.data.to_dict(),
            "plan": self.plan,
            "versions": self.versions,
        }

    def to_dict(self) -> dict[str, Any]:
        """What is on the disk: tensors, numbers and text."""
        content = {"format": FORMAT, **self.record(), "model": self.weights, "history": self.history}
        if self.training is not None:
            state = {name: getattr(self.training, name) for name in ("optimizer", "average", "batches", "scaler")}
            content |= state | {name: asdict(getattr(self.training, name)) for name in ("progress", "schedule")}
        return content

    @classmethod
    def from_dict(cls, content: object, where: object) -> Self:
        """Back from ``to_dict``; ``where`` is the file.

        Raises:
            NewerFormatError: When a newer version wrote it.
            RunError: When it is something else.
        """
        check_format(content, where)
        found: Any = content
        wrong = fault(content, Stored)
        if not wrong and min([0, *(n for n in found.get("progress", {}).values() if type(n) is int)]) < 0:
            wrong = "['progress'] has a negative number"
        if wrong or not {"history", "row"} & found.keys():
            wanted = f"a checkpoint of smallnets in {where}"
            raise RunError(message("smallnets", wanted, f"another file ({wrong or 'it has no history'})"))
        try:
            training = None
            if "progress" in found:
                # Older files have no weights: there every sample's was 1.
                known: dict[str, Any] = {"weight_sum": float(found["progress"].get("seen", 0)), **found["progress"]}
                progress, schedule = Progress(**known), Plateau(**found["schedule"])
                state = (
                    found["optimizer"],
                    found.get("average"),
                    schedule,
                    found.get("batches"),
                    found.get("scaler", {}),
                )
                training = Training(progress, *state)
            return cls(
                NetRecord(found["net"]["class"], found["net"]["config"]),
                found["options"],
                DataRecord.from_dict(found["data"]),
                found["plan"],
                found["model"],
                found["history"] if "history" in found else [found["row"]],
                training,
                found["versions"],
            )
        except (LookupError, TypeError, ValueError) as error:
            raise RunError(message("smallnets", f"a checkpoint of smallnets in {where}", "another file")) from error


class Group(TypedDict):
    """Of an optimiser's parameters."""

    params: list[int]


class State(TypedDict):
    """Of an optimiser."""

    state: dict[Any, Any]
    param_groups: NotRequired[list[Group]]


class DataForm(TypedDict):
    """``DataRecord`` on the disk."""

    count: int
    shape: list[int]
    checksum: int
    validation: NotRequired[int | None]
    classes: NotRequired[list[str]]
    channels: NotRequired[int | None]
    size: NotRequired[list[int] | None]
    mean: NotRequired[list[float]]
    std: NotRequired[list[float]]
    source: NotRequired[str]
    white: NotRequired[int | None]
    crop: NotRequired[float]
    exif: NotRequired[bool]


class Stored(TypedDict):
    """``Checkpoint`` on the disk; newer files of the same format may have more."""

    format: int
    net: NetForm
    options: dict[str, Any]
    data: DataForm
    plan: PlanRecord
    model: dict[str, Any]
    versions: dict[str, str]
    history: NotRequired[list[Row]]
    row: NotRequired[Row]  # of a best epoch, in older files
    progress: NotRequired[Progress]
    schedule: NotRequired[Plateau]
    optimizer: NotRequired[State]
    average: NotRequired[dict[str, Tensor] | None]
    batches: NotRequired[int | None]
    scaler: NotRequired[dict[str, Any]]


def check_format(content: object, where: object) -> None:
    """Refuse what is no checkpoint of ours, and one that is newer than we are.

    Raises:
        NewerFormatError: The latter.
        RunError: The former.
    """
    if not isinstance(content, dict) or type(content.get("format")) is not int:
        raise RunError(message("smallnets", f"a checkpoint of smallnets in {where}", "another file"))
    if content["format"] > FORMAT:
        wanted = f"checkpoint format {FORMAT} or older in {where}"
        raise NewerFormatError(message("smallnets", wanted, content["format"], "Upgrade smallnets."))


def changes_of(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What is another, by name."""
    names = [*new, *(name for name in old if name not in new)]
    return [f"{name} {old.get(name)!r} -> {new.get(name)!r}" for name in names if old.get(name) != new.get(name)]


def checksum(labels: Tensor | None, images: Tensor | None) -> int:
    """A number by which a set is known again: of its labels and some five hundred of its pictures, on the CPU."""
    found = 0 if labels is None else zlib.crc32(labels.numpy().tobytes())
    if images is not None:
        found = zlib.crc32(images[:: max(1, len(images) // 500)].contiguous().numpy().tobytes(), found)
    return found
